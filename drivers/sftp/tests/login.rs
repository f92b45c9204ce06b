//! Who is let in, and which servers are trusted.

mod fixture;

use fixture::connect;
use onitu_driver_sftp::Sftp;
use onitu_plug::{Fault, FaultKind, Plug};
use onitu_test_sshd::{Agent, Sshd};
use serde_json::{Value, json};

/// The folder for a test that writes nothing.
fn root() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

async fn refused(options: Value) -> Fault {
    let fault = connect(options).await.err().expect("to be refused");
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
    fault
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_known_is_refused_with_its_fingerprint_and_what_to_do() {
    let (server, root) = (Sshd::start(), root());
    std::fs::write(server.known_hosts(), "").expect("written");
    let fault = refused(server.options(root.path())).await;
    assert!(fault.message.contains(&server.fingerprint()), "{fault}");
    let advice = format!("ssh-keyscan -p {} 127.0.0.1 >> ", server.port());
    assert!(fault.message.contains(&advice), "{fault}");
    assert!(std::fs::read_dir(root.path()).expect("a folder").next().is_none());
    server.trust_host_key();
    connect(server.options(root.path())).await.expect("connected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_key_has_changed_is_refused_with_both_fingerprints() {
    let (server, root) = (Sshd::start(), root());
    connect(server.options(root.path())).await.expect("connected");
    let (before, now) = (server.fingerprint(), server.change_host_key());
    let fault = refused(server.options(root.path())).await;
    assert!(fault.message.contains(&before) && fault.message.contains(&now), "{fault}");
    assert!(fault.message.contains("ssh-keygen -R"), "{fault}");
    assert!(fault.message.contains("another one than before"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_host_keys_the_one_that_is_known_is_asked_for() {
    let root = root();
    let other = tempfile::tempdir().expect("a folder");
    let key = other.path().join("host_rsa");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"])
        .arg(&key)
        .status();
    assert!(made.expect("ssh-keygen").success());
    let server = Sshd::start_with(&[&format!("HostKey {}", key.display())]);
    let known = std::fs::read_to_string(key.with_extension("pub")).expect("the key");
    let line = format!("[127.0.0.1]:{} {known}", server.port());
    std::fs::write(server.known_hosts(), line).expect("written");
    connect(server.options(root.path())).await.expect("connected with the RSA key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_does_not_take_is_told_with_what_it_takes() {
    let (server, root) = (Sshd::start(), root());
    let stranger = Sshd::start();
    let mut options = server.options(root.path());
    options["private_key"] = json!(stranger.private_key());
    let fault = refused(options).await;
    assert!(fault.message.contains("refuses the login"), "{fault}");
    assert!(fault.message.contains("it takes publickey"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cant_be_used_is_told_with_what_is_wrong() {
    let (server, root) = (Sshd::start(), root());
    let locked = root.path().join("locked");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "sesame", "-f"])
        .arg(&locked)
        .status();
    assert!(made.expect("ssh-keygen").success());
    let mut options = server.options(root.path());
    options["private_key"] = json!(locked);
    let message = refused(options.clone()).await.message;
    assert!(message.contains("give its password as `password`"), "{message}");
    options["password"] = json!("tahini");
    let message = refused(options.clone()).await.message;
    assert!(message.contains("`password` doesn't open it"), "{message}");
    assert!(!message.contains("tahini"), "it isn't shown: {message}");
    for (file, told) in
        [(locked.with_extension("pub"), "private one"), (root.path().into(), "irectory")]
    {
        options["private_key"] = json!(file);
        let message = refused(options.clone()).await.message;
        assert!(message.contains(told), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_there_is_told_by_its_name() {
    let (server, root) = (Sshd::start(), root());
    let mut options = server.options(root.path());
    options["private_key"] = json!("/no/such/key");
    assert!(refused(options).await.message.contains("`/no/such/key`"));
}

/// Logs in by the agent, in a process of its own whose environment names it: this one, called with
/// the name of the test.
fn in_a_process_of_its_own(test: &str, options: &Value, agent: &Agent, root: &std::path::Path) {
    let ended = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test])
        .env("ONITU_TEST_ROOT", options.to_string())
        .env("SSH_AUTH_SOCK", agent.socket())
        .env("HOME", root)
        .output()
        .expect("to run");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    assert!(root.join(".onitu/service").exists(), "it did connect");
}

/// Whether this is that process; then it has connected.
fn is_that_process() -> bool {
    let Ok(options) = std::env::var("ONITU_TEST_ROOT") else { return false };
    let options = serde_json::from_str(&options).expect("JSON");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(connect(options)).expect("connected");
    true
}

#[test]
fn the_agent_lets_the_user_in() {
    if is_that_process() {
        return;
    }
    let (server, root) = (Sshd::start(), root());
    let agent = Agent::start(&server.private_key());
    let mut options = server.options(root.path());
    options.as_object_mut().expect("options").remove("private_key");
    in_a_process_of_its_own("the_agent_lets_the_user_in", &options, &agent, root.path());
}

#[test]
fn of_several_keys_of_the_agent_the_right_one_lets_in() {
    if is_that_process() {
        return;
    }
    let (server, root) = (Sshd::start(), root());
    let strangers = [Sshd::start(), Sshd::start()];
    let agent = Agent::start(&strangers[0].private_key());
    agent.add(&strangers[1].private_key());
    agent.add(&server.private_key());
    let mut options = server.options(root.path());
    options.as_object_mut().expect("options").remove("private_key");
    let test = "of_several_keys_of_the_agent_the_right_one_lets_in";
    in_a_process_of_its_own(test, &options, &agent, root.path());
}

/// The line of `known_hosts`, with the server's name hashed by OpenSSH itself.
fn hash_names(server: &Sshd) {
    let file = server.known_hosts();
    let hashed = std::process::Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output();
    assert!(hashed.expect("ssh-keygen").status.success());
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(text.starts_with("|1|") && !text.contains("127.0.0.1"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_is_known_by_its_hashed_name() {
    let (server, root) = (Sshd::start(), root());
    hash_names(&server);
    connect(server.options(root.path())).await.expect("connected");
    server.change_host_key();
    let fault = refused(server.options(root.path())).await;
    assert!(fault.message.contains("another one than before"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_is_refused_even_where_it_is_known() {
    let (server, root) = (Sshd::start(), root());
    let known = std::fs::read_to_string(server.known_hosts()).expect("the file");
    std::fs::write(server.known_hosts(), format!("{known}@revoked * {}", after_name(&known)))
        .expect("written");
    let fault = refused(server.options(root.path())).await;
    assert!(fault.message.contains("is revoked"), "{fault}");
    assert!(fault.message.contains("line 2"), "{fault}");
    assert!(fault.message.contains(&server.fingerprint()), "{fault}");
    std::fs::write(server.known_hosts(), format!("{known}@revoked * ssh-ed25519 what?\n"))
        .expect("written");
    let fault = refused(server.options(root.path())).await;
    assert!(fault.message.contains("can't understand which key is revoked"), "{fault}");
}

fn after_name(line: &str) -> &str {
    line.split_once(' ').expect("a name and a key").1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_told_by_its_name() {
    let (server, root) = (Sshd::start(), root());
    let options = server.options(root.path());
    let name = format!("127.0.0.1:{}", server.port());
    drop(server);
    // Its key was in its folder, too.
    let mut options = options;
    options.as_object_mut().expect("options").remove("private_key");
    let fault = refused(options).await;
    assert!(fault.message.contains(&name), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_another_service_is_refused() {
    let (server, root) = (Sshd::start(), root());
    connect(server.options(root.path())).await.expect("connected");
    let marker = root.path().join(".onitu/service");
    let text = std::fs::read_to_string(&marker).expect("the marker");
    std::fs::write(&marker, text.replace("test", "other")).expect("written");
    assert!(refused(server.options(root.path())).await.message.contains("`other`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_person_may_see_tells_the_password() {
    let (server, root) = (Sshd::start(), root());
    let mut options = server.options(root.path());
    options["password"] = json!("open sesame");
    options["private_key"] = json!("/no/such/key");
    let parsed: onitu_driver_sftp::Options =
        serde_json::from_value(options.clone()).expect("options");
    assert!(!format!("{parsed:?}").contains("sesame"));
    assert!(!refused(options).await.message.contains("sesame"));
    let secret = Sftp::manifest().options.into_iter().find(|option| option.name == "password");
    assert_eq!(secret.map(|it| it.kind), Some(onitu_plug::OptionKind::Secret));
}
