//! Watches: a cursor in the store's history, so that a slow reader costs no memory.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{Stream, stream};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    answer::{Form, json_bytes, partial_metadata},
    list::{parse_version, wait_for},
    parameters::{Parameters, invalid_options},
    selector::Selection,
    table,
};
use crate::{
    clock::Moment,
    error::{ApiError, Cause},
    kind::Kind,
    store::{Change, Store, StoreEvent},
};

const BOOKMARK_INTERVAL: Duration = Duration::from_mins(1);

/// Starts a watch, whose answer is 200 even if its first event is an error.
pub(crate) async fn watch(
    store: &Store,
    selection: Selection,
    parameters: &Parameters,
    form: Form,
) -> Result<Response, ApiError> {
    let send_initial_events =
        parameters.get("sendInitialEvents").map(|_| parameters.flag("sendInitialEvents"));
    check_match(parameters, send_initial_events)?;
    let version = match parameters.get("resourceVersion") {
        None => None,
        Some(text) => match parse_version(text) {
            Ok(0) => None,
            Ok(version) => Some(version),
            // Without a reason, and no client error: so does a real server.
            Err(detail) => return Err(ApiError::new(500, "", detail)),
        },
    };
    let seconds = match parameters.integer("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => u64::try_from(seconds).unwrap_or_default(),
        // A real server chooses between half an hour and an hour, so that not all come back at once.
        _ => 1800 + Uuid::new_v4().as_u64_pair().1 % 1800,
    };
    let mut watcher = Watcher {
        versions: store.versions(),
        store: store.clone(),
        form,
        cursor: 0,
        bookmarks: parameters.flag("allowWatchBookmarks"),
        next_bookmark: store.clock().moment() + BOOKMARK_INTERVAL,
        end: store.clock().moment() + Duration::from_secs(seconds),
        pending: BytesMut::new(),
        state: State::Running,
        told_columns: false,
        selection,
    };
    let initial = send_initial_events.unwrap_or(version.is_none());
    if initial {
        if let Some(version) = version
            && let Err(error) = wait_for(store, version).await
        {
            watcher.fail(&error);
            return Ok(json_bytes(StatusCode::OK, Body::from_stream(watcher.into_stream())));
        }
        watcher.send_state();
        if send_initial_events == Some(true) && watcher.bookmarks {
            watcher.bookmark(true);
        }
    } else {
        watcher.cursor = version.unwrap_or_else(|| store.version());
    }
    Ok(json_bytes(StatusCode::OK, Body::from_stream(watcher.into_stream())))
}

fn check_match(parameters: &Parameters, send_initial_events: Option<bool>) -> Result<(), ApiError> {
    let detail = match (send_initial_events, parameters.get("resourceVersionMatch")) {
        (None, None) | (Some(_), Some("NotOlderThan")) => return Ok(()),
        (None, Some(_)) => "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        (Some(_), _) => "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
    };
    Err(invalid_options("ListOptions", Cause::forbidden("resourceVersionMatch", detail)))
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Running,
    /// What is pending is sent, then the body ends.
    Ending,
}

struct Watcher {
    store: Store,
    versions: watch::Receiver<u64>,
    selection: Selection,
    form: Form,
    /// The last version that was looked at.
    cursor: u64,
    bookmarks: bool,
    next_bookmark: Moment,
    end: Moment,
    pending: BytesMut,
    state: State,
    told_columns: bool,
}

