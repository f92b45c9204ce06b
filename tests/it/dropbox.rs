//! A folder of this machine and one in Dropbox, here a server that speaks as Dropbox does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::time::Duration;

use onitu_test_dropbox::{ACCESS, APP_KEY, Fault, REFRESH, Server, Trouble, lower, write_as_user};
use onitu_tests::{Files, House, eventually, set_modified_ns, soon};
use serde_json::json;

/// A house with the service `laptop` and the service `cloud`, its folder in Dropbox; not yet up.
pub(crate) fn house() -> (House, Server) {
    let server = Server::start().unwrap();
    server.account().tree.make_folder("/Onitu");
    let mut house = House::prepared(&["laptop"]);
    let tokens = json!({ "access_token": ACCESS, "refresh_token": REFRESH });
    house.write_secret("token.json", &tokens.to_string());
    house.add_service_at("cloud", "/Onitu".into());
    house.set_driver("cloud", "dropbox");
    let base = format!("api_base = \"{}\"", server.base());
    let key = format!("app_key = \"{APP_KEY}\"");
    house.set_options("cloud", &[&base, &key, "token_file = \"token.json\""]);
    (house, server)
}

fn save(server: &Server, path: &str, text: &str) {
    write_as_user(&mut server.account(), &format!("/Onitu/{path}"), text.as_bytes()).unwrap();
}

fn delete(server: &Server, path: &str) {
    server.account().tree.delete(&lower(&format!("/Onitu/{path}"))).unwrap();
}

/// Every path in Dropbox with the bytes of files, without Onitu's own.
fn held(server: &Server) -> BTreeMap<String, Option<Vec<u8>>> {
    let all = server.account().tree.all().into_iter();
    let below = all.filter_map(|(path, bytes)| {
        let path = path.strip_prefix("/Onitu/")?.to_owned();
        (!path.starts_with(".onitu")).then(|| (path, bytes.map(|bytes| bytes.to_vec())))
    });
    below.collect()
}

fn is_held(server: &Server, path: &str, text: &str) -> bool {
    held(server).get(path) == Some(&Some(text.as_bytes().to_vec()))
}

/// Every path of a folder with the bytes of files, without Onitu's own. Onitu may be at work there.
fn there(files: &Files, directory: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(files.at(directory)).into_iter().flatten() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
        if path == ".onitu" {
            continue;
        }
        if files.at(&path).is_dir() {
            all.extend(there(files, &path));
            all.insert(path, None);
        } else {
            let bytes = files.read(&path);
            all.insert(path, bytes);
        }
    }
    all
}

#[test]
fn a_folder_and_a_dropbox_keep_in_step_both_ways() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    let large = "a line of a large file\n".repeat(400_000);
    laptop.write("docs/letter.txt", "from the laptop");
    laptop.write("large", &large);
    laptop.make_dir("empty");
    set_modified_ns(&laptop.at("docs/letter.txt"), 1_500_000_000_000_000_000);
    save(&server, "Photos/a.jpg", "from the cloud");
    house.up();
    house.wait();
    assert_eq!(there(&laptop, ""), held(&server));
    let letter = server.account().tree.get("/Onitu/docs/letter.txt").unwrap().file.clone().unwrap();
    assert_eq!(letter.client_modified, "2017-07-14T02:40:00Z");
    // Edits, renames and deletions, both ways.
    laptop.write("docs/letter.txt", "edited on the laptop");
    save(&server, "Photos/a.jpg", "edited in the cloud");
    house.wait();
    assert!(is_held(&server, "docs/letter.txt", "edited on the laptop"));
    assert_eq!(laptop.read("Photos/a.jpg").unwrap(), b"edited in the cloud");
    let id = server.account().tree.get("/Onitu/large").unwrap().id.clone();
    laptop.rename("large", "docs/renamed");
    server.account().tree.relocate("/onitu/photos", "/Onitu/Pictures", true);
    house.wait();
    assert_eq!(there(&laptop, ""), held(&server));
    let moved = server.account().tree.get("/Onitu/docs/renamed").unwrap().id.clone();
    assert_eq!(moved, id, "it was moved and not sent again");
    laptop.remove_all("docs");
    delete(&server, "Pictures/a.jpg");
    house.wait();
    assert_eq!(there(&laptop, ""), held(&server));
    assert!(!held(&server).keys().any(|path| path.starts_with("docs")));
    // Nothing is left in the folder that Onitu keeps for itself but its marker.
    let own = server.account().tree.all().into_keys();
    let own: Vec<String> = own.filter(|path| path.contains(".onitu/")).collect();
    assert!(
        own.iter().all(|path| path.ends_with("/service") || path.ends_with("/removed")),
        "{own:?}"
    );
}

