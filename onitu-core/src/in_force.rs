//! The rules in force: what is registered, and what a person has approved of removing.
//!
//! Additions follow the registered rules at once. A removal needs all sets: those registered and
//! every one that was approved or was in force since (design note 0005), so that a set that comes
//! back by mistake, or with a store that forgot, removes nothing that nobody has been shown.

use crate::conflict::original_path;
use crate::rules::{Facts, Placement, Rules};
use crate::store::{Registry, reaching};
use crate::{Holder, Mode, Path, Record, Service, ServiceId, Wish};

/// The registered rules and the approved ones, compiled. By default none, which place and remove
/// nothing.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    services: Vec<Service>,
    /// [`None`] when the registered ones can't be read: then nothing new is placed.
    rules: Option<Rules>,
    /// Empty: nothing is removed because of rules.
    approved: Vec<Rules>,
}

impl InForce {
    /// Compiles what is registered. The Core registers only rules that it has checked; should any
    /// be wrong all the same, nothing is placed anywhere or nothing removed.
    pub fn new(registry: &Registry) -> Self {
        let names: Vec<String> =
            registry.services.iter().map(|service| service.name.clone()).collect();
        let rules = match &registry.rules {
            None => Some(Rules::everywhere()),
            Some(text) => Rules::parse(text, &names).0,
        };
        let approved = registry.approved.iter().map(|text| Rules::parse(text, &names).0);
        let approved = approved.collect::<Option<Vec<_>>>().unwrap_or_default();
        Self { services: registry.services.clone(), rules, approved }
    }

    /// The same services under other rules, of which every removal is approved.
    #[must_use]
    pub fn with_approved(&self, rules: Rules) -> Self {
        let (services, approved) = (self.services.clone(), vec![rules.clone()]);
        Self { services, rules: Some(rules), approved }
    }

    /// The registered rules, if they can be read.
    pub fn rules(&self) -> Option<&Rules> {
        self.rules.as_ref()
    }

    /// What is wanted of a path with this record at this time.
    pub fn wish(&self, path: &Path, record: &Record, now_ns: i64) -> Wish {
        self.wish_among(&reaching(&self.services, path), path, record, now_ns)
    }

    /// The same where `services`, some of those they are about, are as they say.
    pub fn wish_among(
        &self,
        services: &[Service],
        path: &Path,
        record: &Record,
        now_ns: i64,
    ) -> Wish {
        let mut facts = Facts::of(path, Some(record), now_ns);
        facts.origin = record.origin;
        // A foreign content is no copy, and what is leaving won't be one.
        let holds =
            |held: &&Holder| held.revision != Holder::FOREIGN && !record.is_leaving(held.service);
        let holders: Vec<ServiceId> =
            record.holders.iter().filter(holds).map(|held| held.service).collect();
        self.wish_of_among(services, &facts, &holders)
    }

    /// What is wanted of what has these facts, while `holders` have it.
    pub fn wish_of(&self, facts: &Facts<'_>, holders: &[ServiceId]) -> Wish {
        self.wish_of_among(&reaching(&self.services, facts.path), facts, holders)
    }

    fn wish_of_among(
        &self,
        services: &[Service],
        facts: &Facts<'_>,
        holders: &[ServiceId],
    ) -> Wish {
        let Some(rules) = &self.rules else { return Wish::default() };
        let keeps = |service: &Service| facts.kind.is_none_or(|kind| service.keeps(kind));
        if !services.iter().all(keeps) {
            let (services, holders) = others_first(services, holders, keeps);
            let unable = services.iter().filter(|it| !keeps(it)).map(|it| it.id).collect();
            return Wish { unable, ..self.wish_by(rules, &services, facts, &holders) };
        }
        self.wish_by(rules, services, facts, holders)
    }

