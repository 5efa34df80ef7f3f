//! Paths as `k8s.io/apimachinery/pkg/util/validation/field` writes them.

pub(crate) fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

pub(crate) fn index(path: &str, index: usize) -> String {
    format!("{path}[{index}]")
}

pub(crate) fn key(path: &str, key: &str) -> String {
    format!("{path}[{key}]")
}

/// The path without its last step.
pub(super) fn parent(path: &str) -> &str {
    path.rfind(['.', '[']).map_or("", |end| path.get(..end).unwrap_or_default())
}

/// Whether `path` is `ancestor` or lies below it.
pub(super) fn is_within(path: &str, ancestor: &str) -> bool {
    match path.strip_prefix(ancestor) {
        Some(rest) => ancestor.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']),
        None => false,
    }
}

/// The path as Go's JSON decoder writes it: names only.
pub(super) fn without_indices(path: &str) -> String {
    let mut depth = 0_usize;
    path.chars()
        .filter(|character| {
            match character {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_joined_as_kubernetes_joins_them() {
        assert_eq!(child("", "requests"), "requests");
        assert_eq!(key(&child("", "requests"), "cpu"), "requests[cpu]");
        assert_eq!(child(&index("", 0), "key"), "[0].key");
        assert_eq!(parent("rules[0].action"), "rules[0]");
        assert_eq!(parent("[0]"), "");
        assert_eq!(
            without_indices("spec.template.spec.containers[0].resources"),
            "spec.template.spec.containers.resources"
        );
    }

    #[test]
    fn a_path_lies_within_its_ancestors_only() {
        assert!(is_within("rules[0].action", "rules[0]"));
        assert!(is_within("rules[0]", ""));
        assert!(is_within("rules", "rules"));
        assert!(!is_within("rules[10]", "rules[1"));
        assert!(!is_within("rulesets", "rules"));
        assert!(!is_within("rules", "rules[0]"));
    }
}
