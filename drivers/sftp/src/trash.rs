//! Where what is removed or replaced is kept for some days.
//!
//! It looks as that of the local driver: `trash/2026-11-22/ID` is the thing itself, unchanged;
//! `trash/2026-11-22/index` has one line of JSON per thing, written before it is moved. A line
//! without its thing means nothing. What it holds is told by [`list`], put back by
//! [`crate::restore`], and removed for good by [`purge`], by nobody else.

pub(crate) mod index;
pub(crate) mod list;
pub(crate) mod purge;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use onitu_plug::date::{DAY_MS, date};
use onitu_plug::{Fault, Path, Setting, Why, clock};

use crate::client::Remote;
use crate::fault::{Failure, fault};
use crate::lane::Handle;
use crate::name::OWN;
use crate::wire::Attrs;
use crate::wire::request::{Request, open};
use index::{INDEX, Line};

/// The trash of a service.
pub(crate) struct Trash {
    top: Vec<u8>,
    /// Today's index, opened in the lanes that write to it.
    indexes: Mutex<BTreeMap<usize, (String, Arc<Handle>)>>,
    /// Whether something came since its size was last looked at.
    has_grown: AtomicBool,
    /// Held while something is removed for good, so that nothing is restored meanwhile.
    settling: tokio::sync::RwLock<()>,
    days: u32,
    bytes: Option<u64>,
}

/// Where something may be moved.
pub(crate) struct Expected {
    /// Its path there, as the server has it.
    pub(crate) full: Vec<u8>,
    /// The day's directory.
    day: Vec<u8>,
    index: Arc<Handle>,
    note: Bytes,
}

impl Trash {
    /// The trash in the folder `root`.
    pub(crate) fn new(root: &[u8], setting: &Setting) -> Self {
        Self {
            top: [root, b"/", OWN.as_bytes(), b"/trash"].concat(),
            indexes: Mutex::default(),
            has_grown: AtomicBool::new(true),
            settling: tokio::sync::RwLock::default(),
            days: setting.trash_days,
            bytes: setting.trash_size_bytes,
        }
    }

    /// Prepares to move `path`, of so many bytes, here, with requests in the lane of that number.
    pub(crate) async fn expect(
        &self,
        remote: &Remote,
        lane: usize,
        path: &Path,
        size: u64,
        why: Why,
    ) -> Result<Expected, Fault> {
        let failed = |failure: &Failure| fault("make a place in the trash for", path, failure);
        let at_ms = clock::now_ms();
        let day = date(at_ms / DAY_MS);
        let index = self.index(remote, lane, &day).await.map_err(|it| failed(&it))?;
        let id = format!("{at_ms:011x}-{:08x}", fastrand::u32(..));
        let written = Line::new(&id, path.as_str(), at_ms, size, why).written();
        let note = written.ok_or_else(|| failed(&Failure::Odd))?;
        self.has_grown.store(true, Ordering::Relaxed);
        let day = self.day(&day);
        Ok(Expected { full: [&day[..], b"/", id.as_bytes()].concat(), day, index, note })
    }

    /// A day's directory, as the server has it.
    pub(crate) fn day(&self, name: &str) -> Vec<u8> {
        [&self.top[..], b"/", name.as_bytes()].concat()
    }

    /// The day's index, open in that lane; it and its directory are made if need be.
    async fn index(
        &self,
        remote: &Remote,
        number: usize,
        day: &str,
    ) -> Result<Arc<Handle>, Failure> {
        {
            let indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((_, index)) = indexes.get(&number).filter(|(of, _)| of == day) {
                return Ok(Arc::clone(index));
            }
        }
        let lane = remote.lane_of(number);
        let directory = self.day(day);
        let attrs = Attrs { permissions: Some(0o700), ..Attrs::default() };
        for made in [&self.top, &directory] {
            match lane.tell(Request::mkdir(made, &attrs)).await {
                Err(failure) if !failure.is_vague() => return Err(failure),
                _ => {}
            }
        }
        let path = [&directory[..], b"/", INDEX.as_bytes()].concat();
        let flags = open::WRITE | open::APPEND | open::CREATE;
        let attrs = Attrs { permissions: Some(0o600), ..Attrs::default() };
        let index = Arc::new(lane.open(Request::open(&path, flags, &attrs)).await?);
        let mut indexes = self.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        indexes.insert(number, (day.to_owned(), Arc::clone(&index)));
        Ok(index)
    }

    /// Looks whether somebody emptied the trash by removing it; what was open is then forgotten.
    pub(crate) async fn is_gone(&self, remote: &Remote, place: &Expected) -> bool {
        let is_gone = remote.at(&place.day).await.is_ok_and(|it| it.state().is_none());
        if is_gone {
            self.indexes.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        is_gone
    }

    /// While the answer lives, nothing is removed here for good.
    pub(crate) async fn settle(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.settling.read().await
    }
}

impl Expected {
    /// Writes down what comes. Sent in the lane that was named, before it is moved.
    pub(crate) fn note(&self) -> Request {
        // Appended, whatever the offset.
        Request::write(self.index.raw(), 0, self.note.clone())
    }

    /// Makes durable that something came here.
    pub(crate) async fn flush(&self, remote: &Remote) -> Result<(), Fault> {
        let index = [&self.day[..], b"/", INDEX.as_bytes()].concat();
        let (day, index) = tokio::join!(
            remote.flush.own_directory(remote, self.day.clone()),
            remote.flush.own_directory(remote, index)
        );
        day.and(index)
    }
}
