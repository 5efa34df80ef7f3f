//! What is required when, and what is warned of.

use serde_json::Value;
use wm_config::{Family, FieldProblem, ImagePullPolicy, PlainSecrets, PodSecurity, variable};

use crate::{AWS, KUBERNETES, load, loader, names, pairs, problems, settings};

fn alone(pairs_alone: &[(&str, &str)]) -> Vec<wm_config::Problem> {
    let loaded = loader().environment(pairs(pairs_alone)).load();
    loaded.err().map(|problems| problems.into_iter().collect()).unwrap_or_default()
}

fn warned(source: &str, more: &[(&str, &str)]) -> Vec<String> {
    let loaded = load(source, more).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.warnings.into_iter().map(|warning| warning.variable).collect()
}

#[test]
fn nothing_set_names_what_the_guide_requires() {
    let required = [variable::IMPLEMENTATION_SOURCE, variable::NAMESPACE, variable::SERVICE_ACCOUNT];
    let problems = alone(&[]);
    assert_eq!(names(&problems), required);
    assert!(problems[0].allowed.contains(AWS), "{}", problems[0].allowed);
}

#[test]
fn a_cluster_needs_namespace_and_account() {
    for source in [KUBERNETES, AWS, "kubernetes", "aws"] {
        let problems = alone(&[(variable::IMPLEMENTATION_SOURCE, source), (variable::NAMESPACE, "  ")]);
        assert_eq!(names(&problems), [variable::NAMESPACE, variable::SERVICE_ACCOUNT], "{source}");
    }
}

#[test]
fn other_families_need_neither() {
    for (source, family) in [("local", Family::Local), ("acme.Batch", Family::Other)] {
        let loaded =
            loader().environment(pairs(&[(variable::IMPLEMENTATION_SOURCE, source)])).load().unwrap();
        assert_eq!(loaded.settings.family, family);
        assert_eq!(loaded.settings.kubernetes.namespace, "default");
    }
}

#[test]
fn an_unknown_source_lists_the_known_ones_and_hides_nothing() {
    let found = alone(&[(variable::IMPLEMENTATION_SOURCE, "KubernetesWorkloadManager")]);
    assert_eq!(
        names(&found),
        [variable::IMPLEMENTATION_SOURCE, variable::NAMESPACE, variable::SERVICE_ACCOUNT]
    );
    assert!(found[0].message.contains(&format!("did you mean {KUBERNETES}?")), "{}", found[0].message);
    let found = alone(&[(variable::IMPLEMENTATION_SOURCE, "slurm"), (variable::POD_SECURITY, "low")]);
    assert_eq!(names(&found), [variable::IMPLEMENTATION_SOURCE, variable::POD_SECURITY]);
    assert!(!found[0].message.contains("did you mean"), "{}", found[0].message);
    assert!(found[0].allowed.contains("local, acme.Batch"), "{}", found[0].allowed);
}

#[test]
fn building_needs_a_registry() {
    let building = (variable::BUILD_RUNNER_IMAGE, "True");
    assert_eq!(names(&problems("kubernetes", &[building])), [variable::DOCKER_REGISTRY]);
    assert_eq!(names(&problems("local", &[building])), [variable::DOCKER_REGISTRY]);
    assert_eq!(names(&problems("aws", &[building])), [variable::DOCKER_REGISTRY, variable::REGION]);
    assert!(problems("acme.Batch", &[building]).is_empty());
    assert!(problems("kubernetes", &[building, (variable::DOCKER_REGISTRY, "a.b/")]).is_empty());
}

