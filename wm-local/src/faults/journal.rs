//! What was done.

use std::{collections::VecDeque, fmt};

use serde::Serialize;

const CAPACITY: usize = 10_000;

/// One time that a fault was done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[non_exhaustive]
pub struct Injection {
    /// The number of the fault; 0 for one that an annotation asks for.
    pub id: u64,
    /// The fault, as text.
    pub fault: String,
    /// What it was done to: verb, resource, namespace and name, as far as there are such.
    pub target: String,
    /// How many of these had matched the fault before.
    pub index: u64,
}

impl fmt::Display for Injection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on {} ({})", self.fault, self.target, self.index)
    }
}

#[derive(Debug, Default)]
pub(super) struct Journal(VecDeque<Injection>);

impl Journal {
    pub(super) fn push(&mut self, injection: Injection) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(injection);
    }

    pub(super) fn read(&self) -> Vec<Injection> {
        self.0.iter().cloned().collect()
    }
}
