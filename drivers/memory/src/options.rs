//! The driver's options and its manifest.

use onitu_plug::{Manifest, OptionKind, OptionSpec};
use serde::Deserialize;

use crate::abilities::Able;

/// What the driver takes in `[services.*]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryOptions {
    /// The storage's name within the process; the service's own name if it isn't given.
    pub storage: Option<String>,
}

/// The manifest of a storage with the abilities of `A`.
pub(crate) fn manifest<A: Able>() -> Manifest {
    Manifest {
        name: A::NAME.to_owned(),
        description: "A storage in this process' memory, for tests: it forgets all on exit"
            .to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: onitu_plug::PROTOCOL_VERSION,
        options: vec![OptionSpec {
            name: "storage".to_owned(),
            kind: OptionKind::Text,
            required: false,
            default: None,
            help: "Name of the storage within the process; the service's name if not given."
                .to_owned(),
        }],
        abilities: A::ABILITIES,
    }
}
