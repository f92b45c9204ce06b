//! What the commands say, word for word.

use crate::place::Place;

#[test]
fn a_right_configuration_is_told() {
    insta::assert_snapshot!(Place::new().answer(&["check"]), @r#"
    exit code: 0
    ----- stdout -----
    entries.toml is fine: 2 services (laptop, nas)
    ----- stderr -----
    "#);
}

/// A place with three mistakes.
fn mistaken() -> Place {
    let place = Place::new();
    place.write(
        "entries.toml",
        "[onitu]\nstate_dir = \"./state\"\nrules = \"\"\"\nsync everything to laptop, naz\n\"\"\"\n\n\
         [services.laptop]\ndriver = \"locale\"\nroot = \"./laptop\"\n\n\
         [services.nas]\ndriver = \"local\"\nrot = \"./nas\"\n",
    );
    place
}

#[test]
fn every_mistake_is_told_at_once_with_exit_code_78() {
    let place = mistaken();
    let check = place.answer(&["check"]);
    insta::assert_snapshot!(check, @r#"
    exit code: 78
    ----- stdout -----
    ----- stderr -----
    warning: unknown service `naz` in a rule; nothing is sent there
      --> entries.toml:4:28
       |
     4 | sync everything to laptop, naz
       |                            ^^^
    hint: did you mean `nas`?

    error: unknown driver `locale` in service `laptop`
      --> entries.toml:8:10
       |
     8 | driver = "locale"
       |          ^^^^^^^^
    hint: did you mean `local`?

    error: unknown option `rot` of driver `local` in service `nas`
       --> entries.toml:13:1
        |
     13 | rot = "./nas"
        | ^^^
    hint: did you mean `root`?
    "#);
    assert_eq!(place.answer(&["up"]), check);
    assert!(!place.state().exists());
}

#[test]
fn every_mistake_is_told_to_machines() {
    insta::assert_snapshot!(mistaken().answer(&["check", "--json"]), @r#"
    exit code: 78
    ----- stdout -----
    {
      "config": "entries.toml",
      "fine": false,
      "services": [],
      "problems": [
        {
          "severity": "warning",
          "file": "entries.toml",
          "line": 4,
          "column": 28,
          "message": "unknown service `naz` in a rule; nothing is sent there",
          "hints": [
            "did you mean `nas`?"
          ]
        },
        {
          "severity": "error",
          "file": "entries.toml",
          "line": 8,
          "column": 10,
          "message": "unknown driver `locale` in service `laptop`",
          "hints": [
            "did you mean `local`?"
          ]
        },
        {
          "severity": "error",
          "file": "entries.toml",
          "line": 13,
          "column": 1,
          "message": "unknown option `rot` of driver `local` in service `nas`",
          "hints": [
            "did you mean `root`?"
          ]
        }
      ]
    }
    ----- stderr -----
    "#);
}

#[test]
fn without_a_configuration_the_places_are_named() {
    let place = Place::new();
    std::fs::remove_file(place.path().join("entries.toml")).unwrap();
    insta::assert_snapshot!(place.answer(&["check"]), @r#"
    exit code: 78
    ----- stdout -----
    ----- stderr -----
    error: there is no configuration at `entries.toml` or `[place]/home/.config/onitu/entries.toml`
    hint: write an `entries.toml`, or name one by `--config FILE`
    "#);
    insta::assert_snapshot!(place.answer(&["--config", "other.toml", "up"]), @r#"
    exit code: 78
    ----- stdout -----
    ----- stderr -----
    error: there is no configuration at `other.toml`
    hint: write an `entries.toml`, or name one by `--config FILE`
    "#);
}

#[test]
fn the_configuration_may_be_named_before_and_after_the_command_and_in_the_environment() {
    let place = Place::new();
    let text = place.read("entries.toml");
    place.write("other.toml", &text);
    place.write("entries.toml", "");
    let before = place.answer(&["--config", "other.toml", "check"]);
    assert!(before.contains("other.toml is fine: 2 services (laptop, nas)"), "{before}");
    assert_eq!(place.answer(&["check", "--config", "other.toml"]), before);
    let output = place.onitu(&["check"]).env("ONITU_CONFIG", "other.toml").output().unwrap();
    assert_eq!(place.shown(&output), before);
}

#[test]
fn a_wrong_command_line_has_exit_code_2() {
    let answer = Place::new().answer(&["upp"]);
    assert!(answer.starts_with("exit code: 2\n"), "{answer}");
}

#[test]
fn commands_say_when_nothing_runs() {
    insta::assert_snapshot!(Place::new().answer(&["reload"]), @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: Onitu isn't running (state directory `[place]/state`)
    hint: start it with `onitu up`
    "#);
}

#[test]
fn a_command_finds_the_instance_while_the_configuration_is_wrong() {
    let place = Place::new();
    let text = place.read("entries.toml").replace("root = \"./nas\"", "rot = 3");
    place.write("entries.toml", &text);
    assert!(place.answer(&["check"]).starts_with("exit code: 78"));
    assert!(place.answer(&["pause", "nas"]).contains("Onitu isn't running"));
}

/// What `onitu` says that stands beside the place's drivers, without those that are built.
fn beside_drivers(place: &Place, arguments: &[&str]) -> String {
    let own = place.path().join("bin/onitu");
    std::fs::copy(env!("CARGO_BIN_EXE_onitu"), &own).unwrap();
    let output = std::process::Command::new(own).args(arguments).env("PATH", "/bin").output();
    place.shown(&output.unwrap())
}

#[test]
fn what_a_driver_cant_do_is_told_in_words_and_rubbish_or_silence_stops_nothing() {
    let place = Place::new();
    let lacks = ["rename", "mtime", "symlinks", "exact_names"];
    let bucket = place.read("bin/onitu-driver-local").replace("\"local\"", "\"bucket\"");
    let bucket = lacks.iter().fold(bucket, |text, lack| {
        text.replace(&format!("\"{lack}\":true"), &format!("\"{lack}\":false"))
    });
    place.program("onitu-driver-bucket", bucket.trim_start_matches("#!/bin/sh\n"));
    place.program("onitu-driver-rubbish", "echo '{\"name\": 3}'");
    place.program("onitu-driver-silent", "exec sleep 60");
    let told = beside_drivers(&place, &["drivers"]);
    for part in [
        "\n  keeps the executable bit, keeps empty directories, knows renamed files again, keeps a \
         trash, no renames: content is sent again, no mtime, no symbolic links, no exact names: `a` \
         and `A` are one\n",
        "rubbish  broken: what `[place]/bin/onitu-driver-rubbish manifest` prints is no manifest: ",
        "silent  broken: `[place]/bin/onitu-driver-silent manifest` gave no answer within 5 s",
        "\nlocal 1.0  A folder of this machine\n",
    ] {
        assert!(told.contains(part), "{told}");
    }
}

#[test]
fn a_suite_that_isnt_installed_is_told_with_the_remedy() {
    let place = Place::new();
    insta::assert_snapshot!(beside_drivers(&place, &["driver", "test", "local"]), @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the suite `onitu-conformance` isn't installed beside `onitu`
    hint: `make install` puts it there
    "#);
}

#[test]
fn the_suite_gets_the_rest_of_the_command_line_and_its_exit_code_is_told() {
    let place = Place::new();
    place.program("onitu-conformance", "echo \"$@\"; exit 3");
    for line in [&["local", "--help"][..], &["local", "--option", "a=b", "-v"], &["--json", "x"]] {
        let told = beside_drivers(&place, &[&["driver", "test"], line].concat());
        assert_eq!(
            told,
            format!("exit code: 3\n----- stdout -----\n{}\n----- stderr -----\n", line.join(" "))
        );
    }
}

#[test]
fn drivers_are_listed_and_a_broken_one_with_its_error() {
    let place = Place::new();
    place.program("onitu-driver-broken", "echo 'no library' >&2; exit 1");
    let shown = |arguments: &[&str]| beside_drivers(&place, arguments);
    insta::assert_snapshot!(shown(&["drivers"]), @r#"
    exit code: 0
    ----- stdout -----
    broken  broken: `[place]/bin/onitu-driver-broken manifest` failed (exit status: 1): no library
      [place]/bin/onitu-driver-broken

    local 1.0  A folder of this machine
      [place]/bin/onitu-driver-local
      renames in place, keeps mtime, keeps the executable bit, keeps empty directories, keeps symbolic links, knows renamed files again, exact names, keeps a trash
      root (folder, required)  The folder.

    ----- stderr -----
    "#);
    let json = shown(&["drivers", "--json"]);
    for part in ["\"name\": \"local\"", "\"kind\": \"folder\"", "\"error\": \"`[place]/bin/"] {
        assert!(json.contains(part), "{json}");
    }
}
