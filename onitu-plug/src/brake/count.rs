//! How many files a service holds, counted exactly.

use std::collections::HashSet;
use std::sync::Arc;

use onitu_core::store::Cursor;
use onitu_core::{Fault, Kind, Path, Record, ServiceId, Tag};

use crate::plug::Plug;
use crate::service::Shared;

/// Records that are fetched at once.
const PATHS_AT_ONCE: usize = 512;

/// Files and links that the service is known to hold: those of the records, corrected by what was
/// announced and isn't in them yet. Goes through all records, so it is asked only when many files
/// are concerned.
pub(super) async fn count_files<P: Plug>(shared: &Arc<Shared<P>>) -> Result<u64, Fault> {
    let announced = shared.announcer.all_known();
    let mut files = 0;
    let mut seen = HashSet::new();
    let mut cursor = Some(Cursor::default());
    while let Some(from) = cursor {
        let (mut directories, next) = shared.directories(&from).await?;
        cursor = next;
        directories.retain(|directory| seen.insert(Tag::of(directory.as_str().as_bytes())));
        for records in shared.listings(&directories).await? {
            files += records.values().filter(|record| is_file(record, shared.id)).count() as u64;
        }
    }
    for chunk in announced.chunks(PATHS_AT_ONCE) {
        let paths: Vec<Path> = chunk.iter().map(|(path, _)| path.clone()).collect();
        for (record, (_, is_there)) in shared.records(&paths).await?.iter().zip(chunk) {
            let was_file = record.as_ref().is_some_and(|record| is_file(record, shared.id));
            match (was_file, is_there) {
                (false, true) => files += 1,
                (true, false) => files = files.saturating_sub(1),
                _ => {}
            }
        }
    }
    Ok(files)
}

fn is_file(record: &Record, service: ServiceId) -> bool {
    record.content.kind != Kind::Directory && record.holder(service).is_some()
}
