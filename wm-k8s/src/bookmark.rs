//! A place in a workload's log, as text that any server can read.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::Timestamp;
use wm_core::{Attempt, Cursor, Error, ErrorKind, Result, WorkloadId};

use crate::place::Place;

/// The notation, so that a later one can be told from it.
const VERSION: &str = "1";

/// How far a workload's log has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bookmark {
    /// The attempt that is being read, and the id of its workload. Pods of earlier ones have been read unless they are
    /// here with a place.
    pub(crate) attempt: Option<(WorkloadId, Attempt)>,
    /// The pods of this attempt that have been read or are being read, and earlier ones that may have more, by UID.
    pub(crate) pods: BTreeMap<String, Pod>,
    /// How many messages of each attempt's Job are known.
    pub(crate) told: BTreeMap<Attempt, usize>,
    /// The last message that no Job held when it was told: its time, and how many had it.
    pub(crate) unplaced: Option<(Timestamp, u32)>,
}

/// How far a pod's log has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pod {
    Done,
    /// By the names of its containers.
    Open(BTreeMap<String, Mark>),
}

/// How far a container's log has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// How often the container had been started again when it wrote this.
    pub(crate) restart: u32,
    pub(crate) place: Option<Place>,
}

impl Bookmark {
    pub(crate) fn is_done(&self, pod: &str) -> bool {
        self.pods.get(pod) == Some(&Pod::Done)
    }

    pub(crate) fn finish(&mut self, pod: &str) {
        self.pods.insert(pod.to_owned(), Pod::Done);
    }

    pub(crate) fn mark(&self, pod: &str, container: &str) -> Option<Mark> {
        match self.pods.get(pod)? {
            Pod::Done => None,
            Pod::Open(containers) => containers.get(container).copied(),
        }
    }

    pub(crate) fn set(&mut self, pod: &str, container: &str, mark: Mark) {
        if let Some(Pod::Open(containers)) = self.pods.get_mut(pod) {
            if let Some(known) = containers.get_mut(container) {
                *known = mark;
            } else {
                containers.insert(container.to_owned(), mark);
            }
            return;
        }
        self.pods.insert(pod.to_owned(), Pod::Open(BTreeMap::from([(container.to_owned(), mark)])));
    }

    /// Goes on to an attempt: the pods of earlier ones that have been read need not be named any more.
    pub(crate) fn turn_to(&mut self, workload: &WorkloadId, attempt: Attempt) {
        if self.attempt.as_ref().is_some_and(|(known, last)| known == workload && *last == attempt) {
            return;
        }
        if self.attempt.is_some() {
            self.pods.retain(|_, pod| *pod != Pod::Done);
        }
        self.attempt = Some((workload.clone(), attempt));
    }

    pub(crate) fn to_cursor(&self) -> Cursor {
        let mut text = String::with_capacity(128);
        text.push_str(VERSION);
        // Writing to a String can't fail.
        if let Some((workload, attempt)) = &self.attempt {
            let _infallible = write!(text, ".{workload}.{attempt}");
        }
        for (uid, pod) in &self.pods {
            let _infallible = write!(text, "/{uid}");
            if let Pod::Open(containers) = pod {
                text.push(':');
                for (name, Mark { restart, place }) in containers {
                    let _infallible = write!(text, "{name},{restart}");
                    if let Some(Place { time, lines, bytes }) = place {
                        let _infallible = write!(text, ",{},{lines},{bytes}", time.as_nanosecond());
                    }
                    text.push(';');
                }
            }
        }
        for (attempt, count) in &self.told {
            let _infallible = write!(text, "@{attempt},{count}");
        }
        if let Some((time, count)) = self.unplaced {
            let _infallible = write!(text, "+{},{count}", time.as_nanosecond());
        }
        Cursor::new(text)
    }

    /// Reads a place back.
    ///
    /// # Errors
    /// `InvalidRequest` for what is none.
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self> {
        parse(cursor.as_str()).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidRequest,
                "this is no place of a log; use one that a line of this log told, or read the log since a time",
            )
            .with_context("cursor", cursor.as_str().chars().take(200).collect::<String>())
        })
    }
}

