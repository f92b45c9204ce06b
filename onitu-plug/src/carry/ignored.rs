//! Orders that meet something that is ignored: nothing of it is read, replaced or removed.

use onitu_core::message::Action;
use onitu_core::{Fault, FaultKind, Kind, Path};
use tokio::sync::mpsc;

use super::Carrier;
use crate::plug::{Found, Plug};

impl<P: Plug> Carrier<'_, P> {
    /// Fails if what the order is about is ignored here. Whoever gave the order knew less, or more:
    /// it is given again, if it is still due. Answers whether what is to be removed is gone already,
    /// because something that is ignored stands in its place.
    pub(super) async fn check_ignored(&self) -> Result<bool, Fault> {
        let (path, filter) = (&self.order.path, &self.shared.filter);
        let kind = match &self.order.action {
            Action::MakeDirectory { .. } => Kind::Directory,
            Action::Rename { content, from, .. } if filter.covers(from, content.kind) => {
                return Err(ignored(from));
            }
            Action::Pull { content, .. } | Action::Rename { content, .. } => content.kind,
            Action::Remove { .. } | Action::SetAside { .. } | Action::Hash { .. } => {
                if !filter.covers(path, Kind::File) && !filter.covers(path, Kind::Directory) {
                    return Ok(false);
                }
                let found = self.plug().look(path).await?;
                let kind = found.map_or(Kind::File, |state| state.content.kind);
                if let (Action::Remove { expect }, Some(state)) = (&self.order.action, found)
                    && filter.covers(path, kind)
                    && state.tag != *expect
                {
                    return Ok(true);
                }
                kind
            }
        };
        if filter.covers(path, kind) { Err(ignored(path)) } else { Ok(false) }
    }

    /// Something that is ignored stands where something else shall be.
    pub(super) fn in_the_way(&self, kind: Kind) -> Fault {
        let path = &self.order.path;
        let why = self.shared.filter.why(path, kind).unwrap_or_default();
        let message = format!(
            "something else stands at `{path}` here, which is {why}, and so is left alone: rename it"
        );
        // Not refused for good: what is ignored may be another thing in a moment.
        Fault::new(FaultKind::Denied, message)
    }

    /// A directory that was removed elsewhere stays if anything is in it. Nobody else can know
    /// that, if it is ignored.
    pub(super) async fn tell_what_is_left(&self) {
        let path = &self.order.path;
        let (pages, mut listing) = mpsc::channel(2);
        let mut left: Option<Path> = None;
        let read = async {
            while let Some(page) = listing.recv().await {
                for found in page {
                    let Found::Entry { name, state } = found else { continue };
                    let Ok(inside) = path.join(&name) else { continue };
                    if self.shared.filter.covers(&inside, state.content.kind) {
                        left.get_or_insert(inside);
                    }
                }
            }
        };
        let _ = tokio::join!(self.plug().list(path, pages), read);
        let Some(left) = left else { return };
        let message = format!(
            "it was removed elsewhere, but `{left}` is left in it here, which is ignored: so the \
             directory stays, on all services; remove that here first"
        );
        self.shared.problems.note(path.as_str(), &Fault::new(FaultKind::NotEmpty, message));
    }
}

fn ignored(path: &Path) -> Fault {
    Fault::new(FaultKind::Cancelled, format!("`{path}` is ignored"))
}
