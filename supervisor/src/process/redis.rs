//! The metadata server: how it is started, and whether it answers.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

#[cfg(test)]
mod tests;

/// The program.
pub const PROGRAM: &str = "redis-server";
/// What to do when it is missing.
pub const HINT: &str = "install it by `apt install redis-server`, or name an existing server by \
                        `redis = \"redis+unix:///…\"` in `[onitu]`";
/// How long one answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// How often it is asked whether it is ready.
const ASK_EVERY: Duration = Duration::from_millis(20);
const SOCKET: &str = "redis.sock";

/// The arguments of a server with its socket in `runtime_dir` and its files in `data_dir`.
///
/// Records live in listpacks, which need the two `hash-max` bounds (design §4); the append-only
/// file alone keeps the data, so there are no snapshots; and nothing is ever evicted.
pub fn arguments(runtime_dir: &Path, data_dir: &Path) -> Vec<OsString> {
    let socket = runtime_dir.join(SOCKET);
    let mut arguments: Vec<OsString> = vec!["--unixsocket".into(), socket.into()];
    arguments.extend(["--dir".into(), data_dir.into()]);
    let fixed = [
        ["--unixsocketperm", "700"],
        ["--port", "0"],
        ["--daemonize", "no"],
        ["--save", ""],
        ["--appendonly", "yes"],
        ["--appendfsync", "everysec"],
        ["--hash-max-listpack-value", "512"],
        ["--hash-max-listpack-entries", "512"],
        ["--maxmemory-policy", "noeviction"],
    ];
    arguments.extend(fixed.iter().flatten().map(OsString::from));
    arguments
}

/// The URL of the server whose socket is in `runtime_dir`.
pub fn url(runtime_dir: &Path) -> String {
    let socket = runtime_dir.join(SOCKET);
    let mut url = "redis+unix://".to_owned();
    for &byte in socket.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            // Writing to a text never fails.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

/// Waits until the server whose socket is in `runtime_dir` has loaded its data and answers;
/// without a limit, because a large store takes its time.
pub async fn ready(runtime_dir: &Path) {
    let socket = runtime_dir.join(SOCKET);
    while !matches!(timeout(ANSWER_LIMIT, ping(&socket)).await, Ok(Ok(true))) {
        sleep(ASK_EVERY).await;
    }
}

/// Whether the server answers `PONG`; it says `LOADING` while it loads.
async fn ping(socket: &Path) -> std::io::Result<bool> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    Ok(&answer == b"+PONG\r\n")
}
