//! Finding out which requests of this server heed a condition, on an object of the driver's own.
//!
//! A server that knows conditions refuses what is asked for here; one that doesn't carries it out,
//! which does no harm.

use onitu_plug::{Bytes, Fault};

use crate::client::{Expect, Label};
use crate::fault::Refusal;
use crate::object::{Bucket, Conditions};

const NAME: &str = "probe";
const BODY: &[u8] = b"Onitu asks by this what the server can do.";

/// Asks the server. Fails only where it couldn't be asked.
pub(crate) async fn conditions(bucket: &Bucket) -> Result<Conditions, Fault> {
    let (requests, label) = (&bucket.requests, Label::default());
    let key = bucket.keys.own(NAME);
    let failed = |refusal: Refusal| refusal.unavailable("write", &key);
    let body = || Bytes::from_static(BODY);
    requests.put(&key, body(), &label, &Expect::Anything).await.map_err(failed)?;
    let unmet = [Expect::Nothing, Expect::Etag("0".repeat(32))];
    let (mut put, mut copy) = (true, true);
    for expect in &unmet {
        put = put && heeds(requests.put(&key, body(), &label, expect).await);
    }
    let found = requests.head(&key).await.map_err(failed)?;
    let etag = found.map(|found| found.etag).unwrap_or_default();
    let source = bucket.keys.own("service");
    let source = match requests.head(&source).await.map_err(failed)? {
        Some(marker) => (source, marker.etag),
        None => (key.clone(), etag),
    };
    for expect in &unmet {
        copy = copy && heeds(requests.copy(&source.0, &source.1, &key, expect).await);
    }
    let (complete, part_source) = uploads(bucket, &key, &source.0, &unmet).await;
    let delete = heeds(requests.delete(&key, &unmet[1]).await);
    Ok(Conditions { put, complete, copy, part_source, delete })
}

/// Whether a completed upload heeds what stands there, and a copied part what it is copied from.
async fn uploads(bucket: &Bucket, key: &str, source: &str, unmet: &[Expect]) -> (bool, bool) {
    let requests = &bucket.requests;
    let Ok(upload) = requests.begin_upload(key, &Label::default()).await else {
        return (false, false);
    };
    let other = "0".repeat(32);
    let copied = requests.copy_part((source, &other, (0, 0)), key, &upload, 2).await;
    let (mut complete, part_source) = (false, heeds(copied));
    if let Ok(part) = requests.upload_part(key, &upload, 1, Bytes::from_static(BODY)).await {
        complete = true;
        let parts = [part];
        for expect in unmet {
            complete =
                complete && heeds(requests.complete_upload(key, &upload, &parts, expect).await);
        }
    }
    // If it was completed there is nothing left to abort.
    let _ = requests.abort_upload(key, &upload).await;
    (complete, part_source)
}

/// Whether the request was refused because of its condition.
fn heeds<T>(answer: Result<T, Refusal>) -> bool {
    answer.is_err_and(|refusal| refusal.is_unmet())
}
