//! One scenario, played against a cluster of its own.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use wm_local::{Clock, ClusterOptions};

use super::{
    claims::{self, Claim},
    compare::{differences, mask, normal},
    names::Names,
    observer::Observer,
    pace::Pace,
    recording::{Exchange, RecordedWatch, Recording, expand, text_of},
    stage::{StageHand, stage_of, tokens_of},
    story::{Story, state},
};
use crate::client::{Answer, Served};

/// How much longer than a real cluster this one may take for something, in its own time.
const SLACK: u64 = 12_000;

pub(super) struct Run {
    claim: Claim,
    compared: usize,
    served: Arc<Served>,
    observer: Observer,
    pace: Pace,
    names: Names,
    /// Scripts as they are run, and as they are written.
    scripts: HashMap<String, String>,
    scripts_write_to_both: bool,
    staged: HashSet<String>,
    /// How many events of the observer the names are learnt from.
    learnt: usize,
    stage: VecDeque<StageHand>,
    tokens: HashMap<String, String>,
    differences: Vec<String>,
    watching: JoinSet<()>,
    _elsewhere: TempDir,
}

type Told = Arc<Mutex<Vec<Value>>>;

impl Run {
    pub(super) async fn new(recording: &Recording) -> Self {
        let mut options = ClusterOptions::default();
        options.clock = Clock::driven(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_471_700));
        options.job_sync_delay = Duration::from_secs(1);
        options.namespaces = vec![recording.scenario.clone(), "default".to_owned()];
        let served = Served::start_with(options).await;
        let observer = Observer::start(&served, &recording.scenario).await;
        let tokens = tokens_of(&recording.scenario, &served.cluster);
        let pace = Pace::new(served.cluster.clock().clone());
        let mut names = Names::default();
        // A directory that a script makes, which may be somebody else's on this machine.
        let elsewhere = tempfile::tempdir().unwrap();
        let directory = elsewhere.path().to_str().unwrap();
        names.learn("mkdir -p /tmp/x;", &format!("mkdir -p {directory}/x;"));
        names.learn("/tmp/x/why", &format!("{directory}/x/why"));
        for event in recording.watches.iter().flat_map(|watch| &watch.events) {
            names.foresee(&event.event["object"]);
        }
        for exchange in &recording.exchanges {
            names.foresee(&exchange.response_body);
        }
        for exchange in &recording.exchanges {
            names.foresee_path(&exchange.path);
        }
        Self {
            claim: claims::of(&recording.scenario),
            compared: 0,
            served: Arc::new(served),
            observer,
            pace,
            names,
            scripts: HashMap::new(),
            scripts_write_to_both: recording.writes_to_both_streams(),
            staged: HashSet::new(),
            learnt: 0,
            stage: stage_of(&recording.scenario).into(),
            tokens,
            differences: Vec::new(),
            watching: JoinSet::new(),
            _elsewhere: elsewhere,
        }
    }

    /// Plays it, and returns how many exchanges and events were compared, and where it went another way.
    pub(super) async fn play(mut self, recording: &Recording) -> (usize, usize, Vec<String>) {
        for exchange in &recording.exchanges {
            if exchange.method == "POST" && exchange.status == 201 {
                self.staged.insert(key(&exchange.response_body));
            }
        }
        let mut told: Vec<Option<Told>> = recording.watches.iter().map(|_| None).collect();
        let mut pending: Vec<(usize, JoinHandle<Answer>)> = Vec::new();
        for (index, exchange) in recording.exchanges.iter().enumerate() {
            self.reach(recording, exchange.at_ms, &mut told).await;
            self.stage_listed(recording, exchange).await;
            self.learn(recording);
            if !self.claim.includes(index) {
                if exchange.method != "GET" {
                    let answer = self.send(exchange).await;
                    self.pair(exchange, &answer);
                }
                continue;
            }
            self.compared += 1;
            let is_long = exchange.took_ms >= 900;
            if is_long {
                let sent = self.send(exchange);
                pending.push((index, tokio::spawn(sent)));
                self.pace.settle(&self.observer).await;
                continue;
            }
            self.exchange(index, exchange).await;
        }
        let end = recording.watches.iter().flat_map(|watch| &watch.events).map(|event| event.at_ms).max();
        self.reach(recording, end.unwrap_or_default() + 1, &mut told).await;
        for (index, sent) in pending {
            let exchange = &recording.exchanges[index];
            let limit = self.pace.now().max(exchange.at_ms + exchange.took_ms) + SLACK;
            while !sent.is_finished() && self.pace.now() < limit {
                self.pace.step(limit, &self.observer).await;
            }
            if sent.is_finished() {
                let answer = sent.await.unwrap();
                let found = self.compare(exchange, &answer);
                self.report(index, exchange, found);
            } else {
                self.report(index, exchange, vec!["it has not ended".to_owned()]);
            }
        }
        self.pace.settle(&self.observer).await;
        self.learn(recording);
        let mut events = 0;
        let whole: Vec<Value> = recording
            .watches
            .iter()
            .flat_map(|watch| &watch.events)
            .map(|event| event.event.clone())
            .collect();
        for (watch, told) in recording.watches.iter().zip(&told) {
            let Some(told) = told else { continue };
            let told = told.lock().unwrap().clone();
            if self.claim.includes_watches() {
                events += watch.events.len();
                self.compare_watch(watch, &told, &whole);
            }
        }
        (self.compared, events, self.differences)
    }

    /// Lets time pass until all has happened that was recorded before `at`.
    async fn reach(&mut self, recording: &Recording, at: u64, told: &mut [Option<Told>]) {
        loop {
            self.learn(recording);
            let now_due = recording.watches.iter().enumerate();
            for (index, watch) in now_due.filter(|(_, watch)| watch.at_ms <= at) {
                if told[index].is_none() {
                    told[index] = Some(self.watch(watch).await);
                }
            }
            self.stage(recording, at).await;
            while let Some(hand) = self.stage.pop_front_if(|hand| hand.at_ms < at) {
                self.reach_states(recording, hand.at_ms).await;
                let path = self.names.path(hand.path);
                let answer = self
                    .served
                    .write(hand.method.parse().unwrap(), &path, hand.content_type, &hand.body)
                    .await;
                assert!(answer.status.is_success(), "{}", answer.text);
            }
            let missing = self.missing(recording, at);
            if missing.is_empty() {
                return;
            }
            if self.pace.now() >= at + SLACK && !self.claim.includes_watches() {
                return;
            }
            if self.pace.now() >= at + SLACK {
                let sequence = missing.into_iter().take(3).collect::<Vec<_>>().join("; ");
                self.differences.push(format!("by {at} ms there should have been {sequence}"));
                return;
            }
            self.pace.step(at + SLACK, &self.observer).await;
        }
    }

    async fn reach_states(&mut self, recording: &Recording, at: u64) {
        while !self.missing(recording, at).is_empty() && self.pace.now() < at + SLACK {
            self.pace.step(at + SLACK, &self.observer).await;
            self.learn(recording);
        }
    }

    /// The recorded states before `at` that no object of the cluster has been in.
    fn missing(&self, recording: &Recording, at: u64) -> Vec<String> {
        let states = self.observer.states();
        let mut reached: HashSet<String> = states.iter().map(|state| self.names.to_recorded(state)).collect();
        // What ends at once may never have been seen running.
        for ended in ["Succeeded", "Failed"] {
            let ran = reached.iter().filter(|state| state.contains(&format!("[\"{ended}\"")));
            let ran: Vec<String> = ran.map(|state| state.replace(ended, "Running")).collect();
            reached.extend(ran);
        }
        let events = recording.watches.iter().flat_map(|watch| &watch.events);
        let before = events.filter(|event| event.at_ms + 5 < at && event.event["object"]["kind"] != "Event");
        let states = before.filter_map(|event| state(&event.event));
        let wanted = states.map(|(object, state)| format!("{object} {state}"));
        wanted.filter(|one| !reached.contains(one)).collect()
    }

    fn learn(&mut self, recording: &Recording) {
        if std::mem::replace(&mut self.learnt, self.observer.count()) == self.observer.count() {
            return;
        }
        let recorded: Vec<&Value> =
            recording.watches.iter().flat_map(|watch| &watch.events).map(|event| &event.event).collect();
        // Twice, as names of pods follow from those of Jobs.
        for _ in 0..2 {
            self.names.observe(&self.observer.events(), &recorded);
        }
    }

    /// Makes what the recording shows and nobody was recorded to make: the stage was set beforehand.
    async fn stage(&mut self, recording: &Recording, at: u64) {
        let events = recording.watches.iter().flat_map(|watch| &watch.events);
        let mut added: Vec<_> =
            events.filter(|event| event.at_ms < at && event.event["type"] == "ADDED").collect();
        added.sort_by_key(|event| event.at_ms);
        for event in added {
            self.make(&event.event["object"]).await;
        }
    }

    async fn stage_listed(&mut self, recording: &Recording, exchange: &Exchange) {
        let mut kind = String::new();
        if let Some(list) = exchange.response_body["kind"].as_str().and_then(|kind| kind.strip_suffix("List"))
        {
            list.clone_into(&mut kind);
        }
        if recording.scenario != "watch" || kind != "Job" || exchange.at_ms > 234 {
            return;
        }
        // The first page of a list of which later exchanges show the rest.
        let lists = recording.exchanges.iter().take_while(|exchange| exchange.at_ms < 260);
        for item in
            lists.flat_map(|exchange| exchange.response_body["items"].as_array().into_iter().flatten())
        {
            let mut item = item.clone();
            item["kind"] = "Job".into();
            self.make(&item).await;
        }
    }

    async fn make(&mut self, object: &Value) {
        let (kind, metadata) = (object["kind"].as_str().unwrap_or_default(), &object["metadata"]);
        let path = match kind {
            "Job" => "/apis/batch/v1/namespaces/{}/jobs",
            "Pod" => "/api/v1/namespaces/{}/pods",
            "Secret" => "/api/v1/namespaces/{}/secrets",
            "ConfigMap" => "/api/v1/namespaces/{}/configmaps",
            _ => return,
        };
        let is_controlled = metadata["ownerReferences"].is_array() && kind == "Pod";
        if is_controlled || metadata["name"] == "kube-root-ca.crt" || !self.staged.insert(key(object)) {
            return;
        }
        let mut object = object.clone();
        object["apiVersion"] = json!(if kind == "Job" { "batch/v1" } else { "v1" });
        let keep = ["name", "namespace", "annotations", "labels", "ownerReferences"];
        object["metadata"].as_object_mut().unwrap().retain(|key, _| keep.contains(&key.as_str()));
        object.as_object_mut().unwrap().remove("status");
        if kind == "Job" {
            object["spec"].as_object_mut().unwrap().remove("selector");
            for pointer in ["/metadata/labels", "/spec/template/metadata/labels"] {
                if let Some(labels) = object.pointer_mut(pointer).and_then(Value::as_object_mut) {
                    labels.retain(|key, _| !key.contains("job-name") && !key.contains("controller-uid"));
                }
            }
        }
        let paced = self.paced(&object);
        let body = self.names.body(&paced);
        let path = path.replace("{}", metadata["namespace"].as_str().unwrap());
        let answer = self.served.post(&path, &body).await;
        if answer.status != StatusCode::CREATED {
            self.differences.push(format!("the stage can't be set: {}", answer.text));
        }
        self.pace.settle(&self.observer).await;
    }

    /// An object whose scripts sleep by the cluster's clock.
    fn paced(&mut self, object: &Value) -> Value {
        let mut object = object.clone();
        let specs = ["/spec/template/spec", "/spec"];
        for spec in specs {
            for list in ["containers", "initContainers"] {
                let containers = object.pointer_mut(&format!("{spec}/{list}")).and_then(Value::as_array_mut);
                for container in containers.into_iter().flatten() {
                    let script = container["command"][2].as_str().filter(|_| container["command"][1] == "-c");
                    if let Some(script) = script.filter(|script| script.contains("sleep")) {
                        let paced = self.pace.script(script);
                        self.scripts.insert(paced.clone(), script.to_owned());
                        container["command"][2] = paced.into();
                    }
                }
            }
        }
        object
    }

    fn send(&mut self, exchange: &Exchange) -> impl Future<Output = Answer> + Send + 'static {
        let method: Method = exchange.method.parse().unwrap();
        let uri = format!("{}{}", self.served.cluster.url(), self.names.path(&exchange.path));
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = self.token(exchange.identity.as_deref()) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in &exchange.request_headers {
            request = request.header(name, value);
        }
        let body = match &exchange.request_body {
            object @ Value::Object(_) => {
                let paced = self.paced(object);
                text_of(&self.names.body(&paced))
            }
            Value::String(text) => text_of(&json!(self.names.to_ours(text))),
            other => text_of(other),
        };
        let request = request.body(Full::new(Bytes::from(body))).unwrap();
        let served = Arc::clone(&self.served);
        async move { served.send(request).await }
    }

    fn token(&self, identity: Option<&str>) -> Option<String> {
        match identity {
            None | Some("admin") => Some(self.served.cluster.token().to_owned()),
            Some("no credentials") => None,
            Some("invalid bearer token") => Some("not-a-token".to_owned()),
            Some(other) => {
                let name = other.split([',', ':']).next().unwrap();
                let token = self.tokens.get(name).cloned().unwrap_or_default();
                if other.ends_with(", deleted") {
                    self.served.cluster.revoke(&token);
                }
                Some(token)
            }
        }
    }

    async fn exchange(&mut self, index: usize, exchange: &Exchange) {
        let is_read = exchange.method == "GET";
        let begin = Instant::now();
        let limit = self.pace.now().max(exchange.at_ms) + SLACK;
        loop {
            let sent = self.send(exchange);
            let answer = sent.await;
            let found = self.compare(exchange, &answer);
            if found.is_empty() || !is_read || self.pace.now() >= limit || begin.elapsed().as_secs() > 20 {
                self.pair(exchange, &answer);
                self.report(index, exchange, found);
                self.pace.settle(&self.observer).await;
                return;
            }
            self.pace.step(limit, &self.observer).await;
        }
    }

    fn pair(&mut self, exchange: &Exchange, answer: &Answer) {
        if let Ok(ours) = serde_json::from_str::<Value>(&answer.text) {
            self.names.pair(&exchange.response_body, &ours);
        }
    }

    /// Where an answer is not as recorded.
    fn compare(&self, exchange: &Exchange, answer: &Answer) -> Vec<String> {
        let is_read = exchange.method == "GET";
        let header = |name: header::HeaderName| {
            let values = answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
            let joined = values.collect::<Vec<_>>().join(", ");
            if joined.is_empty() { Value::Null } else { json!(self.names.to_recorded(&joined)) }
        };
        let recorded_header =
            |name: &str| exchange.response_headers.get(name).map_or(Value::Null, |value| json!(value));
        let has_two_streams = self.scripts_write_to_both;
        let body = |text: &str, names: Option<&Names>| {
            let text = names.map_or_else(|| text.to_owned(), |names| names.to_recorded(text));
            match serde_json::from_str::<Value>(&text) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => {
                    normal(&without_generated(value), is_read)
                }
                // The order between two streams is not kept.
                _ if exchange.path.contains("/log") && has_two_streams => {
                    let mut lines: Vec<String> = text.split_inclusive('\n').map(mask).collect();
                    lines.sort_unstable();
                    json!(lines)
                }
                _ => json!(mask(&text)),
            }
        };
        let recorded_text = match &exchange.response_body {
            Value::String(text) => expand(&json!(text)).as_str().unwrap().to_owned(),
            Value::Null => String::new(),
            other if other.get("base64").is_some() => String::from_utf8_lossy(&text_of(other)).into_owned(),
            other => expand(other).to_string(),
        };
        let recorded = json!({
            "status": exchange.status,
            "warning": recorded_header("Warning"),
            "type": recorded_header("Content-Type"),
            "retry": recorded_header("Retry-After"),
            "body": body(&recorded_text, None),
        });
        let found = json!({
            "status": answer.status.as_u16(),
            "warning": header(header::WARNING),
            "type": header(header::CONTENT_TYPE),
            "retry": header(header::RETRY_AFTER),
            "body": body(&self.plain(&answer.text), Some(&self.names)),
        });
        differences("", &recorded, &found)
    }

    /// A text of the cluster with the scripts as they are written.
    fn plain(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (paced, script) in &self.scripts {
            let (paced, script) = (json!(paced).to_string(), json!(script).to_string());
            text = text.replace(&paced, &script);
        }
        text
    }

    fn as_recorded(&self, event: &Value) -> Value {
        serde_json::from_str(&self.names.to_recorded(&self.plain(&event.to_string()))).unwrap()
    }

    async fn watch(&mut self, recorded: &RecordedWatch) -> Told {
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

    fn compare_watch(&mut self, watch: &RecordedWatch, told: &[Value], whole: &[Value]) {
        let ours: Vec<Value> = told.iter().map(|event| self.as_recorded(event)).collect();
        let recorded: Vec<Value> = watch.events.iter().map(|event| event.event.clone()).collect();
        let resource = watch.path.split('?').next().unwrap().rsplit('/').next().unwrap();
        let mut found = Vec::new();
        let (left, right) = (Story::of(&recorded), Story::of(&ours));
        let whole = Story::of(whole);
        // Who closed a watch did not see what came after.
        found.extend(left.differences(&right, &whole, watch.ended.starts_with("by the client")));
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

    fn report(&mut self, index: usize, exchange: &Exchange, found: Vec<String>) {
        for difference in found {
            let (method, path) = (&exchange.method, &exchange.path);
            let note = exchange.note.as_deref().unwrap_or_default();
            self.differences.push(format!("exchange {index} {method} {path} ({note}): {difference}"));
        }
    }
}

/// An object without the name that was made up for it.
fn without_generated(object: Value) -> Value {
    let metadata = &object["metadata"];
    let (Some(_), Some(name)) = (metadata["generateName"].as_str(), metadata["name"].as_str()) else {
        return object;
    };
    serde_json::from_str(&object.to_string().replace(name, "(generated)")).unwrap()
}

fn key(object: &Value) -> String {
    format!(
        "{} {}",
        object["kind"].as_str().unwrap_or_default(),
        object["metadata"]["name"].as_str().unwrap_or_default()
    )
}
