//! The service account of the pods, and the Secrets with which images are pulled.

use wm_core::{Finding, Mend};

use super::survey::{PullSecret, Survey, Told};
use crate::settings::KubernetesSettings;

/// The types of Secret that the kubelet reads registries' credentials from, each with its key.
const TYPES: [(&str, &str); 2] =
    [("kubernetes.io/dockerconfigjson", ".dockerconfigjson"), ("kubernetes.io/dockercfg", ".dockercfg")];

pub(super) fn findings(survey: &Survey, settings: &KubernetesSettings) -> Vec<Finding> {
    let namespace = &settings.namespace;
    let name = &settings.service_account;
    let mut findings = vec![match &survey.account {
        Told::Is(_) => Finding::ok("service-account", format!("the service account {name} is there")),
        Told::Missing => missing(name, namespace),
        Told::Unknown(why) => {
            super::unknown("service-account", &format!("whether there is a service account {name}"), why)
        }
    }];
    for (name, is_ours, told) in &survey.pull_secrets {
        findings.push(pull_secret(name, *is_ours, told, settings));
    }
    findings
}

pub(super) fn missing(name: &str, namespace: &str) -> Finding {
    Finding::failure(
        "service-account",
        format!("there is no service account {name} in the namespace {namespace}, so no pod would be made"),
        Mend::command(format!("kubectl -n {namespace} create serviceaccount {name}")),
    )
}

fn pull_secret(name: &str, is_ours: bool, told: &Told<PullSecret>, settings: &KubernetesSettings) -> Finding {
    let namespace = &settings.namespace;
    let whose = if is_ours { "the settings" } else { "the service account" };
    let create = Mend::command(format!(
        "kubectl -n {namespace} create secret docker-registry {name} --docker-server=REGISTRY --docker-username=USER --docker-password=PASSWORD"
    ));
    let complain = |message: String, mend: Mend| {
        // What an account names is needed only for the registry that it is for.
        if is_ours {
            Finding::failure("pull-secret", message, mend)
        } else {
            Finding::warning("pull-secret", message, mend)
        }
    };
    match told {
        Told::Unknown(why) => {
            super::unknown("pull-secret", &format!("whether the pull secret {name} of {whose} is right"), why)
        }
        Told::Missing => {
            complain(format!("there is no Secret {name}, which {whose} name for pulling images"), create)
        }
        Told::Is(secret) => {
            let kind = TYPES.iter().find(|(kind, _)| *kind == secret.r#type);
            match kind {
                None => complain(
                    format!(
                        "the Secret {name} is of type {}, from which no image is pulled: it must be {}",
                        secret.r#type, TYPES[0].0
                    ),
                    Mend::command(format!("kubectl -n {namespace} delete secret {name} && {create}")),
                ),
                Some((_, key)) if !secret.data.0.iter().any(|have| have == key) => {
                    complain(format!("the Secret {name} has no key {key}"), create)
                }
                Some(_) => Finding::ok("pull-secret", format!("the pull secret {name} of {whose} is there")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wm_core::Severity;

    use super::*;

    fn told(is_ours: bool, told: &Told<PullSecret>) -> Finding {
        pull_secret("pull", is_ours, told, &KubernetesSettings::new("runs", "runner"))
    }

    fn secret(kind: &str, key: &str) -> Told<PullSecret> {
        Told::Is(serde_json::from_value(json!({ "type": kind, "data": { key: "aHVudGVyMg==" } })).unwrap())
    }

    #[test]
    fn a_pull_secret_must_be_there_and_of_a_type_that_is_read() {
        for (kind, key) in TYPES {
            assert_eq!(told(true, &secret(kind, key)).severity, Severity::Ok);
            assert_eq!(told(true, &secret(kind, "other")).severity, Severity::Failure);
        }
        let opaque = told(true, &secret("Opaque", ".dockerconfigjson"));
        assert_eq!(opaque.severity, Severity::Failure);
        assert!(opaque.message.contains("Opaque"), "{opaque:?}");
        assert_eq!(told(true, &Told::Missing).severity, Severity::Failure);
        assert_eq!(told(false, &Told::Missing).severity, Severity::Warning);
        assert_eq!(told(true, &Told::Unknown("why".to_owned())).severity, Severity::Note);
    }

    #[test]
    fn what_is_in_a_pull_secret_is_not_kept() {
        let secret = secret(TYPES[0].0, TYPES[0].1);
        assert!(!format!("{secret:?}").contains("aHVudGVyMg"), "{secret:?}");
    }
}
