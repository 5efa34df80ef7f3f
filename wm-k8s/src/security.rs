//! The security contexts of the Pod Security levels.

use serde_json::{Value, json};

use crate::settings::PodSecurity;

/// What the container gives up, once it is known what the namespace asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Restriction {
    /// All that the `restricted` level asks for.
    Restricted,
    /// The same but for `runAsNonRoot`, so that images whose user is root start.
    RootAllowed,
    /// The seccomp profile alone.
    Baseline,
    /// Nothing.
    None,
}

impl Restriction {
    /// Decides from the setting and from whether the namespace enforces the `restricted` level.
    pub(crate) fn of(setting: PodSecurity, enforced: bool) -> Self {
        match setting {
            PodSecurity::Restricted => Self::Restricted,
            PodSecurity::Auto if enforced => Self::Restricted,
            PodSecurity::Auto => Self::RootAllowed,
            PodSecurity::Baseline => Self::Baseline,
            PodSecurity::None => Self::None,
        }
    }
}

pub(crate) fn pod(restriction: Restriction) -> Option<Value> {
    match restriction {
        Restriction::Restricted => {
            Some(json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }))
        }
        Restriction::RootAllowed | Restriction::Baseline => {
            Some(json!({ "seccompProfile": { "type": "RuntimeDefault" } }))
        }
        Restriction::None => None,
    }
}

pub(crate) fn container(restriction: Restriction) -> Option<Value> {
    matches!(restriction, Restriction::Restricted | Restriction::RootAllowed)
        .then(|| json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } }))
}
