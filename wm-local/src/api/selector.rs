//! Which objects a list or watch is about.

mod field;
mod label;

use serde_json::Value;

use self::{field::FieldSelector, label::LabelSelector};
use super::parameters::Parameters;
use crate::{
    error::ApiError,
    kind::Kind,
    store::{StoreEvent, meta},
};

/// The objects of one kind that a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    name: Option<String>,
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    pub(crate) fn new(
        kind: Kind,
        namespace: Option<String>,
        name: Option<String>,
        parameters: &Parameters,
    ) -> Result<Self, ApiError> {
        let labels = LabelSelector::parse(parameters.get("labelSelector").unwrap_or_default())?;
        let fields = FieldSelector::parse(kind, parameters.get("fieldSelector").unwrap_or_default())?;
        Ok(Self { kind, namespace, name, labels, fields })
    }

    /// Whether more than kind and namespace restrict it.
    pub(crate) fn is_restricted(&self) -> bool {
        self.name.is_some() || !self.labels.is_empty() || !self.fields.is_empty()
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.name.as_ref().is_none_or(|name| name == meta(object, "name"))
            && self.labels.matches(object)
            && self.fields.matches(self.kind, object)
    }

    /// Whether an event is about an object of this kind and namespace.
    pub(crate) fn concerns(&self, event: &StoreEvent) -> bool {
        event.key.kind == self.kind
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == event.key.namespace)
    }
}
