//! Carrying out one order: the only room that asks a driver to change something.
//!
//! An order's path is claimed from the first check to the announcement of the result, so no look
//! takes Onitu's own change for a user's.

use std::sync::Arc;

use onitu_core::conflict::conflict_paths;
use onitu_core::message::{Action, Event, Order, Origin};
use onitu_core::{Checksum, Content, Fault, FaultKind, Kind, Path, State, Tag};
use tokio::sync::Notify;

use crate::hints::Hint;
use crate::implied;
use crate::plug::Plug;
use crate::read::{checksum, read_whole};
use crate::service::Shared;
use crate::transfer::{Failure, Puller, Side, Wanted};

mod aside;
mod ignored;

/// Carries out `order` and announces how it ended. `overtaken` tells that the record has changed since.
pub(crate) async fn carry_out<P: Plug>(
    shared: &Arc<Shared<P>>,
    puller: &Puller,
    mut order: Order,
    overtaken: &Notify,
) {
    order.action = implied::as_shown(order.action);
    let claim = shared.claims.claim(&order.path).await;
    tracing::trace!(service = %shared.id, ?order, "begun");
    let carrier = Carrier { shared, puller, order: &order, overtaken };
    let removes_file = carrier.removes_file().await;
    let events = match carrier.act().await {
        Ok(events) => events,
        Err(fault) => carrier.explain(fault).await,
    };
    for event in events.iter().filter(|event| !matches!(event, Event::Failed { .. })) {
        shared.brake.forget(event.path());
    }
    if removes_file && events.iter().any(|event| matches!(event, Event::Gone { .. })) {
        shared.brake.ordered_removal();
    }
    shared.announce(events).await;
    drop(claim);
}

struct Carrier<'a, P> {
    shared: &'a Arc<Shared<P>>,
    puller: &'a Puller,
    order: &'a Order,
    overtaken: &'a Notify,
}

