//! Listing one folder in pages, with memory for one page: by asking Dropbox. Where there is a
//! snapshot, only for what it doesn't know.

use onitu_plug::{Fault, FaultKind, Found, Listing, Path};
use serde_json::json;

use crate::fault::Refusal;
use crate::folder::{Folder, There};
use crate::name;
use crate::state::Thing;

/// Entries in a page.
pub(crate) const PAGE: usize = 1_000;

/// Tells what is in `directory`.
pub(crate) async fn list(
    folder: &Folder,
    directory: &Path,
    listing: &Listing,
) -> Result<(), Fault> {
    stands(folder, directory).await?;
    let failed = |refusal: Refusal| refusal.fault("list", shown(directory));
    let arg = json!({ "path": folder.at(directory), "limit": PAGE });
    let mut told = match folder.client.ask("files/list_folder", &arg).await {
        Ok(told) => told,
        Err(refusal) => {
            // A folder that is missing because the root is gone isn't missing but unknown.
            folder.verify().await?;
            return Err(failed(refusal));
        }
    };
    loop {
        let entries = told["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        let page: Vec<Found> =
            entries.iter().filter_map(|entry| found(directory, &Thing::read(entry)?)).collect();
        if !page.is_empty() {
            let gone = |_| Fault::new(FaultKind::Cancelled, "nobody reads the listing any more");
            listing.send(page).await.map_err(gone)?;
        }
        if told["has_more"] != true {
            break;
        }
        let arg = json!({ "cursor": told["cursor"] });
        told = folder
            .client
            .ask("files/list_folder/continue", &arg)
            .await
            .map_err(|refusal| {
                // Everything that was told is out of date, and nothing is known of the rest.
                if refusal.is("reset") {
                    Refusal::Lost("its cursor was reset".to_owned())
                } else {
                    refusal
                }
            })
            .map_err(failed)?;
    }
    // What was just told is only the truth if this is still the service's folder.
    folder.verify().await
}

/// Refuses what is no folder that is spelled so.
async fn stands(folder: &Folder, directory: &Path) -> Result<(), Fault> {
    if directory.is_root() {
        return Ok(());
    }
    let missing = Fault::new(FaultKind::NotFound, format!("`{directory}` isn't there"));
    if name::is_own(directory) {
        return Err(missing);
    }
    match folder.find(directory).await? {
        There::Is(thing) if thing.is_folder() => Ok(()),
        There::Is(_) => {
            let text = format!("`{directory}` is no directory");
            Err(Fault::new(FaultKind::NotADirectory, text))
        }
        There::Twin => Err(missing),
        There::Nothing => {
            folder.verify().await?;
            Err(missing)
        }
    }
}

/// What is told of one entry; nothing of what is Onitu's own.
pub(crate) fn found(directory: &Path, thing: &Thing) -> Option<Found> {
    if directory.is_root() && thing.name.eq_ignore_ascii_case(name::OWN) {
        return None;
    }
    let name = name::decode(&thing.name);
    let told = match directory.join(&name) {
        Err(error) => Err(Fault::new(FaultKind::InvalidName, error.to_string())),
        Ok(_) => thing.told(),
    };
    Some(match told {
        Ok(state) => Found::Entry { name, state },
        Err(fault) => Found::Problem { name, fault },
    })
}

fn shown(directory: &Path) -> &str {
    if directory.is_root() { "the root" } else { directory.as_str() }
}
