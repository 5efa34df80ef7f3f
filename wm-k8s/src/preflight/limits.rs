//! What the namespace's limit ranges add to a container, and what they refuse.

use serde_json::Value;
use wm_core::{Finding, Mend};

use super::{
    demand::{Amounts, amounts, containers},
    survey::{Survey, Told},
};
use crate::settings::KubernetesSettings;

const CHECK: &str = "limit-range";

/// What a container gets that says nothing itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Defaults {
    pub(super) limits: Amounts,
    pub(super) requests: Amounts,
    /// Whether nobody told.
    pub(super) is_unknown: bool,
}

impl Defaults {
    pub(super) fn of(told: &Told<Vec<Value>>) -> Self {
        let Told::Is(ranges) = told else { return Self { is_unknown: true, ..Self::default() } };
        let mut defaults = Self::default();
        for (_, limit) in of_containers(ranges) {
            defaults.limits.extend(amounts(&limit["default"]));
            defaults.requests.extend(amounts(&limit["defaultRequest"]));
        }
        defaults
    }
}

pub(super) fn findings(survey: &Survey, settings: &KubernetesSettings) -> Vec<Finding> {
    let ranges = match &survey.limit_ranges {
        Told::Is(ranges) => ranges,
        Told::Missing => return Vec::new(),
        Told::Unknown(why) => {
            return vec![super::unknown(CHECK, "which sizes the namespace's LimitRanges allow", why)];
        }
    };
    let containers = containers(&survey.job, &Defaults::of(&survey.limit_ranges));
    let mut findings = Vec::new();
    for (range, limit) in of_containers(ranges) {
        for container in &containers {
            for kind in ["requests", "limits"] {
                for (resource, amount) in container.amounts(kind) {
                    let bound = |field: &str| amounts(&limit[field]).get(resource).copied();
                    let (word, bound) = match (bound("min"), bound("max")) {
                        (Some(least), _) if *amount < least => ("at least", least),
                        (_, Some(most)) if *amount > most => ("at most", most),
                        _ => continue,
                    };
                    findings.push(Finding::failure(
                        CHECK,
                        format!(
                            "the container {} has {kind}.{resource}={amount}, and the LimitRange {range} of {} allows {word} {bound}, so no pod would be made",
                            container.name, settings.namespace
                        ),
                        Mend::option("pod_resources", format!("{kind} with {resource} of {word} {bound}")),
                    ));
                }
            }
        }
    }
    if findings.is_empty() {
        findings
            .push(Finding::ok(CHECK, format!("the pods fit the namespace's {} LimitRange(s)", ranges.len())));
    }
    findings
}

/// The limits of single containers, each with the name of its limit range.
fn of_containers(ranges: &[Value]) -> impl Iterator<Item = (&str, &Value)> {
    ranges.iter().flat_map(|range| {
        let name = range["metadata"]["name"].as_str().unwrap_or_default();
        let limits = range["spec"]["limits"].as_array().into_iter().flatten();
        limits.filter(|limit| limit["type"] == "Container").map(move |limit| (name, limit))
    })
}
