//! A program on the server that tells of changes while they happen, where the user has named one.
//!
//! What it prints are hints: each names a path that is looked at. So a program that lies, says too
//! little or ends does no harm but to the time until a change is found: rounds are made all the
//! same, less often while it tells, and as often as without it from the moment it doesn't.

use std::convert::Infallible;
use std::time::Duration;

use onitu_plug::{Hint, Hints, Path};
use tokio::time::{Instant, sleep, sleep_until};

use super::Watch;
use crate::client::Remote;
use crate::command::{Command, Said, shown};
use crate::name;

/// The word for the program of the package `inotify-tools`.
const PRESET: &str = "inotifywait";
/// How that is called. The driver's own files are left out there, and don't travel as hints.
const PRESET_LINE: &str = "exec inotifywait -m -r \
                           -e close_write,create,delete,move,attrib,delete_self,unmount \
                           --format '%e %w%f' --exclude '^\\./\\.onitu(/|$)' .";
/// It says so when it watches the whole folder.
const PRESET_READY: &[u8] = b"Watches established.";
/// It sets the watch of a new directory only after it has told of it; what was made there in
/// between is found by listing it once more, so long after.
const AGAIN: Duration = Duration::from_secs(1);
/// Most directories that wait for that; beyond, a whole round is made.
const AGAIN_MAX: usize = 1_024;
/// One that has ended is started again after this,
const PAUSE: Duration = Duration::from_secs(5);
/// and after at most this.
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
enum Meaning {
    /// Something to look at.
    Hint(Path, Hint),
    /// Nothing that concerns a user.
    Nothing,
    /// Something happened, and nobody can say where.
    Somewhere,
    /// It isn't what such a program prints.
    Garbage,
}

/// The program, and how its lines are read.
pub(crate) struct Helper {
    line: String,
    is_preset: bool,
}

/// What is done with what it says.
struct Hearing<'a> {
    helper: &'a Helper,
    remote: &'a Remote,
    watch: &'a Watch,
    hints: &'a Hints,
    poll: Duration,
    /// What the user was told of it.
    told: Option<String>,
    is_ready: bool,
    /// Whether it printed something that is no path: then it isn't relied on.
    is_odd: bool,
    /// New directories, and when they are listed once more.
    again: Vec<(Instant, Path)>,
}

impl Helper {
    /// The program that the option names: one that is known, or a line for `sh`.
    pub(crate) fn new(option: &str) -> Self {
        let is_preset = option.trim() == PRESET;
        let line = if is_preset { PRESET_LINE } else { option };
        Self { line: line.to_owned(), is_preset }
    }

