//! The driver's options and its manifest.

use std::fmt;
use std::time::Duration;

use onitu_plug::{Abilities, Manifest, OptionKind, OptionSpec, PROTOCOL_VERSION};
use serde::Deserialize;

use crate::archive::Thawing;

/// A text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text, for the one place that signs requests.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What `[services.NAME]` says to this driver; the Core has refused what the manifest doesn't name.
#[derive(Debug, Clone, Deserialize)]
pub struct Options {
    /// The bucket's name.
    pub bucket: String,
    /// The part of the bucket that is synchronized: keys that begin with it and a `/`.
    #[serde(default)]
    pub prefix: String,
    /// The bucket's region.
    pub region: Option<String>,
    /// The server's address, if it isn't Amazon's.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the address' path and not in its host name.
    pub path_style: Option<bool>,
    /// Who asks; from the environment or a profile if not given.
    pub access_key_id: Option<Secret>,
    /// Signs requests.
    pub secret_access_key: Option<Secret>,
    /// For temporary credentials.
    pub session_token: Option<Secret>,
    /// The section of the AWS configuration files that has the credentials.
    pub profile: Option<String>,
    /// The class in which new objects are stored.
    pub storage_class: Option<String>,
    /// How new objects are encrypted by the server: `AES256` or `aws:kms`.
    pub encryption: Option<String>,
    /// The key for `aws:kms`.
    pub kms_key_id: Option<String>,
    /// For how many days an archived object is made readable.
    pub restore_days: Option<i32>,
    /// How fast: `Expedited`, `Standard` or `Bulk`.
    pub restore_tier: Option<String>,
    /// The URL of a queue that the bucket's event notifications go to.
    pub queue: Option<String>,
    /// Seconds between two listings: the option `poll` that every service has.
    pub poll_s: Option<u64>,
    /// Bytes of one part of a large file. Not in the manifest: for tests.
    pub part_bytes: Option<u64>,
    /// Most bytes that are copied in one request. Not in the manifest: for tests.
    pub copy_bytes_max: Option<u64>,
    /// Seconds after which another Onitu's lock is nobody's. Not in the manifest: for tests.
    pub lease_s: Option<u64>,
    /// Seconds after which an upload that nobody goes on with is ended. Not in the manifest: for
    /// tests.
    pub uploads_kept_s: Option<u64>,
}

/// Between two listings that found nothing, if the options don't say.
const POLL: Duration = Duration::from_secs(30);
/// The same while a queue tells of changes, and a listing only finds what it didn't.
const POLL_BESIDE_QUEUE: Duration = Duration::from_mins(5);

impl Options {
    /// Between two listings that found nothing.
    pub(crate) fn poll(&self) -> Duration {
        self.poll_s.map_or(POLL, Duration::from_secs).max(Duration::from_secs(1))
    }

    /// How archived objects are asked for.
    pub(crate) fn thawing(&self) -> Thawing {
        Thawing {
            tier: self.restore_tier.clone().unwrap_or_else(|| "Standard".to_owned()),
            days: self.restore_days.unwrap_or(7).max(1),
        }
    }

    /// The same while a queue tells of changes.
    pub(crate) fn poll_beside_queue(&self) -> Duration {
        self.poll_s.map_or(POLL_BESIDE_QUEUE, |_| self.poll())
    }
}

fn option(name: &str, kind: OptionKind, default: Option<&str>, help: &str) -> OptionSpec {
    let default = default.map(str::to_owned);
    OptionSpec { name: name.to_owned(), kind, required: false, default, help: help.to_owned() }
}

fn options() -> Vec<OptionSpec> {
    use OptionKind::{Boolean, Secret, Text};
    let bucket = OptionSpec {
        required: true,
        ..option("bucket", Text, None, "The bucket's name. It must exist.")
    };
    vec![
        bucket,
        option(
            "prefix",
            Text,
            None,
            "Only keys that begin with it are synchronized, as if it were a folder: `photos` stands for `photos/…`.",
        ),
        option(
            "region",
            Text,
            None,
            "The bucket's region. From the AWS configuration if not given; `us-east-1` with an `endpoint`.",
        ),
        option("endpoint", Text, None, "The server's address, `https://…`, if it isn't Amazon's."),
        option(
            "path_style",
            Boolean,
            None,
            "Whether requests name the bucket in the path (`https://host/bucket`) and not in the host name. True with an `endpoint`, else false.",
        ),
        option(
            "access_key_id",
            Secret,
            None,
            "Who asks. From the environment, the profile, or the machine's role if not given.",
        ),
        option("secret_access_key", Secret, None, "Signs requests; together with `access_key_id`."),
        option("session_token", Secret, None, "Belongs to temporary credentials."),
        option(
            "profile",
            Text,
            None,
            "The section of `~/.aws/config` and `~/.aws/credentials` that has region and credentials; given, it goes before the environment.",
        ),
        option(
            "storage_class",
            Text,
            None,
            "The class in which new objects are stored: `STANDARD_IA`, `GLACIER_IR` and others. The bucket's default if not given.",
        ),
        option(
            "encryption",
            Text,
            None,
            "How the server encrypts new objects: `AES256` or `aws:kms`. The bucket's default if not given.",
        ),
        option("kms_key_id", Text, None, "The key for `encryption = \"aws:kms\"`."),
    ]
}

/// Those about what a bucket may have beside objects.
fn further_options() -> Vec<OptionSpec> {
    use OptionKind::{Integer, Text};
    vec![
        option(
            "restore_days",
            Integer,
            Some("7"),
            "For how many days an object in an archive is made readable when it is needed.",
        ),
        option(
            "restore_tier",
            Text,
            Some("Standard"),
            "How fast, and dear, that is: `Expedited`, `Standard` or `Bulk`.",
        ),
        option(
            "queue",
            Text,
            None,
            "The URL of an SQS queue of this service's own, to which the bucket's event notifications go: changes are heard of at once, and listings become rare.",
        ),
    ]
}

/// Name, options and abilities of this driver.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        name: "s3".to_owned(),
        description: "A bucket of Amazon S3 or any compatible server".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
        options: [options(), further_options()].concat(),
        abilities: Abilities {
            rename: true,
            mtime: false,
            executable: false,
            directories: true,
            symlinks: false,
            tag_survives_rename: false,
            exact_names: true,
            trash: true,
        },
    }
}
