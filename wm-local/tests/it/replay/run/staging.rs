//! The stage of a scenario: what was there before, and what other hands did meanwhile.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Run, SLACK, key};
use crate::replay::{
    recording::{Exchange, Recording},
    stage::Act,
};

impl Run {
    /// Does what was done by another hand.
    pub(super) async fn act(&mut self, act: &Act) {
        let faults = self.served.cluster.faults();
        match act {
            Act::Request { method, path, content_type, body } => {
                let path = self.names.path(path);
                let answer = self.served.write(method.parse().unwrap(), &path, content_type, body).await;
                assert!(answer.status.is_success(), "{}", answer.text);
            }
            Act::Fault(fault) => drop(faults.inject((**fault).clone())),
            Act::Lift => faults.lift_all(),
            Act::Await { pod, until } => {
                let limit = self.pace.now() + SLACK;
                while self.pace.now() < limit {
                    let name = self.names.to_ours(pod);
                    if self.observer.has_pod(|pod| pod["metadata"]["name"] == name.as_str() && until(pod)) {
                        break;
                    }
                    self.pace.step(limit, &self.observer).await;
                }
            }
        }
    }

    /// Makes what the recording shows and nobody was recorded to make: the stage was set beforehand.
    pub(super) async fn stage(&mut self, recording: &Recording, at: u64) {
        let events = recording.watches.iter().flat_map(|watch| &watch.events);
        let mut added: Vec<_> =
            events.filter(|event| event.at_ms < at && event.event["type"] == "ADDED").collect();
        added.sort_by_key(|event| event.at_ms);
        for event in added {
            self.make(&event.event["object"]).await;
        }
    }

    pub(super) async fn stage_listed(&mut self, recording: &Recording, exchange: &Exchange) {
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

    pub(super) async fn make(&mut self, object: &Value) {
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
}
