//! The active faults, and the decisions about what they hit.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    effect::Effect,
    fault::{Fault, FaultError},
    journal::{Injection, Journal},
    selector::Occasion,
};
use crate::{chance::Chance, clock::until};

/// Annotations of this prefix are faults of their object: `faults.workload-manager/oom: 100ms`.
const PREFIX: &str = "faults.workload-manager/";

/// A fault that was injected and not lifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ActiveFault {
    /// The number by which it is lifted.
    pub id: u64,
    /// The fault.
    pub fault: Fault,
    /// How many times it was done.
    pub hits: u64,
}

/// A fault that hits.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) id: u64,
    pub(crate) effect: Effect,
    pub(crate) tries: Option<u64>,
    pub(crate) disruption: bool,
    pub(crate) message: Option<String>,
    /// How long the fault will be active yet, if that is limited.
    pub(crate) remaining: Option<Duration>,
}

impl Hit {
    fn from_fault(id: u64, fault: &Fault) -> Self {
        Self {
            id,
            effect: fault.effect.clone(),
            tries: fault.tries,
            disruption: fault.disruption,
            message: fault.message.clone(),
            remaining: None,
        }
    }
}

#[derive(Debug)]
pub(super) struct Table {
    chance: Chance,
    last_id: u64,
    entries: BTreeMap<u64, Entry>,
    journal: Journal,
}

#[derive(Debug)]
struct Entry {
    fault: Fault,
    since: Timestamp,
    matched: u64,
    hits: u64,
    /// How many have matched, by what they are.
    streams: HashMap<String, u64>,
}

impl Table {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), last_id: 0, entries: BTreeMap::new(), journal: Journal::default() }
    }

    pub(super) fn inject(&mut self, fault: Fault, now: Timestamp) -> u64 {
        self.last_id += 1;
        let entry = Entry { fault, since: now, matched: 0, hits: 0, streams: HashMap::new() };
        self.entries.insert(self.last_id, entry);
        self.last_id
    }

    pub(super) fn lift(&mut self, id: u64) -> bool {
        self.entries.remove(&id).is_some()
    }

    pub(super) fn lift_all(&mut self) {
        self.entries.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn active(&self) -> Vec<ActiveFault> {
        let active = |(id, entry): (&u64, &Entry)| ActiveFault {
            id: *id,
            fault: entry.fault.clone(),
            hits: entry.hits,
        };
        self.entries.iter().map(active).collect()
    }

    pub(super) fn journal(&self) -> Vec<Injection> {
        self.journal.read()
    }

    pub(super) fn note(&mut self, injection: Injection) {
        self.journal.push(injection);
    }

    pub(super) fn hits(
        &mut self,
        occasion: &Occasion<'_>,
        now: Timestamp,
        mut wanted: impl FnMut(u64, &Fault) -> bool,
    ) -> Vec<Hit> {
        let Self { chance, entries, journal, .. } = self;
        let tried = entries
            .iter_mut()
            .filter_map(|(id, entry)| entry.try_hit(*id, occasion, now, &mut wanted, *chance, journal));
        tried.collect()
    }

    pub(super) fn first(
        &mut self,
        occasion: &Occasion<'_>,
        now: Timestamp,
        mut wanted: impl FnMut(u64, &Fault) -> bool,
    ) -> Option<Hit> {
        let Self { chance, entries, journal, .. } = self;
        let mut entries = entries.iter_mut();
        entries.find_map(|(id, entry)| entry.try_hit(*id, occasion, now, &mut wanted, *chance, journal))
    }

    pub(super) fn has(&self, now: Timestamp, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.entries.values().any(|entry| wanted(&entry.fault.effect) && entry.is_open(now))
    }

    pub(super) fn is_active(&self, id: u64, now: Timestamp) -> bool {
        self.entries.get(&id).is_some_and(|entry| entry.is_open(now))
    }

    /// How long until a window opens or closes.
    pub(super) fn next_edge(&self, now: Timestamp) -> Option<Duration> {
        let edges = self.entries.values().flat_map(|entry| {
            let (begin, end) = entry.window();
            [Some(begin), end].into_iter().flatten()
        });
        edges.filter(|edge| *edge > now).min().map(|edge| until(now, edge))
    }
}

impl Entry {
    fn window(&self) -> (Timestamp, Option<Timestamp>) {
        let begin = self.since.checked_add(self.fault.after).unwrap_or(Timestamp::MAX);
        (begin, self.fault.lasts.map(|lasts| begin.checked_add(lasts).unwrap_or(Timestamp::MAX)))
    }

    fn is_open(&self, now: Timestamp) -> bool {
        let (begin, end) = self.window();
        now >= begin && end.is_none_or(|end| now < end)
    }

