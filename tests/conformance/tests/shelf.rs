//! The shelf, the example of the guide, keeps every promise of the trait.

#[path = "../examples/shelf/client.rs"]
mod client;
#[path = "../examples/shelf/plug.rs"]
mod plug;

/// As its author's library has them.
mod onitu_driver_shelf {
    pub(crate) use crate::{client, plug};
}

// --- the suite
use onitu_conformance::Subject;
use onitu_driver_shelf::client::Client;
use onitu_driver_shelf::plug::Shelf;
use serde_json::{Value, json};

struct Fixture(tempfile::TempDir);

impl Fixture {
    fn shelf(&self) -> String {
        self.0.path().join("books.shelf").display().to_string()
    }
}

impl Subject for Fixture {
    type Plug = Shelf;

    async fn fresh() -> Self {
        let fixture = Self(tempfile::tempdir().expect("a temporary folder"));
        Client::build(&fixture.shelf()).expect("a new shelf");
        fixture
    }

    fn options(&self) -> Value {
        json!({ "shelf": self.shelf() })
    }
}

onitu_conformance::suite!(Fixture);