    /// Keeps the program running until dropped. That it doesn't run is told once, with what to do,
    /// and is no longer told when it does.
    pub(crate) async fn attend(
        &self,
        remote: &Remote,
        watch: &Watch,
        hints: &Hints,
        poll: Duration,
    ) -> Infallible {
        let mut hearing = Hearing {
            helper: self,
            remote,
            watch,
            hints,
            poll,
            told: None,
            is_ready: false,
            is_odd: false,
            again: Vec::new(),
        };
        let mut pause = PAUSE;
        loop {
            let began = Instant::now();
            let why = match Command::start(remote, &self.line, &[]).await {
                Ok(command) => hearing.hear(command).await,
                Err(why) => why,
            };
            hearing.ended(&why);
            if began.elapsed() >= PAUSE_MAX {
                pause = PAUSE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn remedy(&self, why: &str) -> &'static str {
        if why.contains("upper limit") || why.contains("max_user_watches") {
            "Raise `fs.inotify.max_user_watches` on the server"
        } else if self.is_preset && why.contains("not found") {
            "Install `inotify-tools` on the server, or leave out `watch_command`"
        } else if why.contains("run commands") || why.contains("something else instead") {
            "Allow this user to run it there, or leave out `watch_command`"
        } else {
            "Run it there by hand to see why, or leave out `watch_command`"
        }
    }

    fn read(&self, line: &[u8], remote: &Remote) -> Meaning {
        if self.is_preset { preset(line) } else { free(line, &remote.full(&Path::root())) }
    }
}

impl Hearing<'_> {
    /// Hears what it says until it ends; tells why it isn't heard any more.
    async fn hear(&mut self, mut command: Command) -> String {
        (self.is_ready, self.is_odd) = (false, false);
        self.again.clear();
        // A program that doesn't say when it is ready has the time between two rounds for it.
        let ready = Instant::now() + self.poll;
        loop {
            let due = self.again.first().map_or(ready, |(at, _)| *at);
            tokio::select! {
                biased;
                said = command.next() => match said {
                    None => break,
                    Some(Said::Output(line)) => self.take(&line),
                    Some(Said::Error(line)) => {
                        if self.helper.is_preset && line == PRESET_READY {
                            self.ready();
                        }
                    }
                },
                () = sleep_until(due), if !self.again.is_empty() => self.list_again(),
                () = sleep_until(ready), if !self.is_ready && !self.helper.is_preset => {
                    self.ready();
                }
            }
        }
        format!("it isn't running any more{}", command.end())
    }

    /// It watches now; what happened before is found by a round.
    fn ready(&mut self) {
        self.is_ready = true;
        if !self.is_odd {
            self.tell(None);
            self.watch.help(true);
        }
    }

    fn ended(&mut self, why: &str) {
        self.watch.help(false);
        let text = format!(
            "`watch_command` tells of no changes: {why}. {}. Until then they are found by looking \
             every {} s",
            self.helper.remedy(why),
            self.poll.as_secs()
        );
        self.tell(Some(text));
    }

    fn take(&mut self, line: &[u8]) {
        match self.helper.read(line, self.remote) {
            Meaning::Nothing => {}
            Meaning::Somewhere => self.watch.hurry(),
            Meaning::Hint(path, hint) => {
                let is_ours = hint == Hint::Written && self.remote.placed.is_recent(&path);
                if hint == Hint::Tree {
                    self.again.push((Instant::now() + AGAIN, path.clone()));
                }
                self.hints.tell(path, if is_ours { Hint::Changed } else { hint });
            }
            Meaning::Garbage => self.odd(line),
        }
        if self.again.len() > AGAIN_MAX {
            self.again.clear();
            self.watch.hurry();
        }
    }

    /// Whatever prints such a line, it isn't relied on.
    fn odd(&mut self, line: &[u8]) {
        if self.is_odd {
            return;
        }
        self.is_odd = true;
        self.watch.help(false);
        self.tell(Some(format!(
            "`watch_command` prints what is no path in the folder: `{}`. It must print one changed \
             path a line, relative to `root`. Until then changes are found by looking every {} s",
            shown(line),
            self.poll.as_secs()
        )));
    }

    fn list_again(&mut self) {
        let now = Instant::now();
        let due = self.again.extract_if(.., |(at, _)| *at <= now);
        self.hints.tell_all(due.map(|(_, path)| (path, Hint::Tree)));
    }

    fn tell(&mut self, notice: Option<String>) {
        if self.told != notice {
            self.told.clone_from(&notice);
            self.hints.notice(notice);
        }
    }
}

/// A line of `inotifywait`: what happened, a space, and where.
fn preset(line: &[u8]) -> Meaning {
    let Some((events, path)) = std::str::from_utf8(line).ok().and_then(|it| it.split_once(' '))
    else {
        // A name that is no text, or one with a newline in it.
        return Meaning::Somewhere;
    };
    let Some(path) = path.strip_prefix("./") else { return Meaning::Somewhere };
    let has = |event: &str| events.split(',').any(|it| it == event);
    if has("DELETE_SELF") || has("UNMOUNT") {
        return Meaning::Somewhere;
    }
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Meaning::Nothing;
    }
    let appeared = has("CREATE") || has("MOVED_TO");
    let hint = match has("ISDIR") {
        true if appeared => Hint::Tree,
        false if has("CLOSE_WRITE") => Hint::Written,
        _ => Hint::Changed,
    };
    match Path::new(path) {
        Ok(path) if name::is_own(&path) => Meaning::Nothing,
        Ok(path) => Meaning::Hint(path, hint),
        Err(_) => Meaning::Somewhere,
    }
}

