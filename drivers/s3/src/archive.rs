//! Objects in an archive (Glacier, Deep Archive): held, but neither readable nor to be copied until
//! S3 was asked to restore them, which takes hours. Whoever needs one is told so at once and tries
//! again; nothing waits here.

use std::time::Duration;

use onitu_plug::{Fault, FaultKind, Path};

use crate::fault::Refusal;
use crate::object::Bucket;

/// Whoever was told is to ask again after so long.
const AGAIN: Duration = Duration::from_mins(15);

/// How archived objects are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thawing {
    /// S3's word for how fast, and dear, it is.
    pub(crate) tier: String,
    /// For how long they can be read then.
    pub(crate) days: i32,
}

impl Thawing {
    /// How long S3 takes, as it says itself.
    fn takes(&self) -> &'static str {
        match self.tier.as_str() {
            "Expedited" => "some minutes",
            "Bulk" => "up to two days",
            _ => "up to 12 hours",
        }
    }
}

impl Bucket {
    /// What is to be said of a request that the server refused: `verb` as in [`Refusal::fault`].
    /// What lies in an archive under `key` is asked for.
    pub(crate) async fn refused(
        &self,
        refusal: &Refusal,
        verb: &str,
        path: &Path,
        key: &str,
    ) -> Fault {
        if !refusal.is_archived() {
            return refusal.fault(verb, path);
        }
        let what = self.thaw(key).await;
        let text = format!("can't {verb} `{path}` yet: it is in an archive, and {what}");
        Fault::new(FaultKind::Denied, text).retry_after(AGAIN)
    }

    /// Asks for an archived object to be made readable, unless it was a while ago; tells what came
    /// of it.
    async fn thaw(&self, key: &str) -> String {
        let Thawing { tier, days } = &self.thawing;
        let takes = self.thawing.takes();
        let asked = format!("S3 was asked to restore it for {days} days, which takes {takes}");
        if self.recent.is_thawing(key) {
            return asked;
        }
        let mut answer = self.requests.restore(key, tier, Some(*days)).await;
        // What has only been put aside by S3 itself comes back for good, without a number of days.
        if answer.as_ref().is_err_and(|refusal| refusal.status == Some(400)) {
            answer = self.requests.restore(key, tier, None).await;
        }
        match answer {
            Err(refusal) if refusal.code != "RestoreAlreadyInProgress" => {
                let fault = refusal.fault("restore", key);
                let right = match refusal.status {
                    Some(403) => " (`s3:RestoreObject`)",
                    _ => "",
                };
                format!("S3 refuses to restore it: {fault}{right}")
            }
            _ => {
                self.recent.keep_thawing(key);
                asked
            }
        }
    }

    /// Whether what is removed or replaced now stays as a version, whatever its storage class.
    pub(crate) async fn keeps_versions(&self) -> bool {
        // Who may not ask isn't told, and then nothing is taken for granted.
        self.requests.is_versioned().await.unwrap_or(false)
    }
}