impl<P: Plug> Carrier<'_, P> {
    fn plug(&self) -> &P {
        &self.shared.plug
    }

    async fn act(&self) -> Result<Vec<Event>, Fault> {
        let path = &self.order.path;
        self.check_basis()?;
        if self.check_ignored().await? {
            return Ok(vec![self.gone()]);
        }
        match &self.order.action {
            Action::Pull { revision, content, expect, sources } => {
                let state = self.pull(*revision, content, *expect, sources).await?;
                self.look_at_parent(*expect);
                Ok(vec![self.placed(state, *revision, content)])
            }
            Action::MakeDirectory { revision, expect } => {
                let state = self.plug().make_directory(path, *expect).await?;
                self.look_at_parent(*expect);
                Ok(vec![self.placed(state, *revision, &Content::DIRECTORY)])
            }
            Action::Rename { revision, content, from, expect_from, expect } => {
                self.rename(*revision, content, from, *expect_from, *expect).await
            }
            Action::Remove { expect } => {
                let removed = self.plug().remove(path, *expect).await;
                if removed.as_ref().is_err_and(|fault| fault.kind == FaultKind::NotEmpty) {
                    self.tell_what_is_left().await;
                }
                removed.map(|()| vec![self.gone()])
            }
            Action::SetAside { expect, unless } => self.set_aside(*expect, *unless).await,
            Action::Hash { expect } => {
                let mut state = self
                    .expect_state(Some(*expect))
                    .await?
                    .ok_or_else(|| Fault::new(FaultKind::Changed, format!("`{path}` is gone")))?;
                if state.content.kind != Kind::Directory {
                    state.content = read_whole(self.plug(), path, &state).await?;
                }
                Ok(vec![self.seen(state)])
            }
        }
    }

    /// Whether the order removes a file, as far as the record tells: the brake wants to know.
    async fn removes_file(&self) -> bool {
        if !matches!(self.order.action, Action::Remove { .. }) {
            return false;
        }
        let records = self.shared.store.get(std::slice::from_ref(&self.order.path)).await;
        let record = records.ok().and_then(|records| records.into_iter().next().flatten());
        record.is_some_and(|record| record.content.kind != Kind::Directory)
    }

    /// Fails if the order was computed from less than was told of its paths: what it expects may
    /// stand there again and still be another's doing. It will be given anew, if it is still due.
    fn check_basis(&self) -> Result<(), Fault> {
        if self.shared.announcer.is_outdated(self.order.id) {
            let message = format!("something was told of `{}` since", self.order.path);
            return Err(Fault::new(FaultKind::Changed, message));
        }
        Ok(())
    }

    /// What is at the path, if that is what the order expects.
    async fn expect_state(&self, expect: Option<Tag>) -> Result<Option<State>, Fault> {
        let path = &self.order.path;
        let state = self.plug().look(path).await?;
        if state.map(|state| state.tag) == expect {
            return Ok(state);
        }
        Err(Fault::new(FaultKind::Changed, format!("`{path}` is not what was expected there")))
    }

    /// A new path may have made its directory, which nobody has told yet.
    fn look_at_parent(&self, expect: Option<Tag>) {
        if let (None, Some(parent)) = (expect, self.order.path.parent())
            && !parent.is_root()
        {
            self.shared.hints.tell(parent, Hint::Changed);
        }
    }

    async fn pull(
        &self,
        revision: u64,
        content: &Content,
        expect: Option<Tag>,
        sources: &[Origin],
    ) -> Result<State, Fault> {
        let path = &self.order.path;
        if let Some(state) = self.expect_state(expect).await?
            && let Some(state) = self.adjust(content, state).await?
        {
            return Ok(state);
        }
        let mut last = Fault::new(FaultKind::NotFound, format!("no service has `{path}`"));
        for source in sources {
            let wanted = Wanted {
                path: path.clone(),
                content: *content,
                expect,
                revision,
                source_name: self.shared.name_of(source.service),
            };
            let overtaken = self.wait_until_overtaken(revision);
            match self.puller.fetch(self.plug(), &wanted, *source, overtaken).await {
                Ok(arrived) => {
                    self.tell_fetched(&wanted, arrived.content).await?;
                    return arrived.place().await;
                }
                Err(Failure { side: Side::Here, fault }) => return Err(fault),
                // The next source may do better.
                Err(Failure { side: Side::Source, fault }) => last = fault,
            }
        }
        // It is the source that can't; this service is well, and has refused nothing.
        if matches!(
            last.kind,
            FaultKind::Unavailable
                | FaultKind::RateLimited
                | FaultKind::Unsupported
                | FaultKind::InvalidName
        ) {
            last.kind = FaultKind::NotFound;
        }
        Err(last)
    }

    /// Returns when the path is certainly not to hold `revision` any more; the record also changes
    /// when others have got it.
    async fn wait_until_overtaken(&self, revision: u64) {
        loop {
            self.overtaken.notified().await;
            let records = self.shared.store.get(std::slice::from_ref(&self.order.path)).await;
            let Ok(record) = records.map(|records| records.into_iter().next().flatten()) else {
                continue;
            };
            if record.is_none_or(|record| record.gone || record.revision != revision) {
                return;
            }
        }
    }

    /// Nothing is placed whose checksum isn't on record: should this process die before it tells
    /// what it placed, the next one's scan finds out by it that this was no user's.
    async fn tell_fetched(&self, wanted: &Wanted, content: Content) -> Result<(), Fault> {
        let (path, revision) = (wanted.path.clone(), wanted.revision);
        let told = wanted.content.checksum.is_some()
            || self.shared.announcer.confirm(Event::Fetched { path, revision, content }).await;
        if told {
            return Ok(());
        }
        Err(Fault::new(FaultKind::Cancelled, "the store has lost what it had"))
    }

    /// If the bytes here are the wanted ones already, sets mtime and the executable bit: nothing
    /// needs to travel.
    async fn adjust(&self, content: &Content, state: State) -> Result<Option<State>, Fault> {
        let here = state.content;
        let comparable = content.checksum.is_some()
            && here.kind == content.kind
            && here.size == content.size
            && content.kind != Kind::Directory;
        if !comparable {
            return Ok(None);
        }
        let path = &self.order.path;
        let here = match here.checksum {
            Some(_) => here,
            None => read_whole(self.plug(), path, &state).await?,
        };
        if here.checksum != content.checksum {
            return Ok(None);
        }
        let mut state = if self.has_attributes(&here, content) {
            state
        } else {
            self.plug().set_attributes(path, state.tag, content).await?
        };
        state.content.learn(&here);
        Ok(Some(state))
    }

    /// Whether what is here has the attributes of `wanted`, as far as the service keeps any and
    /// they are known.
    fn has_attributes(&self, here: &Content, wanted: &Content) -> bool {
        let abilities = &self.shared.abilities;
        here.kind != Kind::File
            || ((!abilities.mtime || wanted.mtime_ns == 0 || here.mtime_ns == wanted.mtime_ns)
                && (!abilities.executable || here.executable == wanted.executable))
    }

    async fn rename(
        &self,
        revision: u64,
        content: &Content,
        from: &Path,
        expect_from: Tag,
        expect: Option<Tag>,
    ) -> Result<Vec<Event>, Fault> {
        let path = &self.order.path;
        // Never waited for: two renames that cross would wait for each other.
        let Some(_claim) = self.shared.claims.try_claim(from) else {
            return Err(Fault::new(FaultKind::Cancelled, format!("`{from}` is in use")));
        };
        self.check_basis()?;
        let renamed = self.plug().rename(from, expect_from, path, expect).await;
        if renamed.is_err() {
            // Whether it is the old name that isn't as expected is found out by a look of its own.
            self.shared.hints.tell(from.clone(), Hint::Changed);
        }
        let mut state = renamed?;
        if !self.has_attributes(&state.content, content) {
            state = self.plug().set_attributes(path, state.tag, content).await?;
        }
        self.look_at_parent(expect);
        state.content.learn(content);
        let gone = Event::Gone { path: from.clone(), order: None, moved_to: Some(path.clone()) };
        Ok(vec![self.placed(state, revision, content), gone])
    }

    /// Gives what is here its conflict name, unless its bytes turn out to be those that keep the
    /// name.
    async fn set_aside(&self, expect: Tag, unless: Option<Checksum>) -> Result<Vec<Event>, Fault> {
        let path = &self.order.path;
        let Some(mut state) = self.expect_state(Some(expect)).await? else {
            return Ok(vec![self.gone()]);
        };
        let is_directory = state.content.kind == Kind::Directory;
        if !is_directory {
            state.content = read_whole(self.plug(), path, &state).await?;
        }
        // A directory takes along what is in it, and has no bytes to be named after.
        let sum = state.content.checksum.unwrap_or_else(|| Checksum::of(b""));
        if !is_directory && Some(sum) == unless {
            return Ok(vec![self.seen(state)]);
        }
        for kept in conflict_paths(path, &self.shared.name, state.content.checksum) {
            if kept == *path {
                // It bears the name of an earlier conflict already, and lost that one too.
                continue;
            }
            let Some(_claim) = self.shared.claims.try_claim(&kept) else {
                return Err(Fault::new(FaultKind::Cancelled, format!("`{kept}` is in use")));
            };
            let mut there = match self.plug().look(&kept).await? {
                None => self.give_name(&state, sum, &kept).await?,
                Some(other) => {
                    let same = !is_directory
                        && other.content.kind == state.content.kind
                        && other.content.size == state.content.size
                        && checksum(self.plug(), &kept, &other).await? == sum;
                    if !same {
                        continue;
                    }
                    // An earlier run kept the same bytes already: this copy is one too many.
                    self.plug().remove(path, expect).await?;
                    other
                }
            };
            there.content.learn(&state.content);
            if is_directory {
                self.shared.hints.tell(path.clone(), Hint::Tree);
                self.shared.hints.tell(kept.clone(), Hint::Tree);
            }
            let copy = Event::Seen {
                path: kept.clone(),
                state: there,
                order: None,
                placed: None,
                moved_from: None,
                set_aside_from: Some(path.clone()),
            };
            return Ok(vec![copy, self.gone()]);
        }
        Err(Fault::new(FaultKind::InvalidName, format!("every conflict name of `{path}` is taken")))
    }

    /// What to tell when the order could not be carried out: the truth about the path if it isn't
    /// what the order expected, else why it failed.
    async fn explain(&self, fault: Fault) -> Vec<Event> {
        let (path, order) = (self.order.path.clone(), self.order.id);
        if fault.kind == FaultKind::Changed
            && let Ok(now) = self.plug().look(&path).await
            && now.map(|state| state.tag) != self.expected()
        {
            return match now {
                // Whose doing that was isn't known: a look finds out, and the brake judges.
                None => {
                    self.shared.hints.tell(path.clone(), Hint::Changed);
                    vec![Event::Failed { path, order, fault }]
                }
                Some(state) if self.shared.filter.covers(&path, state.content.kind) => {
                    vec![Event::Failed { fault: self.in_the_way(state.content.kind), path, order }]
                }
                Some(mut state) => {
                    if state.content.kind == Kind::Directory {
                        // A look finds nothing new in it after this, and wouldn't go into it.
                        self.shared.hints.tell(path.clone(), Hint::Tree);
                    } else {
                        let read = read_whole(self.plug(), &path, &state).await;
                        state.content = read.unwrap_or(state.content);
                    }
                    vec![self.seen(state)]
                }
            };
        }
        if fault.kind == FaultKind::NotADirectory {
            // What stands in the way of its directory may be something nobody has told of.
            let above = std::iter::successors(path.parent(), Path::parent);
            for directory in above.filter(|directory| !directory.is_root()) {
                self.shared.hints.tell(directory, Hint::Changed);
            }
        }
        tracing::debug!(%path, "{fault}");
        vec![Event::Failed { path, order, fault }]
    }

    fn expected(&self) -> Option<Tag> {
        match &self.order.action {
            Action::Pull { expect, .. }
            | Action::MakeDirectory { expect, .. }
            | Action::Rename { expect, .. } => *expect,
            Action::Remove { expect }
            | Action::SetAside { expect, .. }
            | Action::Hash { expect } => Some(*expect),
        }
    }

    fn placed(&self, mut state: State, revision: u64, wanted: &Content) -> Event {
        state.content = self.shared.as_kept(state.content, Some(wanted));
        Event::Seen {
            path: self.order.path.clone(),
            state,
            order: Some(self.order.id),
            placed: Some(revision),
            moved_from: None,
            set_aside_from: None,
        }
    }

    fn seen(&self, state: State) -> Event {
        Event::Seen {
            path: self.order.path.clone(),
            state,
            order: Some(self.order.id),
            placed: None,
            moved_from: None,
            set_aside_from: None,
        }
    }

    /// The order has taken away what was here.
    fn gone(&self) -> Event {
        Event::Gone { path: self.order.path.clone(), order: Some(self.order.id), moved_to: None }
    }
}