impl Watcher {
    fn into_stream(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> + Send {
        stream::unfold(self, |mut watcher| async move {
            let bytes = watcher.next().await?;
            Some((Ok(bytes), watcher))
        })
    }

    /// The next events as lines, `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if !self.pending.is_empty() {
                return Some(self.pending.split().freeze());
            }
            if self.state == State::Ending {
                return None;
            }
            // Marked as seen before the history is read: a version that comes in between is not slept through.
            let now = *self.versions.borrow_and_update();
            if now > self.cursor {
                self.send_changes();
                continue;
            }
            tokio::select! {
                changed = self.versions.changed() => {
                    if changed.is_err() {
                        self.state = State::Ending;
                    }
                }
                () = self.store.clock().sleep_until(self.end) => {
                    // Who has not looked for a while finds both due: what has happened is told before the end.
                    self.send_changes();
                    if self.bookmarks && self.state == State::Running {
                        self.bookmark(false);
                    }
                    self.state = State::Ending;
                }
                () = self.store.clock().sleep_until(self.next_bookmark), if self.bookmarks => self.bookmark(false),
            }
        }
    }

    fn send_state(&mut self) {
        let (objects, version) = self.store.list(self.selection.kind, self.selection.namespace.as_deref());
        self.cursor = version;
        for object in objects {
            if self.selection.matches(&object) {
                self.send_object("ADDED", &object);
            }
        }
    }

    fn send_changes(&mut self) {
        match self.store.events_since(self.cursor) {
            Ok(events) => {
                for event in events {
                    self.cursor = event.version;
                    if self.selection.concerns(&event) {
                        self.send_event(&event);
                    }
                }
            }
            Err(expired) => {
                let message = format!("too old resource version: {} ({})", self.cursor, expired.oldest);
                self.fail(&ApiError::expired(message));
            }
        }
    }

    /// To a watch with a selector an object that stops matching is deleted, one that begins to is added.
    fn send_event(&mut self, event: &StoreEvent) {
        let matched = event.previous().is_some_and(|previous| self.selection.matches(&previous));
        let matches = event.change != Change::Deleted && self.selection.matches(&event.object());
        match (matched, matches) {
            (false, false) => {}
            (false, true) => self.send("ADDED", event),
            (true, true) => self.send("MODIFIED", event),
            (true, false) if event.change == Change::Deleted => self.send("DELETED", event),
            (true, false) => {
                // The last state that matched, at the version of the change.
                if let Some(previous) = event.previous() {
                    let mut object = Arc::unwrap_or_clone(previous);
                    object["metadata"]["resourceVersion"] = event.version.to_string().into();
                    self.send_object("DELETED", &Arc::new(object));
                }
            }
        }
    }

    fn send(&mut self, change: &str, event: &StoreEvent) {
        if self.form == Form::Object {
            self.write(change, &event.encoded());
        } else {
            self.send_object(change, &event.object());
        }
    }

    fn send_object(&mut self, change: &str, object: &Arc<Value>) {
        let encoded = match self.form {
            Form::Object => object.to_string(),
            Form::Metadata => partial_metadata(object).to_string(),
            Form::Table => {
                let metadata = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
                let mut table =
                    table::table(self.selection.kind, std::slice::from_ref(object), &metadata, self.now());
                if std::mem::replace(&mut self.told_columns, true) {
                    table["columnDefinitions"] = Value::Null;
                }
                table.to_string()
            }
        };
        self.write(change, encoded.as_bytes());
    }

    fn now(&self) -> jiff::Timestamp {
        self.store.clock().timestamp()
    }

    fn bookmark(&mut self, initial_events_end: bool) {
        self.next_bookmark = self.store.clock().moment() + BOOKMARK_INTERVAL;
        let mut metadata = json!({"resourceVersion": self.cursor.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let bookmark = match self.form {
            Form::Object => empty_object(self.selection.kind, &metadata),
            Form::Metadata => partial_metadata(&json!({"metadata": metadata})),
            Form::Table => {
                let object = Arc::new(json!({"metadata": metadata}));
                let list = json!({"resourceVersion": self.cursor.to_string()});
                let mut table = table::table(self.selection.kind, &[object], &list, self.now());
                if std::mem::replace(&mut self.told_columns, true) {
                    table["columnDefinitions"] = Value::Null;
                }
                table
            }
        };
        self.write("BOOKMARK", bookmark.to_string().as_bytes());
    }

    fn fail(&mut self, error: &ApiError) {
        self.write("ERROR", error.status().to_string().as_bytes());
        self.state = State::Ending;
    }

    fn write(&mut self, change: &str, object: &[u8]) {
        self.pending.reserve(object.len() + 40);
        self.pending.put_slice(b"{\"type\":\"");
        self.pending.put_slice(change.as_bytes());
        self.pending.put_slice(b"\",\"object\":");
        self.pending.put_slice(object);
        self.pending.put_slice(b"}\n");
    }
}

/// An object as Go encodes one that is empty but for its metadata: a strict decoder fails on the `null`.
pub(super) fn empty_object(kind: Kind, metadata: &Value) -> Value {
    let mut object = json!({"kind": kind.kind(), "apiVersion": kind.group_version(), "metadata": metadata});
    match kind {
        Kind::Job => {
            object["spec"] = json!({"template": {"metadata": {}, "spec": {"containers": null}}});
            object["status"] = json!({});
        }
        Kind::Pod => {
            object["spec"] = json!({"containers": null});
            object["status"] = json!({});
        }
        Kind::Namespace | Kind::Node | Kind::ResourceQuota => {
            object["spec"] = json!({});
            object["status"] = json!({});
        }
        Kind::Event => {
            object["involvedObject"] = json!({});
            object["source"] = json!({});
            for member in ["firstTimestamp", "lastTimestamp", "eventTime"] {
                object[member] = Value::Null;
            }
            object["reportingComponent"] = "".into();
            object["reportingInstance"] = "".into();
        }
        Kind::LimitRange => object["spec"] = json!({"limits": null}),
        Kind::Secret | Kind::ConfigMap | Kind::ServiceAccount => {}
    }
    object
}
