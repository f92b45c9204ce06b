use super::*;
use crate::tests::{registry as numbered, service};

fn place() -> Place {
    Place {
        runtime_dir: PathBuf::from("/run/onitu"),
        redis_url: "redis+unix:///run/onitu/redis.sock".to_owned(),
    }
}

fn programs() -> BTreeMap<String, Result<PathBuf, String>> {
    BTreeMap::from([("local".to_owned(), Ok(PathBuf::from("/bin/onitu-driver-local")))])
}

fn arguments_of(service: Service, salt: &str) -> Vec<String> {
    let registry = Registry { services: vec![service], ..Registry::default() };
    let (mut run, _) = wanted(&registry, &programs(), &place(), salt);
    run.remove(0).arguments
}

#[test]
fn a_driver_is_run_with_the_arguments_the_runtime_knows() {
    let arguments = arguments_of(service(1, "nas"), "salt").join(" ");
    let (fixed, fingerprint) = arguments.rsplit_once(' ').unwrap();
    assert_eq!(
        fixed,
        "run --service nas --runtime /run/onitu --redis redis+unix:///run/onitu/redis.sock \
         --fingerprint"
    );
    assert_eq!(fingerprint.len(), 16);
}

#[test]
fn only_number_and_options_change_the_arguments() {
    let same = arguments_of(service(1, "nas"), "salt");
    let mut paused = service(1, "nas");
    assert_eq!(arguments_of(paused.clone(), "salt"), same);
    paused.options.insert("root".to_owned(), "/other".into());
    assert_ne!(arguments_of(paused, "salt"), same);
    assert_ne!(arguments_of(service(2, "nas"), "salt"), same);
    assert_ne!(arguments_of(service(1, "nas"), "other salt"), same);
}

#[test]
fn options_are_never_in_the_arguments() {
    let mut secret = service(1, "nas");
    secret.options.insert("password".to_owned(), "hunter2".into());
    assert!(!arguments_of(secret, "salt").join(" ").contains("hunter2"));
}

#[test]
fn a_paused_service_has_no_process_and_no_excuse() {
    let mut registry = numbered(&["nas", "usb"]);
    registry.services[0].paused = true;
    registry.services[1].driver = "floppy".to_owned();
    let mut programs = programs();
    programs.insert("floppy".to_owned(), Err("not installed".to_owned()));
    let (run, missing) = wanted(&registry, &programs, &place(), "salt");
    assert!(run.is_empty());
    assert_eq!(missing, BTreeMap::from([("usb".to_owned(), "not installed".to_owned())]));
}

#[test]
fn numbers_are_asked_for_in_the_order_they_were_given() {
    let mut known = numbered(&["nas", "laptop"]);
    known.services.reverse();
    let configuration = crate::tests::configuration(&["usb", "laptop", "nas"]);
    assert_eq!(names_by_age(&configuration, &known), ["nas", "laptop", "usb"]);
}

#[test]
fn changes_are_told_in_one_sentence() {
    let old = numbered(&["nas", "usb"]);
    let mut new = numbered(&["nas", "usb", "laptop"]);
    assert!(changes(&old, &old).is_empty());
    new.services[0].options.clear();
    new.services.remove(1);
    new.rules = Some("sync everything to nas".to_owned());
    assert_eq!(
        changes(&old, &new).join("; "),
        "added `laptop`; removed `usb`; changed `nas`; changed the rules"
    );
    assert_eq!(removed(&old, &new)[0].name, "usb");
}

#[test]
fn a_provisional_registry_has_every_service_once() {
    let provisional = provisional(&crate::tests::configuration(&["nas", "usb"]));
    assert_eq!(provisional.services.len(), 2);
    assert_ne!(provisional.services[0].id, provisional.services[1].id);
}
