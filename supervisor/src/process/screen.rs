//! The supervisor's own stderr, which a progress display may share.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where the supervisor speaks to the person; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    progress: Option<ProgressBar>,
    /// Repeat everything the processes say, not only warnings and errors.
    pub chatty: bool,
}

impl Screen {
    /// With a progress display if stdout and stderr are terminals.
    pub fn new(chatty: bool) -> Screen {
        let terminal = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
        let progress = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(
                ProgressStyle::with_template("{msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        Screen { progress, chatty }
    }

    /// Whether somebody watches the progress display.
    pub fn has_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Shows what goes on; one line, cut to the terminal's width. No effect without a display.
    pub fn show(&self, text: impl Into<String>) {
        let text = text.into();
        if let Some(bar) = self.progress.as_ref().filter(|bar| bar.message() != text) {
            bar.set_message(text);
            // Without, one that follows another too fast would never be drawn.
            bar.force_draw();
        }
    }

    /// Takes the progress display away.
    pub fn clear(&self) {
        if let Some(bar) = &self.progress {
            bar.finish_and_clear();
        }
    }

    /// Says a line on stderr. That nobody reads it is no error.
    pub fn say(&self, line: &str) {
        self.apart(|| {
            let _ = writeln!(std::io::stderr().lock(), "{}", line.trim_end());
        });
    }

    /// Does something that writes to the terminal while the display is out of the way.
    pub fn apart<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.progress {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}
