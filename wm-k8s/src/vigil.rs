//! What is to be done about one run that does not get on: a state machine without clock, calls or tasks.

#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    board::RunView,
    clocks::{self, Clock, Limits},
    diagnosis::{self, Finding, Hindrance, Outlook},
    record::Waits,
    status,
    view::PodView,
};

/// What lasts no longer is not worth a word.
const PATIENCE: Duration = Duration::from_secs(1);
/// The run's own Secret is made right after its Job, and a kubelet looks again for it after this time at the latest.
const SECRET_PATIENCE: Duration = Duration::from_secs(20);
/// A Job whose pod is not there after this time is asked about, and again after twice the time, up to a minute.
const NO_POD: Duration = Duration::from_secs(3);
const NO_POD_MOST: Duration = Duration::from_mins(1);
/// A pod that its node makes ready without a word for this long is asked about once.
const SILENT: Duration = Duration::from_secs(30);
/// Beyond its grace, a pod may take so long to go before its node is taken for dead.
const DEAD: Duration = Duration::from_mins(1);
/// What could not be done is tried again after this time.
const AGAIN: Duration = Duration::from_secs(10);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, until the run changes or this time has come.
    Wait(Option<Timestamp>),
    /// Ask why the Jobs of runs have no pods.
    AskRefusals,
    /// Ask what the cluster reported about this pod.
    AskAbout(Arc<str>),
    /// Say what the run waits for.
    Say(Waits, String),
    /// End the run.
    End(Finding),
    /// Remove a pod by force.
    Remove(Box<PodView>),
}

/// What is remembered of one run.
#[derive(Debug, Default)]
pub(crate) struct Vigil {
    /// What hinders the run now, and since when.
    hindered: Option<(Outlook, String, Timestamp)>,
    said: Option<String>,
    /// When the gates opened.
    opened: Option<Timestamp>,
    asked_refusals: Option<(Timestamp, Duration)>,
    /// What has been asked once: pods that start in silence, and ones whose first clock is over.
    asked: BTreeSet<(String, bool)>,
    removed: BTreeSet<String>,
    /// Something could not be done.
    paused: Option<Timestamp>,
    has_ended: bool,
}

impl Vigil {
    /// Tells what to do next, and takes it as done.
    pub(crate) fn step(&mut self, run: RunView<'_>, limits: &Limits, now: Timestamp) -> Step {
        if run.job.is_finished() {
            return Step::Wait(None);
        }
        if let Some(paused) = self.paused.filter(|paused| *paused > now) {
            return Step::Wait(Some(paused));
        }
        let removal = match self.dead(run, now) {
            Ok(pod) => {
                self.removed.insert(pod.uid.clone());
                return Step::Remove(Box::new(pod));
            }
            Err(next) => next,
        };
        let job = run.job;
        self.has_ended &= !job.suspended;
        if job.deleting || job.suspended || job.ended.is_some() || self.has_ended {
            self.hindered = None;
            return Step::Wait(removal);
        }
        let hindrance = diagnosis::hindrance(job, status::latest(run.pods), run.events);
        self.see(run, hindrance.as_ref(), now);
        let mut next = Next(removal);
        if let Some(step) = self.ask(run, hindrance.as_ref(), now, &mut next) {
            return step;
        }
        if let Some(hindrance) = hindrance.clone()
            && let Some(finding) = self.hopeless(hindrance, limits, now, &mut next)
        {
            self.has_ended = true;
            return Step::End(finding);
        }
        if let Some((clock, since)) = clocks::running(run, self.opened)
            && let Some(limit) = clock.limit(limits)
            && !next.is_to_come(since, limit, now)
        {
            let pod = status::latest(run.pods).filter(|_| clock == Clock::Schedule);
            if let Some(pod) = pod
                && self.asked.insert((pod.uid.clone(), true))
            {
                return Step::AskAbout(Arc::clone(&pod.name));
            }
            self.has_ended = true;
            return Step::End(clock.expired(limit, run, hindrance));
        }
        if let Some(hindrance) = &hindrance
            && let Some(step) = self.say(run, hindrance, now, &mut next)
        {
            return step;
        }
        Step::Wait(next.0)
    }

    /// The last step could not be done: it is tried again later.
    pub(crate) fn failed(&mut self, step: &Step, now: Timestamp) {
        self.paused = after(now, AGAIN);
        match step {
            Step::Remove(pod) => _ = self.removed.remove(&pod.uid),
            Step::End(_) => self.has_ended = false,
            Step::Say(..) => self.said = None,
            _ => {}
        }
    }

