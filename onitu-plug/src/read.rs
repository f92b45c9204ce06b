//! Reading what stands at a path, for what its bytes tell: the checksum, and the media type.
//!
//! Nothing is read for the media type alone: who reads anyway gets to know it.

use onitu_core::{Checksum, Content, Fault, FaultKind, Hasher, Kind, Media, Path, State, limits};

use crate::media::{HEAD_BYTES, Head};
use crate::plug::{Plug, Source};

/// The checksum of what stands at `path` in exactly this state.
pub(crate) async fn checksum<P: Plug>(
    plug: &P,
    path: &Path,
    state: &State,
) -> Result<Checksum, Fault> {
    read_through(plug, path, state).await.map(|(checksum, _)| checksum)
}

/// The content that stands at `path` in exactly this state, with all that its bytes tell: its
/// checksum, and its media type where the name doesn't tell that.
pub(crate) async fn read_whole<P: Plug>(
    plug: &P,
    path: &Path,
    state: &State,
) -> Result<Content, Fault> {
    let (checksum, media) = read_through(plug, path, state).await?;
    Ok(Content { checksum: Some(checksum), media, ..state.content })
}

async fn read_through<P: Plug>(
    plug: &P,
    path: &Path,
    state: &State,
) -> Result<(Checksum, Option<Media>), Fault> {
    let mut source = plug.read(path, state.tag, 0).await?;
    let mut hasher = Hasher::default();
    let mut head = Head::of(path, state.content.kind);
    let mut size = 0;
    loop {
        let bytes = source.next(limits::CHUNK_BYTES_MIN * 4).await?;
        if bytes.is_empty() {
            break;
        }
        size += bytes.len() as u64;
        hasher.update(&bytes);
        head.update(&bytes);
    }
    let told = state.content.size;
    if size != told {
        let now = plug.look(path).await?;
        if now.is_some_and(|now| now.tag == state.tag && now.content.size == told) {
            // It hasn't changed, so it won't ever be otherwise: nobody need look again and again.
            let message = format!("`{path}` is told to have {told} bytes, but {size} can be read");
            return Err(Fault::new(FaultKind::Corrupt, message));
        }
        let message = format!("`{path}` changed while it was read");
        return Err(Fault::new(FaultKind::Changed, message));
    }
    Ok((hasher.finish(), head.media()))
}

/// The media type of what `source`, which was opened anyway, reads: of its first bytes alone, and
/// of none where the name tells.
pub(crate) async fn read_head<S: Source>(
    source: &mut S,
    path: &Path,
    kind: Kind,
) -> Result<Option<Media>, Fault> {
    let mut head = Head::of(path, kind);
    while head.is_wanted() {
        let bytes = source.next(HEAD_BYTES as u32).await?;
        if bytes.is_empty() {
            break;
        }
        head.update(&bytes);
    }
    Ok(head.media())
}
