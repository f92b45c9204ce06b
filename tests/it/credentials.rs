//! Where the S3 driver finds in whose name to ask: the environment, a profile, or nowhere.

use std::path::PathBuf;

use onitu_test_s3::{ACCESS_KEY_ID, Bucket, Fresh, SECRET_ACCESS_KEY};
use onitu_tests::{House, Must, found};
use serde_json::json;

/// A folder `a` and a bucket `s3` whose section names no credentials; nothing runs yet.
fn house(further: &[&str]) -> (Fresh, House) {
    let bucket = Bucket::fresh(&json!({}));
    let mut house = House::prepared(&["a"]);
    house.add_service_at("s3", PathBuf::new());
    house.set_driver("s3", "s3");
    let (name, endpoint) = (bucket.name(), bucket.endpoint());
    let lines = [format!("bucket = \"{name}\""), format!("endpoint = \"{endpoint}\"")];
    let lines: Vec<&str> =
        lines.iter().map(String::as_str).chain(further.iter().copied()).collect();
    house.set_options("s3", &lines);
    (bucket, house)
}

/// Onitu is started with these variables, and asks no cloud who it is.
fn with_environment(house: &mut House, variables: &[String]) {
    let mut line = vec!["env", "AWS_EC2_METADATA_DISABLED=true"];
    line.extend(variables.iter().map(String::as_str));
    house.run_through(&line);
}

fn keys(id: &str) -> [String; 2] {
    [format!("AWS_ACCESS_KEY_ID={id}"), format!("AWS_SECRET_ACCESS_KEY={SECRET_ACCESS_KEY}")]
}

/// A section of `~/.aws/credentials`.
fn section(name: &str, id: &str) -> String {
    format!("[{name}]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n")
}

fn keep_credentials(house: &House, text: &str) {
    let directory = house.path().join("home/.aws");
    std::fs::create_dir_all(&directory).must("a directory");
    std::fs::write(directory.join("credentials"), text).must("a file");
}

fn assert_in_step(bucket: &Bucket, house: &mut House) {
    house.up();
    house.files("a").write("new", "from the folder");
    house.wait();
    assert_eq!(bucket.read("new").must("it arrived"), b"from the folder");
}

/// What the status says of the bucket, once it says this.
fn told(house: &House, text: &str) -> String {
    found(text, || {
        let status = house.service("s3")?;
        let reason = status["reason"].as_str().unwrap_or_default().to_owned();
        (status["state"] == "unavailable" && reason.contains(text)).then_some(reason)
    })
}

#[test]
fn the_environment_says_in_whose_name_a_bucket_is_asked() {
    let (bucket, mut house) = house(&[]);
    with_environment(&mut house, &keys(ACCESS_KEY_ID));
    assert_in_step(&bucket, &mut house);
}

#[test]
fn a_profile_of_the_environment_is_found_in_the_aws_file() {
    let (bucket, mut house) = house(&[]);
    with_environment(&mut house, &["AWS_PROFILE=ada".to_owned()]);
    keep_credentials(&house, &(section("default", "another") + &section("ada", ACCESS_KEY_ID)));
    assert_in_step(&bucket, &mut house);
}

#[test]
fn a_profile_that_the_service_names_goes_before_the_environment() {
    let (bucket, mut house) = house(&["profile = \"ada\""]);
    with_environment(&mut house, &keys("another"));
    keep_credentials(&house, &(section("default", "another") + &section("ada", ACCESS_KEY_ID)));
    assert_in_step(&bucket, &mut house);
}

#[test]
fn a_profile_that_isnt_there_is_told_by_its_name_until_it_is() {
    let (bucket, mut house) = house(&["profile = \"ada\""]);
    with_environment(&mut house, &keys(ACCESS_KEY_ID));
    keep_credentials(&house, &section("default", ACCESS_KEY_ID));
    house.up();
    let reason = told(&house, "the profile `ada` gives no credentials");
    assert!(reason.contains("~/.aws/credentials"), "{reason}");
    assert!(!reason.contains(SECRET_ACCESS_KEY), "{reason}");
    keep_credentials(&house, &section("ada", ACCESS_KEY_ID));
    house.files("a").write("new", "from the folder");
    house.wait();
    assert_eq!(bucket.read("new").must("it arrived"), b"from the folder");
}

#[test]
fn no_credentials_and_half_of_them_are_told_with_what_to_do() {
    let (_bucket, mut house) = house(&[]);
    with_environment(&mut house, &[]);
    house.up();
    let reason = told(&house, "there are no credentials");
    assert!(reason.contains("`AWS_ACCESS_KEY_ID`") && reason.contains("`profile`"), "{reason}");
    house.add_option("s3", &format!("secret_access_key = \"{SECRET_ACCESS_KEY}\""));
    house.say(&["reload"]);
    let reason = told(&house, "`secret_access_key` is given without `access_key_id`");
    assert!(!reason.contains(SECRET_ACCESS_KEY), "{reason}");
}
