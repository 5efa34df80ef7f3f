use serde_json::Value;
use wm_core::{Finding, Mend};

use super::survey::Told;

/// Says whether the namespace is there, to stay.
pub(super) fn finding(namespace: &Told<Value>, name: &str) -> Finding {
    match namespace {
        Told::Is(object) if object["status"]["phase"] == "Terminating" => being_deleted(name),
        Told::Is(_) => Finding::ok("namespace", format!("the namespace {name} is there")),
        Told::Missing => missing(name),
        Told::Unknown(why) => {
            super::unknown("namespace", &format!("what the namespace {name} asks for"), why)
        }
    }
}

pub(super) fn missing(name: &str) -> Finding {
    Finding::failure(
        "namespace",
        format!("there is no namespace {name}"),
        Mend::command(format!("kubectl create namespace {name}")),
    )
}

pub(super) fn being_deleted(name: &str) -> Finding {
    Finding::failure(
        "namespace",
        format!("the namespace {name} is being deleted"),
        Mend::command(format!(
            "kubectl get namespace {name} -o yaml    # its status says what holds it; when it is gone: kubectl create namespace {name}"
        )),
    )
}
