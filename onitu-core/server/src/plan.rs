//! `onitu plan` and `onitu apply`: what rules would change, from all records, page by page.

use std::collections::{BTreeMap, HashSet};

use onitu_core::control::FromCore;
use onitu_core::entries::render;
use onitu_core::plan::{Plan, PlanQuestion, ServicePlan};
use onitu_core::rules::{Diagnostic, Rules};
use onitu_core::store::{Cursor, Registry, StoreError};
use onitu_core::{
    Checksum, Holder, InForce, Kind, Mode, Need, Path, Record, ServiceId, Tag, Wish, clock, need,
};

use crate::answer::{BAD_CONFIGURATION, away, failed};
use crate::core::{Change, Core};

impl Core {
    /// What the rules in force, or those asked about, would change. Changes nothing.
    pub(crate) async fn plan(&self, question: &PlanQuestion) -> FromCore {
        let registry = self.registry();
        let text = match &question.rules {
            None => registry.rules.clone(),
            Some((_, text)) => Some(text.clone()),
        };
        let is_reloaded = match self.read_configuration().await {
            Ok(configuration) => configuration.rules == registry.rules,
            Err(_) => true,
        };
        match self.plan_of(&registry, text.as_deref()).await {
            Ok(Ok(mut plan)) => {
                plan.waits_for_reload = plan.in_force && !is_reloaded;
                FromCore::Plan(Box::new(plan))
            }
            Ok(Err(problems)) => bad_rules(question, problems),
            Err(error) => away(&error),
        }
    }

    /// Approves of exactly what the plan called `id` would remove.
    pub(crate) async fn apply(&self, id: &str) -> FromCore {
        let registry = self.registry();
        let plan = match self.plan_of(&registry, registry.rules.as_deref()).await {
            Ok(Ok(plan)) => plan,
            Ok(Err(_)) => return failed("the rules in force can't be read: run `onitu check`"),
            Err(error) => return away(&error),
        };
        if !id.contains('-') {
            return failed(format!("`{id}` names no plan: `onitu plan` tells the name of one"));
        }
        if plan.id != id {
            let is_of_others = plan.id.split('-').next() != id.split('-').next();
            return failed(if is_of_others {
                "this plan is of other rules than those in force: make them the configuration's, \
                 run `onitu reload`, then `onitu plan` again"
            } else {
                "the world changed since: run `onitu plan` again"
            });
        }
        // Nobody may have brought other rules into force meanwhile.
        if self.registry().rules != registry.rules {
            return failed("the rules changed since: run `onitu plan` again");
        }
        match self.establish(Change { approves: true, ..Change::default() }).await {
            Ok(_) if self.registry().approved.is_empty() && plan.removals() > 0 => failed(
                "the approval can't be kept; `log/onitu.log` in the state directory says why",
            ),
            Ok(_) => FromCore::Done(match plan.removals() {
                0 => "there is nothing to remove".to_owned(),
                1 => "1 file is removed once every service that should have it does".to_owned(),
                files => {
                    format!(
                        "{files} files are removed, each once every service that should have it does"
                    )
                }
            }),
            Err(error) => away(&error),
        }
    }

    async fn plan_of(
        &self,
        registry: &Registry,
        text: Option<&str>,
    ) -> Result<Result<Plan, Vec<Diagnostic>>, StoreError> {
        let names: Vec<String> =
            registry.services.iter().map(|service| service.name.clone()).collect();
        let rules = match text {
            None => Rules::everywhere(),
            Some(text) => match Rules::parse(text, &names) {
                (Some(rules), _) => rules,
                (None, problems) => return Ok(Err(problems)),
            },
        };
        let in_force = InForce::new(registry);
        let approved = in_force.with_approved(rules);
        let is_in_force = registry.rules.as_deref() == text;
        let counts = self.store.counts().await?;
        let mut planner = Planner::new(registry, &in_force, &approved, is_in_force);
        planner.room = registry.room(&counts);
        let mut seen = HashSet::new();
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            let (mut directories, next) = self.store.directories(&from).await?;
            cursor = next;
            directories.retain(|directory| seen.insert(number(directory.as_str().as_bytes())));
            let listings = self.store.list(&directories).await?;
            let records = directories.iter().zip(listings).flat_map(|(directory, listing)| {
                let path =
                    |(name, record): (String, Record)| Some((directory.join(&name).ok()?, record));
                listing.into_iter().filter_map(path)
            });
            let records: Vec<(Path, Record)> = records.collect();
            let former = self.former(&records).await?;
            for (path, record) in &records {
                planner.add(path, record, record.moved.as_ref().and_then(|from| former.get(from)));
            }
        }
        let pending = counts.pending.values().sum();
        Ok(Ok(planner.plan(text.unwrap_or_default(), pending)))
    }

    /// The records of the paths from which some of `records` were renamed.
    async fn former(
        &self,
        records: &[(Path, Record)],
    ) -> Result<BTreeMap<Path, Record>, StoreError> {
        let hinted = records.iter().filter(|(_, record)| !record.gone);
        let paths: Vec<Path> = hinted.filter_map(|(_, record)| record.moved.clone()).collect();
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let found = self.store.get(&paths).await?;
        Ok(paths.into_iter().zip(found).filter_map(|(path, it)| Some((path, it?))).collect())
    }
}

