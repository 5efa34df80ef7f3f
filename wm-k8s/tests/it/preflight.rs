//! What a look at the set-up finds, and leaves alone.

use serde_json::{Value, json};
use wm_core::{Finding, Report, Severity, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, PodSecurity, RoleScope, role};

use crate::{
    narrow::NARROW,
    stage::{Stage, request, script},
    wire::Fault,
};

const QUOTAS: &str = "resourcequotas";
const LIMITS: &str = "limitranges";

fn settings() -> KubernetesSettings {
    KubernetesSettings::new("default", "default")
}

async fn look(stage: &Stage, settings: KubernetesSettings) -> Report {
    stage.manager_with(settings).await.unwrap().preflight().await.unwrap()
}

/// What of a check is worse than a note.
fn complaints<'a>(report: &'a Report, check: &str) -> Vec<&'a Finding> {
    let bad = |finding: &&Finding| finding.check == check && finding.severity > Severity::Note;
    report.findings.iter().filter(bad).collect()
}

#[track_caller]
fn only_complaint<'a>(report: &'a Report, check: &str, severity: Severity, words: &str) -> &'a Finding {
    let complaints = complaints(report, check);
    assert_eq!(complaints.len(), 1, "{check}: {report:#?}");
    assert_eq!(complaints[0].severity, severity, "{complaints:?}");
    assert!(complaints[0].message.contains(words), "{complaints:?}");
    complaints[0]
}

#[track_caller]
fn no_complaint(report: &Report, check: &str) {
    assert!(complaints(report, check).is_empty(), "{check}: {report:#?}");
}

fn list(items: &Value) -> Fault {
    Fault::Answer { code: 200, retry_after: None, body: json!({ "items": items }).to_string() }
}

#[tokio::test]
async fn a_good_set_up_has_no_complaint_and_nothing_to_apply() {
    let stage = Stage::new().await;
    let report = look(&stage, settings()).await;
    assert!(report.findings.iter().all(|finding| finding.severity <= Severity::Note), "{report:#?}");
    for check in ["server", "clock", "identity", "namespace", "right", "service-account", "job", "pod"] {
        let found = report.findings.iter().find(|finding| finding.check == check).unwrap();
        assert_eq!(found.severity, Severity::Ok, "{found:?}");
    }
    assert_eq!(report.plan, [Value::Null; 0]);
}

#[tokio::test]
async fn nothing_is_changed_not_even_a_version() {
    const KINDS: [&str; 6] = ["pods", "secrets", "configmaps", "serviceaccounts", "events", "jobs"];
    let stage = Stage::new().await;
    stage.observer().await.submit(&request(script("there", "true")).held()).await.unwrap();
    let everything = async || {
        let mut lists = Vec::new();
        for kind in KINDS {
            let group = if kind == "jobs" { "/apis/batch/v1" } else { "/api/v1" };
            let request = http::Request::get(format!("{group}/{kind}")).body(Vec::new()).unwrap();
            lists.push(stage.direct.request::<Value>(request).await.unwrap());
        }
        lists
    };
    let before = everything().await;
    let manager = stage.manager().await;
    manager.preflight().await.unwrap();
    assert_eq!(
        everything().await,
        before,
        "the lists have their resourceVersion, which any write would move"
    );
    let created: Vec<_> =
        stage.wire.calls().into_iter().filter(|call| call.verb != "get" && call.verb != "list").collect();
    assert_eq!(created.len(), 2, "{created:?}");
    assert!(created.iter().all(|call| call.target.ends_with("?dryRun=All")), "{created:?}");
}

#[tokio::test]
async fn under_the_narrow_role_exactly_the_missing_lines_of_the_role_are_told() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let report = look(&stage, settings()).await;
    assert!(report.is_ready(), "{report:#?}");
    assert_eq!(stage.wire.calls_beyond(NARROW), [], "nothing is tried that is not allowed");

    let rights = |rules: &Value| {
        let rules = rules.as_array().unwrap().clone();
        let of = |rule: &Value| {
            let resource = rule["resources"][0].as_str().unwrap().to_owned();
            let verbs = rule["verbs"].as_array().unwrap().clone();
            verbs
                .into_iter()
                .map(move |verb| format!("{} {resource}", verb.as_str().unwrap()))
                .collect::<Vec<_>>()
        };
        rules.iter().flat_map(of).collect::<Vec<_>>()
    };
    let objects = role(RoleScope::Full, "default", "default", "server", "default");
    let mut missing = rights(&objects[1]["rules"]);
    missing.retain(|right| !NARROW.iter().any(|(verb, resource)| *right == format!("{verb} {resource}")));
    let told: Vec<_> = report.findings.iter().filter(|finding| finding.check == "right").collect();
    assert_eq!(told.len(), missing.len());
    for (finding, right) in told.iter().zip(&missing) {
        assert!(finding.message.contains(&format!("may not {right} (")), "{finding:?} {right}");
        assert!(finding.mend.is_some());
    }
    let kinds: Vec<_> = report.plan.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Role", "RoleBinding"]);
    assert_eq!(rights(&report.plan[0]["rules"]), missing);
    assert_eq!(report.plan[0]["metadata"]["name"], report.plan[1]["roleRef"]["name"]);
}

