use onitu_core::status::{Problem, TransferStatus};
use onitu_core::{FaultKind, Holder, KEEPS_SYMLINKS, Kind, Tag};

use super::*;
use crate::tests::{House, path, put, record, registry};

/// A status in which every service of `registry` is ready.
fn all_ready(registry: &Registry) -> Status {
    let services = registry.services.iter().map(|service| ServiceStatus {
        name: service.name.clone(),
        driver: service.driver.clone(),
        state: ServiceState::Ready,
        reason: None,
        files: 0,
        used_bytes: 0,
        quota_bytes: None,
        pending: 0,
        unable: 0,
        pid: Some(1),
        scanned: 0,
        problems: Vec::new(),
        problems_total: 0,
        transfers: Vec::new(),
        held: None,
        verify: None,
    });
    Status { services: services.collect(), ..Status::default() }
}

/// A path of which nothing is supposed.
fn supposed(at: &str) -> Supposed {
    Supposed { path: path(at), size: None, age_s: None, from: None, media: None }
}

/// Explains `a.txt`, which is noted as pending for `nas`, of the services `laptop`, `nas` and `usb`.
fn explain(
    record: Option<&Record>,
    faults: &[(ServiceId, Fault)],
    change: impl FnOnce(&mut Status),
) -> Explanation {
    explain_among(&registry(&["laptop", "nas", "usb"]), record, faults, change)
}

fn explain_among(
    registry: &Registry,
    record: Option<&Record>,
    faults: &[(ServiceId, Fault)],
    change: impl FnOnce(&mut Status),
) -> Explanation {
    let mut status = all_ready(registry);
    change(&mut status);
    explanation(&Question {
        path: &path("a.txt"),
        supposed: &supposed("a.txt"),
        registry,
        in_force: &InForce::new(registry),
        ignoring: &onitu_core::ignore::Ignoring::default(),
        record,
        status: &status,
        faults,
        since_ms: &BTreeMap::from([(ServiceId(2), 1_000_000_000_000)]),
        rules_place: None,
    })
}

fn pending(explanation: &Explanation) -> Vec<String> {
    let line = |it: &PendingStatus| format!("{}: {} ({})", it.service, it.work, it.reason);
    explanation.pending.iter().map(line).collect()
}

fn unable(explanation: &Explanation) -> Vec<(&str, &str)> {
    explanation.unable.iter().map(|it| (it.service.as_str(), it.reason.as_str())).collect()
}

