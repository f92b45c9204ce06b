//! Something under a temporary name, ready to be put in its place.

use std::sync::Arc;

use bytes::Bytes;
use onitu_plug::{Content, State};

use crate::client::Remote;
use crate::state::Standing;
use crate::wire::Attrs;
use crate::wire::request::Request;

/// A file under a temporary name; removed when dropped, unless told otherwise.
pub(crate) struct Temp {
    remote: Arc<Remote>,
    full: Vec<u8>,
    stays: bool,
}

/// What is to be put somewhere.
pub(crate) enum Ready {
    /// A file that is written, dressed and durable, and its state.
    File(Temp, State),
    /// A link with this text.
    Link(Bytes),
    /// A directory.
    Directory,
}

impl Temp {
    /// What stands (or will) at `full`, among the driver's own.
    pub(crate) fn new(remote: &Arc<Remote>, full: Vec<u8>) -> Self {
        Self { remote: Arc::clone(remote), full, stays: false }
    }

    /// Its path.
    pub(crate) fn full(&self) -> &[u8] {
        &self.full
    }

    /// Removes it, and waits until it is.
    pub(crate) async fn remove(mut self) {
        self.stays = true;
        // What can't be removed now is removed as a leftover later.
        let _ = self.remote.lane().tell(Request::remove(&self.full)).await;
    }

    /// Leaves what stands there: it is placed, or to be resumed.
    pub(crate) fn leave(&mut self) {
        self.stays = true;
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if !self.stays {
            // What can't be removed now is removed as a leftover later.
            self.remote.lane().send_unasked(Request::remove(&self.full));
        }
    }
}

impl Ready {
    /// Asks to put it at `full`, where nothing is: what is there by then stays.
    pub(crate) fn put(&self, full: &[u8]) -> Request {
        match self {
            Self::File(temp, _) => Request::rename(temp.full(), full),
            Self::Link(text) => Request::symlink(text, full),
            Self::Directory => {
                let attrs = Attrs { permissions: Some(0o777), ..Attrs::default() };
                Request::mkdir(full, &attrs)
            }
        }
    }

    /// It is in its place.
    pub(crate) fn placed(&mut self) {
        if let Self::File(temp, _) = self {
            temp.leave();
        }
    }
}

/// The attributes that a file gets with `content`, in the place of `old`.
pub(crate) fn dress(content: &Content, old: Option<&Standing>, now_s: u32) -> Attrs {
    let mode = old.and_then(|old| old.attrs.permissions);
    // What came from where no times are kept has that of its arrival, not one of 1970.
    let mtime_s = content.wanted_mtime_ns().map_or(now_s, crate::state::seconds);
    Attrs {
        size: None,
        owner: None,
        permissions: mode.map(|mode| crate::state::mode(mode, content.executable)),
        // The time of its last access tells how old a leftover is.
        times: Some((now_s, mtime_s)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_without_a_time_is_not_dated_1970() {
        for (mtime_ns, mtime_s) in
            [(0, 1_700_000_000), (Content::told_mtime_ns(0), 0), (5_999_999_999, 5)]
        {
            let content = Content { mtime_ns, ..Content::DIRECTORY };
            let times = dress(&content, None, 1_700_000_000).times;
            assert_eq!(times, Some((1_700_000_000, mtime_s)));
        }
    }
}
