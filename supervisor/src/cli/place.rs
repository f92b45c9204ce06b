//! A path inside the tree, a size and an age as a person types them.

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

/// Reads a size, as rules have it: `10 MB`, `4 KiB`, `12345`.
pub fn size(text: &str) -> Result<u64, String> {
    onitu_core::size::parse(text).map_err(str::to_owned)
}

/// Reads an age, as rules have it: `90 days`; in seconds.
pub fn age_s(text: &str) -> Result<u64, String> {
    let age_ns = onitu_core::rules::age::parse(text).map_err(str::to_owned)?;
    Ok(u64::try_from(age_ns / 1_000_000_000).unwrap_or(0))
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
