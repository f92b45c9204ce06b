//! The shelf keeps every promise of the trait.

#[path = "../examples/shelf/client.rs"]
mod client;
#[path = "../examples/shelf/plug.rs"]
mod plug;

use onitu_conformance::Subject;
use serde_json::{Value, json};

struct Fixture(tempfile::TempDir);

impl Subject for Fixture {
    type Plug = plug::Shelf;

    async fn fresh() -> Self {
        let name = tempfile::tempdir().expect("a name that no other shelf has");
        client::Client::build(&name.path().display().to_string());
        Self(name)
    }

    fn options(&self) -> Value {
        json!({ "shelf": self.0.path() })
    }
}

onitu_conformance::suite!(Fixture);
