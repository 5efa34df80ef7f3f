use serde_json::json;

use super::*;

fn job(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"suspend": false}})
}

fn job_key(name: &str) -> Key {
    Key::new(Kind::Job, "default", name)
}

fn store_with_job() -> Store {
    let store = Store::new(Clock::system(), 0);
    store.create(Kind::Job, "default", job("a")).unwrap();
    store
}

#[test]
fn a_created_object_has_an_identity() {
    let store = store_with_job();
    let stored = store.get(&job_key("a")).unwrap();
    assert_eq!(meta(&stored, "namespace"), "default");
    assert_eq!(meta(&stored, "resourceVersion"), "1");
    assert_eq!(stored["metadata"]["generation"], 1);
    assert_eq!(meta(&stored, "uid").len(), 36);
    assert_eq!(stored["kind"], "Job");
    let (key, _) = store.get_by_uid(meta(&stored, "uid")).unwrap();
    assert_eq!(key, job_key("a"));
}

#[test]
fn a_generated_name_is_the_prefix_and_five_characters() {
    let store = Store::new(Clock::system(), 0);
    let stored = store.create(Kind::Pod, "default", json!({"metadata": {"generateName": "train-"}})).unwrap();
    let suffix = meta(&stored, "name").strip_prefix("train-").unwrap();
    assert_eq!(suffix.len(), 5);
    assert!(suffix.chars().all(|character| "bcdfghjklmnpqrstvwxz2456789".contains(character)));
}

#[test]
fn a_taken_name_is_refused() {
    let store = store_with_job();
    let error = store.create(Kind::Job, "default", job("a")).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "AlreadyExists"));
    assert_eq!(error.message, "jobs.batch \"a\" already exists");
    store.create(Kind::Job, "other", job("a")).unwrap();
}

#[test]
fn an_update_that_changes_nothing_makes_no_event() {
    let store = store_with_job();
    store
        .update(&job_key("a"), |object| {
            object["metadata"]["uid"] = "other".into();
            Ok(())
        })
        .unwrap();
    assert_eq!(store.version(), 1);
}

#[test]
fn only_a_changed_spec_counts_as_a_generation() {
    let store = store_with_job();
    let labelled = store.update(&job_key("a"), |object| {
        object["metadata"]["labels"]["a"] = "b".into();
        Ok(())
    });
    assert_eq!(labelled.unwrap()["metadata"]["generation"], 1);
    let suspended = store.update(&job_key("a"), |object| {
        object["spec"]["suspend"] = true.into();
        Ok(())
    });
    assert_eq!(suspended.unwrap()["metadata"]["generation"], 2);
}

#[test]
fn a_refused_update_stores_nothing() {
    let store = store_with_job();
    let refused = store.update(&job_key("a"), |object| {
        object["spec"]["suspend"] = true.into();
        Err(ApiError::bad_request("no"))
    });
    assert_eq!(refused.unwrap_err().code, 400);
    assert_eq!(store.get(&job_key("a")).unwrap()["spec"]["suspend"], false);
}

#[test]
fn a_background_deletion_removes_at_once() {
    let store = store_with_job();
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..Default::default() };
    assert!(matches!(store.delete(&job_key("a"), &options), Ok(Deleted::Removed(_))));
    assert_eq!(store.get(&job_key("a")), None);
    assert_eq!(store.delete(&job_key("a"), &options).unwrap_err().code, 404);
}

#[test]
fn a_job_orphans_its_pods_unless_told_otherwise() {
    let store = store_with_job();
    let Ok(Deleted::Marked(marked)) = store.delete(&job_key("a"), &DeleteOptions::default()) else {
        panic!("a finalizer keeps it");
    };
    assert_eq!(marked["metadata"]["finalizers"], json!(["orphan"]));
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(marked["metadata"]["generation"], 2);
}

