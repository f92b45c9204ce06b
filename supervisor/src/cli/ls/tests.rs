use super::*;

fn entry(path: &str, kind: Kind, size: u64, holders: &[&str]) -> Entry {
    Entry {
        path: Path::new(path).unwrap(),
        kind,
        size,
        mtime_ns: 0,
        holders: holders.iter().map(|name| (*name).to_owned()).collect(),
    }
}

fn tree() -> Vec<Entry> {
    vec![
        entry("Photos", Kind::Directory, 0, &["laptop", "nas"]),
        entry("Photos/cat.jpg", Kind::File, 1_234_567, &["laptop", "nas"]),
        entry("Photos/latest", Kind::Symlink, 7, &["laptop"]),
        entry("a\nb", Kind::File, 5, &[]),
    ]
}

#[test]
fn a_tree_for_a_person() {
    insta::assert_snapshot!(text(&tree()), @r"
    Photos/                  laptop, nas
    Photos/cat.jpg  1.1 MiB  laptop, nas
    Photos/latest@           laptop
    a\nb                5 B  nobody
    ");
}

/// A Core that answers the pages, and the connection to it.
fn connected(pages: &[FromCore]) -> (tempfile::TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("core.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let core = Connection::open(&socket).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    for page in pages {
        writeln!(stream, "{}", serde_json::to_string(page).unwrap()).unwrap();
    }
    (dir, core)
}

fn json(pages: &[FromCore]) -> anyhow::Result<Vec<Entry>> {
    let (_dir, mut core) = connected(&pages[1..]);
    let mut to = Vec::new();
    write_json(&mut to, pages[0].clone(), &mut core)?;
    Ok(serde_json::from_slice(&to)?)
}

#[test]
fn pages_are_one_json_array() {
    let (one, two) = (tree()[..2].to_vec(), tree()[2..].to_vec());
    let end = FromCore::Done(String::new());
    let pages = [FromCore::Entries(one), FromCore::Entries(two), end.clone()];
    assert_eq!(json(&pages).unwrap(), tree());
    assert_eq!(json(&[end]).unwrap(), []);
}

#[test]
fn a_listing_that_breaks_off_is_an_error() {
    assert!(json(&[FromCore::Entries(tree())]).is_err());
    let away = FromCore::Error { message: "the metadata store is away".into(), code: 1 };
    let error = json(&[FromCore::Entries(tree()), away]).unwrap_err();
    assert_eq!(error.to_string(), "error: the metadata store is away");
}

#[test]
fn pages_follow_each_other_as_text() {
    let pages = [FromCore::Entries(tree()), FromCore::Done(String::new())];
    let (_dir, mut core) = connected(&pages);
    let mut to = Vec::new();
    write_text(&mut to, FromCore::Entries(tree()), &mut core).unwrap();
    assert_eq!(String::from_utf8(to).unwrap(), text(&tree()).repeat(2));
}
