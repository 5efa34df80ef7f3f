//! Precedence, provenance, and how files are read.

use wm_config::{EffectiveValue, Loaded, Origin, Settings, variable};

use crate::{loader, names, with};

fn effective(settings: &Settings, variable: &str) -> EffectiveValue {
    settings.effective().into_iter().find(|value| value.variable == variable).unwrap()
}

fn file(body: &str) -> Loaded {
    let loaded = loader().environment(with("kubernetes", &[])).helm_yaml(body, "values.yaml").load();
    loaded.unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_environment_wins_over_files_and_those_over_defaults() {
    let (ttl, grace, backoff) = (
        variable::TTL_SECONDS_AFTER_FINISHED,
        variable::TERMINATION_GRACE_PERIOD_SECONDS,
        variable::JOB_BACKOFF_LIMIT,
    );
    // The order of the calls decides between two files only.
    let settings = loader()
        .environment(with("kubernetes", &[(ttl, "1")]))
        .helm_yaml(&format!("{ttl}: 2\n{grace}: 2"), "first.yaml")
        .helm_yaml(&format!("{ttl}: 3\n{grace}: 3"), "second.yaml")
        .load()
        .unwrap()
        .settings;
    assert_eq!(settings.kubernetes.ttl_seconds_after_finished, 1);
    assert_eq!(settings.kubernetes.termination_grace_period_seconds, 3);
    assert_eq!(settings.kubernetes.job_backoff_limit, 0);
    assert_eq!(effective(&settings, ttl).origin, Origin::Environment);
    assert_eq!(effective(&settings, grace).origin, Origin::File("second.yaml".to_owned()));
    assert_eq!(effective(&settings, backoff).origin, Origin::Default);
    assert_eq!(effective(&settings, backoff).value.as_deref(), Some("0"));
}

#[test]
fn a_blank_variable_leaves_the_file_in_effect() {
    let image = variable::RUNNER_IMAGE;
    let loaded = loader()
        .environment(with("kubernetes", &[(image, " \t ")]))
        .helm_yaml(&format!("{image}: a.b/c"), "values.yaml")
        .load()
        .unwrap();
    assert_eq!(loaded.settings.kubernetes.runner_image.as_deref(), Some("a.b/c"));
}

#[test]
fn the_later_of_two_equal_names_wins() {
    let settings = crate::settings("local", &[(variable::NAMESPACE, "one"), (variable::NAMESPACE, "two")]);
    assert_eq!(settings.kubernetes.namespace, "two");
}

#[test]
fn every_variable_is_listed_in_order() {
    let listed: Vec<&str> =
        crate::settings("kubernetes", &[]).effective().iter().map(|value| value.variable).collect();
    let table: Vec<&str> = wm_config::variables().map(|entry| entry.name).collect();
    assert_eq!(listed, table);
}

#[test]
fn what_is_unset_says_what_holds_instead() {
    let value = effective(&crate::settings("kubernetes", &[]), variable::RUNNER_IMAGE);
    assert_eq!(value.value, None);
    assert!(value.note.unwrap().contains("the snapshot's own image"));
}

#[test]
fn the_default_source_counts_as_a_default() {
    let settings = loader().default_source("local").environment([]).load().unwrap().settings;
    let value = effective(&settings, variable::IMPLEMENTATION_SOURCE);
    assert_eq!((value.value.as_deref(), value.origin), (Some("local"), Origin::Default));
    assert_eq!(settings.kubernetes.namespace, "default");
    assert_eq!(settings.kubernetes.service_account, "default");
}

#[test]
fn the_newer_name_wins_wherever_it_is() {
    let (newer, older) = (variable::MAX_CONCURRENT_SNAPSHOT_RUNS, variable::MAX_CONCURRENT_TEMPLATE_RUNS);
    let Loaded { settings, warnings } = loader()
        .environment(with("kubernetes", &[(older, "7")]))
        .helm_yaml(&format!("{newer}: 5"), "values.yaml")
        .load()
        .unwrap();
    assert_eq!(settings.launcher.max_concurrent_runs, 5);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].variable, older);
    assert_eq!(effective(&settings, older).note.as_ref(), Some(&warnings[0].message));
}

#[test]
fn the_older_name_alone_makes_no_noise() {
    let (newer, older) = (variable::MAX_CONCURRENT_SNAPSHOT_RUNS, variable::MAX_CONCURRENT_TEMPLATE_RUNS);
    for pair in [&[(older, "7")][..], &[(older, "7"), (newer, "+7")]] {
        let Loaded { settings, warnings } = crate::load("kubernetes", pair).unwrap();
        assert_eq!(settings.launcher.max_concurrent_runs, 7);
        assert_eq!(warnings, []);
    }
    let value = effective(&crate::settings("kubernetes", &[(older, "7")]), newer);
    assert_eq!((value.value.as_deref(), value.origin), (Some("7"), Origin::Environment));
    assert_eq!(value.note, Some(format!("from {older}")));
}

