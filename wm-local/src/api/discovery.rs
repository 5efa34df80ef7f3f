//! What the API says about itself: groups, resources, and just enough `OpenAPI` for kubectl.

use serde_json::{Value, json};

use crate::kind::Kind;

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// `/version`, as the cluster that the answers are modelled on says it.
pub(super) fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.2",
        "gitCommit": "98b35193b2ac7a23a673325f5e9b830ecd5ba406",
        "gitTreeState": "clean",
        "buildDate": "2026-08-21T00:00:00Z",
        "goVersion": "go1.26.6",
        "compiler": "gc",
        "platform": "linux/amd64",
    })
}

/// The document at a path, written without slashes at its ends.
pub(super) fn document(path: &str) -> Option<Value> {
    let groups = ["batch", "authorization.k8s.io", "authentication.k8s.io"];
    Some(match path {
        "" => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/apis/batch", "/apis/batch/v1", "/healthz", "/version"]})
        }
        "api" => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        "apis" => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups.map(group)}),
        "api/v1" => resources("v1", &kinds("")),
        "apis/batch/v1" => resources("batch/v1", &kinds("batch")),
        "apis/authorization.k8s.io/v1" => resources(
            "authorization.k8s.io/v1",
            &[
                review("selfsubjectaccessreviews", "SelfSubjectAccessReview"),
                review("selfsubjectrulesreviews", "SelfSubjectRulesReview"),
            ],
        ),
        "apis/authentication.k8s.io/v1" => {
            resources("authentication.k8s.io/v1", &[review("selfsubjectreviews", "SelfSubjectReview")])
        }
        "openapi/v3" => json!({"paths": {
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"},
            "apis/batch/v1": {"serverRelativeURL": "/openapi/v3/apis/batch/v1"},
        }}),
        "openapi/v3/api/v1" => open_api(""),
        "openapi/v3/apis/batch/v1" => open_api("batch"),
        _ => {
            let name = path.strip_prefix("apis/").filter(|name| groups.contains(name))?;
            let mut document = group(name);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            document
        }
    })
}

fn group(name: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/v1"), "version": "v1"});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(group_version: &str, resources: &[Value]) -> Value {
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources});
    // A real server leaves it out for the core group.
    if group_version != "v1" {
        list["apiVersion"] = "v1".into();
    }
    list
}

fn review(name: &str, kind: &str) -> Value {
    json!({"name": name, "singularName": kind.to_lowercase(), "namespaced": false, "kind": kind, "verbs": ["create"]})
}

fn kinds(group: &str) -> Vec<Value> {
    let mut resources = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.group() == group) {
        let verbs: &[&str] = match kind {
            Kind::Node => &["get", "list", "patch", "update", "watch"],
            Kind::Namespace => &["create", "delete", "get", "list", "patch", "update", "watch"],
            _ => &VERBS,
        };
        let mut resource = json!({
            "name": kind.resource(),
            "singularName": kind.kind().to_lowercase(),
            "namespaced": kind.is_namespaced(),
            "kind": kind.kind(),
            "verbs": verbs,
        });
        if let Some(short) = short_name(kind) {
            resource["shortNames"] = json!([short]);
        }
        if matches!(kind, Kind::Job | Kind::Pod) {
            resource["categories"] = json!(["all"]);
        }
        resources.push(resource);
        let subresources: &[(&str, &[&str])] = match kind {
            Kind::Job | Kind::Namespace | Kind::ResourceQuota => &[("status", &["get", "patch", "update"])],
            Kind::Pod => &[("log", &["get"]), ("status", &["get", "patch", "update"])],
            _ => &[],
        };
        for (name, verbs) in subresources {
            resources.push(json!({
                "name": format!("{}/{name}", kind.resource()),
                "singularName": "",
                "namespaced": kind.is_namespaced(),
                "kind": kind.kind(),
                "verbs": verbs,
            }));
        }
    }
    resources
}

fn short_name(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Namespace => Some("ns"),
        Kind::Node => Some("no"),
        Kind::Pod => Some("po"),
        Kind::Event => Some("ev"),
        Kind::ConfigMap => Some("cm"),
        Kind::ServiceAccount => Some("sa"),
        Kind::ResourceQuota => Some("quota"),
        Kind::LimitRange => Some("limits"),
        Kind::Job | Kind::Secret => None,
    }
}

/// By these operations kubectl learns that field validation and dry runs are the server's business.
fn open_api(group: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for kind in Kind::ALL.into_iter().filter(|kind| kind.group() == group) {
        let prefix = if group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{group}/v1") };
        let namespace = if kind.is_namespaced() { "/namespaces/{namespace}" } else { "" };
        let parameter = |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
        let operation = json!({
            "parameters": [parameter("dryRun"), parameter("fieldValidation")],
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-group-version-kind": {"group": group, "version": "v1", "kind": kind.kind()},
        });
        paths
            .insert(format!("{prefix}{namespace}/{}/{{name}}", kind.resource()), json!({"patch": operation}));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": {}},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_are_listed_with_their_verbs() {
        let batch = document("apis/batch/v1").unwrap();
        assert_eq!(batch["resources"][0]["name"], "jobs");
        assert_eq!(batch["resources"][0]["verbs"], json!(VERBS));
        assert_eq!(batch["resources"][1]["name"], "jobs/status");
        let core = document("api/v1").unwrap();
        let names: Vec<&str> = core["resources"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|resource| resource["name"].as_str())
            .collect();
        assert!(names.contains(&"pods/log") && names.contains(&"secrets"));
    }

    #[test]
    fn groups_are_listed() {
        assert_eq!(document("apis/batch").unwrap()["preferredVersion"]["groupVersion"], "batch/v1");
        assert_eq!(document("apis").unwrap()["groups"].as_array().unwrap().len(), 3);
        assert_eq!(document("apis/nope.example"), None);
        assert_eq!(document("openapi/v2"), None);
    }
}
