//! Pods with sidecars, and containers that run again.

use super::*;

fn pod(init: &Value, main: &[&str]) -> Value {
    let main: Vec<Value> = main
        .iter()
        .zip(["main", "other"])
        .map(|(script, name)| json!({"name": name, "image": "i", "command": ["sh", "-c", script]}))
        .collect();
    json!({
        "metadata": {"name": "p"},
        "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 5,
            "initContainers": init, "containers": main,
        },
        "status": {"phase": "Pending"},
    })
}

fn sidecar(name: &str, script: &str) -> Value {
    json!({"name": name, "image": "i", "restartPolicy": "Always", "command": ["sh", "-c", script]})
}

/// Waits for its end, and notes that in a file of the pod.
fn obedient(name: &str) -> Value {
    let note = format!("echo {name} up >> ../order");
    let bye = format!("trap 'echo {name} ends >> ../order; exit 0' TERM");
    sidecar(name, &format!("{bye}; {note}; while :; do sleep 0.01; done"))
}

async fn order(cluster: &Cluster, pod: &Value) -> String {
    let path = cluster.directory.path().join("pods").join(meta(pod, "uid")).join("order");
    tokio::fs::read_to_string(path).await.unwrap()
}

#[tokio::test]
async fn sidecars_start_in_order_and_end_after_the_others_in_reverse() {
    let mut cluster = Cluster::start();
    let wait = json!({"name": "wait", "image": "i", "command":
        ["sh", "-c", "until grep -q 'a up' ../order && grep -q 'b up' ../order; do sleep 0.01; done"]});
    let init = json!([obedient("a"), obedient("b"), wait]);
    let pod = pod(&init, &["echo main >> ../order"]);
    cluster.store.create(Kind::Pod, "default", pod).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    let order = order(&cluster, &pod).await;
    assert!(order.ends_with("main\nb ends\na ends\n"), "{order}");
    let ended: Vec<_> = pod["status"]["initContainerStatuses"].as_array().unwrap().iter().collect();
    assert!(ended.iter().all(|one| one["state"]["terminated"]["exitCode"] == 0), "{ended:?}");
    assert_eq!(cluster.told("Killing"), ["Stopping container b", "Stopping container a"]);
}

#[tokio::test]
async fn the_main_container_starts_while_a_sidecar_runs() {
    let mut cluster = Cluster::start();
    let pod = pod(&json!([obedient("proxy")]), &["sleep 0.1"]);
    cluster.store.create(Kind::Pod, "default", pod).unwrap();
    let pod = cluster.pod_that(is_running).await;
    let proxy = &pod["status"]["initContainerStatuses"][0];
    assert_eq!((&proxy["started"], &proxy["ready"]), (&json!(true), &json!(true)));
    let pod = cluster.pod_that(is_terminated).await;
    assert_eq!(pod["status"]["phase"], "Running", "the sidecar is still to be stopped");
    cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
}

#[tokio::test]
async fn a_sidecar_that_ends_is_restarted() {
    let mut cluster = Cluster::start();
    let brief = sidecar("brief", "echo up >> ../order; exit 0");
    let main = "until [ \"$(grep -c up ../order)\" = 2 ]; do sleep 0.01; done";
    cluster.store.create(Kind::Pod, "default", pod(&json!([brief]), &[main])).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(pod["status"]["initContainerStatuses"][0]["restartCount"], 1);
}

#[tokio::test]
async fn a_sidecar_outlives_the_main_container_when_its_pod_is_deleted() {
    let mut cluster = Cluster::start();
    let main = "trap 'sleep 0.1; echo main ends >> ../order; exit 0' TERM; echo main up >> ../order; while :; do sleep 0.01; done";
    cluster.store.create(Kind::Pod, "default", pod(&json!([obedient("proxy")]), &[main])).unwrap();
    let running = cluster.pod_that(is_running).await;
    let path = cluster.directory.path().join("pods").join(meta(&running, "uid")).join("order");
    let is_up = || std::fs::read_to_string(&path).is_ok_and(|order| order.contains("main up"));
    while !is_up() {
        tokio::task::yield_now().await;
    }
    cluster.store.delete(&Key::new(Kind::Pod, "default", "p"), &DeleteOptions::default()).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    let proxy = &pod["status"]["initContainerStatuses"][0]["state"]["terminated"];
    assert_eq!(proxy["exitCode"], 0);
    assert_eq!(cluster.told("Killing"), ["Stopping container main", "Stopping container proxy"]);
    cluster.removed(Kind::Pod).await;
}

#[tokio::test]
async fn a_failed_init_container_stops_the_sidecars_before_it() {
    let mut cluster = Cluster::start();
    let fetch = json!({"name": "fetch", "image": "i", "command": ["sh", "-c", "exit 9"]});
    cluster.store.create(Kind::Pod, "default", pod(&json!([obedient("proxy"), fetch]), &["true"])).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(state(&pod)["waiting"]["reason"], "PodInitializing");
}

#[tokio::test]
async fn a_container_is_restarted_in_place_and_its_first_log_stays_until_the_second_run_has_ended() {
    let mut cluster = Cluster::start();
    let script = "[ -e once ] || { touch once; echo first; exit 1; }; until [ -e end ]; do sleep 0.01; done";
    let container = json!({"command": ["sh", "-c", script]});
    cluster.create_job("again", &json!({"backoffLimit": 3, "pod.restartPolicy": "OnFailure"}), &container);
    let runs = |pod: &Value| pod["status"]["containerStatuses"][0]["restartCount"].clone();
    let pod = cluster.pod_that(|pod| is_running(pod) && runs(pod) == 1).await;
    assert_eq!(pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"], 1);
    let uid = meta(&pod, "uid");
    let previous = cluster.node.logs(uid, "main", true, FOLLOW);
    assert_eq!(previous.try_collect::<Vec<_>>().await.unwrap().concat(), b"first\n");
    std::fs::write(cluster.node.shared.directories.home(uid).join("end"), "").unwrap();
    cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    assert!(!cluster.node.has_log(uid, "main", true) && cluster.node.has_log(uid, "main", false));
}
