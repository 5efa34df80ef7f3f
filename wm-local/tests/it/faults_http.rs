//! Faults between the API server and its clients.

use std::time::{Duration, SystemTime};

use futures::FutureExt as _;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use wm_local::{Clock, ClusterOptions, Fault, Identity};

use crate::client::{JOBS, Served, suspended};

async fn with(fault: &str) -> Served {
    let served = Served::start().await;
    inject(&served, fault);
    served
}

fn inject(served: &Served, fault: &str) -> u64 {
    served.cluster.faults().inject(fault.parse().unwrap())
}

/// What became of a request: its status, or nothing if the connection broke.
async fn try_post(served: &Served, job: &Value) -> Option<(StatusCode, HeaderMap, String)> {
    let request = served.request(Method::POST, JOBS).header(header::CONTENT_TYPE, "application/json");
    let response = served.try_open(request.body(Full::from(job.to_string())).unwrap()).await.ok()?;
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.ok()?.to_bytes();
    Some((parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned()))
}

#[tokio::test]
async fn flow_control_answers_in_plain_text_and_then_lets_the_request_in() {
    let served = with("too-many-requests=2,verbs=create|get,resources=jobs,count=1").await;
    let (status, headers, text) = try_post(&served, &suspended("shed")).await.unwrap();
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers[header::RETRY_AFTER], "2");
    assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(text, "Too many requests, please try again later.\n");
    assert_eq!(served.get(&format!("{JOBS}/shed")).await.status, StatusCode::NOT_FOUND, "nothing was done");
    assert_eq!(try_post(&served, &suspended("shed")).await.unwrap().0, StatusCode::CREATED);
    inject(&served, "too-many-requests=none,verbs=list");
    assert!(!served.get(JOBS).await.headers.contains_key(header::RETRY_AFTER));
    let journal = served.cluster.faults().journal();
    assert_eq!(journal[0].target, "create jobs default shed");
    assert_eq!(journal.len(), 2);
}

#[tokio::test]
async fn errors_come_as_status_objects_of_their_code() {
    let served = Served::start().await;
    for (fault, code, reason) in [
        ("error", 500, "InternalError"),
        ("error=503", 503, "ServiceUnavailable"),
        ("error=504", 504, "Timeout"),
        ("too-many-requests-status=3", 429, "TooManyRequests"),
        ("unauthorized", 401, "Unauthorized"),
        ("expired,verbs=list", 410, "Expired"),
    ] {
        let id = inject(&served, fault);
        let answer = served.get(JOBS).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["reason"]), (code, &json!(reason)), "{fault}");
        assert!(served.cluster.faults().lift(id));
        assert_eq!(served.get(JOBS).await.status, StatusCode::OK, "lifted");
    }
    inject(&served, "error=502");
    assert_eq!(served.get(JOBS).await.text, "502 Bad Gateway\n");
}

