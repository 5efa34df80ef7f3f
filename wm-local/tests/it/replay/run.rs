//! One scenario, played against a cluster of its own.

mod exchange;
mod request;
mod staging;
mod watch;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use wm_local::{Clock, ClusterOptions};

use self::watch::Told;
use super::{
    claims::{self, Claim},
    names::Names,
    observer::Observer,
    pace::Pace,
    recording::Recording,
    stage::{StageHand, stage_of, tokens_of},
    story::state,
};
use crate::client::{Answer, Served};

/// How much longer than a real cluster this one may take for something, in its own time.
const SLACK: u64 = 12_000;

pub(super) struct Run {
    claim: Claim,
    compared: usize,
    served: Arc<Served>,
    observer: Observer,
    pace: Pace,
    names: Names,
    /// Scripts as they are run, and as they are written.
    scripts: HashMap<String, String>,
    scripts_write_to_both: bool,
    staged: HashSet<String>,
    /// How many events of the observer the names are learnt from.
    learnt: usize,
    /// The recorded states of objects, and when they were told.
    states: Vec<(u64, String)>,
    /// The states that objects of the cluster were in, of how many events and under how many names.
    reached: ((usize, usize), HashSet<String>),
    stage: VecDeque<StageHand>,
    tokens: HashMap<String, String>,
    differences: Vec<String>,
    watching: JoinSet<()>,
    _elsewhere: TempDir,
}

