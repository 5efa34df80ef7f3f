//! Values that must not pass, each on its own: picked by hand, and derived from the table's own examples.

use wm_config::variable::{
    BUCKET, BUILD_RUNNER_IMAGE, BUILDER_CA_BUNDLE_CONFIG_MAP, BUILDER_CACHE_REPOSITORY,
    BUILDER_DOCKER_CONFIG_SECRET, BUILDER_ENGINE, BUILDER_IMAGE, BUILDER_MAXIMUM_AGE_SECONDS,
    BUILDER_MIRRORS, BUILDER_PLATFORM, BUILDER_REBUILD_SALT, BUILDER_RESOURCES, BUILDER_SERVICE_ACCOUNT,
    BUILDER_TIMEOUT_SECONDS, CREATE_REPOSITORIES, DOCKER_CONFIG_FILE, DOCKER_REGISTRY, ENABLE_EXTERNAL_LOGS,
    IMAGE_PULL_GRACE_SECONDS, IMAGE_PULL_POLICY, IMAGE_PULL_SECRETS, IMPLEMENTATION_SOURCE,
    JOB_BACKOFF_LIMIT, KUBECONFIG_CONTEXT, LOG_ARCHIVE, MAX_CONCURRENT_SNAPSHOT_RUNS,
    MAX_CONCURRENT_TEMPLATE_RUNS, MAX_QUEUED_SNAPSHOT_RUNS, NAMESPACE, NODE_SELECTOR, PIN_IMAGE_DIGESTS,
    PLAIN_HTTP_REGISTRIES, PLAIN_SECRETS, POD_FAILURE_POLICY, POD_RESOURCES, POD_SECURITY,
    POD_TEMPLATE_PATCH, REGION, RUNNER_IMAGE, S3_ENCRYPTION, S3_ENDPOINT, SCHEDULE_TIMEOUT_SECONDS,
    SERVICE_ACCOUNT, START_RETRIES, START_TIMEOUT_SECONDS, TERMINATION_GRACE_PERIOD_SECONDS, TOLERATIONS,
    TTL_SECONDS_AFTER_FINISHED,
};

use crate::problems;

const BOOLEANS: [&str; 4] =
    [CREATE_REPOSITORIES, BUILD_RUNNER_IMAGE, ENABLE_EXTERNAL_LOGS, PIN_IMAGE_DIGESTS];
const INTEGERS: [&str; 12] = [
    BUILDER_MAXIMUM_AGE_SECONDS,
    BUILDER_TIMEOUT_SECONDS,
    IMAGE_PULL_GRACE_SECONDS,
    SCHEDULE_TIMEOUT_SECONDS,
    START_TIMEOUT_SECONDS,
    START_RETRIES,
    JOB_BACKOFF_LIMIT,
    MAX_CONCURRENT_SNAPSHOT_RUNS,
    MAX_CONCURRENT_TEMPLATE_RUNS,
    MAX_QUEUED_SNAPSHOT_RUNS,
    TERMINATION_GRACE_PERIOD_SECONDS,
    TTL_SECONDS_AFTER_FINISHED,
];
const OBJECTS: [&str; 5] =
    [BUILDER_RESOURCES, NODE_SELECTOR, POD_FAILURE_POLICY, POD_RESOURCES, POD_TEMPLATE_PATCH];
const CHOICES: [&str; 4] = [BUILDER_ENGINE, IMAGE_PULL_POLICY, PLAIN_SECRETS, POD_SECURITY];

const BAD_BOOLEANS: [&str; 10] =
    ["2", "-1", "tru", "truee", "\"true\"", "'true'", "null", "None", "enabled", "true,false"];
const BAD_INTEGERS: [&str; 14] = [
    "-1",
    "2147483648",
    "99999999999999999999999",
    "3.0",
    "3.5",
    "1e3",
    "0x10",
    "1_000",
    "1,000",
    "two",
    "5s",
    "\"5\"",
    "null",
    "+",
];
const BAD_JSON: [&str; 12] = [
    "{",
    "}",
    "{'a': 'b'}",
    "{\"a\": 1,}",
    "{\"a\": True}",
    "{a: 1}",
    "a: b",
    "\"{}\"",
    "null",
    "true",
    "1",
    "{\"a\": 1} {\"b\": 2}",
];
const BAD_CHOICES: [&str; 4] = ["maybe", "true", "Always,Never", "\"auto\""];

