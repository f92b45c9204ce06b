//! `.onitu/lock`, so that no two Onitu work in one folder.
//!
//! SFTP has no locks, so this one is a file that is made exclusively, says whose it is, and is
//! written again every half minute. One that nobody has written for two minutes (by the server's
//! clock) is taken over. Its own one an Onitu knows by an id that it keeps, so that it goes on at
//! once after a lost connection or a crash.

use std::path::Path as File;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use onitu_plug::{Fault, Setting};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::area::{Place, new_name};
use crate::clock::Clock;
use crate::fault::{Failure, unavailable};
use crate::name::OWN;
use crate::wire::Attrs;
use crate::wire::request::{Request, open};

const FILE: &str = "lock";
/// Far more than it ever says.
const BYTES_MAX: u32 = 4 * 1024;
/// It is written again after so long,
const RENEWAL: Duration = Duration::from_secs(30);
/// and is nobody's any more after so long.
const STALE_S: u32 = 120;
/// Somebody else may take it in the same instants.
const ATTEMPTS_MAX: u32 = 4;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Of the Onitu: the id that it keeps.
    owner: String,
    /// For people.
    host: String,
    service: String,
}

/// A folder in which no other Onitu works.
pub(crate) struct Lock {
    said: Said,
    text: Bytes,
    /// When it was written last.
    written: Mutex<Instant>,
}

/// What stands at the lock's path.
struct Found {
    /// Nothing if it can't be understood: it is being written, or damaged.
    said: Option<Said>,
    bytes: Bytes,
    mtime_s: u32,
}

impl Lock {
    /// Takes the folder's lock; while another Onitu has it, the folder is unavailable.
    pub(crate) async fn take(
        place: &Place<'_>,
        setting: &Setting,
        clock: &Clock,
    ) -> Result<Self, Fault> {
        let owner = match &setting.state_dir {
            Some(directory) => kept_id(directory).map_err(|error| {
                unavailable(format!("can't keep an id in `{}`: {error}", directory.display()))
            })?,
            None => process_id(),
        };
        let said = Said { owner, host: host(), service: setting.service.clone() };
        let text = serde_json::to_vec(&said).map_err(|_| crate::fault::lost("a lock"))?.into();
        let lock = Self { said, text, written: Mutex::new(Instant::now()) };
        lock.claim(place, clock).await?;
        Ok(lock)
    }

    /// Whether it is still ours; writes it again when that is due.
    pub(crate) async fn renew(&self, place: &Place<'_>, clock: &Clock) -> Result<(), Fault> {
        let mut written = self.written.lock().await;
        let found = find(place).await.map_err(|it| place.failed("read", FILE, &it))?;
        match found.map(|found| found.said) {
            Some(Some(said)) if said.owner == self.said.owner => {
                if written.elapsed() >= RENEWAL {
                    self.write(place, 0).await.map_err(|it| place.failed("write", FILE, &it))?;
                    *written = Instant::now();
                }
                Ok(())
            }
            // Somebody removed it, or took it over while this one was asleep.
            _ => {
                self.claim(place, clock).await?;
                *written = Instant::now();
                Ok(())
            }
        }
    }

    async fn claim(&self, place: &Place<'_>, clock: &Clock) -> Result<(), Fault> {
        let failed = |failure: &Failure| place.failed("lock", FILE, failure);
        for _ in 0..ATTEMPTS_MAX {
            match self.write(place, open::CREATE | open::EXCLUSIVE).await {
                Ok(()) => return Ok(()),
                // OpenSSH says no more of a name that is taken.
                Err(failure) if failure.is_vague() => {}
                Err(failure) => return Err(failed(&failure)),
            }
            let Some(found) = find(place).await.map_err(|it| failed(&it))? else { continue };
            if found.said.as_ref().is_some_and(|said| said.owner == self.said.owner) {
                return self.write(place, open::TRUNCATE).await.map_err(|it| failed(&it));
            }
            let now_s = clock.now().await.map_err(|it| failed(&it))?;
            let age_s = now_s.saturating_sub(found.mtime_s);
            if age_s < STALE_S {
                return Err(in_use(place, found.said.as_ref(), STALE_S - age_s));
            }
            take_away(place, &found).await.map_err(|it| failed(&it))?;
        }
        Err(in_use(place, None, STALE_S))
    }

