use std::fmt::Write as _;

use expect_test::expect_file;
use wm_core::{Evidence, ImageRequest, Outcome, WorkloadId, WorkloadKind};

use super::*;
use crate::{fixture, settings::BuilderSettings};

const DOCKERFILE: &str = "FROM registry.example:5000/debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends 'git' 'rsync'\nRUN pip install uv\nRUN uv pip install --no-cache-dir 'boto3' 'nope==9'";
const IMAGE: &str = "registry.example:5000/zenml-runner:1";

fn wanted(dockerfile: &str) -> Wanted {
    let request =
        ImageRequest::new(WorkloadId::new("w").unwrap(), WorkloadKind::Run, None).with_dockerfile(dockerfile);
    Wanted::new(&request, &BuilderSettings::new("registry.example:5000"), std::time::SystemTime::UNIX_EPOCH)
        .unwrap()
}

/// The end of a container as the cluster tells it.
fn ended(reason: Reason, exit_code: i32, message: &str, log: &[String]) -> Verdict {
    let mut evidence = Evidence::default();
    evidence.exit_code = Some(exit_code);
    evidence.log_tail = log[log.len().saturating_sub(50)..].to_vec();
    Verdict::new(Outcome::Failed, reason, message, "the cluster's own advice").with_evidence(evidence)
}

fn shown(name: &str, verdict: &Verdict) -> String {
    let line = verdict.evidence.facts.get("dockerfile line").map_or("-", String::as_str);
    format!(
        "{name}\n  {} {:?}: {}\n  next: {}\n  line: {line}\n",
        verdict.reason,
        kind(verdict),
        verdict.message,
        verdict.advice
    )
}

#[test]
fn real_outcomes_of_kaniko_are_understood() {
    let mut text = String::new();
    for name in ["bad-dockerfile", "failing-run", "missing-base", "oom", "registry-down"] {
        let recording = fixture::recording(name);
        let dockerfile = recording["template"]["metadata"]["annotations"]["wm/dockerfile"].as_str().unwrap();
        let terminated = &recording["terminated"];
        let reason = if terminated["reason"] == "OOMKilled" { Reason::OutOfMemory } else { Reason::ExitCode };
        let log: Vec<String> = serde_json::from_value(recording["log"].clone()).unwrap();
        let code = i32::try_from(terminated["exitCode"].as_i64().unwrap()).unwrap();
        let verdict = explain(ended(reason, code, "", &log), &wanted(dockerfile));
        assert!(!verdict.is_success() && !verdict.advice.is_empty());
        text += &shown(name, &verdict);
    }
    expect_file!["../../tests/data/golden/kaniko-outcomes.txt"].assert_eq(&text);
}

/// One failing build: how its container ended, the end of its log, and what the verdict has to name and to advise.
struct Case {
    name: &'static str,
    reason: Reason,
    log: &'static str,
    names: &'static str,
    advises: &'static str,
}

const fn case(name: &'static str, log: &'static str, names: &'static str, advises: &'static str) -> Case {
    Case { name, reason: Reason::ExitCode, log, names, advises }
}

const fn killed(name: &'static str, reason: Reason, names: &'static str, advises: &'static str) -> Case {
    Case { name, reason, log: "", names, advises }
}

