//! What is counted and told while runs go through their lives.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use wm_core::testkit::metrics::problems;

use super::*;

fn recorder() -> (PrometheusRecorder, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    (recorder, handle)
}

#[track_caller]
fn shows(text: &str, samples: &[&str]) {
    for sample in samples {
        assert!(text.lines().any(|line| line == *sample), "{sample}\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_metric_of_the_table_is_emitted_and_no_other() {
    let (recorder, handle) = recorder();
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let backend = Scripted::new(true, false, Vec::new());
    {
        let launcher = launcher(&backend, 1, 2);
        let first = launcher.launch(workload("a")).await.unwrap();
        launcher.launch(workload("a")).await.unwrap();
        let second = launcher.launch(workload("b")).await.unwrap();
        let third = launcher.launch(workload("c")).await.unwrap();
        launcher.launch(workload("d")).await.unwrap_err();
        shows(&handle.render(), &["wm_slots 1", "wm_slots_in_use 1", "wm_runs_queued 2"]);
        third.cancel().await.unwrap();
        assert_eq!(third.wait().await.unwrap().outcome, Outcome::Cancelled);
        sleep(Duration::from_secs(5)).await;
        // To start the second is tried again.
        backend.orders.lock().unwrap().push_back(Act::FailForNow);
        backend.finish_all();
        assert!(first.wait().await.unwrap().is_success());
        let mut states = second.follow();
        while states.next().await.unwrap().unwrap().phase != Phase::Running {}
        second.cancel().await.unwrap();
        assert_eq!(second.wait().await.unwrap().outcome, Outcome::Cancelled);
        backend.orders.lock().unwrap().push_back(Act::Fail);
        launcher.launch(workload("e")).await.unwrap_err();
    }
    yield_now().await;
    let text = handle.render();
    assert_eq!(problems(&text, crate::metrics::METRICS, &[]), [""; 0], "{text}");
    shows(
        &text,
        &[
            "wm_slots 0",
            "wm_slots_in_use 0",
            "wm_runs_queued 0",
            r#"wm_launches_total{decision="admitted"} 2"#,
            r#"wm_launches_total{decision="queued"} 2"#,
            r#"wm_launches_total{decision="joined"} 1"#,
            r#"wm_launches_total{decision="refused"} 1"#,
            r#"wm_runs_finished_total{outcome="succeeded",reason="Completed"} 1"#,
            r#"wm_runs_finished_total{outcome="cancelled",reason="Cancelled"} 2"#,
            r#"wm_runs_given_up_total{error="PermissionDenied"} 1"#,
            r#"wm_backend_retries_total{call="release"} 1"#,
            r#"wm_cancels_total{outcome="in line"} 1"#,
            r#"wm_cancels_total{outcome="under way"} 1"#,
            r#"wm_phase_changes_total{phase="held"} 2"#,
            r#"wm_phase_changes_total{phase="running"} 2"#,
            "wm_queue_wait_seconds_count 1",
        ],
    );
}

#[cfg(feature = "cli")]
#[tokio::test(start_paused = true)]
async fn each_change_of_a_phase_is_one_event_though_the_stream_breaks() {
    let traced = Traced::default();
    let subscriber = tracing_subscriber::fmt().json().with_writer(traced.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // While there is one alone, a test on another thread can turn a line off for this one.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    // The last of the calls for a launch is the one that follows it.
    let orders = vec![Act::Succeed, Act::Succeed, Act::EndEarly];
    let backend = Scripted::new(true, false, orders);
    let launcher = launcher(&backend, 1, 9);
    let first = launcher.launch(workload("a")).await.unwrap();
    let second = launcher.launch(workload("b")).await.unwrap();
    sleep(Duration::from_mins(1)).await;
    backend.finish_all();
    first.wait().await.unwrap();
    sleep(Duration::from_mins(1)).await;
    backend.finish_all();
    second.wait().await.unwrap();
    let events = traced.lines();
    let breaks = |event: &&serde_json::Value| {
        event["fields"]["message"]
            .as_str()
            .is_some_and(|message| message.starts_with("Following the run broke"))
    };
    assert_eq!(events.iter().filter(breaks).count(), 1);
    let told: Vec<String> = events
        .into_iter()
        .filter(|event| event["fields"]["message"] == "Phase changed")
        .map(|event| {
            assert_eq!(event["level"], "INFO");
            let field = |name: &str| event["fields"][name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {} {}", field("workload"), field("attempt"), field("phase"), field("reason"))
        })
        .collect();
    let of = |name: &str| told.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(of("a"), ["a 1 running ", "a 1 succeeded Completed"]);
    assert_eq!(of("b"), ["b 1 held ", "b 1 running ", "b 1 succeeded Completed"]);
}

/// What is traced, in memory.
#[cfg(feature = "cli")]
#[derive(Clone, Default)]
struct Traced(Arc<Mutex<Vec<u8>>>);

#[cfg(feature = "cli")]
impl Traced {
    fn lines(&self) -> Vec<serde_json::Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[cfg(feature = "cli")]
impl std::io::Write for Traced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(feature = "cli")]
impl tracing_subscriber::fmt::MakeWriter<'_> for Traced {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
