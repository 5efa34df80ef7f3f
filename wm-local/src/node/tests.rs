//! Jobs from their creation to their end, as processes.

mod containers;
mod volumes;

use std::time::Duration;

use futures::TryStreamExt as _;
use serde_json::{Value, json};

use super::*;
use crate::store::{Change, DeleteOptions, Kind, Propagation, StoreEvent, Subscription, meta};

/// A cluster without an API: the store, the controllers and the node.
struct Cluster {
    store: Store,
    node: Node,
    directory: tempfile::TempDir,
    events: Subscription,
}

impl Cluster {
    fn start() -> Self {
        let store = Store::new(Clock::default(), 0);
        let account = json!({"metadata": {"name": "default"}});
        store.create(Kind::ServiceAccount, "default", account).unwrap();
        crate::api::populate(&store, &NodeOptions::default(), &[], &[]).unwrap();
        let events = store.subscribe();
        let directory = tempfile::tempdir().unwrap();
        let moment = Duration::from_millis(10);
        let options = ControllerOptions { job_sync_delay: moment, job_backoff: moment };
        let setup = NodeSetup {
            directory: directory.path().to_owned(),
            image_backoff: moment,
            ..NodeSetup::default()
        };
        let faults = Faults::new(0, Clock::default(), &[]);
        let node = Node::start(store.clone(), setup, Clock::default(), options, faults);
        Self { store, node, directory, events }
    }

    fn create_job(&self, name: &str, spec: &Value, container: &Value) {
        let mut container = container.clone();
        container["name"] = "main".into();
        container["image"] = "registry.example/busybox:1".into();
        let mut pod = json!({"restartPolicy": "Never", "containers": [container]});
        let mut job = json!({"metadata": {"name": name}, "spec": {"backoffLimit": 0}, "status": {}});
        for (field, value) in spec.as_object().unwrap() {
            match field.strip_prefix("pod.") {
                Some(field) => pod[field] = value.clone(),
                None => job["spec"][field] = value.clone(),
            }
        }
        job["spec"]["template"]["spec"] = pod;
        self.store.create(Kind::Job, "default", job).unwrap();
    }

    fn run(&self, name: &str, script: &str) {
        self.create_job(name, &json!({}), &json!({"command": ["sh", "-c", script]}));
    }

    /// Waits for the first event that `find` takes something from.
    async fn wait_for<T: Send>(&mut self, mut find: impl FnMut(&StoreEvent) -> Option<T> + Send) -> T {
        let waiting = async {
            loop {
                let event = self.events.next().await.unwrap();
                if let Some(found) = find(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("it should have happened by now")
    }

    async fn pod_that(&mut self, is_meant: impl Fn(&Value) -> bool + Send + Sync) -> Arc<Value> {
        self.wait_for(|event| {
            (event.key.kind == Kind::Pod && event.change != Change::Deleted && is_meant(&event.object()))
                .then(|| event.object())
        })
        .await
    }

    async fn job_that(&mut self, is_meant: impl Fn(&Value) -> bool + Send + Sync) -> Arc<Value> {
        self.wait_for(|event| {
            (event.key.kind == Kind::Job && event.change != Change::Deleted && is_meant(&event.object()))
                .then(|| event.object())
        })
        .await
    }

    async fn finished_job(&mut self) -> Arc<Value> {
        self.job_that(|job| condition(job, "Complete").or(condition(job, "Failed")).is_some()).await
    }

    async fn removed(&mut self, kind: Kind) {
        self.wait_for(|event| (event.key.kind == kind && event.change == Change::Deleted).then_some(()))
            .await;
    }

    async fn log(&self, pod: &Value, options: LogOptions) -> String {
        let chunks: Vec<_> =
            self.node.logs(meta(pod, "uid"), "main", false, options).try_collect().await.unwrap();
        String::from_utf8(chunks.concat()).unwrap()
    }

    fn told(&self, reason: &str) -> Vec<String> {
        let (events, _) = self.store.list(Kind::Event, None);
        let about = events.iter().filter(|event| event["reason"] == reason);
        about.map(|event| event["message"].as_str().unwrap().to_owned()).collect()
    }
}

fn condition<'a>(object: &'a Value, r#type: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == r#type && condition["status"] == "True")
}

fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}

fn is_running(pod: &Value) -> bool {
    state(pod)["running"].is_object()
}

fn is_terminated(pod: &Value) -> bool {
    state(pod)["terminated"].is_object()
}

const FOLLOW: LogOptions = LogOptions {
    follow: true,
    timestamps: false,
    since_time: None,
    since_seconds: None,
    tail_lines: None,
    limit_bytes: None,
};

fn background() -> DeleteOptions {
    DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() }
}

