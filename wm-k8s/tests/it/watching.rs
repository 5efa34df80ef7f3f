//! One list and one watch a kind for all runs, whatever becomes of the connections. The time is paused here: hours pass
//! while nothing else happens.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::{Instant, sleep};
use wm_core::{Phase, StatusStream, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, KubernetesWorkloadManager};

use crate::{
    puppet::{Life, Puppet},
    stage::{NoImages, reach, request, run_id, script, states},
    wire::{Call, Fault, Wire},
};

/// A manager whose cluster is a puppet.
struct Theatre {
    puppet: Puppet,
    wire: Wire,
    manager: KubernetesWorkloadManager,
}

impl Theatre {
    async fn new() -> Self {
        let puppet = Puppet::new();
        let wire = Wire::new(puppet.client());
        let settings = KubernetesSettings::new("default", "default");
        let manager =
            KubernetesWorkloadManager::new(wire.client(), settings, Arc::new(NoImages)).await.unwrap();
        Self { puppet, wire, manager }
    }

    /// Starts a run, and follows it once it runs.
    async fn run(&self, workload: &str) -> StatusStream {
        let run = self.manager.submit(&request(script(workload, ""))).await.unwrap().run;
        let stream = self.manager.watch(&run).await.unwrap();
        self.puppet.set(&format!("runner-{workload}-1"), Life::Running, true);
        reach(&self.manager, &run, Phase::Running).await;
        stream
    }

    fn end(&self, workload: &str, is_heard: bool) {
        self.puppet.set(&format!("runner-{workload}-1"), Life::Ended, is_heard);
    }

    /// The lists and watches of Jobs and of Pods, but for those of one workload, which submitting the first run takes.
    fn counts(&self) -> [usize; 4] {
        let calls = self.wire.calls();
        let shared = |verb: &str, resource: &str| {
            let is_one = |call: &&Call| call.verb == verb && call.resource == resource;
            calls.iter().filter(is_one).filter(|call| !call.target.contains("alias.workload-manager")).count()
        };
        [shared("list", "jobs"), shared("watch", "jobs"), shared("list", "pods"), shared("watch", "pods")]
    }
}