fn bad_rules(question: &PlanQuestion, mut problems: Vec<Diagnostic>) -> FromCore {
    let (file, text) = question.rules.clone().unwrap_or_default();
    for problem in &mut problems {
        problem.file = file.clone().into();
    }
    FromCore::Error { message: render(&problems, &text, false), code: BAD_CONFIGURATION }
}

fn number(bytes: &[u8]) -> u128 {
    let [sum @ .., _, _, _, _] = Checksum::of(bytes).0;
    u128::from_le_bytes(sum)
}

/// Adds up what each record means.
struct Planner<'a> {
    registry: &'a Registry,
    in_force: &'a InForce,
    /// The rules in question, as if all they remove were approved.
    approved: &'a InForce,
    now_ns: i64,
    /// How many bytes more services with a quota may hold.
    room: BTreeMap<ServiceId, u64>,
    plan: Plan,
    /// Of all removals, whatever their order.
    sum: u128,
}

impl<'a> Planner<'a> {
    fn new(
        registry: &'a Registry,
        in_force: &'a InForce,
        approved: &'a InForce,
        is_in_force: bool,
    ) -> Self {
        let named = |name: &String| ServicePlan { name: name.clone(), ..ServicePlan::default() };
        let services = registry.services.iter().map(|service| named(&service.name)).collect();
        let plan = Plan { in_force: is_in_force, services, ..Plan::default() };
        let (now_ns, room) = (clock::now_ns(), BTreeMap::new());
        Self { registry, in_force, approved, now_ns, room, plan, sum: 0 }
    }

    fn add(&mut self, path: &Path, record: &Record, former: Option<&Record>) {
        if record.gone {
            return;
        }
        let services = self.registry.with_room(path, record, &self.room);
        let wish = self.approved.wish_among(&services, path, record, self.now_ns);
        let is_file = record.content.kind != Kind::Directory;
        if wish.excluded {
            if is_file {
                self.plan.forgotten.add(path, record.content.size);
            }
            return;
        }
        let after = self.placed(path, record, &wish, former);
        let removed = self.removed(path, record, &after, &wish);
        if !is_file {
            return;
        }
        if wish.targets.is_empty() {
            self.plan.unplaced.add(path, record.content.size);
        }
        let is_left = |held: &Holder| !removed.contains(&held.service);
        if after.current_holders().filter(is_left).count() == 1 {
            self.plan.one_copy.add(path, record.content.size);
        }
    }

    /// Notes what is to be brought where, and answers the record after it.
    fn placed(
        &mut self,
        path: &Path,
        record: &Record,
        wish: &Wish,
        former: Option<&Record>,
    ) -> Record {
        let mut after = record.clone();
        // What is brought somewhere is verified there.
        after.content.checksum = after.content.checksum.or(Some(Checksum([0; 20])));
        after.leaving.clear();
        for (at, service) in self.registry.services.iter().enumerate() {
            let is_due = need(record, service.id, wish) == Need::Place;
            if !is_due || service.mode == Mode::Source {
                continue;
            }
            after.set_holder(service.id, record.revision, Tag::UNKNOWN);
            if record.content.kind == Kind::Directory {
                continue;
            }
            let plan = &mut self.plan.services[at];
            let has_it = former.is_some_and(|former| former.holder(service.id).is_some());
            let share = if has_it { &mut plan.renamed } else { &mut plan.copied };
            share.add(path, record.content.size);
        }
        after
    }

    /// Notes what would newly be removed from where, and answers from where anything goes.
    fn removed(
        &mut self,
        path: &Path,
        record: &Record,
        after: &Record,
        wish: &Wish,
    ) -> Vec<ServiceId> {
        let mut removed = Vec::new();
        if wish.evicted.is_empty() {
            return removed;
        }
        let services = self.registry.with_room(path, record, &self.room);
        let is_under_way = self.in_force.wish_among(&services, path, record, self.now_ns).evicted;
        for (at, service) in self.registry.services.iter().enumerate() {
            let goes =
                record.holder(service.id).is_some() && need(after, service.id, wish) == Need::Evict;
            if !goes {
                continue;
            }
            removed.push(service.id);
            if is_under_way.contains(&service.id) {
                continue;
            }
            let plan = &mut self.plan.services[at];
            if record.content.kind == Kind::Directory {
                plan.directories += 1;
            } else {
                plan.removed.add(path, record.content.size);
            }
            let told = format!("{} {} {path}", service.id, record.revision);
            self.sum = self.sum.wrapping_add(number(told.as_bytes()));
        }
        removed
    }

    fn plan(mut self, text: &str, pending: u64) -> Plan {
        let rules = Checksum::of(text.as_bytes()).to_string();
        let removals = Checksum::of(&self.sum.to_le_bytes()).to_string();
        self.plan.id = format!("{}-{}", &rules[..6], &removals[..10]);
        self.plan.pending = pending;
        self.plan.services.sort_by(|a, b| a.name.cmp(&b.name));
        self.plan
    }
}

#[cfg(test)]
mod tests;
