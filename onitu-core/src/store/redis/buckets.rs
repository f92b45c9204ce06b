//! Linear hashing (Litwin 1980): how the names of a large directory are spread over buckets small
//! enough to stay listpacks, one bucket more or less at a time.
//!
//! Pure arithmetic; [`super::commit`] moves the records.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64;

/// Names a directory may have before it is split.
pub const UNSPLIT_NAMES_MAX: u64 = 256;
/// Mean names a bucket of a split directory above which it grows. The fullest buckets then hold
/// about twice as many, far below the 512 at which Redis would give up the listpack.
const GROW_ABOVE: u64 = 128;
/// Mean names a bucket below which it shrinks, well below what growing leaves behind.
const SHRINK_BELOW: u64 = 48;
/// Mean names a bucket after shrinking.
const SHRUNK: u64 = 96;

/// Over how many buckets the names of a directory are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layout(u32);

impl Layout {
    /// Not split.
    pub const ONE: Self = Self(1);

    /// Of so many buckets; [`None`] for none at all.
    pub fn of(buckets: u32) -> Option<Self> {
        (buckets > 0).then_some(Self(buckets))
    }

    /// The number of buckets.
    pub fn buckets(self) -> u32 {
        self.0
    }

    /// Whether there is more than one bucket.
    pub fn is_split(self) -> bool {
        self.0 > 1
    }

    /// The bucket of `name`.
    pub fn bucket(self, name: &str) -> u32 {
        if self.0 == 1 {
            return 0;
        }
        let hash = xxh3_64(name.as_bytes());
        let span = u64::from(self.0).next_power_of_two();
        let bucket = hash & (span - 1);
        (if bucket < u64::from(self.0) { bucket } else { hash & (span / 2 - 1) }) as u32
    }

    /// What the layout shall be once the directory has `names` names.
    pub fn suited(self, names: u64) -> Self {
        let buckets = u64::from(self.0);
        let wanted = if self.0 == 1 && names <= UNSPLIT_NAMES_MAX {
            1
        } else if names > buckets * GROW_ABOVE {
            names.div_ceil(GROW_ABOVE)
        } else if names < buckets * SHRINK_BELOW {
            names.div_ceil(SHRUNK)
        } else {
            buckets
        };
        Self(u32::try_from(wanted.max(1)).unwrap_or(u32::MAX))
    }

    /// The buckets whose names may change place on the way to `other`, under both layouts.
    pub fn affected(self, other: Self) -> BTreeSet<u32> {
        let (fewer, more) = (self.0.min(other.0), self.0.max(other.0));
        let mut affected = BTreeSet::new();
        for bucket in fewer..more {
            affected.insert(bucket);
            // With fewer buckets its names stand where its number leads without the highest bits.
            let mut origin = bucket;
            while origin >= fewer {
                origin -= 1 << origin.ilog2();
            }
            affected.insert(origin);
        }
        affected
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_moves_only_between_affected_buckets(
            from in 1..200u32, to in 1..200u32, name in "[a-z]{1,12}",
        ) {
            let [from, to] = [from, to].map(Layout);
            let (before, after) = (from.bucket(&name), to.bucket(&name));
            prop_assert!(before < from.0 && after < to.0);
            let affected = from.affected(to);
            prop_assert!(before == after || (affected.contains(&before) && affected.contains(&after)));
            // Growing moves names into new buckets only: what `super::read` builds on.
            prop_assert!(to < from || before == after || after >= from.0);
        }

        #[test]
        fn a_suited_layout_stays(buckets in 1..500u32, names in 0..100_000u64) {
            let suited = Layout(buckets).suited(names);
            prop_assert_eq!(suited.suited(names), suited);
            prop_assert!(!suited.is_split() || suited.suited(names + 1) >= suited);
        }
    }

    #[test]
    fn no_bucket_comes_near_the_bound_of_a_listpack() {
        let mut layout = Layout::ONE;
        let mut names = Vec::new();
        for number in 0..20_000u64 {
            names.push(format!("IMG_{number:05}.jpg"));
            layout = layout.suited(names.len() as u64);
        }
        let mut sizes = vec![0; layout.0 as usize];
        for name in &names {
            sizes[layout.bucket(name) as usize] += 1;
        }
        let fullest = sizes.iter().max().copied();
        assert!(fullest < Some(360), "{fullest:?} names in one of {} buckets", layout.0);
    }

    #[test]
    fn a_directory_is_split_above_its_bound_and_joined_well_below() {
        assert_eq!(Layout::ONE.suited(256), Layout::ONE);
        let split = Layout::ONE.suited(257);
        assert_eq!(split, Layout(3));
        assert_eq!(split.suited(200), split);
        assert_eq!(split.suited(96), Layout::ONE);
        assert_eq!(split.suited(0), Layout::ONE);
    }
}