#[test]
fn a_file_in_step_is_told_whole() {
    let held = record(Kind::File, "hello", &[1, 2, 3]);
    let explanation = explain(Some(&held), &[], |_| {});
    let json = serde_json::to_string_pretty(&explanation).unwrap();
    insta::assert_snapshot!(json, @r#"
    {
      "path": "a.txt",
      "revision": 1,
      "gone": false,
      "kind": "file",
      "size": 5,
      "checksum": "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d",
      "media": "text/plain",
      "holders": [
        {
          "service": "laptop",
          "revision": 1,
          "current": true,
          "leaving": false
        },
        {
          "service": "nas",
          "revision": 1,
          "current": true,
          "leaving": false
        },
        {
          "service": "usb",
          "revision": 1,
          "current": true,
          "leaving": false
        }
      ],
      "targets": [
        "laptop",
        "nas",
        "usb"
      ],
      "only": null,
      "excluded": false,
      "changes_at_ms": null,
      "ignored": null,
      "rules_file": null,
      "statements": [
        {
          "line": 0,
          "text": "no rules: everything goes to every service",
          "matches": true,
          "unmet": null
        }
      ],
      "pending": [],
      "unable": []
    }
    "#);
}

#[test]
fn an_unknown_path_has_revision_0_and_its_targets() {
    let explanation = explain(None, &[], |_| {});
    assert_eq!((explanation.revision, explanation.kind), (0, None));
    assert_eq!(explanation.targets, ["laptop", "nas", "usb"]);
    assert!(explanation.holders.is_empty() && explanation.pending.is_empty());
}

#[test]
fn each_pending_service_has_its_nearest_reason() {
    let held = record(Kind::File, "hello", &[1]);
    let plain = explain(Some(&held), &[], |_| {});
    assert_eq!(
        pending(&plain),
        ["nas: get revision 1 (its turn comes)", "usb: get revision 1 (its turn comes)"]
    );
    let full = Fault::new(FaultKind::Full, "no space left on `/srv/nas`");
    let faults = [(ServiceId(2), full)];
    let failing = explain(Some(&held), &faults, |status| {
        status.services[2].state = ServiceState::Unavailable;
        status.services[2].reason = Some("the root is gone".to_owned());
    });
    assert_eq!(
        pending(&failing),
        [
            "nas: get revision 1 (no space left on `/srv/nas`)",
            "usb: get revision 1 (the service is unavailable: the root is gone)"
        ]
    );
}

#[test]
fn who_keeps_no_links_is_told_with_what_it_has_instead() {
    let mut registry = registry(&["laptop", "nas", "usb"]);
    registry.services[1].options.insert(KEEPS_SYMLINKS.to_owned(), false.into());
    let mut link = Record { revision: 3, ..record(Kind::Symlink, "target", &[]) };
    link.set_holder(ServiceId(1), 3, Tag::of(b"x"));
    link.set_holder(ServiceId(2), 1, Tag::of(b"y"));
    let told = explain_among(&registry, Some(&link), &[], |_| {});
    assert_eq!(pending(&told), ["usb: get revision 3 (its turn comes)"]);
    let why = "`nas` keeps no symbolic links; what it has of revision 1 stays there";
    assert_eq!(unable(&told), [("nas", why)]);
    assert_eq!(told.targets, ["laptop", "nas", "usb"], "as the rules say");
    link.drop_holder(ServiceId(2));
    let told = explain_among(&registry, Some(&link), &[], |_| {});
    assert_eq!(unable(&told), [("nas", "`nas` keeps no symbolic links")]);
}

#[test]
fn what_was_refused_for_good_is_nothing_to_do_and_told_with_the_reason() {
    let held = record(Kind::File, "hello", &[1]);
    let (asked_again, given_up) = (ServiceId(2), ServiceId(3));
    let why = "such a name can't be held";
    let fault = |service, kind| [(service, Fault::new(kind, why))];
    for kind in [FaultKind::InvalidName, FaultKind::Unsupported] {
        let told = explain(Some(&held), &fault(given_up, kind), |_| {});
        assert_eq!(pending(&told), ["nas: get revision 1 (its turn comes)"], "{kind:?}");
        assert_eq!(unable(&told), [("usb", why)], "{kind:?}");
        let told = explain(Some(&held), &fault(asked_again, kind), |_| {});
        assert_eq!(pending(&told)[0], format!("nas: get revision 1 ({why})"), "{kind:?}");
        assert_eq!(unable(&told), [], "{kind:?}: `status` counts it as pending");
    }
    let told = explain(Some(&held), &fault(given_up, FaultKind::Denied), |_| {});
    assert_eq!((pending(&told).len(), unable(&told).len()), (2, 0), "it may pass");
}

#[test]
fn a_transfer_under_way_is_told_with_its_progress() {
    let held = record(Kind::File, "hello", &[1, 3]);
    let explanation = explain(Some(&held), &[], |status| {
        status.services[1].transfers.push(TransferStatus {
            path: path("a.txt"),
            from: "laptop".to_owned(),
            done_bytes: 34,
            size_bytes: 100,
            bytes_per_s: 1,
            eta_s: None,
        });
    });
    assert_eq!(
        pending(&explanation),
        ["nas: get revision 1 (being transferred from `laptop`, 34 % done)"]
    );
}

#[test]
fn a_source_that_is_away_is_named() {
    let held = record(Kind::File, "hello", &[1]);
    let away = |status: &mut Status| status.services[0].state = ServiceState::Paused;
    let explanation = explain(Some(&held), &[], away);
    assert_eq!(
        pending(&explanation)[0],
        "nas: get revision 1 (only `laptop` holds it, which is not available)"
    );
    let mut lost = held;
    lost.revision = 2;
    let explanation = explain(Some(&lost), &[], |_| {});
    assert_eq!(
        pending(&explanation)[..2],
        [
            "laptop: tell what it has: nobody holds revision 2 any more (its turn comes)",
            "nas: get revision 2 (no service holds the current revision any more)"
        ]
    );
}

#[test]
fn a_conflict_is_told_from_both_sides() {
    let mut held = record(Kind::File, "hello", &[1, 3]);
    held.content.checksum = None;
    held.set_holder(ServiceId(2), Holder::FOREIGN, Tag::of(b"y"));
    let explanation = explain(Some(&held), &[], |_| {});
    assert_eq!(
        pending(&explanation),
        [
            "laptop: tell the checksum of its content (its turn comes)",
            "nas: compare its own content (waits until `laptop` or `usb` has told its checksum)",
            "usb: tell the checksum of its content (its turn comes)"
        ]
    );
}

#[test]
fn a_deletion_on_its_way_is_told() {
    let mut gone = record(Kind::File, "hello", &[2]);
    gone.gone = true;
    gone.revision = 2;
    let explanation = explain(Some(&gone), &[], |_| {});
    assert!(explanation.gone);
    assert_eq!(pending(&explanation), ["nas: remove it (its turn comes)"]);
}

#[test]
fn what_can_not_be_read_is_a_reason_too() {
    let explanation = explain(None, &[], |status| {
        let (path, message) = ("a.txt".to_owned(), "permission denied".to_owned());
        status.services[0].problems.push(Problem { path, message });
    });
    assert_eq!(pending(&explanation), ["laptop: take what stands there (permission denied)"]);
}

#[tokio::test]
async fn the_core_finds_record_and_faults_by_itself() {
    let house = House::new(&["laptop", "nas"]).await;
    house.drive(2, "nas").await;
    put(&house.store, &[("a.txt", record(Kind::File, "hello", &[1]))]).await;
    let explanation = house.core.explain(&supposed("a.txt")).await.unwrap();
    assert_eq!(explanation.revision, 1);
    assert_eq!(
        pending(&explanation),
        ["nas: get revision 1 (only `laptop` holds it, which is not available)"]
    );
    house.store.set_available(false);
    assert!(house.core.explain(&supposed("a.txt")).await.unwrap_err().contains("metadata store"));
}

#[tokio::test]
async fn what_does_not_exist_yet_is_explained_by_what_is_supposed_of_it() {
    let house = House::new(&["laptop", "nas"]).await;
    let mut configuration = crate::tests::configuration(&["laptop", "nas"]);
    let rules = "sync everything to laptop\nmove \"**/*.iso\" where size > 10 MB to nas\n\
                 sync \"x\" where from nas and older than 3 days to nas\nkeep \"p/**\" only on laptop";
    configuration.rules = Some(rules.to_owned());
    house.configure(Ok(configuration));
    house.core.answer(onitu_core::control::ToCore::Reload).await;
    let explain = |supposed: Supposed| {
        let core = house.core.clone();
        async move { core.explain(&supposed).await.unwrap() }
    };
    let small = explain(Supposed { size: Some(5), ..supposed("d/x.iso") }).await;
    assert_eq!(small.targets, ["laptop"]);
    let unmet: Vec<_> = small.statements.iter().filter_map(|it| it.unmet.clone()).collect();
    assert_eq!(unmet, ["size > 10 MB"]);
    let large = explain(Supposed { size: Some(50_000_000), ..supposed("d/x.iso") }).await;
    assert_eq!(large.targets, ["nas"]);
    let old = Supposed { age_s: Some(4 * 86_400), from: Some("nas".to_owned()), ..supposed("x") };
    assert_eq!(explain(old).await.targets, ["laptop", "nas"]);
    let private = explain(supposed("p/x")).await;
    assert_eq!(
        (private.targets, private.only.unwrap()),
        (vec!["laptop".to_owned()], vec!["laptop".to_owned()])
    );
    let from = Some("nass".to_owned());
    let unknown = house.core.explain(&Supposed { from, ..supposed("x") }).await;
    assert!(unknown.is_err());
}

#[test]
fn a_removal_that_waits_says_for_what() {
    let rules = "sync everything to laptop, nas, usb\nmove \"a.txt\" to nas";
    let waiting = |approved: &[&str], holders: &[u16]| {
        let mut registry = registry(&["laptop", "nas", "usb"]);
        registry.rules = Some(rules.to_owned());
        registry.approved = approved.iter().map(|&text| text.to_owned()).collect();
        let held = record(Kind::File, "hello", holders);
        let explanation = explanation(&Question {
            path: &path("a.txt"),
            supposed: &supposed("a.txt"),
            registry: &registry,
            in_force: &InForce::new(&registry),
            ignoring: &onitu_core::ignore::Ignoring::default(),
            record: Some(&held),
            status: &all_ready(&registry),
            faults: &[],
            since_ms: &BTreeMap::new(),
            rules_place: None,
        });
        pending(&explanation).join("\n")
    };
    insta::assert_snapshot!(waiting(&[], &[1, 2]), @"laptop: remove it, because the rules have it elsewhere (waits for `onitu apply`: `onitu plan` tells what it would do)");
    insta::assert_snapshot!(waiting(&[rules], &[1]), @r"
    laptop: remove it, because the rules have it elsewhere (waits until `nas` has revision 1)
    nas: get revision 1 (its turn comes)
    ");
    insta::assert_snapshot!(waiting(&[rules], &[1, 2]), @"laptop: remove it, because the rules have it elsewhere (its turn comes)");
}

#[test]
fn statements_are_told_by_the_line_of_their_file_and_work_by_its_beginning() {
    let mut registry = registry(&["laptop", "nas", "usb"]);
    registry.rules = Some("# mine\nsync everything to laptop, nas".to_owned());
    let since_ms = BTreeMap::from([(ServiceId(2), 1_000_000_000_000)]);
    let held = record(Kind::File, "hello", &[1]);
    let explanation = explanation(&Question {
        path: &path("a.txt"),
        supposed: &supposed("a.txt"),
        registry: &registry,
        in_force: &InForce::new(&registry),
        ignoring: &onitu_core::ignore::Ignoring::default(),
        record: Some(&held),
        status: &all_ready(&registry),
        faults: &[],
        since_ms: &since_ms,
        rules_place: Some(&(PathBuf::from("entries.toml"), 12)),
    });
    assert_eq!(explanation.rules_file.as_deref(), Some("entries.toml"));
    assert_eq!(explanation.statements[0].line, 13);
    assert_eq!(explanation.pending[0].since_ms, Some(1_000_000_000_000));
}
