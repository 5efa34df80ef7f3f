//! Builds whose builder is a script, on an embedded cluster on which things go wrong.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;
use wm_config::variable;

use super::{Machine, Running};

const DIGEST: &str = "sha256:262da7b14968ecf0c6d9c058a0c5d28dcfb9c0cf483d3c987bd2da129d0b635d";

/// A machine whose `buildah` is a script, which notes each image that it has pushed.
fn machine(build: &str) -> Machine {
    let machine = Machine::new();
    let directory = machine.state().join("bin");
    fs::create_dir(&directory).unwrap();
    let pushed = machine.state().join("pushed");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nbuild) {build} ;;\npush) printf %s {DIGEST} > \"${{2#--digestfile=}}\"; echo x >> {} ;;\nesac\n",
        pushed.display()
    );
    let program = directory.join("buildah");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
    machine
        .with("PATH", path)
        .with(variable::BUILD_RUNNER_IMAGE, "true")
        // Nothing listens there, so nobody can tell what is in the registry.
        .with(variable::DOCKER_REGISTRY, "127.0.0.1:1/team")
        .with(variable::PLAIN_HTTP_REGISTRIES, "127.0.0.1:1")
        .with(variable::BUILDER_ENGINE, "buildah")
}

fn serve(machine: &Machine, faults: &[&str]) -> Running {
    let mut arguments = vec!["local", "--json"];
    for fault in faults {
        arguments.extend(["--fault", fault]);
    }
    let mut server = machine.start(&arguments);
    let told: Value = serde_json::from_str(&server.line()).unwrap();
    assert!(told["local"]["url"].is_string(), "{told}");
    server
}

const BUILD: [&str; 4] = ["image", "build", "--parent", "registry.example.com/base:1"];

fn pushes(machine: &Machine) -> usize {
    fs::read_to_string(machine.state().join("pushed")).map_or(0, |text| text.lines().count())
}

#[test]
fn processes_that_need_one_image_at_the_same_time_share_one_build() {
    let machine = machine("sleep 1; echo made");
    let _server = serve(&machine, &[]);
    let running: Vec<Running> = (0..3).map(|_| machine.start(&BUILD)).collect();
    for one in running {
        let ended = one.end();
        assert_eq!(ended.code, Some(0), "{}", ended.all());
        assert_eq!(ended.text(), format!("127.0.0.1:1/team/zenml-runner@{DIGEST}\n"), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("made\n").count(), 1, "the log is each one's: {}", ended.stderr);
    }
    assert_eq!(pushes(&machine), 1);
    // It can't be looked up, and is not built again all the same, as long as its Job is there.
    let late = machine.wm(&BUILD);
    assert_eq!(late.text(), format!("127.0.0.1:1/team/zenml-runner@{DIGEST}\n"), "{}", late.all());
    assert_eq!(pushes(&machine), 1);
}

#[test]
fn what_the_cluster_does_to_a_builder_is_told_in_the_words_of_a_build() {
    let none: &[(&'static str, &str)] = &[];
    let cases = [
        ("oom=start", none, "the builder ran out of memory", "BUILDER_RESOURCES"),
        ("evict=before-start", none, "the builder was evicted", "ephemeral-storage"),
        ("image=not-found", none, "the builder's own image does not start", "BUILDER_IMAGE"),
        (
            "latency=1ms",
            &[(variable::BUILDER_TIMEOUT_SECONDS, "1")],
            "longer than it may",
            "BUILDER_TIMEOUT_SECONDS",
        ),
        (
            "admission=pod-security,resources=pods",
            &[(variable::SCHEDULE_TIMEOUT_SECONDS, "10")],
            "refuses the builder's pod",
            "BUILDER_ENGINE",
        ),
    ];
    for (fault, settings, says, advises) in cases {
        let mut machine = machine("echo begun; sleep 600");
        for (name, value) in settings {
            machine = machine.with(name, *value);
        }
        let _server = serve(&machine, &[fault]);
        let ended = machine.wm(&BUILD);
        assert_eq!(ended.code, Some(1), "{fault}: {}", ended.all());
        assert!(ended.stderr.contains(says), "{fault}: {}", ended.stderr);
        let next = ended.stderr.lines().find(|line| line.starts_with("  next: ")).unwrap();
        assert!(next.contains(advises), "{fault}: {}", ended.stderr);
    }
}

#[test]
fn a_build_is_ridden_through_what_passes() {
    for fault in [
        "response-lost,verbs=create,resources=jobs,count=1",
        "error=503,verbs=create,resources=jobs,count=2",
        "error=500,verbs=get|list,rate=0.2",
        "watch-end,events=1,count=5",
        "evict=before-start,disruption,count=1",
    ] {
        let machine = machine("echo made");
        let _server = serve(&machine, &[fault]);
        let ended = machine.wm(&BUILD);
        assert_eq!(
            ended.text(),
            format!("127.0.0.1:1/team/zenml-runner@{DIGEST}\n"),
            "{fault}: {}",
            ended.all()
        );
        assert_eq!(pushes(&machine), 1, "{fault}: {}", ended.all());
    }
}
