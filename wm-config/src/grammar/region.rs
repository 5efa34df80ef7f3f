use crate::grammar::{Parsed, fault};

/// An AWS region: partition or continent, one or two words, a number.
///
/// The grammar and not a list: AWS opens regions more often than anybody updates a list.
pub(crate) fn region(text: &str) -> Parsed<String> {
    if is_region(text) {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase().replace(['_', ' '], "-");
    let message = if is_region(&lower) {
        format!("is not spelt as AWS does: write {lower}")
    } else if let Some(region) =
        text.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|rest| is_region(rest))
    {
        format!("is an availability zone: its region is {region}")
    } else if is_region(&format!("{text}-1")) {
        "has no number at its end".to_owned()
    } else {
        "is not formed like an AWS region".to_owned()
    };
    fault(message)
}

fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [first, words @ .., number] = parts.as_slice() else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
    (2..=4).contains(&first.len())
        && is_word(first)
        && (1..=2).contains(&words.len())
        && words.iter().all(|word| (2..=10).contains(&word.len()) && is_word(word))
        && (1..=2).contains(&number.len())
        && !number.starts_with('0')
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_regions() {
        for text in [
            "eu-central-1",
            "us-gov-west-1",
            "cn-northwest-1",
            "us-isob-east-1",
            "eusc-de-east-1",
            "ap-southeast-7",
        ] {
            assert_eq!(region(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_is_no_region_is_told_why() {
        for (text, word) in [
            ("EU-Central-1", "write eu-central-1"),
            ("eu_central_1", "write eu-central-1"),
            ("eu-central-1a", "its region is eu-central-1"),
            ("eu-central", "no number"),
            ("global", "not formed"),
            ("eu-central-", "not formed"),
            ("Frankfurt", "not formed"),
            ("eu-central-0", "not formed"),
        ] {
            let faults = region(text).unwrap_err();
            assert!(faults[0].contains(word), "{text}: {faults:?}");
        }
    }
}
