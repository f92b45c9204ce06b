use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::runtime_dir::RuntimeDir;

fn instance(runtime_dir: &Path) -> Instance {
    Instance {
        pid: std::process::id(),
        runtime_dir: runtime_dir.to_owned(),
        config: PathBuf::from("/entries.toml"),
    }
}

#[test]
fn the_state_directory_is_made_for_its_user_alone() {
    let place = tempfile::tempdir().unwrap();
    let state = place.path().join("a/b/state");
    let _held = Held::take(&state).unwrap();
    let mode = std::fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_second_one_is_refused_with_the_first_ones_pid_until_it_ends() {
    let place = tempfile::tempdir().unwrap();
    let held = Held::take(place.path()).unwrap();
    let message = Held::take(place.path()).unwrap_err().to_string();
    assert!(message.contains(&format!("in use by process {}", std::process::id())), "{message}");
    assert!(message.contains(&place.path().display().to_string()), "{message}");
    drop(held);
    Held::take(place.path()).unwrap();
}

#[test]
fn commands_find_the_running_instance_and_only_that() {
    let place = tempfile::tempdir().unwrap();
    let said = running(place.path()).unwrap_err().to_string();
    assert!(said.contains("isn't running"), "{said}");

    let mut held = Held::take(place.path()).unwrap();
    let wanted = instance(Path::new("/run/onitu-000000000000"));
    held.announce(&wanted).unwrap();
    assert_eq!(running(place.path()).unwrap(), wanted);

    drop(held);
    assert!(running(place.path()).is_err());
    let text = serde_json::to_vec(&wanted).unwrap();
    std::fs::write(place.path().join(INSTANCE), text).unwrap();
    assert!(running(place.path()).is_err(), "one that was killed runs no more");
}

#[test]
fn what_a_killed_one_left_behind_is_removed() {
    let place = tempfile::tempdir().unwrap();
    let left = RuntimeDir::create(&[PathBuf::from("/tmp")]).unwrap();
    let text = serde_json::to_vec(&instance(left.path())).unwrap();
    std::fs::write(place.path().join(INSTANCE), text).unwrap();
    let _held = Held::take(place.path()).unwrap();
    assert!(!left.path().exists());
    assert!(!place.path().join(INSTANCE).exists());
}
