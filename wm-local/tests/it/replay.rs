//! What a real cluster (v1.36.2) answered and told is what this one answers and tells: its recordings, replayed.

mod claims;
mod compare;
mod names;
mod observer;
mod pace;
mod recording;
mod run;
mod stage;
mod story;

use std::{fmt::Write as _, fs};

use futures::StreamExt as _;

use self::{claims::Claim, recording::Recording, run::Run, stage::has_faults};

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
const BEGIN: &str = "<!-- replay: begin -->\n";
const END: &str = "<!-- replay: end -->\n";

#[tokio::test]
async fn every_claimed_scenario_goes_as_recorded() {
    let mut report = String::new();
    let mut table = "| Scenario | Claimed | Exchanges | Events |\n|---|---|---|---|\n".to_owned();
    let only = std::env::var("SCENARIO").ok();
    let recordings = recording::all();
    let played = futures::stream::iter(&recordings).map(|recording| async {
        let is_wanted = only.as_ref().is_none_or(|only| only.split(',').any(|one| one == recording.scenario));
        let is_played =
            is_wanted && (only.is_some() || !matches!(claims::of(&recording.scenario), Claim::No(_)));
        if is_played { Run::new(recording).await.play(recording).await } else { (0, 0, Vec::new()) }
    });
    // Most of the time they wait for processes.
    let played: Vec<_> = played.buffered(6).collect().await;
    for (recording, (exchanges, events, differences)) in recordings.iter().zip(played) {
        let claim = claims::of(&recording.scenario);
        writeln!(table, "{}", row(recording, claim, exchanges, events)).unwrap();
        for difference in differences {
            writeln!(report, "{}: {difference}", recording.scenario).unwrap();
        }
    }
    assert!(report.is_empty(), "{report}");
    if only.is_none() {
        check_table(&table);
    }
}

/// A line of the table: what was compared, of what was recorded.
fn row(recording: &Recording, claim: Claim, exchanges: usize, events: usize) -> String {
    let claimed = match claim {
        Claim::Whole if has_faults(&recording.scenario) => "yes, with faults".to_owned(),
        Claim::Whole => "yes".to_owned(),
        Claim::Part { why, .. } => format!("in part: {why}"),
        Claim::No(why) => format!("no: {why}"),
    };
    let recorded: usize = recording.watches.iter().map(|watch| watch.events.len()).sum();
    format!(
        "| {} | {claimed} | {exchanges} of {} | {events} of {recorded} |",
        recording.scenario,
        recording.exchanges.len()
    )
}

/// Checks that the README has the table, or writes it there if `UPDATE_REPLAY` is set.
fn check_table(table: &str) {
    let readme = fs::read_to_string(README).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README has a place for the table");
    let (written, after) = rest.split_once(END).expect("the table has an end");
    if std::env::var_os("UPDATE_REPLAY").is_some() {
        fs::write(README, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, table, "run this test with UPDATE_REPLAY=1");
    }
}