const PICKED: [(&str, &[&str]); 24] = [
    (BUILDER_IMAGE, &["https://a.b/c", "a:", "A/b", "a.b:x/c", "a@sha256:1"]),
    (BUILDER_SERVICE_ACCOUNT, &["Zenml", "a_b", "a b", "ns/account"]),
    (BUILDER_DOCKER_CONFIG_SECRET, &["Secret", "a_b", "a,b", "/root/.docker/config.json"]),
    (BUILDER_CACHE_REPOSITORY, &["a.b", "a.b/", "a/b", "https://a.b/c", "a.b/c:1"]),
    (
        BUILDER_PLATFORM,
        &["amd64", "linux", "linux/", "linux/AMD64", "windows/amd64", "linux/amd64,linux/arm64"],
    ),
    (BUILDER_CA_BUNDLE_CONFIG_MAP, &["Ca", "a_b", "/etc/ssl/ca.crt"]),
    (
        BUILDER_MIRRORS,
        &["a.b", "=a.b", "a.b=", "a.b/c=d.e", "a.b=https://d.e", "a.b=d.e,", "{\"a.b\": \"d.e\"}"],
    ),
    (BUILDER_REBUILD_SALT, &["a\nb", "a\u{0}b"]),
    (BUILDER_MAXIMUM_AGE_SECONDS, &["0", "60", "3599"]),
    (BUILDER_TIMEOUT_SECONDS, &["0"]),
    (PLAIN_HTTP_REGISTRIES, &["http://a.b", "a.b/c", "a", "a.b,", "a.b,a.b", "a.b:0", "[\"a.b\"]"]),
    (DOCKER_CONFIG_FILE, &["a\nb", "a\u{0}b"]),
    (S3_ENDPOINT, &["minio:9000", "ftp://a", "http://", "https://a/b", "https://a@b", "https://a:x"]),
    (S3_ENCRYPTION, &["aes256", "kms", "aws:kms:", "aws:kmskey", "aws:kms:a b"]),
    (
        LOG_ARCHIVE,
        &["/var/logs", "file://logs", "file:///", "file:///a/../b", "file:///a%20b", "s3://a", "file:"],
    ),
    (IMPLEMENTATION_SOURCE, &["kubernetess", "Kubernetes", "a.b.C", "zenml_cloud_plugins", "none", "gcp"]),
    (
        NAMESPACE,
        &[
            "Zenml",
            "zen_ml",
            "-zenml",
            "zenml-",
            "zen.ml",
            "zen ml",
            "zen/ml",
            "<namespace>",
            "zenml,other",
            "é",
            "\"a\"",
        ],
    ),
    (
        SERVICE_ACCOUNT,
        &["Zenml", "zen_ml", "-zenml", "zenml.", ".zenml", "a..b", "a b", "ns:account", "ns/account"],
    ),
    (
        DOCKER_REGISTRY,
        &[
            "https://a.b",
            "http://a.b/c",
            "oci://a.b",
            "docker://a.b",
            "a.b/c:latest",
            "a.b/c:",
            "a.b:5000/c:1.0",
            "a.b:0",
            "a.b:65536",
            "a.b:port/c",
            "a.b//c",
            "/a.b",
            "a.b/C",
            "a.b/-c",
            "a.b/c-",
            "a.b/c___d",
            "a.b/c..d",
            "a..b/c",
            "-a.b/c",
            "a_b.c/d",
            "mycompany",
            "mycompany/zenml",
            "me:pass@a.b",
            "a.b@sha256:0",
            "a.b c",
            "a.b?x=1",
            "<account>.dkr.ecr.eu-central-1.amazonaws.com",
            "${REGISTRY}",
            "[::1",
            "[x]:5000",
            "a.b/c//",
        ],
    ),
    (
        RUNNER_IMAGE,
        &[
            "https://a.b/c",
            "docker://a",
            "a b",
            "a:",
            "a:-1",
            "a:1:2",
            "a@sha256:12",
            "a@latest",
            "a@",
            "A/b",
            "a/B:1",
            "a//b",
            "/a",
            "a/",
            "a.b:x/c",
            "a:<ZENML_OSS_VERSION>",
            "a:{{ .Values.tag }}",
            "$IMAGE",
            "a:é",
            "a:1/",
        ],
    ),
    (
        IMAGE_PULL_SECRETS,
        &[
            "a,,b",
            ",a",
            "a,",
            "A",
            "a_b",
            "a b",
            "a,a",
            "[\"a\"",
            "[1]",
            "[\"a\", null]",
            "[\"\"]",
            "['a']",
            "{\"name\": \"a\"}",
        ],
    ),
    (KUBECONFIG_CONTEXT, &["a\nb", "a\tb", "a\u{0}b", "a\u{1b}[1m"]),
    (
        BUCKET,
        &[
            "my-bucket",
            "my-bucket/logs",
            "s3:my-bucket",
            "s3:/my-bucket",
            "S3://my-bucket",
            "s3a://my-bucket",
            "gs://my-bucket",
            "https://my-bucket.s3.amazonaws.com",
            "arn:aws:s3:::my-bucket",
            "s3://",
            "s3:///logs",
            "s3://my-bucket//logs",
            "s3://my-bucket/a//b",
            "s3://my-bucket//",
            "s3://my-bucket/a?x",
            "s3://my-bucket#a",
            "s3://My-Bucket",
            "s3://my_bucket",
            "s3://ab",
            "s3://-ab",
            "s3://ab-",
            "s3://.ab",
            "s3://a..b",
            "s3://192.168.0.1",
            "s3://xn--bucket",
            "s3://bucket-s3alias",
            "s3://my bucket",
            "s3://my-bucket/a b",
            "s3://my-bucket/../a",
            "s3://my-bucket/./a",
            "s3://<bucket>/a",
            "s3://my-bucket/<path>",
            "s3://a:b@my-bucket",
            "s3://my-bucket/\u{e9}",
            "s3://my-bucket:9000/a",
        ],
    ),
    (
        REGION,
        &[
            "EU-CENTRAL-1",
            "eu_central_1",
            "eu-central",
            "eu-central-",
            "eu-central-1a",
            "eu-central-100",
            "eu-central-0",
            "eucentral1",
            "central-1",
            "Frankfurt",
            "global",
            "*",
            "eu-central-1,us-east-1",
            "eu--1",
            "-eu-central-1",
            "eu-central-1-",
            "s3.eu-central-1.amazonaws.com",
        ],
    ),
];