#[test]
fn numbers_in_yaml_keep_their_text() {
    let Loaded { settings, .. } = file(
        "server:\n  environment:\n    \
         ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE: 339712793861\n    \
         ZENML_KUBERNETES_WORKLOAD_MANAGER_KUBECONFIG_CONTEXT: 1.10\n    \
         ZENML_KUBERNETES_WORKLOAD_MANAGER_SERVICE_ACCOUNT: 0123\n    \
         ZENML_KUBERNETES_WORKLOAD_MANAGER_RUNNER_IMAGE: 1e3\n    \
         ZENML_SERVER_MAX_QUEUED_SNAPSHOT_RUNS: 7 # seven\n",
    );
    // The environment names namespace and account too, and wins.
    assert_eq!(settings.kubernetes.namespace, "runners");
    assert_eq!(settings.kubernetes.kubeconfig_context.as_deref(), Some("1.10"));
    assert_eq!(settings.kubernetes.runner_image.as_deref(), Some("1e3"));
    assert_eq!(settings.launcher.max_queued_runs, 7);

    let yaml = "ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE: 0123";
    let loaded = loader().default_source("local").helm_yaml(yaml, "values.yaml").load().unwrap();
    assert_eq!(loaded.settings.kubernetes.namespace, "0123");
}

#[test]
fn booleans_in_yaml_need_no_quotes() {
    for text in ["false", "\"false\"", "no", "Off", "0"] {
        let name = variable::ENABLE_EXTERNAL_LOGS;
        let Loaded { settings, .. } = file(&format!("zenml:\n  environment:\n    {name}: {text}\n"));
        assert!(!settings.kubernetes.enable_external_logs, "{text}");
    }
}

#[test]
fn the_rest_of_a_values_file_is_nobodys_business() {
    let Loaded { settings, warnings } = file(
        "image: {tag: 1.0}\nzenml:\n  serverURL: https://example.com\n  list: [1, {a: b}]\n  environment:\n    \
         ZENML_LOGGING_VERBOSITY: DEBUG\n    ZENML_NESTED: {a: b}\n    \
         ZENML_KUBERNETES_WORKLOAD_MANAGER_KUBECONFIG_CONTEXT: there\n",
    );
    assert_eq!(settings.kubernetes.kubeconfig_context.as_deref(), Some("there"));
    assert_eq!(warnings, []);
}

#[test]
fn nested_yaml_is_refused_by_name_and_does_not_hide_the_rest() {
    let yaml = "zenml:\n  environment:\n    \
                ZENML_KUBERNETES_WORKLOAD_MANAGER_NODE_SELECTOR:\n      node-pool: a\n    \
                ZENML_KUBERNETES_WORKLOAD_MANAGER_TOLERATIONS: []\n    \
                ZENML_KUBERNETES_WORKLOAD_MANAGER_POD_SECURITY: low\n";
    let problems = loader().environment(with("kubernetes", &[])).helm_yaml(yaml, "values.yaml").load();
    let problems: Vec<_> = problems.unwrap_err().into_iter().collect();
    assert_eq!(names(&problems), [variable::NODE_SELECTOR, variable::TOLERATIONS, variable::POD_SECURITY]);
    assert!(problems[0].message.contains("as JSON in single quotes"));
}

#[test]
fn a_file_that_is_no_yaml_is_refused_by_its_name() {
    for text in
        ["a: [", "- a\n- b", "a: 1\na: 2", "just text", "zenml: {environment: [a]}", "a: 1\n---\nb: 2"]
    {
        let problems = loader().environment(with("kubernetes", &[])).helm_yaml(text, "my.yaml").load();
        let problems: Vec<_> = problems.expect_err(text).into_iter().collect();
        assert_eq!(names(&problems), ["my.yaml"], "{text}");
    }
}

#[test]
fn a_file_without_variables_is_warned_of() {
    for text in ["", "# nothing", "zenml: {enviroment: {A: b}}"] {
        let Loaded { warnings, .. } = file(text);
        assert_eq!(warnings.len(), 1, "{text}");
        assert_eq!(warnings[0].variable, "values.yaml");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_utf_8_is_a_problem_of_our_variables_only() {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt as _};

    let broken = || OsString::from_vec(vec![b'a', 0xff]);
    let ours = ["ZENML_KUBERNETES_WORKLOAD_MANAGER_RUNNER_IMAGE", "ZENML_KUBERNETES_WORKLOAD_MANAGER_OTHER"];
    let mut environment = with("kubernetes", &[]);
    environment.push(("LS_COLORS".into(), broken()));
    environment.push((broken(), broken()));
    assert!(loader().environment(environment.clone()).load().is_ok());
    for name in ours {
        environment.push((name.into(), broken()));
    }
    let problems: Vec<_> = loader().environment(environment).load().unwrap_err().into_iter().collect();
    assert_eq!(names(&problems), ours);
    assert!(problems.iter().all(|problem| problem.message.contains("UTF-8")));
}
