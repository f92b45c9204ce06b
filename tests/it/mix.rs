//! Four kinds of storage in one set: a folder, one on another machine, a bucket and a Dropbox.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onitu_test_dropbox::{ACCESS, APP_KEY, REFRESH, Server, lower, write_as_user};
use onitu_test_s3::{Bucket, Fresh};
use onitu_test_sshd::Sshd;
use onitu_tests::{Files, House, within};
use serde_json::{Value, json};

const KINDS: [&str; 4] = ["laptop", "nas", "bucket", "cloud"];

/// Path to bytes; directories left out.
type Contents = BTreeMap<String, Vec<u8>>;

/// The four, each edited by its user without Onitu.
struct Mix {
    house: House,
    laptop: Files,
    nas: Files,
    sshd: Sshd,
    bucket: Fresh,
    cloud: Server,
}

impl Mix {
    fn new() -> Self {
        let (sshd, bucket) = (Sshd::start(), Bucket::fresh(&json!({})));
        let cloud = Server::start().unwrap();
        cloud.account().tree.make_folder("/Onitu");
        let mut house = House::prepared(&["laptop", "nas"]);
        let poll = json!("1s");
        let known = json!({
            "host": "127.0.0.1", "port": sshd.port(), "user": sshd.user(), "poll": poll,
            "private_key": sshd.private_key(), "known_hosts": sshd.known_hosts(),
        });
        configure(&mut house, "nas", "sftp", &known);
        house.add_service_at("bucket", "".into());
        house.add_service_at("cloud", "/Onitu".into());
        let mut of_bucket = bucket.options("a prefix");
        of_bucket["poll"] = poll;
        let tokens = json!({ "access_token": ACCESS, "refresh_token": REFRESH });
        house.write_secret("token.json", &tokens.to_string());
        configure(&mut house, "bucket", "s3", &of_bucket);
        let of_cloud =
            json!({ "api_base": cloud.base(), "app_key": APP_KEY, "token_file": "token.json" });
        configure(&mut house, "cloud", "dropbox", &of_cloud);
        let (laptop, nas) = (house.files("laptop"), house.files("nas"));
        Self { house, laptop, nas, sshd, bucket, cloud }
    }

    fn write(&self, kind: &str, path: &str, text: &str) {
        match kind {
            "laptop" => self.laptop.write(path, text),
            "nas" => self.nas.write(path, text),
            "bucket" => self.bucket.write(&format!("a prefix/{path}"), text.as_bytes()),
            _ => {
                let path = format!("/Onitu/{path}");
                write_as_user(&mut self.cloud.account(), &path, text.as_bytes()).unwrap();
            }
        }
    }

    fn remove(&self, kind: &str, path: &str) {
        match kind {
            "laptop" => self.laptop.remove(path),
            "nas" => self.nas.remove(path),
            "bucket" => assert!(self.bucket.remove(&format!("a prefix/{path}")), "{path}"),
            _ => {
                let gone = self.cloud.account().tree.delete(&lower(&format!("/Onitu/{path}")));
                assert!(gone.is_some(), "{path}");
            }
        }
    }

    fn rename(&self, kind: &str, from: &str, to: &str) {
        match kind {
            "laptop" | "nas" => {
                let files = if kind == "laptop" { &self.laptop } else { &self.nas };
                let (directory, _) = to.rsplit_once('/').expect("below a directory");
                if !files.has(directory) {
                    files.make_dir(directory);
                }
                files.rename(from, to);
            }
            "bucket" => {
                let bytes = self.bucket.read(&format!("a prefix/{from}")).expect(from);
                self.bucket.write(&format!("a prefix/{to}"), &bytes);
                self.remove(kind, from);
            }
            _ => {
                let from = lower(&format!("/Onitu/{from}"));
                let tree = &mut self.cloud.account().tree;
                tree.make_parents(&format!("/Onitu/{to}")).expect("no file in the way");
                tree.relocate(&from, &format!("/Onitu/{to}"), true);
            }
        }
    }