#[test]
fn the_last_finalizer_of_a_deleted_object_takes_it_along() {
    let store = store_with_job();
    let foreground = DeleteOptions { propagation: Some(Propagation::Foreground), ..Default::default() };
    store.delete(&job_key("a"), &foreground).unwrap();
    let version = store.version();
    store.delete(&job_key("a"), &foreground).unwrap();
    assert_eq!(store.version(), version, "a second deletion changes nothing");
    let error = store.create(Kind::Job, "default", job("a")).unwrap_err();
    assert!(error.message.starts_with("object is being deleted"), "{error}");
    store
        .update(&job_key("a"), |object| {
            object["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert_eq!(store.get(&job_key("a")), None);
    let events = store.events_since(version).unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].change, Change::Deleted);
    assert_eq!(meta(&events[0].object(), "resourceVersion"), store.version().to_string());
}

#[test]
fn a_running_pod_is_only_marked() {
    let store = Store::new(Clock::system(), 0);
    let pod = json!({
        "metadata": {"name": "p", "finalizers": ["batch.kubernetes.io/job-tracking"]},
        "spec": {"nodeName": "local", "terminationGracePeriodSeconds": 7},
        "status": {"phase": "Running"},
    });
    store.create(Kind::Pod, "default", pod).unwrap();
    let key = Key::new(Kind::Pod, "default", "p");
    let Ok(Deleted::Marked(marked)) = store.delete(&key, &DeleteOptions::default()) else {
        panic!("it runs");
    };
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 7);
    store
        .update(&key, |object| {
            object["metadata"]["finalizers"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert!(store.get(&key).is_some(), "it still runs");
    let now = DeleteOptions { grace_period_seconds: Some(0), ..Default::default() };
    assert!(matches!(store.delete(&key, &now), Ok(Deleted::Removed(_))));
}

#[test]
fn preconditions_guard_a_deletion() {
    let store = store_with_job();
    let options = DeleteOptions { uid: Some("0".to_owned()), ..Default::default() };
    let error = store.delete(&job_key("a"), &options).unwrap_err();
    assert_eq!((error.code, error.reason), (409, "Conflict"));
    assert!(error.message.contains("the UID in the precondition (0) does not match"), "{error}");
}

#[test]
fn dependents_are_found_by_the_uid_of_their_owner() {
    let store = Store::new(Clock::system(), 0);
    let owned = json!({"metadata": {"name": "s", "ownerReferences": [{"uid": "u"}]}});
    store.create(Kind::Secret, "default", owned).unwrap();
    let key = Key::new(Kind::Secret, "default", "s");
    assert_eq!(store.dependents("u")[0].0, key);
    store
        .update(&key, |object| {
            object["metadata"]["ownerReferences"] = json!([]);
            Ok(())
        })
        .unwrap();
    assert_eq!(store.dependents("u"), []);
}

#[test]
fn an_old_list_shows_the_old_state() {
    let store = store_with_job();
    store.create(Kind::Job, "default", job("b")).unwrap();
    let then = store.version();
    let (before, _) = store.list(Kind::Job, Some("default"));
    store.remove(&job_key("a"));
    store.create(Kind::Job, "default", job("c")).unwrap();
    store
        .update(&job_key("b"), |object| {
            object["spec"]["suspend"] = true.into();
            Ok(())
        })
        .unwrap();
    let old = store.list_at(Kind::Job, Some("default"), then).unwrap();
    assert_eq!(old.iter().map(|(_, document)| document.value()).collect::<Vec<_>>(), before);
}

#[test]
fn a_forgotten_version_is_expired() {
    let store = store_with_job();
    for _ in 0..5000 {
        store.create(Kind::Pod, "default", json!({"metadata": {"name": "p"}})).unwrap();
        store.remove(&Key::new(Kind::Pod, "default", "p"));
    }
    let Err(Expired { oldest }) = store.events_since(1) else { panic!("version 1 is long gone") };
    let events = store.events_since(oldest).unwrap();
    assert_eq!(events.first().map(|event| event.version), Some(oldest + 1));
    assert_eq!(events.last().map(|event| event.version), Some(store.version()));
}

#[tokio::test]
async fn a_subscription_gets_every_event_in_order() {
    let store = store_with_job();
    let mut subscription = store.subscribe();
    store.create(Kind::Job, "default", job("b")).unwrap();
    store.remove(&job_key("b"));
    let added = subscription.next().await.unwrap();
    assert_eq!((added.change, meta(&added.object(), "resourceVersion")), (Change::Added, "2"));
    let deleted = subscription.next().await.unwrap();
    assert_eq!((deleted.change, meta(&deleted.object(), "resourceVersion")), (Change::Deleted, "3"));
    assert!(deleted.previous.is_some());
}
