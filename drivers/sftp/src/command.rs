//! A program that runs on the server, where that is allowed: by a channel of its own on the same
//! SSH connection.
//!
//! It runs in the service's folder, by `sh`. Before anything else it says a word, so that a server
//! which runs something else instead (`ForceCommand`, a shell that lets nobody in) is told from a
//! program that has nothing to say. It ends with the connection: a program that writes nothing
//! would otherwise never notice that nobody listens any more.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::Remote;

/// What it says when it begins.
const GREETING: &[u8] = b"onitu: here";
/// It begins within so long.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// The status of one that has ended comes within so long.
const STATUS_LIMIT: Duration = Duration::from_secs(2);
/// Most that may be said before it begins, by a shell's own files for example.
const PREAMBLE_LINES_MAX: usize = 200;
/// Longest line that is taken; what is beyond it is left out.
const LINE_BYTES_MAX: usize = 16 * 1024;
/// Status of the script when the folder isn't there.
const NO_FOLDER: u32 = 97;
/// `$1` is the folder, `$2` the program, what follows its arguments. Everything it started is a group
/// of processes (`$$`) where the server began one, and is ended together; by its end of input it
/// hears that the connection is gone.
const SCRIPT: &str = "cd -- \"$1\" || exit 97; echo \"onitu: here\"; exec 3<&0; \
                      (eval \"$2\") </dev/null 3<&- & p=$!; \
                      (cat <&3; kill -- -$$ || kill $p) >/dev/null 2>&1 & wait $p";

/// A program on the server; ended when dropped.
pub(crate) struct Command {
    read: ChannelReadHalf,
    write: Option<ChannelWriteHalf<Msg>>,
    output: Lines,
    errors: Lines,
    lines: VecDeque<Said>,
    /// The last thing it complained about.
    complaint: String,
    status: Option<u32>,
    has_ended: bool,
}

/// A line that it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// As output.
    Output(Bytes),
    /// As a message for a person.
    Error(Bytes),
}

impl Command {
    /// Starts `program`, a line for `sh`, in the folder of the service; `arguments` are its `$3`,
    /// `$4` and so on. The error is a sentence: why nothing runs there.
    pub(crate) async fn start(
        remote: &Remote,
        program: &str,
        arguments: &[&[u8]],
    ) -> Result<Self, String> {
        let channel = remote.session().await?;
        let mut line = b"exec sh -c ".to_vec();
        let root = remote.full(&onitu_plug::Path::root());
        for word in [SCRIPT.as_bytes(), b"sh", &root, program.as_bytes()] {
            quote(word, &mut line);
        }
        for word in arguments {
            quote(word, &mut line);
        }
        let refused = |error: russh::Error| format!("the server doesn't run commands: {error}");
        channel.exec(true, line).await.map_err(refused)?;
        let (read, write) = channel.split();
        let mut command = Self {
            read,
            write: Some(write),
            output: Lines::default(),
            errors: Lines::default(),
            lines: VecDeque::new(),
            complaint: String::new(),
            status: None,
            has_ended: false,
        };
        let greeted = timeout(GREETING_LIMIT, command.greeted()).await;
        greeted.unwrap_or_else(|_| {
            Err("the server doesn't run commands (a `ForceCommand` for SFTP only, maybe): nothing \
                 began within 10 s"
                .to_owned())
        })?;
        Ok(command)
    }

    async fn greeted(&mut self) -> Result<(), String> {
        for _ in 0..PREAMBLE_LINES_MAX {
            match self.next().await {
                Some(Said::Output(line)) if line == GREETING => return Ok(()),
                Some(Said::Output(line)) => self.complaint = shown(&line),
                Some(Said::Error(_)) => {}
                None => return Err(format!("the server doesn't run commands{}", self.end())),
            }
        }
        Err(format!("the server runs something else instead, which says `{}`", self.complaint))
    }

