//! Who runs and who waits: a state machine without clock or I/O.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap, VecDeque},
};

/// For whom something runs; nobody in particular is one too.
pub(super) type Tenant = Option<String>;

/// A place in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// What became of a request to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// It has a slot.
    Now,
    /// It waits.
    Later(Ticket),
    /// There is no room to wait either.
    Full,
}

#[derive(Debug)]
struct Waiting {
    priority: i32,
    tenant: Tenant,
}

/// A bounded number of slots, and a bounded line before them.
#[derive(Debug)]
pub(super) struct Queue {
    slots: usize,
    room: usize,
    running: usize,
    by_tenant: HashMap<Tenant, usize>,
    waiting: BTreeMap<Ticket, Waiting>,
    /// Everybody's place in the line; empty when it has to be found again.
    positions: HashMap<Ticket, usize>,
    next: u64,
}

impl Queue {
    pub(super) fn new(slots: usize, room: usize) -> Self {
        Self {
            slots,
            room,
            running: 0,
            by_tenant: HashMap::new(),
            waiting: BTreeMap::new(),
            positions: HashMap::new(),
            next: 0,
        }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn admit(&mut self, priority: i32, tenant: &Tenant) -> Admission {
        if self.running < self.slots {
            self.take(tenant);
            return Admission::Now;
        }
        if self.waiting.len() >= self.room {
            return Admission::Full;
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.positions.clear();
        self.waiting.insert(ticket, Waiting { priority, tenant: tenant.clone() });
        Admission::Later(ticket)
    }

    /// Counts one that runs already, whether or not there is a slot; it leaves the line. False if it was not in it.
    pub(super) fn promote(&mut self, ticket: Ticket) -> bool {
        let Some(waiting) = self.waiting.remove(&ticket) else { return false };
        self.take(&waiting.tenant);
        true
    }

    /// Frees a slot and gives it to the next in line.
    pub(super) fn finish(&mut self, tenant: &Tenant) -> Option<Ticket> {
        self.positions.clear();
        self.running = self.running.saturating_sub(1);
        if let Some(count) = self.by_tenant.get_mut(tenant) {
            *count -= 1;
            if *count == 0 {
                self.by_tenant.remove(tenant);
            }
        }
        if self.running >= self.slots {
            return None;
        }
        let next = self.first()?;
        self.promote(next).then_some(next)
    }

    /// Leaves the line; false if it was not in it.
    pub(super) fn leave(&mut self, ticket: Ticket) -> bool {
        self.positions.clear();
        self.waiting.remove(&ticket).is_some()
    }

    /// The place in the line, from 1, if nothing changes before it.
    pub(super) fn position(&mut self, ticket: Ticket) -> Option<usize> {
        if self.positions.is_empty() {
            self.positions = self.order().into_iter().zip(1..).collect();
        }
        self.positions.get(&ticket).copied()
    }

    /// Higher priority first, then the tenant for whom least runs, then who came first.
    fn first(&self) -> Option<Ticket> {
        let rank = |(ticket, waiting): &(&Ticket, &Waiting)| {
            (Reverse(waiting.priority), self.running_for(&waiting.tenant), **ticket)
        };
        self.waiting.iter().min_by_key(rank).map(|(ticket, _)| *ticket)
    }

    /// All who wait, in the order in which they would get slots that came one by one.
    fn order(&self) -> Vec<Ticket> {
        let mut levels: BTreeMap<Reverse<i32>, HashMap<&Tenant, VecDeque<Ticket>>> = BTreeMap::new();
        for (ticket, waiting) in &self.waiting {
            let lines = levels.entry(Reverse(waiting.priority)).or_default();
            lines.entry(&waiting.tenant).or_default().push_back(*ticket);
        }
        let mut order = Vec::with_capacity(self.waiting.len());
        let mut taken: HashMap<&Tenant, usize> = HashMap::new();
        for mut lines in levels.into_values() {
            let count = |tenant: &Tenant, taken: &HashMap<&Tenant, usize>| {
                self.running_for(tenant) + taken.get(tenant).copied().unwrap_or(0)
            };
            let mut claims: BinaryHeap<_> = lines
                .iter_mut()
                .filter_map(|(tenant, line)| {
                    Some(Reverse((count(tenant, &taken), line.pop_front()?, *tenant)))
                })
                .collect();
            while let Some(Reverse((running, ticket, tenant))) = claims.pop() {
                order.push(ticket);
                *taken.entry(tenant).or_default() += 1;
                if let Some(next) = lines.get_mut(tenant).and_then(VecDeque::pop_front) {
                    claims.push(Reverse((running + 1, next, tenant)));
                }
            }
        }
        order
    }

    fn running_for(&self, tenant: &Tenant) -> usize {
        self.by_tenant.get(tenant).copied().unwrap_or(0)
    }

    fn take(&mut self, tenant: &Tenant) {
        self.positions.clear();
        self.running += 1;
        *self.by_tenant.entry(tenant.clone()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "a tenant is an option")]
    fn tenant(name: &str) -> Tenant {
        Some(name.to_owned())
    }

    fn later(admission: Admission) -> Ticket {
        match admission {
            Admission::Later(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn slots_first_then_the_line_then_no() {
        let mut queue = Queue::new(1, 1);
        assert_eq!(queue.admit(0, &None), Admission::Now);
        assert!(matches!(queue.admit(0, &None), Admission::Later(_)));
        assert_eq!(queue.admit(0, &None), Admission::Full);
    }

    #[test]
    fn priority_goes_before_arrival() {
        let mut queue = Queue::new(1, 9);
        queue.admit(0, &None);
        let low = later(queue.admit(0, &None));
        let high = later(queue.admit(5, &None));
        assert_eq!((queue.position(high), queue.position(low)), (Some(1), Some(2)));
        assert_eq!(queue.finish(&None), Some(high));
        assert_eq!(queue.finish(&None), Some(low));
    }

    #[test]
    fn the_tenant_for_whom_least_runs_goes_first() {
        let mut queue = Queue::new(2, 9);
        queue.admit(0, &tenant("busy"));
        queue.admit(0, &tenant("busy"));
        let busy = later(queue.admit(0, &tenant("busy")));
        let quiet = later(queue.admit(0, &tenant("quiet")));
        assert_eq!(queue.position(quiet), Some(1));
        assert_eq!(queue.finish(&tenant("busy")), Some(quiet));
        assert_eq!(queue.finish(&tenant("busy")), Some(busy));
    }

    #[test]
    fn one_that_runs_already_is_counted_beyond_the_slots() {
        let mut queue = Queue::new(1, 9);
        queue.admit(0, &None);
        let adopted = later(queue.admit(0, &None));
        let other = later(queue.admit(0, &None));
        assert!(queue.promote(adopted));
        assert_eq!(queue.running(), 2);
        assert_eq!(queue.finish(&None), None);
        assert_eq!(queue.finish(&None), Some(other));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Admit(i32, u8),
        Finish(usize),
        Leave(usize),
        Promote(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3_i32, 0..3_u8).prop_map(|(priority, tenant)| Step::Admit(priority, tenant)),
            3 => (0..20_usize).prop_map(Step::Finish),
            1 => (0..20_usize).prop_map(Step::Leave),
            1 => (0..20_usize).prop_map(Step::Promote),
        ]
    }

    proptest! {
        /// Against a naive model: two lists, searched in full at each step.
        #[test]
        fn any_interleaving_keeps_the_limits_and_the_order(
            slots in 1..4_usize,
            room in 0..6_usize,
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let mut queue = Queue::new(slots, room);
            let mut running: Vec<Tenant> = Vec::new();
            let mut waiting: Vec<(Ticket, i32, Tenant)> = Vec::new();
            let mut beyond = 0_usize;
            for step in steps {
                match step {
                    Step::Admit(priority, number) => {
                        let tenant = (number > 0).then(|| number.to_string());
                        match queue.admit(priority, &tenant) {
                            Admission::Now => {
                                prop_assert!(running.len() < slots);
                                running.push(tenant);
                            }
                            Admission::Later(ticket) => {
                                prop_assert!(running.len() >= slots && waiting.len() < room);
                                waiting.push((ticket, priority, tenant));
                                prop_assert!(queue.position(ticket).is_some());
                            }
                            Admission::Full => prop_assert!(running.len() >= slots && waiting.len() >= room),
                        }
                    }
                    Step::Finish(index) if !running.is_empty() => {
                        let tenant = running.swap_remove(index % running.len());
                        let promised = waiting.iter().find(|(ticket, ..)| {
                            // Who is first now, with this tenant's run gone?
                            let count = |of: &Tenant| running.iter().filter(|running| *running == of).count();
                            waiting.iter().all(|(other, priority, tenant)| {
                                let (_, own_priority, own_tenant) =
                                    waiting.iter().find(|(own, ..)| own == ticket).unwrap();
                                (-own_priority, count(own_tenant), ticket) <= (-priority, count(tenant), other)
                            })
                        }).cloned();
                        let next = queue.finish(&tenant);
                        if running.len() < slots {
                            prop_assert_eq!(next, promised.as_ref().map(|(ticket, ..)| *ticket));
                        } else {
                            prop_assert_eq!(next, None);
                        }
                        if let Some(next) = next {
                            waiting.retain(|(ticket, ..)| *ticket != next);
                            running.push(promised.unwrap().2);
                        }
                    }
                    Step::Leave(index) if !waiting.is_empty() => {
                        let (ticket, ..) = waiting.remove(index % waiting.len());
                        prop_assert!(queue.leave(ticket));
                        prop_assert!(!queue.leave(ticket));
                    }
                    Step::Promote(index) if !waiting.is_empty() => {
                        let (ticket, _, tenant) = waiting.remove(index % waiting.len());
                        prop_assert!(queue.promote(ticket));
                        running.push(tenant);
                        beyond = beyond.max(running.len());
                    }
                    _ => {}
                }
                prop_assert_eq!(queue.running(), running.len());
                prop_assert_eq!(queue.waiting(), waiting.len());
                prop_assert!(running.len() <= slots.max(beyond));
                prop_assert!(waiting.is_empty() || running.len() >= slots, "somebody waits at a free slot");
                let mut positions: Vec<_> = waiting.iter().map(|(ticket, ..)| queue.position(*ticket).unwrap()).collect();
                positions.sort_unstable();
                prop_assert_eq!(positions, (1..=waiting.len()).collect::<Vec<_>>());
            }
        }
    }
}
