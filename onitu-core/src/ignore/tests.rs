use super::*;
use crate::Kind;
use crate::rules::Rules;

fn path(text: &str) -> Path {
    Path::new(text).expect("a path")
}

fn set(files: &[(&str, &str)]) -> IgnoreSet {
    let text = |text: &str| IgnoreText::of(text.as_bytes());
    let files = files.iter().map(|(at, said)| (path(at), text(said))).collect();
    IgnoreSet { version: 1, files, ..IgnoreSet::default() }
}

fn ignoring(files: &[(&str, &str)]) -> Ignoring {
    Ignoring::compile(&set(files))
}

/// A path that ends in `/` is a directory.
fn is_ignored(ignoring: &Ignoring, text: &str) -> bool {
    match text.strip_suffix('/') {
        Some(text) => ignoring.covers(&path(text), Kind::Directory),
        None => ignoring.covers(&path(text), Kind::File),
    }
}

#[test]
fn lines_mean_what_they_mean_to_git() {
    let table: &[(&str, &[&str], &[&str])] = &[
        ("*.o", &["a.o", "d/a.o", "d.o/", "d.o/x"], &["a.oo", "o"]),
        ("build/", &["build/", "d/build/", "build/x", "d/build/x/y"], &["build", "d/build"]),
        ("/build", &["build", "build/", "build/x"], &["d/build", "d/build/x"]),
        ("doc/*.txt", &["doc/a.txt"], &["doc/a/b.txt", "d/doc/a.txt", "a.txt"]),
        ("doc/", &["doc/", "d/doc/", "d/doc/x"], &["doc"]),
        ("**/foo", &["foo", "a/foo", "a/b/foo"], &["foot", "a/foot"]),
        ("foo/**", &["foo/a", "foo/a/b"], &["foo", "foo/", "a/foo/b"]),
        ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["b", "x/a/b", "a/xb"]),
        ("# a comment\n\n  \n", &["zz/# a comment x"][..0], &["# a comment", "a"]),
        ("\\#x\n\\!y", &["#x", "!y", "d/!y"], &["x", "y"]),
        ("*.log\n!keep.log", &["a.log"], &["keep.log", "d/keep.log"]),
        ("!keep.log\n*.log", &["a.log", "keep.log"], &["b"]),
        ("d/\n!d/keep", &["d/keep", "d/"], &["keep"]),
        ("d/*\n!d/keep", &["d/x", "d/y/"], &["d/keep", "d/"]),
        ("trail  \nkept\\ ", &["trail", "kept "], &["trail  ", "kept"]),
        ("a?c\n[xy]z\n[!0-9]1", &["abc", "xz", "yz", "a1"], &["ac", "a/c", "zz", "11"]),
        ("{a,b}", &["{a,b}"], &["a", "b"]),
        ("*", &["a", "d/", "d/e", ".hidden"], &[".onituignore"]),
        ("x\r\ny\r\n", &["x", "y"], &["x\r"]),
        ("\u{feff}first", &["first"], &[]),
        ("é.txt", &["é.txt"], &["e\u{301}.txt", "É.txt"]),
        ("CASE", &["CASE"], &["case"]),
    ];
    for (text, ignored, others) in table {
        let ignoring = ignoring(&[("", text)]);
        assert_eq!(ignoring.problems(), [], "{text:?}");
        for path in *ignored {
            assert!(is_ignored(&ignoring, path), "{text:?} ignores {path:?}");
        }
        for path in *others {
            assert!(!is_ignored(&ignoring, path), "{text:?} doesn't ignore {path:?}");
        }
    }
}

#[test]
fn the_nearest_file_decides_and_speaks_of_its_own_directory_only() {
    let ignoring = ignoring(&[("", "*.log\n/top"), ("d", "!*.log\n/top\nx"), ("d/e", "*.log")]);
    for text in ["a.log", "top", "d/top", "d/x", "d/e/x", "d/e/a.log", "f/a.log"] {
        assert!(is_ignored(&ignoring, text), "{text}");
    }
    for text in ["d/a.log", "x", "d/f/a.log", "f/top", "d/e/top"] {
        assert!(!is_ignored(&ignoring, text), "{text}");
    }
}

#[test]
fn nothing_in_an_ignored_directory_can_be_taken_back() {
    let ignoring = ignoring(&[("", "d/"), ("d", "!*")]);
    assert!(is_ignored(&ignoring, "d/a") && is_ignored(&ignoring, "d/.onituignore"));
}

#[test]
fn an_ignore_file_never_ignores_itself() {
    let ignoring = ignoring(&[("", "*\n.onituignore"), ("d", ".*")]);
    assert!(!is_ignored(&ignoring, ".onituignore"));
    assert!(is_ignored(&ignoring, "x") && is_ignored(&ignoring, ".onituignore/"));
}