    async fn write(&self, place: &Place<'_>, how: u32) -> Result<(), Failure> {
        let attrs = Attrs { permissions: Some(0o600), ..Attrs::default() };
        let request = Request::open(&place.own(FILE), open::WRITE | how, &attrs);
        let file = place.lane.open(request).await?;
        place.lane.tell(Request::write(file.raw(), 0, self.text.clone())).await
    }
}

async fn find(place: &Place<'_>) -> Result<Option<Found>, Failure> {
    let request = Request::open(&place.own(FILE), open::READ, &Attrs::default());
    let file = match place.lane.open(request).await {
        Err(failure) if failure.is_missing() => return Ok(None),
        file => file?,
    };
    let asked = [Request::fstat(file.raw()), Request::read(file.raw(), 0, BYTES_MAX)];
    let [attrs, data] = place.lane.send(asked).await?;
    let mtime_s = attrs.attrs().await?.ok_or(Failure::Odd)?.mtime_s();
    let bytes = data.data().await?.unwrap_or_default();
    Ok(Some(Found { said: serde_json::from_slice(&bytes).ok(), bytes, mtime_s }))
}

/// Takes away the lock that was `found`; what somebody has made in its place meanwhile goes back.
async fn take_away(place: &Place<'_>, found: &Found) -> Result<(), Failure> {
    let out = place.own(&new_name());
    let lane = place.lane;
    let request = if lane.extensions().posix_rename {
        Request::posix_rename(&place.own(FILE), &out)
    } else {
        Request::rename(&place.own(FILE), &out)
    };
    match lane.tell(request).await {
        Err(failure) if failure.is_missing() => return Ok(()),
        taken => taken?,
    }
    let file = lane.open(Request::open(&out, open::READ, &Attrs::default())).await?;
    let [data] = lane.send([Request::read(file.raw(), 0, BYTES_MAX)]).await?;
    if data.data().await?.unwrap_or_default() == found.bytes {
        lane.tell(Request::remove(&out)).await
    } else {
        lane.tell(Request::rename(&out, &place.own(FILE))).await
    }
}

fn in_use(place: &Place<'_>, said: Option<&Said>, left_s: u32) -> Fault {
    let who = said.map_or_else(String::new, |Said { host, service, .. }| {
        format!(" (on {host}, as the service `{service}`)")
    });
    let shown = place.shown;
    unavailable(format!(
        "the folder `{shown}` is used by another Onitu{who}: stop that one, or give this service a \
         folder of its own. It goes on by itself when the other has been silent for {left_s} s, or \
         when `{OWN}/{FILE}` there is removed"
    ))
}

/// The id of this Onitu, made when it is asked for the first time.
fn kept_id(directory: &File) -> std::io::Result<String> {
    let file = directory.join("owner");
    match std::fs::read_to_string(&file) {
        Ok(id) if !id.trim().is_empty() => return Ok(id.trim().to_owned()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let id = new_id();
    let new = directory.join("owner.new");
    std::fs::write(&new, &id)?;
    std::fs::rename(&new, &file)?;
    Ok(id)
}

/// The id of this process, for one that keeps nothing.
fn process_id() -> String {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(new_id).clone()
}

fn new_id() -> String {
    format!("{:016x}", fastrand::u64(..))
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_onitu_keeps_its_id() {
        let directory = tempfile::tempdir().expect("a folder");
        let id = kept_id(directory.path()).expect("made");
        assert_eq!(id.len(), 16);
        assert_eq!(kept_id(directory.path()).expect("kept"), id);
        let other = tempfile::tempdir().expect("a folder");
        assert_ne!(kept_id(other.path()).expect("made"), id);
        assert_eq!(process_id(), process_id());
    }
}
