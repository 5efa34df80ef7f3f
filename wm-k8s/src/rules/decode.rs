//! JSON to a Kubernetes type, with the verdicts of the API server's decoder in strict mode.
//!
//! Unlike `serde_json` it doesn't stop at the first mistake, knows an unknown field from a known one that is null, and
//! takes a null for the zero value wherever Go does. A value that can't be decoded leaves a zero value behind.

use std::cell::RefCell;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    FieldProblem,
    decoder::{Decoder, Failure, Spot},
    message, path,
};

/// Decodes a value of a Kubernetes type, or says all that its decoder would refuse.
///
/// Misspelt and unknown fields are refused, with the field that was meant when it is one slip away.
pub fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, Vec<FieldProblem>> {
    Document::new(Place { holder: "", path: "" }).decode(value).into_result()
}

/// Where in a Job a value goes, which is part of the decoder's messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The Go type that holds the value.
    pub(super) holder: &'static str,
    /// The path from the Job to the value.
    pub(super) path: &'static str,
}

/// A value with what was wrong in it.
#[derive(Debug)]
pub(super) struct Decoded<T> {
    /// Missing if it could not be decoded at all.
    pub(super) value: Option<T>,
    pub(super) problems: Vec<FieldProblem>,
}

impl<T> Decoded<T> {
    /// All problems: the decoder's, and those that `check` finds in what could be decoded.
    pub(super) fn checked(self, check: impl FnOnce(&T) -> Vec<FieldProblem>) -> Vec<FieldProblem> {
        let Self { value, mut problems } = self;
        let doubtful: Vec<String> =
            problems.iter().map(|problem| path::parent(&problem.field).to_owned()).collect();
        let found = value.as_ref().map(check).unwrap_or_default();
        // What is near a value that could not be read may be wrong for that reason only.
        problems.extend(found.into_iter().filter(|problem| {
            !doubtful
                .iter()
                .any(|near| path::is_within(&problem.field, near) || path::is_within(near, &problem.field))
        }));
        problems
    }

    fn into_result(self) -> Result<T, Vec<FieldProblem>> {
        match self.value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(self.problems),
        }
    }
}

/// How a document is read.
#[derive(Debug)]
pub(super) struct Document {
    place: Place,
    is_patch: bool,
    problems: RefCell<Vec<FieldProblem>>,
}

impl Document {
    pub(super) fn new(place: Place) -> Self {
        Self { place, is_patch: false, problems: RefCell::default() }
    }

    /// A strategic merge patch: its directives are no fields.
    pub(super) fn patch(place: Place) -> Self {
        Self { is_patch: true, ..Self::new(place) }
    }

    pub(super) fn decode<T: DeserializeOwned>(self, value: &Value) -> Decoded<T> {
        let spot = Spot::root(path::without_indices(self.place.path), self.place.holder);
        let result = T::deserialize(Decoder::new(&self, value, spot));
        let mut problems = self.problems.into_inner();
        if let Err(Failure(Some(detail))) = &result {
            problems.push(message::problem("", detail.as_str()));
        }
        Decoded { value: result.ok(), problems }
    }

    pub(super) fn is_patch(&self) -> bool {
        self.is_patch
    }

