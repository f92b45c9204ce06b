//! Measures the driver alone, against the fake server: many small files and a large one, up and
//! down, and what a restart asks for.
//!
//! `cargo run --release -p onitu-driver-dropbox --example measure_dropbox [MS]` prints one line per run; each
//! call takes so many milliseconds longer. The CPU time is that of driver and server together:
//! both are in this process.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use onitu_driver_dropbox::Dropbox;
use onitu_plug::{Bytes, Checksum, Content, Fault, Kind, Path, Plug, Setting, Sink, Source, State};
use onitu_test_dropbox::{ACCESS, APP_KEY, Fault as Told, REFRESH, Server, Trouble};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::Instant;

const SMALL: usize = 2_000;
const SMALL_BYTES: usize = 4_096;
const LARGE_BYTES: usize = 512 * 1024 * 1024;
const CHUNK: usize = 1024 * 1024;
/// As many orders as the runtime has under way.
const AT_ONCE: usize = 128;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let server = Server::start().expect("a free port");
    server.account().tree.make_folder("/Onitu");
    let late_ms = std::env::args().nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
    if late_ms > 0 {
        let trouble = Trouble::Late(late_ms);
        let late = Told { route: "*".to_owned(), after: 0, times: u32::MAX, trouble };
        server.account().faults.add(late);
    }
    let home = tempfile::tempdir().expect("a folder");
    let plug = Arc::new(connect(&server, home.path(), false).await?);
    let small = Bytes::from(vec![7_u8; SMALL_BYTES]);
    let names: Vec<Path> = (0..SMALL)
        .map(|number| Path::new(&format!("d{}/file {number}", number % 20)))
        .collect::<Result<_, _>>()
        .expect("paths");

    let run = Run::begin(&server, "2,000 x 4 KiB up");
    let placed = stream::iter(&names)
        .map(|path| place(&plug, path, &small, 1))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let states = placed.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    run.end(SMALL, SMALL * SMALL_BYTES);
    assert_eq!(states.len(), SMALL);

    let run = Run::begin(&server, "2,000 x 4 KiB down");
    let down = stream::iter(&names)
        .map(|path| read(&plug, path))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let bytes: usize = down.await.into_iter().sum::<Result<usize, _>>()?;
    run.end(SMALL, bytes);

    let large = Path::new("large").expect("a path");
    let bytes = Bytes::from(vec![9_u8; CHUNK]);
    let run = Run::begin(&server, "512 MiB up");
    place(&plug, &large, &bytes, LARGE_BYTES / CHUNK).await?;
    run.end(1, LARGE_BYTES);
    let run = Run::begin(&server, "512 MiB down");
    let count = read(&plug, &large).await?;
    run.end(1, count);

    drop(plug);
    let run = Run::begin(&server, "restart and listing");
    let plug = connect(&server, home.path(), true).await?;
    let mut count = 0;
    for directory in
        std::iter::once(Path::root()).chain(names[..20].iter().filter_map(Path::parent))
    {
        let (sender, mut listing) = mpsc::channel(100);
        plug.list(&directory, sender).await?;
        while let Some(page) = listing.recv().await {
            count += page.len();
        }
    }
    run.end(count, 0);
    Ok(())
}

async fn connect(server: &Server, home: &std::path::Path, known: bool) -> Result<Dropbox, Fault> {
    use std::os::unix::fs::PermissionsExt;
    let token = home.join("token.json");
    let tokens = json!({ "access_token": ACCESS, "refresh_token": REFRESH });
    std::fs::write(&token, tokens.to_string()).expect("it is written");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("it is set");
    let options = json!({
        "root": "/Onitu", "app_key": APP_KEY, "token_file": token, "api_base": server.base(),
    });
    let setting = Setting {
        service: "measure".to_owned(),
        known,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: Some(home.to_owned()),
    };
    Dropbox::connect(serde_json::from_value(options).expect("options"), setting).await
}

async fn place(plug: &Dropbox, path: &Path, chunk: &Bytes, count: usize) -> Result<State, Fault> {
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

async fn read(plug: &Dropbox, path: &Path) -> Result<usize, Fault> {
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
struct Run<'a> {
    server: &'a Server,
    calls: usize,
    name: &'static str,
    began: Instant,
    cpu_s: f64,
}

impl<'a> Run<'a> {
    fn begin(server: &'a Server, name: &'static str) -> Self {
        let calls = server.account().faults.calls.len();
        Self { server, calls, name, began: Instant::now(), cpu_s: cpu_s() }
    }

    #[allow(clippy::print_stdout, reason = "the figures are this program's data")]
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    fn end(self, files: usize, bytes: usize) {
        let took_s = self.began.elapsed().as_secs_f64();
        let (files_s, mb_s) = (files as f64 / took_s, bytes as f64 / took_s / 1e6);
        let (name, cpu_s) = (self.name, cpu_s() - self.cpu_s);
        let calls = self.server.account().faults.calls.len() - self.calls;
        println!(
            "{name}: {took_s:.2} s, {files_s:.0} files/s, {mb_s:.0} MB/s, {calls} calls, CPU {cpu_s:.2} s"
        );
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