/// Follows a run to its end, and tells how long that took.
async fn succeeds(stream: StatusStream) -> Duration {
    let began = Instant::now();
    assert_eq!(states(stream).await.pop().unwrap().phase, Phase::Succeeded);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_runs_take_one_list_and_one_watch_a_kind() {
    let theatre = Theatre::new().await;
    let names: Vec<_> = (0..300).map(|number| format!("many-{number}")).collect();
    let mut followers = Vec::new();
    for name in &names {
        followers.push(theatre.run(name).await);
    }
    for name in &names {
        theatre.end(name, true);
    }
    join_all(followers.into_iter().map(succeeds)).await;
    assert_eq!(theatre.counts(), [1, 1, 1, 1]);
    assert_eq!(theatre.wire.count("get", "jobs"), 0, "nothing is asked for one run");
}

#[tokio::test(start_paused = true)]
async fn a_quiet_hour_takes_few_requests() {
    let theatre = Theatre::new().await;
    let follower = theatre.run("quiet").await;
    sleep(Duration::from_hours(1)).await;
    let [lists, watches, ..] = theatre.counts();
    assert!(lists <= 13 && watches <= 81, "{lists} lists, {watches} watches");
    theatre.end("quiet", true);
    succeeds(follower).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_run_is_seen_although_the_watches_died_without_a_word() {
    let theatre = Theatre::new().await;
    let follower = theatre.run("silent").await;
    theatre.puppet.silence();
    theatre.end("silent", true);
    let took = succeeds(follower).await;
    assert!(took < Duration::from_secs(90), "it took {took:?}");
    let [lists, ..] = theatre.counts();
    assert_eq!(lists, 1, "it is taken up where it was");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_never_answered_is_given_up() {
    let theatre = Theatre::new().await;
    theatre.wire.fail("watch", "jobs", 1, Fault::Nothing);
    theatre.wire.fail("watch", "pods", 1, Fault::Nothing);
    let run = theatre.manager.submit(&request(script("unanswered", ""))).await.unwrap().run;
    let follower = theatre.manager.watch(&run).await.unwrap();
    theatre.end("unanswered", true);
    let took = succeeds(follower).await;
    assert!(took < Duration::from_secs(30), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_expired_version_is_listed_anew() {
    let theatre = Theatre::new().await;
    let follower = theatre.run("expired").await;
    // The event is among those that are not told any more.
    theatre.end("expired", false);
    theatre.puppet.expire();
    let took = succeeds(follower).await;
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    // Either kind tells the end; the other is listed anew a moment later.
    let [jobs, _, pods, _] = theatre.counts();
    assert_eq!(jobs.max(pods), 2);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_lost_is_found_by_listing_again() {
    let theatre = Theatre::new().await;
    let follower = theatre.run("lost").await;
    theatre.end("lost", false);
    let took = succeeds(follower).await;
    assert!(took < Duration::from_mins(6), "it took {took:?}");
    assert_eq!(theatre.counts()[0], 2);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_away_for_minutes_is_asked_with_care_and_then_followed() {
    let theatre = Theatre::new().await;
    let follower = theatre.run("away").await;
    let before: usize = theatre.counts().iter().sum();
    theatre.puppet.be_away(true);
    sleep(Duration::from_mins(10)).await;
    let calls = theatre.counts().iter().sum::<usize>() - before;
    assert!((20..400).contains(&calls), "{calls} calls in ten minutes");
    theatre.end("away", true);
    theatre.puppet.be_away(false);
    let took = succeeds(follower).await;
    assert!(took < Duration::from_secs(20), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_a_time_is_kept() {
    let busy = |seconds| Fault::Answer {
        code: 429,
        retry_after: Some(seconds),
        body: "Too many requests, please try again later.".to_owned(),
    };
    let theatre = Theatre::new().await;
    let run = theatre.manager.submit(&request(script("busy", ""))).await.unwrap().run;
    for (verb, resource) in [("list", "jobs"), ("watch", "jobs"), ("list", "pods"), ("watch", "pods")] {
        theatre.wire.fail(verb, resource, 1, busy(20));
    }
    let began = Instant::now();
    let follower = theatre.manager.watch(&run).await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(20), "it is not listed before");
    assert_eq!(theatre.counts(), [2, 1, 2, 1]);
    theatre.end("busy", true);
    let took = succeeds(follower).await;
    assert!(took >= Duration::from_secs(20), "it is not watched before, but after {took:?}");
    assert_eq!(theatre.counts(), [2, 2, 2, 2]);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_refused_for_a_time_end_nothing() {
    let theatre = Theatre::new().await;
    let follower = theatre.run("expiring").await;
    for (verb, resource) in [("watch", "jobs"), ("watch", "pods")] {
        theatre.wire.fail(verb, resource, 10, Fault::status(401, "Unauthorized", "Unauthorized"));
    }
    theatre.puppet.silence();
    theatre.end("expiring", true);
    let took = succeeds(follower).await;
    assert!(took < Duration::from_mins(3), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn where_the_watch_is_refused_one_list_an_interval_does_for_all() {
    let theatre = Theatre::new().await;
    for (verb, resource) in [("watch", "jobs"), ("watch", "pods")] {
        theatre.wire.fail(
            verb,
            resource,
            1,
            Fault::status(403, "Forbidden", "jobs.batch is forbidden: cannot watch"),
        );
    }
    let names: Vec<_> = (0..50).map(|number| format!("polled-{number}")).collect();
    let mut followers = Vec::new();
    for name in &names {
        followers.push(theatre.run(name).await);
    }
    let before = theatre.counts();
    sleep(Duration::from_mins(1)).await;
    let [lists, watches, ..] = theatre.counts();
    assert!(lists - before[0] <= 21, "{lists} lists");
    assert_eq!(watches, 1);
    for name in &names {
        theatre.end(name, false);
    }
    let took = join_all(followers.into_iter().map(succeeds)).await.into_iter().max().unwrap();
    assert!(took <= Duration::from_secs(4), "it took {took:?}");
    assert_eq!(theatre.wire.count("get", "jobs"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_lacks_a_run_does_not_end_it() {
    let theatre = Theatre::new().await;
    // It is submitted before anything is listed, and the list is older.
    let run = theatre.manager.submit(&request(script("young", ""))).await.unwrap().run;
    let empty = r#"{"metadata":{"resourceVersion":"100"},"items":[]}"#;
    theatre.wire.fail(
        "list",
        "jobs",
        1,
        Fault::Answer { code: 200, retry_after: None, body: empty.to_owned() },
    );
    let follower = theatre.manager.watch(&run).await.unwrap();
    theatre.end("young", true);
    succeeds(follower).await;
    assert_eq!(theatre.manager.status(&run_id("young", 1)).await.unwrap().phase, Phase::Succeeded);
}
