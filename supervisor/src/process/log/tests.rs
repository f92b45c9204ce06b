use super::*;

fn read(directory: &Path, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap_or_default()
}

#[test]
fn a_line_has_its_time_and_its_process() {
    let place = tempfile::tempdir().unwrap();
    let log = Log::open(place.path(), Screen::default()).unwrap();
    log.line("driver-nas", true, "INFO all is well");
    drop(log);
    // A later run goes on with it.
    Log::open(place.path(), Screen::default()).unwrap().note("again");
    let text = read(place.path(), "onitu.log");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("Z driver-nas: INFO all is well"), "{text}");
    assert!(lines[1].ends_with("Z supervisor: again"), "{text}");
    assert!(lines[0].starts_with("20") && lines[0].contains('T'), "{text}");
}

#[test]
fn it_is_put_aside_when_it_is_full_and_three_are_kept() {
    let place = tempfile::tempdir().unwrap();
    let log = Log::open_bounded(place.path(), Screen::default(), 1).unwrap();
    for number in 0..10 {
        log.note(&format!("line {number}"));
    }
    let names = ["onitu.log", "onitu.log.1", "onitu.log.2", "onitu.log.3", "onitu.log.4"];
    let last = names.map(|name| read(place.path(), name).trim().chars().last());
    assert_eq!(last, [Some('9'), Some('8'), Some('7'), Some('6'), None]);
}

#[test]
fn warnings_and_errors_are_told_from_the_rest() {
    for line in [
        "2026-11-22T15:00:00Z  WARN onitu_plug: slow",
        "ERROR onitu: bad",
        "error: no such root",
        "thread 'main' panicked at src/x.rs",
    ] {
        assert!(is_serious(line), "{line}");
    }
    for line in ["2026-11-22T15:00:00Z  INFO x: no ERROR here", "", "WARNINGS are not levels"] {
        assert!(!is_serious(line), "{line}");
    }
}
