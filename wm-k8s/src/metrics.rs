//! What is counted of the traffic with a cluster: one table, and a function for each thing that happens.

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use http::{Method, Request};
use metrics::{counter, gauge, histogram};
use wm_core::{Metric, MetricKind, MetricUnit, Report, Severity};

use crate::error::CallError;

/// The metrics that this crate emits.
pub const METRICS: &[Metric] = &[
    Metric::new(
        "wm_k8s_requests_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["verb", "resource", "status"],
        "Requests to the API, each try for itself but without watches, by what was asked (the words of a Role) and the answer: `2xx`, `403`, `404`, `409`, `410`, `422`, `429`, `3xx`, `4xx`, `5xx`, `timeout`, or `unreachable`.",
    ),
    Metric::new(
        "wm_k8s_request_seconds",
        MetricKind::Histogram,
        MetricUnit::Seconds,
        &["verb", "resource"],
        "How long such a request took, until its answer was read.",
    ),
    Metric::new(
        "wm_k8s_retries_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["status"],
        "Requests that are sent again, by the answer before.",
    ),
    Metric::new(
        "wm_k8s_throttled_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &[],
        "Answers that asked to slow down (429).",
    ),
    Metric::new(
        "wm_k8s_lists_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["resource"],
        "Lists of all runs' `jobs` or `pods`: one when the watch begins, then only where it could not be taken up, or where the role has no watch.",
    ),
    Metric::new(
        "wm_k8s_watch_breaks_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["resource", "cause"],
        "Watches that were taken up again: because the version was too old (`expired`, 410), it was `refused`, or it `broke`.",
    ),
    Metric::new(
        "wm_k8s_watch_events_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["resource"],
        "Changes of `jobs` and `pods` that the watches told.",
    ),
    Metric::new(
        "wm_k8s_adopted_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &[],
        "Submissions that found their Job there already: from another server, a try before, or before a restart.",
    ),
    Metric::new(
        "wm_k8s_conflicts_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &[],
        "Submissions refused since the Job there is of another command, image or environment.",
    ),
    Metric::new(
        "wm_k8s_dropped_fields_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &[],
        "Fields of Jobs that the server did not keep.",
    ),
    Metric::new(
        "wm_k8s_messages_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["place"],
        "Lines of messages for logs, by what keeps them: the `job`, or this process's `memory` until there is one.",
    ),
    Metric::new(
        "wm_k8s_log_streams_total",
        MetricKind::Counter,
        MetricUnit::Count,
        &["outcome"],
        "Log streams `opened`, `refused`, and those of the opened that were `cut` and are read on.",
    ),
    Metric::new(
        "wm_k8s_log_streams_open",
        MetricKind::Gauge,
        MetricUnit::Count,
        &[],
        "Log streams that are open.",
    ),
    Metric::new(
        "wm_k8s_log_bytes_total",
        MetricKind::Counter,
        MetricUnit::Bytes,
        &[],
        "What came through log streams, what came again after a cut too.",
    ),
    Metric::new("wm_k8s_log_lines_total", MetricKind::Counter, MetricUnit::Count, &[], "The lines of it."),
    Metric::new(
        "wm_k8s_preflight_findings",
        MetricKind::Gauge,
        MetricUnit::Count,
        &["severity"],
        "What the last preflight found, by `ok`, `note`, `warning`, `failure`.",
    ),
];

/// What a request asks for, in the words of a Role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    verb: &'static str,
    resource: &'static str,
}

/// What is told apart; there is no label for names.
const RESOURCES: [&str; 13] = [
    "jobs",
    "pods",
    "secrets",
    "events",
    "namespaces",
    "serviceaccounts",
    "resourcequotas",
    "limitranges",
    "configmaps",
    "selfsubjectaccessreviews",
    "selfsubjectreviews",
    "version",
    "other",
];

impl Asked {
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut path: Vec<_> = request.uri().path().split('/').filter(|part| !part.is_empty()).collect();
        // `api/v1` or `apis/GROUP/v1`, then perhaps `namespaces/NAME`, then what it is about.
        let prefix = match path.first() {
            Some(&"api") => 2,
            Some(&"apis") => 3,
            _ => 0,
        };
        path.drain(..prefix.min(path.len()));
        if path.first() == Some(&"namespaces") && path.len() > 2 {
            path.drain(..2);
        }
        let is_log = path.get(2) == Some(&"log");
        let resource = RESOURCES.iter().find(|known| path.first() == Some(known)).copied().unwrap_or("other");
        let verb = match (request.method(), path.len() > 1 || resource == "version") {
            (&Method::GET, true) => "get",
            (&Method::GET, false) => "list",
            (&Method::POST, _) => "create",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, true) => "delete",
            (&Method::DELETE, false) => "deletecollection",
            _ => "other",
        };
        Self { verb, resource: if is_log { "pods/log" } else { resource } }
    }
}

