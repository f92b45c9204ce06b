//! A program on the server tells of changes; and what happens when it doesn't.

mod fixture;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use fixture::connect;
use onitu_driver_sftp::Sftp;
use onitu_plug::{Gathered, Hint, Hints, Path, Plug};
use onitu_test_sshd::Sshd;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::timeout;

/// A change is told within so long, on a machine that is busy with other tests.
const LIMIT: Duration = Duration::from_mins(1);

/// A service whose rounds come too late to help, and what its watch tells.
struct Watched {
    root: TempDir,
    hints: Hints,
    watching: tokio::task::JoinHandle<()>,
    _server: Sshd,
}

impl Watched {
    async fn start(server: Sshd, command: &str, poll_s: u64) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        let mut options = server.options(root.path());
        options["watch_command"] = json!(command);
        options["poll_s"] = json!(poll_s);
        let plug: Sftp = connect(options).await.expect("connected");
        let hints = Hints::default();
        let told = hints.clone();
        let watching = tokio::spawn(async move { drop(plug.watch(told).await) });
        Self { root, hints, watching, _server: server }
    }

    /// Waits until something is told that is right.
    async fn heard(&self, what: &str, mut is_right: impl FnMut(&Gathered) -> bool) {
        let heard = async { while !is_right(&self.hints.take().await) {} };
        timeout(LIMIT, heard).await.unwrap_or_else(|_| panic!("{what} was not told"));
    }

    async fn hint(&self, path: &str, hint: Hint) {
        let path = Path::new(path).expect("a path");
        let is_right = |told: &Gathered| told.paths.get(&path).is_some_and(|it| *it >= hint);
        self.heard(&format!("{hint:?} {path}"), is_right).await;
    }

    /// Waits for a notice with these words.
    async fn notice(&self, words: &str) {
        let is_right = |told: &Gathered| {
            told.notice.as_ref().is_some_and(|it| it.as_ref().is_some_and(|it| it.contains(words)))
        };
        self.heard(words, is_right).await;
    }

    fn write(&self, path: &str, text: &str) {
        fs::write(self.root.path().join(path), text).expect("written");
    }

    /// A change that nobody tells is found; the first round tells all.
    async fn found_by_a_round(&self) {
        self.write("found by a round", "text");
        let is_found = |path: &Path| path.is_root() || path.as_str() == "found by a round";
        self.heard("it", |told| told.paths.keys().any(is_found)).await;
    }

    /// Waits for the first round.
    async fn round(&self) {
        self.heard("a first round", |told| told.paths.get(&Path::root()) == Some(&Hint::Tree))
            .await;
    }
}

/// A program that tells what is appended to a file, and that file.
fn told_by_hand() -> (TempDir, PathBuf, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("told");
    fs::write(&file, "").expect("written");
    let command = format!("exec tail -n +1 -f '{}'", file.display());
    (folder, file, command)
}

fn tell(file: &PathBuf, line: &str) {
    let mut file = fs::File::options().append(true).open(file).expect("a file");
    writeln!(file, "{line}").expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn inotifywait_tells_at_once_what_was_written_renamed_made_and_removed() {
    let watched = Watched::start(Sshd::start(), "inotifywait", 3_600).await;
    // The round that is made when it is ready.
    watched.round().await;
    watched.write("a b", "text");
    watched.hint("a b", Hint::Written).await;
    let root = watched.root.path();
    fs::rename(root.join("a b"), root.join("c")).expect("renamed");
    watched.hint("c", Hint::Changed).await;
    fs::create_dir_all(root.join("d/e/f")).expect("made");
    watched.write("d/e/f/deep", "text");
    watched.hint("d", Hint::Tree).await;
    fs::remove_file(root.join("c")).expect("removed");
    watched.hint("c", Hint::Changed).await;
    watched.write("d/e/f/deep", "other text");
    watched.hint("d/e/f/deep", Hint::Written).await;
    watched.write(".onitu/tmp/own", "not a user's");
    watched.write("last", "text");
    let mut own = false;
    watched
        .heard("last", |told| {
            own |= told.paths.keys().any(|it| it.as_str().starts_with(".onitu"));
            told.paths.keys().any(|it| it.as_str() == "last")
        })
        .await;
    assert!(!own, "the driver's own files are no news");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_program_may_tell_and_what_it_says_is_looked_at() {
    let (_folder, file, command) = told_by_hand();
    let watched = Watched::start(Sshd::start(), &command, 3_600).await;
    tell(&file, "photos/cat.jpg");
    watched.hint("photos/cat.jpg", Hint::Changed).await;
    tell(&file, &format!("{}/absolute", watched.root.path().display()));
    watched.hint("absolute", Hint::Changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_told_once_and_rounds_are_made_as_without_it() {
    let (_folder, file, command) = told_by_hand();
    let watched = Watched::start(Sshd::start(), &command, 1).await;
    watched.round().await;
    tell(&file, "../outside");
    tell(&file, "/etc/passwd");
    watched.notice("prints what is no path in the folder: `../outside`").await;
    watched.found_by_a_round().await;
    tell(&file, "still/heard");
    watched.hint("still/heard", Hint::Changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_missing_or_ends_is_told_with_its_words_and_rounds_go_on() {
    for (command, words) in [
        ("no-such-program --watch", "not found"),
        ("echo one; echo 'upper limit on inotify watches' >&2; exit 3", "status 3"),
        ("echo 'upper limit on inotify watches' >&2; exit 3", "fs.inotify.max_user_watches"),
    ] {
        let watched = Watched::start(Sshd::start(), command, 1).await;
        watched.notice(words).await;
        watched.found_by_a_round().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gives_sftp_only_is_told_so_and_rounds_go_on() {
    let server = Sshd::start_with(&["ForceCommand internal-sftp"]);
    let watched = Watched::start(server, "inotifywait", 1).await;
    watched.notice("the server doesn't run commands").await;
    watched.found_by_a_round().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_ends_with_the_connection() {
    let folder = tempfile::tempdir().expect("a folder");
    let pid = folder.path().join("pid");
    let command =
        format!("echo $$ > '{0}.new'; mv '{0}.new' '{0}'; sleep 1000; echo x", pid.display());
    let watched = Watched::start(Sshd::start(), &command, 3_600).await;
    let begun = async {
        while !pid.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, begun).await.expect("the program to begin");
    let pid = fs::read_to_string(&pid).expect("its number");
    let group = format!(" {} ", pid.trim());
    assert!(!of_group(&group).is_empty(), "it runs");
    watched.watching.abort();
    let ended = async {
        while !of_group(&group).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, ended).await.expect("it and all it started to end");
}

/// The processes of a group, by their lines in `/proc`.
fn of_group(group: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    let lines = processes.filter_map(|it| fs::read_to_string(it.path().join("stat")).ok());
    lines
        .filter(|line| {
            let rest = line.rsplit(')').next().unwrap_or_default();
            // State, parent, group.
            let group_of = rest.split_whitespace().nth(2).map(|it| format!(" {it} "));
            !rest.starts_with(" Z") && group_of.as_deref() == Some(group)
        })
        .collect()
}
