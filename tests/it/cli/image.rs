use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};
use wm_config::variable;

use super::{Ended, Machine};
use crate::images::parts::{PASSWORD, Registry};

#[test]
fn a_dockerfile_is_generated_with_its_hash() {
    let machine = Machine::new();
    let arguments = [
        "image",
        "dockerfile",
        "--parent",
        "zenmldocker/zenml:0.98.0-py3.11",
        "--apt",
        "git",
        "--pip",
        "boto3",
    ];
    let ended = machine.wm(&arguments);
    assert!(ended.text().ends_with("RUN uv pip install --no-cache-dir 'boto3'\n"), "{}", ended.all());
    assert!(ended.stderr.contains("ad23ff19499df59aa21d8df068a7debc"), "{}", ended.stderr);
    let object =
        machine.wm(&[&["--json"][..], &arguments, &["--without-uv"]].concat()).objects().pop().unwrap();
    assert!(
        object["dockerfile"].as_str().unwrap().contains("RUN pip install --default-timeout=60"),
        "{object}"
    );
    assert_eq!(machine.wm(&["image", "dockerfile", "--parent", "a", "--pip", "a\nb"]).code, Some(2));
}

#[test]
fn the_image_of_a_runner_is_told_without_asking_anybody() {
    let reuse = Machine::new();
    let ended = reuse.wm(&["image", "resolve", "--image", "r.io/a:1"]);
    assert_eq!(ended.text(), "r.io/a:1\n", "{}", ended.stderr);
    assert!(ended.stderr.contains("reused"), "{}", ended.stderr);
    assert_eq!(reuse.wm(&["image", "resolve"]).code, Some(2));
    assert_eq!(reuse.wm(&["image", "build", "--parent", "a"]).code, Some(5), "nothing is built here");

    let build = Machine::new()
        .with(variable::BUILD_RUNNER_IMAGE, "true")
        .with(variable::DOCKER_REGISTRY, "registry.example.com/team");
    let from = ["--parent", "zenmldocker/zenml:0.98.0-py3.12"];
    let ended = build.wm(&[&["image", "resolve"][..], &from].concat());
    assert_eq!(ended.text(), "registry.example.com/team/zenml-runner:6b04b49db060cc779055da6c9b8434d2\n");
    let given = build.wm(&["image", "resolve", "--image", "r.io/a:1"]);
    assert_eq!(given.text(), "r.io/a:1\n", "{}", given.stderr);
    let lacking = build.wm(&["image", "resolve"]);
    assert!(lacking.code == Some(2) && lacking.stderr.contains("--dockerfile"), "{}", lacking.all());
    let lone = build.wm(&["image", "resolve", "--pip", "a"]);
    assert!(lone.code == Some(2) && lone.stderr.contains("--parent"), "{}", lone.all());

    let dry = build.wm(&[&["--json", "image", "build", "--dry-run"][..], &from].concat());
    let pod = dry.objects().pop().unwrap();
    assert_eq!(pod["kind"], "PodTemplate");
    let builder = &pod["template"]["spec"]["containers"][0];
    assert_eq!(builder["name"], "builder");
    assert!(builder["image"].as_str().unwrap().contains("kaniko"), "{builder}");
}

#[test]
fn a_registry_that_nobody_can_ask_has_an_exit_code_of_its_own() {
    // Nothing listens on port 1.
    let machine = Machine::new()
        .with(variable::PIN_IMAGE_DIGESTS, "true")
        .with(variable::PLAIN_HTTP_REGISTRIES, "127.0.0.1:1");
    let ended = machine.wm(&["image", "probe", "127.0.0.1:1/a:1"]);
    assert_eq!(ended.code, Some(5), "{}", ended.all());
    assert!(ended.stderr.contains("nobody can tell"), "{}", ended.stderr);
    let object = machine.wm(&["--json", "image", "probe", "127.0.0.1:1/a:1"]).objects().pop().unwrap();
    assert_eq!(object["probe"]["state"], "unknown");
}

/// Makes a Secret on the cluster of a `wm local`.
fn create(told: &Value, object: &Value) {
    let kubeconfig: Value =
        serde_saphyr::from_str(&std::fs::read_to_string(told["kubeconfig"].as_str().unwrap()).unwrap())
            .unwrap();
    let token = kubeconfig["users"][0]["user"]["token"].as_str().unwrap();
    let host = told["url"].as_str().unwrap().strip_prefix("http://").unwrap();
    let body = object.to_string();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "POST /api/v1/namespaces/default/secrets HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

fn last_line(ended: &Ended) -> String {
    ended.text().lines().last().unwrap_or_default().to_owned()
}

#[test]
#[ignore = "needs docker-registry and buildah"]
fn a_builder_pushes_with_the_credentials_of_a_secret_and_no_secret_is_shown() {
    let registry = Registry::start(true, false);
    registry.push_base("team/base:1");
    let machine = Machine::new()
        .with(variable::BUILD_RUNNER_IMAGE, "true")
        .with(variable::DOCKER_REGISTRY, format!("{}/team", registry.host()))
        .with(variable::BUILDER_ENGINE, "buildah")
        .with(variable::PLAIN_HTTP_REGISTRIES, registry.host());
    let mut server = machine.start(&["local", "--json"]);
    let told: Value = serde_json::from_str(&server.line()).unwrap();
    let dockerfile = machine.state().join("Dockerfile");
    std::fs::write(&dockerfile, format!("FROM {}/team/base:1\nRUN echo made", registry.host())).unwrap();
    let build = ["image", "build", "--dockerfile", dockerfile.to_str().unwrap()];

    let refused = machine.wm(&build);
    assert_eq!(refused.code, Some(1), "{}", refused.all());
    assert!(refused.stderr.contains("may not pull the base image"), "{}", refused.stderr);
    assert!(refused.stderr.contains("next: name a Secret with credentials"), "{}", refused.stderr);

    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "credentials" },
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": { ".dockerconfigjson": registry.docker_config(PASSWORD) },
    });
    let told = &told["local"];
    create(told, &secret);
    let machine = machine.with(variable::BUILDER_DOCKER_CONFIG_SECRET, "credentials");
    let built = machine.wm(&build);
    assert_eq!(built.code, Some(0), "{}", built.all());
    assert!(built.stderr.contains("made\n"), "its log is shown: {}", built.stderr);
    // Without credentials of its own the server can't look, so the builder's word counts.
    assert!(built.stderr.contains("does not confirm it"), "{}", built.stderr);
    let image = last_line(&built);
    assert!(image.contains("/team/zenml-runner@sha256:"), "{image}");

    let own = machine.state().join("config.json");
    std::fs::write(&own, registry.docker_config(PASSWORD)).unwrap();
    let machine = machine.with(variable::DOCKER_CONFIG_FILE, own.display().to_string());
    let found = machine.wm(&["image", "probe", "--dockerfile", dockerfile.to_str().unwrap()]);
    assert_eq!(last_line(&found), image, "{}", found.all());
    let again = machine.wm(&build);
    assert_eq!(last_line(&again), image, "{}", again.all());
    assert!(again.stderr.contains("it was built before"), "{}", again.stderr);

    for ended in [&refused, &built, &found, &again] {
        assert!(!ended.all().contains(PASSWORD), "{}", ended.all());
    }
    server.signal("TERM");
    let all = server.end().all();
    assert!(!all.contains(PASSWORD), "{all}");
}
