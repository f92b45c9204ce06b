//! The beginning: what must be there, and who is refused.

use rustix::process::Signal;

use crate::place::{Place, soon};

#[test]
fn a_second_one_is_refused_with_the_first_ones_pid() {
    let place = Place::new();
    let mut up = place.up();
    up.own();
    let answer = place.answer(&["up"]).replace(&up.pid().to_string(), "[pid]");
    insta::assert_snapshot!(answer, @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: the state directory `[place]/state` is in use by process [pid]
    hint: one Onitu per state directory; stop that one, or give this one its own `state_dir`
    "#);
    assert!(up.end(Signal::TERM).success());
}

#[test]
fn without_a_metadata_server_it_says_how_to_install_one() {
    let place = Place::new();
    let tools = place.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    std::os::unix::fs::symlink("/bin/cat", tools.join("cat")).unwrap();
    let output = place.onitu(&["up"]).env("PATH", tools).output().unwrap();
    insta::assert_snapshot!(place.shown(&output), @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: `redis-server` is not installed
    hint: install it by `apt install redis-server`, or name an existing server by `redis = "redis+unix:///…"` in `[onitu]`
    "#);
    assert!(!place.state().exists(), "nothing was begun");
}

#[test]
fn without_its_own_programs_it_says_so() {
    let place = Place::new();
    std::fs::remove_file(place.path().join("bin/onitu-referee")).unwrap();
    // A copy of its own: beside the built one there may be a built Referee.
    let own = place.path().join("bin/onitu");
    std::fs::copy(env!("CARGO_BIN_EXE_onitu"), &own).unwrap();
    let output = std::process::Command::new(own)
        .arg("up")
        .current_dir(place.path())
        .env("HOME", place.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    insta::assert_snapshot!(place.shown(&output), @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    error: `onitu-referee` is missing
    hint: it belongs beside `onitu`; install Onitu again
    "#);
}

#[test]
fn a_metadata_server_that_does_not_start_is_a_failure() {
    let place = Place::new();
    place.program("redis-server", "echo 'Bad file format reading the append only file'; exit 1");
    insta::assert_snapshot!(place.answer(&["up"]), @r#"
    exit code: 1
    ----- stdout -----
    ----- stderr -----
    warning: redis ended (exit status: 1: Bad file format reading the append only file); starting it again in 0.1 s
    warning: redis ended (exit status: 1: Bad file format reading the append only file); starting it again in 0.2 s
    warning: redis ended (exit status: 1: Bad file format reading the append only file); starting it again in 0.4 s
    error: the metadata server `[place]/bin/redis-server` doesn't start: exit status: 1: Bad file format reading the append only file
    hint: `[place]/state/log/onitu.log` says more; its data is in `[place]/state/redis`, and losing that loses no file: moved away, everything is compared anew
    "#);
}

#[test]
fn a_deep_state_directory_works() {
    let place = Place::new();
    let deep = format!("{}/state", "directory-with-a-long-name/".repeat(12));
    let text = place.read("entries.toml").replace("./state", &deep);
    place.write("entries.toml", &text);
    let mut up = place.up();
    let log = place.path().join(&deep).join("log/onitu.log");
    soon("the Core runs", || {
        let log = std::fs::read_to_string(&log).unwrap_or_default();
        log.contains("core: started").then_some(())
    });
    assert_eq!(up.end(Signal::TERM).code(), Some(0));
}

#[test]
fn an_existing_metadata_server_is_used_instead_of_a_new_one() {
    let place = Place::new();
    let text = place.read("entries.toml");
    let text = text.replace("[onitu]", "[onitu]\nredis = \"redis+unix:///run/other.sock\"");
    place.write("entries.toml", &text);
    place.program("onitu-core", "echo \"$@\" > arguments; exec sleep 600");
    let mut up = place.up();
    up.process("core");
    let arguments = soon("arguments", || Some(place.read("arguments")).filter(|it| !it.is_empty()));
    assert!(arguments.contains("--redis redis+unix:///run/other.sock"), "{arguments}");
    assert!(up.processes().iter().all(|process| process.name != "redis"));
    assert_eq!(up.end(Signal::TERM).code(), Some(0));
}