    fn try_hit(
        &mut self,
        id: u64,
        occasion: &Occasion<'_>,
        now: Timestamp,
        wanted: &mut impl FnMut(u64, &Fault) -> bool,
        chance: Chance,
        journal: &mut Journal,
    ) -> Option<Hit> {
        if !self.is_open(now) || !self.fault.selector.matches(occasion) || !wanted(id, &self.fault) {
            return None;
        }
        let target = occasion.stream();
        let seen = self.streams.entry(target.clone()).or_default();
        let index = *seen;
        *seen += 1;
        self.matched += 1;
        if self.matched <= self.fault.skip || self.fault.count.is_some_and(|count| self.hits >= count) {
            return None;
        }
        if !chance.happens(self.fault.rate, &[&id.to_string(), &target], index) {
            return None;
        }
        self.hits += 1;
        journal.push(Injection { id, fault: self.fault.to_string(), target, index });
        let (_, end) = self.window();
        Some(Hit { remaining: end.map(|end| until(now, end)), ..Hit::from_fault(id, &self.fault) })
    }
}

/// The faults that an object's annotations ask for.
pub(crate) fn annotated(object: &Value) -> Vec<(Hit, String)> {
    let faults = read(object).filter_map(Result::ok);
    faults.map(|fault| (Hit::from_fault(0, &fault), fault.to_string())).collect()
}

/// Refuses annotations that ask for a fault that there is not: nobody is to believe that it was done.
pub(crate) fn check_annotations(object: &Value) -> Result<(), FaultError> {
    read(object).try_for_each(|fault| {
        let fault = fault?;
        let plain = Fault {
            tries: fault.tries,
            disruption: fault.disruption,
            message: fault.message.clone(),
            ..Fault::new(fault.effect.clone())
        };
        if !fault.effect.is_of_objects() || plain != fault {
            let message = "an annotation may ask for image, unschedulable, admission, oom, evict or log-unavailable, \
                           with the options tries, disruption and message only";
            return Err(FaultError(message.to_owned()));
        }
        Ok(())
    })
}

fn read(object: &Value) -> impl Iterator<Item = Result<Fault, FaultError>> {
    let annotations = object["metadata"]["annotations"].as_object();
    annotations.into_iter().flatten().filter_map(|(key, value)| {
        let name = key.strip_prefix(PREFIX)?;
        let text = match value.as_str().unwrap_or_default() {
            "" => name.to_owned(),
            value => format!("{name}={value}"),
        };
        let fault = text.parse::<Fault>();
        Some(fault.map_err(|error| FaultError(format!("annotation {key} is no fault: {error}"))))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn creates(table: &mut Table, names: &[&str]) -> Vec<bool> {
        let hit = |name: &&str| {
            let occasion =
                Occasion { verb: "create", resource: "jobs", names: &[name], ..Occasion::default() };
            !table.hits(&occasion, Timestamp::UNIX_EPOCH, |_, _| true).is_empty()
        };
        names.iter().map(hit).collect()
    }

    fn table(seed: u64, fault: &str) -> Table {
        let mut table = Table::new(seed);
        table.inject(fault.parse().unwrap(), Timestamp::UNIX_EPOCH);
        table
    }

    #[test]
    fn skip_and_count_limit_what_is_hit() {
        let mut table = table(0, "error=500,verbs=create,skip=1,count=2");
        assert_eq!(creates(&mut table, &["a", "b", "c", "d"]), [false, true, true, false]);
        assert_eq!(table.active()[0].hits, 2);
        assert_eq!(table.journal()[0].target, "create jobs b");
    }

    #[test]
    fn what_is_hit_does_not_depend_on_the_order_of_others() {
        let names: Vec<String> = (0..50).map(|number| format!("j{number}")).collect();
        let forwards: Vec<&str> = names.iter().map(String::as_str).collect();
        let backwards: Vec<&str> = forwards.iter().rev().copied().collect();
        let one = creates(&mut table(5, "error=500,rate=0.5"), &forwards);
        let mut other = creates(&mut table(5, "error=500,rate=0.5"), &backwards);
        other.reverse();
        assert_eq!(one, other);
        assert_ne!(one, creates(&mut table(6, "error=500,rate=0.5"), &forwards));
    }

    #[test]
    fn a_window_opens_and_closes() {
        let mut table = table(0, "error=500,after=10s,for=5s");
        let mut hits = |second| {
            let now = Timestamp::from_second(second).unwrap();
            table.hits(&Occasion::default(), now, |_, _| true).len()
        };
        assert_eq!([hits(9), hits(10), hits(14), hits(15)], [0, 1, 1, 0]);
    }

    #[test]
    fn annotations_are_faults_or_refused() {
        let object =
            |key: &str, value: &str| json!({"metadata": {"annotations": {key: value, "other": "x"}}});
        let image = object("faults.workload-manager/image", "not-found,tries=2");
        assert_eq!(annotated(&image)[0].0.tries, Some(2));
        check_annotations(&image).unwrap();
        check_annotations(&object("faults.workload-manager/oom", "")).unwrap();
        for (key, value) in [("image", "nope"), ("latency", "1s"), ("oom", "start,rate=0.5"), ("typo", "")] {
            let error =
                check_annotations(&object(&format!("faults.workload-manager/{key}"), value)).unwrap_err();
            assert!(!error.to_string().is_empty());
        }
    }
}
