//! What a new content has in common with the one it replaces is copied on the server (`copy-data`)
//! instead of being sent, where the user lets the driver run a program there that tells hashes.
//!
//! The program tells what the blocks of the old file hash to, and a block of the new content that
//! stands at the same place and hashes alike is copied. Whether the old file was what its hashes
//! said, while it was copied from, nobody can promise; so the whole of what was written is hashed
//! on the server before it is placed. If that isn't the content's checksum, or nobody can tell it,
//! what was written is thrown away and the whole content is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use onitu_plug::{Checksum, Content, Fault, FaultKind, Kind, Path};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::client::Remote;
use crate::command::{Command, Said, shown};
use crate::lane::Handle;
use crate::wire::Attrs;
use crate::wire::request::{RawHandle, Request, open};

/// A smaller content is sent as it is.
const CONTENT_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// The smallest block.
const BLOCK_BYTES_MIN: u64 = 1024 * 1024;
/// The largest: it is gathered in memory before it is known whether it has to be sent.
const BLOCK_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Most blocks of one file; what is beyond them is sent.
const BLOCKS_MAX: u64 = 4_096;
/// Contents that are compared at once. Servers allow ten channels; each of these takes one.
const AT_ONCE: usize = 2;
/// A program that tells no hash of a block for so long tells none any more.
const BLOCK_LIMIT: Duration = Duration::from_secs(30);
/// Hashing takes a second for so many bytes, on a slow disk.
const VERIFY_BYTES_S: u64 = 10 * 1024 * 1024;
/// Tells the hash of each block of `$3` from `$5` up to `$6`, `$4` bytes long.
const BLOCKS: &str = "i=$5; while [ \"$i\" -lt \"$6\" ]; do dd if=\"$3\" bs=\"$4\" skip=\"$i\" \
                      count=1 2>/dev/null | HASH || exit; i=$((i+1)); done";
/// Tells the hash of all of `$3`.
const WHOLE: &str = "HASH <\"$3\"";

/// Whether and how contents are compared on this connection.
pub(crate) struct Reuses {
    /// Nothing where no program was named.
    program: Option<String>,
    permits: Arc<Semaphore>,
    /// It went wrong once, so nothing is compared until the next connection.
    is_off: AtomicBool,
}

/// One content, being compared.
pub(crate) struct Reuse {
    old: Handle,
    hashes: Option<Command>,
    block: u64,
    /// The next block whose hash is told, and the first that has none.
    next: u64,
    end: u64,
    /// The block that isn't whole yet.
    gathered: BytesMut,
    has_copied: bool,
    _permit: OwnedSemaphorePermit,
}

/// What is to be done with the next bytes.
#[derive(Debug)]
pub(crate) enum Piece {
    /// They are sent.
    Send(Bytes),
    /// So many stand at this place of the old file.
    Copy(u64),
}

impl Reuses {
    /// As the option names the program.
    pub(crate) fn new(program: Option<&str>) -> Self {
        Self {
            program: program.map(str::to_owned),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            is_off: AtomicBool::new(false),
        }
    }

    fn script(&self, script: &str) -> Option<String> {
        self.program.as_deref().map(|program| script.replace("HASH", program))
    }

    fn give_up(&self) {
        self.is_off.store(true, Ordering::Relaxed);
    }
}

impl Reuse {
    /// Compares `content` with what stands at `path`, from the byte `from` on, if that may spare
    /// anything. What is copied goes to a file that is open in the same lane as `beside`.
    pub(crate) async fn begin(
        remote: &Remote,
        path: &Path,
        content: &Content,
        (beside, from): (&Handle, u64),
    ) -> Option<Self> {
        let reuses = &remote.reuses;
        let script = reuses.script(BLOCKS)?;
        let is_off = reuses.is_off.load(Ordering::Relaxed) || !remote.extensions().copy_data;
        if is_off || content.kind != Kind::File || content.size < CONTENT_BYTES_MIN {
            return None;
        }
        let permit = Arc::clone(&reuses.permits).try_acquire_owned().ok()?;
        let there = remote.peek(path).await.ok()?;
        let state = there.state().filter(|it| it.content.kind == Kind::File)?;
        let block = block(content.size);
        let (first, end) = (from.div_ceil(block), content.size.min(state.content.size) / block);
        let end = end.min(first + BLOCKS_MAX);
        if first >= end {
            return None;
        }
        let full = remote.full(path);
        let request = Request::open(&full, open::READ, &Attrs::default());
        let old = beside.lane().open(request).await.ok()?;
        if !remote.opened(&old).await.ok()?.is(Some(state.tag)) {
            return None;
        }
        let [size, from, to] = [block, first, end].map(|it| it.to_string().into_bytes());
        let arguments: [&[u8]; 4] = [&full, &size, &from, &to];
        let Ok(hashes) = Command::start(remote, &script, &arguments).await else {
            reuses.give_up();
            return None;
        };
        Some(Self {
            old,
            hashes: Some(hashes),
            block,
            next: first,
            end,
            gathered: BytesMut::new(),
            has_copied: false,
            _permit: permit,
        })
    }

