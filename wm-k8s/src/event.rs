//! What we read of Events: the cluster's words on what it tried with a Job or a Pod.

use jiff::Timestamp;
use serde::Deserialize;

/// An Event as the API gives it, as far as we read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EventView {
    #[serde(rename = "involvedObject")]
    pub(crate) about: About,
    /// `Normal` or `Warning`.
    pub(crate) r#type: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) message: Option<String>,
    first_timestamp: Option<Timestamp>,
    last_timestamp: Option<Timestamp>,
    event_time: Option<Timestamp>,
}

/// What an Event is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl EventView {
    /// When it happened first.
    pub(crate) fn first(&self) -> Option<Timestamp> {
        self.first_timestamp.or(self.event_time).or(self.last_timestamp)
    }

    /// When it happened last. Some reporters fill in the one field and some the other.
    pub(crate) fn last(&self) -> Option<Timestamp> {
        self.last_timestamp.or(self.event_time).or(self.first_timestamp)
    }

    pub(crate) fn is_warning(&self) -> bool {
        self.r#type.as_deref() == Some("Warning")
    }

    pub(crate) fn reason(&self) -> &str {
        self.reason.as_deref().unwrap_or_default()
    }

    pub(crate) fn message(&self) -> &str {
        self.message.as_deref().unwrap_or_default().trim()
    }

    /// The Event as a line of evidence.
    pub(crate) fn line(&self) -> String {
        format!("{} {}: {}", self.r#type.as_deref().unwrap_or("Event"), self.reason(), self.message())
    }
}
