//! A machine that is the same everywhere, for the tests.

use std::io;
use std::path::{Path, PathBuf};

use super::{DriverProblem, Files, ParseSetting};
use crate::manifest::{Abilities, Manifest, OptionKind, OptionSpec};

const HOME: &str = "/home/ada";

/// Its disk: these folders, these files, one symbolic link.
struct Machine;

const FOLDERS: [&str; 9] = [
    "/",
    "/home",
    HOME,
    "/home/ada/onitu",
    "/home/ada/Sync",
    "/srv",
    "/srv/nas",
    "/srv/a",
    "/srv/a/b",
];
const FILES: [(&str, &str); 6] = [
    ("/home/ada/onitu/good.rules", "# all\nsync everything to laptop, nas\n"),
    ("/home/ada/onitu/bad.rules", "# all\n\nsync everthing to laptop\nkeep \"a\" only on nas\n"),
    ("/home/ada/.secrets/s3", "from a file\n"),
    ("/home/ada/.secrets/empty", "\n"),
    ("/home/ada/.ssh/id_ed25519", "a key"),
    ("/srv/file", "not a folder"),
];

impl Files for Machine {
    fn read(&self, path: &Path) -> io::Result<String> {
        let found = FILES.iter().find(|(name, _)| Path::new(name) == path);
        let missing = || io::Error::new(io::ErrorKind::NotFound, "no such file");
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(missing)
    }

    fn canonical(&self, path: &Path) -> Option<PathBuf> {
        if path == Path::new("/home/ada/link-to-nas") {
            return Some("/srv/nas".into());
        }
        self.is_folder(path).map(|_| path.to_owned())
    }

    fn is_folder(&self, path: &Path) -> Option<bool> {
        if FILES.iter().any(|(name, _)| Path::new(name) == path) {
            return Some(false);
        }
        let link = path == Path::new("/home/ada/link-to-nas");
        (link || FOLDERS.iter().any(|name| Path::new(name) == path)).then_some(true)
    }
}

fn manifest(name: &str, options: &[(&str, OptionKind, bool)]) -> Manifest {
    let option = |(name, kind, required): &(&str, OptionKind, bool)| OptionSpec {
        name: (*name).to_owned(),
        kind: *kind,
        required: *required,
        default: None,
        help: format!("what `{name}` is for"),
    };
    Manifest {
        name: name.to_owned(),
        description: "for tests".to_owned(),
        version: "0.1.0".to_owned(),
        protocol: 1,
        options: options.iter().map(option).collect(),
        abilities: Abilities {
            rename: true,
            mtime: true,
            executable: true,
            directories: true,
            symlinks: true,
            tag_survives_rename: true,
            exact_names: true,
            trash: true,
        },
    }
}

/// What the drivers of this machine say.
pub fn driver(name: &str) -> Result<Manifest, DriverProblem> {
    use OptionKind::{Boolean, File, Folder, Integer, Secret, Text};
    let options: &[_] = match name {
        "local" => &[("root", Folder, true)],
        "sftp" => &[
            ("host", Text, true),
            ("port", Integer, false),
            ("user", Text, true),
            ("root", Text, true),
            ("private_key", File, false),
            ("password", Secret, false),
        ],
        "s3" => &[
            ("bucket", Text, true),
            ("prefix", Text, false),
            ("region", Text, false),
            ("endpoint", Text, false),
            ("path_style", Boolean, false),
            ("access_key_id", Text, false),
            ("secret_access_key", Secret, false),
        ],
        "memory" => &[],
        "broken" => return Err(DriverProblem::Failed("it ended with signal 11".to_owned())),
        _ => return Err(DriverProblem::NotFound),
    };
    Ok(manifest(name, options))
}

fn variable(name: &str) -> Option<String> {
    let known = [("NAS", "/srv/nas"), ("PORT", "2222"), ("SECRET", "hunter2"), ("EMPTY", "")];
    known.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

/// The configuration stands in Ada's `~/onitu`, readable by all.
pub fn setting() -> ParseSetting<'static> {
    ParseSetting {
        file: "entries.toml".into(),
        directory: "/home/ada/onitu".into(),
        file_mode: Some(0o644),
        home: Some(HOME.into()),
        environment: &variable,
        default_state_dir: Some("/home/ada/.local/state/onitu".into()),
        drivers: &driver,
        known_drivers: ["broken", "local", "memory", "s3", "sftp"].map(str::to_owned).to_vec(),
        files: &Machine,
    }
}