#[tokio::test]
async fn a_job_that_fails_is_followed_and_fails() {
    let mut cluster = Cluster::start();
    cluster.run("fails", "echo hello; until [ -e end ]; do sleep 0.01; done; exit 3");
    let pod = cluster.pod_that(is_running).await;
    std::fs::write(cluster.node.shared.directories.home(meta(&pod, "uid")).join("end"), "").unwrap();
    assert_eq!(cluster.log(&pod, FOLLOW).await, "hello\n");
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Failed").await;
    let terminated = &state(&pod)["terminated"];
    assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(3), &json!("Error")));
    let job = cluster.finished_job().await;
    let failed = condition(&job, "Failed").unwrap();
    assert_eq!(failed["reason"], "BackoffLimitExceeded");
    assert_eq!(failed["message"], "Job has reached the specified backoff limit");
    assert!(condition(&job, "FailureTarget").is_some());
    assert_eq!(job["status"]["failed"], 1);
    assert_eq!(job["status"]["uncountedTerminatedPods"], json!({}));
    assert_eq!(job["status"].get("completionTime"), None);
    assert_eq!(cluster.told("BackoffLimitExceeded").len(), 1);
    let pod = cluster.store.list(Kind::Pod, None).0.remove(0);
    assert_eq!(pod["metadata"].get("finalizers"), None);
    assert_eq!(cluster.log(&pod, LogOptions::default()).await, "hello\n", "the log is kept with the pod");
}

#[tokio::test]
async fn a_job_that_succeeds_is_complete() {
    let mut cluster = Cluster::start();
    cluster.run("succeeds", "true");
    let job = cluster.finished_job().await;
    assert_eq!(condition(&job, "Complete").unwrap()["reason"], "CompletionsReached");
    assert!(condition(&job, "SuccessCriteriaMet").is_some());
    assert_eq!(job["status"]["succeeded"], 1);
    assert!(job["status"]["completionTime"].is_string());
    for (reason, message) in
        [("Completed", "Job completed"), ("Created", "Container created"), ("Started", "Container started")]
    {
        assert_eq!(cluster.told(reason), [message]);
    }
    assert!(cluster.told("Scheduled")[0].ends_with(" to local"));
}

