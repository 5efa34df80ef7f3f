//! The controller against pods whose ends are made up, in paused time: delays are those of a real cluster.

use serde_json::json;
use tokio::{task::JoinSet, time::Instant};

use super::*;
use crate::store::Subscription;

/// The store, the Job controller, and nobody who runs pods.
struct Cluster {
    store: Store,
    events: Subscription,
    began: Instant,
    _tasks: JoinSet<()>,
}

impl Cluster {
    fn start() -> Self {
        let clock = Clock::following_tokio();
        let store = Store::new(clock.clone(), 0);
        let events = store.subscribe();
        let recorder = Recorder::new(store.clone(), clock.clone());
        let options = ControllerOptions { job_sync_delay: Duration::from_secs(1), ..Default::default() };
        let mut tasks = JoinSet::new();
        tasks.spawn(
            JobController::new(
                store.clone(),
                recorder,
                clock.clone(),
                options,
                Faults::new(0, clock, &[]),
                Policy::new(store.clone()),
            )
            .run(),
        );
        Self { store, events, began: Instant::now(), _tasks: tasks }
    }

    fn with_account() -> Self {
        let cluster = Self::start();
        cluster.create_account();
        cluster
    }

    fn create_account(&self) {
        let account = json!({"metadata": {"name": "default"}});
        self.store.create(Kind::ServiceAccount, "default", account).unwrap();
    }

    fn create_job(&self, spec: &Value) -> Key {
        let mut job = json!({"metadata": {"name": "j"}, "spec": spec, "status": {}});
        job["spec"]["template"]["spec"]["containers"] = json!([{"name": "main"}]);
        self.store.create(Kind::Job, "default", job).unwrap();
        Key::new(Kind::Job, "default", "j")
    }

    async fn next<T: Send>(&mut self, mut find: impl FnMut(&StoreEvent) -> Option<T> + Send) -> T {
        loop {
            if let Some(found) = find(&self.events.next().await.unwrap()) {
                return found;
            }
        }
    }

    /// The next pod that is created, and how many seconds after the start it is.
    async fn next_pod(&mut self) -> (Key, u64) {
        let is_new = |event: &StoreEvent| {
            (event.key.kind == Kind::Pod && event.change == Change::Added).then(|| event.key.clone())
        };
        (self.next(is_new).await, self.began.elapsed().as_secs())
    }

    /// Each status of the Job as it is written, until it is finished.
    async fn statuses(&mut self) -> Vec<Value> {
        let mut statuses = Vec::new();
        loop {
            let job = self.next(|event| (event.key.kind == Kind::Job).then(|| event.object())).await;
            statuses.push(job["status"].clone());
            if is_finished(&job) {
                return statuses;
            }
        }
    }

    fn end(&self, pod: &Key, exit_code: i64) {
        self.set_pod(pod, |pod| {
            let now = pod["metadata"]["creationTimestamp"].clone();
            let terminated = json!({"exitCode": exit_code, "finishedAt": now});
            pod["status"]["phase"] = if exit_code == 0 { "Succeeded" } else { "Failed" }.into();
            pod["status"]["containerStatuses"] =
                json!([{"name": "main", "state": {"terminated": terminated}}]);
        });
    }

    fn set_pod(&self, pod: &Key, change: impl FnOnce(&mut Value)) {
        let changed = self.store.update(pod, |pod| {
            change(pod);
            Ok(())
        });
        changed.unwrap();
    }

    fn events(&self, reason: &str) -> Vec<(String, u64)> {
        let (events, _) = self.store.list(Kind::Event, None);
        let about = events.iter().filter(|event| event["reason"] == reason);
        about
            .map(|event| (event["message"].as_str().unwrap().to_owned(), event["count"].as_u64().unwrap()))
            .collect()
    }
}

/// A status without what differs from run to run: the types of the conditions, their times and the uids.
fn outline(status: &Value) -> Value {
    let mut status = status.clone();
    for field in ["startTime", "completionTime"] {
        if status.get(field).is_some() {
            status[field] = "T".into();
        }
    }
    for condition in status["conditions"].as_array_mut().into_iter().flatten() {
        *condition = condition["type"].clone();
    }
    if status["conditions"].is_null() {
        status.as_object_mut().unwrap().remove("conditions");
    }
    for uids in status["uncountedTerminatedPods"].as_object_mut().into_iter().flat_map(|all| all.values_mut())
    {
        *uids = uids.as_array().unwrap().len().into();
    }
    status
}

