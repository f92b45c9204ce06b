//! Measures the driver alone, against an SSH server: many small files and a large one, up and down,
//! beside `rclone` and OpenSSH's own `scp` on the same server in the same run.
//!
//! `cargo run --release -p onitu-driver-sftp --example measure_sftp [FOLDER]` starts OpenSSH's server
//! on loopback and prints one line per run. The CPU time is that of the client; the server's is
//! its own. What isn't installed is left out. With `REQUESTS=1` in the environment the server
//! writes down every request and they are counted, which makes it slower. `docs/drivers/sftp.md`
//! has figures.

use std::path::{Path as File, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use futures_util::{StreamExt, stream};
use onitu_driver_sftp::Sftp;
use onitu_plug::{
    Bytes, Checksum, Content, Fault, Hints, Kind, Path, Plug, Setting, Sink, Source, State,
};
use onitu_test_sshd::{Sshd, sftp_server};
use tokio::time::Instant;

const SMALL: usize = 2_000;
const SMALL_BYTES: usize = 4_096;
const LARGE_BYTES: usize = 512 * 1024 * 1024;
const CHUNK: usize = 1024 * 1024;
/// As many orders as the runtime has under way.
const AT_ONCE: usize = 128;
/// Changes that are waited for, one after the other.
const CHANGES: usize = 20;

/// Where the server writes down what it is asked, if it does.
static ASKED: OnceLock<PathBuf> = OnceLock::new();

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Fault> {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let root = tempfile::tempdir_in(&folder).expect("a folder");
    let asked = root.path().with_extension("asked");
    let server = if std::env::var_os("REQUESTS").is_some() {
        let told = format!("{} -e -l DEBUG3 2>>{}", sftp_server(), asked.display());
        let _ = ASKED.set(asked.clone());
        Sshd::start_with(&[&format!("Subsystem sftp {told}")])
    } else {
        Sshd::start()
    };
    let plug = Arc::new(connect(&server, root.path(), None).await?);
    small(&plug).await?;
    large(&plug).await?;
    drop(plug);
    others(&server, &folder);
    for command in [None, Some("inotifywait")] {
        changes(&server, &folder, command).await?;
    }
    let _ = std::fs::remove_file(asked);
    Ok(())
}

async fn connect(server: &Sshd, root: &File, watch: Option<&str>) -> Result<Sftp, Fault> {
    let mut options = server.options(root);
    if let Some(command) = watch {
        options["watch_command"] = command.into();
    }
    let options = serde_json::from_value(options).expect("options");
    let setting = Setting {
        service: "measure".to_owned(),
        known: false,
        trash_days: 30,
        trash_size_bytes: None,
        state_dir: None,
    };
    Sftp::connect(options, setting).await
}

async fn small(plug: &Arc<Sftp>) -> Result<(), Fault> {
    let small = Bytes::from(vec![7_u8; SMALL_BYTES]);
    let names: Vec<Path> = (0..SMALL)
        .map(|number| Path::new(&format!("d{}/file {number}", number % 20)))
        .collect::<Result<_, _>>()
        .expect("paths");
    let run = Run::begin("this driver, 2,000 x 4 KiB up");
    let placed = stream::iter(&names)
        .map(|path| place(plug, path, &small, 1))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let states = placed.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    run.end(SMALL, SMALL * SMALL_BYTES);
    assert_eq!(states.len(), SMALL);
    let run = Run::begin("this driver, 2,000 x 4 KiB down");
    let down = stream::iter(&names)
        .map(|path| read(plug, path))
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>();
    let bytes: usize = down.await.into_iter().sum::<Result<usize, _>>()?;
    run.end(SMALL, bytes);
    Ok(())
}

async fn large(plug: &Arc<Sftp>) -> Result<(), Fault> {
    let large = Path::new("large").expect("a path");
    let bytes = Bytes::from(vec![9_u8; CHUNK]);
    let run = Run::begin("this driver, 512 MiB up");
    place(plug, &large, &bytes, LARGE_BYTES / CHUNK).await?;
    run.end(1, LARGE_BYTES);
    let run = Run::begin("this driver, 512 MiB down");
    let count = read(plug, &large).await?;
    run.end(1, count);
    Ok(())
}

/// The same by other programs.
fn others(server: &Sshd, folder: &File) {
    let here = tempfile::tempdir_in(folder).expect("a folder");
    let small = here.path().join("small");
    for number in 0..SMALL {
        let directory = small.join(format!("d{}", number % 20));
        std::fs::create_dir_all(&directory).expect("a folder");
        std::fs::write(directory.join(format!("file {number}")), vec![7; SMALL_BYTES])
            .expect("written");
    }
    let large = here.path().join("large");
    std::fs::write(&large, vec![9; LARGE_BYTES]).expect("written");
    let key = server.private_key().display().to_string();
    let known = server.known_hosts().display().to_string();
    let (port, user) = (server.port().to_string(), server.user());
    for name in ["rclone", "scp"] {
        let there = tempfile::tempdir_in(folder).expect("a folder");
        let (up, down) = (there.path().join("up"), here.path().join(name));
        for (what, from, files, bytes) in [
            ("2,000 x 4 KiB", &small, SMALL, SMALL * SMALL_BYTES),
            ("512 MiB", &large, 1, LARGE_BYTES),
        ] {
            let (up, down) = (up.display(), down.display());
            let remote = match name {
                "rclone" => format!(
                    ":sftp,host=127.0.0.1,port={port},user={user},key_file={key},\
                     known_hosts_file={known},disable_hashcheck=true:{up}"
                ),
                _ => format!("{user}@127.0.0.1:{up}"),
            };
            let (from, down) = (from.display().to_string(), down.to_string());
            for (way, from, to) in [("up", &from, &remote), ("down", &remote, &down)] {
                let mut command = Command::new(name);
                match name {
                    "rclone" => command.args(["copyto", "--transfers=8", "--config="]),
                    _ => command
                        .args(["-q", "-r", "-P", port.as_str(), "-i", key.as_str(), "-o"])
                        .arg(format!("UserKnownHostsFile={known}")),
                };
                other(&format!("{name}, {what} {way}"), command.args([from, to]), files, bytes);
            }
            let _ = std::fs::remove_dir_all(here.path().join(name));
            let _ = std::fs::remove_file(here.path().join(name));
            let _ = std::fs::remove_dir_all(there.path().join("up"));
        }
    }
}

fn other(name: &str, command: &mut Command, files: usize, bytes: usize) {
    let run = Run::begin(name);
    let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    match ended {
        Ok(status) if status.success() => run.end(files, bytes),
        Ok(status) => run.note(&format!("it ended with {status}")),
        Err(_) => run.note("not installed"),
    }
}

/// From a change on the server to its bytes here, with the usual time between rounds.
async fn changes(server: &Sshd, folder: &File, watch: Option<&str>) -> Result<(), Fault> {
    let root = tempfile::tempdir_in(folder).expect("a folder");
    let plug = Arc::new(connect(server, root.path(), watch).await?);
    let (hints, watched) = (Hints::default(), Arc::clone(&plug));
    let told = hints.clone();
    let watching = tokio::spawn(async move { watched.watch(told).await });
    // The first round tells of everything, and the second one that it has been made.
    hints.take().await;
    let mut took_ms = Vec::new();
    let name = Path::new("changed").expect("a path");
    for number in 0..if watch.is_some() { CHANGES } else { 3 } {
        let text = format!("change {number}");
        std::fs::write(root.path().join("changed"), &text).expect("written");
        let began = Instant::now();
        while !hints.take().await.paths.contains_key(&name) {}
        assert_eq!(read(&plug, &name).await?, text.len());
        took_ms.push(began.elapsed().as_millis());
    }
    watching.abort();
    took_ms.sort_unstable();
    let run = Run::begin(watch.unwrap_or("rounds every 30 s"));
    let (median, most) = (took_ms[took_ms.len() / 2], took_ms[took_ms.len() - 1]);
    run.note(&format!("a change on the server is here after {median} ms (at most {most} ms)"));
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
    name: String,
    began: Instant,
    cpu_s: f64,
    asked: usize,
}

/// How many requests the server has written down.
fn asked() -> usize {
    let said = ASKED.get().and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    // Answers are written down as well.
    said.lines().filter(|line| line.contains("request ") && !line.contains(": sent ")).count()
}

#[allow(clippy::print_stdout, reason = "the figures are this program's data")]
impl Run {
    fn begin(name: &str) -> Self {
        Self { name: name.to_owned(), began: Instant::now(), cpu_s: cpu_s(), asked: asked() }
    }

    #[allow(clippy::cast_precision_loss, reason = "figures for people")]
    fn end(self, files: usize, bytes: usize) {
        let took_s = self.began.elapsed().as_secs_f64();
        let (files_s, mb_s) = (files as f64 / took_s, bytes as f64 / took_s / 1e6);
        let (name, cpu_s) = (self.name, cpu_s() - self.cpu_s);
        let requests = match asked() - self.asked {
            0 => String::new(),
            requests => format!(", {requests} requests"),
        };
        println!(
            "{name}: {took_s:.2} s, {files_s:.0} files/s, {mb_s:.0} MB/s, CPU {cpu_s:.2} s{requests}"
        );
    }

    fn note(self, text: &str) {
        println!("{}: {text}", self.name);
    }
}

/// CPU time of this process and of those that it waited for, in user and kernel, in seconds.
fn cpu_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> =
        stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // The 14th to 17th of the line, in hundredths of a second.
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<f64>().ok()).unwrap_or(0.0);
    (11..15).map(ticks).sum::<f64>() / 100.0
}