#[tokio::test]
async fn a_missing_namespace_is_told_once_and_planned_with_its_account() {
    let stage = Stage::new().await;
    let mut settings = settings();
    settings.namespace = "nowhere".to_owned();
    for narrow in [false, true] {
        if narrow {
            stage.wire.allow_only(NARROW);
        }
        let report = look(&stage, settings.clone()).await;
        let told = only_complaint(&report, "namespace", Severity::Failure, "nowhere");
        assert_eq!(told.mend.as_ref().unwrap().to_string(), "kubectl create namespace nowhere");
        let kinds: Vec<_> = report.plan.iter().map(|object| object["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds[..2], ["Namespace", "ServiceAccount"], "{report:#?}");
        let failures = report.findings.iter().filter(|finding| finding.severity == Severity::Failure);
        let mut checks: Vec<_> = failures.map(|finding| finding.check).collect();
        checks.retain(|check| *check != "service-account");
        assert_eq!(checks, ["namespace"], "{report:#?}");
    }
}

#[tokio::test]
async fn a_missing_service_account_is_told_and_planned() {
    let stage = Stage::new().await;
    let mut settings = settings();
    settings.service_account = "nobody".to_owned();
    let report = look(&stage, settings).await;
    let told = only_complaint(&report, "service-account", Severity::Failure, "nobody");
    assert_eq!(told.mend.as_ref().unwrap().to_string(), "kubectl -n default create serviceaccount nobody");
    assert_eq!(report.plan[0]["kind"], "ServiceAccount");
    assert_eq!(report.plan[0]["metadata"]["name"], "nobody");
}

#[tokio::test]
async fn pull_secrets_are_looked_at_without_reading_what_is_in_them() {
    let stage = Stage::new().await;
    let secret = |name: &str, kind: &str, key: &str| json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "type": kind, "data": { key: "e30=" } });
    let path = "/api/v1/namespaces/default/secrets";
    stage.create(path, &secret("good", "kubernetes.io/dockerconfigjson", ".dockerconfigjson")).await;
    stage.create(path, &secret("opaque", "Opaque", ".dockerconfigjson")).await;
    let mut settings = settings();
    settings.image_pull_secrets = ["good", "opaque", "none"].map(str::to_owned).to_vec();
    let report = look(&stage, settings).await;
    let told = complaints(&report, "pull-secret");
    assert_eq!(told.len(), 2, "{report:#?}");
    assert!(told[0].message.contains("the Secret opaque is of type Opaque"), "{told:?}");
    assert!(told[1].message.contains("there is no Secret none"), "{told:?}");
}

#[tokio::test]
async fn a_quota_without_room_or_that_needs_resources_is_told() {
    let stage = Stage::new().await;
    let quotas = json!([
        {
            "metadata": { "name": "full" },
            "spec": { "hard": { "count/jobs.batch": "2", "pods": "0", "requests.cpu": "1" } },
            "status": { "used": { "count/jobs.batch": "2", "pods": "0", "requests.cpu": "600m" } },
        },
        { "metadata": { "name": "scoped" }, "spec": { "hard": { "pods": "0" }, "scopes": ["BestEffort"] } },
    ]);
    let mut settings = settings();
    for (resources, cpu) in [
        (Value::Null, "the container main has none"),
        (json!({ "requests": { "cpu": "500m" } }), "requests.cpu is 600m of 1, and a run takes 500m"),
        (json!({ "limits": { "cpu": "2" } }), "requests.cpu=1, and one run takes 2"),
    ] {
        settings.pod_resources = Some(resources).filter(|resources| !resources.is_null());
        stage.wire.fail("list", QUOTAS, 1, list(&quotas));
        stage.wire.fail("list", LIMITS, 1, list(&json!([])));
        let report = look(&stage, settings.clone()).await;
        let told: Vec<_> = complaints(&report, "quota").iter().map(|told| told.message.clone()).collect();
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(told[0].contains("count/jobs.batch is 2 of 2") && told[0].contains("until they are deleted"));
        assert!(told[1].contains("pods=0, and one run takes 1"), "{told:?}");
        assert!(told[2].contains(cpu), "{told:?}");
    }
}

#[tokio::test]
async fn what_a_limit_range_gives_need_not_be_said_and_what_it_refuses_is_told() {
    let stage = Stage::new().await;
    let quotas =
        json!([{ "metadata": { "name": "cpu" }, "spec": { "hard": { "limits.cpu": "4" } }, "status": {} }]);
    let range = json!([{ "metadata": { "name": "sizes" }, "spec": { "limits": [
        { "type": "Container", "default": { "cpu": "500m" }, "max": { "cpu": "1" } },
    ] } }]);
    let mut settings = settings();
    for (resources, complaint) in [(None, false), (Some(json!({ "limits": { "cpu": "1500m" } })), true)] {
        settings.pod_resources = resources;
        stage.wire.fail("list", QUOTAS, 1, list(&quotas));
        stage.wire.fail("list", LIMITS, 1, list(&range));
        let report = look(&stage, settings.clone()).await;
        no_complaint(&report, "quota");
        if complaint {
            let words = "limits.cpu=1500m, and the LimitRange sizes of default allows at most 1,";
            assert!(
                complaints(&report, "limit-range").iter().any(|told| told.message.contains(words)),
                "{report:#?}"
            );
        } else {
            no_complaint(&report, "limit-range");
        }
    }
}

#[tokio::test]
async fn a_pod_below_the_namespaces_level_is_told_whether_or_not_a_pod_can_be_tried_out() {
    const NO_PODS: &[(&str, &str)] = &[("create", "jobs"), ("get", "namespaces")];
    let stage = Stage::new().await;
    let labels = json!({ "metadata": { "labels": { "pod-security.kubernetes.io/enforce": "restricted" } } });
    let patch = http::Request::patch("/api/v1/namespaces/default")
        .header("Content-Type", "application/merge-patch+json")
        .body(labels.to_string().into_bytes());
    let _labelled: Value = stage.direct.request(patch.unwrap()).await.unwrap();
    let mut settings = settings();
    for level in [PodSecurity::Auto, PodSecurity::Restricted, PodSecurity::Baseline, PodSecurity::None] {
        settings.pod_security = level;
        let report = look(&stage, settings.clone()).await;
        if matches!(level, PodSecurity::Auto | PodSecurity::Restricted) {
            no_complaint(&report, "pod-security");
            assert!(report.is_ready(), "{report:#?}");
        } else {
            let told = only_complaint(&report, "pod-security", Severity::Failure, "runAsNonRoot != true");
            assert_eq!(told.mend.as_ref().unwrap().to_string(), "set pod_security to restricted");
        }
    }
    stage.wire.allow_only(NO_PODS);
    let report = look(&stage, settings).await;
    only_complaint(&report, "pod-security", Severity::Failure, "allowPrivilegeEscalation != false");
    assert!(report.findings.iter().any(|told| told.check == "pod" && told.severity == Severity::Note));
}

#[tokio::test]
async fn what_a_patch_breaks_and_an_old_server_drops_is_told() {
    let stage = Stage::new().await;
    let mut settings = settings();
    settings.pod_failure_policy = Some(
        json!({ "rules": [{ "action": "FailJob", "onExitCodes": { "operator": "In", "values": [3] } }] }),
    );
    stage.wire.fail("create", "jobs", 1, Fault::Forget(&["/spec/podFailurePolicy"]));
    let report = look(&stage, settings).await;
    only_complaint(&report, "field", Severity::Failure, "spec.podFailurePolicy");

    let mut settings = self::settings();
    settings.pod_template_patch = Some(json!({ "spec": { "priorityClassName": "high" } }));
    let refusal = "pods \"x\" is forbidden: no PriorityClass with name high was found in spec";
    stage.wire.fail("create", "pods", 1, Fault::status(403, "Forbidden", refusal));
    let report = look(&stage, settings).await;
    let told = only_complaint(&report, "pod", Severity::Failure, "no PriorityClass");
    assert!(told.mend.as_ref().unwrap().to_string().starts_with("set pod_template_patch"), "{told:?}");
}

#[tokio::test]
async fn a_job_that_is_refused_is_told_in_the_servers_words() {
    let stage = Stage::new().await;
    for (refusal, check, severity) in [
        (
            Fault::status(403, "Forbidden", "jobs.batch \"x\" is forbidden: exceeded quota: one-job"),
            "quota",
            Some(Severity::Failure),
        ),
        (
            Fault::status(422, "Invalid", "ValidatingAdmissionPolicy 'no' denied request"),
            "job",
            Some(Severity::Failure),
        ),
        (
            Fault::status(403, "Forbidden", "unable to create: namespace default is being terminated"),
            "namespace",
            Some(Severity::Failure),
        ),
        (Fault::status(400, "BadRequest", "admission webhook \"w\" does not support dry run"), "job", None),
    ] {
        stage.wire.fail("create", "jobs", 1, refusal);
        let report = look(&stage, settings()).await;
        assert_eq!(
            complaints(&report, check).first().map(|told| told.severity),
            severity,
            "{check}: {report:#?}"
        );
    }
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_one_finding() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    stage.wire.fail("get", "version", 1, Fault::status(401, "Unauthorized", "Unauthorized"));
    let report = manager.preflight().await.unwrap();
    assert_eq!(report.findings.len(), 1);
    only_complaint(&report, "server", Severity::Failure, "credentials are missing or expired");
}
