//! The faults that are tried, and how a run ends under each.

use workload_manager::Reason;

/// A fault, and what it leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    /// As FAULTS.md writes it.
    pub(super) text: &'static str,
    /// How runs end whatever their programs do; `None` if nothing is to be seen of the fault.
    pub(super) ends: Option<Reason>,
}

impl Fault {
    pub(super) fn is_deciding(self) -> bool {
        self.ends.is_some()
    }

    /// Whether the last state of an object that is gone may never be seen.
    pub(super) fn hides_states(self) -> bool {
        ["watch", "api-away", "expired"].iter().any(|word| self.text.contains(word))
    }
}

pub(super) const FAULTS: [Fault; 27] = [
    passing("latency", "latency=20ms"),
    passing("429", "too-many-requests=1,rate=0.1"),
    passing("429-status", "too-many-requests-status=none,rate=0.2"),
    passing("500", "error=500,rate=0.2"),
    passing("503", "error=503,rate=0.2"),
    passing("unauthorized", "unauthorized,skip=20,count=2"),
    passing("request-lost", "request-lost,rate=0.2"),
    passing("response-lost", "response-lost,rate=0.2"),
    passing("cut-log", "cut=400,resources=pods/log,count=6"),
    passing("cut-watch", "cut=3000,verbs=watch,count=6"),
    passing("expired", "expired,verbs=watch,count=3"),
    passing("stale-list", "stale-list=3,verbs=list,rate=0.5"),
    passing("watch-silent", "watch-silent,events=2,count=1"),
    passing("watch-end", "watch-end,events=3,count=10"),
    passing("watch-lost", "watch-lost,resources=pods,rate=0.3"),
    passing("no-bookmarks", "bookmarks-missing"),
    passing("bookmarks", "bookmark-storm=20"),
    passing("api-away", "api-away,after=200ms,for=2s"),
    passing("clock-skew", "clock-skew=-90s"),
    passing("image-later", "image=server-error,tries=1"),
    passing("quota-later", "admission=quota,resources=pods,for=1s"),
    passing("log-unavailable", "log-unavailable,count=2"),
    deciding("image-missing", "image=not-found", Reason::ImagePull),
    deciding("image-name", "image=invalid-name", Reason::InvalidImage),
    deciding("oom", "oom=start", Reason::OutOfMemory),
    deciding("evicted", "evict=100ms", Reason::Evicted),
    deciding("node-gone", "node-gone,after=6s", Reason::NodeLost),
];

/// What is not tried here, and why.
#[cfg(test)]
pub(super) const LEFT_OUT: [(&str, &str); 3] = [
    ("unschedulable", "nothing happens until the schedule time-out"),
    ("log-rotation", "lines are lost on purpose"),
    ("node-not-ready", "nothing happens until the toleration ends, five minutes later"),
];

const fn passing(name: &'static str, text: &'static str) -> Fault {
    Fault { name, text, ends: None }
}

const fn deciding(name: &'static str, text: &'static str, ends: Reason) -> Fault {
    Fault { name, text, ends: Some(ends) }
}
