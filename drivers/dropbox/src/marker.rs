//! The marker by which the folder is known again: `.onitu/service`, made when Onitu first comes.
//!
//! A folder that was deleted, or the token of another account, is not an empty folder: what Onitu
//! knows to be there would be taken for deleted, everywhere.

use onitu_plug::{Fault, FaultKind, Setting};
use serde_json::json;

use crate::fault::Refusal;
use crate::folder::Folder;

/// Its path among Onitu's own.
pub(crate) const MARKER: &str = "/service";

fn unavailable(text: String) -> Fault {
    Fault::new(FaultKind::Unavailable, text)
}

fn told(folder: &Folder) -> String {
    if folder.root().is_empty() { "/".to_owned() } else { folder.root().to_owned() }
}

/// Whatever says nothing of the folder makes it unavailable.
fn refused(folder: &Folder, refusal: Refusal) -> Fault {
    let fault = refusal.fault("reach", told(folder));
    match fault.kind {
        FaultKind::RateLimited => fault,
        _ => Fault { kind: FaultKind::Unavailable, ..fault },
    }
}

/// Refuses unless the folder is there and has its marker.
pub(crate) async fn check(folder: &Folder) -> Result<(), Fault> {
    let marker = folder.metadata(&folder.own(MARKER)).await;
    if marker.map_err(|refusal| refused(folder, refusal))?.is_some() {
        return Ok(());
    }
    find_root(folder).await?;
    Err(missing(folder))
}

fn missing(folder: &Folder) -> Fault {
    let path = folder.own(MARKER);
    unavailable(format!(
        "`{path}` is gone from Dropbox, by which Onitu knows the folder again: if this is the \
         right account and folder, restore it there or put a file of any content in its place"
    ))
}

async fn find_root(folder: &Folder) -> Result<(), Fault> {
    let root = folder.root();
    if root.is_empty() {
        return Ok(());
    }
    let found = folder.metadata(root).await.map_err(|refusal| refused(folder, refusal))?;
    match found {
        Some(thing) if thing.is_folder() => Ok(()),
        Some(_) => Err(unavailable(format!("`{root}` in Dropbox is no folder: correct `root`"))),
        None => Err(unavailable(format!(
            "there is no folder `{root}` in Dropbox: make it, or correct `root`"
        ))),
    }
}

/// Finds the folder and its marker, which is made if Onitu knows nothing of the folder yet.
pub(crate) async fn find(folder: &Folder, setting: &Setting) -> Result<(), Fault> {
    find_root(folder).await?;
    let path = folder.own(MARKER);
    let found = folder.metadata(&path).await.map_err(|refusal| refused(folder, refusal))?;
    if found.is_some() {
        return Ok(());
    }
    if setting.known {
        return Err(missing(folder));
    }
    let text = format!(
        "Onitu keeps this folder in step, as its service `{}`. Leave this file here: without it \
         the folder is taken for another one.\n",
        setting.service
    );
    let arg = json!({ "path": path, "mode": "add", "mute": true });
    match folder.client.upload("files/upload", &arg, text.into()).await {
        Ok(_) => Ok(()),
        // Another one made it in this instant.
        Err(refusal) if refusal.has("conflict") => check(folder).await,
        Err(refusal) => Err(refused(folder, refusal)),
    }
}