fn parse(text: &str) -> Option<Bookmark> {
    let mut bookmark = Bookmark::default();
    let (text, unplaced) = text.split_once('+').map_or((text, None), |(text, last)| (text, Some(last)));
    if let Some((time, count)) = unplaced.map(|last| last.split_once(',')).unwrap_or_default() {
        bookmark.unplaced = Some((nanosecond(time)?, count.parse().ok()?));
    } else if unplaced.is_some() {
        return None;
    }
    let mut parts = text.split('@');
    let text = parts.next()?;
    for part in parts {
        let (attempt, count) = part.split_once(',')?;
        bookmark.told.insert(Attempt::new(attempt.parse().ok()?)?, count.parse().ok()?);
    }
    let mut parts = text.split('/');
    let head = parts.next()?;
    for part in parts {
        let (uid, pod) = match part.split_once(':') {
            None => (part, Pod::Done),
            Some((uid, containers)) => {
                let marks = containers.strip_suffix(';').unwrap_or(containers);
                let marks = marks.split(';').filter(|mark| !mark.is_empty()).map(mark);
                (uid, Pod::Open(marks.collect::<Option<_>>()?))
            }
        };
        bookmark.pods.insert(uid.to_owned(), pod);
    }
    let mut head = head.split('.');
    if head.next()? != VERSION {
        return None;
    }
    if let Some(workload) = head.next() {
        let attempt = Attempt::new(head.next()?.parse().ok()?)?;
        bookmark.attempt = Some((WorkloadId::new(workload).ok()?, attempt));
    }
    head.next().is_none().then_some(bookmark)
}

fn mark(text: &str) -> Option<(String, Mark)> {
    let parts: Vec<_> = text.split(',').collect();
    let (name, restart, place) = match parts.as_slice() {
        [name, restart] => (name, restart, None),
        [name, restart, time, lines, bytes] => {
            let (lines, bytes) = (lines.parse().ok()?, bytes.parse().ok()?);
            (name, restart, Some(Place { time: nanosecond(time)?, lines, bytes }))
        }
        _ => return None,
    };
    Some(((*name).to_owned(), Mark { restart: restart.parse().ok()?, place }))
}

fn nanosecond(text: &str) -> Option<Timestamp> {
    Timestamp::from_nanosecond(text.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was() {
        let time = Timestamp::from_nanosecond(1_790_000_000_123_456_789).unwrap();
        let mut bookmark = Bookmark::default();
        let back = |bookmark: &Bookmark| Bookmark::parse(&bookmark.to_cursor()).unwrap();
        assert_eq!(back(&bookmark), bookmark);
        bookmark.turn_to(&WorkloadId::new("nightly-run").unwrap(), Attempt::new(3).unwrap());
        bookmark.finish("8e6aa9e7-00d5");
        bookmark.set("9f", "main", Mark { restart: 0, place: Some(Place { time, lines: 2, bytes: 77 }) });
        bookmark.set("9f", "sidecar", Mark { restart: 4, place: None });
        bookmark.told.insert(Attempt::FIRST, 12);
        bookmark.unplaced = Some((time, 3));
        assert_eq!(
            bookmark.to_cursor().as_str(),
            "1.nightly-run.3/8e6aa9e7-00d5/9f:main,0,1790000000123456789,2,77;sidecar,4;@1,12+1790000000123456789,3"
        );
        assert_eq!(back(&bookmark), bookmark);
        bookmark.turn_to(&WorkloadId::new("nightly-run").unwrap(), Attempt::new(4).unwrap());
        assert_eq!(bookmark.pods.len(), 1, "what has been read is not named, what may have more is");
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            "0",
            "no place",
            "2.a.1",
            "1.a",
            "1.a.0",
            "1.a.1.b",
            "1.a.1/u:main",
            "1/u:m,x;",
            "1@1",
            "1+x",
            "1+1",
        ] {
            let error = Bookmark::parse(&Cursor::new(text)).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        }
    }
}
