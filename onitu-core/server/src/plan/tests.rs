use onitu_core::control::ToCore;

use super::*;
use crate::tests::{House, configuration, put, record};

const MOVE: &str = "sync everything to laptop, nas, s3\nmove \"a/**\" to nas";

async fn house(rules: Option<&str>) -> House {
    let house = House::new(&["laptop", "nas", "s3"]).await;
    let files = [
        ("a/both", record(Kind::File, "hello", &[1, 2])),
        ("a/laptop", record(Kind::File, "hi", &[1])),
        ("b/all", record(Kind::File, "hi", &[1, 2, 3])),
        ("b", record(Kind::Directory, "", &[1, 2, 3])),
    ];
    put(&house.store, &files).await;
    reload(&house, rules).await;
    house
}

async fn reload(house: &House, rules: Option<&str>) -> String {
    let mut configuration = configuration(&["laptop", "nas", "s3"]);
    configuration.rules = rules.map(str::to_owned);
    house.configure(Ok(configuration));
    match house.core.answer(ToCore::Reload).await {
        FromCore::Done(said) => said,
        other => panic!("{other:?}"),
    }
}

async fn plan(house: &House, rules: Option<&str>) -> Plan {
    let rules = rules.map(|text| ("new.rules".to_owned(), text.to_owned()));
    match house.core.answer(ToCore::Plan(PlanQuestion { rules })).await {
        FromCore::Plan(plan) => *plan,
        other => panic!("{other:?}"),
    }
}

async fn apply(house: &House, id: &str) -> Result<String, String> {
    match house.core.answer(ToCore::Apply(id.to_owned())).await {
        FromCore::Done(said) => Ok(said),
        FromCore::Error { message, code: 1 } => Err(message),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_plan_tells_what_each_service_gets_and_loses() {
    let house = house(None).await;
    let plan = plan(&house, Some(MOVE)).await;
    let [laptop, nas, s3] = &plan.services[..] else { panic!("{plan:?}") };
    assert_eq!((laptop.removed.files, laptop.removed.bytes, laptop.copied.files), (2, 7, 0));
    assert_eq!((nas.removed.files, nas.copied.files, nas.copied.bytes), (0, 1, 2));
    assert_eq!((s3.removed.files, s3.copied.files), (0, 0));
    assert_eq!(plan.one_copy.files, 2);
    assert_eq!(
        plan.one_copy.examples.iter().map(Path::as_str).collect::<Vec<_>>(),
        ["a/both", "a/laptop"]
    );
    assert_eq!((plan.unplaced.files, plan.forgotten.files, plan.in_force), (0, 0, false));
}

#[tokio::test]
async fn files_that_nothing_places_and_files_that_are_excluded_are_counted() {
    let house = house(None).await;
    let plan = plan(&house, Some("sync \"a/*\" to nas\nnever sync \"a/both\"")).await;
    assert_eq!((plan.unplaced.files, plan.forgotten.files, plan.removals()), (1, 1, 0));
}

#[tokio::test]
async fn nothing_is_approved_of_before_the_plan_is_applied() {
    let house = house(None).await;
    let said = reload(&house, Some(MOVE)).await;
    assert!(said.contains("onitu plan"), "{said}");
    assert!(house.registry().await.approved.is_empty());
    let id = plan(&house, None).await.id;
    assert_eq!(plan(&house, Some(MOVE)).await.id, id, "the same rules from a file");
    apply(&house, &id).await.unwrap();
    assert_eq!(house.registry().await.approved, [MOVE]);
    assert_eq!(plan(&house, None).await.removals(), 0, "all of it is approved of");
}

#[tokio::test]
async fn a_plan_is_refused_when_the_world_or_the_rules_are_others() {
    let house = house(Some(MOVE)).await;
    let id = plan(&house, None).await.id;
    put(&house.store, &[("b/new", record(Kind::File, "new", &[1, 2, 3]))]).await;
    assert_eq!(plan(&house, None).await.id, id, "a file that nobody loses");
    put(&house.store, &[("a/new", record(Kind::File, "new", &[1]))]).await;
    let refusal = apply(&house, &id).await.unwrap_err();
    assert_eq!(refusal, "the world changed since: run `onitu plan` again");
    let other = plan(&house, Some("move \"b/**\" to nas")).await.id;
    let refusal = apply(&house, &other).await.unwrap_err();
    assert!(refusal.starts_with("this plan is of other rules"), "{refusal}");
    assert!(house.registry().await.approved.is_empty());
}

#[tokio::test]
async fn what_was_approved_of_outlives_the_store_and_the_core() {
    let mut house = house(Some(MOVE)).await;
    let id = plan(&house, None).await.id;
    apply(&house, &id).await.unwrap();
    house.store.flush_all();
    house.core.tend().await.unwrap();
    assert_eq!(house.registry().await.approved, [MOVE]);
    house.store.flush_all();
    house.restart_core().await;
    assert_eq!(house.registry().await.approved, [MOVE]);
    let other = "keep \"b/**\" only on nas";
    let mut changed = configuration(&["laptop", "nas", "s3"]);
    changed.rules = Some(other.to_owned());
    house.configure(Ok(changed));
    house.store.flush_all();
    house.restart_core().await;
    assert_eq!(house.registry().await.approved, [MOVE], "and nothing of the new rules is");
}

#[tokio::test]
async fn nothing_is_approved_of_that_can_not_be_kept() {
    let house = house(Some(MOVE)).await;
    let id = plan(&house, None).await.id;
    *house.sources.remembered.lock().unwrap() = Err("no room".to_owned());
    assert!(apply(&house, &id).await.is_err());
    assert!(house.registry().await.approved.is_empty());
}

#[tokio::test]
async fn the_first_rules_have_nothing_to_wait_for() {
    let house = House::unsupervised(&["laptop", "nas", "s3"]);
    let mut first = configuration(&["laptop", "nas", "s3"]);
    first.rules = Some(MOVE.to_owned());
    house.configure(Ok(first));
    let mut house = house;
    house.supervise();
    house.restart_core().await;
    assert_eq!(house.registry().await.approved, [MOVE]);
}

#[tokio::test]
async fn rules_that_are_wrong_are_refused_with_their_place() {
    let house = house(None).await;
    let rules = Some(("new.rules".to_owned(), "snyc everything".to_owned()));
    let answer = house.core.answer(ToCore::Plan(PlanQuestion { rules })).await;
    let FromCore::Error { message, code } = answer else { panic!("{answer:?}") };
    assert_eq!(code, 78);
    assert!(message.contains("new.rules:1:1"), "{message}");
}

#[tokio::test]
async fn a_plan_says_that_the_configuration_has_other_rules_by_now() {
    let house = house(None).await;
    assert!(!plan(&house, None).await.waits_for_reload);
    let mut edited = configuration(&["laptop", "nas", "s3"]);
    edited.rules = Some(MOVE.to_owned());
    house.configure(Ok(edited));
    assert!(plan(&house, None).await.waits_for_reload);
    assert!(!plan(&house, Some(MOVE)).await.waits_for_reload, "it is about these");
    house.configure(Err("not TOML".to_owned()));
    assert!(!plan(&house, None).await.waits_for_reload, "nothing is known of it");
}

#[tokio::test]
async fn what_names_no_plan_is_told_so() {
    let house = house(None).await;
    let refused = apply(&house, "nosuch").await.unwrap_err();
    assert!(refused.contains("`nosuch` names no plan"), "{refused}");
}
