//! What ends a command, with its exit code (design §8).

use std::process::ExitCode;

/// The exit code of a bug.
pub const BUG: u8 = 70;
/// The exit code of a bad configuration.
pub const BAD_CONFIGURATION: u8 = 78;

/// Ends a command: a message for the person, and the exit code. `main` prints the message as it
/// is (so it can be a rendered list of problems); any other error is printed behind `error: ` and
/// exits with 1.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Exit code 1; `message` is printed behind `error: `.
    pub fn failed(message: impl std::fmt::Display) -> Failure {
        Failure { message: format!("error: {message}"), code: 1 }
    }

    /// Exit code 78; `rendered` is printed as it is.
    pub fn bad_configuration(rendered: impl Into<String>) -> Failure {
        Failure { message: rendered.into(), code: BAD_CONFIGURATION }
    }

    /// With a code that somebody else chose; `message` is printed behind `error: `, unless it is
    /// rendered already.
    pub fn with_code(message: &str, code: u8) -> Failure {
        let rendered = message.starts_with("error") || message.starts_with("warning");
        let message = if rendered { message.to_owned() } else { format!("error: {message}") };
        Failure { message, code }
    }

    /// For `main`.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}