#[tokio::test]
async fn a_process_sees_its_own_environment_and_nothing_else() {
    let mut cluster = Cluster::start();
    let container = json!({
        "command": ["sh", "-c", "echo \"$0 $A|$POD|${CARGO_MANIFEST_DIR-unset}|$HOSTNAME\"; [ \"$PWD\" = \"$HOME\" ]"],
        "args": ["$(A)"],
        "env": [
            {"name": "A", "value": "one"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
    });
    cluster.create_job("environment", &json!({}), &container);
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    let name = meta(&pod, "name");
    assert_eq!(cluster.log(&pod, FOLLOW).await, format!("one one|{name}|unset|{name}\n"));
}

#[tokio::test]
async fn a_container_waits_for_its_secret_and_starts_when_it_comes() {
    let mut cluster = Cluster::start();
    let reference = json!({"secretKeyRef": {"name": "late", "key": "token"}});
    let container = json!({
        "command": ["sh", "-c", "echo \"$TOKEN\""],
        "env": [{"name": "TOKEN", "valueFrom": reference}],
    });
    cluster.create_job("waits", &json!({}), &container);
    let pod = cluster.pod_that(|pod| state(pod)["waiting"]["reason"] == "CreateContainerConfigError").await;
    assert_eq!(state(&pod)["waiting"]["message"], "secret \"late\" not found");
    let secret = json!({"metadata": {"name": "late"}, "data": {"token": "aHVzaA=="}});
    cluster.store.create(Kind::Secret, "default", secret).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(cluster.log(&pod, FOLLOW).await, "hush\n");
}

#[tokio::test]
async fn what_can_not_be_started_says_why() {
    let mut cluster = Cluster::start();
    for (container, text) in [
        (
            json!({"command": ["no-such-program"]}),
            "exec: \"no-such-program\": executable file not found in $PATH",
        ),
        (json!({}), "give the container a command"),
        (json!({"command": ["true"], "workingDir": "/no/such"}), "chdir to cwd (\"/no/such\")"),
    ] {
        cluster.create_job("refused", &json!({}), &container);
        let pod =
            cluster.pod_that(|pod| is_terminated(pod) && meta(pod, "deletionTimestamp").is_empty()).await;
        let terminated = &state(&pod)["terminated"];
        assert_eq!((&terminated["exitCode"], &terminated["reason"]), (&json!(128), &json!("StartError")));
        assert_eq!(terminated["startedAt"], "1970-01-01T00:00:00Z");
        assert!(terminated["message"].as_str().unwrap().contains(text), "{terminated}");
        assert_eq!(pod["status"]["phase"], "Failed");
        assert_eq!(cluster.log(&pod, FOLLOW).await, "");
        cluster.store.remove(&Key::new(Kind::Job, "default", "refused"));
        cluster.removed(Kind::Pod).await;
    }
    let claim = json!([{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]);
    let mount = json!({"command": ["true"], "volumeMounts": [{"name": "data", "mountPath": "/data"}]});
    cluster.create_job("mounts", &json!({"pod.volumes": claim}), &mount);
    let pod = cluster.pod_that(|pod| state(pod)["waiting"]["reason"] == "CreateContainerConfigError").await;
    assert!(state(&pod)["waiting"]["message"].as_str().unwrap().contains("can't mount volume \"data\""));
}

#[tokio::test]
async fn what_the_kernel_refuses_to_execute_fails_with_a_line_in_its_log() {
    let mut cluster = Cluster::start();
    let huge = json!([{"name": "HUGE", "value": "x".repeat(200 * 1024)}]);
    cluster.create_job("huge", &json!({}), &json!({"command": ["true"], "env": huge}));
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(state(&pod)["terminated"]["exitCode"], 1);
    assert_eq!(cluster.log(&pod, FOLLOW).await, "exec true: argument list too long\n");
}

#[tokio::test]
async fn containers_run_side_by_side_and_the_pod_to_the_end_of_the_last() {
    let mut cluster = Cluster::start();
    let container =
        |name: &str, script: &str| json!({"name": name, "image": "i", "command": ["sh", "-c", script]});
    // Neither could end if the other did not run.
    let one = container("one", "mkfifo ../there ../back; echo a > ../there; cat ../back; exit 4");
    let two = container("two", "until [ -p ../back ]; do sleep 0.01; done; cat ../there; echo b > ../back");
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [one, two], "restartPolicy": "Never"}});
    cluster.store.create(Kind::Pod, "default", pod).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Failed").await;
    let codes = pod["status"]["containerStatuses"].as_array().unwrap().iter();
    let codes: Vec<_> = codes.map(|status| &status["state"]["terminated"]["exitCode"]).collect();
    assert_eq!(codes, [4, 0]);
}

#[tokio::test]
async fn an_image_name_that_is_none_keeps_the_container_waiting() {
    let mut cluster = Cluster::start();
    let pod = json!({
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "main", "image": "Not:A:Name", "command": ["true"]}]},
        "status": {"phase": "Pending"},
    });
    cluster.store.create(Kind::Pod, "default", pod).unwrap();
    cluster.pod_that(|pod| state(pod)["waiting"]["reason"] == "InvalidImageName").await;
    cluster.store.delete(&Key::new(Kind::Pod, "default", "p"), &DeleteOptions::default()).unwrap();
    cluster.removed(Kind::Pod).await;
}

#[tokio::test]
async fn init_containers_run_first_and_in_order() {
    let mut cluster = Cluster::start();
    let init =
        |name: &str, script: &str| json!({"name": name, "image": "i", "command": ["sh", "-c", script]});
    let spec =
        json!({"pod.initContainers": [init("z", "echo z > ../order"), init("a", "echo a >> ../order")]});
    cluster.create_job("init", &spec, &json!({"command": ["cat", "../order"]}));
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(cluster.log(&pod, FOLLOW).await, "z\na\n");
    assert_eq!(pod["status"]["initContainerStatuses"][0]["name"], "a");
}

#[tokio::test]
async fn an_init_container_that_fails_fails_the_pod() {
    let mut cluster = Cluster::start();
    let init = json!([{"name": "fetch", "image": "i", "command": ["sh", "-c", "exit 9"]}]);
    cluster.create_job("init", &json!({"pod.initContainers": init}), &json!({"command": ["true"]}));
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"], 9);
    assert_eq!(state(&pod)["waiting"]["reason"], "PodInitializing");
}