fn outlines(statuses: &[Value]) -> Vec<Value> {
    statuses.iter().map(outline).collect()
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_written_in_the_recorded_steps() {
    let mut cluster = Cluster::with_account();
    cluster.create_job(&json!({"backoffLimit": 0}));
    let (pod, _) = cluster.next_pod().await;
    cluster.end(&pod, 3);
    let statuses = cluster.statuses().await;
    let recorded = [
        json!({"startTime": "T", "active": 1, "terminating": 0, "uncountedTerminatedPods": {}, "ready": 0}),
        json!({"conditions": ["FailureTarget"], "startTime": "T", "terminating": 0,
               "uncountedTerminatedPods": {"failed": 1}, "ready": 0}),
        json!({"conditions": ["FailureTarget", "Failed"], "startTime": "T", "failed": 1, "terminating": 0,
               "uncountedTerminatedPods": {}, "ready": 0}),
    ];
    assert_eq!(outlines(&statuses), recorded);
    assert_eq!(cluster.began.elapsed().as_secs(), 1, "changes of pods are gathered for the delay");
}

#[tokio::test(start_paused = true)]
async fn a_success_is_written_in_the_recorded_steps() {
    let mut cluster = Cluster::with_account();
    cluster.create_job(&json!({"backoffLimit": 0, "completions": 1}));
    let (pod, _) = cluster.next_pod().await;
    cluster.end(&pod, 0);
    let statuses = cluster.statuses().await;
    let recorded = [
        json!({"startTime": "T", "active": 1, "terminating": 0, "uncountedTerminatedPods": {}, "ready": 0}),
        json!({"conditions": ["SuccessCriteriaMet"], "startTime": "T", "terminating": 0,
               "uncountedTerminatedPods": {"succeeded": 1}, "ready": 0}),
        json!({"conditions": ["SuccessCriteriaMet", "Complete"], "startTime": "T", "completionTime": "T",
               "succeeded": 1, "terminating": 0, "uncountedTerminatedPods": {}, "ready": 0}),
    ];
    assert_eq!(outlines(&statuses), recorded);
}

#[tokio::test(start_paused = true)]
async fn each_failure_doubles_the_wait_for_the_next_pod() {
    let mut cluster = Cluster::with_account();
    cluster.create_job(&json!({"backoffLimit": 3}));
    let mut created = Vec::new();
    for _ in 0..4 {
        let (pod, _) = cluster.next_pod().await;
        created.push(Instant::now());
        let now = jiff::Timestamp::now();
        let finished = now.checked_add(cluster.began.elapsed()).unwrap();
        cluster.set_pod(&pod, |pod| {
            let terminated = json!({"exitCode": 1, "finishedAt": finished.to_string()});
            pod["status"]["phase"] = "Failed".into();
            pod["status"]["containerStatuses"] =
                json!([{"name": "main", "state": {"terminated": terminated}}]);
        });
    }
    let waits: Vec<_> = created.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64().round()).collect();
    assert_eq!(waits, [10.0, 20.0, 40.0]);
    let statuses = cluster.statuses().await;
    assert_eq!(statuses.last().unwrap()["failed"], 4);
}

#[tokio::test(start_paused = true)]
async fn a_missing_service_account_is_told_and_tried_again() {
    let mut cluster = Cluster::start();
    cluster.create_job(&json!({"backoffLimit": 0}));
    let is_third = |event: &StoreEvent| (event.object()["count"] == 3).then_some(());
    cluster.next(is_third).await;
    assert_eq!(cluster.began.elapsed().as_secs(), 3, "at once, after 1 s, after 2 s more");
    let message = "Error creating: pods \"j-\" is forbidden: error looking up service account default/default: \
                   serviceaccount \"default\" not found";
    assert_eq!(cluster.events("FailedCreate"), [(message.to_owned(), 3)]);
    let job = cluster.store.get(&Key::new(Kind::Job, "default", "j")).unwrap();
    assert_eq!(job["status"].get("active"), None);
    cluster.create_account();
    let (_, at) = cluster.next_pod().await;
    assert_eq!(at, 7);
}

