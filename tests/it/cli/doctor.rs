use wm_config::variable;
use wm_local::{Cluster, ClusterOptions, Identity, Role};

use super::Machine;

/// A machine whose kubeconfig leads to a cluster.
fn on(kubeconfig: &str) -> Machine {
    let machine = Machine::new()
        .with(variable::IMPLEMENTATION_SOURCE, "kubernetes")
        .with(variable::NAMESPACE, "default")
        .with(variable::SERVICE_ACCOUNT, "default");
    let path = machine.state().join("kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    let path = path.to_str().unwrap().to_owned();
    machine.with("KUBECONFIG", path)
}

#[test]
fn the_embedded_cluster_is_ready() {
    let ended = Machine::new().wm(&["doctor"]);
    assert_eq!(ended.code, Some(0), "{}", ended.all());
    assert!(ended.text().ends_with("ready: 0 failure(s), 0 warning(s)\n"), "{}", ended.text());
    assert!(
        ended.stderr.contains("embedded cluster") && ended.stderr.contains("=kubernetes"),
        "{}",
        ended.stderr
    );
    let ended = Machine::new().wm(&["doctor", "--fix-plan"]);
    assert_eq!((ended.code, ended.text().as_str()), (Some(0), ""), "{}", ended.stderr);
}

#[test]
fn a_cluster_that_nobody_serves_is_told_with_what_to_do() {
    let cluster = "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: a, user: {token: t}}]\n";
    let ended = on(cluster).wm(&["doctor"]);
    assert_eq!(ended.code, Some(5), "{}", ended.all());
    assert!(ended.text().contains("next: kubectl cluster-info"), "{}", ended.text());
    assert!(ended.text().ends_with("not ready: 1 failure(s), 0 warning(s)\n"), "{}", ended.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_told_with_the_variable_that_mends_it_and_planned_as_yaml() {
    let cluster = Cluster::start(ClusterOptions::default()).await.unwrap();
    let rules = serde_json::json!([
        { "apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "deletecollection"] },
        { "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] },
    ]);
    let server = Identity::service_account("default", "zenml");
    let token = cluster.grant(server.with_role(Role::from_json("default", &rules).unwrap())).unwrap();
    let kubeconfig = cluster.kubeconfig_for(&token);
    let machine = on(&kubeconfig).with(variable::PLAIN_SECRETS, "refuse");
    let look = |arguments: &[&str]| tokio::task::block_in_place(|| machine.wm(arguments));
    let ended = look(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(5), "{}", ended.all());
    let objects = ended.objects();
    let failures: Vec<_> = objects
        .iter()
        .map(|object| &object["finding"])
        .filter(|finding| finding["severity"] == "failure")
        .map(|finding| finding["message"].as_str().unwrap())
        .collect();
    assert_eq!(failures.len(), 2, "{failures:?}");
    assert!(failures[0].contains("may not get pods/log") && failures[1].contains("may not create secrets"));
    assert_eq!(objects.last().unwrap()["report"]["ready"], false);

    let plan: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&look(&["doctor", "--fix-plan"]).text()).unwrap();
    assert_eq!(plan[0]["kind"], "Role");
    let rules = plan[0]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["resources"][0] == "pods/log" && rule["verbs"][0] == "get"));
    let subject = serde_json::json!({ "kind": "ServiceAccount", "name": "zenml", "namespace": "default" });
    assert_eq!(plan[1]["subjects"][0], subject);
}

#[test]
fn an_option_is_told_by_a_variable_that_there_is() {
    let configuration = workload_manager::Setup::new().default_source("local").load().unwrap();
    for (option, name) in [
        ("pod_resources", variable::POD_RESOURCES),
        ("pod_security", variable::POD_SECURITY),
        ("pod_template_patch", variable::POD_TEMPLATE_PATCH),
        ("pod_failure_policy", variable::POD_FAILURE_POLICY),
    ] {
        assert_eq!(configuration.variable(option).as_deref(), Some(name));
    }
}
