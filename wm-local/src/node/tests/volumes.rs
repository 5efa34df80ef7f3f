//! Volumes and termination messages. Where this user can't mount there are none, and that is what is tested.

use super::*;

/// A cluster, if its containers have mount namespaces.
async fn mounting() -> Option<Cluster> {
    let mut cluster = Cluster::start();
    let pod = run(&mut cluster, json!({"emptyDir": {}}), "true").await;
    if pod["status"]["phase"] == "Succeeded" {
        cluster.store.remove(&Key::new(Kind::Pod, "default", "p"));
        cluster.removed(Kind::Pod).await;
        return Some(cluster);
    }
    let message = state(&pod)["terminated"]["message"].as_str().unwrap();
    assert!(message.contains("CAP_SYS_ADMIN"), "{message}");
    None
}

fn pod_of(spec: &Value) -> Value {
    let mut pod = json!({
        "metadata": {"name": "p", "labels": {"app": "x"}, "annotations": {"Dockerfile": "FROM scratch\n"}},
        "spec": spec,
        "status": {"phase": "Pending"},
    });
    pod["spec"]["restartPolicy"] = "Never".into();
    pod["spec"]["terminationGracePeriodSeconds"] = 1.into();
    pod
}

/// A pod with one volume at `/wm-local-v`, and a script in which that is `$V`.
fn pod(mut volume: Value, script: &str) -> Value {
    volume["name"] = "v".into();
    pod_of(&json!({
        "volumes": [volume],
        "containers": [{
            "name": "main", "image": "i", "command": ["sh", "-c", format!("V=/wm-local-v; {script}")],
            "volumeMounts": [{"name": "v", "mountPath": "/wm-local-v"}],
        }],
    }))
}

fn has_ended(pod: &Value) -> bool {
    ["Succeeded", "Failed"].contains(&pod["status"]["phase"].as_str().unwrap_or_default())
}

async fn run(cluster: &mut Cluster, volume: Value, script: &str) -> Arc<Value> {
    cluster.store.create(Kind::Pod, "default", pod(volume, script)).unwrap();
    cluster.pod_that(has_ended).await
}

#[tokio::test]
async fn a_secret_is_a_read_only_directory() {
    let Some(mut cluster) = mounting().await else { return };
    let secret = json!({"metadata": {"name": "s"}, "data": {"token": "aHVzaA==", "user": "YWRh"}});
    cluster.store.create(Kind::Secret, "default", secret).unwrap();
    let volume = json!({"secret": {"secretName": "s", "defaultMode": 0o400}});
    let script = "ls $V; cat $V/token; echo; stat -c %a $V/user; echo x 2>&- > $V/token || echo refused";
    let pod = run(&mut cluster, volume, script).await;
    assert_eq!(cluster.log(&pod, FOLLOW).await.replace("sh: 1: ", ""), "token\nuser\nhush\n400\nrefused\n");
    assert!(!std::path::Path::new("/wm-local-v").exists(), "the machine has no such directory");
}

