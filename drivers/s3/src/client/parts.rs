//! Requests about uploads in parts.

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::future::BoxFuture;
use onitu_plug::Bytes;

use super::{Expect, Label, Requests, etag};
use crate::fault::Refusal;

impl Requests {
    /// Begins an upload in parts; its id.
    pub(crate) async fn begin_upload(&self, key: &str, label: &Label) -> Result<String, Refusal> {
        let mut begin = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .set_storage_class(self.storage_class.clone().filter(|_| label.is_file))
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone());
        for (name, value) in label.metadata() {
            begin = begin.metadata(name, value);
        }
        // Of the first of two uploads the id would never be heard.
        let sending: BoxFuture<_> = Box::pin(begin.send());
        let answer = self.once(sending).await?;
        Ok(answer.upload_id().unwrap_or_default().to_owned())
    }

    /// Sends one part, counted from 1; its `ETag`.
    pub(crate) async fn upload_part(
        &self,
        key: &str,
        upload: &str,
        number: i32,
        body: Bytes,
    ) -> Result<String, Refusal> {
        let sent = self.run(|| {
            let part = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload);
            part.part_number(number).body(ByteStream::from(body.clone())).send()
        });
        Ok(etag(sent.await?.e_tag()).unwrap_or_default())
    }

    /// Makes a part of a range of another object, if that has the `ETag`.
    pub(crate) async fn copy_part(
        &self,
        (from, etag_from, range): (&str, &str, (u64, u64)),
        key: &str,
        upload: &str,
        number: i32,
    ) -> Result<String, Refusal> {
        let part = self.client.upload_part_copy().bucket(&self.bucket).key(key).upload_id(upload);
        let part = part
            .part_number(number)
            .copy_source(self.source(from))
            .copy_source_if_match(format!("\"{etag_from}\""))
            .copy_source_range(format!("bytes={}-{}", range.0, range.1));
        let copied = self.run(|| part.clone().send()).await?;
        Ok(etag(copied.copy_part_result().and_then(|it| it.e_tag())).unwrap_or_default())
    }

    /// Makes an object of an upload's parts; its `ETag`.
    pub(crate) async fn complete_upload(
        &self,
        key: &str,
        upload: &str,
        parts: &[String],
        expect: &Expect,
    ) -> Result<Option<String>, Refusal> {
        let (matches, none) = expect.headers();
        let part = |(number, etag): (i32, &String)| {
            CompletedPart::builder().part_number(number).e_tag(format!("\"{etag}\"")).build()
        };
        let parts = (1..).zip(parts).map(part).collect();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(key);
        let complete = complete
            .upload_id(upload)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_if_match(matches)
            .set_if_none_match(none);
        let _touching = self.nearby.touching(key);
        let completed = self.run(|| complete.clone().send()).await?;
        Ok(etag(completed.e_tag()))
    }

    /// Ends an upload and removes its parts; that it isn't known is no failure.
    pub(crate) async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), Refusal> {
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key);
        let abort = abort.upload_id(upload);
        match self.run(|| abort.clone().send()).await.map(drop) {
            Err(refusal) if !refusal.is_no_upload() => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The parts of an upload that arrived, at most 1,000 after `after`: number, `ETag` and size.
    pub(crate) async fn parts(
        &self,
        key: &str,
        upload: &str,
        after: i32,
    ) -> Result<Vec<(i32, String, u64)>, Refusal> {
        let list = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(upload);
        let list = list.part_number_marker(after.to_string());
        let parts = self.run(|| list.clone().send()).await?;
        let part = |part: &aws_sdk_s3::types::Part| {
            let size = u64::try_from(part.size()?).ok()?;
            Some((part.part_number()?, etag(part.e_tag())?, size))
        };
        Ok(parts.parts().iter().filter_map(part).collect())
    }

    /// The ids of uploads of exactly this key, with when they began, in seconds since 1970.
    pub(crate) async fn uploads(&self, key: &str) -> Result<Vec<(String, i64)>, Refusal> {
        let list = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(key);
        let found = self.run(|| list.clone().send()).await?;
        let of_key = found.uploads().iter().filter(|upload| upload.key() == Some(key));
        let told =
            of_key.filter_map(|it| Some((it.upload_id()?.to_owned(), it.initiated()?.secs())));
        Ok(told.collect())
    }
}
