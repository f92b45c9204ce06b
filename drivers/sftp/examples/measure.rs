//! Measures the driver alone, against an SSH server: many small files and a large one, up and down.
//!
//! `cargo run --release -p onitu-driver-sftp --example measure [FOLDER]` starts OpenSSH's server
//! on loopback and prints one line per run. The CPU time is that of this process; the server's is
//! its own. `docs/drivers/sftp.md` has figures.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use onitu_driver_sftp::Sftp;
use onitu_plug::{Bytes, Checksum, Content, Fault, Kind, Path, Plug, Setting, Sink, Source, State};
use onitu_test_sshd::Sshd;
use tokio::time::Instant;

const SMALL: usize = 2_000;
const SMALL_BYTES: usize = 4_096;
const LARGE_BYTES: usize = 512 * 1024 * 1024;
const CHUNK: usize = 1024 * 1024;
/// As many orders as the runtime has under way.
const AT_ONCE: usize = 128;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let root = tempfile::tempdir_in(folder).expect("a folder");
    let server = Sshd::start();
    let options = serde_json::from_value(server.options(root.path())).expect("options");
    let setting = Setting {
        service: "measure".to_owned(),
        known: false,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: None,
    };
    let plug = Arc::new(Sftp::connect(options, setting).await?);
    let small = Bytes::from(vec![7_u8; SMALL_BYTES]);
    let names: Vec<Path> = (0..SMALL)
        .map(|number| Path::new(&format!("d{}/file {number}", number % 20)))
        .collect::<Result<_, _>>()
        .expect("paths");

    let run = Run::begin("2,000 x 4 KiB up");
    let placed = stream::iter(&names)
        .map(|path| place(&plug, path, &small, 1))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let states = placed.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    run.end(SMALL, SMALL * SMALL_BYTES);
    assert_eq!(states.len(), SMALL);

    let run = Run::begin("2,000 x 4 KiB down");
    let down = stream::iter(&names)
        .map(|path| read(&plug, path))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let bytes: usize = down.await.into_iter().sum::<Result<usize, _>>()?;
    run.end(SMALL, bytes);

    let large = Path::new("large").expect("a path");
    let bytes = Bytes::from(vec![9_u8; CHUNK]);
    let run = Run::begin("512 MiB up");
    place(&plug, &large, &bytes, LARGE_BYTES / CHUNK).await?;
    run.end(1, LARGE_BYTES);
    let run = Run::begin("512 MiB down");
    let count = read(&plug, &large).await?;
    run.end(1, count);
    Ok(())
}

async fn place(plug: &Sftp, path: &Path, chunk: &Bytes, count: usize) -> Result<State, Fault> {
    let content = Content {
        kind: Kind::File,
        size: (chunk.len() * count) as u64,
        mtime_ns: 1_600_000_000_000_000_000,
        checksum: Some(Checksum::of(chunk)),
        ..Content::DIRECTORY
    };
    let mut sink = plug.write(path, &content, 1).await?;
    sink.resumed().await?;
    for _ in 0..count {
        sink.write(chunk.clone()).await?;
    }
    sink.place(content, None).await
}

async fn read(plug: &Sftp, path: &Path) -> Result<usize, Fault> {
    let state = plug.look(path).await?.ok_or_else(|| {
        Fault::new(onitu_plug::FaultKind::NotFound, format!("`{path}` is not there"))
    })?;
    let mut source = plug.read(path, state.tag, 0).await?;
    let mut count = 0;
    loop {
        let bytes = source.next(CHUNK as u32).await?;
        if bytes.is_empty() {
            return Ok(count);
        }
        count += bytes.len();
    }
}

/// One run, being timed.
struct Run {
    name: &'static str,
    began: Instant,
    cpu_s: f64,
}

impl Run {
    fn begin(name: &'static str) -> Self {
        Self { name, began: Instant::now(), cpu_s: cpu_s() }
    }

    #[allow(clippy::print_stdout, reason = "the figures are this program's data")]
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    fn end(self, files: usize, bytes: usize) {
        let took_s = self.began.elapsed().as_secs_f64();
        let (files_s, mb_s) = (files as f64 / took_s, bytes as f64 / took_s / 1e6);
        let (name, cpu_s) = (self.name, cpu_s() - self.cpu_s);
        println!("{name}: {took_s:.2} s, {files_s:.0} files/s, {mb_s:.0} MB/s, CPU {cpu_s:.2} s");
    }
}

/// CPU time of this process in user and kernel, in seconds.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // The 14th and 15th of the line, in hundredths of a second.
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
