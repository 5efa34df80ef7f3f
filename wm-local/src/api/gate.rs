//! The gate between a watch and its client, at which faults hold up, drop or end it.

use std::{
    collections::{HashSet, VecDeque},
    convert::Infallible,
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream},
    response::Response,
};
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{disturbance::Asked, watch::empty_object};
use crate::{
    clock::Moment,
    faults::{Effect, Faults},
    kind::Kind,
    store::meta,
};

/// Puts the gate before the events of an answer.
pub(super) fn gate(response: Response, faults: Faults, asked: Asked) -> Response {
    response.map(|body| {
        let gate = Gate {
            events: body.into_data_stream(),
            changes: faults.changes(),
            faults,
            asked,
            decided: HashSet::new(),
            passed: 0,
            waiting: VecDeque::new(),
            silence: None,
            has_ended: false,
        };
        Body::from_stream(stream::unfold(gate, |mut gate| async move {
            let bytes = gate.next().await?;
            Some((Ok::<_, Infallible>(bytes), gate))
        }))
    })
}

struct Gate {
    events: BodyDataStream,
    faults: Faults,
    changes: watch::Receiver<u64>,
    asked: Asked,
    /// The faults of whole watches about which it is known whether they hit this one.
    decided: HashSet<u64>,
    /// How many events have passed.
    passed: u64,
    waiting: VecDeque<Bytes>,
    silence: Option<Silence>,
    has_ended: bool,
}

/// A watch that says nothing, by which fault and until when.
struct Silence {
    id: u64,
    until: Option<Moment>,
}

impl Gate {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            self.decide();
            if self.has_ended {
                return None;
            }
            if let Some(silence) = &self.silence {
                // Not even the end of the watch is told.
                tokio::select! {
                    () = self.faults.clock().sleep_until_if(silence.until) => self.silence = None,
                    () = self.faults.changed(&mut self.changes) => {
                        if !self.faults.is_active(silence.id) {
                            self.silence = None;
                        }
                    }
                }
                continue;
            }
            if let Some(event) = self.waiting.pop_front() {
                if let Some(event) = self.pass(event) {
                    return Some(event);
                }
                continue;
            }
            tokio::select! {
                biased;
                events = self.events.next() => self.take(&events?.ok()?),
                () = self.faults.changed(&mut self.changes) => {}
            }
        }
    }

    fn take(&mut self, events: &Bytes) {
        let mut start = 0;
        for (place, byte) in events.iter().enumerate() {
            if *byte == b'\n' {
                self.waiting.push_back(events.slice(start..=place));
                start = place + 1;
            }
        }
        if start < events.len() {
            self.waiting.push_back(events.slice(start..));
        }
    }

    /// Finds out about the faults that are done to a whole watch.
    fn decide(&mut self) {
        if self.faults.is_quiet() {
            return;
        }
        let Self { faults, asked, decided, passed, .. } = self;
        let hits = asked.occasion(|occasion| {
            faults.hits(occasion, |id, fault| {
                let is_of_whole = matches!(fault.effect, Effect::WatchSilent(_) | Effect::WatchEnd);
                is_of_whole && fault.events <= *passed && decided.insert(id)
            })
        });
        for hit in hits {
            match hit.effect {
                Effect::WatchEnd => self.has_ended = true,
                Effect::WatchSilent(time) => {
                    let limits: [Option<Duration>; 2] = [time, hit.remaining];
                    let shortest = limits.into_iter().flatten().min();
                    let until = shortest.map(|limit| self.faults.clock().moment() + limit);
                    self.silence = Some(Silence { id: hit.id, until });
                }
                _ => {}
            }
        }
    }

    /// The event, and what goes with it; `None` if it is left out.
    fn pass(&mut self, event: Bytes) -> Option<Bytes> {
        if self.faults.is_quiet() {
            self.passed += 1;
            return Some(event);
        }
        let is_bookmark = event.starts_with(b"{\"type\":\"BOOKMARK\"");
        let hits = self.asked.occasion(|occasion| {
            self.faults.hits(occasion, |_, fault| match fault.effect {
                Effect::WatchLost | Effect::BookmarkStorm(_) => !is_bookmark,
                Effect::BookmarksMissing => is_bookmark,
                _ => false,
            })
        });
        let mut storm = 0;
        for hit in hits {
            match hit.effect {
                Effect::BookmarkStorm(count) => storm += count,
                _ => return None,
            }
        }
        self.passed += 1;
        let bookmark = (storm > 0).then(|| self.bookmark(&event)).flatten();
        if let Some(bookmark) = bookmark {
            for _ in 0..storm {
                self.waiting.push_front(bookmark.clone());
            }
        }
        Some(event)
    }

    /// A bookmark at the version of an event.
    fn bookmark(&self, event: &[u8]) -> Option<Bytes> {
        let event: Value = serde_json::from_slice(event).ok()?;
        let object = &event["object"];
        let kind = Kind::ALL.into_iter().find(|kind| kind.resource() == self.asked.resource())?;
        // Other forms of the objects have bookmarks of other forms.
        if object["kind"] != kind.kind() {
            return None;
        }
        let bookmark = empty_object(kind, &json!({"resourceVersion": meta(object, "resourceVersion")}));
        Some(Bytes::from(format!("{{\"type\":\"BOOKMARK\",\"object\":{bookmark}}}\n")))
    }
}