    /// All files of a kind, without Onitu's own.
    fn contents(&self, kind: &str) -> Contents {
        let named: Contents = match kind {
            "laptop" => files_below(&self.laptop),
            "nas" => files_below(&self.nas),
            "bucket" => {
                let below = self.bucket.below("a prefix/").into_iter();
                let files = below.filter(|(key, _)| !key.ends_with('/'));
                files.map(|(key, bytes)| (key["a prefix/".len()..].to_owned(), bytes)).collect()
            }
            _ => {
                let all = self.cloud.account().tree.all().into_iter();
                let files = all.filter_map(|(path, bytes)| {
                    Some((path.strip_prefix("/Onitu/")?.to_owned(), bytes?.to_vec()))
                });
                files.collect()
            }
        };
        named.into_iter().filter(|(path, _)| !path.starts_with(".onitu")).collect()
    }

    /// Waits until each kind holds exactly the same files; tells them.
    #[track_caller]
    fn alike(&self) -> Contents {
        let mut first = Contents::new();
        let same = || {
            first = self.contents("laptop");
            KINDS.iter().all(|kind| self.contents(kind) == first)
        };
        let limit = Duration::from_mins(1);
        let alike = within(limit, same);
        if !alike {
            let names = |kind| self.contents(kind).into_keys().collect::<BTreeSet<_>>();
            let all: Vec<_> = KINDS.iter().map(|kind| (kind, names(kind))).collect();
            panic!("not alike: {all:#?}\n{}", self.house.say(&["status"]));
        }
        first
    }
}

fn configure(house: &mut House, name: &str, driver: &str, options: &Value) {
    house.set_driver(name, driver);
    let options = options.as_object().into_iter().flatten();
    let lines: Vec<String> = options.map(|(key, it)| format!("{key} = {it}")).collect();
    house.set_options(name, &lines.iter().map(String::as_str).collect::<Vec<_>>());
}

fn files_below(files: &Files) -> Contents {
    let mut found = Contents::new();
    let mut waiting = vec![String::new()];
    while let Some(directory) = waiting.pop() {
        // Onitu may be renaming and removing what is read here.
        let Ok(entries) = std::fs::read_dir(files.at(&directory)) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name().into_string().expect("UTF-8");
            let path = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            if files.at(&path).is_dir() {
                waiting.push(path);
            } else if let Some(bytes) = files.read(&path) {
                found.insert(path, bytes);
            }
        }
    }
    found
}

fn text<'a>(contents: &'a Contents, path: &str) -> Option<&'a str> {
    contents.get(path).map(|bytes| std::str::from_utf8(bytes).expect("UTF-8"))
}

#[test]
fn what_is_done_on_any_kind_of_storage_happens_on_all() {
    let mut mix = Mix::new();
    for kind in KINDS {
        mix.write(kind, &format!("from the {kind}/letter.txt"), kind);
        mix.write(kind, &format!("large/{kind}.bin"), &kind.repeat(1_500_000));
    }
    mix.house.up();
    assert_eq!(mix.alike().len(), 8);
    for (at, kind) in KINDS.iter().enumerate() {
        let next = KINDS[(at + 1) % 4];
        mix.write(kind, &format!("from the {next}/letter.txt"), &format!("edited on the {kind}"));
    }
    mix.house.wait();
    for kind in KINDS {
        let last = mix.alike();
        let own = format!("from the {kind}/letter.txt");
        assert!(text(&last, &own).is_some_and(|it| it.starts_with("edited on")), "{kind}");
        mix.rename(kind, &own, &format!("renamed/on the {kind}.txt"));
        mix.remove(kind, &format!("large/{kind}.bin"));
        let arrived = || {
            let now = mix.contents(if kind == "laptop" { "cloud" } else { "laptop" });
            now.contains_key(&format!("renamed/on the {kind}.txt")) && !now.contains_key(&own)
        };
        assert!(within(Duration::from_mins(1), arrived), "{kind}");
    }
    let last = mix.alike();
    let renamed = KINDS.map(|kind| format!("renamed/on the {kind}.txt"));
    assert_eq!(last.keys().cloned().collect::<BTreeSet<_>>(), BTreeSet::from(renamed));
    mix.house.wait();
    assert_eq!(mix.house.status()["conflicts"], 0);
}

