//! What `onitu ls --json` tells, and what is different in the next one.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::onitu::ask;

/// The tree at one moment: what is shown of each path, and when it was written.
#[derive(Debug, Default, PartialEq)]
pub struct Tree(BTreeMap<String, (String, i64)>);

impl Tree {
    /// Asks the running Onitu; nothing if it doesn't answer.
    pub async fn list(programs: &Path) -> Option<Self> {
        let output = ask(programs, &["ls", "--json"]).await.ok()?;
        if !output.status.success() {
            return None;
        }
        Self::read(&serde_json::from_slice(&output.stdout).ok()?)
    }

    fn read(json: &Value) -> Option<Self> {
        let entries = json.as_array()?.iter().map(|entry| {
            let path = entry["path"].as_str()?.to_owned();
            let holders = entry["holders"].as_array()?.iter().filter_map(Value::as_str);
            let holders = holders.collect::<Vec<_>>().join(", ");
            let what = match entry["kind"].as_str()? {
                "directory" => "directory".to_owned(),
                "symlink" => "link".to_owned(),
                _ => format!("{} B", entry["size"].as_u64()?),
            };
            Some((path, (format!("{what}, on {holders}"), entry["mtime_ns"].as_i64()?)))
        });
        entries.collect::<Option<_>>().map(Self)
    }

    /// How many paths there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// A line for each path that is other than `before`, at most `limit` and one that counts the
    /// rest.
    pub fn since(&self, before: &Self, limit: usize) -> Vec<String> {
        let changed = self.0.iter().filter(|(path, now)| before.0.get(*path) != Some(now));
        let changed = changed.map(|(path, (what, _))| {
            let sign = if before.0.contains_key(path) { '~' } else { '+' };
            format!("  {sign} {path} ({what})")
        });
        let gone = before.0.keys().filter(|path| !self.0.contains_key(*path));
        let mut lines: Vec<String> =
            changed.chain(gone.map(|path| format!("  - {path}"))).collect();
        if lines.len() > limit {
            let rest = lines.len() - limit;
            lines.truncate(limit);
            lines.push(format!("  … and {rest} more"));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(paths: &[(&str, u64, &[&str])]) -> Tree {
        let entry = |(path, size, holders): &(&str, u64, &[&str])| json!({"path": path, "kind": "file", "size": size, "mtime_ns": 1, "holders": holders});
        Tree::read(&paths.iter().map(entry).collect()).expect("entries")
    }

    #[test]
    fn what_came_changed_and_went_is_told() {
        let before = tree(&[("a", 1, &["laptop"]), ("b", 1, &["nas"]), ("c", 1, &["nas"])]);
        let now = tree(&[("a", 1, &["laptop", "nas"]), ("c", 1, &["nas"]), ("d", 2, &["nas"])]);
        let told = ["  ~ a (1 B, on laptop, nas)", "  + d (2 B, on nas)", "  - b"];
        assert_eq!(now.since(&before, 9), told);
        assert!(now.since(&now, 9).is_empty());
    }

    #[test]
    fn a_flood_is_counted() {
        let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        let paths: Vec<(&str, u64, &[&str])> =
            names.iter().map(|name| (name.as_str(), 1, &["nas"][..])).collect();
        let told = tree(&paths).since(&Tree::default(), 20);
        assert_eq!((told.len(), told[20].as_str()), (21, "  … and 30 more"));
    }
}
