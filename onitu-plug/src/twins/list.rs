//! Listing a directory of a service that can't tell all names from each other.

use onitu_core::{Fault, FaultKind, Kind, Path, twin};
use tokio::sync::mpsc;

use super::Twins;
use crate::plug::{Found, Listing, Plug};

/// Pages on their way between the driver and whoever asked.
const PAGES_MAX: usize = 2;

impl<P: Plug> Twins<P> {
    /// As [`Plug::list`]: names are decoded, and what is there twice is told once.
    pub(super) async fn list_decoded(
        &self,
        directory: &Path,
        listing: Listing,
    ) -> Result<(), Fault> {
        let mut directories = self.find_directories(directory).await?;
        if directories.is_empty() {
            // It may have been renamed in this instant, and it is the driver's to say that not.
            directories.push(directory.clone());
        }
        for at in 0..directories.len() {
            self.list_one(&directories, at, &listing).await?;
        }
        Ok(())
    }

    async fn list_one(
        &self,
        directories: &[Path],
        at: usize,
        listing: &Listing,
    ) -> Result<(), Fault> {
        let (pages, mut listed) = mpsc::channel::<Vec<Found>>(PAGES_MAX);
        let pass_on = async {
            while let Some(page) = listed.recv().await {
                let mut told = Vec::with_capacity(page.len());
                for found in page {
                    told.extend(self.told(directories, at, found).await?);
                }
                let gone = |_| Fault::new(FaultKind::Cancelled, "nobody reads the listing");
                listing.send(told).await.map_err(gone)?;
            }
            Ok(())
        };
        // When the reader is gone the driver is not waited for.
        tokio::try_join!(biased; self.inner.list(&directories[at], pages), pass_on).map(drop)
    }

    /// What is told of one thing that the driver found.
    async fn told(
        &self,
        directories: &[Path],
        at: usize,
        found: Found,
    ) -> Result<Option<Found>, Fault> {
        let (held, state) = match found {
            Found::Entry { name, state } => (name, state),
            Found::Problem { name, fault } => {
                let name = twin::decode(&name).unwrap_or(name);
                return Ok(Some(Found::Problem { name, fault }));
            }
        };
        let meant = twin::decode(&held);
        if at == 0 && meant.is_none() {
            return Ok(Some(Found::Entry { name: held, state }));
        }
        let name = meant.unwrap_or_else(|| held.clone());
        let Some(better) = self.is_hidden(directories, at, &name, &held).await? else {
            return Ok(Some(Found::Entry { name, state }));
        };
        if state.content.kind == Kind::Directory {
            // Both directories are listed, as one.
            let other = self.inner.look(&better).await?;
            if other.is_some_and(|other| other.content.kind == Kind::Directory) {
                return Ok(None);
            }
        }
        let text = format!(
            "`{held}` stands for `{name}`, which is there as `{better}` too: rename one of them"
        );
        Ok(Some(Found::Problem { name: held, fault: Fault::new(FaultKind::InvalidName, text) }))
    }
}
