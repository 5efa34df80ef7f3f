//! Names and uids that are made up. They follow from the seed and from what they are for, not from when that comes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use uuid::Builder;

use super::Kind;
use crate::chance::Chance;

/// The characters of generated names: no vowels, and nothing that looks like another one.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// What a prefix of a generated name is cut to.
const MAX_PREFIX: usize = 58;

#[derive(Debug)]
pub(super) struct Identities {
    chance: Chance,
    /// How often something was made up for each purpose. Two with one hash share a count, which harms neither.
    counts: Mutex<HashMap<u64, u64>>,
}

impl Identities {
    pub(super) fn new(seed: u64) -> Self {
        Self { chance: Chance::new(seed), counts: Mutex::default() }
    }

    /// A name with this prefix, another one each time.
    pub(super) fn name(&self, kind: Kind, namespace: &str, prefix: &str) -> String {
        let prefix: String = prefix.chars().take(MAX_PREFIX).collect();
        let random = self.next(&["name", kind.kind(), namespace, &prefix]);
        let suffix = random[..5].iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        suffix.fold(prefix.clone(), |mut name, character| {
            name.push(character);
            name
        })
    }

    /// The uid of an object of this name, another one each time.
    pub(super) fn uid(&self, kind: Kind, namespace: &str, name: &str) -> String {
        let random = self.next(&["uid", kind.kind(), namespace, name]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&random[..16]);
        Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    fn next(&self, purpose: &[&str]) -> [u8; 32] {
        let mut key = [0; 8];
        key.copy_from_slice(&self.chance.bytes(purpose, 0)[..8]);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(u64::from_le_bytes(key)).or_default();
        *count += 1;
        self.chance.bytes(purpose, *count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_up_follows_from_the_seed_and_the_purpose() {
        let told = |seed, before: &str| {
            let identities = Identities::new(seed);
            identities.uid(Kind::Job, "default", before);
            identities.name(Kind::Pod, "default", before);
            let names = [0; 3].map(|_| identities.name(Kind::Pod, "default", "a-"));
            (names, [0; 3].map(|_| identities.uid(Kind::Job, "default", "a")))
        };
        let (names, uids) = told(1, "b");
        assert_eq!(told(1, "c"), (names.clone(), uids.clone()));
        assert_ne!(told(2, "b").0, names);
        assert_ne!(told(2, "b").1, uids);
        assert!(names[0] != names[1] && names[1] != names[2] && uids[0] != uids[1] && uids[1] != uids[2]);
        assert!(names.iter().all(|name| name.len() == 7 && name.starts_with("a-")));
        assert_eq!(uuid::Uuid::parse_str(&uids[0]).unwrap().get_version_num(), 4);
    }
}
