//! A redis-server of the test's own, on a unix socket in a temporary directory.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::*;

/// How long a server may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ends with its guard.
pub struct Server {
    child: Child,
    directory: TempDir,
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { child: spawn(&directory), directory }
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}/socket", self.directory.path().display())
    }

    /// A store connected to it, once it answers.
    pub async fn store(&self) -> RedisStore {
        let since = Instant::now();
        loop {
            match RedisStore::connect(&self.url()).await {
                Ok(store) => return store,
                Err(error) => assert!(since.elapsed() < PATIENCE, "redis-server: {error}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Starts it again on what it left.
    pub fn start_again(&mut self) {
        self.child = spawn(&self.directory);
    }

    /// Sends it a signal by name: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().expect("sh runs").success());
    }

    /// Asks it directly, beside the store.
    pub async fn ask<T: ::redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let client = ::redis::Client::open(self.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let mut command = ::redis::cmd(words[0]);
        command.arg(&words[1..]).query_async(&mut connection).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have been killed by the test; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &TempDir) -> Child {
    let started = Command::new("redis-server")
        .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "yes"])
        .args(["--daemonize", "no", "--dir"])
        .arg(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.unwrap_or_else(|error| {
        panic!("these tests need redis-server (`apt install redis-server`): {error}")
    })
}

/// Asks until `condition` holds.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < PATIENCE, "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}
