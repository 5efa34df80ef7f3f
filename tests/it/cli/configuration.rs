use super::Machine;

const SOURCE: &str = "ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE";
const NAMESPACE: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE";
const SERVICE_ACCOUNT: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT";
const POD_RESOURCES: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_RESOURCES";
const POD_TEMPLATE_PATCH: &str = "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_TEMPLATE_PATCH";

#[test]
fn the_settings_and_where_each_comes_from_are_shown() {
    let machine = Machine::new().with(SOURCE, "local").with(NAMESPACE, "runs");
    let ended = machine.wm(&["config"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let text = ended.text();
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(line(NAMESPACE).contains("environment") && line(NAMESPACE).ends_with("runs"), "{text}");
    assert!(line(SERVICE_ACCOUNT).contains("default"), "{text}");

    let objects = machine.wm(&["config", "--json"]).objects();
    let setting =
        objects.iter().map(|object| &object["setting"]).find(|value| value["variable"] == NAMESPACE);
    assert_eq!(setting.unwrap()["value"], "runs");
}

#[test]
fn all_problems_come_at_once_with_every_command_that_needs_the_configuration() {
    let machine =
        Machine::new().with(SOURCE, "kubernetes").with(NAMESPACE, "Runs_").with(POD_RESOURCES, "{'cpu': 1}");
    for arguments in [&["config"][..], &["run", "true"], &["ps"], &["render", "true"], &["role"]] {
        let ended = machine.wm(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.text(), "");
        for variable in [NAMESPACE, SERVICE_ACCOUNT, POD_RESOURCES] {
            assert!(ended.stderr.contains(variable), "{arguments:?}: {}", ended.stderr);
        }
        assert!(ended.stderr.lines().last().unwrap().contains("next: "), "{}", ended.stderr);
    }
    let ended = machine.wm(&["config", "--json"]);
    assert_eq!(ended.code, Some(2));
    let objects = ended.objects();
    let problems: Vec<_> =
        objects.iter().filter_map(|object| object["problem"]["variable"].as_str()).collect();
    assert_eq!(problems, [NAMESPACE, SERVICE_ACCOUNT, POD_RESOURCES]);
    assert_eq!(objects.last().unwrap()["error"]["kind"], "invalid_config");
}

#[test]
fn a_misspelt_variable_is_refused_with_the_right_name() {
    let machine = Machine::new().with("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPCE", "runs");
    let ended = machine.wm(&["config"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("MANAGER_NAMESPCE") && ended.stderr.contains(NAMESPACE),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unknown_variable_is_a_warning() {
    let machine = Machine::new().with("ZENML_KUBERNETES_WORKLOAD_MANAGER_COLOUR", "blue");
    let ended = machine.wm(&["config"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("warning: ZENML_KUBERNETES_WORKLOAD_MANAGER_COLOUR"), "{}", ended.stderr);
}

#[test]
fn a_secret_value_is_not_shown() {
    let patch = r#"{"metadata": {"annotations": {"a": "hunter2"}}}"#;
    let machine = Machine::new().with(POD_TEMPLATE_PATCH, patch);
    for arguments in [&["config"][..], &["config", "--json"]] {
        let ended = machine.wm(arguments);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(
            ended.all().contains(POD_TEMPLATE_PATCH) && !ended.all().contains("hunter2"),
            "{}",
            ended.all()
        );
    }
}