#[tokio::test]
async fn the_end_of_the_log_is_the_message_of_a_failure() {
    let mut cluster = Cluster::start();
    let container = json!({
        "command": ["sh", "-c", "echo traceback >&2; exit 1"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    cluster.create_job("message", &json!({}), &container);
    let pod = cluster.pod_that(is_terminated).await;
    assert_eq!(state(&pod)["terminated"]["message"], "traceback\n");
}

#[tokio::test]
async fn a_deleted_job_takes_its_pod_along_which_may_end_well() {
    let mut cluster = Cluster::start();
    let script = "exec 2>/dev/null; trap 'echo bye; exit 0' TERM; echo up; while true; do sleep 0.05; done";
    cluster.run("deleted", script);
    let pod = cluster.pod_that(is_running).await;
    let mut log = cluster.node.logs(meta(&pod, "uid"), "main", false, FOLLOW);
    assert_eq!(log.next().await.unwrap().unwrap(), "up\n");
    cluster.store.delete(&Key::new(Kind::Job, "default", "deleted"), &background()).unwrap();
    assert_eq!(log.next().await.unwrap().unwrap(), "bye\n");
    assert!(log.next().await.is_none());
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(cluster.told("Killing"), ["Stopping container main"]);
    cluster.removed(Kind::Pod).await;
    let directory = cluster.directory.path().join("pods").join(meta(&pod, "uid"));
    // Done when all of the agent's tasks are.
    cluster.node.shutdown().await;
    assert!(!directory.exists(), "the files go with the pod");
}

#[tokio::test]
async fn a_process_that_ignores_the_request_is_killed_after_the_grace_period() {
    let mut cluster = Cluster::start();
    let container =
        json!({"command": ["sh", "-c", "trap '' TERM; echo up; while true; do sleep 0.05; done"]});
    cluster.create_job("stubborn", &json!({"pod.terminationGracePeriodSeconds": 1}), &container);
    let pod = cluster.pod_that(is_running).await;
    cluster.node.logs(meta(&pod, "uid"), "main", false, FOLLOW).next().await.unwrap().unwrap();
    let foreground = DeleteOptions { propagation: Some(Propagation::Foreground), ..DeleteOptions::default() };
    cluster.store.delete(&Key::new(Kind::Job, "default", "stubborn"), &foreground).unwrap();
    let pod = cluster.pod_that(is_terminated).await;
    assert_eq!(state(&pod)["terminated"]["exitCode"], 137);
    cluster.removed(Kind::Job).await;
    assert_eq!(cluster.store.list(Kind::Pod, None).0.len(), 0);
}

#[tokio::test]
async fn a_pod_past_its_deadline_fails_and_keeps_its_log() {
    let mut cluster = Cluster::start();
    let container = json!({"command": ["sh", "-c", "echo up; sleep 600"]});
    let spec = json!({"pod.activeDeadlineSeconds": 1, "pod.terminationGracePeriodSeconds": 1});
    cluster.create_job("late", &spec, &container);
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    // The first process of a container is not ended by a request that it has no handler for.
    assert_eq!(state(&pod)["terminated"]["exitCode"], 137);
    let job = cluster.finished_job().await;
    assert_eq!(condition(&job, "Failed").unwrap()["reason"], "BackoffLimitExceeded");
    assert_eq!(cluster.log(&pod, LogOptions::default()).await, "up\n");
}

#[tokio::test]
async fn a_job_past_its_deadline_loses_its_pod() {
    let mut cluster = Cluster::start();
    let container = json!({"command": ["sleep", "600"]});
    let spec = json!({"activeDeadlineSeconds": 1, "pod.terminationGracePeriodSeconds": 1});
    cluster.create_job("late", &spec, &container);
    let job = cluster.finished_job().await;
    let failed = condition(&job, "Failed").unwrap();
    assert_eq!(failed["reason"], "DeadlineExceeded");
    assert_eq!(failed["message"], "Job was active longer than specified deadline");
    assert_eq!(job["status"]["failed"], 1);
    assert_eq!(cluster.told("SuccessfulDelete").len(), 1);
    assert_eq!(cluster.store.list(Kind::Pod, None).0.len(), 0);
}

#[tokio::test]
async fn a_suspended_job_stops_its_pod_and_a_resumed_one_starts_another() {
    let mut cluster = Cluster::start();
    let container = json!({"command": ["sleep", "600"]});
    let spec = json!({"suspend": true, "pod.terminationGracePeriodSeconds": 1});
    cluster.create_job("pausing", &spec, &container);
    let job = cluster.job_that(|job| condition(job, "Suspended").is_some()).await;
    assert_eq!(job["status"].get("startTime"), None);
    let key = Key::new(Kind::Job, "default", "pausing");
    let suspend = |cluster: &Cluster, value: bool| {
        let suspend = |job: &mut Value| {
            job["spec"]["suspend"] = value.into();
            Ok(())
        };
        cluster.store.update(&key, suspend).unwrap();
    };
    suspend(&cluster, false);
    let first = cluster.pod_that(is_running).await;
    suspend(&cluster, true);
    cluster.removed(Kind::Pod).await;
    suspend(&cluster, false);
    let second = cluster.pod_that(is_running).await;
    assert_ne!(meta(&first, "uid"), meta(&second, "uid"));
    let job = cluster.store.get(&key).unwrap();
    assert_eq!(job["status"]["conditions"][0]["reason"], "JobResumed");
    assert_eq!(job["status"]["active"], 1);
    assert_eq!(job["status"].get("failed"), None);
    assert_eq!(cluster.told("Resumed"), ["Job resumed"]);
}

#[tokio::test]
async fn failed_pods_are_replaced_up_to_the_limit_and_kept() {
    let mut cluster = Cluster::start();
    cluster.create_job("retries", &json!({"backoffLimit": 2}), &json!({"command": ["false"]}));
    let job = cluster.finished_job().await;
    assert_eq!(job["status"]["failed"], 3);
    assert_eq!(cluster.store.list(Kind::Pod, None).0.len(), 3);
}

#[tokio::test]
async fn a_finished_job_goes_when_its_time_is_over() {
    let mut cluster = Cluster::start();
    cluster.create_job("brief", &json!({"ttlSecondsAfterFinished": 0}), &json!({"command": ["true"]}));
    cluster.removed(Kind::Job).await;
    assert_eq!(cluster.store.list(Kind::Pod, None).0.len(), 0, "it goes after its pod");
}

#[tokio::test]
async fn shutting_down_ends_every_process() {
    let mut cluster = Cluster::start();
    cluster.run("runs", "trap 'exit 143' TERM; echo up; while :; do sleep 0.01; done");
    let pod = cluster.pod_that(is_running).await;
    let mut log = cluster.node.logs(meta(&pod, "uid"), "main", false, FOLLOW);
    assert_eq!(log.next().await.unwrap().unwrap(), "up\n", "it has its handler");
    cluster.node.shutdown().await;
    assert!(log.next().await.is_none());
    let pod = cluster.store.get(&Key::new(Kind::Pod, "default", meta(&pod, "name"))).unwrap();
    assert_eq!(state(&pod)["terminated"]["exitCode"], 143);
}

#[tokio::test]
async fn dropping_kills_every_process() {
    let mut cluster = Cluster::start();
    let fifo = cluster.directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    cluster.run(
        "runs",
        &format!("exec > {}; trap '' TERM; setsid sh -c 'echo up; sleep 600' & sleep 600", fifo.display()),
    );
    let mut reader = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    cluster.pod_that(is_running).await;
    let mut up = [0; 3];
    tokio::io::AsyncReadExt::read_exact(&mut reader, &mut up).await.unwrap();
    drop(cluster.node);
    // It ends when nobody is left who could write.
    let rest = tokio::io::AsyncReadExt::read(&mut reader, &mut up);
    assert_eq!(tokio::time::timeout(Duration::from_mins(1), rest).await.unwrap().unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_jobs_end_and_leave_nothing() {
    let mut cluster = Cluster::start();
    for number in 0..200 {
        cluster.run(&format!("job-{number}"), "echo done");
    }
    let mut complete = std::collections::BTreeSet::new();
    while complete.len() < 200 {
        let job = cluster.finished_job().await;
        assert_eq!(job["status"]["succeeded"], 1);
        complete.insert(meta(&job, "name").to_owned());
        cluster.store.delete(&Key::new(Kind::Job, "default", meta(&job, "name")), &background()).unwrap();
    }
    while !cluster.store.list(Kind::Pod, None).0.is_empty() {
        cluster.removed(Kind::Pod).await;
    }
    let directory = cluster.directory;
    cluster.node.shutdown().await;
    assert_eq!(std::fs::read_dir(directory.path().join("pods")).unwrap().count(), 0);
}
