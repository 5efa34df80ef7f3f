//! Volumes of a Job's Pod, through the API.

use serde_json::json;

use crate::client::{JOBS, PODS, Served, job};

#[tokio::test]
async fn a_job_reads_a_secret_from_a_volume_and_leaves_a_message() {
    let served = Served::start().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"token": "hush"}});
    served.post("/api/v1/namespaces/default/secrets", &secret).await;
    let script = "cat /wm-local/secret/token; cat /wm-local/secret/token > /dev/termination-log";
    let mut reading = job("reading", script);
    let spec = &mut reading["spec"]["template"]["spec"];
    spec["volumes"] = json!([{"name": "secret", "secret": {"secretName": "s"}}]);
    spec["containers"][0]["volumeMounts"] = json!([{"name": "secret", "mountPath": "/wm-local/secret"}]);
    served.post(JOBS, &reading).await;
    let ended =
        |pod: &serde_json::Value| pod["status"]["containerStatuses"][0]["state"]["terminated"].is_object();
    let pod = served.until(PODS, "labelSelector=job-name%3Dreading", ended).await;
    let terminated = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
    if terminated["reason"] == "StartError" {
        // This user can't mount.
        assert!(terminated["message"].as_str().unwrap().contains("CAP_SYS_ADMIN"), "{terminated}");
        return;
    }
    assert_eq!((&terminated["exitCode"], &terminated["message"]), (&json!(0), &json!("hush")));
    let name = pod["metadata"]["name"].as_str().unwrap();
    assert_eq!(served.get(&format!("{PODS}/{name}/log")).await.text, "hush");
}
