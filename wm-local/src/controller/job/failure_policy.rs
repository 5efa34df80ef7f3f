//! `podFailurePolicy`: what a failed pod means for its Job.

use serde_json::Value;

use crate::store::meta;

/// The verdict of the first rule that matches.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// No rule matches, or one that says so: the failure counts against the limit.
    Count,
    Ignore,
    /// The Job fails, with this message.
    FailJob(String),
}

/// Judges a failed pod by the rules in order.
pub(super) fn judge(job: &Value, pod: &Value) -> Verdict {
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_array();
    for (index, rule) in rules.into_iter().flatten().enumerate() {
        let Some(what) = matching(rule, pod) else { continue };
        return match rule["action"].as_str() {
            Some("FailJob") => Verdict::FailJob(format!("{what} matching FailJob rule at index {index}")),
            Some("Ignore") => Verdict::Ignore,
            _ => Verdict::Count,
        };
    }
    Verdict::Count
}

/// What about the pod the rule matches, in words.
fn matching(rule: &Value, pod: &Value) -> Option<String> {
    let (namespace, name) = (meta(pod, "namespace"), meta(pod, "name"));
    if let Some(requirement) = rule.get("onExitCodes").filter(|requirement| !requirement.is_null()) {
        let (container, code) = matching_exit_code(requirement, pod)?;
        return Some(format!(
            "Container {container} for pod {namespace}/{name} failed with exit code {code}"
        ));
    }
    let patterns = rule["onPodConditions"].as_array()?;
    let conditions = pod["status"]["conditions"].as_array()?;
    let matched = conditions.iter().find(|condition| {
        patterns.iter().any(|pattern| {
            let status = pattern["status"].as_str().unwrap_or("True");
            pattern["type"] == condition["type"] && condition["status"] == status
        })
    })?;
    Some(format!("Pod {namespace}/{name} has condition {}", matched["type"].as_str().unwrap_or_default()))
}

fn matching_exit_code<'a>(requirement: &Value, pod: &'a Value) -> Option<(&'a str, i64)> {
    let values = requirement["values"].as_array()?;
    let only = requirement["containerName"].as_str();
    let statuses =
        ["containerStatuses", "initContainerStatuses"].map(|field| pod["status"][field].as_array());
    statuses.into_iter().flatten().flatten().find_map(|status| {
        let name = status["name"].as_str()?;
        let code = status["state"]["terminated"]["exitCode"].as_i64().filter(|code| *code != 0)?;
        let is_listed = values.iter().any(|value| value.as_i64() == Some(code));
        let is_wanted = if requirement["operator"] == "NotIn" { !is_listed } else { is_listed };
        (is_wanted && only.is_none_or(|only| only == name)).then_some((name, code))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(code: i64) -> Value {
        json!({
            "metadata": {"namespace": "ns", "name": "p"},
            "status": {
                "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": code}}}],
                "conditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
        })
    }

    fn verdict(rules: &Value, code: i64) -> Verdict {
        judge(&json!({"spec": {"podFailurePolicy": {"rules": rules}}}), &pod(code))
    }

    #[test]
    fn a_listed_exit_code_fails_the_job_in_the_recorded_words() {
        let rules = json!([{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]);
        let message = "Container main for pod ns/p failed with exit code 42 matching FailJob rule at index 0";
        assert_eq!(verdict(&rules, 42), Verdict::FailJob(message.to_owned()));
        assert_eq!(verdict(&rules, 1), Verdict::Count);
    }

    #[test]
    fn the_first_matching_rule_decides() {
        let rules = json!([
            {"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]);
        assert_eq!(verdict(&rules, 1), Verdict::Count);
        assert_eq!(verdict(&rules, 2), Verdict::Ignore);
    }

    #[test]
    fn not_in_means_any_other_failure_of_the_named_container() {
        let rule = |name: &str| {
            let codes = json!({"operator": "NotIn", "values": [1], "containerName": name});
            json!([{"action": "Ignore", "onExitCodes": codes}])
        };
        assert_eq!(verdict(&rule("main"), 7), Verdict::Ignore);
        assert_eq!(verdict(&rule("main"), 1), Verdict::Count);
        assert_eq!(verdict(&rule("other"), 7), Verdict::Count);
        assert_eq!(verdict(&rule("main"), 0), Verdict::Count, "success is no failure");
    }
}