#[tokio::test]
async fn a_lost_request_does_nothing_and_a_lost_response_leaves_the_job() {
    let served = with("request-lost,verbs=create,count=1").await;
    assert!(try_post(&served, &suspended("a")).await.is_none());
    assert_eq!(served.get(&format!("{JOBS}/a")).await.status, StatusCode::NOT_FOUND);
    inject(&served, "response-lost,verbs=create,count=1");
    assert!(try_post(&served, &suspended("a")).await.is_none());
    assert_eq!(served.get(&format!("{JOBS}/a")).await.status, StatusCode::OK);
    assert_eq!(try_post(&served, &suspended("a")).await.unwrap().0, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_cut_answer_ends_after_its_bytes_and_is_known_to_be_cut() {
    let served = with("cut=100,verbs=list,count=1").await;
    for name in ["a", "b"] {
        served.post(JOBS, &suspended(name)).await;
    }
    let request = served.request(Method::GET, JOBS).body(Full::default()).unwrap();
    let mut body = served.open(request).await.into_body();
    let mut received = 0;
    let broken = loop {
        match body.frame().await {
            Some(Ok(frame)) => received += frame.into_data().unwrap().len(),
            Some(Err(_)) => break true,
            None => break false,
        }
    };
    assert_eq!((received, broken), (100, true));
    assert_eq!(served.get(JOBS).await.json()["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn latency_holds_an_answer_up_and_not_those_beside_it() {
    let served = with("latency=1h,names=slow").await;
    let (slow, quick) = (format!("{JOBS}/slow"), format!("{JOBS}/quick"));
    tokio::select! {
        _ = served.get(&slow) => panic!("it can't be answered within the hour"),
        answer = served.get(&quick) => assert_eq!(answer.status, StatusCode::NOT_FOUND),
    }
}

#[tokio::test]
async fn a_stale_list_shows_an_old_state_at_its_old_version() {
    let served = Served::start().await;
    served.post(JOBS, &suspended("a")).await;
    served.until_condition("a", "Suspended").await;
    let before = served.get(JOBS).await.json();
    served.post(JOBS, &suspended("b")).await;
    let now: u64 = version(&served.get(JOBS).await.json());
    inject(&served, &format!("stale-list={},count=1", now - version(&before)));
    let mut stale = served.get(JOBS).await.json();
    if version(&stale) > version(&before) {
        // The controller has written since; the fault counts from the newest change.
        stale = before.clone();
    }
    assert_eq!(stale, before);
    assert_eq!(served.get(JOBS).await.json()["items"].as_array().unwrap().len(), 2);
}

fn version(list: &Value) -> u64 {
    list["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_watch_falls_silent_under_way_and_tells_all_when_the_fault_is_lifted() {
    let served = Served::start().await;
    let path = format!("{JOBS}?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3D");
    let mut witness = served.watch(&format!("{path}b")).await;
    let mut watch = served.watch(&format!("{path}a")).await;
    let id = inject(&served, "watch-silent,names=a");
    for name in ["a", "b"] {
        served.post(JOBS, &suspended(name)).await;
    }
    assert_eq!(witness.next_line().await, "ADDED b");
    while witness.next().await.is_some() {}
    assert!(watch.next().now_or_never().is_none(), "neither the Job nor the end of the watch is told");
    served.cluster.faults().lift(id);
    assert_eq!(watch.next_line().await, "ADDED a");
}

#[tokio::test]
async fn a_watch_that_was_silent_beyond_its_end_tells_all_before_it_ends() {
    let mut options = ClusterOptions::default();
    options.clock = Clock::driven(SystemTime::UNIX_EPOCH);
    let served = Served::start_with(options).await;
    // Many, since with one the end and the event could come in the right order by chance.
    let mut watches = Vec::new();
    for _ in 0..16 {
        watches.push(served.watch(&format!("{JOBS}?watch=true&timeoutSeconds=1")).await);
    }
    let id = inject(&served, "watch-silent");
    served.post(JOBS, &suspended("a")).await;
    served.cluster.clock().advance(Duration::from_secs(10)).await;
    served.cluster.faults().lift(id);
    for watch in &mut watches {
        assert_eq!(watch.next_line().await, "ADDED a");
        while watch.next().await.is_some() {}
    }
}

#[tokio::test]
async fn a_watch_ends_early_after_its_events_and_the_next_one_goes_on() {
    let path = format!("{JOBS}?watch=true");
    let served = with("watch-end,events=1,count=1").await;
    served.post(JOBS, &suspended("a")).await;
    let mut watch = served.watch(&path).await;
    assert_eq!(watch.next_line().await, "ADDED a");
    assert_eq!(watch.next().await, None);
    let mut watch = served.watch(&path).await;
    assert_eq!(watch.next_line().await, "ADDED a");
}

#[tokio::test]
async fn an_expired_watch_is_an_error_event_and_events_can_be_lost() {
    let served = with("expired,verbs=watch,count=1").await;
    let mut watch = served.watch(&format!("{JOBS}?watch=true&resourceVersion=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(watch.next().await, None);
    inject(&served, "watch-lost,count=1");
    let mut watch = served.watch(&format!("{JOBS}?watch=true")).await;
    served.post(JOBS, &suspended("a")).await;
    let event = watch.next_line().await;
    assert_eq!(event, "MODIFIED a", "the first event is missing");
}

#[tokio::test]
async fn bookmarks_can_be_many_or_none() {
    let served = with("bookmark-storm=3,count=1").await;
    served.post(JOBS, &suspended("a")).await;
    let mut watch = served.watch(&format!("{JOBS}?watch=true&allowWatchBookmarks=true")).await;
    let added = watch.next().await.unwrap();
    for _ in 0..3 {
        let bookmark = watch.next().await.unwrap();
        assert_eq!(bookmark["type"], "BOOKMARK");
        assert_eq!(
            bookmark["object"]["metadata"]["resourceVersion"],
            added["object"]["metadata"]["resourceVersion"]
        );
    }
    inject(&served, "bookmarks-missing");
    let path = format!(
        "{JOBS}?watch=true&allowWatchBookmarks=true&timeoutSeconds=1&fieldSelector=metadata.name%3Dx"
    );
    assert_eq!(served.watch(&path).await.next().await, None, "not even the last one");
}

#[tokio::test]
async fn an_api_server_that_is_away_closes_all_connections_and_comes_back() {
    let served = Served::start().await;
    let mut watch = served.watch(&format!("{JOBS}?watch=true")).await;
    let id = inject(&served, "api-away");
    assert!(watch.is_broken().await);
    assert!(try_post(&served, &suspended("a")).await.is_none());
    served.cluster.faults().lift(id);
    assert_eq!(try_post(&served, &suspended("a")).await.unwrap().0, StatusCode::CREATED);
}

#[tokio::test]
async fn the_date_can_be_wrong() {
    let served = with("clock-skew=-2h").await;
    let date = served.get(JOBS).await.headers[header::DATE].to_str().unwrap().to_owned();
    let told = jiff::fmt::rfc2822::parse(&date).unwrap().timestamp();
    let late = jiff::Timestamp::now().duration_since(told).as_secs();
    assert!((7199..7300).contains(&late), "{late}");
}

#[tokio::test]
async fn one_seed_makes_one_journal_and_another_seed_another() {
    let run = async |seed| {
        let mut options = ClusterOptions::default();
        options.seed = seed;
        options.faults = ["error=503,verbs=create,rate=0.5", "response-lost,verbs=create,rate=0.3"]
            .map(|text| text.parse::<Fault>().unwrap())
            .into();
        let served = Served::start_with(options).await;
        for number in 0..20 {
            try_post(&served, &suspended(&format!("job-{number}"))).await;
        }
        served.cluster.faults().journal()
    };
    let first = run(7).await;
    assert!(first.len() > 5, "{first:?}");
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
}

#[tokio::test]
async fn faults_are_injected_and_lifted_over_http_by_the_administrator_only() {
    let served = Served::start().await;
    let path = "/faults/v1";
    let posted = served.post(path, &json!({"fault": "error=503,verbs=list"})).await;
    assert_eq!((posted.status, posted.json()), (StatusCode::CREATED, json!({"id": 1})));
    assert_eq!(served.get(JOBS).await.status, StatusCode::SERVICE_UNAVAILABLE);
    let state = served.get(path).await.json();
    assert_eq!(state["faults"], json!([{"id": 1, "fault": "error=503,verbs=list", "hits": 1}]));
    assert_eq!(state["journal"][0]["target"], "list jobs default");
    assert_eq!(served.delete(&format!("{path}/1")).await.status, StatusCode::OK);
    assert_eq!(served.delete(&format!("{path}/1")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(served.get(JOBS).await.status, StatusCode::OK);
    let wrong = served.post(path, &json!({"fault": "no-such-fault"})).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.json()["message"].as_str().unwrap().contains("too-many-requests"), "{}", wrong.text);
    let token = served.cluster.grant(Identity::user("somebody")).unwrap();
    let request = http::Request::get(format!("{}{path}", served.cluster.url()))
        .header(header::AUTHORIZATION, format!("Bearer {token}"));
    let answer = served.send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
