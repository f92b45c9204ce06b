//! `.onitu/lock`, so that no two Onitu work in one bucket.
//!
//! The lock says who has it and is written again every minute. Whoever finds another's lock waits
//! until that has stood unchanged for some minutes by its own clock (two clocks are never
//! compared), and then takes it over. It keeps two from undoing each other's work for ever; that
//! neither loses a content is held by the conditions of each request, with or without it.

use std::io::Write;
use std::path::Path as File;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onitu_plug::{Fault, Setting, clock};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::client::{Expect, Label, etag};
use crate::fault::{Refusal, unavailable};
use crate::object::Bucket;

const NAME: &str = "lock";
/// Of this machine's Onitu, in the driver's own directory.
const OWNER: &str = "owner";
/// A lock that stood unchanged for so long is nobody's any more.
pub(crate) const STALE: Duration = Duration::from_mins(3);
/// It is written again so often within that time.
const RENEWALS: u32 = 3;
/// Times that two may cross each other's way.
const TRIES: usize = 3;

/// Another's lock as it was first seen by this process: its key, its `ETag`, and when.
static SEEN: Mutex<Option<(String, String, Instant)>> = Mutex::new(None);

/// What the lock says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Random, and always the same for one Onitu.
    owner: String,
    host: String,
    service: String,
    at_ms: u64,
}

/// The lock, held.
#[derive(Debug)]
pub(crate) struct Lease {
    said: Said,
    etag: Mutex<String>,
    stale: Duration,
}

impl Lease {
    /// Takes the lock, unless another Onitu has it. Without a directory of this machine one Onitu
    /// can't be told from another one, and there is no lock.
    pub(crate) async fn take(
        bucket: &Bucket,
        setting: &Setting,
        stale: Duration,
    ) -> Result<Option<Self>, Fault> {
        let Some(state_dir) = &setting.state_dir else { return Ok(None) };
        let owner = match owner(state_dir) {
            Ok(owner) => owner,
            Err(error) => {
                tracing::warn!("no lock: can't write in `{}`: {error}", state_dir.display());
                return Ok(None);
            }
        };
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname");
        let host = host.map_or_else(|_| "another machine".to_owned(), |it| it.trim().to_owned());
        let said = Said { owner, host, service: setting.service.clone(), at_ms: 0 };
        let failed = |refusal: Refusal| refusal.unavailable("lock", bucket.requests.bucket());
        for _ in 0..TRIES {
            let expect = match found(bucket).await.map_err(failed)? {
                None => Expect::Nothing,
                Some((there, etag)) => {
                    let is_other = there.as_ref().is_none_or(|there| there.owner != said.owner);
                    if is_other && !is_stale(&bucket.keys.own(NAME), &etag, stale) {
                        return Err(held(bucket, there.as_ref(), stale));
                    }
                    Expect::Etag(etag)
                }
            };
            match write(bucket, &said, &expect).await {
                Ok(etag) => return Ok(Some(Self { said, etag: Mutex::new(etag), stale })),
                Err(refusal) if refusal.is_unmet() => {}
                Err(refusal) => return Err(failed(refusal)),
            }
        }
        Err(held(bucket, None, stale))
    }

    /// Keeps the lock for as long as nobody else takes it; tells that somebody has.
    pub(crate) async fn keep(&self, bucket: &Bucket) -> Fault {
        loop {
            tokio::time::sleep(self.stale / RENEWALS).await;
            let mine = self.etag.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let kept = match write(bucket, &self.said, &Expect::Etag(mine)).await {
                // An answer may have been lost, and what stands there be our own.
                Err(refusal) if refusal.is_unmet() => match found(bucket).await {
                    Ok(Some((Some(there), etag))) if there.owner == self.said.owner => Ok(etag),
                    Ok(None) => write(bucket, &self.said, &Expect::Nothing).await,
                    Ok(Some((there, _))) => return held(bucket, there.as_ref(), self.stale),
                    Err(refusal) => Err(refusal),
                },
                written => written,
            };
            match kept {
                Ok(etag) => *self.etag.lock().unwrap_or_else(PoisonError::into_inner) = etag,
                Err(refusal) => tracing::debug!("{}", refusal.fault("renew", NAME)),
            }
        }
    }
}

/// Who this Onitu is: made up once.
fn owner(state_dir: &File) -> std::io::Result<String> {
    let file = state_dir.join(OWNER);
    if let Ok(known) = std::fs::read_to_string(&file)
        && !known.trim().is_empty()
    {
        return Ok(known.trim().to_owned());
    }
    let made = format!("{:032x}", fastrand::u128(..));
    let new = file.with_extension("new");
    let mut written = std::fs::File::create(&new)?;
    written.write_all(made.as_bytes())?;
    written.sync_all()?;
    std::fs::rename(new, file)?;
    Ok(made)
}

/// Whether another's lock has stood unchanged for long enough, as far as this process has seen.
fn is_stale(key: &str, etag: &str, stale: Duration) -> bool {
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    match &*seen {
        Some((of, tag, since)) if of == key && tag == etag => since.elapsed() > stale,
        _ => {
            *seen = Some((key.to_owned(), etag.to_owned(), Instant::now()));
            false
        }
    }
}

/// The lock that stands there, and its `ETag`; what it says, if that can be read.
async fn found(bucket: &Bucket) -> Result<Option<(Option<Said>, String)>, Refusal> {
    match bucket.requests.get(&bucket.keys.own(NAME), Some((0, 4_095)), &Expect::Anything).await {
        Ok(found) => {
            let etag = etag(found.e_tag()).unwrap_or_default();
            let body = found.body.collect().await.ok();
            let said = body.and_then(|body| serde_json::from_slice(&body.into_bytes()).ok());
            Ok(Some((said, etag)))
        }
        Err(refusal) if refusal.is_missing() => Ok(None),
        // There is an object, and it is empty.
        Err(refusal) if refusal.status == Some(416) => Ok(Some((None, String::new()))),
        Err(refusal) => Err(refusal),
    }
}

/// Writes the lock where `expect` stands, as far as the server heeds that; its `ETag`.
async fn write(bucket: &Bucket, said: &Said, expect: &Expect) -> Result<String, Refusal> {
    let key = bucket.keys.own(NAME);
    let said = Said { at_ms: clock::now_ms(), ..said.clone() };
    let body = serde_json::to_vec(&said).unwrap_or_default();
    let expect = match expect {
        Expect::Etag(etag) if etag.is_empty() => &Expect::Anything,
        _ if bucket.conditions.put => expect,
        _ => {
            bucket.check(&key, expect).await?;
            &Expect::Anything
        }
    };
    match bucket.requests.put(&key, body.into(), &Label::default(), expect).await? {
        Some(etag) => Ok(etag),
        None => Ok(bucket.requests.head(&key).await?.map(|it| it.etag).unwrap_or_default()),
    }
}

fn held(bucket: &Bucket, by: Option<&Said>, stale: Duration) -> Fault {
    let by = by.map_or_else(String::new, |by| format!(" (`{}` on `{}`)", by.service, by.host));
    unavailable(format!(
        "the bucket `{}` is used by another Onitu{by}: stop that one, or give this service a \
         `prefix` of its own; {} s after the last sign of that one, this one goes on by itself",
        bucket.requests.bucket(),
        stale.as_secs()
    ))
}
