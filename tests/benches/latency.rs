//! How long one small change takes from one folder to another.
//!
//! Files of 4 KiB, one after the other (`ONITU_BENCH_FILES`, 200): from `close()` of what was
//! written on one side (or the end of the rename or removal) until the other side shows the same
//! bytes under the name, or nothing. Beside it the one-shot commands `cp -a` of the file and
//! `rsync -a --delete` of the folder, from the same moment to their end. Nothing is durable in
//! theirs; Onitu's bytes are before they have their name.

#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod support;

use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};
use rustix::io::Errno;
use support::house::{House, cpu_between};
use support::place::Place;
use support::report::{Cell, Report};
use support::tree::content;
use support::{peer, wanted};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(20);
/// So long nothing happens before the next change is made.
const QUIET: Duration = Duration::from_millis(20);
const CHANGES: [Change; 4] = [Change::Create, Change::Edit, Change::Rename, Change::Delete];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Create,
    Edit,
    Rename,
    Delete,
}

fn main() -> ExitCode {
    support::main("latency", run)
}

fn run(report: &mut Report) -> anyhow::Result<()> {
    let files: usize = wanted("FILES", 200).max(1);
    let place = Place::plain()?;
    let mut house = House::build(place.directory("onitu")?)?;
    house.start()?;
    house.wait(LIMIT)?;
    report.columns(&["change", "by", "p50 ms", "p95 ms", "p99 ms", "max ms", "ratio p50"]);
    let watch = Watch::new(&house.nas())?;
    let before = house.processes();
    let mut onitu = Vec::new();
    for change in CHANGES {
        let mut times = Vec::new();
        for at in 0..files {
            watch.quiet()?;
            let expected = change.make(&house.laptop(), at)?;
            let since = Instant::now();
            watch.until(&house.nas(), &expected, since)?;
            times.push(since.elapsed());
        }
        onitu.push(times);
    }
    house.wait(LIMIT)?;
    let (spent, sum) = cpu_between(&before, &house.processes());
    house.stop()?;
    let (from, to) = (place.directory("from")?, place.directory("to")?);
    for (change, times) in CHANGES.into_iter().zip(onitu) {
        let p50 = row(report, change, "onitu", times, None);
        if matches!(change, Change::Create | Change::Edit) {
            let times = by_cp(change, files, &from, &to)?;
            row(report, change, "cp -a", times, Some(p50));
        }
        row(report, change, "rsync -a", by_rsync(change, files, &place)?, Some(p50));
    }
    let each = sum * 1000.0 / (files * CHANGES.len()) as f64;
    let spent: Vec<String> = spent.iter().map(|(name, s)| format!("{name} {s:.2}")).collect();
    report.note(format!("CPU ms for each change: {each:.2}; s in all: {}", spent.join(", ")));
    Ok(())
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Rename => "rename",
            Self::Delete => "delete",
        }
    }

    /// Makes the change at file `at` in `root`; tells what the other side must show.
    fn make(self, root: &Path, at: usize) -> anyhow::Result<Vec<(PathBuf, Option<Vec<u8>>)>> {
        let (old, new) = (format!("file {at:04}"), format!("renamed {at:04}"));
        // Of another length, so that rsync sees it within the same second.
        let edited = || content(1_000_000 + at as u64, 4100);
        let (name, bytes) = match self {
            Self::Create => (&old, Some(content(at as u64, 4096))),
            Self::Edit => (&old, Some(edited())),
            Self::Rename => (&new, Some(edited())),
            Self::Delete => (&new, None),
        };
        let mut expected = vec![(PathBuf::from(name), bytes.clone())];
        match (self, bytes) {
            (Self::Rename, _) => {
                fs::rename(root.join(&old), root.join(&new))?;
                expected.push((PathBuf::from(&old), None));
            }
            (_, Some(bytes)) => fs::write(root.join(name), bytes)?,
            (_, None) => fs::remove_file(root.join(name))?,
        }
        Ok(expected)
    }
}

/// Each command from the change until it has ended, and how it left the other side is compared.
fn by_cp(change: Change, files: usize, from: &Path, to: &Path) -> anyhow::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for at in 0..files {
        let expected = change.make(from, at)?;
        let name = &expected[0].0;
        times.push(peer::cp(&from.join(name), &to.join(name))?.wall);
        ensure!(is_so(to, &expected)?, "cp left another `{}`", name.display());
    }
    Ok(times)
}

fn by_rsync(change: Change, files: usize, place: &Place) -> anyhow::Result<Vec<Duration>> {
    let (from, to) = (place.directory("rsync-from")?, place.directory("rsync-to")?);
    let mut times = Vec::new();
    for at in 0..files {
        let expected = change.make(&from, at)?;
        times.push(peer::rsync(&from, &to)?.wall);
        ensure!(is_so(&to, &expected)?, "rsync left another `{}`", expected[0].0.display());
    }
    Ok(times)
}

/// Adds a row; tells its median in ms.
fn row(
    report: &mut Report,
    change: Change,
    by: &str,
    mut times: Vec<Duration>,
    onitu: Option<f64>,
) -> f64 {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    report.row(vec![
        change.name().into(),
        by.into(),
        Cell::Number(at(50), 2),
        Cell::Number(at(95), 2),
        Cell::Number(at(99), 2),
        Cell::Number(at(100), 2),
        Cell::maybe(onitu.map(|p50| p50 / at(50)), 2),
    ]);
    at(50)
}

fn is_so(root: &Path, expected: &[(PathBuf, Option<Vec<u8>>)]) -> anyhow::Result<bool> {
    for (name, bytes) in expected {
        let found = match fs::read(root.join(name)) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        if found != *bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Waits for changes without using a core for it.
struct Watch {
    inotify: OwnedFd,
}

impl Watch {
    fn new(root: &Path) -> anyhow::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::MOVE | WatchFlags::CREATE | WatchFlags::DELETE;
        inotify::add_watch(&inotify, root, flags | WatchFlags::CLOSE_WRITE)?;
        Ok(Self { inotify })
    }

    /// Returns as soon as `root` shows what is expected.
    fn until(
        &self,
        root: &Path,
        expected: &[(PathBuf, Option<Vec<u8>>)],
        since: Instant,
    ) -> anyhow::Result<()> {
        while !is_so(root, expected)? {
            if since.elapsed() > LIMIT {
                bail!("`{}` isn't there after {LIMIT:?}", expected[0].0.display());
            }
            self.next(Duration::from_secs(1))?;
        }
        Ok(())
    }

    /// Returns when nothing has happened for [`QUIET`].
    fn quiet(&self) -> anyhow::Result<()> {
        while self.next(QUIET)? {}
        Ok(())
    }

    /// Waits for events and takes them; false if none came.
    fn next(&self, timeout: Duration) -> anyhow::Result<bool> {
        let timeout = Timespec::try_from(timeout)?;
        let mut polled = [PollFd::from_borrowed_fd(self.inotify.as_fd(), PollFlags::IN)];
        if poll(&mut polled, Some(&timeout))? == 0 {
            return Ok(false);
        }
        let mut space = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(&self.inotify, &mut space);
        loop {
            match reader.next() {
                Ok(_) => {}
                Err(Errno::AGAIN) => return Ok(true),
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}
