//! One slip from a known name is refused, with the right name.

use std::collections::BTreeMap;

use wm_config::variable;

use crate::{load, problems};

/// Every name that is one insertion, deletion, substitution or swap of neighbours away.
fn slips(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let text = |letters: &[char]| letters.iter().collect::<String>();
    let mut slips = Vec::new();
    for index in 0..=letters.len() {
        for letter in ['A', 'E', 'S', 'Z', '_', '1', 'x', '-'] {
            let mut inserted = letters.clone();
            inserted.insert(index, letter);
            slips.push(text(&inserted));
            if index < letters.len() {
                let mut substituted = letters.clone();
                substituted[index] = letter;
                slips.push(text(&substituted));
            }
        }
        if index < letters.len() {
            let mut deleted = letters.clone();
            deleted.remove(index);
            slips.push(text(&deleted));
            let mut lower = letters.clone();
            lower[index] = lower[index].to_ascii_lowercase();
            slips.push(text(&lower));
        }
        if index + 1 < letters.len() {
            let mut swapped = letters.clone();
            swapped.swap(index, index + 1);
            slips.push(text(&swapped));
        }
    }
    slips.push(name.to_lowercase());
    slips
}

#[test]
fn every_slip_of_every_name_is_refused_with_the_right_name() {
    let known: Vec<&str> = wm_config::variables().map(|entry| entry.name).collect();
    for name in &known {
        let slips: Vec<String> =
            slips(name).into_iter().filter(|slip| !known.contains(&slip.as_str())).collect();
        assert!(slips.len() > 16 * name.len());
        let pairs: Vec<(&str, &str)> = slips.iter().map(|slip| (slip.as_str(), "1")).collect();
        let problems = problems("kubernetes", &pairs);
        let messages: BTreeMap<&str, &str> =
            problems.iter().map(|problem| (problem.variable.as_str(), problem.message.as_str())).collect();
        for slip in &slips {
            let message = messages.get(slip.as_str()).unwrap_or_else(|| panic!("{slip} is not refused"));
            assert!(message.contains(&format!("did you mean {name}?")), "{slip}: {message}");
        }
    }
}

#[test]
fn a_misspelt_variable_that_is_required_is_one_problem() {
    let environment = crate::pairs(&[
        (variable::IMPLEMENTATION_SOURCE, "kubernetes"),
        ("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMSPACE", "runners"),
        (variable::SERVICE_ACCOUNT, "runner"),
    ]);
    let problems = crate::loader().environment(environment).load().unwrap_err();
    assert_eq!(problems.len(), 1, "{problems}");
}

#[test]
fn a_blank_misspelt_variable_counts_as_unset() {
    assert_eq!(
        load("kubernetes", &[("ZENML_KUBERNETES_WORKLOAD_MANAGER_NAMESPAC", " ")]).unwrap().warnings,
        []
    );
}

#[test]
fn other_names_under_the_prefixes_are_warned_of() {
    let unknown = [
        "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_PROFILE",
        "ZENML_KUBERNETES_WORKLOAD_MANAGER_PASSWORD",
        "ZENML_KUBERNETES_WORKLOD_MANAGER_COLOUR",
    ];
    let warnings = load("kubernetes", &unknown.map(|name| (name, "hunter2"))).unwrap().warnings;
    let warned: Vec<&str> = warnings.iter().map(|warning| warning.variable.as_str()).collect();
    assert_eq!(warned, unknown);
    assert!(
        warnings[0].message.ends_with("are BUCKET, REGION, S3_ENDPOINT, S3_ENCRYPTION, CREATE_REPOSITORIES"),
        "{}",
        warnings[0].message
    );
    assert!(warnings[1].message.contains("NAMESPACE, SERVICE_ACCOUNT"), "{}", warnings[1].message);
    assert!(!format!("{warnings:?}").contains("hunter2"));
}

#[test]
fn somebody_elses_variables_are_left_alone() {
    let others = [
        ("ZENML_SERVER_SERVER_URL", "https://example.com"),
        ("ZENML_SERVER_PRO_ORGANIZATION_ID", "1"),
        ("ZENML_RUNNER_POD_TIMEOUT", "180"),
        ("PATH", "/bin"),
        ("KUBERNETES_SERVICE_HOST", "10.0.0.1"),
    ];
    assert_eq!(load("kubernetes", &others).unwrap().warnings, []);
}
