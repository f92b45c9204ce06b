//! Whether the connection is there, said once for all who use it.

use std::sync::OnceLock;

use tokio::sync::Notify;

use crate::fault::Failure;

/// The end of a connection, told by whoever notices it first.
#[derive(Default)]
pub(crate) struct Lost {
    why: OnceLock<String>,
    told: Notify,
}

impl Lost {
    /// The connection is lost; only the first reason is kept.
    pub(crate) fn tell(&self, why: impl Into<String>) {
        let _ = self.why.set(why.into());
        self.told.notify_waiters();
    }

    /// Whether it is.
    pub(crate) fn is_lost(&self) -> bool {
        self.why.get().is_some()
    }

    /// Why, as whoever asks over it is told.
    pub(crate) fn failure(&self) -> Failure {
        let why = self.why.get().map_or("the connection to the server was lost", String::as_str);
        Failure::Lost(why.to_owned())
    }

    /// Waits until it is lost.
    pub(crate) async fn wait(&self) -> Failure {
        loop {
            let told = self.told.notified();
            if self.is_lost() {
                return self.failure();
            }
            told.await;
        }
    }
}