const CASES: &[Case] = &[
    case(
        "parse error, buildkit",
        "ERROR: failed to build: failed to solve: dockerfile parse error on line 3: unknown instruction: RNU (did you mean RUN?)",
        "unknown instruction: RNU",
        "mend the line",
    ),
    case(
        "parse error, buildah",
        "Error: dockerfile parse error line 3: unknown instruction: RNU",
        "unknown instruction: RNU",
        "mend the line",
    ),
    case(
        "missing base, buildkit",
        "ERROR: failed to build: failed to solve: registry.example:5000/nope:1: failed to resolve source metadata for registry.example:5000/nope:1: registry.example:5000/nope:1: not found",
        "nope:1",
        "FROM line",
    ),
    case(
        "missing base, buildah",
        "Error: creating build container: initializing source docker://registry.example:5000/nope:1: reading manifest 1 in registry.example:5000/nope: manifest unknown",
        "base image does not exist",
        "FROM line",
    ),
    case(
        "base refused, kaniko",
        "error building image: unable to complete operation after 0 attempts, last error: GET https://registry.example:5000/v2/private/manifests/1: UNAUTHORIZED: authentication required; []",
        "may not pull",
        "BUILDER_DOCKER_CONFIG_SECRET",
    ),
    case(
        "base refused, buildkit",
        "ERROR: failed to solve: private:1: failed to resolve source metadata for docker.io/library/private:1: pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed",
        "private:1",
        "BUILDER_DOCKER_CONFIG_SECRET",
    ),
    case(
        "base rate limited, kaniko",
        "error building image: unable to complete operation after 3 attempts, last error: GET https://index.docker.io/v2/library/debian/manifests/12: TOOMANYREQUESTS: You have reached your pull rate limit",
        "limits how often",
        "BUILDER_MIRRORS",
    ),
    case(
        "base registry down, kaniko",
        "error building image: unable to complete operation after 3 attempts, last error: Get \"https://registry.example:5000/v2/\": dial tcp 192.0.2.1:5000: connect: connection refused",
        "registry of the base image can't be reached",
        "BUILDER_MIRRORS",
    ),
    case(
        "base of another architecture, kaniko",
        "error building image: error building stage: failed to execute command: starting command: fork/exec /bin/sh: exec format error",
        "architecture",
        "BUILDER_PLATFORM",
    ),
    case(
        "base of another architecture, buildkit",
        "ERROR: failed to solve: debian:12: failed to resolve source metadata for docker.io/library/debian:12: no match for platform in manifest: not found",
        "architecture",
        "BUILDER_PLATFORM",
    ),
    case(
        "missing Python package, pip",
        "Running: [/bin/sh -c uv pip install --no-cache-dir 'boto3' 'nope==9']\nERROR: Could not find a version that satisfies the requirement nope==9 (from versions: none)\nERROR: No matching distribution found for nope==9\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 1",
        "nope==9",
        "names and versions",
    ),
    case(
        "missing Python package, uv",
        "  \u{d7} No solution found when resolving dependencies:\n  \u{2570}\u{2500}\u{25b6} Because nope was not found in the package registry and you require nope==9, we can conclude that your requirements are unsatisfiable.\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 1",
        "at line 4",
        "names and versions",
    ),
    case(
        "missing Python package, buildkit",
        "#8 [4/4] RUN uv pip install --no-cache-dir 'boto3' 'nope==9'\n#8 0.412   \u{d7} No solution found when resolving dependencies:\n#8 ERROR: process \"/bin/sh -c uv pip install --no-cache-dir 'boto3' 'nope==9'\" did not complete successfully: exit code: 1\nDockerfile:4\nERROR: failed to solve: process \"/bin/sh -c uv pip install --no-cache-dir 'boto3' 'nope==9'\" did not complete successfully: exit code: 1",
        "at line 4",
        "names and versions",
    ),
    case(
        "missing Debian package, buildah",
        "STEP 2/4: RUN apt-get update && apt-get install -y --no-install-recommends 'git' 'rsync'\nE: Unable to locate package rsync\nsubprocess exited with status 100\nError: building at STEP \"RUN apt-get update && apt-get install -y --no-install-recommends 'git' 'rsync'\": exit status 100",
        "Unable to locate package rsync",
        "name of the package",
    ),
    case(
        "package server unreachable",
        "W: Failed to fetch http://deb.debian.org/debian/dists/bookworm/InRelease  Temporary failure resolving 'deb.debian.org'\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 100",
        "package server can't be reached",
        "proxy",
    ),
    case(
        "no space, pip",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 1",
        "ran out of disk",
        "ephemeral-storage",
    ),
    case(
        "no space, unpacking",
        "time=\"2026-11-23T23:06:14Z\" level=info msg=\"Unpacking rootfs as cmd RUN pip install uv requires it.\"\nerror building image: error building stage: failed to get filesystem from image: write /usr/lib/x: no space left on device",
        "ran out of disk",
        "ephemeral-storage",
    ),
    case(
        "no memory, not told by the node",
        "Killed\n#8 ERROR: process \"/bin/sh -c uv pip install --no-cache-dir 'boto3' 'nope==9'\" did not complete successfully: exit code: 137",
        "want of memory",
        "BUILDER_RESOURCES",
    ),
    case(
        "missing program",
        "/bin/sh: 1: uv: not found\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 127",
        "not in the image",
        "base image that has it",
    ),
    case(
        "base image of another user",
        "RUN apt-get update && apt-get install -y --no-install-recommends 'git' 'rsync'\nE: Could not open lock file /var/lib/apt/lists/lock - open (13: Permission denied)\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 100",
        "refused something",
        "USER root",
    ),
    case(
        "push refused before the build, kaniko",
        "error checking push permissions: checking push permission for \"registry.example:5000/zenml-runner:1\": POST https://registry.example:5000/v2/zenml-runner/blobs/uploads/: UNAUTHORIZED: authentication required; [map[Action:push Type:repository]]",
        "may not push",
        "BUILDER_DOCKER_CONFIG_SECRET",
    ),
    case(
        "push refused, buildkit",
        "ERROR: failed to build: failed to solve: failed to push registry.example:5000/zenml-runner:1: push access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials",
        "may not push",
        "right to push",
    ),
    case(
        "push refused, buildah",
        "Error: trying to reuse blob sha256:00 at destination: checking whether a blob sha256:00 exists in registry.example:5000/zenml-runner: authentication required",
        "may not push",
        "right to push",
    ),
    case(
        "missing repository, ECR",
        "error checking push permissions: checking push permission for \"123.dkr.ecr.eu-central-1.amazonaws.com/zenml-runner:1\": POST https://123.dkr.ecr.eu-central-1.amazonaws.com/v2/zenml-runner/blobs/uploads/: NAME_UNKNOWN: The repository with name 'zenml-runner' does not exist in the registry with id '123'",
        "no such repository",
        "create the repository",
    ),
    case(
        "registry down before the build, kaniko",
        "error checking push permissions: checking push permission for \"registry.example:5999/zenml-runner:1\": creating push check transport for registry.example:5999 failed: Get \"https://registry.example:5999/v2/\": dial tcp registry.example:5999: connect: connection refused",
        "can't be reached",
        "DOCKER_REGISTRY",
    ),
    case(
        "registry down during the push, kaniko",
        "error pushing image: failed to push to destination registry.example:5000/zenml-runner:1: PUT https://registry.example:5000/v2/zenml-runner/manifests/1: unexpected status code 503 Service Unavailable",
        "can't be reached",
        "launch again",
    ),
    case(
        "registry full, kaniko",
        "error pushing image: failed to push to destination registry.example:5000/zenml-runner:1: PATCH https://registry.example:5000/v2/zenml-runner/blobs/uploads/1: DENIED: adding 1.2 GiB of storage resource, which when updated to current usage will exceed the configured upper limit: quota exceeded",
        "no room",
        "delete images",
    ),
    case(
        "immutable tag, buildkit",
        "ERROR: failed to solve: failed to push registry.example:5000/zenml-runner:1: unexpected status from PUT request: 400 Bad Request: TAG_INVALID: The image tag '1' already exists in the 'zenml-runner' repository and cannot be overwritten because the repository is immutable.",
        "tags can't be changed",
        "delete the tag",
    ),
    case(
        "untrusted certificate",
        "error checking push permissions: checking push permission for \"registry.example:5000/zenml-runner:1\": creating push check transport for registry.example:5000 failed: Get \"https://registry.example:5000/v2/\": tls: failed to verify certificate: x509: certificate signed by unknown authority",
        "not trusted",
        "BUILDER_CA_BUNDLE_CONFIG_MAP",
    ),
    case(
        "registry without TLS",
        "Error: trying to reuse blob sha256:00 at destination: pinging container registry registry.example:5000: Get \"https://registry.example:5000/v2/\": http: server gave HTTP response to HTTPS client",
        "plain HTTP",
        "PLAIN_HTTP_REGISTRIES",
    ),
    case(
        "no namespaces, buildkit",
        "[rootlesskit:parent] error: failed to start the child: fork/exec /proc/self/exe: operation not permitted",
        "namespaces",
        "kaniko",
    ),
    case(
        "an ordinary command",
        "RUN pip install uv\nsome words\nerror building image: error building stage: failed to execute command: waiting for process to exit: exit status 3",
        "at line 3",
        "read the build's log",
    ),
    case(
        "something new",
        "panic: runtime error: index out of range",
        "index out of range",
        "read the build's log",
    ),
    case("nothing said", "", "its log says nothing", "read the build's log"),
    killed("out of memory", Reason::OutOfMemory, "out of memory", "BUILDER_RESOURCES"),
    killed("deadline", Reason::DeadlineExceeded, "longer than it may", "BUILDER_TIMEOUT_SECONDS"),
    killed("evicted", Reason::Evicted, "evicted", "ephemeral-storage"),
    killed("the builder's image", Reason::ImagePull, "builder's own image", "BUILDER_IMAGE"),
    killed("refused by Pod Security", Reason::Refused, "refuses the builder's pod", "BUILDER_ENGINE"),
    killed("the node is gone", Reason::NodeLost, "what the cluster says", "the cluster's own advice"),
];

