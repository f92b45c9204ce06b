//! From a configuration to the registry and to the processes it wants: pure functions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use onitu_core::control::Wanted;
use onitu_core::rules::{Rules, listed};
use onitu_core::store::Registry;
use onitu_core::{Hasher, Service, ServiceId};

use crate::configuration::Configuration;

/// What every driver is told on its command line to find the others.
#[derive(Debug, Clone)]
pub struct Place {
    /// The private directory of the sockets.
    pub runtime_dir: PathBuf,
    /// Of the metadata store.
    pub redis_url: String,
}

/// The registry that `configuration` asks for, ordered by number; its version is still 0.
/// Services without a number in `ids` are left out: a service is registered with its own or not.
pub(crate) fn registry(
    configuration: &Configuration,
    paused: &BTreeSet<String>,
    ids: &BTreeMap<String, ServiceId>,
) -> Registry {
    let mut services: Vec<Service> = configuration
        .services
        .iter()
        .filter_map(|configured| {
            Some(Service {
                id: *ids.get(&configured.name)?,
                name: configured.name.clone(),
                driver: configured.driver.clone(),
                mode: configured.mode,
                paused: paused.contains(&configured.name),
                options: configured.options.clone(),
            })
        })
        .collect();
    services.sort_by_key(|service| service.id);
    let (rules, keeps_junk) = (configuration.rules.clone(), configuration.keeps_junk);
    Registry { version: 0, services, rules, approved: Vec::new(), keeps_junk }
}

/// A registry to answer from while the store, which gives the numbers, is not there yet. Its
/// numbers are from the far end of the range and are told to nobody.
pub(crate) fn provisional(configuration: &Configuration) -> Registry {
    let numbers = (0..=u16::MAX).rev().map(ServiceId);
    let names = configuration.services.iter().map(|configured| configured.name.clone());
    registry(configuration, &BTreeSet::new(), &names.zip(numbers).collect())
}

/// In which order numbers are asked for: known services first, by their old number, so that an
/// emptied store gives the same numbers again wherever it can.
pub(crate) fn names_by_age(configuration: &Configuration, known: &Registry) -> Vec<String> {
    let mut names: Vec<String> =
        configuration.services.iter().map(|configured| configured.name.clone()).collect();
    names.sort_by_key(|name| known.by_name(name).map_or(u32::MAX, |known| u32::from(known.id.0)));
    names
}

/// Whether two registries say the same, whatever their versions.
pub(crate) fn same(one: &Registry, other: &Registry) -> bool {
    one.services == other.services
        && one.rules == other.rules
        && one.approved == other.approved
        && one.keeps_junk == other.keeps_junk
}

/// The processes that shall run for `registry`, and why some services have none. A service's
/// number and options stand in the arguments as a fingerprint, so that a change of either starts
/// its driver anew and nothing else does; `salt` keeps options that are secrets from being guessed
/// from it.
pub(crate) fn wanted(
    registry: &Registry,
    programs: &BTreeMap<String, Result<PathBuf, String>>,
    place: &Place,
    salt: &str,
) -> (Vec<Wanted>, BTreeMap<String, String>) {
    let mut run = Vec::new();
    let mut missing = BTreeMap::new();
    for service in &registry.services {
        match programs.get(&service.driver) {
            Some(Ok(_)) if service.paused => {}
            Some(Ok(program)) => run.push(Wanted {
                name: process_name(&service.name),
                program: program.clone(),
                arguments: arguments(service, place, salt),
            }),
            Some(Err(reason)) => {
                missing.insert(service.name.clone(), reason.clone());
            }
            None => {
                let reason = format!("nobody looked for the driver `{}`", service.driver);
                missing.insert(service.name.clone(), reason);
            }
        }
    }
    (run, missing)
}

/// The name under which the supervisor runs the driver of the service called `name`.
pub(crate) fn process_name(name: &str) -> String {
    format!("driver-{name}")
}

fn arguments(service: &Service, place: &Place, salt: &str) -> Vec<String> {
    let runtime = place.runtime_dir.display().to_string();
    let fingerprint = fingerprint(service, salt);
    [
        "run",
        "--service",
        &service.name,
        "--runtime",
        &runtime,
        "--redis",
        &place.redis_url,
        "--fingerprint",
        &fingerprint,
    ]
    .map(str::to_owned)
    .to_vec()
}

fn fingerprint(service: &Service, salt: &str) -> String {
    let described = Service { paused: false, ..service.clone() };
    let mut hasher = Hasher::default();
    hasher.update(salt.as_bytes());
    hasher.update(&serde_json::to_vec(&described).unwrap_or_default());
    hasher.finish().to_string()[..16].to_owned()
}

/// What is different in `new`, in words for the person who asked for it.
pub(crate) fn changes(old: &Registry, new: &Registry) -> Vec<String> {
    let mut parts = Vec::new();
    let added: Vec<_> =
        new.services.iter().filter(|service| old.by_name(&service.name).is_none()).collect();
    let removed = removed(old, new);
    let changed: Vec<_> = new
        .services
        .iter()
        .filter(|service| old.by_name(&service.name).is_some_and(|known| known != *service))
        .collect();
    for (verb, services) in [("added", added), ("removed", removed), ("changed", changed)] {
        if !services.is_empty() {
            parts.push(format!("{verb} {}", quoted(&services)));
        }
    }
    if old.rules != new.rules {
        parts.push("changed the rules".to_owned());
    }
    if old.keeps_junk != new.keeps_junk {
        parts.push("changed whether junk is ignored".to_owned());
    }
    parts
}

/// Names as a sentence holds them.
pub(crate) fn quoted(services: &[&Service]) -> String {
    listed(services.iter().map(|service| service.name.as_str()))
}

/// Whether `new` may have paths looked at that `old` excluded.
pub(crate) fn may_uncover(old: &Registry, new: &Registry) -> bool {
    let names: Vec<String> = old.services.iter().map(|service| service.name.clone()).collect();
    let excludes = |text: &String| Rules::parse(text, &names).0.is_some_and(|it| it.may_exclude());
    old.rules != new.rules && old.rules.as_ref().is_some_and(excludes)
}

/// The services of `old` that `new` has no more.
pub(crate) fn removed<'a>(old: &'a Registry, new: &Registry) -> Vec<&'a Service> {
    old.services.iter().filter(|service| new.by_name(&service.name).is_none()).collect()
}

#[cfg(test)]
mod tests;
