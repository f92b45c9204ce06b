//! `.onitu/service`, by which a folder is told from another one, or from one that was emptied.

use onitu_plug::{Fault, Setting};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::fault::{Refusal, fault, unavailable};
use crate::folder::{TEMPORARY, new_name};
use crate::name::OWN;
use crate::state::There;

const FILE: &str = ".onitu/service";

/// The marker of a folder that was opened.
pub(crate) struct Marker {
    said: Said,
    shown: String,
}

/// What it says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Whose folder this is.
    service: String,
    /// Random: another folder of a service of the same name has another one.
    id: String,
}

impl Marker {
    /// Reads the marker, or makes it if the folder is new to Onitu.
    pub(crate) async fn claim(
        client: &Client,
        shown: &str,
        setting: &Setting,
    ) -> Result<Self, Fault> {
        let shown = shown.to_owned();
        let failed = |refusal: Refusal| reach(&shown, &refusal);
        let mut said = read(client).await.map_err(failed)?;
        if said.is_none() {
            match client.stat("/").await.map_err(failed)? {
                There::Is(thing) if thing.is_directory() => {}
                _ => {
                    return Err(unavailable(format!(
                        "there is no folder `{shown}`: make it, or correct `endpoint` and `root`"
                    )));
                }
            }
            if setting.known {
                return Err(lost(&shown));
            }
            make(client, &setting.service).await.map_err(failed)?;
            said = read(client).await.map_err(failed)?;
        }
        let said = said.ok_or_else(|| lost(&shown))?;
        if said.service != setting.service {
            let (other, service) = (&said.service, &setting.service);
            return Err(unavailable(format!(
                "the folder `{shown}` belongs to the service `{other}`, not to `{service}`: give \
                 each service a folder of its own; if the service was renamed, remove `{FILE}` there"
            )));
        }
        Ok(Self { said, shown })
    }

    /// Whether the folder is still there, and has this marker.
    pub(crate) async fn verify(&self, client: &Client) -> Result<(), Fault> {
        match read(client).await {
            Ok(Some(said)) if said == self.said => Ok(()),
            Ok(_) => Err(lost(&self.shown)),
            // It is there, and asks for patience.
            Err(Refusal::Busy(_)) => Ok(()),
            Err(refusal) => Err(reach(&self.shown, &refusal)),
        }
    }
}

fn reach(shown: &str, refusal: &Refusal) -> Fault {
    unavailable(fault("reach", shown, refusal).message)
}

fn lost(shown: &str) -> Fault {
    unavailable(format!(
        "the folder `{shown}` is gone or has lost its marker `{FILE}`: is it the right one? If it \
         was really replaced, give the service another name or make the marker again"
    ))
}

async fn read(client: &Client) -> Result<Option<Said>, Refusal> {
    let Some(bytes) = client.read(FILE).await? else { return Ok(None) };
    let said = serde_json::from_slice(&bytes);
    said.map(Some).map_err(|_| Refusal::Lost(format!("`{FILE}` there can't be understood")))
}

/// Written beside and moved, so that of two who come to a new folder at once the first has made it.
async fn make(client: &Client, service: &str) -> Result<(), Refusal> {
    let said = Said { service: service.to_owned(), id: format!("{:016x}", fastrand::u64(..)) };
    let bytes = serde_json::to_vec(&said).unwrap_or_default();
    client.make_directory(&format!("{OWN}/")).await?;
    client.make_directory(TEMPORARY).await?;
    let new = new_name("new");
    client.write(&new, bytes).await?;
    match client.rename(&new, FILE).await {
        Err(Refusal::Taken) => client.delete(&new).await,
        moved => moved,
    }
}
