//! The admission of Pod Security: which level the labels of a namespace ask for, and what follows.

use serde_json::Value;

use super::standards::{Level, violations};
use crate::{
    error::{ApiError, details},
    kind::{Key, Kind},
    store::{Store, meta},
};

/// Reviews a new Job or pod. Returns the warnings, or refuses a pod that violates what is enforced. A Job is never
/// refused: its pods are.
pub(crate) fn review(store: &Store, kind: Kind, object: &Value) -> Result<Vec<String>, ApiError> {
    let spec = match kind {
        Kind::Pod => &object["spec"],
        Kind::Job => &object["spec"]["template"]["spec"],
        _ => return Ok(Vec::new()),
    };
    let Some(namespace) = store.get(&Key::new(Kind::Namespace, "", meta(object, "namespace"))) else {
        return Ok(Vec::new());
    };
    if kind == Kind::Pod
        && let Some(violated) = Mode::of(&namespace, "enforce").violated(spec)
    {
        let name = meta(object, "name");
        let message = format!("pods {name:?} is forbidden: violates PodSecurity {violated}");
        return Err(ApiError::new(403, "Forbidden", message).with_details(details(name, "", "pods")));
    }
    let warned = Mode::of(&namespace, "warn").violated(spec);
    Ok(warned.map(|violated| format!("would violate PodSecurity {violated}")).into_iter().collect())
}

/// What the labels of a namespace say of one mode.
struct Mode {
    level: Level,
    version: String,
}

impl Mode {
    fn of(namespace: &Value, mode: &str) -> Self {
        let label = |end: &str| {
            namespace["metadata"]["labels"][format!("pod-security.kubernetes.io/{mode}{end}")].as_str()
        };
        let level = match label("") {
            None | Some("privileged") => Level::Privileged,
            Some("baseline") => Level::Baseline,
            // What can't be understood is taken for the strictest level.
            Some(_) => Level::Restricted,
        };
        Self { level, version: label("-version").unwrap_or("latest").to_owned() }
    }

    /// The level and what violates it, in the words of a real cluster.
    fn violated(&self, spec: &Value) -> Option<String> {
        let found = violations(self.level, spec);
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        (!found.is_empty()).then(|| format!("\"{level}:{}\": {}", self.version, found.join(", ")))
    }
}
