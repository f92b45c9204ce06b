//! Dropbox's own client for Python meets the results and exceptions here that it would meet there.
//!
//! `sdk/calls.py` makes the calls. The client and what it needs are installed once, in the
//! versions of `sdk/requirements.txt`, below the target directory.

use std::path::Path;
use std::process::Command;

use onitu_test_dropbox::Server;
use onitu_test_python::python;

fn run(command: &mut Command) {
    let output = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (told, wrong) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{told}{wrong}", output.status);
}

fn calls(name: &str) {
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/requirements.txt");
    let python = python("dropbox-sdk", &wanted);
    let server = Server::start().expect("a free port");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/calls.py");
    let mut command = Command::new(python);
    command.args(["-B", "-W", "ignore"]).arg(script).arg(server.base()).arg(name);
    for proxy in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(proxy);
    }
    run(&mut command);
}

#[test]
fn an_account_tells_of_itself_and_its_space() {
    calls("account");
}

#[test]
fn tokens_expire_are_refreshed_and_revoked() {
    calls("tokens");
}

#[test]
fn a_code_is_exchanged_once_and_only_by_who_asked_for_it() {
    calls("oauth");
}

#[test]
fn uploads_meet_what_is_in_the_way_as_their_mode_says() {
    calls("uploads");
}

#[test]
fn names_that_cant_be_are_refused_and_others_composed() {
    calls("bad_names");
}

#[test]
fn folders_are_listed_in_pages() {
    calls("listing");
}

#[test]
fn a_cursor_tells_what_changed_until_it_is_reset() {
    calls("changes");
}

#[test]
fn a_long_poll_ends_with_the_first_change() {
    calls("longpoll");
}

#[test]
fn downloads_are_by_path_id_or_rev_and_in_ranges() {
    calls("downloads");
}

#[test]
fn what_a_file_was_is_listed_and_restored() {
    calls("revisions");
}

#[test]
fn moves_copies_and_deletions_are_refused_with_the_right_words() {
    calls("names_changed");
}

#[test]
fn batches_fail_entry_by_entry_and_may_take_their_time() {
    calls("batches");
}

#[test]
fn a_session_knows_its_offset() {
    calls("sessions");
}

#[test]
fn a_concurrent_session_takes_pieces_in_any_order() {
    calls("concurrent");
}

#[test]
fn sessions_are_appended_to_and_finished_in_batches() {
    calls("session_batches");
}

#[test]
fn bytes_that_are_not_what_their_hash_says_are_refused() {
    calls("hashes");
}

#[test]
fn limits_and_failures_are_told_as_the_client_expects_them() {
    calls("limits");
}

#[test]
fn a_path_root_moves_the_view_to_the_teams_folders() {
    calls("path_root");
}
