//! `onitu verify`: compares what services hold with what is recorded of it.

mod text;

pub(super) use self::text::how_far;

use std::process::ExitCode;
use std::time::Duration;

use onitu_core::control::{FromCore, ToCore, ToVerify, Verifying};
use onitu_core::entries::limit;
use onitu_core::rules::listed;
use onitu_core::verify::{Manner, Part, VerifyStatus};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep};

use crate::process::Screen;
use crate::{Connection, Context, Failure, connection};

/// How often the Core is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(200);
/// A driver that can't be asked for so long is given up.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What may follow `onitu verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The service; all that aren't paused when not given.
    service: Option<String>,
    /// Reads every file and compares its bytes, too.
    #[arg(long)]
    deep: bool,
    /// Only a part of the tree: with `1/30` today, `2/30` tomorrow … all of it is done in a month.
    #[arg(long, value_name = "N/OF", default_value = "1/1", hide_default_value = true)]
    part: Part,
    /// Reads at most so fast on each service: `"10 MB/s"`.
    #[arg(long, value_name = "RATE", value_parser = rate)]
    limit: Option<u64>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// Begins, and returns at once; `onitu status` shows how far it is.
    #[arg(long, conflicts_with = "json")]
    detach: bool,
}

fn rate(text: &str) -> Result<u64, String> {
    match limit(text) {
        Ok(limit) if limit.between.is_none() => Ok(limit.bytes_per_s),
        _ => Err("a rate is a size a second: \"10 MB/s\"".to_owned()),
    }
}

/// One service that is being verified.
struct Watched {
    service: String,
    id: u64,
    last: Verifying,
    silent: Option<Instant>,
}

/// Begins, shows how far it is, and tells what was found. Ctrl-C ends it on the services, too.
pub fn run(context: &Context, args: &Args) -> anyhow::Result<ExitCode> {
    let core = &mut context.core()?;
    let manner = Manner { deep: args.deep, part: args.part, bytes_per_s: args.limit };
    let service = args.service.clone();
    let begun = ask(core, ToVerify::Begin { service, manner })?;
    let (watched, refused): (Vec<_>, Vec<_>) =
        begun.into_iter().partition(|it| it.verify.is_some() && it.problem.is_none());
    if !args.json {
        for problem in refused.iter().filter_map(|it| it.problem.as_ref()) {
            super::report(&format!("error: {problem}"));
        }
    }
    if args.detach {
        if !watched.is_empty() {
            let names = listed(watched.iter().map(|it| it.service.as_str()));
            super::report(&format!("verifying {names}; `onitu status` shows how far it is"));
        }
        return Ok(code(refused.is_empty()));
    }
    let mut watched: Vec<Watched> = watched.into_iter().map(Watched::new).collect();
    watch(core, &mut watched)?;
    let mut ended: Vec<Verifying> = watched.into_iter().map(|it| it.last).collect();
    ended.extend(refused);
    ended.sort_by(|one, other| one.service.cmp(&other.service));
    if args.json {
        super::say_json(&ended)?;
    } else {
        let told = text::summary(&ended);
        if !told.is_empty() {
            super::say(told.trim_end())?;
        }
        text::advice(&ended).into_iter().for_each(super::report);
    }
    let is_sound = |it: &Verifying| it.verify.as_ref().is_some_and(VerifyStatus::is_sound);
    Ok(code(ended.iter().all(|it| it.problem.is_none() && is_sound(it))))
}

fn code(fine: bool) -> ExitCode {
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ask(core: &mut Connection, asked: ToVerify) -> Result<Vec<Verifying>, Failure> {
    match core.ask(&ToCore::Verify(asked))? {
        FromCore::Verifying(answers) => Ok(answers),
        other => Err(connection::unexpected(&other)),
    }
}

/// Returns when none is under way any more, or was ended by Ctrl-C.
fn watch(core: &mut Connection, watched: &mut [Watched]) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let screen = Screen::new(false);
    let mut interrupted = Interruption::listen(&runtime)?;
    while watched.iter().any(|it| !it.is_over()) {
        screen.show(text::progress(watched.iter().map(|it| &it.last)));
        let is_interrupted = runtime.block_on(interrupted.within(ASK_EVERY));
        let running = watched.iter().filter(|it| !it.is_over());
        let running: Vec<_> = running.map(|it| (it.service.clone(), it.id)).collect();
        let asked = if is_interrupted { ToVerify::Stop } else { ToVerify::Progress };
        for answer in ask(core, asked(running))? {
            if let Some(watched) = watched.iter_mut().find(|it| it.service == answer.service) {
                watched.hear(answer);
            }
        }
    }
    screen.clear();
    Ok(())
}

/// Ctrl-C, or the end by SIGTERM.
struct Interruption {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Interruption {
    fn listen(runtime: &Runtime) -> std::io::Result<Self> {
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn within(&mut self, pause: Duration) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            () = sleep(pause) => false,
        }
    }
}

impl Watched {
    fn new(begun: Verifying) -> Self {
        let id = begun.verify.as_ref().map_or(0, |verify| verify.id);
        Self { service: begun.service.clone(), id, last: begun, silent: None }
    }

    fn is_over(&self) -> bool {
        self.last.problem.is_some() || self.last.verify.as_ref().is_none_or(VerifyStatus::is_over)
    }

    /// Takes what the driver says. One that is silent for a moment may be busy or restarting.
    fn hear(&mut self, answer: Verifying) {
        match (&answer.verify, &answer.problem) {
            (Some(verify), None) if verify.id == self.id => {
                self.silent = None;
                self.last = answer;
            }
            (_, None) => self.last.problem = Some("another verification took its place".to_owned()),
            (_, Some(problem)) => {
                let since = *self.silent.get_or_insert_with(Instant::now);
                if since.elapsed() >= SILENCE_MAX {
                    self.last.problem = Some(problem.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
