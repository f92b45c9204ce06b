//! The command line.

use clap::Parser;

const EXAMPLES: &str = "\
Placeholders in values and in --prepare:
  {folder}   A fresh folder of this machine, for each case. Where an option names it, the suite
             edits the files in it as a user would (unless --opaque is given)
  {fresh}    A fresh name, for each case: a prefix of a bucket, a directory of a server
A value may name variables of the environment: 'secret=${SECRET}'.

Examples:
  onitu driver test local
  onitu driver test s3 --option bucket=tests --option 'prefix={fresh}/' --option endpoint=http://…
  onitu driver test sftp --option host=nas --option user=ada --option 'root=/srv/{fresh}' \\
      --prepare 'ssh ada@nas mkdir /srv/{fresh}'";

/// Runs the conformance suite and rounds of chaos against an installed driver.
#[derive(Debug, Clone, Parser)]
#[allow(clippy::struct_excessive_bools, reason = "flags of the command line")]
#[command(
    name = "onitu driver test",
    bin_name = "onitu driver test",
    version,
    max_term_width = 100,
    after_help = EXAMPLES
)]
pub(super) struct Arguments {
    /// The driver: the program `onitu-driver-NAME`, beside `onitu` or on `PATH`.
    pub(super) name: String,
    /// One of the driver's options, as it would stand in `entries.toml`. May be repeated.
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(super) options: Vec<String>,
    /// A command for `sh` that makes each fresh storage.
    #[arg(long, value_name = "COMMAND")]
    pub(super) prepare: Option<String>,
    /// The files in {folder} are edited as a user would, even where no option names it.
    #[arg(long, conflicts_with = "opaque")]
    pub(super) folder: bool,
    /// The files in {folder} are the driver's own and not edited.
    #[arg(long)]
    pub(super) opaque: bool,
    /// Only cases whose room or name has this in it; no chaos then.
    #[arg(long, value_name = "PATTERN")]
    pub(super) cases: Option<String>,
    /// How many cases run at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) jobs: u16,
    /// Leaves the rounds of chaos out.
    #[arg(long)]
    pub(super) no_chaos: bool,
    /// How many rounds of chaos.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) rounds: u64,
    /// Decides what happens in the rounds; printed when it isn't given.
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Prints one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}
