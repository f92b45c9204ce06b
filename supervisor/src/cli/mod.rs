//! The command line: what may be typed, and one file per subcommand.
//!
//! Each subcommand's file has its `Args` and `pub fn run(context: &Context, args: &Args) ->
//! anyhow::Result<ExitCode>`. Data goes to stdout by [`say`] (or `writeln!` to a locked stdout),
//! everything else to stderr. An error is a [`Failure`] when it has an exit code or is rendered
//! already; anything else is printed behind `error: ` with exit code 1.

mod apply;
mod approve;
mod auth;
mod check;
mod conflicts;
mod driver;
mod drivers;
mod explain;
mod ls;
mod pause;
mod place;
mod plan;
mod reload;
mod render;
mod rescan;
mod restore;
mod resume;
mod status;
mod tied;
mod time;
mod trash;
mod up;
mod verify;
mod wait;

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{BUG, Context, Failure};

const ENVIRONMENT: &str = "\
Environment:
  ONITU_CONFIG   The configuration, when --config isn't given
  ONITU_LOG      What the processes log: info (default), debug, onitu_plug=trace …
  ONITU_BIN_DIR  Where programs and drivers are looked for first; then beside onitu, then on PATH
  NO_COLOR       No colours";

/// Keeps one set of files in step across many storage services.
#[derive(Debug, Parser)]
#[command(name = "onitu", version, max_term_width = 100, after_help = ENVIRONMENT)]
struct CommandLine {
    /// The configuration. Looked up as `$ONITU_CONFIG`, `./entries.toml`,
    /// `$XDG_CONFIG_HOME/onitu/entries.toml` when not given.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Says more on stderr.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Keeps the services in step, in the foreground, until Ctrl-C.
    Up(up::Args),
    /// Validates the configuration; exits with 78 when it is wrong.
    Check(check::Args),
    /// Shows services, their state, pending work, transfers and errors.
    Status(status::Args),
    /// Returns when nothing is pending and all scans are done.
    Wait(wait::Args),
    /// Lists the tree with sizes and holders.
    Ls(ls::Args),
    /// Says why a file is where it is, or where one would be.
    Explain(explain::Args),
    /// Lists what the rules, or those in a file, would change; changes nothing.
    Plan(plan::Args),
    /// Has removed what a plan lists, or refuses because the world changed.
    Apply(apply::Args),
    /// Lists the conflicts and where each content is kept, or ends them.
    Conflicts(conflicts::Args),
    /// Reads the configuration again; services that did not change go on untouched.
    Reload(reload::Args),
    /// Compares a service, or all, with what is known of it.
    Rescan(rescan::Args),
    /// Stops a service, or all, until resumed; survives restarts.
    Pause(pause::Args),
    /// Goes on with a service, or all.
    Resume(resume::Args),
    /// Decides about removals that are held because they are too many.
    Approve(approve::Args),
    /// Shows what Onitu removed or replaced and still keeps.
    Trash(trash::Args),
    /// Puts back what Onitu removed or replaced.
    Restore(restore::Args),
    /// Compares what a service holds, or all, with what is known of it.
    Verify(verify::Args),
    /// Lets a driver get what it needs to sign in, from a person on this terminal.
    Auth(auth::Args),
    /// Lists the installed drivers with their options and abilities.
    Drivers(drivers::Args),
    /// Tries an installed driver.
    Driver(driver::Args),
    /// Runs a program that ends with its parent; how the supervisor starts every process.
    #[command(hide = true)]
    Tied(tied::Args),
}

/// The program: reads the command line, runs the command, returns its exit code.
pub fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|panic| {
        report(&format!(
            "error: this is a bug in Onitu, please report it: {panic}\n\
             hint: `onitu up` goes on where it was"
        ));
        std::process::exit(i32::from(BUG));
    }));
    let line = CommandLine::parse();
    match run(&line) {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

fn run(line: &CommandLine) -> anyhow::Result<ExitCode> {
    // Before anything else: it stands between fork and exec.
    if let Command::Tied(args) = &line.command {
        return tied::run(args);
    }
    let context = &Context::new(line.config.clone(), line.verbose);
    match &line.command {
        Command::Up(args) => up::run(context, args),
        Command::Check(args) => check::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Wait(args) => wait::run(context, args),
        Command::Ls(args) => ls::run(context, args),
        Command::Explain(args) => explain::run(context, args),
        Command::Plan(args) => plan::run(context, args),
        Command::Apply(args) => apply::run(context, args),
        Command::Conflicts(args) => conflicts::run(context, args),
        Command::Reload(args) => reload::run(context, args),
        Command::Rescan(args) => rescan::run(context, args),
        Command::Pause(args) => pause::run(context, args),
        Command::Resume(args) => resume::run(context, args),
        Command::Approve(args) => approve::run(context, args),
        Command::Trash(args) => trash::run(context, args),
        Command::Restore(args) => restore::run(context, args),
        Command::Verify(args) => verify::run(context, args),
        Command::Auth(args) => auth::run(context, args),
        Command::Drivers(args) => drivers::run(context, args),
        Command::Driver(args) => driver::run(context, args),
        Command::Tied(args) => tied::run(args),
    }
}

/// Prints one line of data on stdout.
///
/// # Errors
///
/// When stdout is closed; `main` takes that as a quiet end (`onitu ls | head`).
pub fn say(line: impl std::fmt::Display) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

/// Prints a value as indented JSON on stdout.
///
/// # Errors
///
/// As [`say`].
pub fn say_json(value: &impl serde::Serialize) -> std::io::Result<()> {
    say(serde_json::to_string_pretty(value)?)
}

/// Prints a line for the person on stderr; that nobody reads it is no error.
pub fn report(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", line.trim_end());
}

/// Says what was done: a line for the person on stderr, or `{"message": …}` on stdout.
///
/// # Errors
///
/// As [`say`].
pub fn done(sentence: &str, json: bool) -> std::io::Result<()> {
    if json {
        return say_json(&serde_json::json!({ "message": sentence }));
    }
    report(sentence);
    Ok(())
}

/// Whether stderr takes colours: it is a terminal, and `NO_COLOR` isn't set.
pub fn color_on_stderr() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !refused
}

fn fail(error: &anyhow::Error) -> ExitCode {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        report(&failure.to_string());
        return failure.exit_code();
    }
    if let Some(io) = error.downcast_ref::<std::io::Error>()
        && io.kind() == ErrorKind::BrokenPipe
    {
        return ExitCode::SUCCESS;
    }
    report(&format!("error: {error:#}"));
    ExitCode::FAILURE
}
