//! What the guide's three complete configurations submit, as text.

use expect_test::{ExpectFile, expect_file};
use workload_manager::{Setup, Workload, WorkloadId, WorkloadKind};

/// Renders the recorded call of a real server under a configuration of the guide.
fn manifests(guide: &str) -> String {
    let guide = guide.replace("<ZENML_OSS_VERSION>", "0.98.0");
    let configuration = Setup::new().helm_yaml(guide, "values.yaml").load().unwrap();
    let id = WorkloadId::new("65afb85a-6866-4551-9140-f4f1f74141ff").unwrap();
    let workload = Workload::builder(id, WorkloadKind::Snapshot)
        .alias("ce9472a3-5774-45d4-ac5c-7eb2adcbeead".parse().unwrap())
        .command(["python", "-m", "zenml.entrypoints.entrypoint"])
        .arguments(["--snapshot_id", "65afb85a-6866-4551-9140-f4f1f74141ff"])
        .variable("ZENML_STORE_URL", "https://zenml.example.com")
        .secret("ZENML_STORE_API_TOKEN", "hunter2".to_owned())
        .timeout(std::time::Duration::from_mins(3))
        .build()
        .unwrap();
    let image = match &configuration.settings.kubernetes.runner_image {
        Some(image) => image.parse().unwrap(),
        None => "registry.example.com/zenml/zenml-runner:725d2f83a7b3c8c28180d5868ad68b37".parse().unwrap(),
    };
    let request = wm_core::RunRequest::new(workload, image);
    let objects = wm_k8s::render(&request, &configuration.kubernetes().unwrap()).unwrap();
    let documents: Vec<_> = objects.iter().map(|object| serde_saphyr::to_string(object).unwrap()).collect();
    documents.join("---\n")
}

fn check(guide: &str, golden: &ExpectFile) {
    let text = manifests(guide);
    assert!(!text.contains("hunter2"), "a secret value is in a manifest");
    golden.assert_eq(&text);
}

#[test]
fn the_minimal_kubernetes_configuration() {
    check(
        include_str!("../../wm-config/tests/data/complete-minimal-kubernetes.yaml"),
        &expect_file!["../data/minimal.yaml"],
    );
}

#[test]
fn the_full_aws_configuration() {
    check(
        include_str!("../../wm-config/tests/data/complete-full-aws.yaml"),
        &expect_file!["../data/full-aws.yaml"],
    );
}

#[test]
fn the_configuration_with_a_prebuilt_image() {
    check(
        include_str!("../../wm-config/tests/data/complete-prebuilt.yaml"),
        &expect_file!["../data/prebuilt.yaml"],
    );
}