#[test]
fn junk_is_ignored_unless_it_is_wanted() {
    let junk = [
        ".DS_Store",
        "d/Thumbs.db",
        "desktop.ini",
        "~$letter.docx",
        "d/.a.txt.swp",
        "a.swo",
        ".~lock.table.ods#",
        "film.mkv.crdownload",
        "$RECYCLE.BIN/",
        "$RECYCLE.BIN/x",
        ".Trash-1000/",
        ".Trash-1000/files/x",
    ];
    let users = [
        "DS_Store",
        "thumbs.db.txt",
        "~letter",
        "letter~",
        "4913",
        "a.part",
        "a.tmp",
        "a.bak",
        "swp",
        ".swp",
        ".lock",
        ".~lock.x",
        "$RECYCLE.BIN",
        ".Trash-home/",
        "x.swp/",
        "._a",
        "~$",
        ".git/",
        ".hidden",
    ];
    let usual = ignoring(&[]);
    let taken_back = ignoring(&[("", "!.DS_Store")]);
    let off = Ignoring::compile(&IgnoreSet { keeps_junk: true, ..IgnoreSet::default() });
    for text in junk {
        assert!(is_ignored(&usual, text) && !is_ignored(&off, text), "{text}");
    }
    for text in users {
        assert!(!is_ignored(&usual, text), "{text}");
    }
    assert!(!is_ignored(&taken_back, "d/.DS_Store") && is_ignored(&taken_back, "Thumbs.db"));
    assert!(!is_ignored(&Ignoring::default(), ".DS_Store"), "without a set nothing is ignored");
}

#[test]
fn what_is_ignored_is_explained_by_file_and_line() {
    let ignoring = ignoring(&[("a", "# what is built\n\nbuild/")]);
    let explain = |text: &str, kind| {
        let path = path(text);
        ignoring.why(&path, kind).map(|reason| reason.explain(&path))
    };
    let line = "by `a/.onituignore`, line 3: `build/`";
    assert_eq!(explain("a/build", Kind::Directory), Some(format!("ignored {line}")));
    let below = format!("ignored, for `a/build` is ignored {line}");
    assert_eq!(explain("a/build/x/y", Kind::File), Some(below));
    assert_eq!(explain("a/build", Kind::File), None);
    let junk = "ignored by default (junk: `*.swp`)";
    assert_eq!(explain("b/.x.swp", Kind::File).as_deref(), Some(junk));
}

#[test]
fn a_broken_line_has_no_effect_and_is_told_and_the_others_hold() {
    let ignoring = ignoring(&[("d", "good\n[z-a]\nunclosed[\n*.o")]);
    let told: Vec<_> =
        ignoring.problems().iter().map(|it| format!("{}: {}", it.path, it.message)).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("d/.onituignore: line 2 has no effect: `[z-a]`:"), "{told:?}");
    assert!(is_ignored(&ignoring, "d/good") && is_ignored(&ignoring, "d/a.o"));
}

#[test]
fn a_set_survives_being_stored() {
    let mut set = set(&[("", "a\n"), ("d/e", "b")]);
    set.unused = vec![path("z/.onituignore")];
    let stored = serde_json::to_string(&set).expect("written");
    assert_eq!(serde_json::from_str::<IgnoreSet>(&stored).expect("read"), set);
    assert!(set.says_the_same(&IgnoreSet { version: 9, ..set.clone() }));
    assert!(!set.says_the_same(&IgnoreSet::default()));
    assert_eq!(Ignoring::compile(&set).problems().len(), 1, "the one that is too much");
}

#[test]
fn what_the_rules_exclude_is_ignored_whatever_a_file_says_and_with_all_that_is_in_it() {
    let text = "sync everything to a\nkeep 2 copies of \"x/**\" on any of a, b\nkeep \"p\" only on z\n\
                never sync \"**/.git/**\", \"*.tmp\"";
    let services = ["a", "b", "z"].map(str::to_owned).to_vec();
    let set = IgnoreSet { rules: Some(text.to_owned()), services, ..set(&[("", "!*.tmp\n!.git")]) };
    assert!(Rules::parse(text, &set.services).0.is_some());
    let ignoring = Ignoring::compile(&set);
    for text in [".git/", "d/.git/config", "x.tmp", "x.tmp/y"] {
        assert!(is_ignored(&ignoring, text), "{text}");
    }
    for text in ["git/config", "d/x.tmp", ".gitignore", "p", "x/y"] {
        assert!(!is_ignored(&ignoring, text), "{text}");
    }
    let line = "by line 4 of the rules: `never sync \"**/.git/**\", \"*.tmp\"`";
    let [file, below] = ["x.tmp", "d/.git/a/b"].map(path);
    let explain = |path: &Path| ignoring.why(path, Kind::File).map(|why| why.explain(path));
    assert_eq!(explain(&file), Some(format!("ignored {line}")));
    assert_eq!(explain(&below), Some(format!("ignored, for `d/.git` is ignored {line}")));
}
