//! The order of a merged list: elements of the patch keep the patch's order, the others keep theirs, and where both
//! are known to the original its order decides. New elements so come before the untouched ones, as with `kubectl`.

use serde_json::Value;

/// How two elements are told to be the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity(pub(super) Option<&'static str>);

impl Identity {
    pub(super) fn same(self, left: &Value, right: &Value) -> bool {
        match self.0 {
            Some(key) => left.get(key).is_some() && left.get(key) == right.get(key),
            None => left == right,
        }
    }

    pub(super) fn position(self, list: &[Value], element: &Value) -> Option<usize> {
        list.iter().position(|other| self.same(other, element))
    }
}

/// Orders a merged list by the patch's list and the original one.
pub(super) fn arrange(
    merged: Vec<Value>,
    patch: &[Value],
    original: &[Value],
    identity: Identity,
) -> Vec<Value> {
    let (mut patched, mut untouched): (Vec<_>, Vec<_>) =
        merged.into_iter().partition(|element| identity.position(patch, element).is_some());
    patched.sort_by_key(|element| identity.position(patch, element));
    untouched.sort_by_key(|element| identity.position(original, element));

    let mut untouched = untouched.into_iter().peekable();
    let mut arranged = Vec::new();
    for element in patched {
        if let Some(place) = identity.position(original, &element) {
            let is_before =
                |other: &Value| identity.position(original, other).is_some_and(|position| position < place);
            while let Some(other) = untouched.next_if(is_before) {
                arranged.push(other);
            }
        }
        arranged.push(element);
    }
    arranged.extend(untouched);
    arranged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn arranged(merged: &str, patch: &str, original: &str) -> String {
        let list =
            |text: &str| text.chars().map(|name| json!({"name": name.to_string()})).collect::<Vec<_>>();
        let result = arrange(list(merged), &list(patch), &list(original), Identity(Some("name")));
        result.iter().filter_map(|element| element.get("name")?.as_str()).collect()
    }

    #[test]
    fn the_patch_and_the_original_share_the_order() {
        for (merged, patch, original, expected) in [
            ("ab", "", "ab", "ab"),
            ("abc", "c", "ab", "cab"),
            ("abc", "b", "abc", "abc"),
            ("abc", "ca", "abc", "bca"),
            ("abcd", "da", "abc", "dabc"),
            ("abcd", "bd", "abc", "abdc"),
            ("ab", "ba", "ab", "ba"),
        ] {
            assert_eq!(arranged(merged, patch, original), expected, "{patch} into {original}");
        }
    }
}