impl Run {
    pub(super) async fn new(recording: &Recording) -> Self {
        let mut options = ClusterOptions::default();
        options.clock = Clock::driven(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_471_700));
        options.job_sync_delay = Duration::from_secs(1);
        options.namespaces = vec![recording.scenario.clone(), "default".to_owned()];
        let served = Served::start_with(options).await;
        let observer = Observer::start(&served, &recording.scenario).await;
        let tokens = tokens_of(&recording.scenario, &served.cluster);
        let pace = Pace::new(served.cluster.clock().clone());
        let mut names = Names::default();
        // A directory that a script makes, which may be somebody else's on this machine.
        let elsewhere = tempfile::tempdir().unwrap();
        let directory = elsewhere.path().to_str().unwrap();
        names.learn("mkdir -p /tmp/x;", &format!("mkdir -p {directory}/x;"));
        names.learn("/tmp/x/why", &format!("{directory}/x/why"));
        // What the policies of a cluster are called is up to its operator.
        names.learn("'recorded-team'", "'fault'");
        for event in recording.watches.iter().flat_map(|watch| &watch.events) {
            names.foresee(&event.event["object"]);
        }
        for exchange in &recording.exchanges {
            names.foresee(&exchange.response_body);
        }
        for exchange in &recording.exchanges {
            names.foresee_path(&exchange.path);
        }
        Self {
            claim: claims::of(&recording.scenario),
            compared: 0,
            served: Arc::new(served),
            observer,
            pace,
            names,
            scripts: HashMap::new(),
            scripts_write_to_both: recording.writes_to_both_streams(),
            staged: HashSet::new(),
            learnt: 0,
            states: states_of(recording),
            reached: ((0, 0), HashSet::new()),
            stage: stage_of(&recording.scenario).into(),
            tokens,
            differences: Vec::new(),
            watching: JoinSet::new(),
            _elsewhere: elsewhere,
        }
    }

    /// Plays it, and returns how many exchanges and events were compared, and where it went another way.
    pub(super) async fn play(mut self, recording: &Recording) -> (usize, usize, Vec<String>) {
        for exchange in &recording.exchanges {
            if exchange.method == "POST" && exchange.status == 201 {
                self.staged.insert(key(&exchange.response_body));
            }
        }
        let mut told: Vec<Option<Told>> = recording.watches.iter().map(|_| None).collect();
        let mut pending: Vec<(usize, JoinHandle<Answer>)> = Vec::new();
        for (index, exchange) in recording.exchanges.iter().enumerate() {
            self.reach(recording, exchange.at_ms, &mut told).await;
            self.stage_listed(recording, exchange).await;
            self.learn(recording);
            if !self.claim.includes(index) {
                if exchange.method != "GET" {
                    let answer = self.send(exchange).await;
                    self.pair(exchange, &answer);
                }
                continue;
            }
            self.compared += 1;
            let is_long = exchange.took_ms >= 900;
            if is_long {
                let sent = self.send(exchange);
                pending.push((index, tokio::spawn(sent)));
                self.pace.settle(&self.observer).await;
                continue;
            }
            self.exchange(index, exchange).await;
        }
        let end = recording.watches.iter().flat_map(|watch| &watch.events).map(|event| event.at_ms).max();
        self.reach(recording, end.unwrap_or_default() + 1, &mut told).await;
        for (index, sent) in pending {
            let exchange = &recording.exchanges[index];
            let limit = self.pace.now().max(exchange.at_ms + exchange.took_ms) + SLACK;
            while !sent.is_finished() && self.pace.now() < limit {
                self.pace.step(limit, &self.observer).await;
            }
            if sent.is_finished() {
                let answer = sent.await.unwrap();
                let found = self.compare(exchange, &answer);
                self.report(index, exchange, found);
            } else {
                self.report(index, exchange, vec!["it has not ended".to_owned()]);
            }
        }
        self.pace.settle(&self.observer).await;
        self.learn(recording);
        let mut events = 0;
        for (watch, told) in recording.watches.iter().zip(&told) {
            let Some(told) = told else { continue };
            let told = told.lock().unwrap().clone();
            if self.claim.includes_watches() {
                events += watch.events.len();
                self.compare_watch(watch, &told, recording);
            }
        }
        (self.compared, events, self.differences)
    }

    /// Lets time pass until all has happened that was recorded before `at`.
    async fn reach(&mut self, recording: &Recording, at: u64, told: &mut [Option<Told>]) {
        loop {
            self.learn(recording);
            let now_due = recording.watches.iter().enumerate();
            for (index, watch) in now_due.filter(|(_, watch)| watch.at_ms <= at) {
                if told[index].is_none() {
                    told[index] = Some(self.watch(watch).await);
                }
            }
            self.stage(recording, at).await;
            while let Some(hand) = self.stage.pop_front_if(|hand| hand.at_ms < at) {
                self.reach_states(recording, hand.at_ms).await;
                self.act(&hand.act).await;
            }
            let missing = self.missing(at);
            if missing.is_empty() {
                return;
            }
            if self.pace.now() >= at + SLACK && !self.claim.includes_watches() {
                return;
            }
            if self.pace.now() >= at + SLACK {
                let sequence = missing.into_iter().take(3).collect::<Vec<_>>().join("; ");
                self.differences.push(format!("by {at} ms there should have been {sequence}"));
                return;
            }
            self.pace.step(at + SLACK, &self.observer).await;
        }
    }

    async fn reach_states(&mut self, recording: &Recording, at: u64) {
        while !self.missing(at).is_empty() && self.pace.now() < at + SLACK {
            self.pace.step(at + SLACK, &self.observer).await;
            self.learn(recording);
        }
    }

    /// The recorded states before `at` that no object of the cluster has been in.
    fn missing(&mut self, at: u64) -> Vec<String> {
        let known = (self.observer.count(), self.names.count());
        if self.reached.0 != known {
            let states = self.observer.states();
            let mut reached: HashSet<String> =
                states.iter().map(|state| self.names.to_recorded(state)).collect();
            // What ends at once may never have been seen running.
            for ended in ["Succeeded", "Failed"] {
                let ran = reached.iter().filter(|state| state.contains(&format!("[\"{ended}\"")));
                let ran: Vec<String> = ran.map(|state| state.replace(ended, "Running")).collect();
                reached.extend(ran);
            }
            self.reached = (known, reached);
        }
        let before = self.states.iter().filter(|(recorded, _)| recorded + 5 < at);
        let missing = before.filter(|(_, state)| !self.reached.1.contains(state));
        missing.map(|(_, state)| state.clone()).collect()
    }

    fn learn(&mut self, recording: &Recording) {
        if std::mem::replace(&mut self.learnt, self.observer.count()) == self.observer.count() {
            return;
        }
        let recorded: Vec<&Value> =
            recording.watches.iter().flat_map(|watch| &watch.events).map(|event| &event.event).collect();
        // Twice, as names of pods follow from those of Jobs.
        for _ in 0..2 {
            self.names.observe(&self.observer.events(), &recorded);
        }
    }
}

/// The states of objects, and when they were told.
fn states_of(recording: &Recording) -> Vec<(u64, String)> {
    let events = recording.watches.iter().flat_map(|watch| &watch.events);
    let states = events.filter(|event| event.event["object"]["kind"] != "Event");
    let states = states.filter_map(|event| {
        let (object, state) = state(&event.event)?;
        Some((event.at_ms, format!("{object} {state}")))
    });
    states.collect()
}

fn key(object: &Value) -> String {
    format!(
        "{} {}",
        object["kind"].as_str().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default()
    )
}
