//! Which known name a misspelt one was meant to be.

/// The known name that `word` is one slip away from, or that it spells in another case.
pub(super) fn meant<'known>(word: &str, known: &[&'known str]) -> Option<&'known str> {
    let folded = fold(word);
    known
        .iter()
        .find(|name| fold(name) == folded)
        .or_else(|| known.iter().find(|name| is_one_slip(word.as_bytes(), name.as_bytes())))
        .copied()
}

/// The same for `image_pull_policy`, `image-pull-policy`, `ImagePullPolicy` and `imagePullPolicy`.
fn fold(word: &str) -> String {
    word.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

/// Whether one letter is missing, added, changed, or swapped with its neighbour.
fn is_one_slip(left: &[u8], right: &[u8]) -> bool {
    let (short, long) = if left.len() <= right.len() { (left, right) } else { (right, left) };
    let same = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    let (short, long) = (short.get(same..).unwrap_or_default(), long.get(same..).unwrap_or_default());
    match (short, long) {
        ([a, b, rest @ ..], [c, d, other @ ..]) if a == d && b == c && rest == other => true,
        ([_, rest @ ..], [_, other @ ..]) if rest == other => true,
        (_, [_, other @ ..]) => short == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_and_other_cases_are_recognised() {
        let known = ["imagePullPolicy", "image", "limits", "operator"];
        for (word, expected) in [
            ("image_pull_policy", "imagePullPolicy"),
            ("ImagePullPolicy", "imagePullPolicy"),
            ("imagee", "image"),
            ("mage", "image"),
            ("limit", "limits"),
            ("operater", "operator"),
            ("opreator", "operator"),
        ] {
            assert_eq!(meant(word, &known), Some(expected), "{word}");
        }
    }

    #[test]
    fn two_slips_are_too_many() {
        for word in ["", "img", "oprater", "limitation", "x"] {
            assert_eq!(meant(word, &["image", "limits", "operator"]), None, "{word}");
        }
    }
}
