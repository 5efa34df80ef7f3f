//! The environment, command and arguments of a container, from its spec and the objects that it names.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    sync::Arc,
};

use serde_json::Value;

use super::{base64, downward, expansion::expand};
use crate::{store::Kind, value::list};

/// Why a container can't be created yet; `Display` is the kubelet's message.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{} \"{name}\" not found", word(*.kind))]
    ObjectMissing { kind: Kind, name: String },
    #[error("couldn't find key {key} in {} {namespace}/{name}", .kind.kind())]
    KeyMissing { kind: Kind, namespace: String, name: String, key: String },
    #[error("{0}")]
    Unsupported(String),
}

fn word(kind: Kind) -> &'static str {
    if kind == Kind::Secret { "secret" } else { "configmap" }
}

impl ConfigError {
    /// Whether this object, created or changed, may mend it.
    pub(crate) fn may_be_mended_by(&self, changed: Kind, named: &str) -> bool {
        match self {
            Self::ObjectMissing { kind, name } | Self::KeyMissing { kind, name, .. } => {
                *kind == changed && name == named
            }
            Self::Unsupported(_) => false,
        }
    }
}

/// Finds a Secret or `ConfigMap` of the pod's namespace.
pub(crate) type Lookup<'a> = &'a (dyn Fn(Kind, &str) -> Option<Arc<Value>> + Sync);

/// The variables by name. A later one of the same name wins, as in the kubelet.
#[derive(Default)]
pub(crate) struct Environment {
    variables: BTreeMap<String, OsString>,
}

impl Environment {
    /// Resolves `envFrom`, then `env` in order.
    pub(crate) fn resolve(pod: &Value, container: &Value, lookup: Lookup<'_>) -> Result<Self, ConfigError> {
        let mut environment = Self::default();
        for source in list(container, "envFrom") {
            environment.import(source, lookup)?;
        }
        for variable in list(container, "env") {
            let name = text(variable, "/name");
            let value = match variable.get("valueFrom") {
                None | Some(Value::Null) => Some(environment.expand(text(variable, "/value"))),
                Some(from) => value_from(pod, container, from, lookup)?,
            };
            if let Some(value) = value {
                environment.variables.insert(name.to_owned(), value);
            }
        }
        Ok(environment)
    }

    /// Expands `$(NAME)` by the variables so far.
    pub(crate) fn expand(&self, text: &str) -> OsString {
        OsString::from_vec(expand(text.as_bytes(), |name| {
            let value = self.variables.get(str::from_utf8(name).ok()?)?;
            Some(value.as_bytes().to_vec())
        }))
    }

    pub(crate) fn set_default(&mut self, name: &str, value: impl Into<OsString>) {
        self.variables.entry(name.to_owned()).or_insert_with(|| value.into());
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &OsString)> {
        self.variables.iter()
    }

