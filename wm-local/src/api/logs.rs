//! The log of a container: parameters, refusals by the state of the Pod, the stream.

use axum::{body::Body, response::Response};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Api, answer::text, parameters::Parameters};
use crate::{
    error::{ApiError, Cause},
    faults::{Effect, annotated, on_pod},
    kind::Key,
    node::LogOptions,
    store::meta,
};

pub(super) fn read(api: &Api, key: &Key, parameters: &Parameters) -> Result<Response, ApiError> {
    let options = log_options(&key.name, parameters)?;
    let previous = parameters.flag("previous");
    let pod = api.store.get(key).ok_or_else(|| ApiError::not_found(key.kind, &key.name))?;
    let container = container_name(&pod, parameters.get("container"))?;
    if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        return Ok(response);
    }
    if api.faults.has(|effect| matches!(effect, Effect::NodeNotReady | Effect::NodeGone)) {
        let message = format!(
            "Get \"https://127.0.0.1:10250/containerLogs/{}/{}/{container}\": dial tcp 127.0.0.1:10250: connect: \
             connection refused",
            key.namespace, key.name
        );
        return Err(ApiError::new(500, "", message));
    }
    check_state(&pod, &container, previous)?;
    let status = status_of(&pod, &container).unwrap_or(&Value::Null);
    let run = if previous { &status["lastState"]["terminated"] } else { status };
    let id = run["containerID"].as_str().unwrap_or_default();
    if is_unavailable(api, &pod) || !api.node.has_log(meta(&pod, "uid"), &container, previous) {
        let excuse = format!("unable to retrieve container logs for {id}");
        return Ok(text(StatusCode::OK, "text/plain", Body::from(excuse)));
    }
    let log = api.node.logs(meta(&pod, "uid"), &container, previous, options);
    Ok(text(StatusCode::OK, "text/plain", Body::from_stream(log)))
}

fn log_options(pod: &str, parameters: &Parameters) -> Result<LogOptions, ApiError> {
    let since_time = parameters.get("sinceTime").map(parse_time).transpose()?;
    let since_seconds = parameters.integer("sinceSeconds")?;
    let tail_lines = parameters.integer("tailLines")?;
    let limit_bytes = parameters.integer("limitBytes")?;
    let mut causes = Vec::new();
    let mut bounded = |field: &str, value: Option<i64>, least: i64| {
        if let Some(value) = value.filter(|value| *value < least) {
            let detail =
                if least == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" };
            causes.push(Cause::invalid(field, &json!(value), detail));
        }
    };
    bounded("tailLines", tail_lines, 0);
    bounded("limitBytes", limit_bytes, 1);
    bounded("sinceSeconds", since_seconds, 1);
    if since_time.is_some() && since_seconds.is_some() {
        causes.push(Cause::forbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
    }
    if parameters.get("stream").is_some() {
        causes.push(Cause::forbidden("stream", "may not be specified"));
    }
    if !causes.is_empty() {
        return Err(ApiError::invalid("", "PodLogOptions", pod, causes));
    }
    let count = |value: Option<i64>| value.and_then(|value| u64::try_from(value).ok());
    Ok(LogOptions {
        follow: parameters.flag("follow"),
        timestamps: parameters.flag("timestamps"),
        since_time,
        since_seconds: count(since_seconds),
        tail_lines: count(tail_lines),
        limit_bytes: count(limit_bytes),
    })
}

fn parse_time(text: &str) -> Result<Timestamp, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request(format!(
            "parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\""
        ))
    })
}

fn names<'a>(pod: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    pod["spec"][field].as_array().into_iter().flatten().filter_map(|container| container["name"].as_str())
}

/// The container that is meant: the one named, or the only ordinary one.
fn container_name(pod: &Value, given: Option<&str>) -> Result<String, ApiError> {
    let name = meta(pod, "name");
    let all = ["containers", "initContainers", "ephemeralContainers"];
    if let Some(given) = given {
        if all.iter().any(|field| names(pod, field).any(|one| one == given)) {
            return Ok(given.to_owned());
        }
        return Err(ApiError::bad_request(format!("container {given} is not valid for pod {name}")));
    }
    let ordinary: Vec<&str> = names(pod, "containers").collect();
    if let [only] = ordinary.as_slice() {
        return Ok((*only).to_owned());
    }
    let init: Vec<&str> = names(pod, "initContainers").collect();
    let choice = format!("choose one of: [{}]", ordinary.join(" "));
    let choice = if init.is_empty() {
        choice
    } else {
        format!("{choice} or one of the init containers: [{}]", init.join(" "))
    };
    Err(ApiError::bad_request(format!("a container name must be specified for pod {name}, {choice}")))
}

fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    ["containerStatuses", "initContainerStatuses"]
        .into_iter()
        .flat_map(|field| pod["status"][field].as_array().into_iter().flatten())
        .find(|status| status["name"] == container)
}

/// Whether a fault makes the kubelet excuse itself.
fn is_unavailable(api: &Api, pod: &Value) -> bool {
    let is_meant = |effect: &Effect| *effect == Effect::LogUnavailable;
    if annotated(pod).iter().any(|(hit, _)| is_meant(&hit.effect)) {
        return true;
    }
    !api.faults.is_quiet()
        && on_pod(pod, "get", "pods/log", "", |occasion| api.faults.first(occasion, is_meant)).is_some()
}

/// Refuses the log of a container that has not started, or has no previous run. Following does not wait either.
fn check_state(pod: &Value, container: &str, previous: bool) -> Result<(), ApiError> {
    let name = meta(pod, "name");
    let status = status_of(pod, container);
    let waiting = |reason: &str| {
        let message = format!("container {container:?} in pod {name:?} is waiting to start: {reason}");
        Err(ApiError::bad_request(message))
    };
    let Some(status) = status else { return waiting("ContainerCreating") };
    if previous {
        if status["lastState"]["terminated"].is_object() {
            return Ok(());
        }
        let message = format!("previous terminated container {container:?} in pod {name:?} not found");
        return Err(ApiError::bad_request(message));
    }
    // Between two runs the log of the last one is read.
    if status["state"]["waiting"].is_object() && !status["lastState"]["terminated"].is_object() {
        return match status["state"]["waiting"]["reason"].as_str().unwrap_or_default() {
            "ErrImagePull" => waiting("image can't be pulled"),
            "ImagePullBackOff" => waiting("trying and failing to pull image"),
            reason => waiting(reason),
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(query: &str) -> Result<LogOptions, ApiError> {
        log_options("p", &Parameters::from_uri(&format!("/x?{query}").parse().unwrap()).unwrap())
    }

    fn pod(containers: &[&str], status: &Value) -> Value {
        let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name})).collect();
        json!({
            "metadata": {"name": "p"},
            "spec": {"containers": containers, "initContainers": [{"name": "init"}]},
            "status": {"containerStatuses": [status]},
        })
    }

    #[test]
    fn parameters_become_options() {
        let options = options("follow=true&timestamps=1&tailLines=0&limitBytes=5&unknown=x").unwrap();
        assert!(options.follow && options.timestamps);
        assert_eq!((options.tail_lines, options.limit_bytes), (Some(0), Some(5)));
    }

    #[test]
    fn values_out_of_range_are_invalid_and_words_are_bad_requests() {
        for (query, code) in [
            ("tailLines=-1", 422),
            ("limitBytes=0", 422),
            ("sinceSeconds=0", 422),
            ("sinceSeconds=5&sinceTime=2026-11-23T22:39:42Z", 422),
            ("stream=Stdout", 422),
            ("tailLines=abc", 400),
            ("sinceTime=yesterday", 400),
        ] {
            assert_eq!(options(query).unwrap_err().code, code, "{query}");
        }
    }

    #[test]
    fn a_container_is_found_or_must_be_named() {
        let one = pod(&["a"], &json!({}));
        assert_eq!(container_name(&one, None).unwrap(), "a");
        assert_eq!(container_name(&one, Some("init")).unwrap(), "init");
        let refusal = container_name(&one, Some("nope")).unwrap_err();
        assert_eq!(refusal.message, "container nope is not valid for pod p");
        let refusal = container_name(&pod(&["a", "b"], &json!({})), None).unwrap_err();
        assert!(refusal.message.contains("choose one of: [a b]"), "{refusal}");
    }

    #[test]
    fn a_container_that_waits_has_no_log() {
        let creating =
            pod(&["a"], &json!({"name": "a", "state": {"waiting": {"reason": "ContainerCreating"}}}));
        let refusal = check_state(&creating, "a", false).unwrap_err();
        assert_eq!(refusal.message, "container \"a\" in pod \"p\" is waiting to start: ContainerCreating");
        let running = pod(&["a"], &json!({"name": "a", "state": {"running": {}}, "lastState": {}}));
        check_state(&running, "a", false).unwrap();
        let refusal = check_state(&running, "a", true).unwrap_err();
        assert_eq!(refusal.message, "previous terminated container \"a\" in pod \"p\" not found");
    }
}
