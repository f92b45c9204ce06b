//! The list of all cases, as the macro that makes them tests.
//!
//! A case that is written but not listed would be a promise nobody checks; a test of this crate
//! compares the list with the rooms.

/// Makes a test of every case of the suite, for the [`Subject`](crate::Subject) that it names.
///
/// Use it once in a file or module: the tests have the names of the cases. A file that names a
/// subject from this crate is one line:
///
/// ```
/// # mod local { pub type Local = onitu_driver_memory::Memory; }
/// onitu_conformance::suite!(onitu_conformance::Folder<local::Local>);
/// ```
#[macro_export]
macro_rules! suite {
    ($subject:ty) => {
        $crate::suite! { @each (@room $subject) }
    };
    // Everything that is done with each case is told here which cases there are.
    (@each ($($with:tt)*)) => {
        $crate::suite! { $($with)*, attributes:
            attributes_are_set_and_the_bytes_stay
            the_executable_bit_can_be_taken_away
            attributes_of_another_state_are_left_alone
            attributes_of_what_is_gone_are_changed
        }
        $crate::suite! { $($with)*, connecting:
            a_storage_that_is_there_passes_its_check
            a_new_connection_finds_the_same_states
            a_missing_storage_is_unavailable_and_not_created
            a_storage_that_goes_away_is_unavailable_not_empty
            a_listing_that_is_cut_off_never_looks_complete
            a_known_storage_without_its_marker_is_unavailable
            leftovers_of_a_crash_are_out_of_sight
        }
        $crate::suite! { $($with)*, crowds:
            two_hundred_files_placed_at_once_are_all_whole
            fifty_readers_of_one_file_all_read_it_whole
            neighbours_dont_disturb_each_other
            a_call_that_is_dropped_leaves_a_whole_state
            an_edit_in_the_last_instant_is_not_lost
            a_file_made_in_the_last_instant_is_not_lost
        }
        $crate::suite! { $($with)*, directories:
            a_directory_is_made_with_its_parents
            a_directory_that_is_there_is_fine
            an_unexpected_file_is_no_directory
            a_directory_is_not_made_where_a_file_vanished
            an_expected_file_gives_way_to_a_directory
            no_directory_is_made_below_a_file
        }
        $crate::suite! { $($with)*, links:
            a_link_is_told_as_a_link
            a_link_reads_as_its_targets_text
            a_link_is_placed_with_its_text
            nothing_is_below_a_link
            a_link_is_not_listed_as_a_directory
            nothing_is_changed_through_a_link
            removing_a_link_leaves_its_target
            a_file_replaces_a_link_not_its_target
            a_link_is_renamed_as_a_link
            a_link_that_cant_be_kept_is_refused
        }
        $crate::suite! { $($with)*, listing:
            an_empty_storage_has_an_empty_listing
            a_missing_directory_is_not_found
            a_file_is_not_a_directory
            a_listing_tells_what_a_look_tells
            only_what_is_directly_inside_is_listed
            an_empty_directory_is_listed
            a_listing_of_three_thousand_entries_comes_in_pages
            a_listing_waits_for_its_reader
            a_listing_ends_with_its_reader
            the_drivers_own_files_are_left_out
            an_impossible_name_is_a_problem_and_ends_nothing
            a_strange_thing_is_a_problem_in_a_listing
        }
        $crate::suite! { $($with)*, looking:
            nothing_is_where_nothing_was_written
            nothing_is_below_a_file
            the_root_is_a_directory
            a_file_is_told_with_its_size
            a_directory_is_told_as_one
            a_checksum_that_is_told_is_right
            the_same_state_has_the_same_tag
            other_bytes_have_another_tag
            another_mtime_has_another_tag
            another_executable_bit_has_another_tag
            a_directorys_tag_outlives_changes_inside
            a_tag_survives_a_rename
            a_strange_thing_is_unsupported
        }
        $crate::suite! { $($with)*, manifest:
            the_manifest_is_the_same_each_time
            the_drivers_name_is_lower_case
            the_description_is_one_line
            the_manifest_names_the_protocol_it_speaks
            every_option_has_a_help_text
            option_names_are_lower_case_words
            every_option_has_a_name_of_its_own
            only_what_may_be_left_out_has_a_default
            required_options_are_required
            the_options_in_use_are_in_the_manifest
            a_connection_has_no_ability_that_the_manifest_denies
        }
        $crate::suite! { $($with)*, names:
            hostile_names_arrive_byte_for_byte_or_are_refused
            hostile_names_are_as_good_as_directories
            a_name_of_255_bytes_arrives_or_is_refused
            a_very_long_path_arrives_or_is_refused
            a_deep_path_arrives
            names_that_differ_in_case_are_two_files
            composed_and_decomposed_letters_are_two_files
        }
        $crate::suite! { $($with)*, placing:
            missing_parents_are_made
            placing_tells_the_state_that_is_there
            a_placed_file_has_its_mtime
            a_strange_mtime_is_told_as_it_is_kept
            a_placed_file_has_its_executable_bit
            attributes_that_cant_be_kept_are_not_invented
            the_expected_file_is_replaced
            an_unexpected_file_is_left_alone
            another_state_than_expected_is_left_alone
            a_deleted_file_is_not_brought_back
            what_was_not_placed_is_discarded
            what_was_replaced_goes_to_the_trash
            an_empty_directory_may_be_replaced
            a_directory_that_holds_something_is_not_replaced
            a_parent_that_is_a_file_is_not_a_directory
            a_reader_never_sees_a_half_placed_file
        }
        $crate::suite! { $($with)*, reading:
            what_was_placed_is_read_back
            reading_begins_at_the_offset
            no_chunk_is_larger_than_asked
            a_source_tells_what_it_reads
            reading_another_state_is_changed
            reading_what_is_gone_is_changed
            a_file_replaced_while_read_is_changed
            a_file_that_grows_while_read_is_changed
            a_file_that_vanishes_while_read_is_changed
            a_change_before_the_end_is_told_at_the_end
            a_directory_is_not_read
        }
        $crate::suite! { $($with)*, removing:
            the_expected_file_is_removed
            removing_what_is_already_gone_succeeds
            another_state_is_not_removed
            a_directory_that_holds_something_is_not_removed
            an_empty_directory_is_removed
            the_last_file_takes_a_directory_that_isnt_kept_with_it
            what_was_removed_goes_to_the_trash
            the_root_is_not_removed
        }
        $crate::suite! { $($with)*, renaming:
            a_renamed_file_keeps_its_bytes
            missing_parents_of_the_new_name_are_made
            another_state_is_not_renamed
            nothing_is_not_renamed
            an_unexpected_file_is_not_renamed_over
            a_new_name_whose_file_vanished_is_changed
            what_was_renamed_over_goes_to_the_trash
            nothing_is_renamed_below_a_file
            a_rename_that_isnt_possible_is_refused
        }
        $crate::suite! { $($with)*, twins:
            a_twin_is_not_what_stands
            names_are_listed_as_they_were_made
            a_twin_is_not_placed
            a_twin_that_came_in_between_stays
            what_stands_is_not_changed_as_its_twin
            nothing_is_renamed_to_a_twin
            a_name_is_spelled_anew_or_left
            nothing_is_below_a_twin_of_a_directory
            a_twin_of_the_drivers_own_names_is_refused
            hints_are_spelled_as_names_were_made
        }
        $crate::suite! { $($with)*, trash:
            the_trash_tells_what_it_holds
            the_trash_comes_in_pages_newest_first
            the_trash_tells_what_stood_below_a_path
            the_trash_tells_what_came_later
            what_is_restored_is_as_it_was
            something_is_restored_to_another_path
            restoring_overwrites_nothing
            a_directory_is_not_replaced_from_the_trash
            what_was_restored_over_goes_to_the_trash
            what_has_left_the_trash_is_not_found
            a_link_is_restored_as_a_link
        }
        $crate::suite! { $($with)*, watching:
            a_users_edits_are_hinted_at
            a_users_rename_is_hinted_at_under_both_names
            a_renamed_directory_is_hinted_at_as_a_whole
            changed_attributes_are_hinted_at
            what_appears_in_a_new_directory_is_hinted_at
            a_storm_is_not_passed_over
            settling_waits_for_the_hints
            temporary_files_are_not_hinted_at
            the_watch_goes_on_until_dropped
            a_watch_can_be_set_again
        }
        $crate::suite! { $($with)*, writing:
            a_sink_is_invisible_until_it_is_placed
            a_sink_that_is_dropped_leaves_nothing_under_a_users_name
            a_dropped_replacement_leaves_the_old_file
            a_discarded_sink_leaves_nothing
            a_new_write_has_nothing_to_resume
            an_interrupted_write_is_resumed_with_its_key
            another_key_resumes_nothing
            a_placed_write_is_not_resumed
            no_space_is_told_and_loses_nothing
            the_drivers_own_names_are_refused
        }
    };
    (@name $roll:ident $subject:ty, $room:ident: $($case:ident)*) => {
        $(
            $roll.push($crate::Case {
                room: stringify!($room),
                name: stringify!($case),
                run: || Box::pin($crate::verdict::<$subject, _>($crate::cases::$room::$case)),
            });
        )*
    };
    (@room $subject:ty, $room:ident: $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::keep::<$subject, _>(stringify!($case), $crate::cases::$room::$case);
            }
        )*
    };
}
