//! Many Jobs, of which none is lost and nothing is left behind.

use std::{collections::HashSet, fs, time::Instant};

use http::StatusCode;
use serde_json::json;

use crate::client::{JOBS, Served, has_condition, job};

/// How many run at the same time.
const WIDTH: usize = 100;

#[tokio::test]
async fn of_three_hundred_jobs_none_is_lost_and_nothing_is_left() {
    run(300).await;
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn of_ten_thousand_jobs_none_is_lost_and_memory_stays_small() {
    run(10_000).await;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap();
    assert!(kilobytes < 300_000, "{kilobytes} kB");
}

#[tokio::test]
async fn the_first_job_is_accepted_soon_after_the_start() {
    let begin = Instant::now();
    let served = Served::start().await;
    served.job("first", "true").await;
    #[expect(clippy::print_stderr, reason = "a measure, which no test asserts")]
    {
        eprintln!("from start to the first Job accepted: {:?}", begin.elapsed());
    }
    served.cluster.shutdown().await;
}

async fn run(count: usize) {
    let served = Served::start().await;
    let (files, children) = (open_files(), children());
    let mut watch = served.watch(&format!("{JOBS}?watch=true")).await;
    let mut begun = 0;
    let mut complete: HashSet<String> = HashSet::new();
    while complete.len() < count {
        while begun < count && begun - complete.len() < WIDTH {
            let mut job = job(&format!("many-{begun}"), "true");
            job["spec"]["template"]["spec"]["containers"][0]["command"] = json!(["true"]);
            assert_eq!(served.post(JOBS, &job).await.status, StatusCode::CREATED);
            begun += 1;
        }
        let event = watch.next().await.expect("the watch goes on");
        assert_ne!(event["type"], "ERROR", "{event}");
        assert!(!has_condition(&event["object"], "Failed"), "{event}");
        if has_condition(&event["object"], "Complete") {
            complete.insert(event["object"]["metadata"]["name"].as_str().unwrap().to_owned());
        }
    }
    served.delete(&format!("{JOBS}?propagationPolicy=Background")).await;
    while !served.get(&crate::client::PODS.replace("/pods", "/pods?limit=1")).await.json()["items"]
        .as_array()
        .unwrap()
        .is_empty()
    {
        tokio::task::yield_now().await;
    }
    drop(watch);
    // Within a while all is closed, but for what other tests of this process have open.
    let begin = Instant::now();
    let is_left = || open_files() >= files + WIDTH / 4 || self::children() >= children + WIDTH / 4;
    while is_left() && begin.elapsed().as_secs() < 30 {
        tokio::task::yield_now().await;
    }
    assert!(!is_left(), "{} files, {files} before; {} children", open_files(), self::children());
    served.cluster.shutdown().await;
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The processes that this one has started and that are still there.
fn children() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .map(|children| children.split_whitespace().count())
        .sum()
}
