//! The connection: each request in the driver's own words, with nothing decided here.

mod parts;

use std::fmt::Write;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_s3::Client;
use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, ChecksumAlgorithm, ChecksumMode, ChecksumType, Delete, EncodingType,
    GlacierJobParameters, ObjectIdentifier, RestoreRequest, ServerSideEncryption, StorageClass,
    Tier,
};
use aws_smithy_types::base64;
use futures_util::future::BoxFuture;
use onitu_plug::{Bytes, Calls, Checksum};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Refusal;
use crate::nearby::Nearby;
use crate::options::Options;

/// Entries of one page of a listing: as many as S3 tells.
pub(crate) const PAGE: i32 = 1_000;
/// Requests under way at once; the others wait.
const REQUESTS_MAX: usize = 64;
/// Bytes that wait in memory to be sent, or that were read ahead, in all transfers together.
const BUFFER_BYTES: u64 = 64 * 1024 * 1024;
/// The unit in which they are counted.
const BUFFER_UNIT: u64 = 4 * 1024;

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
    /// It is a user's file, for which the storage class is meant.
    pub(crate) is_file: bool,
    /// In nanoseconds since 1970.
    pub(crate) mtime_ns: Option<i64>,
    pub(crate) checksum: Option<Checksum>,
}

impl Label {
    /// Of a file of which nothing more is to be told.
    pub(crate) fn of_file() -> Self {
        Self { is_file: true, ..Self::default() }
    }

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
    calls: Calls,
    buffers: Arc<Semaphore>,
    /// What listings told a moment ago; every change here takes back what it concerns.
    pub(crate) nearby: Nearby,
}

/// An `ETag` as it is kept: without quotes, which not every server sends.
pub(crate) fn etag(text: Option<&str>) -> Option<String> {
    text.map(|text| text.trim_start_matches("W/").trim_matches('"').to_owned())
        .filter(|etag| !etag.is_empty())
}

impl Requests {
    /// About the bucket that the options name.
    pub(crate) fn new(client: Client, options: &Options) -> Self {
        Self {
            client,
            bucket: options.bucket.clone(),
            storage_class: options.storage_class.as_deref().map(StorageClass::from),
            encryption: options.encryption.as_deref().map(ServerSideEncryption::from),
            kms_key_id: options.kms_key_id.clone(),
            calls: Calls::new(REQUESTS_MAX),
            buffers: Arc::new(Semaphore::new((BUFFER_BYTES / BUFFER_UNIT) as usize)),
            nearby: Nearby::default(),
        }
    }

