//! Names of services: from numbers, and from what a person wrote.

use onitu_core::rules::{listed, nearest};
use onitu_core::store::Registry;
use onitu_core::{Service, ServiceId};

/// The name of the service with number `id`, which may have been removed since.
pub(crate) fn of(registry: &Registry, id: ServiceId) -> String {
    registry
        .by_id(id)
        .map_or_else(|| format!("service {id} (removed)"), |service| service.name.clone())
}

/// The services a person means by `name`: one, or all by [`None`].
pub(crate) fn meant<'a>(
    registry: &'a Registry,
    name: Option<&str>,
) -> Result<Vec<&'a Service>, String> {
    match name {
        None => Ok(registry.services.iter().collect()),
        Some(name) => match registry.by_name(name) {
            Some(service) => Ok(vec![service]),
            None => Err(unknown(registry, name)),
        },
    }
}

fn unknown(registry: &Registry, name: &str) -> String {
    let names = || registry.services.iter().map(|service| service.name.as_str());
    match nearest(name, names()) {
        Some(meant) => format!("no service is called `{name}`\nhint: did you mean `{meant}`?"),
        None if registry.services.is_empty() => {
            format!("no service is called `{name}`: none is configured")
        }
        None => {
            format!("no service is called `{name}`\nhint: there are {}", listed(names()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::registry;

    #[test]
    fn a_mistyped_name_is_answered_with_the_nearest() {
        let registry = registry(&["laptop", "nas"]);
        let said = meant(&registry, Some("lpatop")).expect_err("no such service");
        insta::assert_snapshot!(said, @r"
        no service is called `lpatop`
        hint: did you mean `laptop`?
        ");
        let said = meant(&registry, Some("zzz")).expect_err("no such service");
        insta::assert_snapshot!(said, @r"
        no service is called `zzz`
        hint: there are `laptop`, `nas`
        ");
    }

    #[test]
    fn no_name_means_every_service() {
        let registry = registry(&["laptop", "nas"]);
        assert_eq!(meant(&registry, None).expect("all").len(), 2);
        assert_eq!(meant(&registry, Some("nas")).expect("one")[0].name, "nas");
        assert_eq!(of(&registry, ServiceId(9)), "service 9 (removed)");
    }
}
