//! The lists of the checks, and what tests are made of them.

/// Makes one `#[tokio::test]` of each rule of a [`WorkloadManager`](crate::WorkloadManager).
///
/// The expression makes a [`ManagerHarness`](crate::testkit::ManagerHarness), anew in each test, and may `await`.
///
/// ```
/// # struct Acme;
/// # impl Acme { async fn start() -> Self { Self } }
/// # #[cfg(test)]
/// mod contract {
///     use super::*;
///
///     wm_core::conformance!(Acme::start().await);
/// }
/// ```
#[macro_export]
macro_rules! conformance {
    ($harness:expr $(,)?) => {
        $crate::__manager_checks!(__tests manager [$harness]);
    };
}

/// Makes one `#[tokio::test]` of each rule of an [`ImageStrategy`](crate::ImageStrategy).
///
/// The expression makes a [`StrategyHarness`](crate::testkit::StrategyHarness), anew in each test, and may `await`.
#[macro_export]
macro_rules! strategy_conformance {
    ($harness:expr $(,)?) => {
        $crate::__strategy_checks!(__tests strategy [$harness]);
    };
}

/// Makes one `#[tokio::test]` of each rule of a [`LogStore`](crate::LogStore).
///
/// The expression makes a [`StoreHarness`](crate::testkit::StoreHarness), anew in each test, and may `await`.
#[macro_export]
macro_rules! store_conformance {
    ($harness:expr $(,)?) => {
        $crate::__store_checks!(__tests store [$harness]);
    };
}

/// Makes one `#[tokio::test]` of each rule of a [`ChunkStore`](crate::ChunkStore).
///
/// The expression makes a [`ChunkHarness`](crate::testkit::ChunkHarness), anew in each test, and may `await`.
#[macro_export]
macro_rules! chunk_conformance {
    ($harness:expr $(,)?) => {
        $crate::__chunk_checks!(__tests chunks [$harness]);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($kit:ident [$harness:expr]; $($name:ident)*) => {
        $(
            #[::tokio::test]
            async fn $name() {
                let harness = $harness;
                let check = $crate::testkit::$kit::$name(&harness);
                let limit = $crate::testkit::LIMIT;
                let ended = ::tokio::time::timeout(limit, check).await.is_ok();
                assert!(ended, "after {} s it still waits for something that never comes", limit.as_secs());
            }
        )*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __checks {
    (; $($name:ident)*) => {
        &[$(Check { name: stringify!($name), run: |harness| Box::pin($name(harness)) }),*]
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __manager_checks {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { $($arguments)*;
            a_second_submission_adopts_the_first
            a_finished_attempt_is_adopted_by_its_number
            another_server_adopts_a_run
            another_spec_of_an_attempt_is_a_conflict
            an_unfinished_run_of_another_spec_is_a_conflict
            the_next_attempt_follows_the_last
            the_next_attempt_counts_on_from_a_named_one
            a_new_secret_value_is_the_same_run
            concurrent_submissions_make_one_run

            a_held_run_waits_for_its_release
            a_held_run_stays_held_when_it_is_adopted
            releasing_again_does_nothing
            a_held_run_is_cancelled_without_running

            a_follower_sees_each_change_up_to_the_end
            a_late_follower_is_told_the_end
            all_followers_see_the_end
            the_exit_code_is_the_verdict
            a_status_tells_image_and_times
            a_time_limit_ends_a_run
            the_environment_reaches_the_program
            an_unknown_run_is_not_found

            list_and_status_agree
            a_list_is_filtered_and_oldest_first
            an_alias_is_as_good_as_the_id
            an_alias_deletes_what_the_id_deletes

            a_cancelled_run_says_its_last_words
            cancelling_again_changes_nothing
            a_finished_run_can_not_be_cancelled
            cancelling_nothing_is_no_error
            cancelling_one_run_leaves_the_others
            a_cancelled_workload_runs_again

            deleting_nothing_is_no_error
            deleting_removes_all_runs_and_the_log
            deleting_ends_a_running_run
            a_deleted_workload_begins_anew

            a_log_has_every_line_in_order
            a_followed_log_ends_with_the_run
            any_bytes_come_back
            a_long_line_is_one_line
            the_tail_is_the_last_lines
            since_leaves_out_older_lines
            a_cursor_goes_on_behind_its_line
            all_attempts_are_one_log
            one_container_is_read_alone
            readers_do_not_disturb_each_other
            an_unknown_log_is_not_found

            messages_are_lines_of_the_log
            a_run_brings_its_messages_once
            a_message_of_several_lines_is_several_records
            an_early_message_under_an_alias_is_kept
            concurrent_messages_are_all_kept

            dropping_what_waits_stops_nothing
            a_dropped_submission_can_be_made_again
            a_secret_is_never_shown
            concurrent_callers_get_what_is_theirs
            capabilities_are_the_same_everywhere
            an_image_is_resolved_or_what_is_missing_is_named
            a_preflight_starts_and_changes_nothing
            what_a_preflight_complains_of_it_says_how_to_mend
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __strategy_checks {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { $($arguments)*;
            the_same_request_gives_the_same_image
            concurrent_requests_give_the_same_image
            what_a_workload_lacks_is_asked_for
            an_image_comes_with_its_reason
            a_dropped_request_can_be_made_again
            name_and_capabilities_are_its_own
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __chunk_checks {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { $($arguments)*;
            a_chunk_comes_back_as_it_was
            a_chunk_is_created_once
            a_missing_chunk_is_not_found
            a_list_has_keys_in_the_order_of_their_bytes
            a_list_goes_on_behind_a_key
            deleting_removes_one_chunk
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_checks {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! { $($arguments)*;
            lines_come_back_in_order
            any_bytes_come_back
            a_line_tells_who_wrote_it_and_when
            outputs_are_merged_by_time
            retries_and_restarts_are_outputs_of_their_own
            workloads_do_not_mix
            what_the_manager_told_is_a_message

            lines_that_are_there_are_left_out
            positions_must_increase
            an_output_tells_where_it_ends
            another_server_takes_an_output_over
            writers_at_the_same_time_leave_each_line_once
            a_dropped_append_can_be_made_again

            messages_are_lines_of_the_log
            messages_of_all_servers_are_kept
            flushed_lines_are_read_on_another_server

            a_seal_keeps_the_verdict
            sealing_again_changes_nothing
            a_sealed_run_takes_no_more_lines
            a_sealed_workload_begins_another_attempt

            the_tail_is_the_last_lines
            since_leaves_out_older_lines
            one_attempt_is_read_alone
            one_container_is_read_alone
            a_cursor_goes_on_behind_its_line
            a_cursor_of_nothing_is_refused
            a_followed_log_ends_with_the_last_seal
            a_follower_on_another_server_reads_all
            an_unknown_workload_is_not_found

            an_alias_is_as_good_as_the_id
            an_early_message_under_an_alias_is_kept
            an_alias_of_several_workloads_gives_the_lines_of_all
            an_included_log_is_read_with_the_workload

            deleting_nothing_is_no_error
            deleting_removes_the_log_under_all_its_ids
            sealed_logs_expire_by_their_last_seal
        }
    };
}
