use std::{io::Read as _, process::Stdio};

use serde_json::Value;

use super::Machine;

#[test]
fn the_log_is_on_stdout_and_the_verdict_on_stderr_and_the_exit_code_is_the_runners() {
    let ended = Machine::new().wm(&["run", "--", "sh", "-c", "echo hello; exit 3"]);
    assert_eq!(ended.text(), "hello\n");
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    // Which phases a run this short is seen in depends on the moment.
    assert!(ended.stderr.contains("phase: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("failed: the runner ended with exit code 3"), "{}", ended.stderr);
    let notes = ended.stderr.matches("no implementation source is set").count();
    assert_eq!(notes, 1, "{}", ended.stderr);
}

#[test]
fn a_chosen_source_is_not_explained() {
    let machine = Machine::new().with("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "local");
    let ended = machine.wm(&["run", "true"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("succeeded: "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("no implementation source"), "{}", ended.stderr);
}

#[test]
fn the_log_comes_out_byte_by_byte() {
    let ended = Machine::new().wm(&["run", "--", "printf", r"a\rc\n\377\001b\n\nlast"]);
    assert_eq!(ended.stdout, b"a\rc\n\xff\x01b\n\nlast");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn json_is_an_object_a_line_from_phase_to_verdict() {
    let ended =
        Machine::new().wm(&["--json", "run", "--id", "nightly", "--", "sh", "-c", "echo hello; exit 4"]);
    let objects = ended.objects();
    assert!(objects.iter().any(|object| object["phase"] == "failed"), "{objects:?}");
    let line = objects.iter().find(|object| object["log"]["line"] == "hello").unwrap();
    assert_eq!(line["log"]["source"]["from"], "output");
    let last = objects.last().unwrap();
    assert_eq!(last["verdict"]["evidence"]["exit_code"], 4);
    assert_eq!(last["verdict"]["outcome"], "failed");
    assert_eq!(last["run"]["workload"], "nightly");
    assert_eq!(last["exit_code"], 4);
    assert_eq!(ended.code, Some(4));
    assert_eq!(ended.stderr, "");
}

#[test]
fn variables_and_secrets_reach_the_program_and_secrets_nothing_else() {
    let machine = Machine::new().with("TOKEN", "hunter2-token").with("MODE", "fast");
    let script = r#"test "$TOKEN" = hunter2-token && test "$KEY" = hunter2=key && test "$MODE" = fast && test "$A" = '$(B) $$'"#;
    for form in [&["run"][..], &["run", "--json"]] {
        let options =
            ["--secret", "TOKEN", "--secret", "KEY=hunter2=key", "--env", "MODE", "-e", "A=$(B) $$"];
        let ended = machine.wm(&[form, &options, &["--", "sh", "-c", script]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.all());
        assert!(
            !ended.all().contains("hunter2-token") && !ended.all().contains("hunter2=key\""),
            "{}",
            ended.all()
        );
    }
}

#[test]
fn a_secret_that_is_nowhere_is_named_without_a_value() {
    let ended = Machine::new().wm(&["run", "--secret", "TOKEN", "true"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("--secret TOKEN") && ended.stderr.contains("next: export it"),
        "{}",
        ended.stderr
    );
    let ended = Machine::new().wm(&["run", "--secret", "=hunter2", "true"]);
    assert_eq!(ended.code, Some(2));
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_time_limit_ends_as_with_timeout() {
    let script = "trap 'exit 143' TERM; while :; do sleep 0.05; done";
    let ended = Machine::new().wm(&["run", "--timeout", "1", "--", "sh", "-c", script]);
    assert_eq!(ended.code, Some(124), "{}", ended.stderr);
    assert!(ended.stderr.contains("time limit"), "{}", ended.stderr);
}

#[test]
fn a_program_that_is_not_there_fails_with_an_explanation() {
    let ended = Machine::new().wm(&["run", "--", "no-such-program"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("no-such-program"), "{}", ended.stderr);
    assert!(ended.stderr.contains("next: "), "{}", ended.stderr);
}

#[test]
fn without_a_command_it_says_what_to_write() {
    let ended = Machine::new().wm(&["run"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("next: name a program"), "{}", ended.stderr);
}

#[test]
fn a_cluster_of_its_own_can_not_be_left_behind() {
    let ended = Machine::new().wm(&["run", "--detach", "true"]);
    assert_eq!(ended.code, Some(125));
    assert!(ended.stderr.contains("wm local"), "{}", ended.stderr);
}

#[test]
fn a_cluster_that_does_not_answer_is_an_error_of_our_own() {
    let machine = Machine::new()
        .with("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "kubernetes")
        .with("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE", "runs")
        .with("ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT", "runner");
    let kubeconfig = machine.state().join("none");
    let machine = machine.with("KUBECONFIG", kubeconfig.to_str().unwrap());
    let ended = machine.wm(&["run", "--json", "--image", "r.io/a:1", "true"]);
    let error = ended.objects().pop().unwrap()["error"].clone();
    assert_ne!(error["message"], Value::Null, "{}", ended.all());
    assert_ne!(error["advice"], Value::Null, "{}", ended.all());
    assert!(matches!(ended.code, Some(2 | 125)), "{}", ended.all());
}

#[test]
fn a_reader_that_leaves_ends_the_command_quietly() {
    let machine = Machine::new();
    let mut child = machine
        .command(&["run", "--", "sh", "-c", "while :; do echo y; done"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(&first, b"y\n");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{stderr}");
}
