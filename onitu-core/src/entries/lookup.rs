//! Where the configuration and the state are looked for (design §8).

use std::path::{Path, PathBuf};

/// The files to try, best first; the first that exists is the configuration. One that was named
/// (`--config`, `$ONITU_CONFIG`) is the only one, so that a misspelt name is told and not passed
/// over. An empty `cwd` gives the plain `entries.toml`.
pub fn lookup_order(
    config_flag: Option<&Path>,
    env_config: Option<&Path>,
    cwd: &Path,
    xdg_config_home: Option<&Path>,
    home: Option<&Path>,
) -> Vec<PathBuf> {
    let named = config_flag.or(env_config.filter(|path| !path.as_os_str().is_empty()));
    if let Some(path) = named {
        return vec![path.to_owned()];
    }
    let own = base(xdg_config_home, home, ".config");
    let mut order = vec![cwd.join("entries.toml")];
    order.extend(own.map(|directory| directory.join("onitu/entries.toml")));
    order
}

/// Where Onitu writes what it needs for itself when the configuration doesn't say: below
/// `$XDG_STATE_HOME`, else `~/.local/state`; [`None`] without both.
pub fn default_state_dir(xdg_state_home: Option<&Path>, home: Option<&Path>) -> Option<PathBuf> {
    base(xdg_state_home, home, ".local/state").map(|directory| directory.join("onitu"))
}

/// The XDG specification says that a relative path in its variables is to be ignored; an empty
/// `$HOME` is none.
fn base(xdg: Option<&Path>, home: Option<&Path>, below_home: &str) -> Option<PathBuf> {
    let xdg = xdg.filter(|path| path.is_absolute()).map(Path::to_owned);
    let home = home.filter(|path| path.is_absolute());
    xdg.or_else(|| home.map(|home| home.join(below_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_file_is_the_only_one() {
        let (flag, env) = (Path::new("a.toml"), Path::new("/b.toml"));
        let order = |flag, env| lookup_order(flag, env, Path::new("/somewhere"), None, None);
        assert_eq!(order(Some(flag), Some(env)), [flag]);
        assert_eq!(order(None, Some(env)), [env]);
        assert_eq!(order(None, Some(Path::new(""))), [Path::new("/somewhere/entries.toml")]);
    }

    #[test]
    fn else_the_folder_comes_before_the_persons_own_file() {
        let order = |cwd: &str, xdg: Option<&str>, home: Option<&str>| {
            let (xdg, home) = (xdg.map(Path::new), home.map(Path::new));
            lookup_order(None, None, Path::new(cwd), xdg, home)
        };
        let own = Path::new("/home/ada/.config/onitu/entries.toml");
        assert_eq!(order("", None, Some("/home/ada")), [Path::new("entries.toml"), own]);
        assert_eq!(order("", Some("relative"), Some("/home/ada"))[1], own);
        assert_eq!(order("", Some("/x"), None)[1], Path::new("/x/onitu/entries.toml"));
        assert_eq!(order("", None, None), [Path::new("entries.toml")]);
    }

    #[test]
    fn the_state_goes_below_the_home() {
        let state = |xdg: Option<&str>, home: Option<&str>| {
            default_state_dir(xdg.map(Path::new), home.map(Path::new))
        };
        assert_eq!(state(None, None), None);
        assert_eq!(state(Some("/x"), Some("/h")), Some(PathBuf::from("/x/onitu")));
        assert_eq!(state(None, Some("/h")), Some(PathBuf::from("/h/.local/state/onitu")));
    }
}
