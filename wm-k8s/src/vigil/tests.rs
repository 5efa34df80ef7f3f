use serde_json::{Value, json};
use wm_core::Reason;

use super::*;
use crate::{board::Snapshot, fixture};

const LIMITS: Limits = Limits {
    schedule: Some(Duration::from_mins(15)),
    start: Some(Duration::from_mins(10)),
    image: Duration::from_mins(2),
};

/// The Job was accepted at 22:00:00; times are seconds from then on.
fn at(second: i64) -> Timestamp {
    "2026-11-23T22:00:00Z".parse::<Timestamp>().unwrap() + Duration::from_secs(second.unsigned_abs())
}

fn accepted() -> Value {
    json!({ "status": { "startTime": at(0).to_string() } })
}

fn created(second: i64) -> Value {
    json!({ "creationTimestamp": at(second).to_string() })
}

fn unscheduled(reason: &str, message: &str) -> Value {
    json!({ "metadata": created(0), "status": { "phase": "Pending", "conditions": [
        { "type": "PodScheduled", "status": "False", "reason": reason, "message": message },
    ]}})
}

fn unschedulable() -> Value {
    unscheduled("Unschedulable", "0/1 nodes are available: 1 Insufficient cpu.")
}

/// A pod that has had a node since a second, and waits for this.
fn starting(second: i64, reason: &str, message: &str) -> Value {
    json!({ "metadata": created(0), "spec": { "nodeName": "node-1" }, "status": { "phase": "Pending",
        "conditions": [{ "type": "PodScheduled", "status": "True", "lastTransitionTime": at(second).to_string() }],
        "containerStatuses": [{ "name": "main", "state": { "waiting": { "reason": reason, "message": message } } }],
    }})
}

fn with(pod: &Value) -> Snapshot {
    fixture::run(&json!({ "job": accepted(), "pods": [pod] }))
}

/// The steps up to and at a time, but for questions, with when they are taken.
fn steps(vigil: &mut Vigil, run: &Snapshot, from: i64, to: i64) -> Vec<(i64, Step)> {
    let mut taken = Vec::new();
    let mut now = from;
    while now <= to {
        match vigil.step(run.view(), &LIMITS, at(now)) {
            Step::Wait(None) => break,
            Step::Wait(Some(next)) => {
                assert!(next > at(now), "a time that has come is no reason to wait");
                now = next.duration_since(at(0)).as_secs();
            }
            Step::AskRefusals | Step::AskAbout(_) => {}
            step => taken.push((now, step)),
        }
    }
    taken
}

fn end(steps: &[(i64, Step)]) -> Option<(i64, Reason, String)> {
    let ends: Vec<_> = steps
        .iter()
        .filter_map(|(time, step)| match step {
            Step::End(finding) => Some((*time, finding.reason, finding.words.clone())),
            _ => None,
        })
        .collect();
    assert!(ends.len() <= 1, "a run ends once: {ends:?}");
    ends.into_iter().next()
}

fn said(steps: &[(i64, Step)]) -> Vec<(i64, String)> {
    let say = |(time, step): &(i64, Step)| match step {
        Step::Say(waits, _) => Some((*time, waits.words.clone())),
        _ => None,
    };
    steps.iter().filter_map(say).collect()
}

#[test]
fn each_clock_ends_a_run_alone_and_says_what_it_waited_for() {
    let no_pod = fixture::run(&json!({ "job": accepted() }));
    for (run, expected) in [
        (
            no_pod,
            (
                900,
                Reason::ScheduleTimeout,
                "the run had no machine after 900 seconds: it waited for the cluster to make its pod",
            ),
        ),
        (
            with(&unschedulable()),
            (
                900,
                Reason::Unschedulable,
                "the run had no machine after 900 seconds: no node takes the pod: not enough free cpu",
            ),
        ),
        (
            with(&json!({ "metadata": created(5), "status": { "phase": "Pending" } })),
            (
                905,
                Reason::ScheduleTimeout,
                "the run had no machine after 900 seconds: it waited for the scheduler to find a node for its pod",
            ),
        ),
        (
            with(&starting(100, "ContainerCreating", "")),
            (
                700,
                Reason::StartTimeout,
                "the program had not begun after 600 seconds: it waited for its image to be pulled and its container to be made",
            ),
        ),
        (
            with(&starting(100, "CreateContainerConfigError", "secret \"absent\" not found")),
            (
                700,
                Reason::Configuration,
                "the program had not begun after 600 seconds: the Secret absent does not exist",
            ),
        ),
    ] {
        let (time, reason, words) = end(&steps(&mut Vigil::default(), &run, 1, 5000)).unwrap();
        assert_eq!((time, reason, words.as_str()), expected);
        // A server that starts in between goes on where the other was.
        assert_eq!(end(&steps(&mut Vigil::default(), &run, 650, 5000)).unwrap().0, expected.0);
        assert_eq!(end(&steps(&mut Vigil::default(), &run, 4000, 5000)).unwrap().0, 4000);
    }
}

