//! The connection: each request in the driver's own words, with nothing decided here.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::meta::region::RegionProviderChain;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    ChecksumAlgorithm, ChecksumMode, ChecksumType, CompletedMultipartUpload, CompletedPart, Delete,
    EncodingType, ObjectIdentifier, ServerSideEncryption, StorageClass,
};
use aws_smithy_types::base64;
use onitu_plug::{Bytes, Checksum};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::fault::Refusal;
use crate::options::Options;

/// Entries of one page of a listing: as many as S3 tells.
pub(crate) const PAGE: i32 = 1_000;
/// Requests under way at once; the others wait.
const REQUESTS_MAX: usize = 64;
/// Bytes that wait in memory to be sent, or that were read ahead, in all transfers together.
const BUFFER_BYTES: u64 = 64 * 1024 * 1024;
/// The unit in which they are counted.
const BUFFER_UNIT: u64 = 4 * 1024;
/// A request is tried so often in all before anybody hears that it failed.
const ATTEMPTS: u32 = 3;
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// Until an answer begins; a copy of gigabytes takes its time.
const ANSWER_LIMIT: Duration = Duration::from_mins(2);

/// What must stand under a key for a request to have an effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expect {
    /// Nothing.
    Nothing,
    /// An object with this `ETag`.
    Etag(String),
    /// Whatever: for what is the driver's own.
    Anything,
}

impl Expect {
    /// The headers `If-Match` and `If-None-Match`.
    fn headers(&self) -> (Option<String>, Option<String>) {
        match self {
            Self::Nothing => (None, Some("*".to_owned())),
            Self::Etag(etag) => (Some(format!("\"{etag}\"")), None),
            Self::Anything => (None, None),
        }
    }
}

/// What is told of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Without its quotes.
    pub(crate) etag: String,
    pub(crate) size: u64,
    /// Where the server has computed it itself, of all bytes.
    pub(crate) checksum: Option<Checksum>,
}

/// How an object is described to other programs that read the bucket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Label {
    /// In nanoseconds since 1970.
    pub(crate) mtime_ns: Option<i64>,
    pub(crate) checksum: Option<Checksum>,
}

impl Label {
    fn metadata(&self) -> impl Iterator<Item = (&'static str, String)> {
        // As rclone writes it: seconds with a fraction.
        let mtime = self.mtime_ns.map(|ns| {
            let (seconds, rest) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
            ("mtime", format!("{seconds}.{rest:09}"))
        });
        mtime.into_iter().chain(self.checksum.map(|sum| ("sha1", sum.to_string())))
    }
}

/// Sends requests about one bucket.
pub(crate) struct Requests {
    client: Client,
    bucket: String,
    storage_class: Option<StorageClass>,
    encryption: Option<ServerSideEncryption>,
    kms_key_id: Option<String>,
    under_way: Semaphore,
    buffers: Arc<Semaphore>,
}

/// An `ETag` as it is kept: without quotes, which not every server sends.
pub(crate) fn etag(text: Option<&str>) -> Option<String> {
    text.map(|text| text.trim_start_matches("W/").trim_matches('"').to_owned())
        .filter(|etag| !etag.is_empty())
}