    pub(super) fn add(&self, field: &str, detail: String) {
        self.problems.borrow_mut().push(message::problem(field, detail));
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{PodTemplateSpec, ResourceRequirements, Toleration};
    use serde_json::json;

    use super::*;

    fn shown<T: DeserializeOwned>(value: &Value) -> Vec<String> {
        parse::<T>(value).err().into_iter().flatten().map(|problem| problem.to_string()).collect()
    }

    #[test]
    fn what_is_right_is_decoded() {
        let toleration: Toleration =
            parse(&json!({"key": "gpu", "operator": "Exists", "tolerationSeconds": 5})).unwrap();
        assert_eq!(toleration.key.as_deref(), Some("gpu"));
        assert_eq!(toleration.toleration_seconds, Some(5));
        let resources: ResourceRequirements =
            parse(&json!({"limits": {"cpu": 1, "memory": "1Gi"}, "requests": null})).unwrap();
        assert_eq!(resources.limits.unwrap()["cpu"].0, "1");
        assert_eq!(resources.requests, None);
    }

    #[test]
    fn a_null_is_the_zero_value_as_in_go() {
        assert_eq!(parse::<Vec<Toleration>>(&json!([null])).unwrap(), [Toleration::default()]);
        assert_eq!(parse::<Vec<Toleration>>(&Value::Null).unwrap(), []);
        let resources: ResourceRequirements = parse(&json!({"limits": {"cpu": null}})).unwrap();
        assert_eq!(resources.limits.unwrap()["cpu"].0, "0");
    }

    #[test]
    fn every_wrong_type_is_told_at_once() {
        assert_eq!(
            shown::<Vec<Toleration>>(
                &json!([{"key": 1, "tolerationSeconds": "5"}, "gpu", {"tolerationSeconds": 1.5}])
            ),
            [
                "[0].key: json: cannot unmarshal number into Go struct field Toleration.key of type string",
                "[0].tolerationSeconds: json: cannot unmarshal string into Go struct field Toleration.tolerationSeconds of type int64",
                "[1]: json: cannot unmarshal string into Go value of type v1.Toleration",
                "[2].tolerationSeconds: json: cannot unmarshal number 1.5 into Go struct field Toleration.tolerationSeconds of type int64",
            ]
        );
        assert_eq!(
            shown::<PodTemplateSpec>(&json!({"spec": {
                "hostNetwork": "yes", "containers": {}, "nodeSelector": [], "hostname": {},
                "volumes": [{"name": "v", "emptyDir": {"sizeLimit": true}}],
            }})),
            [
                "spec.containers: json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
                "spec.hostNetwork: json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
                "spec.hostname: json: cannot unmarshal object into Go struct field PodSpec.spec.hostname of type string",
                "spec.nodeSelector: json: cannot unmarshal array into Go struct field PodSpec.spec.nodeSelector of type map[string]string",
                "spec.volumes[0].emptyDir.sizeLimit: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ]
        );
        let probe = json!({"spec": {"containers": [{"livenessProbe": {"httpGet": {"port": true}}}]}});
        assert_eq!(shown::<PodTemplateSpec>(&probe).len(), 1);
    }

    #[test]
    fn unknown_fields_are_told_even_when_they_are_null() {
        assert_eq!(
            shown::<PodTemplateSpec>(&json!({
                "specs": {},
                "spec": {"node_selector": null, "containers": [{"imagee": "x", "resources": {"limit": null}, "zz": 1}]},
            })),
            [
                "specs: unknown field, did you mean \"spec\"?",
                "spec.node_selector: unknown field, did you mean \"nodeSelector\"?",
                "spec.containers[0].imagee: unknown field, did you mean \"image\"?",
                "spec.containers[0].zz: unknown field",
                "spec.containers[0].resources.limit: unknown field, did you mean \"limits\"?",
            ]
        );
    }

    #[test]
    fn an_array_is_no_struct() {
        assert_eq!(
            shown::<ResourceRequirements>(&json!([])),
            ["json: cannot unmarshal array into Go value of type v1.ResourceRequirements"]
        );
    }

    #[test]
    fn mistakes_that_follow_from_an_unreadable_neighbour_are_left_out() {
        let decoded = Document::new(Place { holder: "PodSpec", path: "spec.tolerations" })
            .decode::<Vec<Toleration>>(&json!([{"operater": "Exists"}, {}]));
        let found = decoded
            .checked(|_| vec![message::required("[0].operator", ""), message::required("[1].operator", "")]);
        let fields: Vec<_> = found.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["[0].operater", "[1].operator"]);
    }
}