    fn import(&mut self, source: &Value, lookup: Lookup<'_>) -> Result<(), ConfigError> {
        let prefix = text(source, "/prefix");
        for (kind, field) in [(Kind::ConfigMap, "configMapRef"), (Kind::Secret, "secretRef")] {
            let Some(reference) = source.get(field) else { continue };
            let name = text(reference, "/name");
            let Some(object) = lookup(kind, name) else {
                if is_optional(reference) {
                    continue;
                }
                return Err(ConfigError::ObjectMissing { kind, name: name.to_owned() });
            };
            for (key, value) in object["data"].as_object().into_iter().flatten() {
                let Some(value) = data(kind, value) else { continue };
                self.variables.insert(format!("{prefix}{key}"), value);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Environment {
    /// The names only: values may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.variables.keys()).finish()
    }
}

fn value_from(
    pod: &Value,
    container: &Value,
    from: &Value,
    lookup: Lookup<'_>,
) -> Result<Option<OsString>, ConfigError> {
    if let Some(reference) = from.get("resourceFieldRef") {
        return downward::resource(pod, Some(container), reference).map(|value| Some(value.into()));
    }
    if let Some(path) = from.pointer("/fieldRef/fieldPath").and_then(Value::as_str) {
        return field(pod, path).map(Some);
    }
    let (kind, reference) = match (from.get("secretKeyRef"), from.get("configMapKeyRef")) {
        (Some(reference), _) => (Kind::Secret, reference),
        (None, Some(reference)) => (Kind::ConfigMap, reference),
        (None, None) => {
            let source = from.as_object().and_then(|from| from.keys().next()).map_or("", String::as_str);
            return Err(ConfigError::Unsupported(format!(
                "the embedded cluster can't set a variable from a {source}"
            )));
        }
    };
    let (name, key) = (text(reference, "/name"), text(reference, "/key"));
    let object = lookup(kind, name);
    let missing = match &object {
        Some(object) => match object["data"].get(key).and_then(|value| data(kind, value)) {
            Some(value) => return Ok(Some(value)),
            None => ConfigError::KeyMissing {
                kind,
                namespace: text(pod, "/metadata/namespace").to_owned(),
                name: name.to_owned(),
                key: key.to_owned(),
            },
        },
        None => ConfigError::ObjectMissing { kind, name: name.to_owned() },
    };
    if is_optional(reference) { Ok(None) } else { Err(missing) }
}

/// A field of the pod, as the downward API names it.
pub(super) fn field(pod: &Value, path: &str) -> Result<OsString, ConfigError> {
    let value = match path {
        "metadata.name"
        | "metadata.namespace"
        | "metadata.uid"
        | "spec.nodeName"
        | "spec.serviceAccountName"
        | "status.hostIP"
        | "status.podIP" => text(pod, &format!("/{}", path.replace('.', "/"))),
        "status.hostIPs" => text(pod, "/status/hostIPs/0/ip"),
        "status.podIPs" => text(pod, "/status/podIPs/0/ip"),
        _ => match subscript(path) {
            Some((map @ ("metadata.labels" | "metadata.annotations"), key)) => {
                pod["metadata"][&map["metadata.".len()..]][key].as_str().unwrap_or_default()
            }
            _ => return Err(ConfigError::Unsupported(format!("unsupported fieldPath: {path}"))),
        },
    };
    Ok(value.into())
}

/// `metadata.labels['key']` in its two parts.
fn subscript(path: &str) -> Option<(&str, &str)> {
    path.strip_suffix("']")?.split_once("['")
}

fn data(kind: Kind, value: &Value) -> Option<OsString> {
    let text = value.as_str()?;
    Some(if kind == Kind::Secret { OsString::from_vec(base64::decode(text)?) } else { text.into() })
}

fn is_optional(reference: &Value) -> bool {
    reference["optional"].as_bool().unwrap_or_default()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "ns", "uid": "u-1", "labels": {"a/b": "label"}},
            "spec": {"nodeName": "local"},
            "status": {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]},
        })
    }

    fn objects(kind: Kind, name: &str) -> Option<Arc<Value>> {
        match (kind, name) {
            (Kind::Secret, "present") => Some(Arc::new(json!({"data": {"a": "//4=", "user": "YWRh"}}))),
            (Kind::ConfigMap, "settings") => Some(Arc::new(json!({"data": {"LEVEL": "debug"}}))),
            _ => None,
        }
    }

    fn resolve(container: &Value) -> Result<Environment, ConfigError> {
        Environment::resolve(&pod(), container, &objects)
    }

    #[test]
    fn values_see_the_variables_before_them() {
        let environment = resolve(&json!({
            "envFrom": [{"prefix": "C_", "configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "B", "value": "$(A)$(C_LEVEL)$(LATER)"},
                {"name": "LATER", "value": "x"},
                {"name": "A", "value": "2"},
                {"name": "EMPTY"},
            ],
        }))
        .unwrap();
        assert_eq!(&environment.variables["B"], "1debug$(LATER)");
        assert_eq!(&environment.variables["A"], "2");
        assert_eq!(&environment.variables["EMPTY"], "");
    }

    #[test]
    fn a_secret_may_hold_any_bytes() {
        let environment = resolve(&json!({"env": [
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "present", "key": "a"}}},
        ]}));
        assert_eq!(environment.unwrap().variables["S"].as_bytes(), [0xff, 0xfe]);
    }

    #[test]
    fn fields_of_the_pod_are_read() {
        let of = |path: &str| field(&pod(), path).unwrap();
        assert_eq!(of("metadata.name"), "p");
        assert_eq!(of("metadata.labels['a/b']"), "label");
        assert_eq!(of("metadata.annotations['none']"), "");
        assert_eq!(of("status.podIPs"), "127.0.0.1");
        assert!(field(&pod(), "spec.containers").is_err());
    }

    #[test]
    fn what_is_missing_is_said_in_the_kubelets_words() {
        let error = |from: Value| {
            resolve(&json!({"env": [{"name": "X", "valueFrom": from}]})).unwrap_err().to_string()
        };
        assert_eq!(
            error(json!({"secretKeyRef": {"name": "absent", "key": "a"}})),
            "secret \"absent\" not found"
        );
        assert_eq!(
            error(json!({"configMapKeyRef": {"name": "absent", "key": "a"}})),
            "configmap \"absent\" not found"
        );
        assert_eq!(
            error(json!({"secretKeyRef": {"name": "present", "key": "b"}})),
            "couldn't find key b in Secret ns/present"
        );
    }

    #[test]
    fn optional_references_may_be_missing() {
        let environment = resolve(&json!({
            "envFrom": [{"secretRef": {"name": "absent", "optional": true}}],
            "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "absent", "key": "a", "optional": true}}}],
        }));
        assert_eq!(environment.unwrap().variables.get("X"), None);
    }
}
