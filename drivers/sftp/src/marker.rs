//! `.onitu/service`, by which a folder is told from an empty mount point or somebody else's.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use onitu_plug::Fault;
use serde::{Deserialize, Serialize};

use crate::area::Place;
use crate::fault::{Failure, unavailable};
use crate::name::OWN;
use crate::wire::Attrs;
use crate::wire::request::{Request, open};

const FILE: &str = "service";
/// Far more than a marker ever holds.
const BYTES_MAX: u32 = 16 * 1024;

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Said {
    /// Whose folder this is.
    service: String,
    /// Random: another folder of a service of the same name has another one.
    id: String,
}

/// The marker of a folder that was opened.
pub(crate) struct Marker {
    said: Said,
    /// Of the file that was read last: as long as they are the same, so is what it says.
    attrs: Mutex<Option<Attrs>>,
}

impl Marker {
    /// Reads the folder's marker, or makes it if the folder is new to Onitu.
    pub(crate) async fn claim(
        place: &Place<'_>,
        service: &str,
        known: bool,
    ) -> Result<Self, Fault> {
        let said = match read(place).await? {
            Some(said) if said.service != service => {
                let (shown, other) = (place.shown, &said.service);
                return Err(unavailable(format!(
                    "the folder `{shown}` belongs to the service `{other}`, not to `{service}`: \
                     give each service a folder of its own; if the service was renamed, remove \
                     `{OWN}/{FILE}` there"
                )));
            }
            Some(said) => said,
            None if known => return Err(gone(place)),
            None => make(place, service)
                .await
                .map_err(|failure| place.failed("write", FILE, &failure))?,
        };
        Ok(Self { said, attrs: Mutex::new(None) })
    }

    /// Whether `attrs`, found at the marker's path, are those of the marker of [`Self::claim`].
    pub(crate) async fn verify(
        &self,
        place: &Place<'_>,
        attrs: Option<Attrs>,
    ) -> Result<(), Fault> {
        let Some(attrs) = attrs else { return Err(gone(place)) };
        // Reading it changes the time of its last access.
        let attrs = Attrs { times: attrs.times.map(|(_, mtime)| (0, mtime)), ..attrs };
        let is_known = |known: &Option<Attrs>| *known == Some(attrs);
        if is_known(&self.attrs.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(());
        }
        // Restored or copied, it may be another file that says the same.
        match read(place).await? {
            Some(said) if said == self.said => {
                *self.attrs.lock().unwrap_or_else(PoisonError::into_inner) = Some(attrs);
                Ok(())
            }
            _ => Err(gone(place)),
        }
    }
}

fn gone(place: &Place<'_>) -> Fault {
    unavailable(format!(
        "the folder `{}` is gone or has lost its marker `{OWN}/{FILE}`: is its disk mounted? If \
         the folder was really replaced, give the service another name or make the marker again",
        place.shown
    ))
}

async fn read(place: &Place<'_>) -> Result<Option<Said>, Fault> {
    let read = place.read(FILE, BYTES_MAX).await;
    let Some(bytes) = read.map_err(|failure| place.failed("read", FILE, &failure))? else {
        return Ok(None);
    };
    let said = serde_json::from_slice(&bytes);
    said.map(Some).map_err(|_| place.failed("understand", FILE, &Failure::Odd))
}

async fn make(place: &Place<'_>, service: &str) -> Result<Said, Failure> {
    let id = format!("{:016x}", fastrand::u64(..));
    let said = Said { service: service.to_owned(), id };
    let bytes = Bytes::from(serde_json::to_vec(&said).map_err(|_| Failure::Odd)?);
    let own = [place.root, b"/", OWN.as_bytes()].concat();
    place.make(&own).await?;
    let new = place.own("service.new");
    let flags = open::WRITE | open::CREATE | open::TRUNCATE;
    let attrs = Attrs { permissions: Some(0o600), ..Attrs::default() };
    let file = place.lane.open(Request::open(&new, flags, &attrs)).await?;
    place.lane.tell(Request::write(file.raw(), 0, bytes)).await?;
    if place.lane.extensions().fsync {
        place.lane.tell(Request::fsync(file.raw())).await?;
    }
    drop(file);
    // Made by another one in this instant, it stays: the next attempt reads it.
    place.lane.tell(Request::rename(&new, &place.marker())).await?;
    if place.lane.extensions().fsync {
        // Lost in a power failure, it would make the folder look like another one.
        for directory in [&own, &place.root.to_vec()] {
            let request = Request::open(directory, open::READ, &Attrs::default());
            if let Ok(directory) = place.lane.open(request).await {
                let _ = place.lane.tell(Request::fsync(directory.raw())).await;
            }
        }
    }
    Ok(said)
}
