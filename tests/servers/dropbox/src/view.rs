//! What a caller sees: paths relative to the root of its choice, and the ways to name a thing.

use axum::http::HeaderMap;
use serde_json::Value;

use crate::account::{Account, HOME};
use crate::errors::{Refusal, nest, tag};
use crate::names::{self, composed};
use crate::tree::Tree;

/// Where a caller's paths begin.
#[derive(Debug, Clone)]
pub struct View {
    /// A folder of the tree, or nothing for its root.
    place: &'static str,
}

impl View {
    /// As the header `Dropbox-API-Path-Root` says.
    pub fn of(account: &Account, headers: &HeaderMap) -> Result<Self, Refusal> {
        let home = account.place_of(HOME).unwrap_or("");
        let Some(header) = headers.get("dropbox-api-path-root") else {
            return Ok(Self { place: home });
        };
        let bad = || Refusal::BadInput("Dropbox-API-Path-Root: is no PathRoot".to_owned());
        let root: Value = serde_json::from_slice(header.as_bytes()).map_err(|_| bad())?;
        let text = |name: &str| root.get(name).and_then(Value::as_str);
        let no_access = || Refusal::PathRoot(tag("no_permission"));
        match text(".tag").ok_or_else(bad)? {
            "home" => Ok(Self { place: home }),
            "root" => {
                let namespace = text("root").ok_or_else(bad)?;
                if !account.is_root(namespace) {
                    return Err(Refusal::PathRoot(nest("invalid_root", account.root_info())));
                }
                Ok(Self { place: "" })
            }
            "namespace_id" => {
                let namespace = text("namespace_id").ok_or_else(bad)?;
                let place = account.place_of(namespace).ok_or_else(no_access)?;
                Ok(Self { place })
            }
            _ => Err(bad()),
        }
    }

    /// The path in the tree of what is to be read; a `LookupError` if it can't be one. A spelling
    /// with decomposed letters is found nowhere.
    pub fn read(&self, tree: &Tree, path: &str) -> Result<String, Value> {
        if path.starts_with("id:") {
            return tree.key_of_id(path).ok_or_else(|| tag("not_found"));
        }
        if let Some(rev) = path.strip_prefix("rev:") {
            let found = tree.revision(rev);
            return found.map(|(key, _)| key.clone()).ok_or_else(|| tag("not_found"));
        }
        if names::check(path).is_err_and(|bad| bad == names::Bad::Malformed) {
            return Err(tag("malformed_path"));
        }
        if composed(path) != path {
            return Err(tag("not_found"));
        }
        Ok(format!("{}{path}", self.place))
    }

    /// The path in the tree of what is to be written; a `WriteError` if it can't be.
    pub fn write(&self, tree: &Tree, path: &str) -> Result<String, Value> {
        if path.starts_with("id:") {
            return tree.key_of_id(path).ok_or_else(|| tag("malformed_path"));
        }
        if path.is_empty() {
            return Err(tag("malformed_path"));
        }
        names::check(path)?;
        Ok(composed(&format!("{}{path}", self.place)))
    }

    /// A `Metadata` with paths as this caller has them.
    pub fn shown(&self, mut metadata: Value) -> Value {
        for field in ["path_lower", "path_display"] {
            let Some(path) = metadata.get(field).and_then(Value::as_str) else { continue };
            let shown = path.get(self.place.len()..).unwrap_or_default().to_owned();
            metadata[field] = Value::from(shown);
        }
        metadata
    }
}
