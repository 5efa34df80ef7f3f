//! Pages, versions, selectors and forms of lists.

use http::{Method, header};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::client::{JOBS, Served, suspended};

async fn with_jobs(count: usize) -> Served {
    let served = Served::start().await;
    for index in 0..count {
        let mut job = suspended(&format!("page-{index:02}"));
        job["metadata"]["labels"] = json!({"batch": if index % 2 == 0 { "even" } else { "odd" }});
        served.post(JOBS, &job).await;
    }
    served
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap();
    items.iter().map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn all_pages_show_the_version_of_the_first() {
    let served = with_jobs(25).await;
    let first = served.get(&format!("{JOBS}?limit=10")).await.json();
    assert_eq!(first["metadata"]["remainingItemCount"], 15);
    assert_eq!(first["items"][0]["kind"], Value::Null, "an item of a list has no kind of its own");
    // What happens meanwhile is not in the later pages.
    served.post(JOBS, &suspended("page-99")).await;
    served.delete(&format!("{JOBS}/page-15?propagationPolicy=Background")).await;
    let mut all = names(&first);
    let mut page = first.clone();
    while let Some(token) = page["metadata"]["continue"].as_str() {
        page = served.get(&format!("{JOBS}?limit=10&continue={token}")).await.json();
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        all.extend(names(&page));
    }
    let expected: Vec<String> = (0..25).map(|index| format!("page-{index:02}")).collect();
    assert_eq!(all, expected);
}

#[tokio::test]
async fn a_token_that_is_too_old_says_how_to_go_on() {
    let served = with_jobs(4).await;
    let expired = served.get(&format!("{JOBS}?limit=1&continue=0:default:page-01")).await;
    // Version 0 is the empty store, which the history still reaches: nothing is after page-01 in it.
    assert_eq!(names(&expired.json()), [""; 0]);
    let resumed = served.get(&format!("{JOBS}?limit=1&continue=-1:default:page-01")).await.json();
    assert_eq!(names(&resumed), ["page-02"]);
    let garbage = served.get(&format!("{JOBS}?continue=garbage")).await;
    assert_eq!(garbage.status, 400);
    assert!(garbage.json()["message"].as_str().unwrap().starts_with("invalid continue token"));
}

#[tokio::test]
async fn selectors_restrict_and_leave_out_the_remaining_count() {
    let served = with_jobs(6).await;
    let page = served.get(&format!("{JOBS}?limit=2&labelSelector=batch%3Deven")).await.json();
    assert_eq!(names(&page), ["page-00", "page-02"]);
    assert!(page["metadata"]["continue"].is_string());
    assert_eq!(page["metadata"]["remainingItemCount"], Value::Null);
    let one = "labelSelector=batch%20in%20(odd)&fieldSelector=metadata.name%3Dpage-01";
    assert_eq!(names(&served.get(&format!("{JOBS}?{one}")).await.json()), ["page-01"]);
}

#[tokio::test]
async fn an_exact_version_shows_the_past() {
    let served = with_jobs(2).await;
    let then = served.get(JOBS).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    served.post(JOBS, &suspended("later")).await;
    let past = served.get(&format!("{JOBS}?resourceVersion={then}&resourceVersionMatch=Exact")).await.json();
    assert_eq!(names(&past), ["page-00", "page-01"]);
    let recent = served.get(&format!("{JOBS}?resourceVersion={then}")).await.json();
    assert_eq!(names(&recent), ["later", "page-00", "page-01"]);
}

#[tokio::test]
async fn a_list_comes_as_table_or_as_metadata_if_asked() {
    let served = with_jobs(1).await;
    let get = async |accept: &str| {
        let request = served.request(Method::GET, JOBS).header(header::ACCEPT, accept);
        served.send(request.body(Full::default()).unwrap()).await.json()
    };
    let table = get("application/json;as=Table;g=meta.k8s.io;v=v1").await;
    assert_eq!(table["kind"], "Table");
    assert_eq!(table["columnDefinitions"][1]["name"], "Status");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert_eq!(table["rows"][0]["cells"][0], "page-00");
    let metadata = get("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").await;
    assert_eq!(metadata["kind"], "PartialObjectMetadataList");
    assert_eq!(metadata["items"][0]["spec"], Value::Null);
}
