//! Watches: resuming, selectors, bookmarks, ends.

use serde_json::json;

use crate::client::{JOBS, Served, suspended};

async fn version(served: &Served) -> String {
    served.get(JOBS).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_watch_without_a_version_begins_with_the_present_state() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    let mut watch = served.watch(&format!("{JOBS}?watch=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "ADDED");
    assert_eq!(event["object"]["kind"], "Job");
}

#[tokio::test]
async fn a_watch_resumes_from_a_version() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("before")).await;
    let version = version(&served).await;
    served.post(JOBS, &suspended("after")).await;
    let mut watch =
        served.watch(&format!("{JOBS}?watch=true&resourceVersion={version}&labelSelector=new")).await;
    let mut labelled = suspended("new");
    labelled["metadata"]["labels"] = json!({"new": "1"});
    served.post(JOBS, &labelled).await;
    assert_eq!(watch.next_line().await, "ADDED new");
}

#[tokio::test]
async fn to_a_selector_an_object_comes_and_goes() {
    let served = Served::start().await;
    let mut job = suspended("a");
    job["metadata"]["labels"] = json!({"batch": "even"});
    served.post(JOBS, &job).await;
    let path = format!("{JOBS}?watch=true&labelSelector=batch%3Deven");
    let mut watch = served.watch(&path).await;
    assert_eq!(watch.next_line().await, "ADDED a");
    let object = format!("{JOBS}/a");
    let label =
        async |batch: &str| served.merge(&object, &json!({"metadata": {"labels": {"batch": batch}}})).await;
    let changed = label("odd").await.json();
    let mut event = watch.next().await.unwrap();
    while event["type"] == "MODIFIED" {
        // The controller marks the Job as suspended meanwhile.
        event = watch.next().await.unwrap();
    }
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"]["batch"], "even", "the last state that matched");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);
    label("even").await;
    let mut line = watch.next_line().await;
    while line == "MODIFIED a" {
        line = watch.next_line().await;
    }
    assert_eq!(line, "ADDED a");
    served.delete(&format!("{object}?propagationPolicy=Background")).await;
    let mut line = watch.next_line().await;
    while line == "MODIFIED a" {
        line = watch.next_line().await;
    }
    assert_eq!(line, "DELETED a");
}

#[tokio::test]
async fn a_streaming_list_ends_with_a_marked_bookmark() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    let path = format!(
        "{JOBS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut watch = served.watch(&path).await;
    assert_eq!(watch.next_line().await, "ADDED a");
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    let object = &bookmark["object"];
    assert_eq!(object["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(object["spec"], json!({"template": {"metadata": {}, "spec": {"containers": null}}}));
}

#[tokio::test]
async fn a_watch_ends_by_itself_after_a_last_bookmark() {
    let served = Served::start().await;
    let version = version(&served).await;
    let quiet = format!("{JOBS}?watch=true&timeoutSeconds=1&resourceVersion={version}");
    assert_eq!(served.watch(&quiet).await.next().await, None);
    let mut watch = served.watch(&format!("{quiet}&allowWatchBookmarks=true")).await;
    let bookmark = watch.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(bookmark["object"]["metadata"], json!({"resourceVersion": version}));
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_version_too_old_is_an_error_event() {
    let served = Served::start().await;
    // More changes than the history holds.
    let path = format!("{JOBS}/a");
    served.post(JOBS, &suspended("a")).await;
    let mut last = 0;
    while last < 8300 {
        let changed =
            served.merge(&path, &json!({"metadata": {"labels": {"n": last.to_string()}}})).await.json();
        last = changed["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    }
    let mut watch = served.watch(&format!("{JOBS}?watch=true&resourceVersion=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(event["type"], "ERROR");
    assert_eq!((&event["object"]["code"], &event["object"]["reason"]), (&json!(410), &json!("Expired")));
    assert!(event["object"]["message"].as_str().unwrap().starts_with("too old resource version: 1 ("));
    assert_eq!(watch.next().await, None);
    let list = served.get(&format!("{JOBS}?continue=1:default:a")).await;
    assert_eq!(list.status, 410);
    assert_eq!(list.json()["metadata"]["continue"], "-1:default:a");
}

#[tokio::test]
async fn an_old_watch_path_still_watches() {
    let served = Served::start().await;
    for name in ["a", "b"] {
        served.post(JOBS, &suspended(name)).await;
    }
    let mut watch = served.watch("/apis/batch/v1/watch/namespaces/default/jobs/b").await;
    assert_eq!(watch.next_line().await, "ADDED b");
}
