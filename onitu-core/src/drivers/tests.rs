use std::os::unix::fs::PermissionsExt;

use super::*;

const LOCAL: &str = r#"{"name":"local","description":"A folder","version":"1","protocol":PROTOCOL,
  "options":[{"name":"root","kind":"folder","required":true,"help":"Where."}],
  "abilities":{"rename":true,"mtime":true,"executable":true,"directories":true,"symlinks":true,
  "tag_survives_rename":true,"exact_names":true,"trash":true}}"#;

fn manifest_text() -> String {
    LOCAL.replace("PROTOCOL", &message::VERSION.to_string())
}

fn place() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn script(place: &Path, name: &str, body: &str) -> PathBuf {
    let file = place.join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn printing(place: &Path, name: &str, text: &str) -> PathBuf {
    script(place, name, &format!("cat <<'END'\n{text}\nEND"))
}

#[test]
fn the_first_directory_wins_and_only_programs_are_drivers() {
    let (first, second) = (place(), place());
    let wanted = script(first.path(), "onitu-driver-local", "");
    script(second.path(), "onitu-driver-local", "");
    let other = script(second.path(), "onitu-driver-s3", "");
    std::fs::write(first.path().join("onitu-driver-notes"), "not executable").unwrap();
    std::fs::create_dir(first.path().join("onitu-driver-folder")).unwrap();
    script(first.path(), "onitu-driver-", "");
    let places = Places::new(vec![first.path().to_owned(), second.path().to_owned()]);

    let found = places.drivers();

    let expected = [("local".to_owned(), wanted.clone()), ("s3".to_owned(), other)];
    assert_eq!(found, BTreeMap::from(expected));
    assert_eq!(places.driver("local"), Some(wanted));
    assert_eq!(places.driver("notes"), None);
}

#[test]
fn a_name_can_not_leave_the_directories() {
    let outer = place();
    std::fs::create_dir_all(outer.path().join("onitu-driver-x")).unwrap();
    script(outer.path(), "evil", "");
    let places = Places::new(vec![outer.path().to_owned()]);
    assert_eq!(places.driver("x/../evil"), None);
    assert_eq!(places.driver(""), None);
}

#[test]
fn a_manifest_is_read() {
    let place = place();
    let program = printing(place.path(), "onitu-driver-local", &manifest_text());
    let manifest = manifest("local", &program).unwrap();
    assert_eq!(manifest.name, "local");
    assert_eq!(manifest.options[0].name, "root");
}

#[test]
fn every_broken_driver_says_how_it_is_broken() {
    let place = place();
    let here = place.path();
    let short = |name: &str, program: &Path| {
        let error = manifest_within(name, program, Duration::from_millis(300)).unwrap_err();
        error.to_string().replace(&format!("{}/", here.display()), "")
    };
    let fails = script(here, "onitu-driver-fails", "echo no library >&2; exit 3");
    assert_eq!(
        short("fails", &fails),
        "`onitu-driver-fails manifest` failed (exit status: 3): no library"
    );
    let other = printing(here, "onitu-driver-other", &manifest_text());
    assert_eq!(short("other", &other), "`onitu-driver-other` calls itself `local`");
    let old = LOCAL.replace("PROTOCOL", "250");
    let old = printing(here, "onitu-driver-local", &old);
    assert!(short("local", &old).contains("speaks version 250 of the protocol"));
    let chatty = script(here, "onitu-driver-chatty", "echo hello");
    assert!(short("chatty", &chatty).contains("is no manifest"));
    assert!(short("missing", &here.join("missing")).contains("can't be started"));
}

#[test]
fn a_silent_driver_is_not_waited_for_and_is_ended() {
    let place = place();
    let pid_file = place.path().join("pid");
    let body = format!("echo $$ > {}; exec sleep 600", pid_file.display());
    let silent = script(place.path(), "onitu-driver-silent", &body);
    let error = manifest_within("silent", &silent, Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, ManifestError::Silent { .. }), "{error}");
    let pid = std::fs::read_to_string(pid_file).unwrap();
    assert!(!Path::new("/proc").join(pid.trim()).exists());
}

#[test]
fn one_broken_driver_does_not_hide_the_others() {
    let place = place();
    printing(place.path(), "onitu-driver-local", &manifest_text());
    script(place.path(), "onitu-driver-broken", "exit 1");
    let installed = Places::new(vec![place.path().to_owned()]).installed();
    let names: Vec<_> = installed.iter().map(|one| (&*one.name, one.manifest.is_ok())).collect();
    assert_eq!(names, [("broken", false), ("local", true)]);
}
