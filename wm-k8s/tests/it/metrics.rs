//! What is counted of the traffic with a cluster.

use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::json;
use wm_core::{LogQuery, WorkloadManager as _, testkit::metrics::problems};
use wm_k8s::{KubernetesSettings, METRICS};

use crate::{
    stage::{Stage, finish, following, id, lines, log, request, script, verdict},
    wire::Fault,
};

#[tokio::test]
async fn every_metric_of_the_table_is_emitted_and_no_other() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new().await;
    let mut gate = stage.gate("gate");
    let mut settings = KubernetesSettings::new("default", "default");
    settings.pod_template_patch = Some(json!({ "metadata": { "annotations": { "a": "b" } } }));
    let manager = stage.manager_with(settings).await.unwrap();
    manager.log(&id("counted"), "before").await.unwrap();

    stage.wire.fail("create", "jobs", 1, Fault::status(429, "TooManyRequests", "slow down"));
    stage.wire.fail("create", "jobs", 1, Fault::Forget(&["/spec/template/metadata/annotations"]));
    let wanted = request(script("counted", &format!("echo one; {}; echo two", gate.wait())));
    let run = manager.submit(&wanted).await.unwrap().run;
    assert!(manager.submit(&wanted).await.unwrap().adopted);
    manager.submit(&request(script("counted", "false"))).await.unwrap_err();
    manager.log(&id("counted"), "during\nit").await.unwrap();
    gate.open(1);
    verdict(&manager, &run).await;
    stage.wire.fail("get", "pods/log", 1, Fault::Cut(40));
    stage.wire.fail("get", "pods/log", 1, Fault::status(503, "", "busy"));
    let read = lines(manager.logs(&id("counted"), &following()).await.unwrap()).await;
    assert_eq!(read.len(), 5, "{read:?}");
    manager.preflight().await.unwrap();
    manager.logs(&id("nobody"), &LogQuery::default()).await.map(drop).unwrap_err();

    let text = handle.render();
    assert_eq!(problems(&text, METRICS, &["wm_k8s_watch_breaks_total"]), [""; 0], "{text}");
    for sample in [
        r#"wm_k8s_requests_total{verb="create",resource="jobs",status="429"} 1"#,
        r#"wm_k8s_retries_total{status="429"} 1"#,
        "wm_k8s_throttled_total 1",
        r#"wm_k8s_lists_total{resource="jobs"} 1"#,
        r#"wm_k8s_lists_total{resource="pods"} 1"#,
        "wm_k8s_conflicts_total 1",
        r#"wm_k8s_messages_total{place="memory"} 1"#,
        r#"wm_k8s_messages_total{place="job"} 2"#,
        r#"wm_k8s_log_streams_total{outcome="cut"} 1"#,
        r#"wm_k8s_log_streams_total{outcome="refused"} 1"#,
        "wm_k8s_log_streams_open 0",
        r#"wm_k8s_preflight_findings{severity="failure"} 0"#,
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
    }
}

#[tokio::test]
async fn a_watch_that_breaks_is_counted_by_its_cause() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let gone = json!({ "type": "ERROR", "object": {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "too old resource version: 1 (2)", "reason": "Expired", "code": 410,
    }});
    let expired = Fault::Answer { code: 200, retry_after: None, body: format!("{gone}\n") };
    stage.wire.fail("watch", "jobs", 1, expired);
    finish(&manager, &request(script("watched", "true"))).await;
    stage.wire.called("watch", "jobs", 2).await;
    assert_eq!(log(&manager, "watched").await, [""; 0]);
    let text = handle.render();
    for sample in [
        r#"wm_k8s_watch_breaks_total{resource="jobs",cause="expired"} 1"#,
        r#"wm_k8s_lists_total{resource="jobs"} 2"#,
        r#"wm_k8s_lists_total{resource="pods"} 1"#,
    ] {
        assert!(text.lines().any(|line| line == sample), "{sample}\n{text}");
    }
}
