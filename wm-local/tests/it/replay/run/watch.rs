//! A watch of a scenario, and whether what it told is as recorded.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use super::Run;
use crate::replay::{
    compare::differences,
    recording::{RecordedEvent, RecordedWatch, Recording},
    story::Story,
};

/// How long after a change an Event may tell of it, in milliseconds.
const JUST: u64 = 50;

/// What a watch has told so far.
pub(super) type Told = Arc<Mutex<Vec<Value>>>;

impl Run {
    pub(super) async fn watch(&mut self, recorded: &RecordedWatch) -> Told {
        let told = Told::default();
        let path = self.names.path(&recorded.path);
        let is_new = path == recorded.path;
        let path =
            if is_new && path.contains("allowWatchBookmarks=true&resourceVersion=") && recorded.at_ms < 200 {
                // From the beginning: nothing has happened yet.
                path.split("&resourceVersion=").next().unwrap().to_owned()
            } else {
                path
            };
        let mut watch = self.served.watch(&path).await;
        let shared = Arc::clone(&told);
        self.watching.spawn(async move {
            while let Some(event) = watch.next().await {
                shared.lock().unwrap().push(event);
            }
            shared.lock().unwrap().push(json!({"type": "END"}));
        });
        told
    }

    pub(super) fn compare_watch(&mut self, watch: &RecordedWatch, told: &[Value], recording: &Recording) {
        let ours: Vec<Value> = told.iter().map(|event| self.as_recorded(event)).collect();
        let recorded: Vec<Value> = watch.events.iter().map(|event| event.event.clone()).collect();
        let resource = watch.path.split('?').next().unwrap().rsplit('/').next().unwrap();
        let mut found = Vec::new();
        let (left, right) = (Story::of(&recorded), Story::of(&ours));
        let whole: Vec<Value> = recording
            .watches
            .iter()
            .flat_map(|watch| &watch.events)
            .map(|event| event.event.clone())
            .collect();
        let whole = Story::of(&whole);
        // Who closed a watch did not see what came after, nor what was about to be said of what had just happened.
        let is_cut = watch.ended.starts_with("by the client");
        let just_before = |event: &&RecordedEvent| event.at_ms + JUST > watch.ended_at_ms;
        let all = recording.watches.iter().flat_map(|watch| &watch.events);
        let last: HashSet<&str> = all
            .filter(just_before)
            .filter_map(|event| event.event["object"]["metadata"]["name"].as_str())
            .collect();
        found.extend(left.differences(&right, &whole, is_cut, &last));
        let errors = |events: &[Value]| -> Vec<Value> {
            let errors = events.iter().filter(|event| event["type"] == "ERROR");
            errors.map(|event| json!([event["object"]["code"], event["object"]["reason"]])).collect()
        };
        found.extend(differences("errors", &json!(errors(&recorded)), &json!(errors(&ours))));
        let initial = |events: &[Value]| {
            let marked = |event: &&Value| {
                event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
            };
            events.iter().filter(marked).count()
        };
        found.extend(differences("initial", &json!(initial(&recorded)), &json!(initial(&ours))));
        let has_ended = watch.ended.starts_with("by the server");
        if has_ended && ours.last().is_none_or(|event| event["type"] != "END") {
            found.push("it has not ended".to_owned());
        }
        for difference in found {
            self.differences.push(format!("watch of {resource} at {}: {difference}", watch.at_ms));
        }
    }
    pub(super) fn as_recorded(&self, event: &Value) -> Value {
        serde_json::from_str(&self.names.to_recorded(&self.plain(&event.to_string()))).unwrap()
    }
}