#[test]
fn each_failure_names_its_cause_and_what_to_do() {
    let mut text = String::new();
    for Case { name, reason, log, names, advises } in CASES {
        let log: Vec<String> = log.lines().map(str::to_owned).collect();
        let verdict = explain(ended(*reason, 1, "what the cluster says", &log), &wanted(DOCKERFILE));
        assert!(verdict.message.contains(names), "{name}: {verdict}");
        assert!(verdict.advice.contains(advises), "{name}: {}", verdict.advice);
        assert!(!verdict.message.contains('\n') && !verdict.message.ends_with('.'), "{name}: {verdict}");
        _ = write!(text, "{}", shown(name, &verdict));
    }
    expect_file!["../../tests/data/golden/failures.txt"].assert_eq(&text);
}

#[test]
fn the_verdict_is_in_the_error_that_everyone_gets() {
    let log = ["RUN pip install uv".to_owned(), "exit status 3".to_owned()];
    let wanted = wanted(DOCKERFILE);
    let verdict = explain(ended(Reason::ExitCode, 3, "", &log), &wanted);
    let (id, fingerprint) = crate::plan::Fingerprint::new().field("x").finish();
    let plan = BuildPlan {
        id,
        fingerprint,
        image: IMAGE.parse().unwrap(),
        template: serde_json::Value::Null,
        secrets: std::collections::BTreeMap::new(),
        timeout: std::time::Duration::from_secs(1),
    };
    let error = BuildFailed::new(&plan, Attempt::FIRST, verdict.clone()).to_error();
    assert!(error.to_string().contains(IMAGE) && error.to_string().contains("RUN pip install uv"), "{error}");
    let failed: &BuildFailed = error.source().unwrap().downcast_ref().unwrap();
    assert_eq!(failed.verdict(), &verdict);
    assert!(!error.is_retryable());
}