#[test]
fn four_edits_of_one_file_at_once_are_all_kept_on_all() {
    let mut mix = Mix::new();
    mix.write("cloud", "plan.txt", "before");
    mix.house.up();
    mix.alike();
    mix.house.wait();
    mix.house.stop();
    for kind in KINDS {
        mix.write(kind, "plan.txt", &format!("by the {kind}"));
    }
    mix.house.up();
    mix.house.wait();
    let last = mix.alike();
    let texts: BTreeSet<&str> = last.keys().filter_map(|path| text(&last, path)).collect();
    let wanted = KINDS.map(|kind| format!("by the {kind}"));
    assert_eq!(texts, wanted.iter().map(String::as_str).collect::<BTreeSet<_>>());
    assert_eq!(mix.house.json(&["conflicts", "--json"]).as_array().map(Vec::len), Some(3));
}

#[test]
fn names_that_one_kind_can_not_hold_or_tell_apart_reach_all_the_others() {
    let mut mix = Mix::new();
    let names = [
        "with:colon?.txt",
        "back\\slash",
        "trailing dot.",
        "trailing space ",
        "tab\tin it",
        "Case",
        "case",
        "e\u{301}te",
        "\u{e9}te",
        "per%cent",
        "plus+and&amp",
        "\u{1f9e6}.txt",
    ];
    for name in names {
        mix.write("laptop", &format!("names/{name}"), name);
    }
    mix.house.up();
    mix.house.wait();
    let wanted: Contents =
        names.iter().map(|it| (format!("names/{it}"), it.as_bytes().to_vec())).collect();
    for kind in ["laptop", "nas", "bucket"] {
        assert_eq!(mix.contents(kind), wanted, "{kind}");
    }
    let held: BTreeSet<Vec<u8>> = mix.contents("cloud").into_values().collect();
    assert_eq!(held, wanted.values().cloned().collect(), "under whichever names");
    // And edits of these come back under the names they have here.
    for (path, bytes) in mix.contents("cloud") {
        mix.write("cloud", &path, &format!("{} edited", String::from_utf8(bytes).unwrap()));
    }
    let edited: Contents = wanted
        .iter()
        .map(|(path, bytes)| (path.clone(), [bytes, &b" edited"[..]].concat()))
        .collect();
    let limit = Duration::from_mins(1);
    assert!(within(limit, || mix.contents("laptop") == edited), "{:?}", mix.contents("laptop"));
    mix.house.wait();
    assert_eq!(mix.contents("bucket"), edited);
}

#[test]
fn whichever_is_away_the_others_go_on_and_it_catches_up_alone() {
    let mut mix = Mix::new();
    mix.write("laptop", "kept.txt", "stays");
    mix.house.up();
    mix.alike();
    mix.house.wait();
    mix.sshd.close();
    mix.bucket.set(&json!({ "away": true }));
    mix.cloud.set_online(false);
    let limit = Duration::from_secs(90);
    for kind in ["nas", "bucket", "cloud"] {
        let state = || mix.house.service(kind).map(|it| it["state"].clone());
        assert!(within(limit, || state() == Some(json!("unavailable"))), "{kind}: {:?}", state());
    }
    mix.write("laptop", "meanwhile.txt", "from the laptop");
    mix.nas.write("on the nas.txt", "meanwhile");
    mix.sshd.reopen();
    mix.bucket.set(&json!({ "away": false }));
    mix.cloud.set_online(true);
    let last = mix.alike();
    assert!(last.contains_key("kept.txt"), "nothing was taken for deleted");
    assert_eq!(last.len(), 3, "{last:?}");
    mix.house.wait();
    assert_eq!(mix.house.status()["conflicts"], 0);
}
