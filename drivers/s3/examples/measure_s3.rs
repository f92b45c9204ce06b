//! Measures the driver alone, beside rclone on the same server in the same run: many small files
//! and a large one, up and down.
//!
//! `cargo run --release -p onitu-driver-s3 --example measure_s3` starts the tests' server, which
//! counts requests and is slow. With `ENDPOINT`, `BUCKET`, `ACCESS_KEY_ID` and `SECRET_ACCESS_KEY`
//! in the environment another one is measured, for example s3s-fs, and with `FLAT=1` all
//! files in one directory (s3s-fs can't be asked for one by name). The CPU time is that of the
//! client alone. rclone, where it is installed, reads and writes a folder (`FOLDER`, else
//! `/dev/shm`); the driver's bytes are in memory. `docs/drivers/s3.md` has figures.

use std::path::{Path as Folder, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use onitu_driver_s3::{Options, S3};
use onitu_plug::{
    Bytes, Checksum, Content, Fault, Found, Hints, Kind, Path, Plug, Setting, Sink, Source, State,
    Tag,
};
use onitu_test_s3::{Bucket, Fresh};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

const SMALL: usize = 2_000;
const DIRECTORIES: usize = 20;
const SMALL_BYTES: usize = 4_096;
const LARGE_BYTES: usize = 512 * 1024 * 1024;
const CHUNK: usize = 1024 * 1024;
/// As many orders as the runtime has under way.
const AT_ONCE: usize = 128;

/// The server: the tests' own, or the one that the environment names.
struct Server {
    own: Option<Fresh>,
    options: Value,
}

impl Server {
    fn find() -> Self {
        let named = |name: &str| std::env::var(name).unwrap_or_default();
        if named("ENDPOINT").is_empty() {
            let own = Bucket::fresh(&json!({}));
            let options = own.options("driver");
            return Self { own: Some(own), options };
        }
        let options = json!({
            "bucket": named("BUCKET"),
            "prefix": "driver",
            "region": "us-east-1",
            "endpoint": named("ENDPOINT"),
            "access_key_id": named("ACCESS_KEY_ID"),
            "secret_access_key": named("SECRET_ACCESS_KEY"),
        });
        Self { own: None, options }
    }

    fn option(&self, name: &str) -> &str {
        self.options[name].as_str().unwrap_or_default()
    }

    /// How many requests were made since it was asked last, if it counts them.
    fn requests(&self) -> String {
        let Some(own) = &self.own else { return String::new() };
        let made: u64 = own.counts().values().sum();
        own.set(&json!({ "counts": {} }));
        format!(", {made} requests")
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let server = Server::find();
    let options = Options::deserialize(server.options.clone()).expect("options");
    let state = tempfile::tempdir().expect("a folder");
    let setting = Setting {
        service: "measure".to_owned(),
        known: false,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: Some(state.path().to_owned()),
    };
    let plug = Arc::new(S3::connect(options, setting).await?);
    let directories: Vec<String> = match std::env::var_os("FLAT") {
        Some(_) => vec![String::new()],
        None => (0..DIRECTORIES).map(|number| format!("d{number}")).collect(),
    };
    let directories: Vec<Path> =
        directories.iter().map(|it| Path::new(it)).collect::<Result<_, _>>().expect("paths");
    let names: Vec<Path> = (0..SMALL)
        .map(|number| directories[number % directories.len()].join(&format!("file {number}")))
        .collect::<Result<_, _>>()
        .expect("paths");
    let measured = async {
        plug.settle().await?;
        small_files(&server, &plug, &directories, &names).await?;
        large_file(&server, &plug).await
    };
    // As in use: what listings told is remembered while somebody tells of others' changes.
    tokio::select! {
        biased;
        ended = plug.watch(Hints::default()) => ended?,
        done = measured => done?,
    }
    if Command::new("rclone").arg("version").stdout(Stdio::null()).status().is_ok() {
        beside(&server, &names);
    }
    Ok(())
}

async fn small_files(
    server: &Server,
    plug: &Arc<S3>,
    directories: &[Path],
    names: &[Path],
) -> Result<(), Fault> {
    let small = Bytes::from(vec![7_u8; SMALL_BYTES]);
    let run = Run::begin(server, "driver, 2,000 x 4 KiB up");
    let placed = stream::iter(names)
        .map(|path| place(plug, path, &small, 1))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let states = placed.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    run.end(SMALL, SMALL * SMALL_BYTES);
    assert_eq!(states.len(), SMALL);
    let run = Run::begin(server, "driver, 2,000 x 4 KiB down");
    // As after a scan, which tells the tags.
    let mut found = Vec::new();
    for directory in directories {
        found.extend(listed(plug, directory).await?);
    }
    found.retain(|(path, _)| path.name().starts_with("file "));
    assert_eq!(found.len(), SMALL);
    let down = stream::iter(&found)
        .map(|(path, tag)| read(plug, path, *tag))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let bytes: usize = down.await.into_iter().sum::<Result<usize, _>>()?;
    run.end(SMALL, bytes);
    Ok(())
}

async fn large_file(server: &Server, plug: &Arc<S3>) -> Result<(), Fault> {
    let large = Path::new("large").expect("a path");
    let bytes = Bytes::from(vec![9_u8; CHUNK]);
    let run = Run::begin(server, "driver, 512 MiB up");
    let placed = place(plug, &large, &bytes, LARGE_BYTES / CHUNK).await?;
    run.end(1, LARGE_BYTES);
    let run = Run::begin(server, "driver, 512 MiB down");
    let count = read(plug, &large, placed.tag).await?;
    run.end(1, count);
    Ok(())
}

async fn place(plug: &S3, path: &Path, chunk: &Bytes, count: usize) -> Result<State, Fault> {
    let small = (count == 1).then(|| Checksum::of(chunk));
    let content = Content {
        kind: Kind::File,
        size: (chunk.len() * count) as u64,
        mtime_ns: 1_600_000_000_000_000_000,
        checksum: small,
        ..Content::DIRECTORY
    };
    // As the runtime does: it looks first.
    let expect = plug.look(path).await?.map(|state| state.tag);
    let mut sink = plug.write(path, &content, 1).await?;
    sink.resumed().await?;
    for _ in 0..count {
        sink.write(chunk.clone()).await?;
    }
    sink.place(content, expect).await
}

/// The files of a directory, and their tags.
async fn listed(plug: &S3, directory: &Path) -> Result<Vec<(Path, Tag)>, Fault> {
    let (sender, mut pages) = mpsc::channel::<Vec<Found>>(4);
    let read = async {
        let mut found = Vec::new();
        while let Some(page) = pages.recv().await {
            found.extend(page.into_iter().filter_map(|it| match it {
                Found::Entry { name, state } => Some((directory.join(&name).ok()?, state.tag)),
                Found::Problem { .. } => None,
            }));
        }
        found
    };
    let (listed, found) = tokio::join!(plug.list(directory, sender), read);
    listed.map(|()| found)
}

async fn read(plug: &S3, path: &Path, tag: Tag) -> Result<usize, Fault> {
    let mut source = plug.read(path, tag, 0).await?;
    let mut count = 0;
    loop {
        let bytes = source.next(CHUNK as u32).await?;
        if bytes.is_empty() {
            return Ok(count);
        }
        count += bytes.len();
    }
}

/// The same by rclone, with as many transfers at once as help it.
fn beside(server: &Server, names: &[Path]) {
    let folder = std::env::var_os("FOLDER").map_or_else(|| "/dev/shm".into(), PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("a folder");
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    for name in names {
        let file = small.join(name.as_str());
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
        std::fs::write(file, vec![7_u8; SMALL_BYTES]).expect("a file");
    }
    std::fs::create_dir_all(&large).expect("a directory");
    std::fs::write(large.join("large"), vec![9_u8; LARGE_BYTES]).expect("a file");
    let remote = |name: &str| format!("m:{}/rclone/{name}", server.option("bucket"));
    let back = |name: &str| folder.path().join("back").join(name).display().to_string();
    let here = |folder: &Folder| folder.display().to_string();
    let (files, bytes) = (SMALL, SMALL * SMALL_BYTES);
    rclone(server, "rclone, 2,000 x 4 KiB up", (files, bytes), &here(&small), &remote("small"));
    rclone(server, "rclone, 2,000 x 4 KiB down", (files, bytes), &remote("small"), &back("small"));
    rclone(server, "rclone, 512 MiB up", (1, LARGE_BYTES), &here(&large), &remote("large"));
    rclone(server, "rclone, 512 MiB down", (1, LARGE_BYTES), &remote("large"), &back("large"));
}

fn rclone(server: &Server, name: &str, amount: (usize, usize), from: &str, to: &str) {
    let run = Run::begin(server, name);
    let status = Command::new("rclone")
        .args(["copy", "--config", "/dev/null", "--transfers", "32", "--checkers", "32"])
        .args(["--s3-no-check-bucket", "--retries", "1", from, to])
        // Of certificates, which nothing here has; rclone stops at it.
        .env_remove("AWS_CA_BUNDLE")
        .env("RCLONE_CONFIG_M_TYPE", "s3")
        .env("RCLONE_CONFIG_M_PROVIDER", "Other")
        .env("RCLONE_CONFIG_M_REGION", server.option("region"))
        .env("RCLONE_CONFIG_M_ENDPOINT", server.option("endpoint"))
        .env("RCLONE_CONFIG_M_ACCESS_KEY_ID", server.option("access_key_id"))
        .env("RCLONE_CONFIG_M_SECRET_ACCESS_KEY", server.option("secret_access_key"))
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{name} failed");
    run.end(amount.0, amount.1);
}

/// One run, being timed.
struct Run<'a> {
    server: &'a Server,
    name: String,
    began: Instant,
    cpu_s: f64,
}

impl<'a> Run<'a> {
    fn begin(server: &'a Server, name: &str) -> Self {
        let _ = server.requests();
        Self { server, name: name.to_owned(), began: Instant::now(), cpu_s: cpu_s() }
    }

    #[allow(clippy::print_stdout, reason = "the figures are this program's data")]
    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    fn end(self, files: usize, bytes: usize) {
        let took_s = self.began.elapsed().as_secs_f64();
        let (files_s, mb_s) = (files as f64 / took_s, bytes as f64 / took_s / 1e6);
        let (name, cpu_s) = (&self.name, cpu_s() - self.cpu_s);
        let requests = self.server.requests();
        println!(
            "{name}: {took_s:.2} s, {files_s:.0} files/s, {mb_s:.0} MB/s, CPU {cpu_s:.2} s{requests}"
        );
    }
}

/// CPU time of this process and of those it has waited for, in user and kernel, in seconds.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // The 14th to 17th of the line, in hundredths of a second.
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    (11..=14).map(ticks).sum::<f64>() / 100.0
}
