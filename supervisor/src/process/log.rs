//! `state_dir/log/onitu.log`: what every process says, with time and name.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use onitu_core::clock;

use super::Screen;

#[cfg(test)]
mod tests;

/// The log is put aside when it has grown to this, in bytes.
const FILE_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// Logs that were put aside and are kept: `onitu.log.1` is the youngest.
const KEPT: u32 = 3;

/// Where lines go; cheap to clone.
#[derive(Debug, Clone)]
pub struct Log {
    file: Arc<Mutex<LogFile>>,
    screen: Screen,
}

#[derive(Debug)]
struct LogFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
    /// Whether the last line could be written, so that a full disk is told once.
    works: bool,
}

impl Log {
    /// Goes on with the log in `directory`, which exists.
    ///
    /// # Errors
    ///
    /// As the system says.
    pub fn open(directory: &Path, screen: Screen) -> std::io::Result<Log> {
        Log::open_bounded(directory, screen, FILE_BYTES_MAX)
    }

    fn open_bounded(directory: &Path, screen: Screen, bytes_max: u64) -> std::io::Result<Log> {
        let path = directory.join("onitu.log");
        let file = open(&path)?;
        let bytes = file.metadata()?.len();
        let file = LogFile { path, file, bytes, bytes_max, works: true };
        Ok(Log { file: Arc::new(Mutex::new(file)), screen })
    }

    /// Where lines for the person go.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Writes a line of the process `name`; a warning or an error on its stderr is repeated on the
    /// screen. A line that can't be written is lost, and the first of such is told.
    pub fn line(&self, name: &str, is_stderr: bool, text: &str) {
        self.write(name, text);
        if self.screen.chatty || (is_stderr && is_serious(text)) {
            self.screen.say(&format!("{name}: {text}"));
        }
    }

    /// Writes a line of the supervisor's own, and says it on the screen.
    pub fn say(&self, text: &str) {
        self.write("supervisor", text);
        self.screen.say(text);
    }

    /// Writes a line of the supervisor's own, for the log only.
    pub fn note(&self, text: &str) {
        self.write("supervisor", text);
    }

    fn write(&self, name: &str, text: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write(&format!("{} {name}: {text}\n", time()));
        let worked = std::mem::replace(&mut file.works, written.is_ok());
        if let (Err(error), true) = (written, worked) {
            let path = file.path.display();
            self.screen.say(&format!("warning: can't write to the log `{path}`: {error}"));
        }
    }
}

impl LogFile {
    fn write(&mut self, line: &str) -> std::io::Result<()> {
        if self.bytes >= self.bytes_max {
            self.put_aside()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn put_aside(&mut self) -> std::io::Result<()> {
        let numbered = |number: u32| PathBuf::from(format!("{}.{number}", self.path.display()));
        for number in (1..KEPT).rev() {
            // Missing ones are no error: there are fewer at first.
            let _ = std::fs::rename(numbered(number), numbered(number + 1));
        }
        std::fs::rename(&self.path, numbered(1))?;
        self.file = open(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn time() -> String {
    let ms = i64::try_from(clock::now_ms()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| format!("{at:.3}"))
}

/// Whether a line is a warning or an error by its level, which stands in its first words.
fn is_serious(line: &str) -> bool {
    let level = |word: &str| {
        matches!(word.trim_end_matches(':'), "WARN" | "ERROR" | "error" | "warning" | "panicked")
    };
    line.split_whitespace().take(4).any(level)
}