pub(crate) fn requested(asked: Asked, error: Option<&CallError>, took: Duration) {
    let Asked { verb, resource } = asked;
    let status = error.map_or("2xx", status);
    counter!("wm_k8s_requests_total", "verb" => verb, "resource" => resource, "status" => status)
        .increment(1);
    histogram!("wm_k8s_request_seconds", "verb" => verb, "resource" => resource).record(took);
    if status == "429" {
        counter!("wm_k8s_throttled_total").increment(1);
    }
}

pub(crate) fn retried(error: &CallError) {
    counter!("wm_k8s_retries_total", "status" => status(error)).increment(1);
}

fn status(error: &CallError) -> &'static str {
    match error {
        CallError::Refused(refusal) => match refusal.code {
            403 => "403",
            404 => "404",
            409 => "409",
            410 => "410",
            422 => "422",
            429 => "429",
            400..=499 => "4xx",
            500..=599 => "5xx",
            _ => "3xx",
        },
        CallError::TimedOut(_) => "timeout",
        CallError::Unreachable(_) => "unreachable",
        CallError::Unreadable(_) => "2xx",
    }
}

pub(crate) fn listed(resource: &'static str) {
    counter!("wm_k8s_lists_total", "resource" => resource).increment(1);
}

pub(crate) fn watched(resource: &'static str) {
    counter!("wm_k8s_watch_events_total", "resource" => resource).increment(1);
}

/// A watch ended before its time, by this answer or by none.
pub(crate) fn watch_broke(resource: &'static str, code: Option<u16>) {
    let cause = match code {
        Some(410) => "expired",
        Some(401 | 403) => "refused",
        _ => "broke",
    };
    counter!("wm_k8s_watch_breaks_total", "resource" => resource, "cause" => cause).increment(1);
}

pub(crate) fn adopted() {
    counter!("wm_k8s_adopted_total").increment(1);
}

pub(crate) fn conflicted() {
    counter!("wm_k8s_conflicts_total").increment(1);
}

pub(crate) fn dropped(fields: usize) {
    counter!("wm_k8s_dropped_fields_total").increment(count(fields));
}

pub(crate) fn messages(place: &'static str, lines: usize) {
    counter!("wm_k8s_messages_total", "place" => place).increment(count(lines));
}

pub(crate) fn log_refused() {
    counter!("wm_k8s_log_streams_total", "outcome" => "refused").increment(1);
}

/// Counts what comes through a log stream.
pub(crate) fn log<T, E>(stream: T) -> impl Stream<Item = Result<bytes::Bytes, E>> + Send + use<T, E>
where
    T: Stream<Item = Result<bytes::Bytes, E>> + Send,
{
    counter!("wm_k8s_log_streams_total", "outcome" => "opened").increment(1);
    let open = Open::new();
    stream.inspect(move |chunk| {
        let _while_it_is_read = &open;
        match chunk {
            Ok(chunk) => {
                counter!("wm_k8s_log_bytes_total").increment(count(chunk.len()));
                counter!("wm_k8s_log_lines_total")
                    .increment(count(memchr::memchr_iter(b'\n', chunk).count()));
            }
            Err(_) => counter!("wm_k8s_log_streams_total", "outcome" => "cut").increment(1),
        }
    })
}

/// A stream that is open.
struct Open;

impl Open {
    fn new() -> Self {
        gauge!("wm_k8s_log_streams_open").increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!("wm_k8s_log_streams_open").decrement(1);
    }
}

pub(crate) fn preflight(report: &Report) {
    for (severity, label) in [
        (Severity::Ok, "ok"),
        (Severity::Note, "note"),
        (Severity::Warning, "warning"),
        (Severity::Failure, "failure"),
    ] {
        let number = report.findings.iter().filter(|finding| finding.severity == severity).count();
        gauge!("wm_k8s_preflight_findings", "severity" => label)
            .set(u32::try_from(number).unwrap_or(u32::MAX));
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_told_in_the_words_of_a_role() {
        let jobs = "/apis/batch/v1/namespaces/runs/jobs";
        for (method, path, verb, resource) in [
            ("POST", jobs.to_owned(), "create", "jobs"),
            ("GET", jobs.to_owned(), "list", "jobs"),
            ("GET", format!("{jobs}/runner-a-1"), "get", "jobs"),
            ("PATCH", format!("{jobs}/runner-a-1"), "patch", "jobs"),
            ("DELETE", format!("{jobs}/runner-a-1"), "delete", "jobs"),
            ("DELETE", format!("{jobs}?labelSelector=a"), "deletecollection", "jobs"),
            ("GET", "/api/v1/namespaces/runs/pods/p/log?follow=true".to_owned(), "get", "pods/log"),
            ("GET", "/api/v1/namespaces/runs".to_owned(), "get", "namespaces"),
            ("GET", "/version".to_owned(), "get", "version"),
            (
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_owned(),
                "create",
                "selfsubjectaccessreviews",
            ),
            ("GET", "/api/v1/namespaces/runs/widgets/secret-name".to_owned(), "get", "other"),
        ] {
            let request = Request::builder().method(method).uri(&path).body(()).unwrap();
            assert_eq!(Asked::of(&request), Asked { verb, resource }, "{method} {path}");
        }
    }
}
