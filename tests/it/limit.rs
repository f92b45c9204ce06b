//! `limit`: a service is used no faster than it says, and nothing else waits for it.

use onitu_tests::{House, soon};
use serde_json::Value;

/// What is under way to `service`: bytes done, of how many.
fn under_way(house: &House, service: &str) -> Option<(u64, u64)> {
    let status = house.service(service)?;
    let one = status["transfers"].as_array()?.first()?;
    Some((one["done_bytes"].as_u64()?, one["size_bytes"].as_u64()?))
}

fn arrives_slowly_and_at_once_without(limited: &str) {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.add_option(limited, "limit = \"100 kB/s\"");
    house.up();
    house.files("a").write("large", vec![7; 30_000_000]);
    soon("the transfer is shown", || under_way(&house, "b").is_some_and(|(done, _)| done > 0));
    let (done, size) = under_way(&house, "b").expect("five minutes are not over");
    assert!(done < size / 2, "{done} of {size}");
    house.set_options(limited, &[]);
    house.say(&["reload"]);
    house.wait();
    house.assert_alike();
}

#[test]
fn what_is_written_to_a_limited_service_arrives_slowly_until_the_limit_is_lifted() {
    arrives_slowly_and_at_once_without("b");
}

#[test]
fn what_is_read_from_a_limited_service_arrives_slowly_until_the_limit_is_lifted() {
    arrives_slowly_and_at_once_without("a");
}

#[test]
fn services_without_a_limit_do_not_wait_for_the_one_that_has_one() {
    let mut house = House::prepared(&["a", "b", "c"]);
    house.add_option("b", "limit = \"100 kB/s\"");
    house.up();
    house.files("a").write("large", vec![7; 30_000_000]);
    let c = house.files("c");
    soon("the other one has it", || c.has("large"));
    let shown = house.json(&["explain", "large", "--json"]);
    let pending = shown["pending"].as_array().cloned().unwrap_or_default();
    assert!(pending.iter().any(|it: &Value| it.to_string().contains("\"b\"")), "{shown}");
    house.files("a").remove("large");
    soon("what was overtaken is given up", || under_way(&house, "b").is_none());
    house.wait();
    house.assert_alike();
}
