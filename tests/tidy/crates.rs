//! Who knows whom, asked from cargo.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::files;
use crate::nothing_in;

/// More than there are, and few enough that another one is noticed. Raise it with a reason: SSH's
/// algorithms are a hundred of them, the AWS SDK and TLS, which Dropbox needs too, another hundred.
const PACKAGES_MAX: usize = 460;

/// What is heavy, and so never compiled into a crate that doesn't use it.
const STORE_AND_BUS: [&str; 2] = ["redis", "zeromq"];
const SDKS: [&str; 2] = ["aws-sdk-s3", "rustls"];
const CONFIGURATION: [&str; 2] = ["toml_edit", "annotate-snippets"];
/// Drivers have time zones, for the hours of `limit`.
const ZONES: [&str; 1] = ["jiff"];

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo).args(arguments).current_dir(files::root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The crates of the house with the names of their dependencies on each other, by kind.
fn house() -> BTreeMap<String, Vec<(String, bool)>> {
    let metadata: Value =
        serde_json::from_str(&cargo(&["metadata", "--no-deps", "--offline", "--format-version=1"]))
            .unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &Value| value["name"].as_str().unwrap().to_owned();
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    packages
        .iter()
        .map(|package| {
            let known = package["dependencies"].as_array().unwrap().iter();
            let known = known.map(|it| (name(it), it["kind"] == "dev"));
            (name(package), known.filter(|(name, _)| ours.contains(name)).collect())
        })
        .collect()
}

/// Whom a crate may know.
fn may_know(who: &str, whom: &str, only_in_tests: bool) -> bool {
    match who {
        "onitu-core" | "xtask" => false,
        // Servers for tests know nothing of Onitu; some are written in Python.
        server if server.starts_with("onitu-test-") => whom == "onitu-test-python",
        "onitu-core-server" | "onitu-referee" | "onitu-plug" | "onitu" => whom == "onitu-core",
        "onitu-conformance" => {
            // Core and the harness of real processes are for its program.
            ["onitu-plug", "onitu-core", "onitu-tests"].contains(&whom)
                || (only_in_tests && whom.starts_with("onitu-driver-"))
        }
        // Only what tests, tests everything.
        "onitu-sim" | "onitu-tests" => true,
        driver if driver.starts_with("onitu-driver-") => {
            let is_for_tests = whom == "onitu-conformance" || whom.starts_with("onitu-test-");
            whom == "onitu-plug" || (only_in_tests && is_for_tests)
        }
        _ => panic!("`{who}` is new: say here whom it may know"),
    }
}

#[test]
fn every_crate_knows_only_whom_it_may() {
    let mut wrong = Vec::new();
    for (who, known) in house() {
        for (whom, only_in_tests) in known {
            if !may_know(&who, &whom, only_in_tests) {
                wrong.push(format!("`{who}` knows `{whom}`"));
            }
        }
    }
    nothing_in(&wrong, "docs/architecture.md says who knows whom");
}

#[test]
fn heavy_parts_are_compiled_only_where_they_are_used() {
    let nothing_of = |groups: &[&[&'static str]]| groups.concat();
    let light = [
        ("onitu-core", nothing_of(&[&STORE_AND_BUS, &CONFIGURATION, &ZONES, &["globset", "clap"]])),
        ("onitu", nothing_of(&[&STORE_AND_BUS])),
        ("onitu-referee", nothing_of(&[&CONFIGURATION, &ZONES])),
        ("onitu-driver-local", nothing_of(&[&CONFIGURATION, &SDKS])),
        ("onitu-driver-dropbox", vec!["toml_edit", "annotate-snippets", "russh", "aws-sdk-s3"]),
        ("onitu-driver-s3", nothing_of(&[&CONFIGURATION, &["russh"]])),
        ("onitu-driver-sftp", nothing_of(&[&CONFIGURATION, &["rustls"]])),
        ("onitu-sim", nothing_of(&[&STORE_AND_BUS, &CONFIGURATION, &ZONES])),
        ("xtask", nothing_of(&[&STORE_AND_BUS, &CONFIGURATION, &ZONES, &["globset", "clap"]])),
    ];
    let mut wrong = Vec::new();
    for (name, heavy) in light {
        let tree = cargo(&[
            "tree",
            "-p",
            name,
            "-e",
            "normal",
            "--prefix=none",
            "--offline",
            "--format={p}",
        ]);
        let compiled: BTreeSet<&str> =
            tree.lines().filter_map(|line| line.split(' ').next()).collect();
        assert!(compiled.contains(name), "`{name}` isn't in its own tree:\n{tree}");
        let found = heavy.iter().filter(|it| compiled.contains(**it));
        wrong.extend(found.map(|it| format!("`{name}` compiles `{it}`")));
    }
    nothing_in(&wrong, "a heavy part belongs behind a feature of who uses it");
}

#[test]
fn the_tree_of_dependencies_stays_small() {
    let lock = std::fs::read_to_string(files::root().join("Cargo.lock")).unwrap();
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    assert!(count <= PACKAGES_MAX, "{count} packages in Cargo.lock, at most {PACKAGES_MAX} wanted");
}

#[test]
fn every_shared_version_is_used() {
    let manifests: Vec<_> =
        files::all().into_iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    let root = manifests.iter().find(|file| file.path == "Cargo.toml").unwrap();
    let shared = root.text.split("[workspace.dependencies]").nth(1).unwrap();
    let shared = shared.split("\n[").next().unwrap();
    let names = shared.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
    let is_used = |name: &str| {
        manifests.iter().filter(|file| file.path != "Cargo.toml").any(|file| {
            file.text.lines().any(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with(".workspace") || rest.starts_with(" ="))
            })
        })
    };
    let unused: Vec<String> = names.filter(|name| !is_used(name)).map(str::to_owned).collect();
    nothing_in(&unused, "a version in `[workspace.dependencies]` that no crate uses");
}
