//! Recorded time: the cluster's clock, and the sleeping of its processes, which go by that clock as well.

use std::{
    collections::{HashMap, HashSet},
    fs,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use wm_local::Clock;

use super::observer::Observer;

const QUANTUM: u64 = 100;
/// How long, in real time, processes may take to come to rest: to sleep or to end.
const REST: Duration = Duration::from_secs(2);

pub(super) struct Pace {
    clock: Clock,
    directory: TempDir,
    now: u64,
    /// When the sleepers in the directory wake.
    sleepers: HashMap<PathBuf, u64>,
    /// The versions of pods that were found busy for too long: they are not waited for until they change.
    given_up: HashSet<String>,
}

impl Pace {
    pub(super) fn new(clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { clock, directory, now: 0, sleepers: HashMap::new(), given_up: HashSet::new() }
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Whether a script has to be another one here.
    pub(super) fn concerns(script: &str) -> bool {
        script.contains("sleep") || script.contains("tail /dev/zero;")
    }

    /// A script that sleeps by the cluster's clock: it waits for a FIFO that is opened when its time has come.
    pub(super) fn script(&self, script: &str) -> String {
        let directory = self.directory.path().display();
        // Two of four dollars are left to the shell. Nothing limits the memory here: what the kernel did to this program, it does to itself.
        let script = script.replace("tail /dev/zero;", "sh -c 'kill -9 $$$$';");
        format!(
            "sleep() {{ f=$(mktemp -u {directory}/$HOSTNAME,$1,XXXXXXXX); mkfifo $f; cat $f; }}; {}",
            script.replace("exec sleep", "sleep")
        )
    }

    /// Goes on by one quantum or to the next sleeper's end, but not beyond `target`.
    pub(super) async fn step(&mut self, target: u64, observer: &Observer) {
        self.settle(observer).await;
        let wake = self.sleepers.values().copied().min().unwrap_or(u64::MAX);
        let next = target.min(self.now + QUANTUM).min(wake.max(self.now));
        self.clock.advance(Duration::from_millis(next - self.now)).await;
        self.now = next;
        let due: Vec<PathBuf> =
            self.sleepers.iter().filter(|(_, end)| **end <= next).map(|(path, _)| path.clone()).collect();
        for path in due {
            self.sleepers.remove(&path);
            wake_up(&path).await;
        }
        self.settle(observer).await;
    }

    /// Waits until all processes sleep or have ended.
    pub(super) async fn settle(&mut self, observer: &Observer) {
        let begin = Instant::now();
        let mut at_rest = 0;
        while at_rest < 3 && begin.elapsed() < REST {
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.register();
            at_rest = if self.busy(observer).is_empty() { at_rest + 1 } else { 0 };
        }
        if begin.elapsed() >= REST {
            let busy = self.busy(observer);
            self.given_up.extend(busy);
        }
    }

    fn register(&mut self) {
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            let path = entry.unwrap().path();
            let seconds: f64 = part(&path, 1).parse().unwrap();
            let end = self.now + u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap();
            self.sleepers.entry(path).or_insert(end);
        }
    }

    /// The versions of the pods that neither sleep nor have ended.
    fn busy(&self, observer: &Observer) -> Vec<String> {
        let mut sleeping: HashMap<&str, usize> = HashMap::new();
        for path in self.sleepers.keys() {
            *sleeping.entry(part(path, 0)).or_default() += 1;
        }
        let is_busy = |pod: &Value| {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let states: Vec<&Value> = ["initContainerStatuses", "containerStatuses"]
                .into_iter()
                .flat_map(|field| pod["status"][field].as_array().into_iter().flatten())
                .map(|status| &status["state"])
                .collect();
            let running = states.iter().filter(|state| state["running"].is_object()).count();
            let starts = states.is_empty()
                || running == 0
                    && states.iter().any(|state| state["waiting"]["reason"] == "ContainerCreating");
            let is_open = matches!(pod["status"]["phase"].as_str(), Some("Pending" | "Running"));
            is_open && (starts || running > sleeping.get(name).copied().unwrap_or_default())
        };
        let version = |pod: &Value| {
            let text = |member: &str| pod["metadata"][member].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("uid"), text("resourceVersion"))
        };
        let busy = observer.pods(|pod| is_busy(pod).then(|| version(pod)));
        busy.into_iter().filter(|version| !self.given_up.contains(version)).collect()
    }
}

fn part(path: &Path, index: usize) -> &str {
    path.file_name().unwrap().to_str().unwrap().split(',').nth(index).unwrap()
}

/// Opens a FIFO, which ends the reading of its sleeper. One that has been killed meanwhile leaves it behind.
async fn wake_up(path: &Path) {
    const NONBLOCK: i32 = 0o4000;
    for _ in 0..20 {
        if fs::OpenOptions::new().write(true).custom_flags(NONBLOCK).open(path).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    fs::remove_file(path).ok();
}
