//! The suite finds what it is made to find: drivers with one mistake each are caught by the case
//! that names it, and the same driver without a mistake is not.

mod careless;

use careless::{
    Careless, FORGETS_PAGES, HINTS_AT_NOTHING, IGNORES_EXPECT, NO_MISTAKE, PLACES_EARLY, READS_ON,
    REMOVES_ANYWAY, Shop,
};
use onitu_conformance::{Promise, Scene, Verdict, cases, verdict};

/// The case holds for the careful driver and is broken by the careless one.
macro_rules! caught {
    ($test:ident: $mistake:ident by $case:path) => {
        #[tokio::test(start_paused = true)]
        async fn $test() {
            let careful = verdict::<Shop<NO_MISTAKE>, _>($case).await;
            assert_eq!(careful, Ok(Verdict::Kept));
            let careless = verdict::<Shop<$mistake>, _>($case).await;
            assert!(careless.is_err(), "nobody noticed the mistake: {careless:?}");
        }
    };
}

caught!(a_sink_that_ignores_the_old_tag_is_caught:
    IGNORES_EXPECT by cases::placing::another_state_than_expected_is_left_alone);
caught!(a_sink_that_replaces_the_unexpected_is_caught:
    IGNORES_EXPECT by cases::placing::an_unexpected_file_is_left_alone);
caught!(a_sink_that_brings_back_the_deleted_is_caught:
    IGNORES_EXPECT by cases::placing::a_deleted_file_is_not_brought_back);
caught!(a_sink_that_overwrites_an_edit_in_the_last_instant_is_caught:
    IGNORES_EXPECT by cases::placing::what_was_not_placed_is_discarded);
caught!(a_sink_that_is_seen_too_early_is_caught:
    PLACES_EARLY by cases::writing::a_sink_is_invisible_until_it_is_placed);
caught!(a_sink_that_leaves_a_half_file_is_caught:
    PLACES_EARLY by cases::writing::a_sink_that_is_dropped_leaves_nothing_under_a_users_name);
caught!(a_listing_that_ends_early_is_caught:
    FORGETS_PAGES by cases::listing::a_listing_of_three_thousand_entries_comes_in_pages);
caught!(a_source_that_mixes_two_states_is_caught:
    READS_ON by cases::reading::a_file_replaced_while_read_is_changed);
caught!(a_source_that_reads_a_vanished_file_is_caught:
    READS_ON by cases::reading::a_file_that_vanishes_while_read_is_changed);
caught!(a_removal_of_another_state_is_caught:
    REMOVES_ANYWAY by cases::removing::another_state_is_not_removed);
caught!(a_watch_that_tells_nothing_is_caught:
    HINTS_AT_NOTHING by cases::watching::a_users_edits_are_hinted_at);

async fn excuse(_: Scene<Shop<NO_MISTAKE>>) -> Promise {
    Ok(Verdict::NotApplicable("rename"))
}

#[tokio::test(start_paused = true)]
async fn an_ability_that_the_manifest_has_is_no_excuse() {
    let broken = verdict(excuse).await.expect_err("the manifest has it");
    assert!(broken.message.contains("`rename`"), "{broken}");
    assert!(<Careless<NO_MISTAKE> as onitu_plug::Plug>::manifest().abilities.rename);
}
