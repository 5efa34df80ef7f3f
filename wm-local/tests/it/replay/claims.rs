//! Which recorded scenarios the cluster claims to play, and why not the others.

/// Whether a scenario is claimed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Claim {
    /// Every exchange and every watch of it.
    Whole,
    /// All but these exchanges, for a reason; the watches only if that is said.
    Part { but: &'static [usize], watches: bool, why: &'static str },
    /// Nothing of it, for a reason.
    No(&'static str),
}

impl Claim {
    pub(super) fn includes(self, exchange: usize) -> bool {
        match self {
            Self::Whole => true,
            Self::Part { but, .. } => !but.contains(&exchange),
            Self::No(_) => std::env::var_os("SCENARIO").is_some(),
        }
    }

    pub(super) fn includes_watches(self) -> bool {
        !matches!(self, Self::Part { watches: false, .. })
    }
}

pub(super) fn of(scenario: &str) -> Claim {
    match scenario {
        "create-container-config-error" => Claim::Part {
            but: &[6, 10, 11, 25, 27, 29, 31, 33, 35],
            watches: false,
            why: "texts of a runtime of containers; users of images and claims of volumes are not there",
        },
        "logs" => Claim::No("not compared yet"),
        "patch-and-conflict" => Claim::Part {
            but: &[0, 1, 2, 3, 4, 5, 6, 7, 18, 22, 25],
            watches: false,
            why: "server-side apply is refused with 501, and no managed fields are kept",
        },
        "pod-failure-policy" => Claim::Part {
            but: &[4, 5, 6, 7, 8, 9, 10, 12, 13],
            watches: false,
            why: "the eviction API and disruption budgets are not served",
        },
        "pod-security-restricted" => Claim::Part {
            but: &[6],
            watches: true,
            why: "containers run as the user of the cluster, not as runAsUser",
        },
        "watch" => Claim::Part {
            but: &[1, 2, 3, 6, 7, 14, 32, 33],
            watches: false,
            why: "the history is longer than the scenario, so that nothing in it is too old",
        },
        _ => Claim::Whole,
    }
}