    /// Takes the content's next bytes, `at` being how many of it were sent or copied: what is to be
    /// done now, and the bytes that are left to be taken.
    pub(crate) async fn take(&mut self, at: u64, bytes: &mut Bytes) -> Option<Piece> {
        if bytes.is_empty() {
            return None;
        }
        if self.hashes.is_none() || at >= self.end * self.block {
            let some = if self.gathered.is_empty() {
                std::mem::take(bytes)
            } else {
                self.gathered.split().freeze()
            };
            return Some(Piece::Send(some));
        }
        let off = at % self.block;
        if off != 0 {
            // Resumed in the middle of a block.
            let some = (self.block - off).min(bytes.len() as u64) as usize;
            return Some(Piece::Send(bytes.split_to(some)));
        }
        let missing = self.block as usize - self.gathered.len();
        self.gathered.extend_from_slice(&bytes.split_to(missing.min(bytes.len())));
        if self.gathered.len() < self.block as usize {
            return None;
        }
        let whole = self.gathered.split().freeze();
        if self.hash_of(at / self.block).await == Some(Checksum::of(&whole).to_string()) {
            self.has_copied = true;
            return Some(Piece::Copy(self.block));
        }
        Some(Piece::Send(whole))
    }

    /// What was taken and neither sent nor copied, at the end of the content.
    pub(crate) fn rest(&mut self) -> Bytes {
        self.gathered.split().freeze()
    }

    /// Asks the server to copy `length` bytes at `at` of the old file to the same place of `to`.
    pub(crate) fn copy(&self, to: &RawHandle, at: u64, length: u64) -> Request {
        Request::copy_data((self.old.raw(), at), length, (to, at))
    }

    /// The server refused something: if that may have been a copy, it isn't asked for one again.
    pub(crate) fn doubt(&self, remote: &Remote) {
        if self.has_copied {
            remote.reuses.give_up();
        }
    }

    /// The hash of that block, once it is told.
    async fn hash_of(&mut self, block: u64) -> Option<String> {
        while self.next <= block {
            let hash = match self.hashes.as_mut() {
                Some(hashes) => timeout(BLOCK_LIMIT, hash(hashes)).await.ok().flatten(),
                None => None,
            };
            self.next += 1;
            if hash.is_none() {
                self.hashes = None;
                return None;
            }
            if self.next > block {
                return hash;
            }
        }
        None
    }

    /// Whether what was written at `full` is the content, now that all of it is.
    pub(crate) async fn verify(
        mut self,
        remote: &Remote,
        path: &Path,
        full: &[u8],
        content: &Content,
    ) -> Result<(), Fault> {
        if !self.has_copied {
            return Ok(());
        }
        if let Some(hashes) = self.hashes.take() {
            hashes.close().await;
        }
        let told = whole(remote, full, content.size).await;
        if told.is_ok()
            && told.as_deref().ok() == content.checksum.map(|it| it.to_string()).as_deref()
        {
            return Ok(());
        }
        remote.reuses.give_up();
        let why = match told {
            Ok(_) => "the old content has changed meanwhile".to_owned(),
            Err(why) => why,
        };
        let text = format!(
            "what was copied on the server for `{path}` can't be relied on ({why}): all of it is \
             sent"
        );
        Err(Fault::new(FaultKind::Changed, text))
    }
}

/// How long the blocks of a content are.
fn block(size: u64) -> u64 {
    let block = size.div_ceil(BLOCKS_MAX).next_multiple_of(BLOCK_BYTES_MIN);
    block.clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX)
}

async fn whole(remote: &Remote, full: &[u8], size: u64) -> Result<String, String> {
    let script = remote.reuses.script(WHOLE).ok_or("no program tells hashes")?;
    let mut command = Command::start(remote, &script, &[full]).await?;
    let limit = BLOCK_LIMIT + Duration::from_secs(size / VERIFY_BYTES_S);
    match timeout(limit, hash(&mut command)).await {
        Ok(Some(hash)) => Ok(hash),
        Ok(None) => Err(format!("`hash_command` tells no SHA-1{}", command.end())),
        Err(_) => Err("`hash_command` tells nothing".to_owned()),
    }
}

/// The next hash that it tells; [`None`] if it tells something else, or has ended.
async fn hash(command: &mut Command) -> Option<String> {
    while let Some(said) = command.next().await {
        let Said::Output(line) = said else { continue };
        let line = shown(&line).to_ascii_lowercase();
        let hash = line.split_whitespace().next().unwrap_or_default();
        let is_hash = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hash.then(|| hash.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_with_the_content_within_bounds() {
        const MIB: u64 = 1024 * 1024;
        assert_eq!(block(5 * MIB), MIB);
        assert_eq!(block(4_096 * MIB), MIB);
        assert_eq!(block(4_097 * MIB), 2 * MIB);
        assert_eq!(block(u64::MAX / 2), 8 * MIB);
    }

    #[test]
    fn nothing_is_run_where_no_program_was_named() {
        assert_eq!(Reuses::new(None).script(WHOLE), None);
        let named = Reuses::new(Some("sha1sum")).script(WHOLE);
        assert_eq!(named.as_deref(), Some("sha1sum <\"$3\""));
    }
}
