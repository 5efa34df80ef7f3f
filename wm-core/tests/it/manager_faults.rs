//! Each rule of a manager is checked by a test that can fail.

use wm_core::testkit::{ManagerHarness, manager::CHECKS};

use crate::{
    faults::{prove, prove_some},
    memory::{Fault, MemoryHarness},
};

mod able {
    wm_core::conformance!(crate::memory::MemoryHarness::able(None));
}

mod least {
    wm_core::conformance!(crate::memory::MemoryHarness::least(None));
}

const FAULTS: &[(&str, Fault)] = &[
    ("a_second_submission_adopts_the_first", Fault::AdoptsNothing),
    ("a_finished_attempt_is_adopted_by_its_number", Fault::RunsFinishedAgain),
    ("another_server_adopts_a_run", Fault::ServersShareNothing),
    ("another_spec_of_an_attempt_is_a_conflict", Fault::AdoptsAnySpec),
    ("an_unfinished_run_of_another_spec_is_a_conflict", Fault::NextIgnoresUnfinished),
    ("the_next_attempt_follows_the_last", Fault::NextAdoptsFinished),
    ("the_next_attempt_counts_on_from_a_named_one", Fault::NextCountsRuns),
    ("a_new_secret_value_is_the_same_run", Fault::SecretsCountForTheSpec),
    ("concurrent_submissions_make_one_run", Fault::SubmissionsRace),
    ("a_held_run_waits_for_its_release", Fault::HeldRunsAtOnce),
    ("a_held_run_stays_held_when_it_is_adopted", Fault::AdoptionReleases),
    ("releasing_again_does_nothing", Fault::ReleaseStartsAgain),
    ("a_held_run_is_cancelled_without_running", Fault::CancelReleases),
    ("a_follower_sees_each_change_up_to_the_end", Fault::RunningIsNotTold),
    ("a_follower_sees_each_change_up_to_the_end", Fault::StatesAreRepeated),
    ("a_late_follower_is_told_the_end", Fault::LateFollowersHang),
    ("all_followers_see_the_end", Fault::FollowersCutEachOther),
    ("the_exit_code_is_the_verdict", Fault::ExitCodeIsForgotten),
    ("a_status_tells_image_and_times", Fault::EndHasNoTime),
    ("a_time_limit_ends_a_run", Fault::TimeLimitIsIgnored),
    ("the_environment_reaches_the_program", Fault::EmptyVariablesAreLost),
    ("an_unknown_run_is_not_found", Fault::UnknownIsPending),
    ("list_and_status_agree", Fault::ListIsStale),
    ("a_list_is_filtered_and_oldest_first", Fault::ListIsByName),
    ("an_alias_is_as_good_as_the_id", Fault::AliasesAreNotListed),
    ("an_alias_deletes_what_the_id_deletes", Fault::AliasesAreNotDeleted),
    ("a_cancelled_run_says_its_last_words", Fault::KillsWithoutAsking),
    ("cancelling_again_changes_nothing", Fault::CancelTwiceIsAnError),
    ("a_finished_run_can_not_be_cancelled", Fault::CancelsFinished),
    ("cancelling_nothing_is_no_error", Fault::CancelUnknownIsNotFound),
    ("cancelling_one_run_leaves_the_others", Fault::CancelsAllAttempts),
    ("a_cancelled_workload_runs_again", Fault::AdoptsCancelled),
    ("deleting_nothing_is_no_error", Fault::DeleteUnknownIsNotFound),
    ("deleting_removes_all_runs_and_the_log", Fault::DeleteKeepsTheLog),
    ("deleting_ends_a_running_run", Fault::DeleteLeavesFollowers),
    ("a_deleted_workload_begins_anew", Fault::DeleteKeepsNumbers),
    ("a_log_has_every_line_in_order", Fault::LinesAreLost),
    ("a_followed_log_ends_with_the_run", Fault::FollowNeverEnds),
    ("any_bytes_come_back", Fault::BytesAreReplaced),
    ("a_long_line_is_one_line", Fault::LongLinesAreCut),
    ("the_tail_is_the_last_lines", Fault::TailIsHead),
    ("since_leaves_out_older_lines", Fault::SinceIsExclusive),
    ("a_cursor_goes_on_behind_its_line", Fault::CursorRepeatsItsLine),
    ("all_attempts_are_one_log", Fault::LastAttemptHidesOthers),
    ("one_container_is_read_alone", Fault::ContainerIsIgnored),
    ("readers_do_not_disturb_each_other", Fault::ReadersCutEachOther),
    ("an_unknown_log_is_not_found", Fault::UnknownLogIsEmpty),
    ("messages_are_lines_of_the_log", Fault::MessagesComeFirst),
    ("a_run_brings_its_messages_once", Fault::AdoptionRepeatsMessages),
    ("a_message_of_several_lines_is_several_records", Fault::MessageIsOneLine),
    ("an_early_message_under_an_alias_is_kept", Fault::EarlyMessagesAreForgotten),
    ("concurrent_messages_are_all_kept", Fault::MessagesRace),
    ("dropping_what_waits_stops_nothing", Fault::DroppedStreamStops),
    ("a_dropped_submission_can_be_made_again", Fault::DroppedSubmissionBlocks),
    ("a_secret_is_never_shown", Fault::SecretIsShown),
    ("concurrent_callers_get_what_is_theirs", Fault::LogsAreMixed),
    ("capabilities_are_the_same_everywhere", Fault::CapabilitiesChange),
    ("an_image_is_resolved_or_what_is_missing_is_named", Fault::ImageChanges),
    ("a_preflight_starts_and_changes_nothing", Fault::PreflightSubmits),
    ("a_preflight_starts_and_changes_nothing", Fault::PreflightReleases),
    ("a_preflight_starts_and_changes_nothing", Fault::PreflightWrites),
    ("what_a_preflight_complains_of_it_says_how_to_mend", Fault::PreflightOnlyComplains),
];

/// Of a backend that can the least: what it can't do it must refuse.
const SILENT: &[(&str, Fault)] = &[
    ("a_held_run_waits_for_its_release", Fault::HoldIsIgnored),
    ("a_held_run_stays_held_when_it_is_adopted", Fault::HoldIsIgnored),
    ("a_cancelled_run_says_its_last_words", Fault::CancelIsIgnored),
    ("a_followed_log_ends_with_the_run", Fault::FollowIsIgnored),
    ("readers_do_not_disturb_each_other", Fault::FollowIsIgnored),
    ("a_cursor_goes_on_behind_its_line", Fault::CursorIsIgnored),
];

#[tokio::test(start_paused = true)]
async fn each_check_catches_its_fault() {
    prove(CHECKS, FAULTS, |fault| Box::new(MemoryHarness::able(fault)) as Box<dyn ManagerHarness>).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_ignored_in_silence_is_caught() {
    prove_some(CHECKS, SILENT, |fault| Box::new(MemoryHarness::least(fault)) as Box<dyn ManagerHarness>)
        .await;
}
