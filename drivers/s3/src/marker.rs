//! `.onitu/service`, by which a bucket is told from another one, or from one that was emptied.

use onitu_plug::{Bytes, Fault, Setting};
use serde::{Deserialize, Serialize};

use crate::client::{Expect, Label};
use crate::fault::{Refusal, unavailable};
use crate::object::Bucket;

const NAME: &str = "service";
/// Far more than a marker ever holds.
const BYTES_MAX: i64 = 64 * 1024;

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    /// Whose bucket, or part of one, this is.
    service: String,
    /// Random: another bucket of a service of the same name has another one.
    id: String,
}

impl Marker {
    /// Reads the marker, or makes it if the bucket is new to Onitu.
    pub(crate) async fn claim(bucket: &Bucket, setting: &Setting) -> Result<Self, Fault> {
        let failed = |refusal: Refusal| refusal.unavailable("reach", bucket.requests.bucket());
        if let Some(said) = Self::read(bucket).await.map_err(failed)? {
            return said.belongs_to(bucket, &setting.service);
        }
        if setting.known {
            return Err(lost(bucket));
        }
        let id = format!("{:016x}", fastrand::u64(..));
        let said = Self { service: setting.service.clone(), id };
        let made = bucket
            .requests
            .put(&bucket.keys.own(NAME), said.bytes(), &Label::default(), &Expect::Nothing)
            .await;
        match made {
            Ok(_) => {}
            // Two that come to a new bucket at once: the first has made it.
            Err(refusal) if refusal.is_unmet() => {}
            Err(refusal) if refusal.is_unknown_condition() => {
                let key = bucket.keys.own(NAME);
                let (label, expect) = (Label::default(), Expect::Anything);
                bucket.requests.put(&key, said.bytes(), &label, &expect).await.map_err(failed)?;
            }
            Err(refusal) => {
                let fault = refusal.unavailable("write", bucket.keys.own(NAME));
                let text = "the credentials must allow to read, write, list and delete";
                return Err(unavailable(format!("{fault} ({text})")));
            }
        }
        let said = Self::read(bucket).await.map_err(failed)?.ok_or_else(|| lost(bucket))?;
        said.belongs_to(bucket, &setting.service)
    }

    fn belongs_to(self, bucket: &Bucket, service: &str) -> Result<Self, Fault> {
        if self.service == service {
            return Ok(self);
        }
        Err(unavailable(format!(
            "the bucket `{}` belongs to the service `{}`, not to `{service}`: give each service a \
             bucket or a `prefix` of its own; if the service was renamed, remove the object `{}`",
            bucket.requests.bucket(),
            self.service,
            bucket.keys.own(NAME)
        )))
    }

    /// Whether the bucket is still there, and has this marker.
    pub(crate) async fn verify(&self, bucket: &Bucket) -> Result<(), Fault> {
        let failed = |refusal: Refusal| refusal.unavailable("reach", bucket.requests.bucket());
        let said = match Self::read(bucket).await {
            Err(refusal) if refusal.is_patience() => return Ok(()),
            said => said.map_err(failed)?,
        };
        match said {
            Some(said) if said == *self => Ok(()),
            _ => Err(lost(bucket)),
        }
    }

    /// As an object's body.
    fn bytes(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    async fn read(bucket: &Bucket) -> Result<Option<Self>, Refusal> {
        match read_own(bucket, NAME, BYTES_MAX).await? {
            None => Ok(None),
            Some(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                let message = format!("`{}` can't be read: {error}", bucket.keys.own(NAME));
                Refusal { message, ..Refusal::unmet() }
            }),
        }
    }
}

/// All of a small object of the driver's own; [`None`] if there is none.
pub(crate) async fn read_own(
    bucket: &Bucket,
    name: &str,
    bytes_max: i64,
) -> Result<Option<Bytes>, Refusal> {
    match bucket.requests.get(&bucket.keys.own(name), None, &Expect::Anything).await {
        Ok(found) => {
            let broken = |message: String| Refusal { status: None, message, ..Refusal::unmet() };
            if found.content_length().is_some_and(|length| length > bytes_max) {
                return Err(broken(format!("`{}` is too large", bucket.keys.own(name))));
            }
            let bytes = found.body.collect().await.map_err(|error| broken(error.to_string()))?;
            Ok(Some(bytes.into_bytes()))
        }
        Err(refusal) if refusal.is_missing() => Ok(None),
        Err(refusal) => Err(refusal),
    }
}

fn lost(bucket: &Bucket) -> Fault {
    unavailable(format!(
        "the bucket `{}` has lost its marker `{}`: are `bucket`, `prefix` and `endpoint` right? If \
         the bucket was really replaced, give the service another name",
        bucket.requests.bucket(),
        bucket.keys.own(NAME)
    ))
}
