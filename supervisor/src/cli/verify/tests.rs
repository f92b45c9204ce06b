use onitu_core::Path;
use onitu_core::verify::{Finding, FindingKind, Phase, VerifyStatus};

use super::*;

fn status() -> VerifyStatus {
    VerifyStatus {
        id: 7,
        deep: true,
        phase: Phase::Reading,
        checked: 1_204,
        total: 1_204,
        files: 540,
        files_total: 1_100,
        bytes: 3 << 30,
        bytes_total: 12 << 30,
        bytes_per_s: 80 << 20,
        eta_s: Some(115),
        ..VerifyStatus::default()
    }
}

fn verifying(service: &str, verify: VerifyStatus) -> Verifying {
    Verifying { service: service.to_owned(), verify: Some(verify), problem: None }
}

fn finding(path: &str, kind: FindingKind, message: &str) -> Finding {
    Finding { path: Path::new(path).expect("legal"), kind, message: message.to_owned() }
}

#[test]
fn the_display_tells_of_what_is_under_way() {
    let looking = VerifyStatus { phase: Phase::Looking, checked: 120, eta_s: None, ..status() };
    let ended = VerifyStatus { phase: Phase::Ended, ..status() };
    let found = VerifyStatus { rotten: 1, missing: 2_000, ..status() };
    let all = [
        verifying("laptop", looking),
        verifying("nas", found),
        verifying("usb", ended),
        Verifying { service: "sd".into(), verify: None, problem: Some("away".into()) },
    ];
    insta::assert_snapshot!(text::progress(all.iter()), @"laptop: 9 % of 1,204 paths looked at · nas: 25 % of 12.0 GiB read, 80.0 MiB/s, 1 min 55 s left, 1 rotten, 2,000 missing");
}

#[test]
fn a_summary_for_a_person() {
    let sound = VerifyStatus { phase: Phase::Ended, deep: false, ..status() };
    let rotten = VerifyStatus {
        phase: Phase::Ended,
        part: "3/30".parse().expect("a part"),
        rotten: 1,
        missing: 30,
        findings: vec![
            finding("d/a\nb", FindingKind::Rotten, "other bytes"),
            finding("c", FindingKind::Missing, "nothing is there"),
        ],
        ..status()
    };
    let stopped = VerifyStatus { phase: Phase::Ended, stopped: Some("stopped".into()), ..status() };
    let mut silent = verifying("usb", status());
    silent.problem = Some("`usb` can't be asked".to_owned());
    let refused = Verifying { service: "x".into(), verify: None, problem: Some("paused".into()) };
    let all = [
        verifying("laptop", sound),
        verifying("nas", rotten),
        verifying("sd", stopped),
        silent,
        refused,
    ];
    let told = format!("{}{}", text::summary(&all), text::advice(&all).join("\n"));
    insta::assert_snapshot!(told, @r"
    laptop: sound; 1,204 paths looked at
    nas: not sound; 1,204 paths in part 3/30 looked at, 540 files (3.0 GiB) read; 1 rotten, 30 missing
      rotten: d/a\nb: other bytes
      missing: c: nothing is there
      29 more
    sd: not finished, stopped; 1,204 paths looked at, 540 files (3.0 GiB) read
    usb: not finished, `usb` can't be asked; 1,204 paths looked at, 540 files (3.0 GiB) read
    hint: what another service holds is being repaired: `onitu wait` returns when it is done, `onitu conflicts` lists what was set aside
    hint: what changed or is missing is being looked at: see `onitu wait`
    ");
}

#[test]
fn nothing_is_advised_where_nothing_can_be_done() {
    let rotten = VerifyStatus { rotten: 2, unrepairable: 2, unreadable: 1, ..status() };
    assert!(text::advice(&[verifying("nas", rotten)]).is_empty());
}

#[test]
fn a_rate_has_a_unit_and_no_hours() {
    assert_eq!(rate("10 MB/s"), Ok(10_000_000));
    for wrong in ["10", "10 MB", "fast", "10 MB/s 08:00-18:00", "0 B/s"] {
        assert!(rate(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_driver_is_given_up_and_another_verification_is_not_taken_for_this_one() {
    let silent = || Verifying {
        service: "nas".into(),
        verify: None,
        problem: Some("can't be asked".into()),
    };
    let mut watched = Watched::new(verifying("nas", status()));
    watched.hear(silent());
    assert!(!watched.is_over());
    watched.hear(verifying("nas", VerifyStatus { files: 541, ..status() }));
    tokio::time::advance(SILENCE_MAX).await;
    watched.hear(silent());
    assert!(!watched.is_over(), "it was heard in between");
    tokio::time::advance(SILENCE_MAX).await;
    watched.hear(silent());
    assert!(watched.is_over() && watched.last.problem.is_some());

    let mut watched = Watched::new(verifying("nas", status()));
    watched.hear(verifying("nas", VerifyStatus { id: 8, ..status() }));
    assert!(watched.is_over() && watched.last.problem.is_some());
}
