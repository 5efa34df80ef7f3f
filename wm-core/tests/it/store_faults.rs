//! Each rule of a log store is checked by a test that can fail.

use wm_core::testkit::{StoreHarness, store::CHECKS};

use crate::{
    archive::{Archive, StoreFault},
    faults::{prove, prove_some},
};

mod able {
    wm_core::store_conformance!(crate::archive::Archive::able(None));
}

mod least {
    wm_core::store_conformance!(crate::archive::Archive::least(None));
}

const FAULTS: &[(&str, StoreFault)] = &[
    ("lines_come_back_in_order", StoreFault::LongAppendsLoseALine),
    ("any_bytes_come_back", StoreFault::BytesAreReplaced),
    ("a_line_tells_who_wrote_it_and_when", StoreFault::InstanceIsForgotten),
    ("outputs_are_merged_by_time", StoreFault::OutputsAreNotMerged),
    ("retries_and_restarts_are_outputs_of_their_own", StoreFault::RestartsShareAnOutput),
    ("workloads_do_not_mix", StoreFault::IdsArePrefixes),
    ("what_the_manager_told_is_a_message", StoreFault::ManagerIsAContainer),
    ("lines_that_are_there_are_left_out", StoreFault::AppendsAgain),
    ("positions_must_increase", StoreFault::OrderIsNotChecked),
    ("an_output_tells_where_it_ends", StoreFault::PositionForgetsCount),
    ("another_server_takes_an_output_over", StoreFault::TakeoverOverwrites),
    ("writers_at_the_same_time_leave_each_line_once", StoreFault::WritersHaveNoFence),
    ("a_dropped_append_can_be_made_again", StoreFault::DroppedAppendIsLost),
    ("messages_are_lines_of_the_log", StoreFault::MessageIsOneLine),
    ("messages_of_all_servers_are_kept", StoreFault::MessagesOverwrite),
    ("flushed_lines_are_read_on_another_server", StoreFault::FlushDoesNothing),
    ("a_seal_keeps_the_verdict", StoreFault::SealForgetsWhy),
    ("sealing_again_changes_nothing", StoreFault::LastSealWins),
    ("a_sealed_run_takes_no_more_lines", StoreFault::SealIsNoEnd),
    ("a_sealed_workload_begins_another_attempt", StoreFault::SealClosesTheWorkload),
    ("the_tail_is_the_last_lines", StoreFault::TailIsHead),
    ("since_leaves_out_older_lines", StoreFault::SinceIsExclusive),
    ("one_attempt_is_read_alone", StoreFault::AttemptIsIgnored),
    ("one_container_is_read_alone", StoreFault::ContainerIsIgnored),
    ("a_cursor_goes_on_behind_its_line", StoreFault::CursorIsATime),
    ("a_cursor_of_nothing_is_refused", StoreFault::BadCursorIsTheStart),
    ("a_followed_log_ends_with_the_last_seal", StoreFault::FollowEndsWithAnySeal),
    ("a_follower_on_another_server_reads_all", StoreFault::FollowersHearNoOthers),
    ("an_unknown_workload_is_not_found", StoreFault::UnknownIsEmpty),
    ("an_alias_is_as_good_as_the_id", StoreFault::AliasesAreForgotten),
    ("an_early_message_under_an_alias_is_kept", StoreFault::EarlyMessagesAreForgotten),
    ("an_alias_of_several_workloads_gives_the_lines_of_all", StoreFault::LastAliasWins),
    ("an_included_log_is_read_with_the_workload", StoreFault::IncludeIsIgnored),
    ("deleting_nothing_is_no_error", StoreFault::DeleteUnknownIsNotFound),
    ("deleting_removes_the_log_under_all_its_ids", StoreFault::DeleteKeepsSeals),
    ("sealed_logs_expire_by_their_last_seal", StoreFault::ExpiresByFirstSeal),
];

/// Of an archive that can the least.
const SILENT: &[(&str, StoreFault)] = &[
    ("deleting_nothing_is_no_error", StoreFault::DeleteIsIgnored),
    ("deleting_removes_the_log_under_all_its_ids", StoreFault::DeleteIsIgnored),
    ("sealed_logs_expire_by_their_last_seal", StoreFault::DeleteIsIgnored),
    ("writers_at_the_same_time_leave_each_line_once", StoreFault::TakeoverOverwrites),
];

#[tokio::test(start_paused = true)]
async fn each_check_catches_its_fault() {
    prove(CHECKS, FAULTS, |fault| Box::new(Archive::able(fault)) as Box<dyn StoreHarness>).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_in_silence_is_caught() {
    prove_some(CHECKS, SILENT, |fault| Box::new(Archive::least(fault)) as Box<dyn StoreHarness>).await;
}
