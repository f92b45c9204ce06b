use super::*;

#[test]
fn sizes_are_short_and_never_rounded_up() {
    let table = [
        (0, "0 B"),
        (1_023, "1023 B"),
        (1_024, "1.0 KiB"),
        (1_535, "1.4 KiB"),
        (1_048_575, "1023.9 KiB"),
        (1_048_576, "1.0 MiB"),
        (5_905_580_032, "5.5 GiB"),
        (u64::MAX, "15.9 EiB"),
    ];
    for (count, expected) in table {
        assert_eq!(bytes(count), expected);
    }
}

#[test]
fn numbers_and_nouns() {
    assert_eq!(number(0), "0");
    assert_eq!(number(999), "999");
    assert_eq!(number(1_234_567), "1,234,567");
    assert_eq!(counted(1, "conflict"), "1 conflict");
    assert_eq!(counted(1_000, "conflict"), "1,000 conflicts");
}

#[test]
fn times_have_two_units() {
    assert_eq!(seconds(59), "59 s");
    assert_eq!(seconds(61), "1 min 1 s");
    assert_eq!(seconds(7_380), "2 h 3 min");
    assert_eq!(seconds(90_000), "1 d 1 h");
}

#[test]
fn names_can_not_steer_a_terminal() {
    assert_eq!(plain("é b.txt"), "é b.txt");
    assert_eq!(plain("a\nb\x1b[2J"), "a\\nb\\u{1b}[2J");
    assert_eq!(plain("evil\u{202e}gpj.exe"), "evil\\u{202e}gpj.exe");
}

#[test]
fn tables_line_up_with_and_without_colours() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let columns = [Align::Left, Align::Right, Align::Left];
    let rows = |paint: Paint| {
        vec![
            row(["NAME", "SIZE", "WHY"]),
            row(["é", "1", &paint.state(ServiceState::Ready, "ready")]),
            row(["longer", "1,000", ""]),
        ]
    };
    let plain = table(&columns, &rows(Paint::Plain));
    assert_eq!(plain, "NAME     SIZE  WHY\né           1  ready\nlonger  1,000\n");
    let colored = table(&columns, &rows(Paint::Colored));
    assert_eq!(colored, plain.replace("ready", "\x1b[32mready\x1b[0m"));
}
