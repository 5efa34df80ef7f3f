use wm_core::{Finding, Severity};

use super::by_plan;
use crate::{
    rights::Right,
    settings::{KubernetesSettings, PlainSecrets},
};

/// Names each right that is missing, with what it is for.
pub(super) fn findings(
    rights: &[(&'static Right, Option<bool>)],
    settings: &KubernetesSettings,
) -> Vec<Finding> {
    let mut findings: Vec<_> = rights
        .iter()
        .filter_map(|(right, granted)| match granted {
            Some(true) => None,
            Some(false) => Some(missing(right, settings)),
            None => Some(super::unknown(
                "right",
                &format!("whether the credentials may {} {}", right.verb, right.resource),
                "the access review was not answered",
            )),
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok("right", format!("the credentials have all {} rights", rights.len())));
    }
    findings
}

fn missing(right: &Right, settings: &KubernetesSettings) -> Finding {
    let secrets = right.resource == "secrets";
    let (severity, instead) = match settings.plain_secrets {
        _ if right.narrow => (Severity::Failure, "without it runs do not work"),
        PlainSecrets::Refuse if secrets => {
            (Severity::Failure, "without it runs with secret values are refused")
        }
        PlainSecrets::Allow if secrets => (Severity::Warning, "without it they stand in the Jobs in plain"),
        _ => (Severity::Note, "the manager does without"),
    };
    let message =
        format!("the credentials may not {} {} ({}); {instead}", right.verb, right.resource, right.purpose);
    let mut finding = Finding::failure("right", message, by_plan());
    finding.severity = severity;
    finding
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rights::RIGHTS;

    fn told(granted: impl Fn(&Right) -> Option<bool>, settings: &KubernetesSettings) -> Vec<Finding> {
        let rights: Vec<_> = RIGHTS.iter().map(|right| (right, granted(right))).collect();
        findings(&rights, settings)
    }

    #[test]
    fn all_rights_are_one_good_finding() {
        let told = told(|_| Some(true), &KubernetesSettings::new("runs", "runner"));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].severity, Severity::Ok);
    }

    #[test]
    fn each_missing_right_is_named_and_only_those_of_the_narrow_role_are_failures() {
        let mut settings = KubernetesSettings::new("runs", "runner");
        for (finding, right) in told(|_| Some(false), &settings).iter().zip(RIGHTS) {
            assert!(finding.message.contains(&format!("{} {}", right.verb, right.resource)), "{finding:?}");
            assert_eq!(finding.severity == Severity::Failure, right.narrow, "{finding:?}");
            assert!(finding.mend.is_some());
        }
        let told_narrow = told(|right| Some(right.narrow), &settings);
        assert_eq!(told_narrow.len(), RIGHTS.iter().filter(|right| !right.narrow).count());
        settings.plain_secrets = PlainSecrets::Refuse;
        let failures = told(|right| Some(right.narrow), &settings);
        let failures: Vec<_> = failures.iter().filter(|told| told.severity == Severity::Failure).collect();
        assert_eq!(failures.len(), 1);
        assert!(failures[0].message.contains("create secrets"), "{failures:?}");
    }

    #[test]
    fn what_is_not_answered_is_no_missing_right() {
        let told = told(|_| None, &KubernetesSettings::new("runs", "runner"));
        assert!(told.iter().all(|finding| finding.severity == Severity::Note), "{told:?}");
    }
}
