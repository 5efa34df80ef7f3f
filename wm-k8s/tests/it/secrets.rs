//! A secret value is in the container's environment and nowhere else.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use wm_core::{ErrorKind, Phase, WorkloadManager as _};
use wm_k8s::{KubernetesSettings, render};

use crate::{
    stage::{Stage, finish, id, log, reach, request, run_id, script, verdict},
    wire::Fault,
};

const VALUE: &str = "hunter2-correct-horse";
const SECRET: &str = "/api/v1/namespaces/default/secrets";

/// What is traced, in memory.
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<u8>>>);

impl io::Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Traced {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

fn assert_hidden(place: &str, text: &str) {
    // The API gives the values of Secrets in base64, of which this is the beginning.
    assert!(!text.contains(VALUE) && !text.contains("aHVudGVyMi1jb3JyZWN0"), "{place}: {text}");
}

#[tokio::test]
async fn a_secret_value_reaches_the_program_and_is_nowhere_else() {
    let traced = Traced::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(traced.clone())
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // While there is one alone, a test on another thread can turn a line off for this one.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    let proof = format!("test \"$TOKEN\" = {} && echo known", VALUE.replace("hunter2", "hunter'2'"));
    let wanted = request(script("hidden", &proof).secret("TOKEN", VALUE));
    finish(&manager, &wanted).await;
    assert_eq!(log(&manager, "hidden").await, ["known"]);
    let again = request(script("refused", "true").secret("TOKEN", VALUE));
    stage.wire.fail("create", "secrets", 1, Fault::status(422, "Invalid", "no"));
    let error = manager.submit(&again).await.unwrap_err();

    for kind in ["jobs", "pods", "events"] {
        let group = if kind == "jobs" { "apis/batch/v1" } else { "api/v1" };
        let objects = stage.objects(&format!("/{group}/namespaces/default/{kind}")).await;
        assert!(!objects.is_empty(), "{kind}");
        assert_hidden(kind, &Value::from(objects).to_string());
    }
    assert_hidden("status", &format!("{:?}", manager.status(&run_id("hidden", 1)).await));
    assert_hidden("error", &format!("{error} {error:?} {:?}", std::error::Error::source(&error)));
    assert_hidden("request", &format!("{again:?}"));
    assert_hidden("manager", &format!("{manager:?} {manager:#?}"));
    let rendered = render(&wanted, &KubernetesSettings::new("default", "default")).unwrap();
    assert_eq!(rendered.len(), 2);
    assert_hidden("render", &Value::from(rendered).to_string());
    let traced = String::from_utf8(traced.0.lock().unwrap().clone()).unwrap();
    assert!(traced.contains("Run submitted"));
    assert_hidden("traces", &traced);
}

#[tokio::test]
async fn the_secret_is_owned_by_the_job_and_goes_with_it() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    finish(&manager, &request(script("owned", "true").secret("TOKEN", VALUE))).await;
    let secret = stage.secrets().await.remove(0);
    let owner = &secret["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["uid"]), (&"Job".into(), &stage.jobs().await[0]["metadata"]["uid"]));
    manager.delete(&id("owned")).await.unwrap();
    while !stage.secrets().await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn adopting_a_run_makes_the_secret_that_is_missing() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    // The pod waits for the Secret as long as the run is held.
    let wanted = request(script("orphan", "test -n \"$TOKEN\"").secret("TOKEN", VALUE)).held();
    let run = manager.submit(&wanted).await.unwrap().run;
    stage.delete(&format!("{SECRET}/runner-orphan-1")).await;
    let elsewhere = stage.manager().await;
    assert!(elsewhere.submit(&wanted).await.unwrap().adopted);
    assert_eq!(stage.secrets().await.len(), 1);
    elsewhere.release(&run).await.unwrap();
    assert!(verdict(&elsewhere, &run).await.is_success());
}

#[tokio::test]
async fn a_run_whose_secret_can_not_be_made_is_withdrawn() {
    let stage = Stage::new().await;
    let manager = stage.manager().await;
    stage.wire.fail("create", "secrets", 1, Fault::status(403, "Forbidden", "exceeded quota: secrets"));
    let wanted = request(script("bare", "true").secret("TOKEN", VALUE));
    let error = manager.submit(&wanted).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded, "{error}");
    assert_eq!(stage.job_names().await, [""; 0]);
    let run = manager.submit(&wanted).await.unwrap().run;
    reach(&manager, &run, Phase::Succeeded).await;
}
