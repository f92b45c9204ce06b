//! Wrong configurations: exit code 78, every mistake with its place, and nothing started.

use onitu_tests::House;

#[track_caller]
fn refused(text: &str, said: &[&str]) {
    let house = House::prepared(&["a", "b"]);
    house.write("entries.toml", text);
    for command in ["check", "up"] {
        let error = house.fail(&[command], 78);
        for part in said {
            assert!(error.contains(part), "{part:?} isn't in:\n{error}");
        }
    }
    assert!(!house.state_dir().exists());
    house.assert_nothing_runs();
}

#[test]
fn an_empty_configuration() {
    refused("", &["service"]);
}

#[test]
fn what_is_no_toml() {
    refused("[services.a\ndriver = ", &["entries.toml:1"]);
}

#[test]
fn all_mistakes_at_once() {
    let text = "[onitu]\nstat_dir = 1\n[services.a]\ndriver = \"locla\"\nroot = \"./a\"\n\
                [services.b]\ndriver = \"local\"\n";
    refused(text, &["stat_dir", "did you mean `state_dir`?", "`locla`", "`root`"]);
}

#[test]
fn two_folders_one_inside_the_other() {
    let text = "[services.a]\ndriver = \"local\"\nroot = \"./a\"\n\
                [services.b]\ndriver = \"local\"\nroot = \"./a/inner\"\n";
    refused(text, &["inside", "`a`", "`b`"]);
}

#[test]
fn two_services_with_one_folder() {
    let text = "[services.a]\ndriver = \"local\"\nroot = \"./a\"\n\
                [services.b]\ndriver = \"local\"\nroot = \"a/../a\"\n";
    refused(text, &["`a`", "`b`"]);
}

#[test]
fn a_state_directory_inside_a_folder() {
    let text = "[onitu]\nstate_dir = \"./a/state\"\n[services.a]\ndriver = \"local\"\n\
                root = \"./a\"\n[services.b]\ndriver = \"local\"\nroot = \"./b\"\n";
    refused(text, &["state_dir"]);
}

#[test]
fn rules_that_can_not_be_read() {
    let text = "[onitu]\nrules = '''\nsnyc everything to a\n'''\n\
                [services.a]\ndriver = \"local\"\nroot = \"./a\"\n\
                [services.b]\ndriver = \"local\"\nroot = \"./b\"\n";
    refused(text, &["snyc", "entries.toml:3"]);
}

#[test]
fn a_missing_metadata_server_is_told_with_the_remedy() {
    let mut house = House::prepared(&["a", "b"]);
    house.set_path_variable("");
    let error = house.fail(&["up"], 1);
    assert!(error.contains("`redis-server` is not installed"), "{error}");
    assert!(error.contains("hint: "), "{error}");
    house.assert_nothing_runs();
}

#[test]
fn a_single_service_runs_and_waits_for_company() {
    let mut house = House::new(&["a"]);
    house.files("a").write("file", "1");
    house.wait();
    assert_eq!(house.status()["entries"], 1);
    house.add_service("b");
    house.say(&["reload"]);
    house.wait();
    house.assert_alike();
}
