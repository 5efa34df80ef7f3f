//! What the dry runs of the Job and of its pod say.

use wm_core::{Finding, Mend};

use super::{
    account, namespace, plan,
    survey::{Survey, Trial},
};
use crate::{error::Refusal, settings::KubernetesSettings};

pub(super) fn findings(survey: &Survey, settings: &KubernetesSettings) -> Vec<Finding> {
    if plan::is_refused_for_namespace(&survey.job_trial) {
        return vec![namespace::missing(&settings.namespace)];
    }
    let mut findings = Vec::new();
    match &survey.job_trial {
        Trial::Accepted { warnings, lost } => {
            findings.push(Finding::ok("job", "the cluster accepts a runner's Job (dry run)"));
            findings.extend(lost.iter().map(|field| dropped(field)));
            findings.extend(warnings.iter().filter_map(|text| warned(text, lost)));
        }
        Trial::Refused(refusal) => findings.push(refused("job", "Job", refusal, settings)),
        Trial::Unknown(why) => {
            findings.push(super::unknown("job", "whether a runner's Job is accepted", why));
        }
    }
    findings.push(match &survey.pod_trial {
        Some(Trial::Accepted { .. }) => Finding::ok("pod", "the cluster accepts a runner's pod (dry run)"),
        Some(Trial::Refused(refusal)) => refused("pod", "pod", refusal, settings),
        Some(Trial::Unknown(why)) => super::unknown("pod", "whether a runner's pod is accepted", why),
        None => Finding::note(
            "pod",
            "a runner's pod could not be tried out: the credentials may not create pods, which the manager does not need; run `wm doctor` once with those of an administrator",
        ),
    });
    findings
}

/// Sorts a refusal by what it is about.
fn refused(check: &'static str, what: &str, refusal: &Refusal, settings: &KubernetesSettings) -> Finding {
    let namespace = &settings.namespace;
    let said =
        if refusal.message.is_empty() { format!("HTTP {}", refusal.code) } else { refusal.message.clone() };
    let has = |part: &str| said.contains(part);
    let message = format!("the cluster refuses a runner's {what} (dry run): {said}");
    if has("does not support dry run") || refusal.code == 501 {
        return super::unknown(check, &format!("whether a runner's {what} is accepted"), &said);
    }
    if has("being terminated") {
        return namespace::being_deleted(namespace);
    }
    if has("error looking up service account") {
        return account::missing(&settings.service_account, namespace);
    }
    if has("PodSecurity") {
        return Finding::failure("pod-security", message, super::pod_security::mend(settings));
    }
    if has("exceeded quota") || has("failed quota") {
        let mend = if has("must specify") {
            Mend::option("pod_resources", "requests and limits for what the quota names")
        } else {
            Mend::command(format!("kubectl -n {namespace} describe resourcequota"))
        };
        return Finding::failure("quota", message, mend);
    }
    if has("usage per ") || has("limit to request ratio") {
        return Finding::failure(
            "limit-range",
            message,
            Mend::option("pod_resources", "what the namespace's LimitRange allows"),
        );
    }
    if has(" cannot ") && refusal.code == 403 {
        return Finding::failure("right", message, super::by_plan());
    }
    let mend = if settings.pod_template_patch.is_some() && has("spec") {
        Mend::option("pod_template_patch", "a patch without what is refused")
    } else {
        Mend::command(format!(
            "wm render -- true | kubectl -n {namespace} create --dry-run=server -f -    # then correct the setting, or the cluster's policy"
        ))
    };
    Finding::failure(check, message, mend)
}

fn dropped(field: &str) -> Finding {
    if field.starts_with("spec.podFailurePolicy") {
        return Finding::failure(
            "field",
            format!("the cluster is too old for {field} and drops it, so runs are refused"),
            Mend::option("pod_failure_policy", "nothing, or upgrade the cluster"),
        );
    }
    Finding::warning(
        "field",
        format!("the cluster drops {field}: it is too old for it, or does not know the name"),
        Mend::option("pod_template_patch", "a patch without it, if it is from there, or upgrade the cluster"),
    )
}

/// What the server remarks, unless it is told better elsewhere.
fn warned(text: &str, lost: &[String]) -> Option<Finding> {
    let is_told = text.contains("PodSecurity") || (text.starts_with("unknown field") && !lost.is_empty());
    (!is_told).then(|| Finding::note("job", format!("the cluster remarks on a runner's Job: {text}")))
}

#[cfg(test)]
mod tests {
    use wm_core::Severity;

    use super::*;

    fn told(code: u16, message: &str) -> Finding {
        let refusal = Refusal { code, message: message.to_owned(), ..Refusal::default() };
        refused("pod", "pod", &refusal, &KubernetesSettings::new("runs", "runner"))
    }

    /// The messages are those of a real cluster.
    #[test]
    fn a_refusal_is_told_under_what_it_is_about() {
        for (code, message, check) in [
            (
                403,
                "pods \"p\" is forbidden: violates PodSecurity \"restricted:latest\": seccompProfile",
                "pod-security",
            ),
            (
                403,
                "jobs.batch \"second\" is forbidden: exceeded quota: one-job, requested: count/jobs.batch=1",
                "quota",
            ),
            (403, "pods \"p\" is forbidden: failed quota: cpu: must specify limits.cpu for: main", "quota"),
            (
                403,
                "pods \"p\" is forbidden: error looking up service account runs/runner: serviceaccount \"runner\" not found",
                "service-account",
            ),
            (
                403,
                "pods \"p\" is forbidden: maximum cpu usage per Container is 1, but limit is 2",
                "limit-range",
            ),
            (
                403,
                "pods \"p\" is forbidden: unable to create new content in namespace runs because it is being terminated",
                "namespace",
            ),
            (
                403,
                "pods is forbidden: User \"u\" cannot create resource \"pods\" in API group \"\" in the namespace \"runs\"",
                "right",
            ),
            (422, "Pod \"p\" is invalid: spec.containers[0].image: Required value", "pod"),
            (500, "failed calling webhook \"w\": connection refused", "pod"),
        ] {
            let told = told(code, message);
            assert_eq!((told.check, told.severity), (check, Severity::Failure), "{told:?}");
            assert!(told.mend.is_some());
        }
        assert_eq!(told(400, "admission webhook \"w\" does not support dry run").severity, Severity::Note);
        assert_eq!(told(501, "the embedded cluster does not support it").severity, Severity::Note);
    }

    #[test]
    fn what_is_lost_is_worse_where_it_changes_what_a_run_means() {
        assert_eq!(dropped("spec.podFailurePolicy").severity, Severity::Failure);
        assert_eq!(dropped("spec.template.spec.hostUsers").severity, Severity::Warning);
        let lost = ["spec.a".to_owned()];
        assert_eq!(warned("unknown field \"spec.a\"", &lost), None, "it is told as lost");
        assert!(warned("unknown field \"spec.a\"", &[]).is_some());
        assert!(warned("a deprecated field", &lost).is_some());
    }
}
