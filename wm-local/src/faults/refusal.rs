//! Refusals of new objects, in the recorded words.

use serde_json::{Value, json};

use super::{
    Faults, Hit, annotated, check_annotations,
    effect::{Effect, Refusal},
    selector::{Occasion, subject},
};
use crate::{
    error::{ApiError, details},
    kind::Kind,
    store::meta,
};

const POLICY: &str = "every Job needs the label 'team'";
const CLOSING: &str = "this queue closes at 18:00";
const WEBHOOK: &str = "jobs.policy.example";
const WEBHOOK_URL: &str = "https://192.0.2.1:5610/validate?timeout=2s";

/// Refuses a new Job or pod if a fault says so, and annotations that are no faults in any case. A fault that only warns
/// returns the warning.
pub(crate) fn refuse(faults: &Faults, kind: Kind, object: &Value) -> Result<Option<String>, ApiError> {
    if !matches!(kind, Kind::Job | Kind::Pod) {
        return Ok(None);
    }
    for annotated in [object, &object["spec"]["template"]] {
        check_annotations(annotated).map_err(|error| ApiError::bad_request(error.to_string()))?;
    }
    let occasion = Occasion {
        verb: "create",
        resource: kind.resource(),
        namespace: meta(object, "namespace"),
        names: &[subject(object)],
        ..Occasion::default()
    };
    let own = annotated(object).into_iter().find_map(|(hit, text)| {
        let refusal = refusal(&hit.effect)?;
        faults.note(&occasion, text);
        Some((refusal, hit))
    });
    let found = own.or_else(|| {
        if faults.is_quiet() {
            return None;
        }
        let hits = faults.hits(&occasion, |_, fault| {
            refusal(&fault.effect).is_some_and(|refusal| {
                // Unless it is said, what is refused is the Job, where that is what a real cluster refuses.
                !fault.selector.resources.is_empty() || usual(refusal) == kind
            })
        });
        hits.into_iter().find_map(|hit| Some((refusal(&hit.effect)?, hit)))
    });
    match found {
        None => Ok(None),
        Some((Refusal::PolicyWarns, hit)) => Ok(Some(format!(
            "Validation failed for ValidatingAdmissionPolicy 'fault' with binding 'fault': {}",
            hit.message.as_deref().unwrap_or(POLICY)
        ))),
        Some((Refusal::WebhookWarns, hit)) => Ok(Some(hit.message.unwrap_or_else(|| CLOSING.to_owned()))),
        Some((refusal, hit)) => Err(words(refusal, &hit, kind, object)),
    }
}

fn refusal(effect: &Effect) -> Option<Refusal> {
    match effect {
        Effect::Admission(refusal) => Some(*refusal),
        _ => None,
    }
}

fn usual(refusal: Refusal) -> Kind {
    match refusal {
        Refusal::PodSecurity | Refusal::ServiceAccount => Kind::Pod,
        _ => Kind::Job,
    }
}

fn words(refusal: Refusal, hit: &Hit, kind: Kind, object: &Value) -> ApiError {
    let (name, namespace) = (meta(object, "name"), meta(object, "namespace"));
    let about = || details(name, kind.group(), kind.resource());
    let forbidden = |name: &str, why: &str| {
        let message = format!("{} {name:?} is forbidden: {why}", kind.qualified_resource());
        ApiError::new(403, "Forbidden", message).with_details(details(name, kind.group(), kind.resource()))
    };
    let or = |usual: &str| hit.message.clone().unwrap_or_else(|| usual.to_owned());
    let failed = |why: &str| {
        let why = format!(
            "failed calling webhook {WEBHOOK:?}: failed to call webhook: Post {WEBHOOK_URL:?}: {why}"
        );
        ApiError::internal(why.clone()).with_details(json!({"causes": [{"message": why}]}))
    };
    match refusal {
        Refusal::Quota if kind == Kind::Job => forbidden(
            name,
            "exceeded quota: fault, requested: count/jobs.batch=1, used: count/jobs.batch=1, limited: \
             count/jobs.batch=1",
        ),
        Refusal::Quota => {
            forbidden(name, "exceeded quota: fault, requested: pods=1, used: pods=0, limited: pods=0")
        }
        Refusal::Policy | Refusal::PolicyWarns => {
            let why = format!(
                "ValidatingAdmissionPolicy 'fault' with binding 'fault' denied request: {}",
                or(POLICY)
            );
            let mut about = about();
            about["causes"] = json!([{"message": why}]);
            let message = format!("{} {name:?} is forbidden: {why}", kind.qualified_resource());
            ApiError::new(422, "Invalid", message).with_details(about)
        }
        Refusal::Webhook | Refusal::WebhookWarns => {
            let why = or("no GPU quota is left for this team");
            ApiError::new(403, "", format!("admission webhook {WEBHOOK:?} denied the request: {why}"))
        }
        Refusal::WebhookSilent => {
            let message = format!("admission webhook {WEBHOOK:?} denied the request without explanation");
            ApiError::new(400, "", message)
        }
        Refusal::WebhookSlow => failed("context deadline exceeded"),
        Refusal::WebhookDown => failed("dial tcp 192.0.2.1:5610: connect: connection refused"),
        Refusal::PodSecurity => forbidden(
            name,
            &format!(
                "violates PodSecurity \"restricted:latest\": {}",
                or(
                    "runAsNonRoot != true (pod or container \"main\" must set securityContext.runAsNonRoot=true)"
                )
            ),
        ),
        Refusal::ServiceAccount => {
            // It is looked up before the name is generated.
            let name = object["metadata"]["generateName"].as_str().unwrap_or(name);
            let account = object["spec"]["serviceAccountName"].as_str().unwrap_or("default");
            forbidden(
                name,
                &format!(
                    "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
                ),
            )
        }
    }
}