#[test]
fn a_limit_of_nothing_is_no_limit() {
    let limits = Limits { schedule: None, start: None, ..LIMITS };
    for pod in [unschedulable(), starting(0, "ContainerCreating", "")] {
        let said = Some("no node takes the pod: not enough free cpu".to_owned());
        let mut vigil = Vigil { said, ..Vigil::default() };
        let run = with(&pod);
        while let step @ (Step::AskAbout(_) | Step::AskRefusals) =
            vigil.step(run.view(), &limits, at(1_000_000))
        {
            assert_ne!(step, Step::Wait(None));
        }
        assert_eq!(vigil.step(run.view(), &limits, at(2_000_000)), Step::Wait(None));
    }
}

#[test]
fn time_in_which_a_run_is_held_back_does_not_count() {
    let suspended = json!({ "spec": { "suspend": true }, "status": {} });
    let run = fixture::run(&json!({ "job": suspended }));
    assert_eq!(steps(&mut Vigil::default(), &run, 1, 100_000), []);
    let mut vigil = Vigil::default();
    let gated =
        with(&unscheduled("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"));
    let waiting = steps(&mut vigil, &gated, 1, 100_000);
    assert_eq!(said(&waiting), [(2, "the pod is held back by scheduling gates".to_owned())]);
    assert_eq!(end(&waiting), None);
    // The gates open: the condition still says since when the pod has no node, which is not what counts.
    let opened = steps(&mut vigil, &with(&unschedulable()), 7200, 100_000);
    assert_eq!(end(&opened).unwrap().0, 7200 + 900);
    // Another server reads when they opened from what was said.
    let (_, Step::Say(waits, _)) = &opened[0] else { panic!("{opened:?}") };
    let mut run = with(&unschedulable());
    run.job.waits = Some(Box::new(waits.clone()));
    assert_eq!(end(&steps(&mut Vigil::default(), &run, 8000, 100_000)).unwrap().0, 7200 + 900);
}

#[test]
fn a_run_that_begins_or_is_stopped_has_no_clock() {
    let running = json!({ "spec": { "nodeName": "node-1" }, "status": { "phase": "Running",
        "containerStatuses": [{ "name": "main", "state": { "running": { "startedAt": at(5).to_string() } } }] }});
    assert_eq!(steps(&mut Vigil::default(), &with(&running), 1, 100_000), []);
    let mut deleting = with(&unschedulable());
    deleting.job.deleting = true;
    assert_eq!(steps(&mut Vigil::default(), &deleting, 1, 100_000), []);
}

#[test]
fn a_scale_up_that_is_under_way_extends_the_first_clock_once() {
    let scale_up = |second: i64| {
        json!({ "involvedObject": { "uid": "pod-0" }, "type": "Normal", "reason": "TriggeredScaleUp",
        "message": "pod triggered scale-up: [{pool 1->2 (max: 5)}]", "firstTimestamp": at(second).to_string() })
    };
    let run = |events: Vec<Value>| {
        fixture::run(&json!({ "job": accepted(), "pods": [unschedulable()], "events": events }))
    };
    let mut vigil = Vigil::default();
    // It is asked for when the time is over, and once.
    let mut asked = 0;
    let mut now = 1;
    let known = run(Vec::new());
    let found = run(vec![scale_up(40), scale_up(700)]);
    let ended = loop {
        match vigil.step(if asked == 0 { known.view() } else { found.view() }, &LIMITS, at(now)) {
            Step::Wait(Some(next)) => now = next.duration_since(at(0)).as_secs(),
            Step::AskAbout(pod) => {
                assert_eq!((&*pod, now), ("w-0", 900));
                asked += 1;
            }
            Step::End(_) => break now,
            _ => {}
        }
    };
    assert_eq!((asked, ended), (1, 940), "later reports of it extend nothing");
}

