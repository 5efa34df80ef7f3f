//! The Secrets that images are pulled with.

use k8s_openapi::api::core::v1::LocalObjectReference;
use serde_json::Value;

use super::{
    FieldProblem,
    decode::{Document, Place},
    message::{self, quoted},
    names, path,
};

const PLACE: Place = Place { holder: "PodSpec", path: "spec.template.spec.imagePullSecrets" };

/// Checks references to image pull Secrets.
///
/// A server takes any name here; one that no Secret can have is refused, as images would fail to be pulled for it.
pub fn image_pull_secrets(value: &Value) -> Vec<FieldProblem> {
    Document::new(PLACE).decode(value).checked(|secrets: &Vec<LocalObjectReference>| check(secrets, ""))
}

pub(super) fn check(secrets: &[LocalObjectReference], at: &str) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    for (index, secret) in secrets.iter().enumerate() {
        let field = path::child(&path::index(at, index), "name");
        if secret.name.is_empty() {
            problems.push(message::required(field, ""));
        } else {
            let messages = names::dns_subdomain(&secret.name);
            problems.extend(
                messages.iter().map(|detail| message::invalid(&field, &quoted(&secret.name), detail)),
            );
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(value: &Value) -> Vec<String> {
        image_pull_secrets(value).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_of_secrets_are_fine() {
        for value in [
            json!(null),
            json!([]),
            json!([{"name": "ecr"}, {"name": "harbor.example.com"}]),
            json!([{"name": "a"}, {"name": "a"}]),
        ] {
            assert_eq!(shown(&value), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn what_no_secret_is_called_is_refused() {
        for (value, start) in [
            (json!([{}]), "[0].name: Required value"),
            (json!([{"name": ""}]), "[0].name: Required value"),
            (
                json!([{"name": "My_Secret"}]),
                "[0].name: Invalid value: \"My_Secret\": a lowercase RFC 1123 subdomain",
            ),
            (json!([{"name": "a", "namespace": "b"}]), "[0].namespace: unknown field"),
            (json!([{"nam": "a"}]), "[0].nam: unknown field, did you mean \"name\"?"),
            (
                json!(["ecr"]),
                "[0]: json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.imagePullSecrets of type v1.LocalObjectReference",
            ),
            (
                json!({"name": "ecr"}),
                "json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.imagePullSecrets of type []v1.LocalObjectReference",
            ),
            (
                json!("ecr"),
                "json: cannot unmarshal string into Go struct field PodSpec.spec.template.spec.imagePullSecrets of type []v1.LocalObjectReference",
            ),
        ] {
            let problems = shown(&value);
            assert!(problems.len() == 1 && problems[0].starts_with(start), "{value}: {problems:#?}");
        }
    }
}
