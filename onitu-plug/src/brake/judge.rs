//! How many removals or replaced contents are too many; pure.

use onitu_core::Service;
use onitu_core::held::Share;

use super::What;

/// Of a service whose entry doesn't say.
const MAX_DELETE: Share = Share::Percent(50);
/// A service that holds no more files than this isn't braked unless its entry says so.
const SMALL: u64 = 20;

/// What a service may lose or change at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// [`None`]: as by default.
    pub(super) max_delete: Option<Share>,
    /// [`None`]: everything.
    pub(super) max_change: Option<Share>,
}

impl Limits {
    /// As the entry of the service says.
    pub(super) fn of(service: &Service) -> Self {
        let share = |name: &str| {
            let value = service.options.get(name)?;
            serde_json::from_value(value.clone())
                .inspect_err(|error| tracing::warn!(service = service.name, "`{name}`: {error}"))
                .ok()
        };
        Self { max_delete: share("max_delete"), max_change: share("max_change") }
    }

    /// Whether `count` files of `of` are too many.
    pub(super) fn is_exceeded(self, what: What, count: u64, of: u64) -> bool {
        match what {
            What::Removed => match self.max_delete {
                Some(share) => share.is_exceeded(count, of),
                None => of > SMALL && MAX_DELETE.is_exceeded(count, of),
            },
            What::Changed => self.max_change.is_some_and(|share| share.is_exceeded(count, of)),
        }
    }

    /// Whether `count` files are certainly not too many of `least` or any larger number.
    pub(super) fn is_harmless(self, what: What, count: u64, least: u64) -> bool {
        let is_small_fine = what == What::Removed && self.max_delete.is_none();
        let least = if is_small_fine { least.max(SMALL + 1) } else { least };
        !self.is_exceeded(what, count, least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: Limits = Limits { max_delete: None, max_change: None };

    fn limits(max_delete: Share, max_change: Share) -> Limits {
        Limits { max_delete: Some(max_delete), max_change: Some(max_change) }
    }

    #[test]
    fn half_of_more_than_twenty_files_may_go() {
        let table = [
            (1, 1, false),
            (20, 20, false),
            (10, 21, false),
            (11, 21, true),
            (21, 21, true),
            (20, 40, false),
            (21, 40, true),
            (30, 40, true),
            (1, 1_000_000, false),
            (500_000, 1_000_000, false),
            (500_001, 1_000_000, true),
        ];
        for (count, of, exceeded) in table {
            assert_eq!(DEFAULT.is_exceeded(What::Removed, count, of), exceeded, "{count} of {of}");
        }
    }

    #[test]
    fn replaced_contents_are_not_counted_unless_wanted() {
        assert!(!DEFAULT.is_exceeded(What::Changed, 1_000, 1_000));
        let wanted = limits(Share::Percent(50), Share::Percent(30));
        assert!(!wanted.is_exceeded(What::Changed, 12, 40));
        assert!(wanted.is_exceeded(What::Changed, 13, 40));
    }

    #[test]
    fn what_the_entry_says_holds_for_small_services_too() {
        let few = limits(Share::Count(3), Share::Count(0));
        assert!(!few.is_exceeded(What::Removed, 3, 5));
        assert!(few.is_exceeded(What::Removed, 4, 5));
        assert!(few.is_exceeded(What::Changed, 1, 5));
        assert!(limits(Share::Percent(0), Share::Count(0)).is_exceeded(What::Removed, 1, 1));
        assert!(!limits(Share::Percent(100), Share::Count(0)).is_exceeded(What::Removed, 9, 9));
    }

    #[test]
    fn what_is_harmless_of_few_files_is_harmless_of_more() {
        for limits in [DEFAULT, limits(Share::Percent(10), Share::Count(4))] {
            for (what, count, least) in
                [What::Removed, What::Changed].into_iter().flat_map(|what| {
                    (0..60_u64)
                        .flat_map(move |count| (0..60_u64).map(move |least| (what, count, least)))
                })
            {
                let harmless = limits.is_harmless(what, count, least);
                let exceeded = (least..200).any(|of| limits.is_exceeded(what, count, of));
                assert_eq!(harmless, !exceeded, "{what:?} {count} {least} {limits:?}");
            }
        }
    }
}