#[test]
fn an_image_that_can_not_be_had_ends_a_run_at_once_and_passing_trouble_after_its_grace() {
    let absent = with(&starting(1, "ErrImagePull", "registry.example:5000/app:1: not found"));
    let (time, reason, words) = end(&steps(&mut Vigil::default(), &absent, 3, 5000)).unwrap();
    assert_eq!((time, reason), (3, Reason::ImagePull));
    assert_eq!(words, "the image registry.example:5000/app:1 does not exist in its registry");
    let mut vigil = Vigil::default();
    let trouble = |text: &str| with(&starting(1, "ErrImagePull", text));
    assert_eq!(end(&steps(&mut vigil, &trouble("429 Too Many Requests"), 10, 60)), None);
    // Other trouble is no new grace.
    let (time, reason, words) = end(&steps(&mut vigil, &trouble("connection refused"), 60, 5000)).unwrap();
    assert_eq!((time, reason), (130, Reason::ImagePull));
    assert!(words.starts_with("the pull of the image failed for 120 seconds: "), "{words}");
    // What another server said before counts for this one.
    let mut run = trouble("connection refused");
    let words =
        "the image registry.example:5000/app:1 can't be pulled for now: connection refused".to_owned();
    run.job.waits = Some(Box::new(Waits { since: at(10), words, opened: None }));
    assert_eq!(end(&steps(&mut Vigil::default(), &run, 100, 5000)).unwrap().0, 130);
}

#[test]
fn words_are_said_once_and_others_are_said_again() {
    let mut vigil = Vigil::default();
    let cpu = "no node takes the pod: not enough free cpu".to_owned();
    let memory = "no node takes the pod: not enough free memory".to_owned();
    assert_eq!(said(&steps(&mut vigil, &with(&unschedulable()), 1, 100)), [(2, cpu.clone())]);
    assert_eq!(said(&steps(&mut vigil, &with(&unschedulable()), 101, 200)), []);
    let many = unscheduled("Unschedulable", "0/9 nodes are available: 9 Insufficient cpu. preemption: x");
    assert_eq!(said(&steps(&mut vigil, &with(&many), 201, 300)), [], "only the count is another");
    let other = unscheduled("Unschedulable", "0/1 nodes are available: 1 Insufficient memory.");
    assert_eq!(said(&steps(&mut vigil, &with(&other), 301, 400)), [(302, memory)]);
    assert_eq!(said(&steps(&mut vigil, &with(&unschedulable()), 401, 500)), [(402, cpu.clone())]);
    // A server that starts later reads that it has been said.
    let mut run = with(&unschedulable());
    run.job.waits = Some(Box::new(Waits { since: at(1), words: cpu, opened: None }));
    assert_eq!(said(&steps(&mut Vigil::default(), &run, 501, 600)), []);
}

#[test]
fn a_secret_that_we_are_about_to_make_is_not_missed_at_once() {
    let own = with(&starting(1, "CreateContainerConfigError", "secret \"runner-w-1\" not found"));
    assert_eq!(said(&steps(&mut Vigil::default(), &own, 1, 15)), []);
    assert_eq!(said(&steps(&mut Vigil::default(), &own, 1, 60))[0].0, 21);
    let other = with(&starting(1, "CreateContainerConfigError", "secret \"absent\" not found"));
    assert_eq!(said(&steps(&mut Vigil::default(), &other, 1, 15))[0].0, 2);
}

#[test]
fn why_there_is_no_pod_is_asked_less_and_less_often() {
    let run = fixture::run(&json!({ "job": accepted() }));
    let mut vigil = Vigil::default();
    let mut asked = Vec::new();
    let mut now = 0;
    while now < 200 {
        match vigil.step(run.view(), &LIMITS, at(now)) {
            Step::Wait(Some(next)) => now = next.duration_since(at(0)).as_secs(),
            step => {
                assert_eq!(step, Step::AskRefusals);
                asked.push(now);
            }
        }
    }
    assert_eq!(asked, [3, 9, 21, 45, 93, 153]);
}

#[test]
fn a_pod_far_beyond_its_grace_is_removed_once() {
    let mut pod = json!({ "metadata": { "deletionTimestamp": at(30).to_string() }, "spec": { "nodeName": "node-1" },
        "status": { "phase": "Running", "containerStatuses": [{ "name": "main", "state": { "running": {} } }] }});
    let mut cancelled = with(&pod);
    cancelled.job.deleting = true;
    for run in [with(&pod), cancelled] {
        let taken = steps(&mut Vigil::default(), &run, 1, 5000);
        let [(90, Step::Remove(removed))] = &taken[..] else { panic!("{taken:?}") };
        assert_eq!(removed.uid, "pod-0");
        let mut vigil = Vigil::default();
        let step = vigil.step(run.view(), &LIMITS, at(90));
        vigil.failed(&step, at(90));
        assert_eq!(vigil.step(run.view(), &LIMITS, at(91)), Step::Wait(Some(at(100))));
        assert_eq!(vigil.step(run.view(), &LIMITS, at(100)), step, "what failed is tried again");
    }
    pod["status"] = json!({ "phase": "Failed" });
    assert_eq!(steps(&mut Vigil::default(), &with(&pod), 1, 5000), [], "its node has told its end");
}