#[tokio::test]
async fn a_pod_waits_for_the_objects_of_its_volumes() {
    let Some(mut cluster) = mounting().await else { return };
    let items = json!([{"key": "b", "path": "b"}]);
    let volume = json!({"configMap": {"name": "late", "items": items}});
    cluster.store.create(Kind::Pod, "default", pod(volume, "cat $V/b")).unwrap();
    let failed = |cluster: &Cluster| cluster.told("FailedMount").pop();
    cluster.wait_for(|event| (event.object()["reason"] == "FailedMount").then_some(())).await;
    let absent = "MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found";
    assert_eq!(failed(&cluster).unwrap(), absent);
    let waiting = cluster.store.get(&Key::new(Kind::Pod, "default", "p")).unwrap();
    assert_eq!(state(&waiting)["waiting"], json!({"reason": "ContainerCreating"}));
    let map = json!({"metadata": {"name": "late"}, "data": {"a": "1"}});
    cluster.store.create(Kind::ConfigMap, "default", map).unwrap();
    let key = "MountVolume.SetUp failed for volume \"v\" : references non-existent config key: b";
    cluster.wait_for(|event| (event.object()["message"] == key).then_some(())).await;
    let add = |map: &mut Value| {
        map["data"]["b"] = "here".into();
        Ok(())
    };
    cluster.store.update(&Key::new(Kind::ConfigMap, "default", "late"), add).unwrap();
    let pod = cluster.pod_that(|pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(cluster.log(&pod, FOLLOW).await, "here");
}

#[tokio::test]
async fn a_pod_that_waits_for_a_volume_can_be_deleted() {
    let mut cluster = Cluster::start();
    let volume = json!({"secret": {"secretName": "absent"}});
    cluster.store.create(Kind::Pod, "default", pod(volume, "true")).unwrap();
    cluster.wait_for(|event| (event.object()["reason"] == "FailedMount").then_some(())).await;
    cluster.store.delete(&Key::new(Kind::Pod, "default", "p"), &DeleteOptions::default()).unwrap();
    cluster.removed(Kind::Pod).await;
}

#[tokio::test]
async fn an_annotation_is_a_file_for_a_builder() {
    let Some(mut cluster) = mounting().await else { return };
    let volume = json!({"downwardAPI": {"items": [
        {"path": "Dockerfile", "fieldRef": {"fieldPath": "metadata.annotations['Dockerfile']"}},
        {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
    ]}});
    let pod = run(&mut cluster, volume, "cat $V/Dockerfile $V/labels").await;
    assert_eq!(cluster.log(&pod, FOLLOW).await, "FROM scratch\napp=\"x\"");
}

#[tokio::test]
async fn an_empty_directory_is_shared_by_the_containers_and_goes_with_the_pod() {
    let Some(mut cluster) = mounting().await else { return };
    let container = |name: &str, path: &str, extra: Value, script: &str| {
        let mut mount = json!({"name": "v", "mountPath": path});
        mount.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"name": name, "image": "i", "command": ["sh", "-c", script], "volumeMounts": [mount]})
    };
    let spec = json!({
        "volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}],
        "initContainers": [container("init", "/wm-local-a", json!({}), "mkdir /wm-local-a/sub; echo one > /wm-local-a/sub/x")],
        "containers": [container("main", "/etc/wm-local-b", json!({"subPath": "sub", "readOnly": true}),
            "cat /etc/wm-local-b/x; exec 2>/dev/null; touch /etc/wm-local-b/y || echo refused")],
    });
    cluster.store.create(Kind::Pod, "default", pod_of(&spec)).unwrap();
    let pod = cluster.pod_that(has_ended).await;
    assert_eq!(cluster.log(&pod, FOLLOW).await, "one\nrefused\n");
    cluster.store.delete(&Key::new(Kind::Pod, "default", "p"), &DeleteOptions::default()).unwrap();
    cluster.removed(Kind::Pod).await;
    let directory = cluster.directory.path().join("pods").join(meta(&pod, "uid"));
    cluster.node.shutdown().await;
    assert!(!directory.exists());
}

#[tokio::test]
async fn the_termination_message_is_what_was_written_to_its_file() {
    let Some(mut cluster) = mounting().await else { return };
    // As recorded on a real cluster.
    let cases = [
        (r#"echo '{"loss": 0.1}' > /dev/termination-log"#, "File", "{\"loss\": 0.1}\n".to_owned()),
        ("echo why > /dev/termination-log; echo log; exit 2", "File", "why\n".to_owned()),
        ("echo log; exit 2", "File", String::new()),
        ("echo first; echo why; exit 2", "FallbackToLogsOnError", "first\nwhy\n".to_owned()),
        ("echo all is well", "FallbackToLogsOnError", String::new()),
        ("echo file > /dev/termination-log; echo log; exit 2", "FallbackToLogsOnError", "file\n".to_owned()),
        (r"head -c 9000 /dev/zero | tr '\0' m > /dev/termination-log; exit 2", "File", "m".repeat(4096)),
        (r"printf 'a\377\000b' > /dev/termination-log; exit 2", "File", "a\u{fffd}\0b".to_owned()),
    ];
    for (script, policy, expected) in cases {
        let container = json!({
            "name": "main", "image": "i", "command": ["sh", "-c", script], "terminationMessagePolicy": policy,
        });
        cluster.store.create(Kind::Pod, "default", pod_of(&json!({"containers": [container]}))).unwrap();
        let pod = cluster.pod_that(has_ended).await;
        let message = state(&pod)["terminated"]["message"].as_str().unwrap_or_default();
        assert_eq!(message, expected, "{script}");
        cluster.store.remove(&Key::new(Kind::Pod, "default", "p"));
        cluster.removed(Kind::Pod).await;
    }
}

#[tokio::test]
async fn the_termination_message_may_be_elsewhere() {
    let Some(mut cluster) = mounting().await else { return };
    let container = json!({
        "name": "main", "image": "i", "terminationMessagePath": "/tmp/wm-local/why",
        "command": ["sh", "-c", "mkdir -p /tmp/wm-local; echo elsewhere > /tmp/wm-local/why; exit 2"],
    });
    cluster.store.create(Kind::Pod, "default", pod_of(&json!({"containers": [container]}))).unwrap();
    let pod = cluster.pod_that(has_ended).await;
    assert_eq!(state(&pod)["terminated"]["message"], "elsewhere\n");
    assert!(!std::path::Path::new("/tmp/wm-local").exists());
}
