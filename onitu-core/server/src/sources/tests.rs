use std::path::Path;

use onitu_core::held::Share;

use super::*;

const MANIFEST: &str = r#"{"name":"local","description":"A folder","version":"1",
"protocol":PROTOCOL,"options":[{"name":"root","kind":"folder","required":true,"help":"Where."}],
"abilities":{"rename":true,"mtime":true,"executable":true,"directories":true,"symlinks":true,
"tag_survives_rename":true,"exact_names":true,"trash":true}}"#;

/// A directory with a pretended local driver and `entries.toml`.
fn disk(entries: &str) -> (tempfile::TempDir, Disked) {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("onitu-driver-local");
    let manifest = MANIFEST.replace("PROTOCOL", &onitu_core::message::VERSION.to_string());
    std::fs::write(&program, format!("#!/bin/sh\ncat <<'END'\n{manifest}\nEND\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let config = dir.path().join("entries.toml");
    std::fs::write(&config, entries).unwrap();
    let disked =
        Disked::new(config, dir.path().to_owned(), Places::new(vec![dir.path().to_owned()]));
    (dir, disked)
}

fn entries(state_dir: &Path, services: &str) -> String {
    format!("[onitu]\nstate_dir = \"{}\"\n{services}", state_dir.display())
}

#[test]
fn a_configuration_is_read_with_absolute_roots_and_the_common_options() {
    let state = tempfile::tempdir().unwrap();
    let text = entries(state.path(), "[services.nas]\ndriver = \"local\"\nroot = \"./nas\"\n");
    let (dir, disked) = disk(&text);
    let configuration = disked.configuration().unwrap();
    assert_eq!(configuration.rules, None);
    let [nas] = &configuration.services[..] else { panic!("{configuration:?}") };
    assert_eq!((&*nas.name, &*nas.driver), ("nas", "local"));
    let root = nas.options["root"].as_str().unwrap();
    assert_eq!(Path::new(root), dir.path().join("nas"));
    assert!(nas.options["trash_days"].is_u64());
    assert!(disked.program("local").unwrap().ends_with("onitu-driver-local"));
}

#[test]
fn the_limits_of_the_brake_travel_with_the_options() {
    let state = tempfile::tempdir().unwrap();
    let services = "[services.nas]\ndriver = \"local\"\nroot = \"./nas\"\nmax_delete = \"30 %\"\n\
                    max_change = 500\n[services.usb]\ndriver = \"local\"\nroot = \"./usb\"\n";
    let (_dir, disked) = disk(&entries(state.path(), services));
    let configuration = disked.configuration().unwrap();
    let share = |at: usize, name: &str| {
        let value = configuration.services[at].options.get(name)?;
        Some(serde_json::from_value::<Share>(value.clone()).unwrap())
    };
    assert_eq!(share(0, "max_delete"), Some(Share::Percent(30)));
    assert_eq!(share(0, "max_change"), Some(Share::Count(500)));
    assert_eq!(share(1, "max_delete"), None);
}

#[test]
fn every_mistake_is_told_rendered() {
    let state = tempfile::tempdir().unwrap();
    let services = "[services.nas]\ndriver = \"lokal\"\n[services.usb]\ndriver = \"local\"\n";
    let (_dir, disked) = disk(&entries(state.path(), services));
    let problems = disked.configuration().unwrap_err();
    assert!(problems.contains("lokal") && problems.contains("root"), "{problems}");
    assert!(problems.starts_with("error"), "{problems}");
}

#[test]
fn a_file_that_can_not_be_read_is_named() {
    let disked =
        Disked::new(PathBuf::from("/nowhere/entries.toml"), PathBuf::new(), Places::default());
    let problems = disked.configuration().unwrap_err();
    assert!(problems.starts_with("error: can't read `/nowhere/entries.toml`"), "{problems}");
}

#[test]
fn a_missing_driver_says_what_to_install() {
    let disked = Disked::new(PathBuf::from("entries.toml"), PathBuf::new(), Places::default());
    insta::assert_snapshot!(
        disked.program("s3").unwrap_err(),
        @"its driver `s3` is not installed: install `onitu-driver-s3` beside `onitu` or on `PATH`, then run `onitu reload`"
    );
}

#[test]
fn what_is_remembered_of_rules_is_read_back_and_never_guessed() {
    let (dir, disked) = disk("");
    assert_eq!(disked.remembered(), Ok(None));
    let remembered = Remembered { rules: None, approved: vec!["move \"ü\" to nas".to_owned()] };
    disked.remember(&Remembered::default()).unwrap();
    disked.remember(&remembered).unwrap();
    assert_eq!(disked.remembered(), Ok(Some(remembered)));
    std::fs::write(dir.path().join(RULES_FILE), "{").unwrap();
    assert!(disked.remembered().is_err());
}

#[test]
fn that_a_driver_keeps_no_links_stands_with_its_options() {
    let services = "[services.nas]\ndriver = \"local\"\nroot = \"nas\"\n";
    let state = tempfile::tempdir().unwrap();
    let (dir, disked) = disk(&entries(state.path(), services));
    let told = |disked: &Disked| {
        let configuration = disked.configuration().unwrap();
        configuration.services[0].options.get(KEEPS_SYMLINKS).cloned()
    };
    assert_eq!(told(&disked), None);
    let program = dir.path().join("onitu-driver-local");
    let text = std::fs::read_to_string(&program).unwrap();
    std::fs::write(&program, text.replace("\"symlinks\":true", "\"symlinks\":false")).unwrap();
    assert_eq!(told(&disked), Some(Value::Bool(false)));
}