    /// The pod that is long past its grace and still there; else when that may be.
    fn dead(&self, run: RunView<'_>, now: Timestamp) -> Result<PodView, Option<Timestamp>> {
        let mut next = Next(None);
        let going = run.pods.iter().filter(|pod| pod.deleting && !pod.has_ended());
        for pod in going.filter(|pod| !self.removed.contains(&pod.uid)) {
            if let Some(deadline) = pod.deadline
                && !next.is_to_come(deadline, DEAD, now)
            {
                return Ok(pod.clone());
            }
        }
        Err(next.0)
    }

    fn see(&mut self, run: RunView<'_>, hindrance: Option<&Hindrance>, now: Timestamp) {
        let told = run.job.waits.as_deref();
        if self.said.is_none() {
            self.said = told.map(|told| told.words.clone());
            self.opened = self.opened.or(told.and_then(|told| told.opened));
        }
        let was_held = self.hindered.as_ref().is_some_and(|(outlook, ..)| *outlook == Outlook::Held);
        let Some(Hindrance { finding, outlook }) = hindrance else {
            if was_held {
                self.opened = Some(now);
            }
            self.hindered = None;
            return;
        };
        if was_held && *outlook != Outlook::Held {
            self.opened = Some(now);
        }
        let since = match &self.hindered {
            // Trouble with an image is one and the same trouble, whatever the registry's latest word is.
            Some((known, words, since))
                if known == outlook && (*words == finding.words || *outlook == Outlook::Passing) =>
            {
                *since
            }
            Some(_) => now,
            // It was seen before this server started.
            None => told.filter(|told| told.words == finding.words).map_or(now, |told| told.since),
        };
        self.hindered = Some((*outlook, finding.words.clone(), since));
    }

    fn ask(
        &mut self,
        run: RunView<'_>,
        hindrance: Option<&Hindrance>,
        now: Timestamp,
        next: &mut Next,
    ) -> Option<Step> {
        let Some(pod) = status::latest(run.pods) else {
            let (since, pause) = self.asked_refusals.or(run.job.started.map(|since| (since, NO_POD)))?;
            if next.is_to_come(since, pause, now) {
                return None;
            }
            self.asked_refusals = Some((now, (pause * 2).min(NO_POD_MOST)));
            return Some(Step::AskRefusals);
        };
        let (Clock::Start, since) = clocks::running(run, None)? else { return None };
        if hindrance.is_some()
            || self.asked.contains(&(pod.uid.clone(), false))
            || next.is_to_come(since, SILENT, now)
        {
            return None;
        }
        self.asked.insert((pod.uid.clone(), false));
        Some(Step::AskAbout(Arc::clone(&pod.name)))
    }

    /// Why a run is ended before its time is over.
    fn hopeless(
        &self,
        hindrance: Hindrance,
        limits: &Limits,
        now: Timestamp,
        next: &mut Next,
    ) -> Option<Finding> {
        match hindrance.outlook {
            Outlook::Hopeless => Some(hindrance.finding),
            Outlook::Passing => {
                let (_, _, since) = self.hindered.as_ref()?;
                let is_over = !next.is_to_come(*since, limits.image, now);
                is_over.then(|| clocks::image_given_up(limits.image, hindrance))
            }
            Outlook::Lasting | Outlook::Held => None,
        }
    }

    fn say(
        &mut self,
        run: RunView<'_>,
        hindrance: &Hindrance,
        now: Timestamp,
        next: &mut Next,
    ) -> Option<Step> {
        let Finding { words, advice, .. } = &hindrance.finding;
        // A kubelet that has said why and then waits for its next try says less, not something else.
        if self.said.as_ref().is_some_and(|said| said.starts_with(words.as_str())) {
            return None;
        }
        let (_, _, since) = self.hindered.as_ref()?;
        let patience = if words.contains(&*run.job.name) { SECRET_PATIENCE } else { PATIENCE };
        if next.is_to_come(*since, patience, now) {
            return None;
        }
        self.said = Some(words.clone());
        let waits = Waits { since: *since, words: words.clone(), opened: self.opened };
        Some(Step::Say(waits, format!("Waiting: {words}. What helps: {advice}.")))
    }
}

/// When to look again: the earliest of several times.
struct Next(Option<Timestamp>);

impl Next {
    /// Whether that time is still to come; it is remembered then.
    fn is_to_come(&mut self, since: Timestamp, limit: Duration, now: Timestamp) -> bool {
        let Some(time) = after(since, limit) else { return true };
        if time <= now {
            return false;
        }
        self.0 = Some(self.0.map_or(time, |known| known.min(time)));
        true
    }
}

fn after(time: Timestamp, duration: Duration) -> Option<Timestamp> {
    time.checked_add(duration).ok()
}