#[test]
fn external_logs_are_for_aws_and_need_a_place() {
    let external = (variable::ENABLE_EXTERNAL_LOGS, "1");
    assert_eq!(names(&problems("aws", &[external])), [variable::BUCKET, variable::REGION]);
    for source in ["kubernetes", "local", "acme.Batch"] {
        let problems = problems(source, &[external]);
        assert_eq!(names(&problems), [variable::ENABLE_EXTERNAL_LOGS], "{source}");
        assert_eq!(problems[0].message, "Currently, this is only supported with the AWS implementation");
    }
    assert!(problems("aws", &[]).is_empty());
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let registry = (variable::DOCKER_REGISTRY, "a.b");
    let (bucket, region) = ((variable::BUCKET, "s3://my-bucket"), (variable::REGION, "eu-central-1"));
    assert_eq!(warned("kubernetes", &[registry]), [variable::DOCKER_REGISTRY]);
    let building = [registry, (variable::BUILD_RUNNER_IMAGE, "1"), (variable::RUNNER_IMAGE, "a/b")];
    assert_eq!(warned("kubernetes", &building), [variable::RUNNER_IMAGE]);
    for source in ["kubernetes", "local", "acme.Batch"] {
        assert_eq!(warned(source, &[region, bucket]), [variable::BUCKET, variable::REGION]);
    }
    assert_eq!(warned("aws", &[region, bucket]), [variable::BUCKET]);
    assert!(warned("aws", &[region, bucket, (variable::ENABLE_EXTERNAL_LOGS, "1")]).is_empty());
}

#[test]
fn what_is_for_builds_alone_has_no_effect_without_them() {
    let builders = || wm_config::variables().filter(|entry| entry.name.contains("_BUILDER_"));
    let lookups = [variable::PLAIN_HTTP_REGISTRIES, variable::DOCKER_CONFIG_FILE];
    let mut set: Vec<(&str, &str)> = builders().map(|entry| (entry.name, entry.example)).collect();
    set.extend([(lookups[0], "a.b:5000"), (lookups[1], "/a/config.json")]);
    let all: Vec<&str> = set.iter().map(|(name, _)| *name).collect();
    assert_eq!(all.len(), 14);
    assert_eq!(warned("kubernetes", &set), all);
    let pin = (variable::PIN_IMAGE_DIGESTS, "true");
    set.push(pin);
    assert_eq!(warned("kubernetes", &set), all[..12], "who pins asks registries");
    let building = [(variable::BUILD_RUNNER_IMAGE, "1"), (variable::DOCKER_REGISTRY, "a.b")];
    set.extend(building);
    assert_eq!(warned("kubernetes", &set), [variable::PIN_IMAGE_DIGESTS]);
}

#[test]
fn what_has_consequences_is_warned_of() {
    let risky = [(variable::TTL_SECONDS_AFTER_FINISHED, "0"), (variable::JOB_BACKOFF_LIMIT, "1")];
    assert_eq!(warned("kubernetes", &risky), risky.map(|(name, _)| name));
    let tame = [(variable::TTL_SECONDS_AFTER_FINISHED, "1"), (variable::JOB_BACKOFF_LIMIT, "0")];
    assert!(warned("kubernetes", &tame).is_empty());
}

#[test]
fn all_problems_come_at_once_in_the_tables_order() {
    let found = problems(
        "aws",
        &[
            (variable::REGION, "Frankfurt"),
            (variable::NODE_SELECTOR, "[]"),
            (variable::BUILD_RUNNER_IMAGE, "true"),
            (variable::ENABLE_EXTERNAL_LOGS, "true"),
            (variable::MAX_QUEUED_SNAPSHOT_RUNS, "many"),
            ("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPCE", "x"),
            (variable::NAMESPACE, "X"),
        ],
    );
    let mut found: Vec<&str> = names(&found);
    let misspelt = found.iter().position(|name| name.ends_with("NAMESPCE")).map(|index| found.remove(index));
    assert!(misspelt.is_some());
    assert_eq!(
        found,
        [
            variable::MAX_QUEUED_SNAPSHOT_RUNS,
            variable::NAMESPACE,
            variable::DOCKER_REGISTRY,
            variable::NODE_SELECTOR,
            variable::BUCKET,
            variable::REGION,
        ]
    );
}

