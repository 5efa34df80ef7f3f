//! What a fault does.

use std::time::Duration;

/// What a fault does. FAULTS.md tells each with its textual form and an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// The answer comes later.
    Latency(Duration),
    /// 429, as flow control answers: in plain text.
    TooManyRequests(RetryAfter),
    /// 429 as a Status object.
    TooManyRequestsStatus(RetryAfter),
    /// An answer of this code, 500, 502, 503 or 504, though nothing was done.
    Error(u16),
    /// 401, as for a token that has expired.
    Unauthorized,
    /// The connection is closed before the request is carried out.
    RequestLost,
    /// The request is carried out and the connection closed instead of an answer.
    ResponseLost,
    /// The connection is closed after this many bytes of the answer's body.
    Cut(u64),
    /// 410: by HTTP for a list, as an ERROR event for a watch.
    Expired,
    /// A list shows the state of this many changes ago.
    StaleList(u64),
    /// A watch says nothing any more and is not closed, for this time or for ever; then all comes late.
    WatchSilent(Option<Duration>),
    /// A watch is ended properly, before its time.
    WatchEnd,
    /// An event of a watch is left out.
    WatchLost,
    /// A watch gets no bookmarks.
    BookmarksMissing,
    /// Each event of a watch that asks for bookmarks is followed by this many.
    BookmarkStorm(u64),
    /// The API server is away: connections are closed as soon as they are made, and those that there are.
    ApiAway,
    /// The Date header is wrong by this many seconds.
    ClockSkew(i64),
    /// An image can't be had.
    Image(ImageFault),
    /// No node takes the pod.
    Unschedulable(Shortage),
    /// A Job or pod is refused when it is created.
    Admission(Refusal),
    /// The kernel kills a container for want of memory.
    OutOfMemory(OutOfMemory),
    /// The kubelet evicts a pod: after this time, or before it starts.
    Evict(Option<Duration>),
    /// The node stops answering: it is not ready, and its pods are as it left them.
    NodeNotReady,
    /// The node is gone, its object too.
    NodeGone,
    /// The kubelet's excuse comes as the log, with 200.
    LogUnavailable,
    /// A container's log begins another file after this many bytes.
    LogRotation(u64),
}

/// When to come back, in seconds, if a 429 tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// This many seconds.
    Seconds(u64),
    /// It is not told.
    Untold,
}

/// Why an image can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageFault {
    /// The registry has no such image.
    NotFound,
    /// The registry answers 401.
    Unauthorized,
    /// The registry wants a better token than that of anybody.
    Denied,
    /// The registry gives no token to anybody.
    NoToken,
    /// The registry answers 403.
    Forbidden,
    /// The registry answers 429.
    TooManyRequests,
    /// The registry answers 500.
    ServerError,
    /// Nothing listens at the registry's address.
    Refused,
    /// The image is for other machines.
    NoPlatform,
    /// The name is none.
    InvalidName,
    /// It is not on the node, and may not be pulled.
    NeverPull,
}

/// Why no node takes a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortage {
    /// Too little cpu.
    Cpu,
    /// Too little memory.
    Memory,
    /// No GPU.
    Gpu,
    /// Too many pods.
    Pods,
    /// A taint that the pod does not tolerate.
    Taint,
    /// No node with the labels that the pod selects.
    Selector,
    /// A volume that is not bound.
    Volume,
}

/// Why an object is refused when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A quota is used up: 403.
    Quota,
    /// A policy of the cluster denies it: 422.
    Policy,
    /// A policy of the cluster only warns: 201 with a Warning header.
    PolicyWarns,
    /// A webhook allows it with a warning: 201 with a Warning header.
    WebhookWarns,
    /// A webhook denies it: 403, without a reason.
    Webhook,
    /// A webhook denies it without a word: 400.
    WebhookSilent,
    /// A webhook takes too long: 500.
    WebhookSlow,
    /// A webhook can't be reached: 500.
    WebhookDown,
    /// A Pod Security level forbids it: 403.
    PodSecurity,
    /// The service account is missing: 403.
    ServiceAccount,
}

/// When a container runs out of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutOfMemory {
    /// As soon as it has started.
    AtStart,
    /// After this time.
    After(Duration),
    /// Once it has printed this many bytes.
    Printed(u64),
    /// Only a child process is killed: the main process ends as it will, and the reason is `OOMKilled` all the same.
    Child,
}

impl Effect {
    /// Whether it is done to requests, and not to pods or the node.
    pub(crate) fn is_of_requests(&self) -> bool {
        !matches!(self, Self::ApiAway | Self::NodeNotReady | Self::NodeGone)
            && !self.is_of_objects()
            && !self.is_of_watches()
    }

    /// Whether it is done to a Job or a pod, whose annotation may ask for it.
    pub(super) fn is_of_objects(&self) -> bool {
        matches!(
            self,
            Self::Image(_)
                | Self::Unschedulable(_)
                | Self::Admission(_)
                | Self::OutOfMemory(_)
                | Self::Evict(_)
                | Self::LogUnavailable
                | Self::LogRotation(_)
        )
    }

    /// Whether it is done to watches that are under way.
    pub(crate) fn is_of_watches(&self) -> bool {
        matches!(
            self,
            Self::WatchSilent(_)
                | Self::WatchEnd
                | Self::WatchLost
                | Self::BookmarksMissing
                | Self::BookmarkStorm(_)
        )
    }
}
