use std::process::Stdio;

use serde_json::Value;

use super::Machine;

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

#[test]
fn render_prints_the_manifests_without_secret_values() {
    let machine = Machine::new();
    let arguments = [
        "render",
        "--id",
        "nightly",
        "--image",
        "r.io/app:1",
        "--secret",
        "TOKEN=hunter2",
        "--",
        "sh",
        "-c",
        "echo $$",
    ];
    let ended = machine.wm(&arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.all().contains("hunter2"), "{}", ended.all());
    let objects = documents(&ended.text());
    assert_eq!(objects[0]["kind"], "Job");
    assert_eq!(objects[0]["metadata"]["name"], "runner-nightly-1");
    assert_eq!(objects[0]["spec"]["template"]["spec"]["containers"][0]["image"], "r.io/app:1");
    assert_eq!(objects[1]["kind"], "Secret");

    let json = machine.wm(&[&["--json"][..], &arguments].concat());
    assert_eq!(json.objects(), objects);
}

#[test]
fn render_without_an_image_says_how_to_give_one() {
    let machine = Machine::new()
        .with("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "kubernetes")
        .with("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE", "runs")
        .with("ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT", "runner");
    let ended = machine.wm(&["render", "true"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--image"), "{}", ended.stderr);
}

#[test]
fn the_roles_are_what_kubectl_applies() {
    let machine = Machine::new().with("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE", "runs");
    let ended = machine.wm(&["role", "--server", "zenml", "--server-namespace", "servers"]);
    let full = documents(&ended.text());
    let kinds: Vec<_> = full.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ServiceAccount", "Role", "RoleBinding"]);
    assert!(full.iter().all(|object| object["metadata"]["namespace"] == "runs"), "{}", ended.text());
    assert_eq!(full[2]["subjects"][0]["name"], "zenml");
    assert_eq!(full[2]["subjects"][0]["namespace"], "servers");
    let narrow = machine.wm(&["role", "--narrow", "--json"]).objects();
    assert_eq!(narrow[1]["rules"][0]["verbs"], serde_json::json!(["create", "get", "deletecollection"]));
    assert_ne!(narrow[1]["rules"], full[1]["rules"]);
}

#[test]
fn every_shell_has_completions_for_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = Machine::new().wm(&["completions", shell]);
        assert_eq!(ended.code, Some(0));
        for command in
            ["run", "ps", "status", "logs", "cancel", "delete", "render", "config", "doctor", "role", "local"]
        {
            assert!(ended.text().contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn the_help_teaches_the_exit_codes_and_the_first_command() {
    let ended = Machine::new().wm(&["--help"]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.text().contains("wm run -- sh -c 'echo hello; exit 3'"));
    assert!(ended.text().contains("Exit codes:"));
}

#[test]
fn wrong_usage_is_an_object_too_where_objects_are_wanted() {
    let ended = Machine::new().wm(&["status", "--json", "--nonsense"]);
    assert_eq!(ended.code, Some(2));
    assert_eq!(ended.objects()[0]["error"]["kind"], "invalid_request");
    let ended = Machine::new().wm(&["status", "Not_An_Id"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("1 to 45"), "{}", ended.stderr);
}

#[test]
fn nobody_to_read_is_no_error() {
    let machine = Machine::new();
    let mut child =
        machine.command(&["config"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(output.status.code(), Some(0));
}