#[test]
fn edits_on_both_sides_are_both_kept_and_so_are_names_that_dropbox_cant_tell_apart() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    laptop.write("note.txt", "of the laptop");
    save(&server, "note.txt", "of the cloud");
    laptop.write("Report", "large letter");
    laptop.write("report", "small letter");
    laptop.write("a\\b", "a name that Dropbox refuses");
    house.up();
    house.wait();
    let notes: Vec<_> =
        there(&laptop, "").into_iter().filter(|(path, _)| path.starts_with("note")).collect();
    assert_eq!(notes.len(), 2, "{notes:?}");
    for text in ["of the laptop", "of the cloud"] {
        assert!(notes.iter().any(|(_, bytes)| bytes.as_deref() == Some(text.as_bytes())), "{text}");
    }
    // The twin stands under another name there, and is edited there under that.
    let held_as = |text: &str| {
        let found =
            held(&server).into_iter().find(|(_, bytes)| bytes.as_deref() == Some(text.as_bytes()));
        found.map(|(path, _)| path)
    };
    let (large, small) = (held_as("large letter").unwrap(), held_as("small letter").unwrap());
    assert_eq!([&large, &small].iter().filter(|path| path.contains(" (twin ")).count(), 1);
    save(&server, &small, "small letter, edited");
    save(&server, "a%5Cb (onitu)", "edited in the cloud");
    house.wait();
    assert_eq!(laptop.read("report").unwrap(), b"small letter, edited");
    assert_eq!(laptop.read("Report").unwrap(), b"large letter");
    assert_eq!(laptop.read("a\\b").unwrap(), b"edited in the cloud");
}

#[test]
fn a_dropbox_that_is_away_is_unavailable_and_catches_up_by_itself() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    laptop.write("kept", "kept");
    house.up();
    house.wait();
    server.set_online(false);
    let state = || house.service("cloud").map(|cloud| cloud["state"].clone());
    soon("it is noticed", || state() == Some(json!("unavailable")));
    laptop.write("new", "written meanwhile");
    save(&server, "there", "saved meanwhile");
    server.set_online(true);
    soon("both have caught up", || {
        laptop.read("there").is_some() && is_held(&server, "new", "written meanwhile")
    });
    assert_eq!(laptop.read("kept").unwrap(), b"kept");
    // What a person can do about it is told.
    server.account().tokens.revoke();
    let told = || {
        let cloud = house.service("cloud")?;
        cloud["reason"].as_str().filter(|it| it.contains("onitu auth dropbox")).map(str::to_owned)
    };
    eventually("the remedy", Duration::from_mins(1), told);
    assert_eq!(laptop.read("kept").unwrap(), b"kept");
}

#[test]
fn a_driver_killed_in_the_middle_of_everything_goes_on_where_it_was() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    for number in 0..40 {
        laptop.write(format!("small/{number}"), format!("small {number}"));
        save(&server, &format!("there/{number}"), &format!("there {number}"));
    }
    house.up();
    house.wait();
    let listings = |server: &Server| server.account().faults.count("files/list_folder");
    let before = listings(&server);
    // Each block of a large file takes its time.
    let late = Fault {
        route: "files/upload_session/append_v2".to_owned(),
        after: 4,
        times: 99,
        trouble: Trouble::Late(700),
    };
    server.account().faults.add(late);
    let large: Vec<u8> = (0..40_000_000_u32).map(|at| (at / 7 % 251) as u8).collect();
    laptop.write("large", &large);
    let sent = |server: &Server| server.account().faults.count("files/upload_session/append_v2");
    soon("some of it is sent", || sent(&server) >= 7);
    house.kill9("driver-cloud");
    server.account().faults.clear();
    save(&server, "there/7", "edited while the driver was away");
    delete(&server, "there/8");
    house.wait();
    assert_eq!(there(&laptop, ""), held(&server));
    assert_eq!(laptop.read("there/7").unwrap(), b"edited while the driver was away");
    assert!(!laptop.has("there/8") && held(&server)["large"].as_deref() == Some(&large[..]));
    // Ten blocks, and none of those that had arrived again.
    assert!(sent(&server) <= 7 + 10, "{} blocks were sent", sent(&server));
    // What is left of removals was looked for, and nothing was listed anew.
    assert!(listings(&server) - before <= 2, "{} listings", listings(&server) - before);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn rate_limits_cost_time_and_nothing_else() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    {
        let mut account = server.account();
        account.faults.writes_max = Some(1);
        account.faults.calls_max = Some(40);
        account.faults.busy_entries = 10;
    }
    for number in 0..60 {
        laptop.write(format!("up/{number}"), format!("up {number}"));
        save(&server, &format!("down/{number}"), &format!("down {number}"));
    }
    house.up();
    eventually("all of it is there", Duration::from_mins(2), || {
        (there(&laptop, "") == held(&server)).then_some(())
    });
    house.wait();
    assert_eq!(held(&server).len(), 122);
    assert_eq!(house.status()["conflicts"], 0);
}

