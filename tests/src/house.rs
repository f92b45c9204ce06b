//! A private directory with folders, a configuration, and the commands that are run in it.
//!
//! What concerns the running `onitu up` stands in `running.rs`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::tree::differences;
use crate::{Files, Must, SmallDisk, programs};

/// Where programs of the system are, `redis-server` among them.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// A file system in memory, on most machines.
const MEMORY: &str = "/dev/shm";

/// One service of the configuration.
#[derive(Debug)]
struct Service {
    driver: String,
    /// Its folder; empty if it has none.
    root: PathBuf,
    /// Whether the folder is the option `root`.
    has_root: bool,
    /// Further lines of its section.
    options: Vec<String>,
}

/// Folders kept in step by a real Onitu, ended with everything it started when this is dropped.
#[derive(Debug)]
pub struct House {
    services: BTreeMap<String, Service>,
    /// Further lines of `[onitu]`.
    settings: Vec<String>,
    /// A program with its arguments that starts the others, such as `setpriv`.
    pub(crate) through: Vec<String>,
    path_variable: String,
    /// Commands have the environment of this process, too.
    inherits: bool,
    /// How long [`House::wait`] waits, as on the command line.
    patience: String,
    /// Where the programs are.
    pub(crate) programs: PathBuf,
    pub(crate) up: Option<Child>,
    disks: Vec<SmallDisk>,
    /// Where the state directory is, if not in `directory`.
    memory: Option<TempDir>,
    directory: TempDir,
}

impl House {
    /// Starts an Onitu with an empty folder for each of `services`, and waits until it is in step.
    pub fn new(services: &[&str]) -> House {
        let mut house = House::prepared(services);
        house.up();
        house.wait();
        house
    }

    /// As [`House::new`], but nothing runs yet.
    pub fn prepared(services: &[&str]) -> House {
        let directory = TempDir::with_prefix("onitu").must("a temporary directory");
        for name in ["run", "home", "bin"] {
            std::fs::create_dir(directory.path().join(name)).must("a directory");
        }
        let mut house = House {
            services: BTreeMap::new(),
            settings: vec!["state_dir = \"./state\"".to_owned()],
            through: Vec::new(),
            path_variable: PATH.to_owned(),
            inherits: false,
            patience: "60s".to_owned(),
            programs: programs::directory(),
            up: None,
            disks: Vec::new(),
            memory: None,
            directory,
        };
        for name in services {
            house.add_service(name);
        }
        house
    }

    /// The directory of all this.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Leaves the directory where it is when this is dropped.
    pub fn keep(&mut self) {
        self.directory.disable_cleanup(true);
        if let Some(memory) = &mut self.memory {
            memory.disable_cleanup(true);
        }
    }

    /// The folder of a service.
    pub fn root(&self, service: &str) -> &Path {
        &self.services.get(service).must(service).root
    }

    /// The folder of a service, to edit.
    pub fn files(&self, service: &str) -> Files {
        Files::new(self.root(service))
    }

    /// The names of the services, in order.
    pub fn services(&self) -> Vec<String> {
        self.services.keys().cloned().collect()
    }

    /// The state directory.
    pub fn state_dir(&self) -> PathBuf {
        self.path().join("state")
    }

    /// The text of a file in the directory of all this; empty if there is none.
    pub fn text_of(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_default()
    }

    /// What Onitu has logged.
    pub fn log(&self) -> String {
        self.text_of("state/log/onitu.log")
    }

    // The configuration. Each change is written; a running Onitu sees it at its reload.

    /// Adds a service with a new, empty folder.
    pub fn add_service(&mut self, name: &str) {
        let root = self.path().join(name);
        std::fs::create_dir(&root).must("a folder");
        self.add_service_at(name, root);
    }

    /// Adds a service whose folder is `root`, which need not exist.
    pub fn add_service_at(&mut self, name: &str, root: PathBuf) {
        let (driver, options) = ("local".to_owned(), Vec::new());
        let service = Service { driver, root, has_root: true, options };
        self.services.insert(name.to_owned(), service);
        self.write_entries();
    }

