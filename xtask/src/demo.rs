//! The demonstration: runs `onitu up` on the shipped `entries.toml`, makes a file in one folder,
//! shows that it arrives in the other, and then shows every change until Ctrl-C.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::onitu::Onitu;
use crate::tree::Tree;

const LAPTOP: &str = "demo/laptop";
const NAS: &str = "demo/nas";
const WELCOME: &str = "welcome.txt";
const WELCOME_TEXT: &str = "This file was written on the laptop. Onitu brought it to the NAS.\n";
/// How long the first file may take; it takes milliseconds.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Pause between two listings, and how many times as long as a listing took it is at least.
const LIST_EVERY: Duration = Duration::from_millis(300);
const LIST_SHARE: u32 = 10;
/// Most lines shown for one listing.
const LINES_MAX: usize = 20;

/// Runs until Ctrl-C, or until `onitu up` ends by itself.
pub fn run() -> anyhow::Result<ExitCode> {
    // On one thread: the kernel ties `onitu up` to the thread that started it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(live())
}

async fn live() -> anyhow::Result<ExitCode> {
    for folder in [LAPTOP, NAS] {
        std::fs::create_dir_all(folder).with_context(|| format!("can't make `{folder}`"))?;
    }
    say(&format!("Keeping two folders in step: {LAPTOP} and {NAS} (see entries.toml)\n"));
    let mut end = End::listen()?;
    let programs = programs()?;
    let mut onitu = Onitu::start(&programs)?;
    let outcome = tokio::select! {
        code = onitu.ended() => return Ok(code),
        () = end.asked() => {
            say("\nstopping");
            Ok(ExitCode::SUCCESS)
        }
        failed = show(&programs) => failed.map(|never| match never {}),
    };
    onitu.stop();
    loop {
        tokio::select! {
            _ = onitu.ended() => return outcome,
            // A second Ctrl-C is for those who can't wait.
            () = end.asked() => onitu.stop(),
        }
    }
}

/// Where `onitu` is: beside this program.
fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program doesn't know where it is")?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

async fn show(programs: &Path) -> anyhow::Result<std::convert::Infallible> {
    if !crate::onitu::wait(programs).await? {
        say("The folders are not in step yet; `onitu status` in another terminal says why.");
    }
    if Path::new(LAPTOP).join(WELCOME).exists() {
        say(&format!("{LAPTOP}/{WELCOME} is there from an earlier run"));
    } else {
        say(&welcome().await?);
    }
    let status = programs.join("onitu");
    let status = relative(&status);
    say(&format!(
        "\nTry in another terminal, in this directory:\n  \
         echo hello > {LAPTOP}/hello.txt; sleep 0.1; ls {NAS}\n  \
         mkdir {NAS}/photos; mv {NAS}/hello.txt {NAS}/photos/; sleep 0.1; ls {LAPTOP}/photos\n  \
         {status} status\n\nCtrl-C ends it. Until then, what happens:"
    ));
    let mut before: Option<Tree> = None;
    loop {
        let began = Instant::now();
        // While a process is being started again there is no answer, and nothing to show.
        if let Some(now) = Tree::list(programs).await {
            match &before {
                None => say(&format!("  files and directories so far: {}", now.len())),
                Some(before) => now.since(before, LINES_MAX).iter().for_each(|line| say(line)),
            }
            before = Some(now);
        }
        sleep(LIST_EVERY.max(began.elapsed() * LIST_SHARE)).await;
    }
}

/// Writes a file on one side and waits until it is on the other; tells how long that took.
async fn welcome() -> anyhow::Result<String> {
    let (from, to) = (Path::new(LAPTOP).join(WELCOME), Path::new(NAS).join(WELCOME));
    std::fs::write(&from, WELCOME_TEXT)
        .with_context(|| format!("can't write `{}`", from.display()))?;
    let began = Instant::now();
    while began.elapsed() < ARRIVAL_LIMIT {
        if std::fs::read(&to).is_ok_and(|bytes| bytes == WELCOME_TEXT.as_bytes()) {
            let ms = began.elapsed().as_secs_f64() * 1e3;
            let (from, to) = (from.display(), to.display());
            return Ok(format!("wrote {from}; {ms:.1} ms later it was in {to}"));
        }
        sleep(LOOK_EVERY).await;
    }
    anyhow::bail!("`{}` did not arrive; `onitu status` may say why", to.display())
}

/// A path below this directory as it would be typed.
fn relative(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}

/// A line of the demonstration.
pub fn say(line: &str) {
    // Who closed the pipe doesn't want to hear more.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A line on stderr.
pub fn complain(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// The signals that end the demonstration.
struct End([Signal; 3]);

impl End {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("can't listen to signals");
        let hangup = listen(SignalKind::hangup())?;
        Ok(Self([listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?, hangup]))
    }

    async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