#[test]
fn what_was_removed_in_dropbox_by_order_is_restored_from_its_trash() {
    let (mut house, server) = house();
    let laptop = house.files("laptop");
    laptop.write("d/letter.txt", "dear");
    laptop.write("note", "first");
    house.up();
    house.wait();
    laptop.remove("d/letter.txt");
    laptop.write("note", "second");
    house.wait();
    let listed = house.json(&["trash", "list", "--json"]);
    let lines: Vec<_> =
        listed.as_array().unwrap().iter().filter(|it| it["service"] == "cloud").collect();
    let told: Vec<_> = lines.iter().map(|it| (it["path"].as_str(), it["why"].as_str())).collect();
    let expected = [(Some("d/letter.txt"), Some("removed")), (Some("note"), Some("replaced"))];
    assert!(told.len() == 2 && expected.iter().all(|it| told.contains(it)), "{told:?}");
    house.say(&["restore", "d/letter.txt", "note", "--service", "cloud"]);
    house.wait();
    assert_eq!(laptop.read("d/letter.txt").unwrap(), b"dear");
    assert_eq!(laptop.read("note").unwrap(), b"first");
    assert_eq!(there(&laptop, ""), held(&server));
}

#[test]
fn a_token_is_never_shown_and_must_be_its_owners_alone() {
    let (mut house, server) = house();
    let token = house.path().join("token.json");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    house.files("laptop").write("a", "bytes");
    house.up();
    let told = |what: &str| {
        let cloud = house.service("cloud")?;
        cloud["reason"].as_str().filter(|it| it.contains(what)).map(str::to_owned)
    };
    let reason = eventually("the remedy", Duration::from_mins(1), || told("chmod 600"));
    assert!(!reason.contains(ACCESS) && !reason.contains(REFRESH), "{reason}");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    soon("it goes on by itself", || is_held(&server, "a", "bytes"));
    server.account().tokens.expire();
    house.files("laptop").write("b", "with a token that was refreshed");
    house.wait();
    assert!(is_held(&server, "b", "with a token that was refreshed"));
    let all = [house.log(), house.status().to_string(), house.say(&["status"])].concat();
    assert!(!all.contains(ACCESS) && !all.contains(REFRESH));
}

/// Signs in by a code that the server gave, or another one.
fn sign_in(house: &House, server: &Server, wrong: bool) -> Option<i32> {
    let mut asking = house.command(&["auth", "dropbox"]);
    let mut asking = asking.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(asking.stdout.take().unwrap()).lines().map(Result::unwrap);
    let page = told.find(|line| line.contains("/oauth2/authorize?")).unwrap();
    let query = page.split_once('?').unwrap().1.split('&');
    let query = query.map(|pair| pair.split_once('=').unwrap());
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let code = server.account().tokens.allow(&query).unwrap();
    let code = if wrong { "invented" } else { &code };
    writeln!(asking.stdin.take().unwrap(), "{code}").unwrap();
    assert!(wrong || told.any(|line| line.contains("Ada Lovelace")));
    asking.wait().unwrap().code()
}

#[test]
fn signing_in_again_replaces_the_token_and_a_wrong_code_leaves_it() {
    let (mut house, server) = house();
    assert_eq!(sign_in(&house, &server, false), Some(0));
    assert_eq!(sign_in(&house, &server, false), Some(0), "twice in a row");
    let token = house.text_of("token.json");
    assert_eq!(sign_in(&house, &server, true), Some(1));
    assert_eq!(house.text_of("token.json"), token);
    let mode = std::fs::metadata(house.path().join("token.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    house.files("laptop").write("a", "bytes");
    house.up();
    house.wait();
    assert!(is_held(&server, "a", "bytes"));
    house.stop();
    let base = format!("api_base = \"{}\"", server.base());
    house.set_options("cloud", &[&base, "token_file = \"token.json\""]);
    for arguments in [&["check"][..], &["auth", "dropbox"]] {
        let error = house.fail(arguments, 78);
        assert!(error.contains("app_key"), "{error}");
    }
}

#[test]
fn a_person_with_a_browser_elsewhere_lets_onitu_in() {
    let (mut house, server) = house();
    std::fs::remove_file(house.path().join("token.json")).unwrap();
    let mut asking = house.command(&["auth", "dropbox"]);
    let mut asking = asking.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(asking.stdout.take().unwrap()).lines().map(Result::unwrap);
    let page = told.find(|line| line.contains("/oauth2/authorize?")).unwrap();
    // The person opens it, agrees, and sees a code.
    let query = page.split_once('?').unwrap().1.split('&');
    let query = query.map(|pair| pair.split_once('=').unwrap());
    let query = query.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let code = server.account().tokens.allow(&query).unwrap();
    writeln!(asking.stdin.take().unwrap(), "{code}").unwrap();
    assert!(told.any(|line| line.contains("Ada Lovelace")));
    assert!(asking.wait().unwrap().success());
    let mode = std::fs::metadata(house.path().join("token.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    house.files("laptop").write("a", "bytes");
    house.up();
    house.wait();
    assert!(is_held(&server, "a", "bytes"));
    // A code that nobody gave.
    let mut asking = house.command(&["auth", "dropbox"]);
    let mut asking = asking.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    writeln!(asking.stdin.take().unwrap(), "invented").unwrap();
    assert_eq!(asking.wait().unwrap().code(), Some(1));
    let error = house.fail(&["auth", "dropbox", "--service", "laptop"], 1);
    assert!(error.contains("no such service"), "{error}");
}