/// A line of any other program: a path below the folder, or as the server has it.
fn free(line: &[u8], root: &[u8]) -> Meaning {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let path = match line.strip_prefix(root) {
        Some(rest) if rest.is_empty() || rest[0] == b'/' => rest,
        _ if line.starts_with(b"/") => return Meaning::Garbage,
        _ => line,
    };
    let path = path.strip_prefix(b"./").unwrap_or(path);
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if matches!(path, b"" | b".") {
        return if line.is_empty() { Meaning::Nothing } else { Meaning::Somewhere };
    }
    // A name that is no text can't be synchronized; a round tells its user.
    let Ok(path) = std::str::from_utf8(path) else { return Meaning::Somewhere };
    match Path::new(path) {
        Ok(path) if name::is_own(&path) => Meaning::Nothing,
        Ok(path) => Meaning::Hint(path, Hint::Changed),
        Err(_) => Meaning::Garbage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(path: &str, hint: Hint) -> Meaning {
        Meaning::Hint(Path::new(path).expect("a path"), hint)
    }

    #[test]
    fn a_line_of_inotifywait_says_what_to_look_at_and_how() {
        for (line, meaning) in [
            ("CLOSE_WRITE,CLOSE ./a/b c", hint("a/b c", Hint::Written)),
            ("CREATE ./a", hint("a", Hint::Changed)),
            ("CREATE,ISDIR ./d", hint("d", Hint::Tree)),
            ("MOVED_TO,ISDIR ./d/e", hint("d/e", Hint::Tree)),
            ("MOVED_FROM ./x", hint("x", Hint::Changed)),
            ("DELETE,ISDIR ./d", hint("d", Hint::Changed)),
            ("ATTRIB ./x", hint("x", Hint::Changed)),
            ("ATTRIB,ISDIR ./", Meaning::Nothing),
            ("DELETE_SELF ./d/", Meaning::Somewhere),
            ("UNMOUNT ./", Meaning::Somewhere),
            ("CLOSE_WRITE,CLOSE ./.onitu/tmp/x", Meaning::Nothing),
            ("second line of a name", Meaning::Somewhere),
            ("", Meaning::Somewhere),
        ] {
            assert_eq!(preset(line.as_bytes()), meaning, "{line}");
        }
        assert_eq!(preset(b"CREATE ./\xff"), Meaning::Somewhere);
    }

    #[test]
    fn a_line_of_another_program_is_a_path_in_the_folder_or_garbage() {
        for (line, meaning) in [
            ("a/b", hint("a/b", Hint::Changed)),
            ("./a/b\r", hint("a/b", Hint::Changed)),
            ("/srv/sync/a", hint("a", Hint::Changed)),
            ("d/", hint("d", Hint::Changed)),
            ("/srv/sync", Meaning::Somewhere),
            (".", Meaning::Somewhere),
            ("", Meaning::Nothing),
            (".onitu/service", Meaning::Nothing),
            ("/srv/synchronized/a", Meaning::Garbage),
            ("/etc/passwd", Meaning::Garbage),
            ("../a", Meaning::Garbage),
            ("a//b", Meaning::Garbage),
        ] {
            assert_eq!(free(line.as_bytes(), b"/srv/sync"), meaning, "{line}");
        }
    }

    #[test]
    fn each_reason_has_its_remedy() {
        let (preset, free) = (Helper::new("inotifywait"), Helper::new("my-watch --all"));
        assert!(preset.remedy("sh: 1: inotifywait: not found").contains("inotify-tools"));
        assert!(preset.remedy("upper limit on inotify watches reached").contains("Raise"));
        assert!(free.remedy("the server doesn't run commands").contains("Allow"));
        assert!(free.remedy("it ended with status 1").contains("by hand"));
        assert_eq!(free.line, "my-watch --all");
    }
}