    fn wish_by(
        &self,
        rules: &Rules,
        services: &[Service],
        facts: &Facts<'_>,
        holders: &[ServiceId],
    ) -> Wish {
        let placement = place(services, rules, facts, holders);
        let (mut evicted, mut unapproved) = (Vec::new(), Vec::new());
        if let Some(stay) = &placement.stay {
            let stays = |rules| place(services, rules, facts, holders).stay;
            let approved: Vec<_> = self.approved.iter().map(stays).collect();
            for service in services.iter().filter(|it| it.mode != Mode::Source) {
                let goes = |stay: &Option<Vec<ServiceId>>| {
                    stay.as_ref().is_some_and(|stay| !stay.contains(&service.id))
                };
                match (stay.contains(&service.id), approved.iter().all(goes)) {
                    (true, _) => {}
                    (false, true) if !approved.is_empty() => evicted.push(service.id),
                    (false, _) => unapproved.push(service.id),
                }
            }
        }
        let copies = placement.copies.into_iter().map(|it| (it.wanted, it.candidates)).collect();
        Wish {
            targets: placement.targets,
            only: placement.only,
            evicted,
            unapproved,
            excluded: placement.excluded,
            copies,
            unable: Vec::new(),
            changes_at_ns: placement.changes_at_ns,
        }
    }
}

/// The same services and holders, so that where the rules leave a choice it falls on those that can
/// keep it: an earlier revision on one that can't is no copy.
fn others_first(
    services: &[Service],
    holders: &[ServiceId],
    keeps: impl Fn(&Service) -> bool,
) -> (Vec<Service>, Vec<ServiceId>) {
    let mut services = services.to_vec();
    let mut holders = holders.to_vec();
    for service in services.iter_mut().filter(|it| !keeps(it)) {
        service.paused = true;
        holders.retain(|holder| *holder != service.id || service.mode == Mode::Source);
    }
    (services, holders)
}

