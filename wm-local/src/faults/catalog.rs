//! The faults in words, from which FAULTS.md is made.

/// What there is to know about one fault.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CatalogEntry {
    /// The word by which it is named.
    pub name: &'static str,
    /// Its textual form.
    pub form: &'static str,
    /// What it does.
    pub about: &'static str,
    /// A whole fault.
    pub example: &'static str,
    /// Whether an annotation of a Job or pod may ask for it.
    pub by_annotation: bool,
}

/// All faults, in the order of FAULTS.md.
pub const CATALOG: &[CatalogEntry] = &[
    general(
        "latency",
        "latency=TIME",
        "The answer comes later.",
        "latency=200ms,rate=0.1,verbs=create,resources=jobs",
    ),
    general(
        "too-many-requests",
        "too-many-requests[=SECONDS|none]",
        "429 in plain text, as flow control answers, with Retry-After or without. Logs are never limited.",
        "too-many-requests=2,count=3",
    ),
    general(
        "too-many-requests-status",
        "too-many-requests-status[=SECONDS|none]",
        "429 as a Status of reason TooManyRequests.",
        "too-many-requests-status=none,verbs=delete",
    ),
    general(
        "error",
        "error[=500|502|503|504]",
        "This answer, and nothing is done. 502 is plain text, as of a proxy, the others are a Status.",
        "error=503,rate=0.2",
    ),
    general("unauthorized", "unauthorized", "401, as for a token that has expired.", "unauthorized,for=10s"),
    general(
        "request-lost",
        "request-lost",
        "The connection is closed and nothing is done.",
        "request-lost,verbs=create,count=1",
    ),
    general(
        "response-lost",
        "response-lost",
        "The request is carried out, then the connection is closed without an answer.",
        "response-lost,verbs=create,count=1",
    ),
    general(
        "cut",
        "cut=BYTES",
        "The connection is closed after so many bytes of the body: of an answer, a log or a watch.",
        "cut=1000,resources=pods/log,count=5",
    ),
    general(
        "expired",
        "expired",
        "410 Expired: by HTTP for a list, as an ERROR event for a watch that begins.",
        "expired,verbs=watch,count=1",
    ),
    general(
        "stale-list",
        "stale-list=CHANGES",
        "A list shows the state of so many changes ago, with the resourceVersion of then.",
        "stale-list=5,resources=pods",
    ),
    general(
        "watch-silent",
        "watch-silent[=TIME]",
        "A watch says nothing any more and stays open, for so long or until the fault is lifted; then all comes late. \
         Watches that are open are hit too, after as many events as `events` says.",
        "watch-silent,resources=jobs,events=2",
    ),
    general(
        "watch-end",
        "watch-end",
        "A watch ends properly before its time, after as many events as `events` says.",
        "watch-end,events=3,count=10",
    ),
    general(
        "watch-lost",
        "watch-lost",
        "An event of a watch is left out.",
        "watch-lost,resources=pods,rate=0.1",
    ),
    general("bookmarks-missing", "bookmarks-missing", "A watch gets no bookmarks.", "bookmarks-missing"),
    general(
        "bookmark-storm",
        "bookmark-storm=COUNT",
        "Each event of a watch that allows bookmarks is followed by so many.",
        "bookmark-storm=100",
    ),
    general(
        "api-away",
        "api-away",
        "Connections are closed, those that there are and each new one. `/faults/v1` is away with them: give it a \
         time, or lift it in the process.",
        "api-away,for=30s",
    ),
    general("clock-skew", "clock-skew=[-]TIME", "The Date header is wrong by so much.", "clock-skew=-90s"),
    object(
        "image",
        "image=not-found|unauthorized|denied|no-token|forbidden|too-many-requests|server-error|refused\
         |no-platform|invalid-name|never-pull",
        "The image can't be had: ErrImagePull and ImagePullBackOff in turn, InvalidImageName, or ErrImageNeverPull. \
         With `tries` so many pulls of each container fail, then it starts.",
        "image=server-error,images=registry.example/*,tries=2",
    ),
    object(
        "unschedulable",
        "unschedulable=cpu|memory|gpu|pods|taint|selector|volume",
        "No node takes the pod, until the fault is lifted.",
        "unschedulable=gpu,names=train-*",
    ),
    object(
        "admission",
        "admission=quota|policy|policy-warns|webhook|webhook-warns|webhook-silent|webhook-slow|webhook-down\
         |pod-security|service-account",
        "Creating a Job is refused, or with `resources=pods` creating its pods, which the Job's events tell; \
         `-warns` lets it be, with a Warning header.",
        "admission=quota,resources=pods,for=20s",
    ),
    object(
        "oom",
        "oom[=start|child|TIME|BYTESB]",
        "The kernel kills a container for want of memory: at its start, after a time, once it has printed so much; \
         or only a child of it, and the container ends as it will, with the reason OOMKilled.",
        "oom=4096B,names=train-*",
    ),
    object(
        "evict",
        "evict[=before-start|TIME]",
        "The kubelet evicts the pod, before it starts or after a time. With `disruption` the pod gets the condition \
         DisruptionTarget, as when the node is short of memory; without, as over a storage limit.",
        "evict=100ms,disruption",
    ),
    object(
        "log-unavailable",
        "log-unavailable",
        "The kubelet's excuse comes as the log, with 200.",
        "log-unavailable,names=train-*",
    ),
    object(
        "log-rotation",
        "log-rotation=BYTES",
        "A container's log begins another file after so many bytes of it, instead of 10 MiB: only the last file can be read \
         back, and of a run only the last five are kept.",
        "log-rotation=4096,names=train-*",
    ),
    general(
        "node-not-ready",
        "node-not-ready",
        "The node stops answering: Ready becomes Unknown, its pods are not ready, nothing that happens on it is told, \
         logs are 500. Pods are evicted when their toleration ends, and stay terminating.",
        "node-not-ready,for=60s",
    ),
    general(
        "node-gone",
        "node-gone",
        "The node is gone with its processes; the pods on it are failed and removed by the pod garbage collector.",
        "node-gone,for=60s",
    ),
];

