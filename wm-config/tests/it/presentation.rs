//! What people and programs get to read.

use expect_test::expect;
use wm_config::{Loader, reference, variable};

use crate::{load, loader, pairs, settings};

#[test]
fn several_problems_read_as_a_list() {
    let environment = pairs(&[
        (variable::IMPLEMENTATION_SOURCE, "kubernets"),
        (variable::SERVICE_ACCOUNT, "Runner"),
        (variable::POD_RESOURCES, "{'cpu': 1}"),
        ("ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATION", "[]"),
    ]);
    let problems = loader().environment(environment).load().unwrap_err();
    expect![[r#"
        the configuration has 5 problems
        ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=kubernets
            is no known implementation: did you mean kubernetes?
            allowed: zenml_cloud_plugins.kubernetes_workload_manager.KubernetesWorkloadManager, zenml_cloud_plugins.aws_kubernetes_workload_manager.AWSKubernetesWorkloadManager, kubernetes, aws, local, acme.Batch
            example: ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE=zenml_cloud_plugins.kubernetes_workload_manager.KubernetesWorkloadManager
        ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE
            is not set, but Jobs on a cluster need it
            allowed: lower-case letters, digits and hyphens, a letter or digit at both ends, at most 63 characters
            example: ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE=zenml-workload-manager
        ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT=Runner
            contains upper-case letters
            allowed: lower-case letters, digits, hyphens and dots, a letter or digit at both ends and around each dot, at most 253 characters
            example: ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT=zenml-workload-manager
        ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_RESOURCES={'cpu': 1}
            is not JSON (key must be a string at line 1 column 2): it looks like Python, JSON needs double quotes
            allowed: a JSON object: the resources of a Kubernetes container
            example: ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_RESOURCES='{"requests": {"cpu": "100m", "memory": "400Mi"}, "limits": {"memory": "700Mi"}}'
        ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATION
            is a misspelling: did you mean ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATIONS?
            allowed: ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATIONS
            example: ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATIONS='[{"key": "node-pool", "operator": "Equal", "value": "zenml-pool", "effect": "NoSchedule"}]'"#]].assert_eq(&problems.to_string());
}

#[test]
fn problems_are_json_too() {
    let problems = load("kubernetes", &[(variable::POD_SECURITY, "low")]).unwrap_err();
    expect![[r#"
        [
          {
            "variable": "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_SECURITY",
            "value": "low",
            "message": "is not a Pod Security level",
            "allowed": "auto, restricted, baseline or none",
            "example": "ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_SECURITY=restricted"
          }
        ]"#]]
    .assert_eq(&serde_json::to_string_pretty(&problems).unwrap());
}

#[test]
fn a_secret_is_nowhere_to_be_read() {
    let patch = r#"{"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "hunter2"}]}]}}"#;
    let loaded = load("kubernetes", &[(variable::POD_TEMPLATE_PATCH, patch)]).unwrap();
    assert!(loaded.settings.kubernetes.pod_template_patch.as_ref().unwrap().expose().is_object());
    let effective = serde_json::to_string(&loaded.settings.effective()).unwrap();
    assert!(effective.contains("(redacted)"));
    for text in [effective, format!("{loaded:?}"), serde_json::to_string(&loaded.settings).unwrap()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn no_problem_repeats_a_credential() {
    for (name, value) in [
        (variable::POD_TEMPLATE_PATCH, "{'password': 'hunter2'}"),
        (variable::POD_TEMPLATE_PATCH, r#"["hunter2"]"#),
        (variable::DOCKER_REGISTRY, "https://me:hunter2@a.b/c"),
        (variable::DOCKER_REGISTRY, "me:hunter2@a.b/c"),
        (variable::RUNNER_IMAGE, "me:hunter2@a.b/c:1"),
        (variable::RUNNER_IMAGE, "docker://me:hunter2@a.b/c:1"),
        (variable::BUCKET, "s3://me:hunter2@my-bucket"),
        (variable::BUCKET, "me:hunter2@my-bucket"),
    ] {
        let problems = load("kubernetes", &[(name, value)]).unwrap_err();
        assert_eq!(problems.iter().next().unwrap().variable, name);
        for text in [problems.to_string(), format!("{problems:?}"), serde_json::to_string(&problems).unwrap()]
        {
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

#[test]
fn a_loader_shows_names_only() {
    let environment = pairs(&[(variable::NAMESPACE, "hunter2"), ("MY_PASSWORD", "hunter2")]);
    let text = format!("{:?}", Loader::new().environment(environment));
    assert!(text.contains(variable::NAMESPACE), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("MY_PASSWORD"), "{text}");
}

#[test]
fn a_problem_is_one_line_even_if_its_value_is_not() {
    let value = format!("a\n\u{1b}[31m{}", "b".repeat(1000));
    let problems = load("kubernetes", &[(variable::NAMESPACE, value.as_str())]).unwrap_err();
    let shown = problems.iter().next().unwrap().value.clone().unwrap();
    assert!(shown.chars().all(|c| !c.is_control()), "{shown}");
    assert!(shown.ends_with("(1007 characters)") && shown.len() < 200, "{shown}");
}

#[test]
fn every_example_is_allowed() {
    for entry in wm_config::variables() {
        let more = match entry.name {
            variable::IMPLEMENTATION_SOURCE => Vec::new(),
            variable::BUILD_RUNNER_IMAGE => {
                vec![(variable::DOCKER_REGISTRY, "a.b"), (variable::REGION, "eu-central-1")]
            }
            variable::ENABLE_EXTERNAL_LOGS => {
                vec![(variable::BUCKET, "s3://my-bucket"), (variable::REGION, "eu-central-1")]
            }
            _ => Vec::new(),
        };
        let pairs: Vec<(&str, &str)> = [(entry.name, entry.example)].into_iter().chain(more).collect();
        let effective = settings("aws", &pairs).effective();
        let value = effective.iter().find(|value| value.variable == entry.name).unwrap();
        assert_eq!(value.value.as_deref(), Some(if entry.secret { "(redacted)" } else { entry.example }));
    }
}

#[test]
fn the_reference_names_every_variable_with_its_example() {
    let page = reference();
    for entry in wm_config::variables() {
        assert!(page.contains(&format!("### `{}`\n", entry.name)), "{}", entry.name);
        assert!(page.contains(entry.example), "{}", entry.name);
        assert!(page.contains(entry.description), "{}", entry.name);
    }
    assert!(page.lines().all(|line| line.trim_end() == line));
}