impl Requests {
    /// Finds region and credentials as the AWS tools do, unless the options have them. Sends
    /// nothing to the bucket yet.
    pub(crate) async fn new(options: &Options) -> Self {
        let region = RegionProviderChain::first_try(options.region.clone().map(Region::new));
        let region = match options.endpoint {
            Some(_) => region.or_else(Region::new("us-east-1")),
            None => region.or_default_provider().or_else(Region::new("us-east-1")),
        };
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).region(region);
        if let Some(profile) = &options.profile {
            loader = loader.profile_name(profile);
        }
        if let (Some(id), Some(key)) = (&options.access_key_id, &options.secret_access_key) {
            let token = options.session_token.as_ref().map(|token| token.reveal().to_owned());
            loader = loader.credentials_provider(Credentials::new(
                id.reveal(),
                key.reveal(),
                token,
                None,
                "entries.toml",
            ));
        }
        let limits = TimeoutConfig::builder()
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(ANSWER_LIMIT)
            .build();
        let mut config = aws_sdk_s3::config::Builder::from(&loader.load().await)
            .force_path_style(options.path_style.unwrap_or(options.endpoint.is_some()))
            // What is not asked for, other servers than Amazon's often don't understand.
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(limits);
        if let Some(endpoint) = &options.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(config.build()),
            bucket: options.bucket.clone(),
            storage_class: options.storage_class.as_deref().map(StorageClass::from),
            encryption: options.encryption.as_deref().map(ServerSideEncryption::from),
            kms_key_id: options.kms_key_id.clone(),
            under_way: Semaphore::new(REQUESTS_MAX),
            buffers: Arc::new(Semaphore::new((BUFFER_BYTES / BUFFER_UNIT) as usize)),
        }
    }

    /// The bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.under_way.acquire().await.ok()
    }

    fn units(bytes: u64) -> u32 {
        bytes.clamp(1, BUFFER_BYTES).div_ceil(BUFFER_UNIT) as u32
    }

    /// Room for so many bytes in memory; waits for it.
    pub(crate) async fn room(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.buffers).acquire_many_owned(Self::units(bytes)).await.ok()
    }

    /// The same, if there is room now.
    pub(crate) fn room_now(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.buffers).try_acquire_many_owned(Self::units(bytes)).ok()
    }

    /// What stands under the key; [`None`] if nothing, or no bucket: an answer to `HEAD` doesn't say.
    pub(crate) async fn head(&self, key: &str) -> Result<Option<Object>, Refusal> {
        let _turn = self.turn().await;
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        match head.checksum_mode(ChecksumMode::Enabled).send().await.map_err(Refusal::from) {
            Ok(found) => Ok(Some(Object {
                etag: etag(found.e_tag()).unwrap_or_default(),
                size: found.content_length().and_then(|it| it.try_into().ok()).unwrap_or(0),
                checksum: match found.checksum_type() {
                    None | Some(ChecksumType::FullObject) => checksum(found.checksum_sha1()),
                    Some(_) => None,
                },
            })),
            Err(refusal) if refusal.is_missing() => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Bytes of an object, from `from` to `to` inclusive if given.
    pub(crate) async fn get(
        &self,
        key: &str,
        range: Option<(u64, u64)>,
        expect: &Expect,
    ) -> Result<GetObjectOutput, Refusal> {
        let _turn = self.turn().await;
        let range = range.map(|(from, to)| format!("bytes={from}-{to}"));
        let (matches, _) = expect.headers();
        let get = self.client.get_object().bucket(&self.bucket).key(key).set_range(range);
        get.set_if_match(matches).send().await.map_err(Refusal::from)
    }

    /// Writes an object at once; its `ETag`.
    pub(crate) async fn put(
        &self,
        key: &str,
        body: Bytes,
        label: &Label,
        expect: &Expect,
    ) -> Result<Option<String>, Refusal> {
        let _turn = self.turn().await;
        let (matches, none) = expect.headers();
        let mut put = self
            .client
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .set_storage_class(self.storage_class.clone())
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone())
            .set_checksum_algorithm(label.checksum.map(|_| ChecksumAlgorithm::Sha1))
            .set_checksum_sha1(label.checksum.map(|sum| base64::encode(sum.0)))
            .set_if_match(matches)
            .set_if_none_match(none)
            .body(ByteStream::from(body));
        for (name, value) in label.metadata() {
            put = put.metadata(name, value);
        }
        let put = put.send().await.map_err(Refusal::from)?;
        Ok(etag(put.e_tag()))
    }

    fn source(&self, key: &str) -> String {
        let mut source = format!("{}/", self.bucket);
        for byte in key.bytes() {
            if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
                source.push(char::from(byte));
            } else {
                // Writing to a text can't fail.
                let _ = write!(source, "%{byte:02X}");
            }
        }
        source
    }

    /// Copies an object on the server, if it has that `ETag`; the copy's own.
    pub(crate) async fn copy(
        &self,
        from: &str,
        etag_from: &str,
        to: &str,
        expect: &Expect,
    ) -> Result<Option<String>, Refusal> {
        let _turn = self.turn().await;
        let (matches, none) = expect.headers();
        let copied = self
            .client
            .copy_object()
            .copy_source(self.source(from))
            .copy_source_if_match(format!("\"{etag_from}\""))
            .bucket(&self.bucket)
            .key(to)
            .set_storage_class(self.storage_class.clone())
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone())
            .set_if_match(matches)
            .set_if_none_match(none)
            .send()
            .await
            .map_err(Refusal::from)?;
        Ok(etag(copied.copy_object_result().and_then(|it| it.e_tag())))
    }

    /// Removes an object; that nothing is there is no failure, unless something was expected.
    pub(crate) async fn delete(&self, key: &str, expect: &Expect) -> Result<(), Refusal> {
        let _turn = self.turn().await;
        let (matches, _) = expect.headers();
        let delete = self.client.delete_object().bucket(&self.bucket).key(key);
        delete.set_if_match(matches).send().await.map(drop).map_err(Refusal::from)
    }

    /// Removes at most 1,000 objects of the driver's own.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> Result<(), Refusal> {
        let _turn = self.turn().await;
        let objects =
            keys.iter().filter_map(|key| ObjectIdentifier::builder().key(key).build().ok());
        let objects: Vec<_> = objects.collect();
        let Ok(delete) = Delete::builder().set_objects(Some(objects)).quiet(true).build() else {
            return Ok(());
        };
        let deleted = self.client.delete_objects().bucket(&self.bucket).delete(delete);
        deleted.send().await.map(drop).map_err(Refusal::from)
    }

    /// One page of the keys that begin with `prefix`, after `after` or where the page before said.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        from: &Start,
        is_flat: bool,
        most: i32,
    ) -> Result<ListObjectsV2Output, Refusal> {
        let _turn = self.turn().await;
        let (token, after) = match from {
            Start::Beginning => (None, None),
            Start::Token(token) => (Some(token.clone()), None),
            Start::After(key) => (None, Some(key.clone())),
        };
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        list.set_delimiter((!is_flat).then(|| "/".to_owned()))
            .encoding_type(EncodingType::Url)
            .max_keys(most)
            .set_continuation_token(token)
            .set_start_after(after)
            .send()
            .await
            .map_err(Refusal::from)
    }

    /// Asks for an archived object to be made readable for some days.
    pub(crate) async fn restore(&self, key: &str, days: i32) -> Result<(), Refusal> {
        let _turn = self.turn().await;
        let request = aws_sdk_s3::types::RestoreRequest::builder().days(days).build();
        let restore = self.client.restore_object().bucket(&self.bucket).key(key);
        restore.restore_request(request).send().await.map(drop).map_err(Refusal::from)
    }

    /// Begins an upload in parts; its id.
    pub(crate) async fn begin_upload(&self, key: &str, label: &Label) -> Result<String, Refusal> {
        let _turn = self.turn().await;
        let mut begin = self
            .client
            .create_multipart_upload()
            .bucket(&self.bucket)
            .key(key)
            .set_storage_class(self.storage_class.clone())
            .set_server_side_encryption(self.encryption.clone())
            .set_ssekms_key_id(self.kms_key_id.clone());
        for (name, value) in label.metadata() {
            begin = begin.metadata(name, value);
        }
        let answer = begin.send().await.map_err(Refusal::from)?;
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
        let _turn = self.turn().await;
        let part = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(upload);
        let sent = part.part_number(number).body(ByteStream::from(body)).send().await;
        Ok(etag(sent.map_err(Refusal::from)?.e_tag()).unwrap_or_default())
    }

    /// Makes a part of a range of another object, if that has the `ETag`.
    pub(crate) async fn copy_part(
        &self,
        (from, etag_from, range): (&str, &str, (u64, u64)),
        key: &str,
        upload: &str,
        number: i32,
    ) -> Result<String, Refusal> {
        let _turn = self.turn().await;
        let part = self.client.upload_part_copy().bucket(&self.bucket).key(key).upload_id(upload);
        let copied = part
            .part_number(number)
            .copy_source(self.source(from))
            .copy_source_if_match(format!("\"{etag_from}\""))
            .copy_source_range(format!("bytes={}-{}", range.0, range.1))
            .send()
            .await
            .map_err(Refusal::from)?;
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
        let _turn = self.turn().await;
        let (matches, none) = expect.headers();
        let part = |(number, etag): (i32, &String)| {
            CompletedPart::builder().part_number(number).e_tag(format!("\"{etag}\"")).build()
        };
        let parts = (1..).zip(parts).map(part).collect();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(key);
        let completed = complete
            .upload_id(upload)
            .multipart_upload(CompletedMultipartUpload::builder().set_parts(Some(parts)).build())
            .set_if_match(matches)
            .set_if_none_match(none)
            .send()
            .await
            .map_err(Refusal::from)?;
        Ok(etag(completed.e_tag()))
    }

    /// Ends an upload and removes its parts; that it isn't known is no failure.
    pub(crate) async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), Refusal> {
        let _turn = self.turn().await;
        let abort = self.client.abort_multipart_upload().bucket(&self.bucket).key(key);
        match abort.upload_id(upload).send().await.map_err(Refusal::from) {
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
        let _turn = self.turn().await;
        let parts = self.client.list_parts().bucket(&self.bucket).key(key).upload_id(upload);
        let parts =
            parts.part_number_marker(after.to_string()).send().await.map_err(Refusal::from)?;
        let part = |part: &aws_sdk_s3::types::Part| {
            let size = u64::try_from(part.size()?).ok()?;
            Some((part.part_number()?, etag(part.e_tag())?, size))
        };
        Ok(parts.parts().iter().filter_map(part).collect())
    }

    /// The ids of uploads of exactly this key, with when they began, in seconds since 1970.
    pub(crate) async fn uploads(&self, key: &str) -> Result<Vec<(String, i64)>, Refusal> {
        let _turn = self.turn().await;
        let list = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(key);
        let found = list.send().await.map_err(Refusal::from)?;
        let of_key = found.uploads().iter().filter(|upload| upload.key() == Some(key));
        let told =
            of_key.filter_map(|it| Some((it.upload_id()?.to_owned(), it.initiated()?.secs())));
        Ok(told.collect())
    }
}

/// Where a page of a listing begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    Beginning,
    /// Where the page before ended.
    Token(String),
    /// After this key.
    After(String),
}

impl Start {
    /// Where the page after this one begins, if there is one.
    pub(crate) fn after(page: &ListObjectsV2Output) -> Option<Self> {
        let token = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true));
        token.map(|token| Self::Token(token.to_owned()))
    }
}

/// A checksum as S3 tells it; of several parts (`…-3`) it is not the content's.
fn checksum(text: Option<&str>) -> Option<Checksum> {
    let bytes = base64::decode(text?).ok()?;
    bytes.try_into().ok().map(Checksum)
}
