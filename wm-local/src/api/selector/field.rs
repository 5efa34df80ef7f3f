//! Field selectors, for the fields that each kind allows.

use std::borrow::Cow;

use serde_json::Value;

use crate::{error::ApiError, kind::Kind};

/// All terms must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FieldSelector(Vec<Term>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    /// `!=` instead of `=`.
    negated: bool,
}

impl FieldSelector {
    pub(super) fn parse(kind: Kind, text: &str) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (field, value, negated) = if let Some((field, value)) = part.split_once("!=") {
                (field, value, true)
            } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (field, value, false)
            } else {
                let message = format!("invalid selector: '{text}'; can't understand '{part}'");
                return Err(ApiError::bad_request(message));
            };
            let field = field.trim();
            if !is_supported(kind, field) {
                let message = format!("field label {field:?} not supported for {}", kind.kind());
                return Err(ApiError::bad_request(message));
            }
            terms.push(Term { field: field.to_owned(), value: value.trim().to_owned(), negated });
        }
        Ok(Self(terms))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn matches(&self, kind: Kind, object: &Value) -> bool {
        self.0.iter().all(|term| (value_of(kind, object, &term.field) == term.value) != term.negated)
    }
}

fn is_supported(kind: Kind, field: &str) -> bool {
    let own: &[&str] = match kind {
        Kind::Job => &["status.successful"],
        Kind::Pod => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.phase",
            "status.podIP",
        ],
        Kind::Event => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        Kind::Secret => &["type"],
        Kind::Namespace => &["status.phase"],
        Kind::Node => &["spec.unschedulable"],
        Kind::ConfigMap | Kind::ServiceAccount | Kind::ResourceQuota | Kind::LimitRange => &[],
    };
    own.contains(&field)
        || field == "metadata.name"
        || (field == "metadata.namespace" && kind.is_namespaced())
}

fn value_of<'a>(kind: Kind, object: &'a Value, field: &str) -> Cow<'a, str> {
    let (path, absent) = match (kind, field) {
        (Kind::Job, "status.successful") => ("status.succeeded", "0"),
        (Kind::Event, "source") => ("source.component", ""),
        (Kind::Node, "spec.unschedulable") => (field, "false"),
        _ => (field, ""),
    };
    let value = path.split('.').fold(object, |value, member| &value[member]);
    match value {
        Value::Null => Cow::Borrowed(absent),
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_select() {
        let pod = json!({"metadata": {"name": "p"}, "status": {"phase": "Running"}});
        let matches = |selector| FieldSelector::parse(Kind::Pod, selector).unwrap().matches(Kind::Pod, &pod);
        for selector in ["", "metadata.name=p", "metadata.name==p,status.phase!=Failed", "spec.nodeName="] {
            assert!(matches(selector), "{selector}");
        }
        for selector in ["metadata.name=q", "metadata.name!=p", "status.phase=Failed", "spec.nodeName=x"] {
            assert!(!matches(selector), "{selector}");
        }
        let job = json!({"status": {}});
        assert!(FieldSelector::parse(Kind::Job, "status.successful=0").unwrap().matches(Kind::Job, &job));
    }

    #[test]
    fn unknown_fields_are_refused() {
        let refusal = FieldSelector::parse(Kind::Job, "spec.suspend=true").unwrap_err();
        assert_eq!(refusal.message, "field label \"spec.suspend\" not supported for Job");
        let refusal = FieldSelector::parse(Kind::Job, "nonsense").unwrap_err();
        assert_eq!(refusal.message, "invalid selector: 'nonsense'; can't understand 'nonsense'");
    }
}
