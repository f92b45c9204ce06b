//! Everything behind the lock: an account with its tree, sessions, tokens and jobs, and how it
//! misbehaves.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::auth::Tokens;
use crate::faults::Faults;
use crate::sessions::Sessions;
use crate::tree::Tree;

/// The namespace of the user's own folder.
pub const HOME: &str = "3235641";
/// The namespace of the team's folders.
pub const TEAM: &str = "7713420";
/// Where the user's own folder stands among those of the team.
pub const HOME_PATH: &str = "/Ada Lovelace";

/// One account.
#[derive(Debug, Default)]
pub struct Account {
    /// Files and folders.
    pub tree: Tree,
    /// Uploads on their way.
    pub sessions: Sessions,
    /// Who may call.
    pub tokens: Tokens,
    /// What goes wrong next.
    pub faults: Faults,
    /// Whether the user is member of a team with folders of its own.
    pub has_team: bool,
    /// Answers of jobs by their id, and how often each is still said to be in progress.
    pub jobs: BTreeMap<String, (u32, Value)>,
    /// How often a job is in progress before it is complete; none are begun if nothing is given.
    pub job_polls: Option<u32>,
    /// Raised when every cursor is invalidated.
    pub epoch: u32,
    /// How long a client that asked for changes is to wait before it asks again, in seconds.
    pub backoff_s: Option<u64>,
    /// The longest a client waits for changes, in milliseconds, whatever it asks for.
    pub longpoll_ms_max: Option<u64>,
}

impl Account {
    /// The namespace that paths are relative to if nobody says anything else.
    fn root(&self) -> &'static str {
        if self.has_team { TEAM } else { HOME }
    }

    /// A `RootInfo`.
    pub fn root_info(&self) -> Value {
        if self.has_team {
            return json!({
                ".tag": "team", "root_namespace_id": TEAM, "home_namespace_id": HOME,
                "home_path": HOME_PATH,
            });
        }
        json!({ ".tag": "user", "root_namespace_id": HOME, "home_namespace_id": HOME })
    }

    /// Where paths that are relative to a namespace stand in the tree; [`None`] if the user has
    /// no access to it.
    pub fn place_of(&self, namespace: &str) -> Option<&'static str> {
        match namespace {
            HOME if self.has_team => Some(HOME_PATH),
            HOME => Some(""),
            TEAM if self.has_team => Some(""),
            _ => None,
        }
    }

    /// Whether this is the namespace at the top.
    pub fn is_root(&self, namespace: &str) -> bool {
        namespace == self.root()
    }

    /// A `FullAccount`.
    pub fn full(&self) -> Value {
        json!({
            "account_id": "dbid:AAH4f99T0taONIb-OurWxbNQ6ywGRopQngc",
            "name": {
                "given_name": "Ada", "surname": "Lovelace", "familiar_name": "Ada",
                "display_name": "Ada Lovelace", "abbreviated_name": "AL",
            },
            "email": "ada@example.org", "email_verified": true, "disabled": false,
            "country": "GB", "locale": "en", "referral_link": "https://db.tt/example",
            "is_paired": false, "account_type": { ".tag": "basic" },
            "root_info": self.root_info(),
        })
    }

    /// A `SpaceUsage`.
    pub fn space(&self) -> Value {
        let allocated = self.tree.capacity.unwrap_or(2 << 30);
        json!({
            "used": self.tree.used(),
            "allocation": { ".tag": "individual", "allocated": allocated },
        })
    }

    /// The answer of a call that may begin a job: either it, or the id of the job.
    pub fn launched(&mut self, complete: Value) -> Value {
        let Some(polls) = self.job_polls else { return complete };
        let id = format!("fake-job-{}", self.jobs.len() + 1);
        self.jobs.insert(id.clone(), (polls, complete));
        json!({ ".tag": "async_job_id", "async_job_id": id })
    }

    /// What has become of a job; [`None`] if there is no such.
    pub fn job(&mut self, id: &str) -> Option<Value> {
        let (polls, complete) = self.jobs.get_mut(id)?;
        if *polls > 0 {
            *polls -= 1;
            return Some(json!({ ".tag": "in_progress" }));
        }
        Some(complete.clone())
    }
}
