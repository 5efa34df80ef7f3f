//! What the namespace's quotas demand, and whether they have room.

use serde_json::{Value, json};
use wm_core::{Finding, Mend};

use super::{
    demand::{self, Container},
    limits::Defaults,
    survey::{Survey, Told},
};
use crate::{rules::Quantity, settings::KubernetesSettings};

const CHECK: &str = "quota";
/// Where a quota counts one of these, each container must say how much of it it needs.
const TO_BE_SAID: [&str; 2] = ["cpu", "memory"];

pub(super) fn findings(survey: &Survey, settings: &KubernetesSettings, defaults: &Defaults) -> Vec<Finding> {
    let quotas = match &survey.quotas {
        Told::Is(quotas) => quotas,
        Told::Missing => return Vec::new(),
        Told::Unknown(why) => {
            return vec![super::unknown(CHECK, "whether the namespace's quotas have room", why)];
        }
    };
    let containers = demand::containers(&survey.job, defaults);
    let mut findings: Vec<_> =
        quotas.iter().flat_map(|quota| of_one(quota, &containers, settings, defaults)).collect();
    if findings.is_empty() {
        findings.push(Finding::ok(
            CHECK,
            format!("the namespace's {} quota(s) have room for a run", quotas.len()),
        ));
    }
    findings
}

fn of_one(
    quota: &Value,
    containers: &[Container],
    settings: &KubernetesSettings,
    defaults: &Defaults,
) -> Vec<Finding> {
    let name = quota["metadata"]["name"].as_str().unwrap_or_default();
    let spec = &quota["spec"];
    if spec["scopes"].as_array().is_some_and(|scopes| !scopes.is_empty()) || spec["scopeSelector"].is_object()
    {
        let message = format!("the quota {name} is for some pods only; whether for runs' is not looked at");
        return vec![Finding::note(CHECK, message)];
    }
    let hard = demand::amounts(&spec["hard"]);
    let used = demand::amounts(&quota["status"]["used"]);
    let mut findings = Vec::new();
    for (key, hard) in hard {
        let need = match need(&key, containers) {
            Need::Nothing => continue,
            Need::Amount(need) => need,
            Need::Unsaid { kind, resource, container } => {
                findings.push(unsaid(name, kind, resource, container, settings, defaults));
                continue;
            }
        };
        let after = used.get(&key).map_or(need, |used| need.plus(*used));
        if need > hard {
            findings.push(Finding::failure(
                CHECK,
                format!("the quota {name} allows {key}={hard}, and one run takes {need}"),
                Mend::command(raise(name, settings)),
            ));
        } else if after > hard {
            let used = used.get(&key).map(ToString::to_string).unwrap_or_default();
            findings.push(Finding::warning(
                CHECK,
                format!(
                    "the quota {name} has no room for a run now: {key} is {used} of {hard}, and a run takes {need}{}",
                    if key == "count/jobs.batch" { " (Jobs that have ended count until they are deleted)" } else { "" }
                ),
                Mend::command(raise(name, settings)),
            ));
        }
    }
    findings
}

enum Need<'a> {
    Nothing,
    Amount(Quantity),
    /// A container does not say it, and has to.
    Unsaid {
        kind: &'static str,
        resource: &'a str,
        container: &'a str,
    },
}

/// What a run takes of what a quota counts.
fn need<'a>(key: &'a str, containers: &'a [Container]) -> Need<'a> {
    let (kind, resource) = match key.split_once('.') {
        _ if matches!(key, "pods" | "count/pods" | "count/jobs.batch") => {
            return demand::quantity(&json!(1)).map_or(Need::Nothing, Need::Amount);
        }
        Some(("limits", resource)) => ("limits", resource),
        Some(("requests", resource)) => ("requests", resource),
        _ if matches!(key, "cpu" | "memory" | "ephemeral-storage") => ("requests", key),
        _ => return Need::Nothing,
    };
    if TO_BE_SAID.contains(&resource)
        && let Some(silent) =
            containers.iter().find(|container| !container.amounts(kind).contains_key(resource))
    {
        return Need::Unsaid { kind, resource, container: &silent.name };
    }
    demand::total(containers, kind, resource).map_or(Need::Nothing, Need::Amount)
}

fn unsaid(
    quota: &str,
    kind: &str,
    resource: &str,
    container: &str,
    settings: &KubernetesSettings,
    defaults: &Defaults,
) -> Finding {
    let message = format!(
        "the quota {quota} counts {kind}.{resource}, and the container {container} has none, so no pod would be made"
    );
    let mut resources = settings.pod_resources.clone().unwrap_or_else(|| json!({}));
    resources[kind][resource] = json!(if resource == "cpu" { "500m" } else { "512Mi" });
    let mend = Mend::option("pod_resources", format!("{resources}, or what a run needs"));
    if defaults.is_unknown {
        let message = format!("{message}, unless a LimitRange that can't be seen here gives it");
        return Finding::warning(CHECK, message, mend);
    }
    Finding::failure(CHECK, message, mend)
}

fn raise(quota: &str, settings: &KubernetesSettings) -> String {
    let namespace = &settings.namespace;
    format!(
        "kubectl -n {namespace} edit resourcequota {quota}    # or delete what is not needed: wm ps --all"
    )
}
