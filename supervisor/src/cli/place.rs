//! A path inside the tree as a person types it.

use onitu_core::Path;

/// Reads a path inside the tree: `.`, `/` and nothing are its root; `./` before and `/` behind
/// are taken as what they mean.
pub fn path(text: &str) -> Result<Path, String> {
    let mut plain = text.trim_end_matches('/');
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest;
    }
    let plain = if plain == "." { "" } else { plain };
    Path::new(plain).map_err(|error| {
        let hint = if plain.starts_with('/') {
            "; a path begins at the root of the services, not at that of this machine"
        } else {
            ""
        };
        format!("{error}{hint}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_as_they_are_meant() {
        let table = [
            ("", ""),
            (".", ""),
            ("./", ""),
            ("/", ""),
            ("a/b/", "a/b"),
            ("././a", "a"),
            ("…", "…"),
        ];
        for (typed, meant) in table {
            assert_eq!(path(typed).expect("legal").as_str(), meant);
        }
    }

    #[test]
    fn what_leaves_the_tree_is_refused() {
        assert!(path("../a").is_err());
        insta::assert_snapshot!(
            path("/home/ada/a").expect_err("absolute"),
            @"`/home/ada/a` has an empty component; a path begins at the root of the services, not at that of this machine"
        );
    }
}
