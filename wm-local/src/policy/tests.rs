use serde_json::json;

use super::*;
use crate::{clock::Clock, kind::Key};

fn policy() -> Policy {
    Policy::new(Store::new(Clock::system(), 0))
}

fn add(policy: &Policy, kind: Kind, name: &str, spec: &Value) {
    let object = json!({"metadata": {"name": name, "namespace": "n"}, "spec": spec});
    policy.store.create(kind, "n", object).unwrap();
}

fn pod(name: &str, resources: &Value) -> Value {
    let container = json!({"name": "main", "resources": resources});
    json!({"metadata": {"name": name, "namespace": "n"}, "spec": {"containers": [container]}, "status": {}})
}

#[test]
fn a_quota_refuses_what_exceeds_it_or_does_not_tell_what_it_asks_for() {
    let policy = policy();
    let hard = json!({"limits.cpu": "500m", "requests.memory": "64Mi", "pods": "2"});
    add(&policy, Kind::ResourceQuota, "cpu", &json!({"hard": hard}));
    let create = |name: &str, resources: Value| {
        let created = policy.create(Kind::Pod, "n", pod(name, &resources));
        created.map(|_| ()).map_err(|error| error.message)
    };
    assert_eq!(
        create("a", json!({})).unwrap_err(),
        "pods \"a\" is forbidden: failed quota: cpu: must specify limits.cpu for: main; requests.memory for: main"
    );
    let asks = |cpu: &str| json!({"limits": {"cpu": cpu}, "requests": {"memory": "32Mi"}});
    create("a", asks("300m")).unwrap();
    assert_eq!(
        create("b", asks("300m")).unwrap_err(),
        "pods \"b\" is forbidden: exceeded quota: cpu, requested: limits.cpu=300m, used: limits.cpu=300m, limited: \
         limits.cpu=500m"
    );
    create("b", asks("100m")).unwrap();
    assert!(create("c", asks("100m")).unwrap_err().contains("requested: pods=1,requests.memory=32Mi,"));
    let end = |pod: &mut Value| {
        pod["status"]["phase"] = "Succeeded".into();
        Ok(())
    };
    policy.store.update(&Key::new(Kind::Pod, "n", "a"), end).unwrap();
    create("c", asks("100m")).unwrap();
    quota::count(&policy.store, "n");
    let counted = policy.store.get(&Key::new(Kind::ResourceQuota, "n", "cpu")).unwrap();
    let used = json!({"limits.cpu": "200m", "requests.memory": "64Mi", "pods": "2"});
    assert_eq!(counted["status"], json!({"hard": hard, "used": used}));
}

#[test]
fn a_quota_of_jobs_counts_those_that_have_ended() {
    let policy = policy();
    add(&policy, Kind::ResourceQuota, "one", &json!({"hard": {"count/jobs.batch": "1"}}));
    let job = |name: &str| json!({"metadata": {"name": name, "namespace": "n"}, "status": {"succeeded": 1}});
    policy.create(Kind::Job, "n", job("first")).unwrap();
    assert_eq!(
        policy.create(Kind::Job, "n", job("second")).unwrap_err().message,
        "jobs.batch \"second\" is forbidden: exceeded quota: one, requested: count/jobs.batch=1, used: \
         count/jobs.batch=1, limited: count/jobs.batch=1"
    );
}

#[test]
fn a_limit_range_gives_and_forbids() {
    let policy = policy();
    let mut range = json!({"spec": {"limits": [
        {"type": "Container", "max": {"cpu": "1", "memory": "1Gi"}, "default": {"cpu": "200m"}, "min": {"cpu": "10m"}},
        {"type": "Pod", "max": {"cpu": "1"}},
    ]}});
    complete(&mut range);
    add(&policy, Kind::LimitRange, "range", &range["spec"]);
    let mut given = pod("p", &json!({"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}}));
    policy.review(Kind::Pod, &mut given).unwrap();
    let resources =
        json!({"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "200m", "memory": "64Mi"}});
    assert_eq!(given["spec"]["containers"][0]["resources"], resources);
    assert_eq!(given["status"]["qosClass"], "Guaranteed");
    assert_eq!(
        given["metadata"]["annotations"]["kubernetes.io/limit-ranger"],
        "LimitRanger plugin set: cpu request for container main; cpu limit for container main"
    );
    let refused = |resources: Value| policy.review(Kind::Pod, &mut pod("p", &resources)).unwrap_err().message;
    assert_eq!(
        refused(json!({"limits": {"cpu": "2"}})),
        "pods \"p\" is forbidden: [maximum cpu usage per Container is 1, but limit is 2, maximum cpu usage per Pod is \
         1, but limit is 2]"
    );
    assert_eq!(
        refused(json!({"requests": {"cpu": "1m"}})),
        "pods \"p\" is forbidden: minimum cpu usage per Container is 10m, but request is 1m"
    );
}
