//! What the kernel doesn't tell: a queue that overflows, watches that don't suffice.

use std::process::Command;

use onitu_tests::{House, Signal, signal_to, soon};

#[test]
fn changes_the_kernel_dropped_are_found() {
    let house = House::new(&["a", "b"]);
    house.files("a").write("deep/er/known", "before");
    house.files("a").write("deep/er/removed", "before");
    house.wait();
    let queue = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let queue: usize = queue.trim().parse().unwrap();
    // Nobody takes the events while it is stopped; two files in turn, because equal ones are merged.
    let driver = house.pid_of("driver-a");
    signal_to(driver, Signal::STOP);
    let noise = house.files("a");
    for at in 0..queue {
        noise.append(["noise 0", "noise 1"][at % 2], "x");
    }
    noise.write("deep/er/known", "after, and nobody was told");
    noise.remove("deep/er/removed");
    noise.write("new/directory/file", "nor of this");
    signal_to(driver, Signal::CONT);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("deep/er/known").unwrap(), b"after, and nobody was told");
    assert!(house.files("b").has("new/directory/file"));
    soon("the overflow is told", || {
        house.log().contains("more happened at once than the kernel keeps")
    });
}

/// Bounds of inotify belong to a user namespace, so one of its own concerns no other test.
fn with_watches(count: usize, services: &[&str]) -> Option<House> {
    let script = "echo \"$1\" > /proc/sys/user/max_inotify_watches && shift && exec \"$@\"";
    let mut house = House::prepared(services);
    let count = count.to_string();
    let through =
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", count.as_str()];
    let allowed = Command::new(through[0]).args(&through[1..]).arg("true").output().unwrap();
    if !allowed.status.success() && std::env::var_os("ONITU_TEST_NO_MOUNT").is_some() {
        return None;
    }
    let error = String::from_utf8_lossy(&allowed.stderr).into_owned();
    assert!(allowed.status.success(), "this test needs root or user namespaces: {error}");
    house.run_through(&through);
    Some(house)
}

#[test]
fn too_few_watches_are_told_and_what_is_watched_still_travels_at_once() {
    let Some(mut house) = with_watches(60, &["a", "b"]) else { return };
    for at in 0..100 {
        house.files("a").write(format!("{at}/file"), "before");
    }
    house.up();
    house.wait();
    house.assert_alike();
    let mut reason = String::new();
    soon("it is told", || {
        let services = ["a", "b"].map(|name| house.service(name).unwrap());
        reason = services.iter().filter_map(|it| it["reason"].as_str()).collect();
        reason.contains("inotify")
    });
    assert!(reason.contains("max_user_watches"), "{reason}");
    // What nobody watches is found when it is asked for.
    for at in 0..100 {
        house.files("a").write(format!("{at}/file"), "after");
    }
    house.say(&["rescan"]);
    house.wait();
    house.assert_alike();
    assert_eq!(house.files("b").read("99/file").unwrap(), b"after");
}

#[test]
fn a_folder_that_gets_no_watch_at_all_is_polled_and_told() {
    let Some(mut house) = with_watches(0, &["a", "b"]) else { return };
    house.files("a").write("file", "1");
    house.up();
    house.wait();
    house.assert_alike();
    for name in ["a", "b"] {
        soon("it is told", || {
            let service = house.service(name).unwrap();
            let reason = service["reason"].as_str().unwrap_or_default();
            service["state"] == "ready" && reason.contains("sysctl fs.inotify.max_user_watches")
        });
    }
    house.files("b").write("file", "found by a rescan");
    house.say(&["rescan"]);
    house.wait();
    house.assert_alike();
}

#[test]
fn an_idle_house_uses_no_processor() {
    use onitu_tests::ticks;
    let house = House::new(&["a", "b"]);
    for at in 0..200 {
        house.files("a").write(format!("{}/{at}", at % 20), "x");
    }
    house.wait();
    let pids = ["driver-a", "driver-b", "core", "referee"].map(|name| house.pid_of(name));
    // Time is told by what Redis serves: every heartbeat and report of an idle house ends there.
    let uptime = || -> u64 {
        let info = house.redis(&["INFO", "server"]);
        let line = info.lines().find_map(|line| line.strip_prefix("uptime_in_seconds:"));
        line.unwrap().trim().parse().unwrap()
    };
    let begin = (uptime(), pids.map(ticks));
    soon("four seconds have passed", || uptime() >= begin.0 + 4);
    let used: Vec<u64> =
        pids.iter().zip(begin.1).map(|(pid, before)| ticks(*pid) - before).collect();
    // A hundredth of a second each; one percent of a processor is far more than it takes.
    assert!(used.iter().sum::<u64>() <= 16, "{used:?} ticks in four seconds");
}
