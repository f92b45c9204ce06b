//! How many paths a second a set of rules places, on one core.
//!
//! A hundred mixed statements (globs of all kinds, a third of them with conditions) place a hundred
//! thousand realistic paths (`ONITU_BENCH_ENTRIES`), of which some match nothing, most a few and
//! some many. The peer, in the same run on the same paths, is `globset`'s own single matchers, one
//! after another, without conditions or placing. Ends with 1 when the budget of design §7 is missed.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::process::ExitCode;

use fastrand::Rng;
use globset::{GlobBuilder, GlobMatcher};
use onitu_core::rules::{Facts, Rules};
use onitu_core::{Kind, Mode, Path, Service, ServiceId};
use tokio::time::Instant;

/// Paths a second that design §7 wants.
const BUDGET: f64 = 1_000_000.0;
/// Rounds over all paths, of which the best counts: the machine may be busy.
const ROUNDS: usize = 7;
const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;
const NOW_NS: i64 = 20_000 * DAY_NS;
const SERVICES: [&str; 5] = ["laptop", "nas", "s3", "phone", "dropbox"];
const EXTENSIONS: [&str; 12] =
    ["jpg", "png", "txt", "pdf", "mp4", "rs", "tmp", "docx", "zip", "o", "json", "md"];
const PLACES: [&str; 20] = [
    "Photos",
    "Documents",
    "Music",
    "Work",
    "src",
    "Archive",
    "Camera",
    "Scans",
    "Mail",
    "Private",
    "Videos",
    "Projects",
    "Invoices",
    "Backups",
    "Notes",
    "Books",
    "Games",
    "Recipes",
    "Letters",
    "Downloads",
];

/// A path with its size and mtime.
type File = (Path, u64, i64);

