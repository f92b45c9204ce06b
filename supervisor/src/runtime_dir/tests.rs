use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn it_is_private_short_and_gone_at_the_end() {
    let made = RuntimeDir::create(&[PathBuf::from("/tmp")]).unwrap();
    let path = made.path().to_owned();
    assert_eq!(mode(&path), 0o700);
    assert!(path.as_os_str().len() <= PATH_BYTES_MAX);
    std::fs::write(path.join("socket"), "").unwrap();
    drop(made);
    assert!(!path.exists());
}

#[test]
fn two_never_have_one_name() {
    let bases = [PathBuf::from("/tmp")];
    let (one, other) = (RuntimeDir::create(&bases).unwrap(), RuntimeDir::create(&bases).unwrap());
    assert_ne!(one.path(), other.path());
}

#[test]
fn a_base_that_is_missing_or_too_deep_is_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let deep = place.path().join("d".repeat(PATH_BYTES_MAX));
    std::fs::create_dir(&deep).unwrap();
    let missing = place.path().join("missing");
    let made = RuntimeDir::create(&[missing.clone(), deep.clone(), "/tmp".into()]).unwrap();
    assert!(made.path().starts_with("/tmp"));

    let error = RuntimeDir::create(&[missing, deep]).unwrap_err().to_string();
    assert!(error.contains("missing") && error.contains("too long"), "{error}");
}

#[test]
fn only_what_is_ours_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let named = |name: &str, mode: u32| {
        let path = place.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let stale = named("onitu-0123456789ab", 0o700);
    let open = named("onitu-0123456789ac", 0o755);
    let other = named("onitu-keep", 0o700);
    let link = place.path().join("onitu-0123456789ad");
    std::os::unix::fs::symlink(&stale, &link).unwrap();

    for path in [&link, &open, &other] {
        remove(path);
        assert!(path.exists(), "{}", path.display());
    }
    remove(&stale);
    assert!(!stale.exists());
    remove(&stale);
}
