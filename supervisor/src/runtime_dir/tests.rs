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
fn a_base_that_is_missing_too_deep_or_open_to_others_is_passed_over() {
    let place = tempfile::tempdir().unwrap();
    let deep = place.path().join("d".repeat(PATH_BYTES_MAX));
    std::fs::create_dir(&deep).unwrap();
    let missing = place.path().join("missing");
    let open = place.path().join("open");
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut bases = vec![missing, deep, open];
    let error = RuntimeDir::create(&bases).unwrap_err().to_string();
    for reason in ["missing", "too long", "others could"] {
        assert!(error.contains(reason), "{error}");
    }
    bases.push("/tmp".into());
    let made = RuntimeDir::create(&bases).unwrap();
    assert_eq!(made.path().parent(), Some(Path::new("/tmp")));
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
