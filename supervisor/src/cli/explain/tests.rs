use onitu_core::status::{PendingStatus, StatementStatus, UnableStatus};

use super::*;

fn unknown() -> Explanation {
    Explanation {
        path: Path::new("Photos/cat.jpg").unwrap(),
        revision: 0,
        gone: false,
        kind: None,
        size: 0,
        checksum: None,
        media: None,
        holders: Vec::new(),
        targets: Vec::new(),
        only: None,
        excluded: false,
        changes_at_ms: None,
        ignored: None,
        rules_file: None,
        statements: Vec::new(),
        pending: Vec::new(),
        unable: Vec::new(),
    }
}

fn holder(service: &str, revision: u64) -> HolderStatus {
    HolderStatus { service: service.to_owned(), revision, current: revision == 3, leaving: false }
}

fn statement(line: usize, text: &str, matches: bool) -> StatementStatus {
    StatementStatus { line, text: text.to_owned(), matches, unmet: None }
}

fn known() -> Explanation {
    Explanation {
        revision: 3,
        kind: Some(Kind::File),
        size: 1_234_567,
        checksum: Some("a9993e364706816aba3e25717850c26c9cd0d89d".to_owned()),
        media: Some("image/jpeg".to_owned()),
        holders: vec![holder("laptop", 3), holder("nas", 2), holder("usb", 0)],
        targets: vec!["laptop".to_owned(), "nas".to_owned()],
        statements: vec![
            statement(1, "sync everything to laptop, nas", true),
            statement(2, "sync \"Documents/**\" to s3", false),
        ],
        pending: vec![PendingStatus {
            service: "nas".to_owned(),
            work: "get revision 3".to_owned(),
            reason: "being transferred from `laptop`, 34 % done".to_owned(),
            since_ms: None,
        }],
        ..unknown()
    }
}

#[test]
fn a_file_under_way() {
    insta::assert_snapshot!(text(&known(), Paint::Plain), @r"
    Photos/cat.jpg
      file, image/jpeg, 1.1 MiB (1,234,567 bytes), revision 3, SHA-1 a9993e364706816aba3e25717850c26c9cd0d89d
    held by
      laptop  revision 3, current
      nas     revision 2
      usb     another content, which will get a conflict name
    should be on
      laptop, nas
    because of
      line 1 of the rules: sync everything to laptop, nas
    still to do
      nas: get revision 3; being transferred from `laptop`, 34 % done
    ");
}

#[test]
fn a_path_nobody_knows() {
    let mut unknown = unknown();
    unknown.statements = vec![statement(1, "sync \"Documents/**\" to s3", false)];
    insta::assert_snapshot!(text(&unknown, Paint::Plain), @r"
    Photos/cat.jpg
      nothing is known of it
    should be on
      no service
    because of
      no statement of the rules matches
    still to do
      nothing
    ");
}

#[test]
fn other_kinds_and_a_deletion() {
    let mut it = known();
    it.kind = Some(Kind::Directory);
    assert_eq!(content(&it), "  directory, revision 3\n");
    it.kind = Some(Kind::Symlink);
    (it.size, it.checksum, it.media) = (7, None, None);
    assert_eq!(content(&it), "  symbolic link, 7 B, revision 3, SHA-1 not known yet\n");
    it.kind = Some(Kind::File);
    assert_eq!(content(&it), "  file, type not known, 7 B, revision 3, SHA-1 not known yet\n");
    it.media = Some(String::new());
    assert_eq!(content(&it), "  file, of no known type, 7 B, revision 3, SHA-1 not known yet\n");
    it.gone = true;
    assert_eq!(content(&it), "  deleted as revision 3, the deletion is on its way\n");
    it.path = Path::root();
    assert!(text(&it, Paint::Plain).starts_with("the root of the tree\n"));
}

#[test]
fn without_rules_everything_goes_everywhere() {
    let mut it = known();
    it.statements = vec![statement(0, "no rules: everything goes to every service", true)];
    assert_eq!(statements(&it), "no rules: everything goes to every service\n");
}

#[test]
fn a_file_that_is_restricted_and_leaves_a_service() {
    let mut it = known();
    it.holders = vec![holder("laptop", 3), HolderStatus { leaving: true, ..holder("s3", 3) }];
    it.targets = vec!["laptop".to_owned()];
    it.only = Some(vec!["laptop".to_owned()]);
    let mut unmet = statement(4, "sync \"**/*.jpg\" where size > 10 MB to s3", false);
    unmet.unmet = Some("size > 10 MB".to_owned());
    it.statements = vec![statement(2, "keep \"Photos/**\" only on laptop", true), unmet];
    it.pending = vec![PendingStatus {
        service: "s3".to_owned(),
        work: "remove it, because the rules have it elsewhere".to_owned(),
        reason: "its turn comes".to_owned(),
        since_ms: None,
    }];
    insta::assert_snapshot!(text(&it, Paint::Plain), @r#"
    Photos/cat.jpg
      file, image/jpeg, 1.1 MiB (1,234,567 bytes), revision 3, SHA-1 a9993e364706816aba3e25717850c26c9cd0d89d
    held by
      laptop  revision 3, current
      s3      revision 3, is removing it
    should be on
      laptop
    may be held only by
      laptop
    because of
      line 2 of the rules: keep "Photos/**" only on laptop
      not line 4 of the rules: sync "**/*.jpg" where size > 10 MB to s3; not met: size > 10 MB
    still to do
      s3: remove it, because the rules have it elsewhere; its turn comes
    "#);
    it.rules_file = Some("entries.toml".to_owned());
    it.pending[0].since_ms = Some(1_000_000_000_000);
    let told = text(&it, Paint::Plain);
    assert!(told.contains("  entries.toml:2: keep"), "{told}");
    assert!(told.contains("  not entries.toml:4: sync"), "{told}");
    assert!(told.contains("its turn comes (since 2001-09-"), "{told}");
    it.excluded = true;
    assert!(text(&it, Paint::Plain).contains("no service: it is excluded"));
}

#[test]
fn a_service_that_can_not_keep_it_is_named_with_the_reason() {
    let mut it = known();
    it.unable = vec![UnableStatus {
        service: "bucket".to_owned(),
        reason: "`bucket` keeps no symbolic links".to_owned(),
    }];
    let told = text(&it, Paint::Plain);
    let lines = "can't be kept on\n  bucket: `bucket` keeps no symbolic links\n";
    assert!(told.contains(lines), "{told}");
    assert!(!text(&known(), Paint::Plain).contains("kept on"));
}