    /// Adds a service whose storage is described by its options alone; where that is a folder of
    /// this machine, `root` is it.
    pub fn add_service_of(
        &mut self,
        name: &str,
        driver: &str,
        options: Vec<String>,
        root: Option<PathBuf>,
    ) {
        let (driver, root) = (driver.to_owned(), root.unwrap_or_default());
        let service = Service { driver, root, has_root: false, options };
        self.services.insert(name.to_owned(), service);
        self.write_entries();
    }

    /// Takes a service out of the configuration.
    pub fn remove_service(&mut self, name: &str) {
        self.services.remove(name).must(name);
        self.write_entries();
    }

    /// Changes a service's driver.
    pub fn set_driver(&mut self, service: &str, driver: &str) {
        driver.clone_into(&mut self.services.get_mut(service).must(service).driver);
        self.write_entries();
    }

    /// Adds a line to a service's section: `mode = "source"`.
    pub fn add_option(&mut self, service: &str, line: &str) {
        self.services.get_mut(service).must(service).options.push(line.to_owned());
        self.write_entries();
    }

    /// Replaces the lines that were added to a service's section.
    pub fn set_options(&mut self, service: &str, lines: &[&str]) {
        let options = lines.iter().map(|line| (*line).to_owned()).collect();
        self.services.get_mut(service).must(service).options = options;
        self.write_entries();
    }

    /// Adds a line to `[onitu]`.
    pub fn add_setting(&mut self, line: &str) {
        self.settings.push(line.to_owned());
        self.write_entries();
    }

    /// Replaces the rules.
    pub fn set_rules(&mut self, rules: &str) {
        self.settings.retain(|line| !line.starts_with("rules"));
        self.settings.push(format!("rules = '''\n{rules}\n'''"));
        self.write_entries();
    }

