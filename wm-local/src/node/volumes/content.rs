//! What is in a volume, from its source and the objects that it names.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::{
    node::{
        base64::decode,
        downward,
        environment::{ConfigError, Lookup},
    },
    store::Kind,
    value::list,
};

const DEFAULT_MODE: u32 = 0o644;

/// A file of a volume.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) mode: u32,
}

/// Why a volume has no content yet; `Display` is the kubelet's message.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Object(#[from] ConfigError),
    #[error("references non-existent {} key: {key}", if *.kind == Kind::Secret { "secret" } else { "config" })]
    KeyMissing { kind: Kind, object: String, key: String },
    #[error("invalid path, must be relative and without \"..\": {0}")]
    Path(String),
    #[error("unable to make the volume: {0}")]
    Disk(String),
}

impl Problem {
    pub(super) fn may_be_mended_by(&self, changed: Kind, named: &str) -> bool {
        match self {
            Self::Object(error) => error.may_be_mended_by(changed, named),
            Self::KeyMissing { kind, object, .. } => *kind == changed && object == named,
            Self::Path(_) | Self::Disk(_) => false,
        }
    }
}

/// Why a volume can't be had in this cluster, in words.
pub(crate) fn unsupported(volume: &Value) -> Option<String> {
    const KNOWN: [&str; 5] = ["emptyDir", "secret", "configMap", "downwardAPI", "projected"];
    let source = volume.as_object()?.keys().find(|field| *field != "name")?;
    if !KNOWN.contains(&source.as_str()) {
        return Some(format!("it has no volumes of type {source}"));
    }
    if !matches!(volume["emptyDir"]["medium"].as_str(), None | Some("" | "Memory")) {
        return Some(format!("it has no emptyDir of medium {}", volume["emptyDir"]["medium"]));
    }
    let mut projected = list(&volume["projected"], "sources").filter_map(Value::as_object);
    let foreign =
        projected.find_map(|source| source.keys().find(|one| !KNOWN[1..4].contains(&one.as_str())))?;
    Some(if foreign == "serviceAccountToken" {
        "its API accepts no service account tokens, so it makes none".to_owned()
    } else {
        format!("it can't project a {foreign}")
    })
}

pub(super) fn files(pod: &Value, volume: &Value, lookup: Lookup<'_>) -> Result<Vec<File>, Problem> {
    if let Some(source) = volume.get("projected") {
        let mode = mode(&source["defaultMode"], DEFAULT_MODE);
        let mut files = Vec::new();
        for part in list(source, "sources") {
            for (field, value) in part.as_object().into_iter().flatten() {
                files.extend(from_source(pod, field, value, mode, lookup)?);
            }
        }
        return Ok(files);
    }
    let Some((field, source)) =
        volume.as_object().and_then(|all| all.iter().find(|(field, _)| *field != "name"))
    else {
        return Ok(Vec::new());
    };
    from_source(pod, field, source, mode(&source["defaultMode"], DEFAULT_MODE), lookup)
}

fn from_source(
    pod: &Value,
    field: &str,
    source: &Value,
    default_mode: u32,
    lookup: Lookup<'_>,
) -> Result<Vec<File>, Problem> {
    if field == "downwardAPI" {
        let items = list(source, "items");
        return items.map(|item| downward_file(pod, item, default_mode)).collect();
    }
    let kind = if field == "secret" { Kind::Secret } else { Kind::ConfigMap };
    let name = source["secretName"].as_str().or(source["name"].as_str()).unwrap_or_default();
    let is_optional = source["optional"].as_bool().unwrap_or_default();
    let Some(object) = lookup(kind, name) else {
        let missing = ConfigError::ObjectMissing { kind, name: name.to_owned() };
        return if is_optional { Ok(Vec::new()) } else { Err(missing.into()) };
    };
    let value = |key: &str| -> Option<Vec<u8>> {
        let binary = |field: &str| object[field][key].as_str().and_then(decode);
        if kind == Kind::Secret {
            return binary("data");
        }
        object["data"][key].as_str().map(|text| text.as_bytes().to_vec()).or_else(|| binary("binaryData"))
    };
    if source["items"].is_array() {
        let items = list(source, "items").map(|item| {
            let key = item["key"].as_str().unwrap_or_default();
            match value(key) {
                Some(bytes) => file(&item["path"], bytes, mode(&item["mode"], default_mode)).map(Some),
                None if is_optional => Ok(None),
                None => Err(Problem::KeyMissing { kind, object: name.to_owned(), key: key.to_owned() }),
            }
        });
        return items.filter_map(Result::transpose).collect();
    }
    let keys = ["data", "binaryData"].into_iter().filter_map(|field| object[field].as_object());
    keys.flat_map(|data| data.keys())
        .filter_map(|key| Some(file(&key.as_str().into(), value(key)?, default_mode)))
        .collect()
}

fn downward_file(pod: &Value, item: &Value, default_mode: u32) -> Result<File, Problem> {
    let text = match item["fieldRef"]["fieldPath"].as_str() {
        Some(path) => downward::volume_field(pod, path),
        None => downward::resource(pod, None, &item["resourceFieldRef"]),
    };
    file(&item["path"], text?.into_bytes(), mode(&item["mode"], default_mode))
}

