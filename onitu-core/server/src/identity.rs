//! Under which number a service is registered: its name's, unless it stands somewhere else in the
//! tree than before.
//!
//! What is on record of a service are paths of the tree. Where its root stands somewhere else, all
//! of them would look deleted; so it is another service then, which holds nothing yet, and the one
//! before is gone as if it had been taken out of the configuration.

use onitu_core::store::Registry;
use onitu_core::{AT, Path};
use serde_json::Value;

use crate::configuration::{Configuration, Configured};

/// The option that tells two services of one name and place apart: since when it stands there, in
/// milliseconds since the epoch.
const SINCE: &str = "at_since_ms";

/// `configuration` with the time noted at which a service was given another place than it has in
/// `before`.
pub(crate) fn dated(
    mut configuration: Configuration,
    before: &Registry,
    now_ms: u64,
) -> Configuration {
    for configured in &mut configuration.services {
        let Some(known) = before.by_name(&configured.name) else { continue };
        let since = if known.at() == place(configured) {
            known.options.get(SINCE).cloned()
        } else {
            Some(now_ms.into())
        };
        match since {
            Some(since) => drop(configured.options.insert(SINCE.to_owned(), since)),
            None => drop(configured.options.remove(SINCE)),
        }
    }
    configuration
}

/// What the store gives a number to.
pub(crate) fn key(configured: &Configured) -> String {
    let (name, at) = (&configured.name, place(configured));
    match configured.options.get(SINCE).and_then(Value::as_u64) {
        Some(since) => format!("{name} at {at} since {since}"),
        None if at.is_root() => name.clone(),
        None => format!("{name} at {at}"),
    }
}

fn place(configured: &Configured) -> Path {
    let at = configured.options.get(AT).and_then(Value::as_str);
    at.and_then(|at| Path::new(at).ok()).unwrap_or_else(Path::root)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use onitu_core::{Mode, ServiceId};

    use super::*;
    use crate::register;

    fn configuration(at: Option<&str>) -> Configuration {
        let options = at.map(|at| (AT.to_owned(), at.into())).into_iter().collect();
        let (name, driver) = ("nas".to_owned(), "local".to_owned());
        let services = vec![Configured { name, driver, mode: Mode::Sync, options }];
        Configuration { services, ..Configuration::default() }
    }

    fn registry(configuration: &Configuration) -> Registry {
        let ids = BTreeMap::from([("nas".to_owned(), ServiceId(1))]);
        register::registry(configuration, &std::collections::BTreeSet::new(), &ids)
    }

    #[test]
    fn a_service_keeps_its_number_until_it_stands_somewhere_else_and_gets_none_back() {
        let mut before = Registry::default();
        let mut keys = Vec::new();
        let places = [None, None, Some("Photos"), Some("Photos"), None, Some("Photos"), None];
        for (now_ms, at) in (7..).zip(places) {
            let dated = dated(configuration(at), &before, now_ms);
            keys.push(key(&dated.services[0]));
            before = registry(&dated);
        }
        let expected = [
            "nas",
            "nas",
            "nas at Photos since 9",
            "nas at Photos since 9",
            "nas at  since 11",
            "nas at Photos since 12",
            "nas at  since 13",
        ];
        assert_eq!(keys, expected);
        let new = dated(configuration(Some("Photos")), &Registry::default(), 1);
        assert_eq!(key(&new.services[0]), "nas at Photos");
    }
}
