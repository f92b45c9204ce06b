//! While it runs: what dies is started again, what is wanted runs, and the person is told.

use std::sync::{Arc, Mutex};

use onitu_core::control::{FromCore, FromSupervisor, ToCore, ToSupervisor};
use onitu_core::status::{ServiceState, ServiceStatus, Status};
use rustix::process::Signal;

use crate::place::{IDLES, Place, play_core, runs, signal, soon};

#[test]
fn each_process_is_started_again_alone() {
    let place = Place::new();
    let up = place.up();
    up.run(&["nas"], &place.program("driver", IDLES));
    let names = ["redis", "core", "referee", "driver-nas"];
    let mut pids = names.map(|name| up.process(name));
    for index in 0..names.len() {
        signal(pids[index], Signal::KILL);
        let again = soon(names[index], || {
            let process = up.processes().into_iter().find(|it| it.name == names[index])?;
            process.pid.filter(|pid| *pid != pids[index])
        });
        pids[index] = again;
        assert_eq!(names.map(|name| up.process(name)), pids, "the others went on");
    }
    let processes = up.processes();
    assert_eq!(processes.iter().map(|it| it.restarts).collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert_eq!(processes[1].last_exit.as_deref(), Some("killed by signal 9"));
}

#[test]
fn exactly_the_wanted_drivers_run_and_the_rest_is_left_alone() {
    let place = Place::new();
    let up = place.up();
    let driver = place.program("driver", IDLES);
    up.run(&["a", "b"], &driver);
    let (a, b) = (up.process("driver-a"), up.process("driver-b"));
    up.run(&["b", "c"], &driver);
    up.process("driver-c");
    soon("a ends", || (!runs(a)).then_some(()));
    assert_eq!(up.process("driver-b"), b);
    let names: Vec<_> = up.processes().into_iter().map(|it| it.name).collect();
    assert!(!names.contains(&"driver-a".to_owned()), "{names:?}");

    up.run(&["b"], &place.program("other", IDLES));
    soon("b is another program", || (up.process("driver-b") != b).then_some(()));
    assert!(!runs(b));
}

#[test]
fn what_is_no_driver_can_not_be_wanted() {
    let place = Place::new();
    let up = place.up();
    let wanted = |name: &str| onitu_core::control::Wanted {
        name: name.to_owned(),
        program: "/bin/true".into(),
        arguments: Vec::new(),
    };
    for names in [vec!["redis"], vec!["driver-"], vec!["driver-a", "driver-a"]] {
        let question = ToSupervisor::Run(names.iter().map(|name| wanted(name)).collect());
        assert!(matches!(up.ask(&question), FromSupervisor::Error(_)), "{names:?}");
    }
    let answer = up.ask(&ToSupervisor::Restart("driver-x".to_owned()));
    assert_eq!(answer, FromSupervisor::Error("there is no process `driver-x`".to_owned()));
}

#[test]
fn one_that_crashes_at_once_is_told_with_its_last_words() {
    let place = Place::new();
    let up = place.up();
    up.run(&["nas"], &place.program("driver", "echo fine\necho 'no such root' >&2\nexit 3"));
    let status = soon("it fails twice", || {
        up.processes().into_iter().find(|it| it.name == "driver-nas" && it.restarts >= 2)
    });
    assert_eq!(status.last_exit.as_deref(), Some("exit status: 3: no such root"));
    let stderr = place.read("stderr");
    let told =
        "warning: driver-nas ended (exit status: 3: no such root); starting it again in 0.1 s";
    assert!(stderr.contains(told), "{stderr}");
    assert!(place.read("state/log/onitu.log").contains("driver-nas: fine"));
    assert!(!stderr.contains("fine"), "{stderr}");
}

#[test]
fn one_line_says_that_the_services_are_connected_and_commands_reach_the_core() {
    let place = Place::new();
    let mut up = place.up();
    up.own();
    let states = Arc::new(Mutex::new([ServiceState::Ready, ServiceState::Starting]));
    let (reloads, asked) = std::sync::mpsc::channel();
    let shown = states.clone();
    play_core(&up, move |question| match question {
        ToCore::Status => FromCore::Status(Box::new(status(&shown.lock().unwrap()[..]))),
        ToCore::Reload => {
            reloads.send(()).unwrap();
            FromCore::Done("nothing changed".to_owned())
        }
        other => FromCore::Error { message: format!("{other:?}?"), code: 1 },
    });
    let answer = place.answer(&["reload"]);
    assert!(answer.starts_with("exit code: 0") && answer.contains("nothing changed"), "{answer}");
    asked.recv().unwrap();
    assert_eq!(place.read("stdout"), "");

    states.lock().unwrap()[1] = ServiceState::Scanning;
    let line = soon("the line", || Some(place.read("stdout")).filter(|it| it.ends_with('\n')));
    assert_eq!(line, "onitu: keeping in step: laptop, nas (state ./state)\n");

    signal(up.pid(), Signal::HUP);
    asked.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
    soon("told", || place.read("stderr").contains("reloaded: nothing changed").then_some(()));
    assert_eq!(up.end(Signal::TERM).code(), Some(0));
}

fn status(states: &[ServiceState]) -> Status {
    let services = ["laptop", "nas"].iter().zip(states).map(|(name, state)| ServiceStatus {
        name: (*name).to_owned(),
        driver: "local".to_owned(),
        state: *state,
        reason: None,
        files: 0,
        used_bytes: 0,
        quota_bytes: None,
        pending: 0,
        unable: 0,
        pid: None,
        scanned: 0,
        problems: Vec::new(),
        problems_total: 0,
        transfers: Vec::new(),
        held: None,
        verify: None,
    });
    Status { services: services.collect(), ..Status::default() }
}