const PICKED_JSON: [(&str, &[&str]); 5] = [
    (
        NODE_SELECTOR,
        &[
            "[]",
            "{\"a\": 1}",
            "{\"a\": true}",
            "{\"a\": null}",
            "{\"a\": [\"b\"]}",
            "{\"a\": {}}",
            "{\"\": \"a\"}",
            "{\"a b\": \"c\"}",
            "{\"-a\": \"b\"}",
            "{\"a\": \"-b\"}",
            "{\"a\": \"b c\"}",
            "{\"a/b/c\": \"d\"}",
            "{\"/a\": \"b\"}",
            "{\"a/\": \"b\"}",
            "{\"A.b_/c\": \"d\"}",
            "{\"a\": \"b\", \"a\": \"c\"}",
            "node-pool=zenml",
            "node-pool: zenml",
        ],
    ),
    (
        TOLERATIONS,
        &[
            "{}",
            "{\"key\": \"a\"}",
            "[",
            "[{'key': 'a'}]",
            "[{\"key\": \"a\"},]",
            "[{\"toleration_seconds\": 5}]",
            "[{\"key\": \"a\", \"key\": \"b\"}]",
            "null",
            "\"[]\"",
            "key: a",
            "NoSchedule",
        ],
    ),
    (
        POD_FAILURE_POLICY,
        &[
            "[]",
            "[{\"action\": \"Ignore\"}]",
            "{\"rules\": [{\"on_exit_codes\": {}}]}",
            "{\"rules\": [{\"onExitCodes\": {\"container_name\": \"main\"}}]}",
            "{\"rules\": [], \"rules\": []}",
        ],
    ),
    (
        POD_RESOURCES,
        &[
            "[]",
            "{\"limits\": {\"cpu\": 1, \"cpu\": 2}}",
            "{\"resource_claims\": []}",
            "cpu=100m,memory=400Mi",
        ],
    ),
    (POD_TEMPLATE_PATCH, &["[]", "{\"spec\": {\"priority_class_name\": \"low\"}}", "[{\"op\": \"add\"}]"]),
];

