//! Listing one directory in pages, with memory for one page.

use onitu_plug::{Fault, FaultKind, Found, Listing, Path};
use rustix::fs::{Dir, OFlags};
use rustix::io::Errno;

use crate::client::Root;
use crate::fault::fault;
use crate::name;
use crate::spelling::TWIN;
use crate::state::{self, There};

/// Entries in a page.
const PAGE: usize = 1_000;

/// Tells what is in `directory`. Blocks.
pub(crate) fn list(root: &Root, directory: &Path, listing: &Listing) -> Result<(), Fault> {
    let failed = |errno| fault("list", shown(directory), errno);
    if name::is_own(directory) {
        return Err(failed(Errno::NOENT));
    }
    let dir = match root.directory(directory.as_str(), OFlags::RDONLY) {
        Ok(dir) => dir,
        Err(errno) => {
            // A directory that is missing because the root is gone isn't missing but unknown.
            root.verify()?;
            // A twin of the directory isn't it.
            return Err(failed(if errno == TWIN { Errno::NOENT } else { errno }));
        }
    };
    root.areas().saw(root, &dir, directory.as_str())?;
    let send = |page| {
        let gone = |_| Fault::new(FaultKind::Cancelled, "nobody reads the listing any more");
        listing.blocking_send(page).map_err(gone)
    };
    let mut page = Vec::new();
    for entry in Dir::read_from(&dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let bytes = entry.file_name();
        if bytes == c"." || bytes == c".." {
            continue;
        }
        let found = match name::text(bytes) {
            Ok(text) if name::is_own_name(directory.as_str(), text) => None,
            Ok(text) => found(directory, text, state::at(&dir, bytes))?,
            Err(shown) => {
                let fault = name::not_text(&shown);
                Some(Found::Problem { name: shown, fault })
            }
        };
        page.extend(found);
        if page.len() == PAGE {
            send(std::mem::take(&mut page))?;
        }
    }
    // What was just told is only the truth if this is still the service's root.
    root.verify()?;
    if page.is_empty() { Ok(()) } else { send(page) }
}

/// What is told of `name`; nothing if it went away meanwhile.
fn found(
    directory: &Path,
    name: &str,
    there: Result<There, Errno>,
) -> Result<Option<Found>, Fault> {
    let problem = |fault| Ok(Some(Found::Problem { name: name.to_owned(), fault }));
    let path = match directory.join(name) {
        Ok(path) => path,
        Err(error) => return problem(Fault::new(FaultKind::InvalidName, error.to_string())),
    };
    match there {
        Ok(There::Nothing) => Ok(None),
        Ok(There::Is(standing)) => {
            Ok(Some(Found::Entry { name: name.to_owned(), state: standing.state }))
        }
        Ok(There::Other(what)) => problem(name::not_synchronized(path.as_str(), what)),
        Err(errno) => {
            let fault = fault("look at", &path, errno);
            if fault.kind == FaultKind::Unavailable { Err(fault) } else { problem(fault) }
        }
    }
}

fn shown(directory: &Path) -> &str {
    if directory.is_root() { "the root" } else { directory.as_str() }
}
