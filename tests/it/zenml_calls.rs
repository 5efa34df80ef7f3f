//! Every call that a real ZenML server was recorded to make, replayed through the library on the embedded cluster.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::try_join_all;
use serde_json::Value;
use workload_manager::{
    ImageCall, Outcome, Reason, RunHandle, RunnerCall, ServerInterface, Setup, WorkloadId, WorkloadKind,
};

/// Stands in for the entrypoint: prints its arguments.
const PRINT: [&str; 4] = ["sh", "-c", "printf '%s\\n' \"$@\"", "entrypoint"];

const IMAGE: &str = "registry.example.com/zenml/runner:1";

async fn server() -> ServerInterface {
    let variables = [
        ("ZENML_SERVER_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", "local"),
        ("ZENML_KUBERNETES_WORKLOAD_MANAGER_RUNNER_IMAGE", IMAGE),
        ("ZENML_SERVER_MAX_CONCURRENT_SNAPSHOT_RUNS", "2"),
    ];
    let configuration = Setup::new().environment(variables).load().unwrap();
    ServerInterface::new(configuration.launcher().await.unwrap())
}

/// The recorded calls, by scenario and in it by the thread that made them, in order.
fn recorded() -> BTreeMap<String, Vec<Value>> {
    let mut scenarios: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in include_str!("../data/zenml-calls.jsonl").lines() {
        let call: Value = serde_json::from_str(line).unwrap();
        scenarios.entry(call["scenario"].as_str().unwrap().to_owned()).or_default().push(call);
    }
    scenarios
}