#[test]
fn injected_checks_see_the_value_and_their_findings_name_the_variable() {
    fn two_findings(value: &Value) -> Vec<FieldProblem> {
        let field = value.pointer("/limits/cpu").map(|_| "limits.cpu".to_owned()).unwrap_or_default();
        let whole = FieldProblem { field: String::new(), detail: "is too little".to_owned() };
        vec![FieldProblem { field, detail: "must be a quantity".to_owned() }, whole]
    }
    let loader = || loader().check(variable::POD_RESOURCES, two_findings);
    let checked =
        |text| loader().environment(crate::with("kubernetes", &[(variable::POD_RESOURCES, text)])).load();

    let found: Vec<_> = checked(r#"{"limits": {"cpu": "x"}}"#).unwrap_err().into_iter().collect();
    assert_eq!(names(&found), [variable::POD_RESOURCES; 2]);
    assert_eq!(found[0].message, "`limits.cpu`: must be a quantity");
    assert_eq!(found[1].message, "is too little");
    // What is no JSON object gets no further.
    assert_eq!(checked("[]").unwrap_err().len(), 1);
    assert!(loader().environment(crate::with("kubernetes", &[])).load().is_ok());
}

#[test]
fn a_check_of_no_variable_is_a_problem() {
    let loader = loader().check("POD_RESOURCES", |_| Vec::new());
    let problems: Vec<_> = loader.default_source("local").load().unwrap_err().into_iter().collect();
    assert_eq!(names(&problems), ["POD_RESOURCES"]);
}

#[test]
fn our_own_variables_are_typed() {
    let kubernetes = settings(
        "kubernetes",
        &[
            (variable::IMAGE_PULL_POLICY, "ifnotpresent"),
            (variable::IMAGE_PULL_SECRETS, "one, two"),
            (variable::POD_SECURITY, "baseline"),
            (variable::PLAIN_SECRETS, "Refuse"),
            (variable::TERMINATION_GRACE_PERIOD_SECONDS, " 5 "),
            (variable::SCHEDULE_TIMEOUT_SECONDS, "0"),
            (variable::START_TIMEOUT_SECONDS, "60"),
            (variable::IMAGE_PULL_GRACE_SECONDS, "7"),
            (variable::KUBECONFIG_CONTEXT, "arn:aws:eks:eu-central-1:1:cluster/a"),
        ],
    )
    .kubernetes;
    assert_eq!(kubernetes.image_pull_policy, Some(ImagePullPolicy::IfNotPresent));
    assert_eq!(kubernetes.image_pull_secrets, ["one", "two"]);
    assert_eq!(kubernetes.pod_security, PodSecurity::Baseline);
    assert_eq!(kubernetes.plain_secrets, PlainSecrets::Refuse);
    assert_eq!(kubernetes.termination_grace_period_seconds, 5);
    assert_eq!(kubernetes.schedule_timeout_seconds, 0);
    assert_eq!(kubernetes.start_timeout_seconds, 60);
    assert_eq!(kubernetes.image_pull_grace_seconds, 7);
    assert_eq!(kubernetes.kubeconfig_context.as_deref(), Some("arn:aws:eks:eu-central-1:1:cluster/a"));
}

#[test]
fn our_own_variables_have_defaults() {
    let kubernetes = settings("kubernetes", &[]).kubernetes;
    assert_eq!(kubernetes.image_pull_policy, None);
    assert!(kubernetes.image_pull_secrets.is_empty());
    assert_eq!(kubernetes.pod_security, PodSecurity::Auto);
    assert_eq!(kubernetes.plain_secrets, PlainSecrets::Allow);
    assert_eq!(kubernetes.termination_grace_period_seconds, 30);
    assert_eq!(kubernetes.schedule_timeout_seconds, 900);
    assert_eq!(kubernetes.start_timeout_seconds, 900);
    assert_eq!(kubernetes.image_pull_grace_seconds, 120);
    assert!(kubernetes.pod_template_patch.is_none());
}

#[test]
fn digits_stay_text_where_text_is_due() {
    let digits = "339712793861";
    let kubernetes = settings(
        "kubernetes",
        &[
            (variable::NAMESPACE, digits),
            (variable::SERVICE_ACCOUNT, "1.10"),
            (variable::RUNNER_IMAGE, "1.10"),
        ],
    )
    .kubernetes;
    assert_eq!((kubernetes.namespace.as_str(), kubernetes.service_account.as_str()), (digits, "1.10"));
    assert_eq!(kubernetes.runner_image.as_deref(), Some("1.10"));
}
