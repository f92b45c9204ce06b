//! `onitu auth`: a driver that needs tokens gets them from a person.
//!
//! What is asked, and what becomes of the answer, is the driver's: it is started with `auth`, on
//! this terminal, and finds the service's options in its environment, where nobody else reads them.

use std::process::{Command, ExitCode};

use onitu_core::entries::ServiceEntry;

use crate::{Context, Failure};

/// Holds the service's options as JSON.
const OPTIONS_VARIABLE: &str = "ONITU_OPTIONS";

/// What may follow `onitu auth`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The driver, as `dropbox`.
    driver: String,
    /// The service, if there are several with this driver.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
}

/// Runs the driver's own command to its end.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let (file, entries) = context.load()?;
    let is_meant = |entry: &&ServiceEntry| {
        entry.driver == args.driver && args.service.as_ref().is_none_or(|name| *name == entry.name)
    };
    let meant: Vec<&ServiceEntry> = entries.services.iter().filter(is_meant).collect();
    let [service] = meant[..] else {
        return Err(unclear(&file.display().to_string(), args, &meant).into());
    };
    let Some(program) = context.places().driver(&args.driver) else {
        let text = format!("the driver `{}` isn't installed", args.driver);
        return Err(Failure::failed(text).into());
    };
    let options = serde_json::to_string(&service.options)?;
    let status = Command::new(program).arg("auth").env(OPTIONS_VARIABLE, options).status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn unclear(file: &str, args: &Args, meant: &[&ServiceEntry]) -> Failure {
    let driver = &args.driver;
    if meant.is_empty() {
        return Failure::failed(format!(
            "`{file}` has no such service with `driver = \"{driver}\"`\n\
             hint: write its section first: its options say what to sign in to"
        ));
    }
    let names: Vec<String> = meant.iter().map(|service| format!("`{}`", service.name)).collect();
    Failure::failed(format!(
        "several services have the driver `{driver}`: {}\nhint: choose one by `--service NAME`",
        names.join(", ")
    ))
}