fn file(path: &Value, bytes: Vec<u8>, mode: u32) -> Result<File, Problem> {
    let path = path.as_str().unwrap_or_default();
    let is_plain = |component| matches!(component, Component::Normal(_));
    if path.is_empty() || !Path::new(path).components().all(is_plain) {
        return Err(Problem::Path(path.to_owned()));
    }
    Ok(File { path: path.into(), bytes, mode })
}

fn mode(value: &Value, default: u32) -> u32 {
    value.as_u64().and_then(|mode| u32::try_from(mode).ok()).map_or(default, |mode| mode & 0o777)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    fn objects(kind: Kind, name: &str) -> Option<Arc<Value>> {
        match (kind, name) {
            (Kind::Secret, "s") => Some(Arc::new(json!({"data": {"a": "//4=", "user": "YWRh"}}))),
            (Kind::ConfigMap, "c") => {
                Some(Arc::new(json!({"data": {"x": "text"}, "binaryData": {"y": "//4="}})))
            }
            _ => None,
        }
    }

    fn pod() -> Value {
        json!({
            "metadata": {"name": "p", "namespace": "ns", "annotations": {"file": "FROM scratch\n"}},
            "spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "1500m"}}}]},
        })
    }

    fn shown(volume: &Value) -> Result<Vec<(String, String, u32)>, String> {
        let files = files(&pod(), volume, &objects).map_err(|problem| problem.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(files.iter().map(|file| (file.path.display().to_string(), text(&file.bytes), file.mode)).collect())
    }

    fn file_of(path: &str, text: &str, mode: u32) -> (String, String, u32) {
        (path.to_owned(), text.to_owned(), mode)
    }

    #[test]
    fn keys_become_files_and_items_choose_among_them() {
        let all = shown(&json!({"name": "v", "configMap": {"name": "c"}})).unwrap();
        assert_eq!(all, [file_of("x", "text", 0o644), file_of("y", "\u{fffd}\u{fffd}", 0o644)]);
        let some = json!({"name": "v", "secret": {
            "secretName": "s", "defaultMode": 0o400, "items": [
                {"key": "user", "path": "deep/er/name"}, {"key": "user", "path": "run", "mode": 0o755},
            ],
        }});
        assert_eq!(
            shown(&some).unwrap(),
            [file_of("deep/er/name", "ada", 0o400), file_of("run", "ada", 0o755)]
        );
    }

    #[test]
    fn what_is_missing_is_said_in_the_kubelets_words_unless_it_is_optional() {
        let volume = |source: &str, value: Value| shown(&json!({"name": "v", source: value}));
        let absent = volume("configMap", json!({"name": "absent"})).unwrap_err();
        assert_eq!(absent, "configmap \"absent\" not found");
        let item = json!([{"key": "b", "path": "b"}]);
        let key = volume("secret", json!({"secretName": "s", "items": item})).unwrap_err();
        assert_eq!(key, "references non-existent secret key: b");
        let key = volume("configMap", json!({"name": "c", "items": item})).unwrap_err();
        assert_eq!(key, "references non-existent config key: b");
        assert_eq!(volume("secret", json!({"secretName": "absent", "optional": true})).unwrap(), []);
        assert_eq!(
            volume("secret", json!({"secretName": "s", "optional": true, "items": item})).unwrap(),
            []
        );
    }

    #[test]
    fn several_sources_are_projected_into_one_volume() {
        let volume = json!({"name": "v", "projected": {"defaultMode": 0o440, "sources": [
            {"secret": {"name": "s", "items": [{"key": "user", "path": "user"}]}},
            {"configMap": {"name": "c", "items": [{"key": "x", "path": "x"}]}},
            {"downwardAPI": {"items": [
                {"path": "Dockerfile", "fieldRef": {"fieldPath": "metadata.annotations['file']"}},
                {"path": "cpu", "resourceFieldRef": {"containerName": "main", "resource": "limits.cpu"}},
            ]}},
        ]}});
        let files = shown(&volume).unwrap();
        let expected = [("user", "ada"), ("x", "text"), ("Dockerfile", "FROM scratch\n"), ("cpu", "2")];
        assert_eq!(files, expected.map(|(path, text)| file_of(path, text, 0o440)));
    }

    #[test]
    fn a_path_can_not_lead_out_of_the_volume() {
        for path in ["../x", "/x", "a/../../x", ""] {
            let items = json!([{"key": "x", "path": path}]);
            assert!(
                shown(&json!({"name": "v", "configMap": {"name": "c", "items": items}})).is_err(),
                "{path}"
            );
        }
    }

    #[test]
    fn other_kinds_of_volumes_are_not_supported() {
        for (volume, text) in [
            (json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}}), "persistentVolumeClaim"),
            (json!({"name": "v", "emptyDir": {"medium": "HugePages"}}), "HugePages"),
            (
                json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}),
                "tokens",
            ),
        ] {
            assert!(unsupported(&volume).unwrap().contains(text), "{volume}");
        }
        for source in ["emptyDir", "secret", "configMap", "downwardAPI", "projected"] {
            assert_eq!(unsupported(&json!({"name": "v", source: {}})), None);
        }
    }
}
