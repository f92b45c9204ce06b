//! Listing a directory. The server tells all of it in one answer, which has a bound; it is handed
//! on in pages.

use onitu_plug::{Fault, FaultKind, Found, Listing, Path};

use crate::fault::{Refusal, fault};
use crate::folder::Folder;
use crate::name;
use crate::state::{There, Thing};

const PAGE: usize = 1_000;

/// As [`onitu_plug::Plug::list`].
pub(crate) async fn list(folder: &Folder, path: &Path, listing: &Listing) -> Result<(), Fault> {
    let missing = || Fault::new(FaultKind::NotFound, format!("`{path}` is not there"));
    if name::is_own(path) {
        return Err(missing());
    }
    match folder.look(path).await? {
        There::Nothing => return Err(missing()),
        There::Is(thing) if thing.is_directory() => {}
        There::Is(_) => {
            let text = format!("`{path}` is a file");
            return Err(Fault::new(FaultKind::NotADirectory, text));
        }
    }
    let failed = |refusal: Refusal| fault("list", shown(path), &refusal);
    let mut entries = folder.client.list(&name::directory(path)).await.map_err(failed)?;
    let mut page = Vec::new();
    while let Some((name, thing)) = entries.next().await.map_err(failed)? {
        page.extend(found(path, name, &thing));
        if page.len() >= PAGE {
            send(listing, std::mem::take(&mut page)).await?;
        }
    }
    // An empty folder in its place would have looked the same.
    folder.verify().await?;
    if page.is_empty() { Ok(()) } else { send(listing, page).await }
}

fn found(directory: &Path, name: String, thing: &Thing) -> Option<Found> {
    let problem = match directory.join(&name) {
        Ok(path) if name::is_own(&path) => return None,
        Ok(path) if name::can_be_asked(&path) => {
            return Some(Found::Entry { name, state: thing.state() });
        }
        Ok(path) => name::unspeakable(path.as_str()),
        Err(error) => Fault::new(FaultKind::InvalidName, error.to_string()),
    };
    Some(Found::Problem { name, fault: problem })
}

fn shown(path: &Path) -> &str {
    if path.is_root() { "the folder" } else { path.as_str() }
}

async fn send(listing: &Listing, page: Vec<Found>) -> Result<(), Fault> {
    let sent = listing.send(page).await;
    sent.map_err(|_| Fault::new(FaultKind::Cancelled, "nobody reads the listing"))
}