fn main() -> ExitCode {
    let count = std::env::var("ONITU_BENCH_ENTRIES").ok().and_then(|it| it.parse().ok());
    let mut rng = Rng::with_seed(7);
    let files: Vec<File> = (0..count.unwrap_or(100_000)).map(|_| any_file(&mut rng)).collect();
    let (text, globs) = hundred_rules();
    let since = Instant::now();
    let (rules, problems) = Rules::parse(&text, &SERVICES.map(str::to_owned));
    let Some(rules) = rules else {
        println!("error: the rules are wrong: {problems:?}");
        return ExitCode::FAILURE;
    };
    let read_ms = since.elapsed().as_secs_f64() * 1_000.0;
    let bytes: usize = files.iter().map(|(path, _, _)| path.as_str().len()).sum();
    println!(
        "{} paths of {:.1} bytes in the mean, {} statements, {} globs",
        files.len(),
        bytes as f64 / files.len() as f64,
        text.lines().count(),
        globs.len()
    );
    println!("read, compiled and checked in {read_ms:.1} ms, {} warnings", problems.len());
    let services = services();
    let place = best(&files, |file| rules.place(&facts(file), &services, &[]).targets.len());
    let excludes = best(&files, |file| usize::from(rules.excludes(&file.0)));
    let peer =
        best(&files, |file| globs.iter().filter(|glob| glob.is_match(file.0.as_str())).count());
    println!("place:             {:>12.0} paths/s (≥ {BUDGET:.0})", place.rate);
    println!(
        "  of which placed: {:>12.1} % of the paths, {:.2} services each",
        place.some_percent, place.mean
    );
    println!(
        "excludes:          {:>12.0} paths/s, {:.1} % excluded",
        excludes.rate, excludes.some_percent
    );
    println!(
        "globset, one by one: {:>10.0} paths/s; `place` is {:.1} times as fast",
        peer.rate,
        place.rate / peer.rate
    );
    if place.rate >= BUDGET { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the best round over all files gave.
struct Figure {
    rate: f64,
    /// Files for which the answer wasn't zero.
    some_percent: f64,
    /// The mean of the answers.
    mean: f64,
}

fn best(files: &[File], ask: impl Fn(&File) -> usize) -> Figure {
    let mut figure = Figure { rate: 0.0, some_percent: 0.0, mean: 0.0 };
    for _ in 0..ROUNDS {
        let (mut some, mut sum) = (0_usize, 0_usize);
        let since = Instant::now();
        for file in files {
            let answer = black_box(ask(black_box(file)));
            some += usize::from(answer > 0);
            sum += answer;
        }
        let count = files.len() as f64;
        figure.rate = figure.rate.max(count / since.elapsed().as_secs_f64());
        figure.some_percent = some as f64 * 100.0 / count;
        figure.mean = sum as f64 / count;
    }
    figure
}

fn facts((path, size, mtime_ns): &File) -> Facts<'_> {
    Facts {
        kind: Some(Kind::File),
        size: Some(*size),
        mtime_ns: Some(*mtime_ns),
        origin: Some(ServiceId(1)),
        ..Facts::of_path(path, NOW_NS)
    }
}

fn services() -> Vec<Service> {
    let service = |(at, name): (usize, &&str)| Service {
        id: ServiceId(at as u16 + 1),
        name: (*name).to_owned(),
        driver: "local".to_owned(),
        mode: Mode::Sync,
        paused: false,
        options: BTreeMap::new(),
    };
    SERVICES.iter().enumerate().map(service).collect()
}

/// A path as people have them: one to five directories, a name with an extension.
fn any_file(rng: &mut Rng) -> File {
    let mut path = rng.choice(PLACES).unwrap_or_default().to_owned();
    for _ in 0..rng.usize(0..4) {
        let directory = match rng.u8(0..20) {
            0 => "node_modules".to_owned(),
            1 => ".git".to_owned(),
            2..6 => format!("{}", rng.u16(1990..2030)),
            _ => format!("{}-{}", rng.choice(PLACES).unwrap_or_default(), rng.u8(..)),
        };
        path = format!("{path}/{directory}");
    }
    let extension = rng.choice(EXTENSIONS).unwrap_or_default();
    path = format!("{path}/Some holiday IMG_{:05}.{extension}", rng.u16(..));
    let path = Path::new(&path).unwrap_or_else(|_| Path::root());
    let magnitude = rng.u8(8..30);
    (path, rng.u64(0..1 << magnitude), NOW_NS - rng.i64(0..1_000) * DAY_NS)
}

/// A hundred statements of all kinds, and their globs alone.
fn hundred_rules() -> (String, Vec<GlobMatcher>) {
    let mut lines = Vec::new();
    let mut globs = Vec::new();
    for at in 0..100 {
        let (place, extension) = (PLACES[at % PLACES.len()], EXTENSIONS[at % EXTENSIONS.len()]);
        let (first, second) = (SERVICES[at % 5], SERVICES[(at * 3 + 1) % 5]);
        let glob = match at % 10 {
            0 => format!("{place}/{at}/**"),
            1 => format!("**/*.{extension}{at}"),
            2 => format!("{place}-{at}/**"),
            3 => format!("{place}/20{at:02}/*.{extension}"),
            4 => format!("**/{place}-{at}/**"),
            5 => format!("**/*IMG_{at:02}*"),
            6 => format!("{{{place},Shared}}/{at}*/**"),
            7 => format!("{place}/**/*.{extension}"),
            8 => format!("**/[a-f]{at}?.{extension}"),
            _ => format!("**/cache-{at}"),
        };
        let line = match at % 10 {
            0 => format!("keep 2 copies of \"{glob}\" on any of laptop, nas, s3"),
            2 => format!("keep \"{glob}\" only on laptop, {second}"),
            4 | 9 => format!("never sync \"{glob}\""),
            3 => format!("sync \"{glob}\" where size < 50 MB to {first}"),
            5 => format!("sync \"{glob}\" where name matches /_{at}[0-9]+/ to {first}"),
            7 => format!("sync \"{glob}\" where newer than 90 days and type is image/* to {first}"),
            8 => format!("move \"{glob}\" where older than 1 year to {first}"),
            _ => format!("sync \"{glob}\" to {first}, {second}"),
        };
        lines.push(line);
        globs.extend(GlobBuilder::new(&glob).literal_separator(true).build());
    }
    lines.push("sync everything where size < 1 MB and not ext in tmp, o to nas".to_owned());
    lines.push("sync everything to laptop".to_owned());
    lines.push("never sync \"**/.git/**\", \"**/node_modules/**\", \"**/*.tmp\"".to_owned());
    let globs = globs.iter().map(globset::Glob::compile_matcher).collect();
    (lines.join("\n"), globs)
}
