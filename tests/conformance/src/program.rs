//! `onitu driver test NAME`: the suite and some rounds of chaos, for a driver that is installed.
//!
//! It finds the program as Onitu does, runs every case over storages of their own through the
//! driver's `exercise`, then lets a real Onitu work with the driver while that is killed. What it finds
//! is data, on stdout; how far it is goes to stderr.

mod arguments;
mod chaos;
mod hand;
mod options;
mod report;
mod run;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Parser;
use onitu_core::drivers::{Places, manifest};
use onitu_core::rules::nearest;

use self::arguments::Arguments;
use self::report::Report;

/// Something can't be done; nothing was found out about the driver.
const FAILED: u8 = 1;
/// The command line is wrong.
const MISUSED: u8 = 2;
/// How long an interrupted run may take to end what it has started.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Why there is nothing to report: a message for the person, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    message: String,
    code: u8,
}

impl Refusal {
    fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: FAILED }
    }

    fn misused(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: MISUSED }
    }
}

/// The program: 0 when every promise is kept, 1 when one is broken or the suite can't run, 2 for a
/// wrong command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    run::silence_panics();
    let json = arguments.json;
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = match threads {
        Ok(threads) => threads,
        Err(error) => return refuse(&Refusal::failed(format!("can't start threads: {error}"))),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let end = threads.block_on(async {
        let mut work = tokio::spawn(work(arguments, stop.clone()));
        tokio::select! {
            end = &mut work => end.unwrap_or_else(|error| Err(Refusal::failed(error.to_string()))),
            _ = tokio::signal::ctrl_c() => {
                stop.store(true, Ordering::SeqCst);
                // It ends by itself, with everything it has started.
                let _ = tokio::time::timeout(STOP_LIMIT, work).await;
                Err(Refusal::failed("interrupted"))
            }
        }
    });
    threads.shutdown_timeout(STOP_LIMIT);
    match end {
        Ok(report) => {
            let shown = if json { report.json() } else { report.text() };
            // Who closed the pipe doesn't want to hear more.
            let _ = writeln!(std::io::stdout().lock(), "{}", shown.trim_end());
            if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) }
        }
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> ExitCode {
    let _ = writeln!(std::io::stderr().lock(), "error: {}", refusal.message);
    ExitCode::from(refusal.code)
}

async fn work(arguments: Arguments, stop: Arc<AtomicBool>) -> Result<Report, Refusal> {
    let name = arguments.name.clone();
    let (program, manifest) = blocking(move || find(&name)).await??;
    let given = options::read(&arguments, &manifest)?;
    let failed = |fault: onitu_plug::Fault| Refusal::failed(fault.message);
    crate::exercise(program.clone(), manifest.clone()).map_err(failed)?;
    crate::install(given.template.clone()).map_err(failed)?;
    // Whatever is wrong with the options or the program is told once, not by every case.
    run::try_out().await?;
    let outcomes = run::cases(&arguments, &stop).await?;
    let is_part = arguments.cases.is_some();
    let chaos = if arguments.no_chaos || is_part || stop.load(Ordering::SeqCst) {
        None
    } else {
        let plan = chaos::Plan::new(&arguments, program, &manifest, given);
        Some(chaos::run(plan, stop).await?)
    };
    Ok(Report { driver: manifest.name, version: manifest.version, outcomes, chaos })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Refusal::failed(error.to_string()))
}

type Driver = (std::path::PathBuf, onitu_plug::Manifest);

/// The driver of this name as Onitu would find it.
fn find(name: &str) -> Result<Driver, Refusal> {
    let places = Places::of_this_process();
    let Some(program) = places.driver(name) else {
        let known = places.drivers();
        let hint = match nearest(name, known.keys().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("put `onitu-driver-{name}` on PATH; `onitu drivers` lists what is found")
            }
        };
        let text = format!("the driver `{name}` isn't installed\nhint: {hint}");
        return Err(Refusal::failed(text));
    };
    match manifest(name, &program) {
        Ok(manifest) => Ok((program, manifest)),
        Err(error) => Err(Refusal::failed(error.to_string())),
    }
}

/// Whether somebody looks at stderr while it happens.
fn is_watched() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}

/// Says how far it is, on one line that the next one replaces.
fn progress(text: &str) {
    if is_watched() {
        let _ = write!(std::io::stderr().lock(), "\r\x1b[K{text}");
    }
}

/// A line for the person.
fn tell(text: &str) {
    let clear = if is_watched() { "\r\x1b[K" } else { "" };
    let _ = writeln!(std::io::stderr().lock(), "{clear}{text}");
}