    /// The bucket's name.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Sends a request as often as [`Calls`] thinks right. In a box: the SDK's futures are large and
    /// deep, and would be so within all others.
    fn run<'a, T, E, F>(
        &'a self,
        request: impl Fn() -> F + Send + Sync + 'a,
    ) -> BoxFuture<'a, Result<T, Refusal>>
    where
        F: Future<Output = Result<T, E>> + Send + 'a,
        T: Send + 'a,
        E: 'a,
        Refusal: From<E>,
    {
        Box::pin(async move {
            let last = Mutex::new(None);
            let sent = self.calls.run(|| async {
                match request().await.map_err(Refusal::from) {
                    Err(refusal) if refusal.may_pass() => {
                        let fault = refusal.fault("ask about", &self.bucket);
                        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(refusal);
                        Err(fault)
                    }
                    told => Ok(told),
                }
            });
            let sent = sent.await;
            let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
            // Without a refusal of its own, it wasn't sent at all.
            sent.unwrap_or_else(|fault| Err(last.unwrap_or_else(|| Refusal::patience(&fault))))
        })
    }

    /// Sends a request that must not be sent twice.
    async fn once<T, E>(&self, request: impl Future<Output = Result<T, E>>) -> Result<T, Refusal>
    where
        Refusal: From<E>,
    {
        let mut last = None;
        let sent = self.calls.once(async {
            request.await.map_err(|error| {
                let refusal = Refusal::from(error);
                let fault = refusal.fault("ask about", &self.bucket);
                last = Some(refusal);
                fault
            })
        });
        let sent = sent.await;
        sent.map_err(|fault| last.unwrap_or_else(|| Refusal::patience(&fault)))
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
        let head = self.client.head_object().bucket(&self.bucket).key(key);
        let head = head.checksum_mode(ChecksumMode::Enabled);
        match self.run(|| head.clone().send()).await {
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
        let range = range.map(|(from, to)| format!("bytes={from}-{to}"));
        let (matches, _) = expect.headers();
        let get = self.client.get_object().bucket(&self.bucket).key(key).set_range(range);
        let get = get.set_if_match(matches);
        self.run(|| get.clone().send()).await
    }

    /// Writes an object at once; its `ETag`.
    pub(crate) async fn put(
        &self,
        key: &str,
        body: Bytes,
        label: &Label,
        expect: &Expect,
    ) -> Result<Option<String>, Refusal> {
        let _touching = self.nearby.touching(key);
        let put = self.run(|| {
            let (matches, none) = expect.headers();
            let mut put = self
                .client
                .put_object()
                .bucket(&self.bucket)
                .key(key)
                .set_storage_class(self.storage_class.clone().filter(|_| label.is_file))
                .set_server_side_encryption(self.encryption.clone())
                .set_ssekms_key_id(self.kms_key_id.clone())
                .set_checksum_algorithm(label.checksum.map(|_| ChecksumAlgorithm::Sha1))
                .set_checksum_sha1(label.checksum.map(|sum| base64::encode(sum.0)))
                .set_if_match(matches)
                .set_if_none_match(none)
                .body(ByteStream::from(body.clone()));
            for (name, value) in label.metadata() {
                put = put.metadata(name, value);
            }
            put.send()
        });
        Ok(etag(put.await?.e_tag()))
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
        let (matches, none) = expect.headers();
        let copy = self
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
            .set_if_none_match(none);
        let _touching = self.nearby.touching(to);
        let copied = self.run(|| copy.clone().send()).await?;
        Ok(etag(copied.copy_object_result().and_then(|it| it.e_tag())))
    }

    /// Removes an object; that nothing is there is no failure, unless something was expected.
    pub(crate) async fn delete(&self, key: &str, expect: &Expect) -> Result<(), Refusal> {
        let (matches, _) = expect.headers();
        let delete = self.client.delete_object().bucket(&self.bucket).key(key);
        let delete = delete.set_if_match(matches);
        let _touching = self.nearby.touching(key);
        self.run(|| delete.clone().send()).await.map(drop)
    }

    /// Removes at most 1,000 objects of the driver's own.
    pub(crate) async fn delete_all(&self, keys: &[String]) -> Result<(), Refusal> {
        let objects =
            keys.iter().filter_map(|key| ObjectIdentifier::builder().key(key).build().ok());
        let objects: Vec<_> = objects.collect();
        let Ok(delete) = Delete::builder().set_objects(Some(objects)).quiet(true).build() else {
            return Ok(());
        };
        let delete = self.client.delete_objects().bucket(&self.bucket).delete(delete);
        self.run(|| delete.clone().send()).await.map(drop)
    }

    /// One page of the keys that begin with `prefix`, after `after` or where the page before said.
    pub(crate) async fn list(
        &self,
        prefix: &str,
        from: &Start,
        is_flat: bool,
        most: i32,
    ) -> Result<ListObjectsV2Output, Refusal> {
        let (token, after) = match from {
            Start::Beginning => (None, None),
            Start::Token(token) => (Some(token.clone()), None),
            Start::After(key) => (None, Some(key.clone())),
        };
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let list = list
            .set_delimiter((!is_flat).then(|| "/".to_owned()))
            .encoding_type(EncodingType::Url)
            .max_keys(most)
            .set_continuation_token(token)
            .set_start_after(after);
        self.run(|| list.clone().send()).await
    }

    /// Asks for an archived object to be made readable for some days.
    pub(crate) async fn restore(
        &self,
        key: &str,
        tier: &str,
        days: Option<i32>,
    ) -> Result<(), Refusal> {
        let job = GlacierJobParameters::builder().tier(Tier::from(tier)).build().ok();
        let request = RestoreRequest::builder().set_days(days).set_glacier_job_parameters(job);
        let request = request.build();
        let restore = self.client.restore_object().bucket(&self.bucket).key(key);
        let restore = restore.restore_request(request);
        self.run(|| restore.clone().send()).await.map(drop)
    }

    /// Whether the bucket keeps what is removed or replaced as versions.
    pub(crate) async fn is_versioned(&self) -> Result<bool, Refusal> {
        let get = self.client.get_bucket_versioning().bucket(&self.bucket);
        let found = self.run(|| get.clone().send()).await?;
        Ok(found.status() == Some(&BucketVersioningStatus::Enabled))
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
