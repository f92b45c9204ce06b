//! The driver's options and its manifest.

use std::path::PathBuf;

use onitu_plug::{Abilities, Manifest, OptionKind, OptionSpec, PROTOCOL_VERSION};
use serde::Deserialize;

/// What `[services.NAME]` says to this driver; the Core has refused what the manifest doesn't name.
#[derive(Debug, Clone, Deserialize)]
pub struct Options {
    /// The folder in Dropbox, as `/Onitu`; nothing or `/` is all of it.
    #[serde(default)]
    pub root: String,
    /// The key of the app that was allowed in.
    pub app_key: String,
    /// Where its tokens are kept.
    pub token_file: PathBuf,
    /// Of which namespace `root` is a folder: `home`, `root` or an id.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Where to call instead of Dropbox's own hosts.
    #[serde(default)]
    pub api_base: Option<String>,
}

impl Options {
    /// The path of the folder as Dropbox wants it: nothing for all of it, else `/…`.
    pub(crate) fn root(&self) -> String {
        match self.root.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }
}

fn option(name: &str, kind: OptionKind, default: Option<&str>, help: &str) -> OptionSpec {
    OptionSpec {
        name: name.to_owned(),
        kind,
        required: false,
        default: default.map(str::to_owned),
        help: help.to_owned(),
    }
}

/// Name, options and abilities of this driver.
pub(crate) fn manifest() -> Manifest {
    let required = |spec: OptionSpec| OptionSpec { required: true, ..spec };
    Manifest {
        name: "dropbox".to_owned(),
        description: "A folder of a Dropbox account".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        options: vec![
            option(
                "root",
                OptionKind::Text,
                Some("/"),
                "The folder in Dropbox, as `/Onitu`. It must exist; Onitu keeps its own files in \
                 `.onitu` inside it.",
            ),
            required(option(
                "app_key",
                OptionKind::Text,
                None,
                "The key of the Dropbox app that you allowed in.",
            )),
            required(option(
                "token_file",
                OptionKind::File,
                None,
                "The file with its tokens, as `docs/drivers/dropbox.md` describes it. Keep it to \
                 yourself.",
            )),
            option(
                "namespace",
                OptionKind::Text,
                Some("home"),
                "`root` is a folder of this namespace: `home`, your own; `root`, which holds your \
                 team's folders too; or the id of one.",
            ),
            option(
                "api_base",
                OptionKind::Text,
                None,
                "Where to call instead of Dropbox's own hosts, as `http://127.0.0.1:8080`: a \
                 server for tests.",
            ),
        ],
        abilities: Abilities {
            rename: true,
            mtime: true,
            executable: false,
            directories: true,
            symlinks: false,
            tag_survives_rename: true,
            exact_names: false,
            trash: true,
        },
    }
}