#[tokio::test(start_paused = true)]
async fn a_failure_policy_fails_the_job_in_its_own_words() {
    let mut cluster = Cluster::with_account();
    let rules = json!([{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]);
    cluster.create_job(&json!({"backoffLimit": 6, "podFailurePolicy": {"rules": rules}}));
    let (pod, _) = cluster.next_pod().await;
    cluster.end(&pod, 42);
    let status = cluster.statuses().await.pop().unwrap();
    let message = format!(
        "Container main for pod default/{} failed with exit code 42 matching FailJob rule at index 0",
        pod.name
    );
    assert_eq!(status["conditions"][1]["reason"], "PodFailurePolicy");
    assert_eq!(status["conditions"][1]["message"], message);
    assert_eq!(cluster.events("PodFailurePolicy"), [(message, 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_ignored_failure_is_replaced_and_not_counted() {
    let mut cluster = Cluster::with_account();
    let rules =
        json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]);
    cluster.create_job(&json!({"backoffLimit": 0, "completions": 1, "podFailurePolicy": {"rules": rules}}));
    let (pod, _) = cluster.next_pod().await;
    cluster.set_pod(&pod, |pod| {
        pod["status"]["conditions"] = json!([{"type": "DisruptionTarget", "status": "True"}]);
    });
    cluster.end(&pod, 137);
    let (pod, _) = cluster.next_pod().await;
    cluster.end(&pod, 0);
    let status = cluster.statuses().await.pop().unwrap();
    assert_eq!((&status["succeeded"], status.get("failed")), (&json!(1), None));
}

#[tokio::test(start_paused = true)]
async fn several_completions_are_reached_within_the_parallelism() {
    let mut cluster = Cluster::with_account();
    cluster.create_job(&json!({"parallelism": 2, "completions": 3}));
    for _ in 0..3 {
        let active = cluster.store.list(Kind::Pod, None).0;
        let active = active.iter().filter(|pod| pod["status"]["phase"] == "Pending").count();
        assert!(active <= 2);
        let (pod, _) = cluster.next_pod().await;
        cluster.end(&pod, 0);
    }
    let status = cluster.statuses().await.pop().unwrap();
    assert_eq!(status["succeeded"], 3);
    assert_eq!(cluster.store.list(Kind::Pod, None).0.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_somebody_deletes_counts_as_failed_and_the_job_waits_for_its_end() {
    let mut cluster = Cluster::with_account();
    cluster.create_job(&json!({"backoffLimit": 0}));
    let (pod, _) = cluster.next_pod().await;
    cluster.set_pod(&pod, |pod| pod["spec"]["nodeName"] = "local".into());
    cluster.store.delete(&pod, &DeleteOptions::default()).unwrap();
    let target = |event: &StoreEvent| {
        let is_meant = event.key.kind == Kind::Job && event.object()["status"]["failed"] == 1;
        is_meant.then(|| event.object()["status"].clone())
    };
    let status = cluster.next(target).await;
    assert_eq!(outline(&status)["conditions"], json!(["FailureTarget"]));
    assert_eq!(status["terminating"], 1);
    cluster.store.remove(&pod);
    let status = cluster.statuses().await.pop().unwrap();
    assert_eq!(outline(&status)["conditions"], json!(["FailureTarget", "Failed"]));
}

#[tokio::test(start_paused = true)]
async fn restarts_in_place_count_against_the_limit() {
    let mut cluster = Cluster::with_account();
    cluster.create_job(&json!({"backoffLimit": 2, "template": {"spec": {"restartPolicy": "OnFailure"}}}));
    let (pod, _) = cluster.next_pod().await;
    cluster.set_pod(&pod, |pod| {
        pod["status"]["phase"] = "Running".into();
        pod["status"]["containerStatuses"] = json!([{"name": "main", "restartCount": 2, "state": {}}]);
    });
    let status = cluster.statuses().await.pop().unwrap();
    assert_eq!(status["conditions"][1]["reason"], "BackoffLimitExceeded");
    assert_eq!(cluster.events("SuccessfulDelete").len(), 1);
    assert_eq!(cluster.store.get(&pod), None, "it is deleted, with its log");
}

#[tokio::test(start_paused = true)]
async fn a_removed_job_lets_its_pods_go() {
    let mut cluster = Cluster::with_account();
    let job = cluster.create_job(&json!({"backoffLimit": 0}));
    let (pod, _) = cluster.next_pod().await;
    cluster.store.remove(&job);
    let is_released = |event: &StoreEvent| {
        (event.key == pod && event.object()["metadata"].get("finalizers").is_none()).then_some(())
    };
    cluster.next(is_released).await;
}
