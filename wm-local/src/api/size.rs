//! How large an object may be: the limits of etcd, and of a server's connection to it.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    error::{ApiError, Cause},
    kind::Kind,
    store::meta,
};

/// etcd's limit of a request.
const REQUEST: usize = 1_572_864;
/// What a server sends to etcd at most.
const MESSAGE: usize = 2_097_152;

/// Refuses an object that a real cluster could not store; `length` is that of the request, which is about its size.
pub(super) fn check(kind: Kind, object: &Value, length: usize) -> Result<(), ApiError> {
    if length <= REQUEST {
        return Ok(());
    }
    if kind == Kind::Job {
        return Err(mislead(object));
    }
    let message = if length > MESSAGE {
        format!(
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max ({length} vs. {MESSAGE})"
        )
    } else {
        "etcdserver: request is too large".to_owned()
    };
    Err(ApiError::new(500, "", message))
}

/// A real server tries a second time, with another uid, which the labels that it made itself then do not match.
fn mislead(job: &Value) -> ApiError {
    let labels = &job["spec"]["template"]["metadata"]["labels"];
    let detail = format!("must be '{}'", Uuid::new_v4());
    let label =
        |name: &str| Cause::invalid(format!("spec.template.metadata.labels[{name}]"), labels, &detail);
    let selector = json!({"matchLabels": job["spec"]["selector"]["matchLabels"]});
    let causes = vec![
        label("controller-uid"),
        label("batch.kubernetes.io/controller-uid"),
        Cause::invalid("spec.selector", &selector, "`selector` not auto-generated"),
    ];
    ApiError::invalid("batch", "Job", meta(job, "name"), causes)
}