fn id(call: &Value) -> WorkloadId {
    call["keyword"]["workload_id"].as_str().unwrap().parse().unwrap()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn runner(call: &Value, image: &str, program: &[&str]) -> RunnerCall {
    let keyword = &call["keyword"];
    let environment = keyword["environment"].as_object().unwrap();
    RunnerCall {
        image: image.to_owned(),
        command: program.iter().map(|word| (*word).to_owned()).collect(),
        arguments: words(&keyword["arguments"]),
        environment: environment.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect(),
        timeout_in_seconds: keyword["timeout_in_seconds"].as_u64().unwrap(),
    }
}

/// Makes the calls of one server thread one after the other, as the thread did.
async fn replay(server: &ServerInterface, calls: Vec<&Value>) -> Result<(), workload_manager::Error> {
    let mut image = String::new();
    for call in calls {
        let keyword = &call["keyword"];
        match call["method"].as_str().unwrap() {
            "build_and_push_image" => {
                let text = |name: &str| keyword[name].as_str().unwrap().to_owned();
                let kind: WorkloadKind = text("workload_type").parse().unwrap();
                let (dockerfile, image_name) = (text("dockerfile"), text("image_name"));
                let asked = ImageCall { kind, dockerfile, image_name };
                image = server.build_and_push_image(&id(call), asked).await?;
                assert_eq!(image, IMAGE);
            }
            "log" => server.log(&id(call), keyword["message"].as_str().unwrap()).await,
            "run" => {
                let verdict = server.run_to_end(&id(call), runner(call, &image, &PRINT)).await?;
                assert_eq!(verdict.outcome, Outcome::Succeeded, "{verdict}");
            }
            _ => {}
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_recorded_sequence_runs_and_its_log_is_found_under_the_id_that_the_server_asked_for() {
    let mut asked = 0;
    for (scenario, calls) in recorded() {
        let server = server().await;
        let threads: BTreeSet<_> =
            calls.iter().map(|call| (call["pid"].as_u64(), call["thread"].as_str())).collect();
        let executors = threads.into_iter().filter(|(_, thread)| thread.unwrap().contains("executor"));
        let replays = executors.map(|(pid, thread)| {
            let own =
                calls.iter().filter(|call| call["pid"].as_u64() == pid && call["thread"].as_str() == thread);
            replay(&server, own.collect())
        });
        try_join_all(replays).await.unwrap_or_else(|error| panic!("{scenario}: {error}"));

        for call in calls.iter().filter(|call| call["method"] == "get_logs") {
            let log = server.get_logs(&id(call)).await.unwrap();
            // Which runs does the server mean? Those that were given this id, as their own or in their arguments.
            let mut meant = 0;
            for run in calls.iter().filter(|run| run["method"] == "run") {
                let arguments = words(&run["keyword"]["arguments"]);
                if id(run) == id(call) || arguments.contains(&id(call).to_string()) {
                    let printed = arguments.join("\n");
                    assert!(log.contains(&printed), "{scenario}: {printed}\nis not in\n{log}");
                    meant += 1;
                }
            }
            assert!(meant == 0 || log.contains("Starting pipeline run."), "{scenario}: {log}");
            assert!(!log.contains("<token>"), "{scenario}: the token is in the log");
            asked += usize::from(meant > 0);
        }
    }
    assert!(asked >= 15, "the recordings ask for {asked} logs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_is_another_attempt_of_the_same_workload_each_time() {
    let calls = recorded().remove("s21_resume_twice_and_failing").unwrap();
    let server = server().await;
    replay(&server, calls.iter().collect()).await.unwrap();
    let runs: Vec<_> = calls.iter().filter(|call| call["method"] == "run").collect();
    let resumed = id(runs[1]);
    let log = server.get_logs(&resumed).await.unwrap();
    // One first run that has the id as an alias, and the recorded resumes under the id itself.
    let printed = log.lines().filter(|line| *line == "--run_id").count();
    assert_eq!(printed, runs.len());
    // The messages and the output are in the order in which they came.
    let first_message = log.find("Starting pipeline run.").unwrap();
    assert!(first_message < log.find("--run_id").unwrap(), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_timeout_ends_a_runner_that_hangs_and_keeps_its_log() {
    let calls = recorded().remove("variant:timeout_not_enforced").unwrap();
    let call = calls.iter().find(|call| call["method"] == "run").unwrap();
    let server = server().await;
    let hang = ["sh", "-c", "trap 'exit 143' TERM; echo \"$2\"; while :; do sleep 0.05; done", "entrypoint"];
    let verdict = server.run_to_end(&id(call), runner(call, IMAGE, &hang)).await.unwrap();
    assert_eq!((verdict.outcome, verdict.reason), (Outcome::Failed, Reason::DeadlineExceeded), "{verdict}");
    assert!(verdict.message.contains("2 seconds"), "{verdict}");
    let log = server.get_logs(&id(call)).await.unwrap();
    assert!(log.contains("RunnerEntrypointConfiguration"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_timeout_is_no_limit() {
    let calls = recorded().remove("variant:timeout_zero").unwrap();
    let call = calls.iter().find(|call| call["method"] == "run").unwrap();
    assert_eq!(call["keyword"]["timeout_in_seconds"], 0);
    let server = server().await;
    let verdict = server.run_to_end(&id(call), runner(call, IMAGE, &PRINT)).await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Succeeded, "{verdict}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_at_once_run_two_at_a_time() {
    let server = server().await;
    let calls = recorded().remove("s04_four_at_once").unwrap();
    let call = calls.iter().find(|call| call["method"] == "run").unwrap();
    let ids: Vec<WorkloadId> =
        (0..4).map(|n| format!("{}{n}", &id(call).as_str()[..35]).parse().unwrap()).collect();
    let handles =
        try_join_all(ids.iter().map(|id| server.run(id, runner(call, IMAGE, &PRINT)))).await.unwrap();
    let verdicts = try_join_all(handles.iter().map(RunHandle::wait)).await.unwrap();
    assert!(verdicts.iter().all(|verdict| verdict.outcome == Outcome::Succeeded));
    for id in &ids {
        assert!(server.get_logs(id).await.unwrap().contains("--snapshot_id"));
    }
}
