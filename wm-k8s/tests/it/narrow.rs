//! With fewer rights the manager does without, and says so.

use futures::StreamExt as _;
use wm_core::{Attempt, Capabilities, ErrorKind, LogQuery, Phase, Reason, RunFilter, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, PlainSecrets, RoleScope, role};

use crate::stage::{Stage, finish, following, id, lines, log, request, run_id, script, verdict};

/// What the users' guide grants.
pub(crate) const NARROW: &[(&str, &str)] = &[
    ("create", "jobs"),
    ("get", "jobs"),
    ("deletecollection", "jobs"),
    ("list", "pods"),
    ("get", "pods/log"),
];

#[test]
fn the_rights_here_are_those_of_the_narrow_role() {
    let objects = role(RoleScope::Narrow, "default", "default", "server", "default");
    let mut rights = Vec::new();
    for rule in objects[1]["rules"].as_array().unwrap() {
        for verb in rule["verbs"].as_array().unwrap() {
            rights.push((verb.as_str().unwrap(), rule["resources"][0].as_str().unwrap()));
        }
    }
    assert_eq!(rights, NARROW);
}

#[tokio::test]
async fn the_narrow_role_is_enough_to_run_follow_read_and_delete() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let manager = stage.manager().await;
    let run = finish(&manager, &request(script("narrow", "echo out; exit 5"))).await;
    let status = manager.status(&run).await.unwrap();
    assert_eq!(status.verdict.unwrap().evidence.exit_code, Some(5));
    assert_eq!(manager.submit(&request(script("narrow", "true"))).await.unwrap().run, run_id("narrow", 2));
    assert!(verdict(&manager, &run_id("narrow", 2)).await.is_success());
    manager.delete(&id("narrow")).await.unwrap();
    assert_eq!(stage.job_names().await, [""; 0]);
    assert_eq!(stage.wire.calls_beyond(NARROW), [], "nothing is tried that is not allowed");
}

#[tokio::test]
async fn the_narrow_role_is_enough_to_read_a_log() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let manager = stage.manager().await;
    manager.submit(&request(script("read", "echo out").alias(id("alias")))).await.unwrap();
    for workload in ["read", "alias"] {
        assert_eq!(lines(manager.logs(&id(workload), &following()).await.unwrap()).await, ["out"]);
        assert_eq!(log(&manager, workload).await, ["out"]);
    }
    assert_eq!(
        manager.logs(&id("nothing"), &LogQuery::default()).await.err().unwrap().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn capabilities_say_what_the_role_allows() {
    let stage = Stage::new().await;
    let all = Capabilities {
        hold_runs: true,
        watch: true,
        keep_secrets: true,
        cancel: true,
        follow_logs: true,
        resume_logs: true,
        build_images: false,
    };
    assert_eq!(stage.manager().await.capabilities(), all);
    stage.wire.allow_only(NARROW);
    let less = Capabilities { hold_runs: false, watch: false, keep_secrets: false, ..all };
    assert_eq!(stage.manager().await.capabilities(), less);
}

#[tokio::test]
async fn a_run_can_not_be_held_without_the_right_to_start_it() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let manager = stage.manager().await;
    let error = manager.submit(&request(script("held", "true")).held()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(stage.job_names().await, [""; 0]);
}

#[tokio::test]
async fn secret_values_go_in_plain_unless_that_is_forbidden() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let mut settings = KubernetesSettings::new("default", "default");
    settings.plain_secrets = PlainSecrets::Refuse;
    let strict = stage.manager_with(settings).await.unwrap();
    let wanted = request(script("plain", "test \"$TOKEN\" = 'a$(b)$$c'").secret("TOKEN", "a$(b)$$c"));
    let error = strict.submit(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert_eq!(stage.job_names().await, [""; 0]);
    assert!(strict.submit(&request(script("open", "true"))).await.is_ok(), "without secrets it runs");
    let manager = stage.manager().await;
    let run = finish(&manager, &wanted).await;
    assert_eq!(manager.status(&run).await.unwrap().phase, Phase::Succeeded);
    assert!(stage.secrets().await.is_empty());
}

#[tokio::test]
async fn a_run_is_cancelled_with_the_narrow_role_and_no_other_is() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let gate = stage.gate("gate");
    let manager = stage.manager().await;
    let wanted = |attempt| request(script("mine", &gate.wait()).attempt(Attempt::new(attempt).unwrap()));
    manager.submit(&wanted(1)).await.unwrap();
    let run = manager.submit(&wanted(2)).await.unwrap().run;
    let follower = manager.watch(&run).await.unwrap();
    manager.cancel(&run).await.unwrap();
    let last = crate::stage::states(follower).await.pop().unwrap();
    assert_eq!(last.verdict.unwrap().reason, Reason::Cancelled);
    assert_eq!(stage.job_names().await, ["runner-mine-1"]);
}

#[tokio::test]
async fn without_list_a_list_says_which_right_is_missing() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let error = stage.manager().await.list(&RunFilter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert!(error.message().contains("cannot list resource \"jobs\""), "{error}");
}

#[tokio::test]
async fn where_the_watch_is_refused_lists_do() {
    const NO_WATCH: &[(&str, &str)] = &[
        ("create", "jobs"),
        ("get", "jobs"),
        ("list", "jobs"),
        ("patch", "jobs"),
        ("list", "pods"),
        ("get", "pods/log"),
        ("create", "secrets"),
    ];
    let stage = Stage::new().await;
    stage.wire.allow_only_secretly(NO_WATCH);
    let manager = stage.manager().await;
    let run = finish(&manager, &request(script("listed", "exit 6"))).await;
    let status = manager.status(&run).await.unwrap();
    assert_eq!(status.verdict.unwrap().evidence.exit_code, Some(6));
    assert!(stage.wire.count("list", "jobs") > 1);
    assert!(stage.wire.count("get", "jobs") == 0, "{:?}", stage.wire.calls());
}

#[tokio::test]
async fn messages_that_no_job_holds_are_in_their_place_by_time_under_every_id() {
    let stage = Stage::new().await;
    stage.wire.allow_only(NARROW);
    let mut gate = stage.gate("gate");
    let manager = stage.manager().await;
    let text = format!("echo one; {}; echo two", gate.wait());
    let run = manager.submit(&request(script("own", &text).alias(id("alias")))).await.unwrap().run;
    let mut output = manager.logs(&id("own"), &following()).await.unwrap();
    assert_eq!(output.next().await.unwrap().unwrap().text(), "one");
    manager.log(&id("alias"), "between").await.unwrap();
    gate.open(1);
    verdict(&manager, &run).await;
    manager.log(&id("own"), "after").await.unwrap();
    let second = finish(&manager, &request(script("own", "echo three").alias(id("alias")))).await;
    assert_eq!(second, run_id("own", 2));
    for workload in ["own", "alias"] {
        assert_eq!(log(&manager, workload).await, ["one", "between", "two", "after", "three"]);
    }
    manager.delete(&id("alias")).await.unwrap();
    let gone = manager.logs(&id("own"), &LogQuery::default()).await.err().unwrap();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}
