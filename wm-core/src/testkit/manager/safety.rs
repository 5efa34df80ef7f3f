//! What callers may do, and what they never see.

use futures::{FutureExt as _, StreamExt as _, future::join_all};

use super::{GO, ManagerHarness, Stage, follow, patient, request};
use crate::{
    ErrorKind, ImageRequest, LogQuery, Phase, RunFilter, WorkloadKind,
    testkit::{Program, assert_refused, id},
};

/// Dropping futures and streams stops nothing but the waiting.
pub async fn dropping_what_waits_stops_nothing(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let run = stage.start("alone", &patient()).await;
    stage.until("alone", "begun").await;
    let mut states = stage.watch(&run).await;
    drop(states.next().await);
    drop(states);
    if stage.can().follow_logs {
        let mut log = stage.logs(&id("alone"), &follow()).await;
        drop(log.next().await);
        drop(log);
    }
    // Begun and not waited for.
    let _dropped = stage.manager.status(&run).now_or_never();
    let _dropped = stage.manager.watch(&run).now_or_never();
    stage.open().await;
    assert_eq!(stage.end(&run).await.phase, Phase::Succeeded);
    assert_eq!(stage.lines("alone").await, ["begun", "done"]);
}

/// A submission that is dropped before its answer leaves a run or none; submitting again tells, and there is one.
pub async fn a_dropped_submission_can_be_made_again(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let same = stage.request("dropped", &patient());
    let answer = stage.manager.submit(&same).now_or_never();
    assert!(answer.is_none_or(|answer| answer.is_ok()));
    // As many more as a server that restarts again and again.
    for polls in 1..5 {
        let mut submission = stage.manager.submit(&same);
        for _ in 0..polls {
            if futures::poll!(&mut submission).is_ready() {
                break;
            }
            crate::testkit::pause().await;
        }
    }
    let run = stage.submit(&same).await.run;
    stage.open().await;
    assert_eq!(stage.end(&run).await.phase, Phase::Succeeded);
    assert_eq!(stage.list(&RunFilter::default()).await.len(), 1, "there is one run");
    assert_eq!(stage.lines("dropped").await, ["begun", "done"], "it ran once");
}

/// A secret value reaches the program, and is in nothing that is shown.
pub async fn a_secret_is_never_shown(harness: &dyn ManagerHarness) {
    const VALUE: &str = "hunter2-correct-horse";
    let stage = Stage::new(harness).await;
    let program = Program::new().require("TOKEN", VALUE).print("known\n").wait(GO).exit(3);
    let wanted = request(stage.workload("hidden", &program).secret("TOKEN", VALUE.to_owned()));
    let run = stage.submit(&wanted).await.run;
    let hidden = |place: &str, text: String| {
        assert!(!text.contains(VALUE), "the secret is shown in {place}: {text}");
    };
    stage.until("hidden", "known").await;
    hidden("the list", format!("{:?}", stage.list(&RunFilter::default()).await));
    let other = request(stage.workload("hidden", &patient()).secret("TOKEN", VALUE.to_owned()));
    let error = assert_refused(stage.manager.submit(&other).await, ErrorKind::Conflict, "another spec");
    hidden("an error", format!("{error} {error:?} {error:#?}"));
    stage.open().await;
    let status = stage.end(&run).await;
    let exit_code = status.verdict.as_ref().and_then(|verdict| verdict.evidence.exit_code);
    assert_eq!(exit_code, Some(3), "99 would say that the value did not reach the program: {status:?}");
    for server in stage.servers().await {
        hidden("Debug", format!("{:?} {:#?}", server.manager, server.manager));
        for status in [&status, &server.status(&run).await] {
            hidden("the status", format!("{status:?}"));
            hidden("the status as JSON", serde_json::to_string(status).expect("a status is serialized"));
        }
        hidden("the log", server.lines("hidden").await.join("\n"));
        hidden("the records", format!("{:?}", server.records("hidden", &LogQuery::default()).await));
    }
}

/// Many callers at the same time get what is theirs.
pub async fn concurrent_callers_get_what_is_theirs(harness: &dyn ManagerHarness) {
    let servers = Stage::new(harness).await.servers().await;
    let servers = &servers;
    let one = |number: usize| async move {
        let server = &servers[number % servers.len()];
        let (name, text) = (format!("caller-{number}"), format!("from {number}"));
        let code = u8::try_from(number).expect("there are few");
        let program = Program::new().print(format!("{text}\n")).exit(code);
        server.manager.log(&id(&name), &format!("to {number}")).await.expect("a message is added");
        let run = server.start(&name, &program).await;
        let status = server.end(&run).await;
        assert_eq!(status.run, run);
        let exit_code = status.verdict.as_ref().and_then(|verdict| verdict.evidence.exit_code);
        assert_eq!(exit_code, Some(i32::from(code)), "the end of {name}: {status:?}");
        assert_eq!(server.lines(&name).await, [format!("to {number}"), text], "the log of {name}");
        assert_eq!(server.list(&RunFilter::of(&id(&name))).await.len(), 1, "the runs of {name}");
    };
    join_all((0..20).map(one)).await;
}

/// What it can do is the same whenever and wherever it is asked.
pub async fn capabilities_are_the_same_everywhere(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let before = stage.can();
    stage.run("some", &Program::new()).await;
    for server in stage.servers().await {
        assert_eq!(server.can(), before);
        assert_eq!(server.can(), before, "when it is asked again");
    }
}

/// The image of a workload is the same whenever it is asked for; what its strategy needs is asked for by name.
pub async fn an_image_is_resolved_or_what_is_missing_is_named(harness: &dyn ManagerHarness) {
    let stage = Stage::new(harness).await;
    let snapshot = stage.request("image", &Program::new()).image;
    let request = ImageRequest::new(id("image"), WorkloadKind::Snapshot, Some(snapshot));
    let image = stage.manager.resolve_image(&request).await.expect("the image of a workload is found");
    assert!(!image.explanation.is_empty(), "it says why it is that one");
    for server in stage.servers().await {
        let again = server.manager.resolve_image(&request).await.expect("the image of a workload is found");
        assert_eq!(again.image, image.image, "the same request, the same image");
        let without = ImageRequest::new(id("image"), WorkloadKind::Snapshot, None);
        if let Err(error) = server.manager.resolve_image(&without).await {
            assert_eq!(error.kind(), ErrorKind::InvalidRequest, "{error}");
        }
    }
}
