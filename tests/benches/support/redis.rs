//! A Redis of the benchmark's own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use onitu_core::store::RedisStore;
use tempfile::TempDir;
use tokio::time::Instant;

/// A redis-server on a unix socket in a temporary directory; ends with its guard.
pub struct Server {
    child: Child,
    directory: TempDir,
}

impl Server {
    pub fn start() -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let child = Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "yes"])
            .args(["--daemonize", "no", "--dir"])
            .arg(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("redis-server can't be started (`apt install redis-server`)")?;
        Ok(Self { child, directory })
    }

    pub fn url(&self) -> String {
        format!("redis+unix://{}/socket", self.directory.path().display())
    }

    pub async fn store(&self) -> anyhow::Result<RedisStore> {
        let url = self.url();
        let since = Instant::now();
        loop {
            match RedisStore::connect(&url).await {
                Ok(store) => return Ok(store),
                Err(error) if since.elapsed() > Duration::from_secs(20) => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("redis-server {} may still run: {error}", self.child.id());
        }
    }
}
