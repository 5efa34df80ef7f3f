use crate::{
    table::{self, Variable},
    variable,
};

/// What the name of an environment variable is to us.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Likeness {
    /// It is in the table.
    Known,
    /// It is one slip away from the variable.
    Slip(&'static Variable),
    /// It begins with a prefix of ours, and is not in the table.
    Unknown(&'static str),
    /// It is somebody else's.
    Unrelated,
}

pub(crate) fn likeness(name: &str) -> Likeness {
    if table::find(name).is_some() {
        return Likeness::Known;
    }
    let name = name.to_uppercase();
    if name.starts_with("ZENML_SERVER_PRO_") {
        return Likeness::Unrelated;
    }
    let slip = table::variables().find(|entry| is_within_a_slip(&name, entry.name));
    if let Some(entry) = slip.or_else(|| table::variables().find(|entry| is_a_word_off(&name, entry))) {
        return Likeness::Slip(entry);
    }
    [variable::KUBERNETES_PREFIX, variable::AWS_PREFIX]
        .into_iter()
        .find(|prefix| begins_like(&name, prefix))
        .map_or(Likeness::Unrelated, Likeness::Unknown)
}

/// The nearest of the candidates, if it is near enough to be what somebody meant.
pub(crate) fn nearest<'a>(text: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    candidates
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let is_end = !text.is_empty()
                && lower.rsplit('.').next() == Some(text.rsplit('.').next().unwrap_or(&text));
            (if is_end { 0 } else { distance(&text, &lower) }, candidate)
        })
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether at most one insertion, deletion, substitution or swap of neighbours is between a name and a known one: what
/// is left without the common beginning and end says it. Every variable of the process comes through here.
fn is_within_a_slip(name: &str, known: &str) -> bool {
    if name.len().abs_diff(known.len()) > char::MAX.len_utf8() {
        return false;
    }
    let (mut name, mut known): (Vec<char>, Vec<char>) = (name.chars().collect(), known.chars().collect());
    while name.last().is_some() && name.last() == known.last() {
        name.pop();
        known.pop();
    }
    let same = name.iter().zip(&known).take_while(|(left, right)| left == right).count();
    match (&name[same..], &known[same..]) {
        ([] | [_], [] | [_]) => true,
        ([a, b], [c, d]) => a == d && b == c,
        _ => false,
    }
}

/// Whether a word of the prefix was left out, or one was put in.
fn is_a_word_off(name: &str, entry: &Variable) -> bool {
    let words: Vec<&str> = name.split('_').collect();
    let known: Vec<&str> = entry.name.split('_').collect();
    let prefix = entry.prefix().split('_').count() - 1;
    if words.len() + 1 == known.len() {
        (0..prefix).any(|index| is_without(&known, index, &words))
    } else if words.len() == known.len() + 1 {
        (0..=prefix).any(|index| is_without(&words, index, &known))
    } else {
        false
    }
}

/// Whether `words` without the one at `index` are `rest`.
fn is_without(words: &[&str], index: usize, rest: &[&str]) -> bool {
    words[..index] == rest[..index] && words[index + 1..] == rest[index..]
}

/// Whether the name begins with the prefix, or with the prefix and a slip in it.
fn begins_like(name: &str, prefix: &str) -> bool {
    (prefix.len() - 1..=prefix.len() + 1).any(|length| {
        name.get(..length).is_some_and(|start| start.ends_with('_') && distance(start, prefix) <= 1)
    })
}

/// How many insertions, deletions, substitutions and swaps of neighbours are between two texts.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous = None;
    for (row, c) in left.chars().enumerate() {
        let mut current = vec![row + 1];
        for (column, d) in right.iter().enumerate() {
            let substituted = last[column] + usize::from(c != *d);
            let mut least = substituted.min(last[column + 1] + 1).min(current[column] + 1);
            if column > 0 && previous == Some(*d) && right[column - 1] == c {
                least = least.min(before_last[column - 1] + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
        previous = Some(c);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_each_kind_of_slip_once() {
        for (left, right, count) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "ba", 1),
            ("abc", "ac", 1),
            ("abc", "axc", 1),
            ("abc", "cba", 2),
        ] {
            assert_eq!(distance(left, right), count, "{left} {right}");
            assert_eq!(distance(right, left), count, "{right} {left}");
        }
    }

    #[test]
    fn a_lost_word_of_the_prefix_is_a_slip() {
        for (name, known) in [
            ("ZENML_KUBERNETES_WORKLOAD_NAMESPACE", variable::NAMESPACE),
            ("KUBERNETES_WORKLOAD_MANAGER_NAMESPACE", variable::NAMESPACE),
            ("ZENML_WORKLOAD_MANAGER_IMPLEMENTATION_SOURCE", variable::IMPLEMENTATION_SOURCE),
            ("ZENML_KUBERNETES_WORKLOAD_MANAGER_BUCKET", variable::BUCKET),
            ("ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_NAMESPACE", variable::NAMESPACE),
            ("ZENML_KUBERNETES_WORKLOD_MANAGER_NAMESPACE", variable::NAMESPACE),
            ("zenml_kubernetes_workload_manager_namespace", variable::NAMESPACE),
        ] {
            assert!(matches!(likeness(name), Likeness::Slip(entry) if entry.name == known), "{name}");
        }
    }

    #[test]
    fn other_names_under_a_prefix_are_unknown() {
        for name in [
            "ZENML_KUBERNETES_WORKLOAD_MANAGER_FOO",
            "ZENML_KUBERNETES_WORKLOAD_MANAGER_",
            "ZENML_AWS_KUBERNETES_WORKLOAD_MANAGER_PROFILE",
            "ZENML_KUBERNETES_WORKLOD_MANAGER_FOO",
        ] {
            assert!(matches!(likeness(name), Likeness::Unknown(_)), "{name}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for name in [
            "PATH",
            "",
            "é",
            "ZENML_SERVER_SERVER_URL",
            "ZENML_SERVER_PRO_MAX_CONCURRENT_SNAPSHOT_RUNS",
            "ZENML_RUNNER_POD_TIMEOUT",
            "ZENML_SERVER_SNAPSHOT_RUN_DISPATCHER_IMPLEMENTATION_SOURCE",
            "ZENML_KUBERNETES_WORKLOAD",
        ] {
            assert!(matches!(likeness(name), Likeness::Unrelated), "{name}");
        }
    }

    #[test]
    fn a_class_is_found_by_its_last_part() {
        let known = ["local", "a.kubernetes_workload_manager.KubernetesWorkloadManager"];
        let found = |text| nearest(text, known.into_iter());
        assert_eq!(found("loca"), Some("local"));
        assert_eq!(found("KubernetesWorkloadManager"), Some(known[1]));
        assert_eq!(found("slurm"), None);
    }
}