/// Every combination, as (variable, value).
fn bad_values() -> Vec<(&'static str, String)> {
    let of_kind = |names: &[&'static str], values: &[&'static str]| -> Vec<(&'static str, String)> {
        names.iter().flat_map(|name| values.iter().map(|value| (*name, (*value).to_owned()))).collect()
    };
    let mut bad = of_kind(&BOOLEANS, &BAD_BOOLEANS);
    bad.extend(of_kind(&INTEGERS, &BAD_INTEGERS));
    bad.extend(of_kind(&OBJECTS, &BAD_JSON));
    bad.extend(of_kind(&[TOLERATIONS], &BAD_JSON));
    bad.extend(of_kind(&CHOICES, &BAD_CHOICES));
    for (name, values) in PICKED.iter().chain(&PICKED_JSON) {
        bad.extend(of_kind(&[*name], values));
    }
    for name in [MAX_CONCURRENT_SNAPSHOT_RUNS, MAX_CONCURRENT_TEMPLATE_RUNS] {
        bad.push((name, "0".to_owned()));
    }
    let long = [
        (NAMESPACE, "a".repeat(64)),
        (SERVICE_ACCOUNT, "a".repeat(254)),
        (DOCKER_REGISTRY, format!("a.b/{}", "c".repeat(250))),
        (RUNNER_IMAGE, "a".repeat(256)),
        (RUNNER_IMAGE, format!("a:{}", "b".repeat(129))),
        (BUCKET, format!("s3://{}", "a".repeat(64))),
        (BUCKET, format!("s3://my-bucket/{}", "a".repeat(513))),
        (NODE_SELECTOR, format!("{{\"a\": \"{}\"}}", "b".repeat(64))),
        (NODE_SELECTOR, format!("{{\"{}\": \"b\"}}", "a".repeat(64))),
        (TOLERATIONS, "[".repeat(10_000)),
    ];
    bad.extend(long);
    bad
}

/// What every kind of value refuses: the example with something in it that doesn't belong there.
fn spoilt_examples() -> Vec<(&'static str, String)> {
    wm_config::variables()
        .flat_map(|entry| {
            let example = entry.example;
            let spoilt = [format!("{example}\u{0}x"), format!("\u{7}{example}"), format!("{example}\nx")];
            spoilt.map(|value| (entry.name, value))
        })
        .collect()
}

#[test]
fn each_bad_value_is_a_problem_of_its_variable() {
    let bad: Vec<_> = bad_values().into_iter().chain(spoilt_examples()).collect();
    assert!(bad.len() >= 400, "{}", bad.len());
    for (name, value) in &bad {
        let source = if *name == IMPLEMENTATION_SOURCE { value } else { "aws" };
        let problems = problems("aws", &[(IMPLEMENTATION_SOURCE, source), (name, value)]);
        assert!(!problems.is_empty(), "{name}={value:?} passes");
        for problem in problems {
            assert_eq!(problem.variable, *name, "{value:?}: {problem}");
            assert!(problem.value.is_some() && !problem.message.is_empty(), "{problem}");
            assert!(!problem.allowed.is_empty() && problem.example.starts_with(name), "{problem}");
        }
    }
}

#[test]
fn bad_values_of_all_variables_are_reported_together() {
    let mut bad = bad_values();
    bad.retain(|(name, _)| *name != IMPLEMENTATION_SOURCE);
    bad.dedup_by_key(|(name, _)| *name);
    let pairs: Vec<(&str, &str)> = bad.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let found = problems("kubernetes", &pairs);
    for entry in wm_config::variables().filter(|entry| entry.name != IMPLEMENTATION_SOURCE) {
        assert!(found.iter().any(|problem| problem.variable == entry.name), "{}", entry.name);
    }
}
