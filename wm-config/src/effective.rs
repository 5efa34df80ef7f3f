use std::fmt;

use serde::Serialize;

/// One variable as it took effect.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct EffectiveValue {
    /// The variable's full name.
    pub variable: &'static str,
    /// The text that took effect, redacted if it is secret; `None` if it is unset and has no default.
    pub value: Option<String>,
    /// Where the text came from.
    pub origin: Origin,
    /// What the reader should know beside it, such as what holds when nothing is set.
    pub note: Option<String>,
}

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// An environment variable.
    Environment,
    /// A file, by the name that it was loaded under.
    File(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment => f.write_str("environment"),
            Self::File(name) => f.write_str(name),
        }
    }
}
