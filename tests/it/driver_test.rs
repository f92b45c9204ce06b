//! `onitu driver test`: the suite and the chaos against installed programs.

use std::process::Stdio;
use std::time::Duration;

use onitu_test_dropbox::{ACCESS, APP_KEY, Server};
use onitu_test_sshd::Sshd;
use onitu_tests::{House, Must, Signal, eventually, found, signal_to};

/// A driver in the house's own directory that is the local one but for `changes` (of `sed`) to its
/// manifest, and for what the script does with `exercise`.
fn install(house: &House, name: &str, changes: &str, exercise: &str) {
    let local = house.program("onitu-driver-local").display().to_string();
    let script = format!(
        "case $1 in\n\
         manifest) '{local}' manifest | sed 's/\"name\": \"local\"/\"name\": \"{name}\"/;{changes}' ;;\n\
         exercise) {exercise} ;;\n\
         *) exec '{local}' \"$@\" ;;\nesac"
    );
    house.add_program(&format!("onitu-driver-{name}"), &script.replace("LOCAL", &local));
}

#[test]
fn the_local_driver_keeps_every_promise_from_outside_and_through_chaos() {
    let house = House::prepared(&[]);
    let told = house.say(&["driver", "test", "local", "--rounds", "3", "--seed", "5"]);
    assert!(told.starts_with("driver local "), "{told}");
    assert!(told.contains(" cases: ") && told.contains(", 0 broken\n"), "{told}");
    assert!(
        told.contains("no door         no space is told and loses nothing: no way to"),
        "{told}"
    );
    let chaos = told.lines().last().must("a last line");
    assert!(chaos.starts_with("chaos: 3 rounds (seed 5), "), "{told}");
    assert!(chaos.ends_with(" kills: nothing lost, everything in step"), "{told}");
    house.assert_nothing_runs();
}

#[test]
fn a_driver_whose_storage_ends_with_it_keeps_its_promises_over_several_connections() {
    let house = House::prepared(&[]);
    let told = house.json(&["driver", "test", "memory", "--no-chaos", "--json"]);
    assert_eq!((&told["driver"], &told["fine"]), (&"memory".into(), &true.into()), "{told:#}");
    assert_eq!((&told["counts"]["broken"], &told["chaos"]), (&0.into(), &serde_json::Value::Null));
    let count = |verdict: &str| told["counts"][verdict].as_u64().must(verdict);
    assert!(count("kept") > 120 && count("no_door") < 20, "{told:#}");
    let race = "an_edit_in_the_last_instant_is_not_lost";
    let cases = told["cases"].as_array().must("cases");
    let race = cases.iter().find(|case| case["name"] == race).must(race);
    assert_eq!(
        (&race["room"], &race["verdict"], &race["why"]),
        (&"crowds".into(), &"no_door".into(), &"no user beside the driver".into())
    );
}