/// A conflict's copy of a restricted file is placed as that file is: its own name may say nothing
/// of that.
fn place(
    services: &[Service],
    rules: &Rules,
    facts: &Facts<'_>,
    holders: &[ServiceId],
) -> Placement {
    let placement = rules.place(facts, services, holders);
    if placement.excluded {
        return placement;
    }
    let Some(original) = original_path(facts.path) else { return placement };
    let original = rules.place(&Facts { path: &original, ..*facts }, services, holders);
    if original.only.is_some() { original } else { placement }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{Checksum, Content, KEEPS_SYMLINKS, Kind, Tag};

    const LAPTOP: ServiceId = ServiceId(1);
    const NAS: ServiceId = ServiceId(2);
    const S3: ServiceId = ServiceId(3);

    fn in_force(rules: &str, approved: &[&str]) -> InForce {
        let service = |(id, name): (ServiceId, &str)| Service {
            id,
            name: name.to_owned(),
            driver: "local".to_owned(),
            mode: Mode::Sync,
            paused: false,
            options: BTreeMap::new(),
        };
        InForce::new(&Registry {
            version: 1,
            services: [(LAPTOP, "laptop"), (NAS, "nas"), (S3, "s3")].map(service).to_vec(),
            rules: Some(rules.to_owned()),
            approved: approved.iter().map(|&text| text.to_owned()).collect(),
            keeps_junk: false,
        })
    }

    fn wish(in_force: &InForce, path: &str) -> Wish {
        let checksum = Some(Checksum::of(b"x"));
        let content = Content {
            kind: Kind::File,
            size: 1,
            mtime_ns: 1,
            executable: false,
            checksum,
            media: None,
        };
        let mut record = Record::new(content);
        record.set_holder(LAPTOP, 1, Tag::of(b""));
        in_force.wish(&Path::new(path).expect("valid"), &record, 0)
    }

    const MOVE: &str = "move \"a/**\" to nas";
    const ONLY: &str = "keep \"a/**\" only on laptop, nas";

    #[test]
    fn a_removal_needs_every_approved_set_and_the_registered_one() {
        type Row<'a> = (&'a str, &'a [&'a str], &'a [ServiceId], &'a [ServiceId]);
        let table: [Row<'_>; 7] = [
            (MOVE, &[MOVE], &[LAPTOP, S3], &[]),
            (MOVE, &[], &[], &[LAPTOP, S3]),
            (MOVE, &["sync everything to nas"], &[], &[LAPTOP, S3]),
            (MOVE, &[MOVE, ONLY], &[S3], &[LAPTOP]),
            (ONLY, &[MOVE], &[S3], &[]),
            ("sync everything to nas", &[MOVE], &[], &[]),
            (MOVE, &["no rules"], &[], &[LAPTOP, S3]),
        ];
        for (rules, approved, evicted, unapproved) in table {
            let wish = wish(&in_force(rules, approved), "a/x");
            assert_eq!(wish.evicted, evicted, "{rules}, approved {approved:?}");
            assert_eq!(wish.unapproved, unapproved, "{rules}, approved {approved:?}");
        }
    }

    #[test]
    fn a_copy_of_a_restricted_file_is_restricted_as_well() {
        let rules = "sync everything to laptop, nas, s3\nkeep \"secret.txt\" only on laptop";
        let in_force = in_force(rules, &[rules]);
        let copy = wish(&in_force, "secret (conflict s3 1a2b3c4).txt");
        assert_eq!((copy.targets, copy.only), (vec![LAPTOP], Some(vec![LAPTOP])));
        assert_eq!(copy.evicted, [NAS, S3]);
        let other = wish(&in_force, "open (conflict s3 1a2b3c4).txt");
        assert_eq!((other.targets.len(), other.only), (3, None));
    }

    #[test]
    fn a_wish_among_some_services_places_and_removes_nothing_on_the_others() {
        let rules = "move everything to nas\nkeep 2 copies of everything on any of nas, s3, laptop";
        let in_force = in_force(rules, &[rules]);
        let content = Content { kind: Kind::File, size: 1, ..Content::DIRECTORY };
        let (path, record) = (Path::new("x").expect("valid"), Record::new(content));
        let among = |services: &[Service]| in_force.wish_among(services, &path, &record, 0);
        let all = among(&in_force.services);
        assert_eq!((all.targets, all.evicted), (vec![NAS, S3], vec![LAPTOP]));
        let without = among(&in_force.services[..2]);
        assert_eq!((without.targets, without.evicted), (vec![LAPTOP, NAS], vec![]));
        let mut full = in_force.services.clone();
        full[2].paused = true;
        let full = among(&full);
        assert_eq!((full.targets, full.evicted), (vec![LAPTOP, NAS], vec![S3]), "chosen elsewhere");
    }

    #[test]
    fn a_link_is_chosen_for_those_that_keep_links_and_the_others_are_named() {
        let rules = "sync everything to laptop\nkeep 1 copy of everything on any of s3, nas";
        let mut in_force = in_force(rules, &[]);
        in_force.services[2].options.insert(KEEPS_SYMLINKS.to_owned(), false.into());
        let content = Content { size: 1, ..Content::DIRECTORY };
        let of = |kind: Kind, rules: &InForce| {
            let mut record = Record::new(Content { kind, ..content });
            record.revision = 2;
            record.set_holder(LAPTOP, 2, Tag::of(b"x"));
            record.set_holder(S3, 1, Tag::of(b"y"));
            let wish = rules.wish(&Path::new("x").expect("valid"), &record, 0);
            (wish.targets, wish.unable)
        };
        assert_eq!(of(Kind::File, &in_force), (vec![LAPTOP, S3], vec![]));
        assert_eq!(of(Kind::Directory, &in_force).1, []);
        let unable = (vec![LAPTOP, NAS], vec![S3]);
        assert_eq!(of(Kind::Symlink, &in_force), unable, "though an earlier revision is there");
        let mut named = self::in_force("sync everything to laptop, s3", &[]);
        named.services.clone_from(&in_force.services);
        assert_eq!(of(Kind::Symlink, &named), (vec![LAPTOP, S3], vec![S3]), "the rules' word");
    }

    #[test]
    fn rules_that_can_not_be_read_place_and_remove_nothing() {
        assert_eq!(wish(&in_force("snyc everything", &[MOVE]), "a/x"), Wish::default());
    }
}