    /// The next line; [`None`] when it has ended.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        loop {
            if let Some(said) = self.lines.pop_front() {
                if let Said::Error(line) = &said
                    && !line.is_empty()
                {
                    self.complaint = shown(line);
                }
                return Some(said);
            }
            if self.has_ended {
                return None;
            }
            match self.read.wait().await {
                Some(ChannelMsg::Data { data }) => {
                    self.output.take(&data, |line| self.lines.push_back(Said::Output(line)));
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    self.errors.take(&data, |line| self.lines.push_back(Said::Error(line)));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
                Some(ChannelMsg::Failure | ChannelMsg::Eof | ChannelMsg::Close) | None => {
                    self.drain().await;
                }
                Some(_) => {}
            }
        }
    }

    /// The output has ended; its status may come after that.
    async fn drain(&mut self) {
        let limit = Instant::now() + STATUS_LIMIT;
        while self.status.is_none()
            && let Ok(Some(message)) = timeout_at(limit, self.read.wait()).await
        {
            match message {
                ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
                ChannelMsg::ExtendedData { data, .. } => {
                    self.errors.take(&data, |line| self.lines.push_back(Said::Error(line)));
                }
                _ => {}
            }
        }
        self.has_ended = true;
    }

    /// How it ended, to be put behind a sentence.
    pub(crate) fn end(&self) -> String {
        let words = match self.complaint.as_str() {
            "" => String::new(),
            words => format!(", saying `{words}`"),
        };
        match self.status {
            Some(NO_FOLDER) => " (the folder is gone)".to_owned(),
            Some(status) => format!(" (it ended with status {status}{words})"),
            None => format!(" (it ended{words})"),
        }
    }

    /// Ends it, and waits until its channel is free again.
    pub(crate) async fn close(mut self) {
        let Some(write) = self.write.take() else { return };
        let _ = write.eof().await;
        let _ = write.close().await;
        let limit = Instant::now() + STATUS_LIMIT;
        while let Ok(Some(message)) = timeout_at(limit, self.read.wait()).await {
            if matches!(message, ChannelMsg::Close) {
                return;
            }
        }
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        let Some(write) = self.write.take() else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                let _ = write.eof().await;
                let _ = write.close().await;
            });
        }
    }
}

/// Bytes that become lines, with memory for one of them.
#[derive(Default)]
struct Lines {
    begun: BytesMut,
}

impl Lines {
    /// Takes some bytes and tells the lines that they end: at a newline or a zero.
    fn take(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Bytes)) {
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | 0)) {
            self.append(&bytes[..at]);
            tell(self.begun.split().freeze());
            bytes = &bytes[at + 1..];
        }
        self.append(bytes);
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.begun.len();
        self.begun.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Appends `word` to a command line such that every shell takes it for one word.
fn quote(word: &[u8], to: &mut Vec<u8>) {
    to.push(b'\'');
    for byte in word {
        match byte {
            b'\'' => to.extend_from_slice(b"'\\''"),
            byte => to.push(*byte),
        }
    }
    to.extend_from_slice(b"' ");
}

/// A line as it may be shown: text, and not too much of it.
pub(crate) fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(200)]);
    text.chars().filter(|letter| !letter.is_control()).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.take(piece, |line| told.push(line.to_vec()));
        }
        told
    }

    #[test]
    fn a_line_ends_at_a_newline_or_a_zero_wherever_packets_end() {
        let expected: [&[u8]; 4] = [b"one", b"two", b"", b"three"];
        assert_eq!(lines(&[b"on", b"e\ntwo\0\nthree\nrest"]), expected);
    }

    #[test]
    fn a_line_without_end_takes_bounded_memory() {
        let (mut held, mut told) = (Lines::default(), Vec::new());
        for _ in 0..1_000 {
            held.take(&[b'x'; 1_000], |line| told.push(line));
        }
        assert!(told.is_empty() && held.begun.len() == LINE_BYTES_MAX);
        held.take(b"\nnext\n", |line| told.push(line));
        assert_eq!((told[0].len(), &told[1][..]), (LINE_BYTES_MAX, &b"next"[..]));
    }

    #[test]
    fn a_word_with_quotes_stays_one_word() {
        let mut line = Vec::new();
        quote(b"it's $HOME", &mut line);
        assert_eq!(line, b"'it'\\''s $HOME' ");
    }

    #[test]
    fn what_is_shown_is_short_and_plain() {
        assert_eq!(shown(b"\x1b[31mred\x07 \xff "), "[31mred \u{fffd}");
        assert!(shown(&[b'x'; 5_000]).len() <= 200);
    }
}