#[test]
fn a_driver_that_claims_less_than_it_does_is_told_and_the_rest_is_kept() {
    let house = House::prepared(&[]);
    install(&house, "modest", "s/\"trash\": true/\"trash\": false/", "exec 'LOCAL' exercise");
    let output = house.run(&["driver", "test", "modest", "--cases", "manifest"]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    let line = told.lines().find(|line| line.trim_start().starts_with("broken")).must("a line");
    assert!(line.contains("a connection has no ability that the manifest denies: "), "{told}");
    assert!(line.contains("connected with `trash`, which the manifest denies"), "{told}");
    assert!(line.contains("cases/manifest.rs:"), "where it was noticed: {told}");
    assert!(told.contains(" 1 broken\n") && !told.contains("chaos"), "{told}");
}

#[test]
fn a_driver_that_ends_or_talks_rubbish_is_told_at_once() {
    let house = House::prepared(&[]);
    install(&house, "dead", "", "echo 'no library' >&2; exit 3");
    let error = house.fail(&["driver", "test", "dead"], 1);
    assert_eq!(
        error,
        "error: a fresh storage can't be connected (Bug): the driver's process is gone: its stdout \
         has ended; its last words: no library\n"
    );
    install(&house, "chatty", "", "echo 'Welcome to the driver, please wait'; cat > /dev/null");
    let error = house.fail(&["driver", "test", "chatty"], 1);
    assert!(error.contains("what it says can't be read: a frame of 1668048215 bytes"), "{error}");
}

#[test]
fn a_wrong_command_line_is_told_with_the_remedy() {
    let house = House::prepared(&[]);
    let error = house.fail(&["driver", "test", "locla"], 1);
    assert_eq!(error, "error: the driver `locla` isn't installed\nhint: did you mean `local`?\n");
    let error = house.fail(&["driver", "test", "gopher"], 1);
    assert_eq!(
        error,
        "error: the driver `gopher` isn't installed\n\
         hint: put `onitu-driver-gopher` on PATH; `onitu drivers` lists what is found\n"
    );
    install(&house, "needy", "s/\"folder\"/\"text\"/", "exit 1");
    let error = house.fail(&["driver", "test", "needy"], 2);
    assert!(error.contains("`needy` doesn't do without these options:\n  root: "), "{error}");
    assert!(
        error.ends_with("hint: as in `onitu driver test needy --option 'root=…'`\n"),
        "{error}"
    );
    let error = house.fail(&["driver", "test", "local", "--cases", "gopher"], 2);
    assert_eq!(error, "error: no case has `gopher` in its room or name\n");
    house.fail(&["driver", "test"], 2);
    house.fail(&["driver", "test", "local", "--jobs", "0"], 2);
    house.fail(&["driver", "test", "local", "--folder", "--opaque"], 2);
}

#[test]
fn a_storage_is_prepared_by_a_command_and_a_failing_one_is_told() {
    let house = House::prepared(&[]);
    let option = "root={folder}/{fresh}";
    let line = ["driver", "test", "local", "--opaque", "--cases", "looking", "--option", option];
    let prepared = [&line[..], &["--prepare", "mkdir '{folder}/{fresh}'"]].concat();
    let told = house.say(&prepared);
    assert!(told.contains(", 0 broken\n") && told.contains("no door"), "{told}");
    let error = house.fail(&line, 1);
    assert!(error.contains("can't be connected (Unavailable): "), "{error}");
    let failing = [&line[..], &["--prepare", "echo no quota >&2; false"]].concat();
    let error = house.fail(&failing, 1);
    assert!(error.contains("failed (exit status: 1): no quota"), "{error}");
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let house = House::prepared(&[]);
    let mut command = house.command(&["driver", "test", "local", "--cases", "r", "--jobs", "1"]);
    let temporary = house.path().join("temporary");
    std::fs::create_dir(&temporary).must("a directory");
    command.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().must("start `onitu`");
    let is_used = || std::fs::read_dir(&temporary).must("a directory").next().map(drop);
    found("a storage", is_used);
    signal_to(running.id(), Signal::INT);
    let limit = Duration::from_secs(20);
    let status = eventually("its end", limit, || running.try_wait().must("its state"));
    let output = running.wait_with_output().must("what it said");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((status.code(), error.as_str()), (Some(1), "error: interrupted\n"));
    house.assert_nothing_runs();
    assert!(is_used().is_none(), "something is left in `{}`", temporary.display());
}

/// `onitu driver test DRIVER` with these options and no door but the driver itself.
fn tried_through_itself(house: &House, driver: &str, cases: &str, options: &[String]) -> String {
    let mut line = vec!["driver", "test", driver, "--opaque", "--cases", cases];
    line.extend(options.iter().flat_map(|option| ["--option", option.as_str()]));
    house.say(&line)
}

/// Its edits have times of their own, or a storage that tells states by size and time alone would
/// be blamed for taking two of one size for one.
#[test]
fn a_user_who_edits_by_a_second_connection_is_told_from_the_first() {
    let (house, server) = (House::prepared(&[]), Sshd::start());
    let told = |name: &str, value: &std::path::Path| format!("{name}={}", value.display());
    let options = [
        "root={folder}".to_owned(),
        "host=127.0.0.1".to_owned(),
        format!("port={}", server.port()),
        format!("user={}", server.user()),
        told("private_key", &server.private_key()),
        told("known_hosts", &server.known_hosts()),
    ];
    let told = tried_through_itself(&house, "sftp", "another state", &options);
    assert!(told.contains("kept            another state is not removed\n"), "{told}");
    assert!(told.contains("kept            another state is not renamed\n"), "{told}");
    assert!(told.contains(", 0 broken\n"), "{told}");
}

#[test]
fn a_second_connection_has_a_state_directory_of_its_own_where_the_first_keeps_it() {
    let (house, server) = (House::prepared(&[]), Server::start().must("a server"));
    house.write_secret("token.json", &format!("{{\"access_token\": \"{ACCESS}\"}}"));
    let options = [
        format!("app_key={APP_KEY}"),
        format!("api_base={}", server.base()),
        format!("token_file={}", house.path().join("token.json").display()),
    ];
    let told = tried_through_itself(&house, "dropbox", "another state is not removed", &options);
    assert!(told.contains("1 case: 1 kept, "), "{told}");
}
