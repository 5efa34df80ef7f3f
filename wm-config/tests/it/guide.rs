//! The guide's fragments and complete examples, as printed.

use serde_json::json;
use wm_config::{Family, Loader, S3Location, Settings};

use crate::{AWS, KUBERNETES, loader};

const OPTION_A: &str = include_str!("../data/option-a-kubernetes.yaml");
const OPTION_B: &str = include_str!("../data/option-b-aws.yaml");
const OPTION_1: &str = include_str!("../data/option-1-reuse.yaml");
const OPTION_2: &str = include_str!("../data/option-2-build.yaml");
const OPTION_3: &str = include_str!("../data/option-3-prebuilt.yaml");
const MINIMAL: &str = include_str!("../data/complete-minimal-kubernetes.yaml");
const FULL_AWS: &str = include_str!("../data/complete-full-aws.yaml");
const PREBUILT: &str = include_str!("../data/complete-prebuilt.yaml");

/// Loads the fragments both ways, as files and as the environment that they stand for, and demands the same settings.
fn load(fragments: &[&str]) -> Settings {
    let fragments: Vec<String> =
        fragments.iter().map(|text| text.replace("<ZENML_OSS_VERSION>", "0.98.0")).collect();
    let add_file = |loader: Loader, text: &String| loader.helm_yaml(text, "values.yaml");
    let from_files = fragments.iter().fold(loader(), add_file).load();
    let environment = fragments.iter().flat_map(|text| environment(text));
    let from_environment =
        loader().environment(environment.map(|(name, value)| (name.into(), value.into()))).load();

    let [from_files, from_environment] = [from_files, from_environment].map(|loaded| {
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.warnings, []);
        loaded.settings
    });
    assert_eq!(serde_json::to_value(&from_files).unwrap(), serde_json::to_value(from_environment).unwrap());
    from_files
}

/// What the container gets from a fragment: read by lines, on purpose not by the reader that is under test.
fn environment(fragment: &str) -> Vec<(String, String)> {
    let lines = fragment.lines().map(str::trim).filter(|line| line.starts_with("ZENML_"));
    lines
        .map(|line| {
            let (name, value) = line.split_once(": ").expect("a name and a value");
            // What is quoted is JSON or a boolean: neither has these quotes at its own ends.
            (name.to_owned(), value.trim_matches(['\'', '"']).to_owned())
        })
        .collect()
}

#[test]
fn option_a_is_the_kubernetes_implementation() {
    let settings = load(&[OPTION_A]);
    assert_eq!(settings.implementation_source, KUBERNETES);
    assert_eq!(settings.family, Family::Kubernetes);
    assert_eq!(settings.kubernetes.namespace, "zenml-workload-manager");
    assert_eq!(settings.kubernetes.service_account, "zenml-workload-manager");
    assert!(!settings.kubernetes.build_runner_image);
    assert!(!settings.kubernetes.enable_external_logs);
    assert_eq!(settings.kubernetes.ttl_seconds_after_finished, 172_800);
    assert_eq!(settings.kubernetes.job_backoff_limit, 0);
    assert_eq!(settings.launcher.max_concurrent_runs, 2);
    assert_eq!(settings.launcher.max_queued_runs, 100);
}

#[test]
fn option_b_is_the_aws_implementation_with_external_logs() {
    let settings = load(&[OPTION_B]);
    assert_eq!(settings.implementation_source, AWS);
    assert_eq!(settings.family, Family::Aws);
    assert!(settings.kubernetes.enable_external_logs);
    assert_eq!(settings.aws.region.as_deref(), Some("eu-central-1"));
    let bucket = S3Location { bucket: "my-bucket".to_owned(), prefix: Some("run-template-logs".to_owned()) };
    assert_eq!(settings.aws.bucket, Some(bucket));
}

#[test]
fn option_1_reuses_the_snapshots_image() {
    let settings = load(&[OPTION_A, OPTION_1]);
    assert!(!settings.kubernetes.build_runner_image);
    assert_eq!(settings.kubernetes.runner_image, None);
}

#[test]
fn option_1_may_keep_the_runner_image_empty() {
    let fragment = OPTION_1.replace("# ZENML_KUBERNETES", "ZENML_KUBERNETES");
    let loaded = loader().helm_yaml(OPTION_A, "a.yaml").helm_yaml(&fragment, "1.yaml").load().unwrap();
    assert_eq!(loaded.settings.kubernetes.runner_image, None);
}

#[test]
fn option_2_builds_runner_images() {
    let settings = load(&[OPTION_A, OPTION_2]);
    assert!(settings.kubernetes.build_runner_image);
    assert_eq!(settings.kubernetes.docker_registry.as_deref(), Some("internal-registry.mycompany.com/zenml"));
}

#[test]
fn option_3_uses_a_prebuilt_image() {
    let settings = load(&[OPTION_A, OPTION_3]);
    assert!(!settings.kubernetes.build_runner_image);
    let image = "internal-registry.mycompany.com/zenml/zenml:0.98.0";
    assert_eq!(settings.kubernetes.runner_image.as_deref(), Some(image));
}

#[test]
fn the_guides_placeholder_has_to_be_replaced() {
    let problems = loader().helm_yaml(OPTION_A, "a.yaml").helm_yaml(OPTION_3, "3.yaml").load().unwrap_err();
    assert_eq!(problems.len(), 1);
    assert!(problems.to_string().contains("placeholder"), "{problems}");
}

#[test]
fn the_minimal_example_needs_two_names() {
    let settings = load(&[MINIMAL]);
    assert_eq!(settings.kubernetes.namespace, "zenml-workspace-namespace");
    assert_eq!(settings.kubernetes.service_account, "zenml-workspace-service-account");
}

#[test]
fn the_full_aws_example_sets_nearly_everything() {
    let Settings { kubernetes, aws, launcher, family, .. } = load(&[FULL_AWS]);
    assert_eq!(family, Family::Aws);
    assert!(kubernetes.build_runner_image && kubernetes.enable_external_logs);
    let registry = "339712793861.dkr.ecr.eu-central-1.amazonaws.com";
    assert_eq!(kubernetes.docker_registry.as_deref(), Some(registry));
    let resources = json!({"requests": {"cpu": "100m", "memory": "400Mi"}, "limits": {"memory": "700Mi"}});
    assert_eq!(kubernetes.pod_resources, Some(resources));
    assert_eq!(kubernetes.node_selector["node-pool"], "zenml-pool");
    let tolerations =
        json!([{"key": "node-pool", "operator": "Equal", "value": "zenml-pool", "effect": "NoSchedule"}]);
    assert_eq!(kubernetes.tolerations, Some(tolerations));
    assert_eq!(aws.bucket.unwrap().to_string(), "s3://my-bucket/run-template-logs");
    assert_eq!(aws.region.as_deref(), Some("eu-central-1"));
    assert_eq!(launcher.max_concurrent_runs, 10);
}

#[test]
fn the_prebuilt_example_has_a_shorter_life() {
    let Settings { kubernetes, launcher, .. } = load(&[PREBUILT]);
    assert_eq!(kubernetes.ttl_seconds_after_finished, 86_400);
    assert_eq!(
        kubernetes.runner_image.as_deref(),
        Some("internal-registry.mycompany.com/zenml/zenml:0.98.0")
    );
    assert_eq!(launcher.max_concurrent_runs, 2);
}
