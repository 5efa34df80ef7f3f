//! Lists: resource versions, pages, forms.

use std::{sync::Arc, time::Duration};

use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value, json};

use super::{
    answer::{Form, json_bytes},
    parameters::{Parameters, invalid_options},
    selector::Selection,
    table,
};
use crate::{
    error::{ApiError, Cause},
    kind::Key,
    store::{Document, Listed, Store},
};

/// How long a real server waits for a version that is yet to come.
const PATIENCE: Duration = Duration::from_secs(3);

/// One answer to a list request.
struct Page {
    items: Vec<Arc<Document>>,
    version: u64,
    token: Option<String>,
    remaining: Option<usize>,
}

pub(crate) async fn list(
    store: &Store,
    selection: &Selection,
    parameters: &Parameters,
    form: Form,
) -> Result<Response, ApiError> {
    let page = page(store, selection, parameters).await?;
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), page.version.to_string().into());
    if let Some(token) = page.token {
        metadata.insert("continue".into(), token.into());
    }
    if let Some(remaining) = page.remaining {
        metadata.insert("remainingItemCount".into(), remaining.into());
    }
    let metadata = Value::Object(metadata);
    encode(selection, &page.items, &metadata, form, store.clock().timestamp())
}

/// Encodes objects as the list of their kind.
pub(super) fn encode(
    selection: &Selection,
    items: &[Arc<Document>],
    metadata: &Value,
    form: Form,
    now: Timestamp,
) -> Result<Response, ApiError> {
    let values = || items.iter().map(|item| item.value());
    let encoded = match form {
        Form::Object => serde_json::to_vec(&List {
            kind: format!("{}List", selection.kind.kind()),
            api_version: selection.kind.group_version(),
            metadata,
            items: Items(items),
        }),
        Form::Metadata => serde_json::to_vec(&json!({
            "kind": "PartialObjectMetadataList",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": metadata,
            "items": values().map(|item| super::answer::partial_metadata(&item)).collect::<Vec<_>>(),
        })),
        Form::Table => {
            let items: Vec<_> = values().collect();
            serde_json::to_vec(&table::table(selection.kind, &items, metadata, now))
        }
    };
    let encoded = encoded.map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(json_bytes(StatusCode::OK, encoded))
}

async fn page(store: &Store, selection: &Selection, parameters: &Parameters) -> Result<Page, ApiError> {
    let limit = match parameters.integer("limit")? {
        Some(limit) if limit > 0 => usize::try_from(limit).unwrap_or(usize::MAX),
        _ => usize::MAX,
    };
    let (objects, version, start) = if let Some(token) = parameters.get("continue") {
        if parameters.get("resourceVersion").is_some() {
            let message = "specifying resource version is not allowed when using continue";
            return Err(ApiError::bad_request(message));
        }
        resume(store, selection, token)?
    } else {
        let (objects, version) = at_version(store, selection, parameters).await?;
        (objects, version, None)
    };
    let is_after =
        |key: &Key, (namespace, name): &(String, String)| (&key.namespace, &key.name) > (namespace, name);
    let mut matching = objects
        .into_iter()
        .filter(|(key, _)| start.as_ref().is_none_or(|start| is_after(key, start)))
        // Without a selector there is no need to look.
        .filter(|(_, document)| !selection.is_restricted() || selection.matches(&document.value()));
    let listed: Vec<Listed> = matching.by_ref().take(limit).collect();
    let rest = matching.count();
    let last = listed.last().filter(|_| rest > 0);
    let token = last.map(|(last, _)| format!("{version}:{}:{}", last.namespace, last.name));
    let items = listed.into_iter().map(|(_, document)| document).collect();
    // Only without selectors is the number known to a real server.
    let remaining = (rest > 0 && !selection.is_restricted()).then_some(rest);
    Ok(Page { items, version, token, remaining })
}

type Snapshot = (Vec<Listed>, u64, Option<(String, String)>);

/// Goes on after the object that a continue token names, at the version that it names.
fn resume(store: &Store, selection: &Selection, token: &str) -> Result<Snapshot, ApiError> {
    let mut parts = token.splitn(3, ':');
    let version = parts.next().and_then(|version| version.parse::<i64>().ok());
    let (Some(version), Some(namespace), Some(name)) = (version, parts.next(), parts.next()) else {
        let message = "invalid continue token: continue key is not valid: not a token of this server";
        return Err(ApiError::bad_request(message));
    };
    let start = Some((namespace.to_owned(), name.to_owned()));
    let Ok(version) = u64::try_from(version) else {
        // The token of a 410 answer: go on with what is there now.
        let (objects, version) = store.documents(selection.kind, selection.namespace.as_deref());
        return Ok((objects, version, start));
    };
    match store.list_at(selection.kind, selection.namespace.as_deref(), version) {
        Ok(objects) => Ok((objects, version, start)),
        Err(_) => Err(ApiError::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the \
             list.",
        )
        .with_continue(format!("-1:{namespace}:{name}"))),
    }
}

async fn at_version(
    store: &Store,
    selection: &Selection,
    parameters: &Parameters,
) -> Result<(Vec<Listed>, u64), ApiError> {
    let matching = parameters.get("resourceVersionMatch");
    let Some(wanted) = parameters.get("resourceVersion") else {
        if matching.is_some() {
            let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            return Err(invalid_options("ListOptions", Cause::forbidden("resourceVersionMatch", detail)));
        }
        return Ok(store.documents(selection.kind, selection.namespace.as_deref()));
    };
    let version = parse_version(wanted)
        .map_err(|detail| ApiError::bad_request(format!("invalid resource version: {detail}")))?;
    wait_for(store, version).await?;
    match matching {
        None | Some("NotOlderThan") => Ok(store.documents(selection.kind, selection.namespace.as_deref())),
        Some("Exact") => store
            .list_at(selection.kind, selection.namespace.as_deref(), version)
            .map(|objects| (objects, version))
            .map_err(|_| ApiError::expired("The resourceVersion for the provided list is too old.")),
        Some(other) => {
            let supported = ["Exact", "NotOlderThan"];
            let cause = Cause::unsupported("resourceVersionMatch", &json!(other), &supported);
            Err(invalid_options("ListOptions", cause))
        }
    }
}

pub(super) fn parse_version(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        format!(
            "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
        )
    })
}

/// Waits for a version that is yet to come, as long as a real server does.
pub(super) async fn wait_for(store: &Store, version: u64) -> Result<(), ApiError> {
    let mut versions = store.versions();
    tokio::select! {
        reached = versions.wait_for(|now| *now >= version) => if reached.is_ok() {
            return Ok(());
        },
        () = store.clock().sleep(PATIENCE) => {}
    }
    let message = format!("Timeout: Too large resource version: {version}, current: {}", store.version());
    let causes = [json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"})];
    Err(ApiError::new(504, "Timeout", message)
        .with_details(json!({"causes": causes, "retryAfterSeconds": 1})))
}

#[derive(Serialize)]
struct List<'a> {
    kind: String,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: &'a Value,
    items: Items<'a>,
}

/// Objects of which one after the other is made ready, so that thousands of them do not fill the memory.
struct Items<'a>(&'a [Arc<Document>]);

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|item| Untyped(item.value())))
    }
}

/// An object without its kind and version: in a list these are the list's.
struct Untyped(Arc<Value>);

impl Serialize for Untyped {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(object) = self.0.as_object() else { return self.0.serialize(serializer) };
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in object.iter().filter(|(key, _)| *key != "kind" && *key != "apiVersion") {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