    /// Writes a file in the directory of all this, `entries.toml` for instance.
    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).must(name);
    }

    /// As [`House::write`], for something that nobody else may read.
    #[track_caller]
    pub fn write_secret(&self, name: &str, text: &str) {
        self.write(name, text);
        self.files_here().chmod(name, 0o600);
    }

    fn files_here(&self) -> Files {
        Files::new(self.path())
    }

    fn write_entries(&self) {
        let mut text = format!("[onitu]\n{}\n", self.settings.join("\n"));
        for (name, service) in &self.services {
            let (driver, options) = (&service.driver, service.options.join("\n"));
            // What is no folder has options of its own.
            let is_folder = service.has_root && !service.root.as_os_str().is_empty();
            let root = is_folder.then(|| format!("root = \"{}\"", service.root.display()));
            let root = root.unwrap_or_default();
            let section = format!("\n[services.{name}]\ndriver = \"{driver}\"\n{root}\n{options}");
            writeln!(text, "{section}").must("write to a text");
        }
        self.write("entries.toml", &text);
    }

    // The surroundings.

    /// Makes an executable script in the directory that is searched for programs first.
    pub fn add_program(&self, name: &str, script: &str) {
        let bin = Files::new(self.path().join("bin"));
        bin.write(name, format!("#!/bin/sh\n{script}\n"));
        bin.chmod(name, 0o755);
    }

    /// Sets where programs of the system are looked for.
    pub fn set_path_variable(&mut self, value: &str) {
        value.clone_into(&mut self.path_variable);
    }

    /// Commands are run with the environment of this process, as a user of its programs would.
    pub fn inherit_environment(&mut self) {
        self.inherits = true;
    }

    /// Sets how long [`House::wait`] waits: `300s`.
    pub fn set_patience(&mut self, limit: &str) {
        limit.clone_into(&mut self.patience);
    }

    /// Everything is started by this program with its arguments.
    pub fn run_through(&mut self, program_and_arguments: &[&str]) {
        self.through = program_and_arguments.iter().map(|it| (*it).to_owned()).collect();
    }

    /// Everything is started as a user whom permissions concern. Call it last before the start:
    /// what is there by then is given to that user.
    pub fn run_as_nobody(&mut self) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let programs = self.path().join("programs");
        std::fs::create_dir(&programs).must("a directory");
        programs::copy_to(&programs);
        self.programs = programs;
        let given = Command::new("chown").args(["-R", "65534:65534"]).arg(self.path()).status();
        assert!(given.must("start `chown`").success(), "the directory is given to nobody");
        let setpriv = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
        self.run_through(&setpriv);
    }

    /// Keeps the state directory in memory, where there is such a place: no disk is ever slow there,
    /// so Redis writes each of its commits before it answers. Call it before the start.
    pub fn keep_state_in_memory(&mut self) {
        self.memory = TempDir::with_prefix_in("onitu", MEMORY).ok();
        if let Some(memory) = &self.memory {
            std::os::unix::fs::symlink(memory.path(), self.state_dir()).must("a link");
        }
    }

    /// A disk of `bytes` at the existing directory `at`. Whether there is one: see [`SmallDisk`].
    pub fn mount(&mut self, at: &Path, bytes: u64) -> bool {
        let disk = SmallDisk::mount(at, bytes);
        let is_mounted = disk.is_some();
        self.disks.extend(disk);
        is_mounted
    }

    /// Where one of Onitu's programs is.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    // The commands.

    /// `onitu` with these arguments in this directory, and nothing else of the environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let onitu = self.programs.join("onitu");
        let mut command = match self.through.split_first() {
            Some((program, before)) => {
                let mut command = Command::new(program);
                command.args(before).arg(onitu);
                command
            }
            None => Command::new(onitu),
        };
        command.args(arguments).current_dir(self.path());
        if self.inherits {
            command.env_remove("ONITU_CONFIG").env_remove("ONITU_LOG");
        } else {
            let home = self.path().join("home");
            command.env_clear().env("PATH", &self.path_variable).env("HOME", home);
        }
        command
            .env("XDG_RUNTIME_DIR", self.path().join("run"))
            .env("ONITU_BIN_DIR", self.path().join("bin"));
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().must("start `onitu`")
    }

    /// Runs a command that must succeed, and returns what it says.
    #[track_caller]
    pub fn say(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "`onitu {}`: {error}", arguments.join(" "));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command that must succeed, and returns what it tells the person (on stderr).
    #[track_caller]
    pub fn tell(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "`onitu {}`: {told}", arguments.join(" "));
        told
    }

    /// Runs a command that must fail with this exit code, and returns its stderr.
    #[track_caller]
    pub fn fail(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "`onitu {}`: {error}", arguments.join(" "));
        error
    }

    /// Runs a command that prints JSON.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.say(arguments)).must("JSON")
    }

    /// `onitu status --json`.
    #[track_caller]
    pub fn status(&self) -> Value {
        self.json(&["status", "--json"])
    }

    /// A service's part of the status; [`None`] while nobody can tell.
    pub fn service(&self, name: &str) -> Option<Value> {
        let status = self.status_if_answered()?;
        status["services"].as_array()?.iter().find(|it| it["name"] == name).cloned()
    }

    pub(crate) fn status_if_answered(&self) -> Option<Value> {
        let output = self.run(&["status", "--json"]);
        if output.status.success() { serde_json::from_slice(&output.stdout).ok() } else { None }
    }

    /// `onitu wait`: returns when everything that was changed before this call is everywhere.
    #[track_caller]
    pub fn wait(&self) {
        self.say(&["wait", "--timeout", &self.patience]);
    }

    // The folders.

    /// Every folder holds the same: names, kinds, bytes, executable bits, links and times.
    #[track_caller]
    pub fn assert_alike(&self) {
        self.compare(true);
    }

    /// As [`House::assert_alike`], times aside: equal files that nobody copied keep theirs.
    #[track_caller]
    pub fn assert_same_contents(&self) {
        self.compare(false);
    }

    #[track_caller]
    fn compare(&self, with_times: bool) {
        let roots = self.services.values().map(|it| it.root.as_path());
        let roots: Vec<&Path> = roots.filter(|root| !root.as_os_str().is_empty()).collect();
        for other in &roots[1..] {
            let found = differences(roots[0], other, with_times);
            let first: Vec<String> = found.iter().take(20).cloned().collect();
            let count = found.len();
            assert!(found.is_empty(), "{count} differences:\n  {}", first.join("\n  "));
        }
    }
}