/// A fault of requests or of the node.
const fn general(
    name: &'static str,
    form: &'static str,
    about: &'static str,
    example: &'static str,
) -> CatalogEntry {
    CatalogEntry { name, form, about, example, by_annotation: false }
}

/// A fault of a Job or a pod.
const fn object(
    name: &'static str,
    form: &'static str,
    about: &'static str,
    example: &'static str,
) -> CatalogEntry {
    CatalogEntry { by_annotation: true, ..general(name, form, about, example) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::Fault;

    const HEAD: &str = include_str!("catalog/head.md");

    fn document() -> String {
        let mut document = HEAD.to_owned();
        for entry in CATALOG {
            let cell = |text: &str| text.replace('|', "\\|");
            let annotation = if entry.by_annotation { "yes" } else { "" };
            let row = format!(
                "| `{}` | {} | {annotation} | `{}` |\n",
                cell(entry.form),
                cell(entry.about),
                cell(entry.example)
            );
            document.push_str(&row);
        }
        document
    }

    #[test]
    fn the_document_tells_every_fault() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("FAULTS.md");
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        if std::env::var_os("UPDATE_FAULTS").is_some() {
            std::fs::write(&path, document()).unwrap();
            return;
        }
        assert!(written == document(), "FAULTS.md is out of date: run this test with UPDATE_FAULTS=1");
    }

    #[test]
    fn every_example_is_a_fault_of_its_name() {
        for entry in CATALOG {
            let fault: Fault = entry.example.parse().unwrap();
            assert!(fault.to_string().starts_with(entry.name), "{}", entry.name);
            assert_eq!(fault.effect.is_of_objects(), entry.by_annotation, "{}", entry.name);
        }
    }
}
