//! Chance that is none: all of it follows from the seed of the cluster.

use sha2::{Digest as _, Sha256};

/// The source of a cluster's random decisions and of the names and uids that it makes up.
///
/// A decision is a function of the seed and of what it is about, not of what was decided before: requests that come
/// side by side do not disturb each other's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chance {
    seed: u64,
}

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Random bytes for the `index`-th decision about this.
    pub(crate) fn bytes(self, about: &[&str], index: u64) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.seed.to_le_bytes());
        for part in about {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        digest.update(index.to_le_bytes());
        digest.finalize().into()
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(self, probability: f64, about: &[&str], index: u64) -> bool {
        let [a, b, c, d, ..] = self.bytes(about, index);
        f64::from(u32::from_le_bytes([a, b, c, d])) < probability * 4_294_967_296.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_follows_from_seed_subject_and_index() {
        let happens = |seed, about: &str| -> Vec<bool> {
            (0..64).map(|index| Chance::new(seed).happens(0.5, &[about], index)).collect()
        };
        assert_eq!(happens(1, "a"), happens(1, "a"));
        assert_ne!(happens(1, "a"), happens(2, "a"));
        assert_ne!(happens(1, "a"), happens(1, "b"));
        let often = (0..10_000).filter(|index| Chance::new(7).happens(0.1, &["x"], *index)).count();
        assert!((800..1200).contains(&often), "{often}");
        assert!(Chance::new(7).happens(1.0, &["x"], 1));
        assert!(!Chance::new(7).happens(0.0, &["x"], 1));
    }
}
