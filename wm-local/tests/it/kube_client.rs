//! A client library in common use works, with nothing but the kubeconfig.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Event, Pod, Secret},
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{DeleteParams, ListParams, LogParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    runtime::wait::{await_condition, conditions::is_job_completed},
};
use serde_json::json;

use crate::client::{Served, job};

async fn client(served: &Served) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&served.cluster.kubeconfig()).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_job_with_a_secret_is_created_followed_read_and_deleted() {
    let served = Served::start().await;
    let client = client(&served).await;
    let jobs: Api<Job> = Api::default_namespaced(client.clone());
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let mut manifest = job("greeting", "echo $GREETING");
    manifest["spec"]["template"]["spec"]["containers"][0]["env"] =
        json!([{"name": "GREETING", "valueFrom": {"secretKeyRef": {"name": "greeting", "key": "text"}}}]);
    let manifest: Job = serde_json::from_value(manifest).unwrap();
    let created = jobs.create(&PostParams::default(), &manifest).await.unwrap();
    let owner = json!([{"apiVersion": "batch/v1", "kind": "Job", "name": "greeting", "uid": created.uid()}]);
    let secret =
        json!({"metadata": {"name": "greeting", "ownerReferences": owner}, "stringData": {"text": "hello"}});
    secrets.create(&PostParams::default(), &serde_json::from_value(secret).unwrap()).await.unwrap();
    await_condition(jobs.clone(), "greeting", is_job_completed()).await.unwrap();
    let selector = ListParams::default().labels("job-name=greeting");
    let pod = pods.list(&selector).await.unwrap().items.remove(0);
    assert_eq!(pods.logs(&pod.name_any(), &LogParams::default()).await.unwrap(), "hello\n");
    let events: Api<Event> = Api::default_namespaced(client);
    let about = ListParams::default().fields(&format!("involvedObject.uid={}", created.uid().unwrap()));
    let reasons: Vec<_> =
        events.list(&about).await.unwrap().items.into_iter().filter_map(|event| event.reason).collect();
    assert!(reasons.contains(&"SuccessfulCreate".to_owned()), "{reasons:?}");
    jobs.delete("greeting", &DeleteParams::background()).await.unwrap();
    assert_eq!(jobs.get_opt("greeting").await.unwrap(), None);
    served.cluster.shutdown().await;
}
