use crate::{
    grammar::{Parsed, fault},
    settings::{ImagePullPolicy, PlainSecrets, PodSecurity},
};

/// The largest value of a Kubernetes `int32`.
const INT32_MAX: u32 = i32::MAX.unsigned_abs();

pub(crate) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => fault("is neither true nor false"),
    }
}

/// From 0 to the largest `int32`.
pub(crate) fn natural(text: &str) -> Parsed<u32> {
    integer(text, 0)
}

/// From 1 to the largest `int32`.
pub(crate) fn positive(text: &str) -> Parsed<u32> {
    integer(text, 1)
}

fn integer(text: &str, least: u32) -> Parsed<u32> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return fault(not_an_integer(digits));
    }
    match digits.parse::<u32>() {
        Ok(number) if number <= INT32_MAX && number >= least && (!negative || number == 0) => Ok(number),
        _ => fault(format!("is out of range, which is {least} to {INT32_MAX}")),
    }
}

fn not_an_integer(digits: &str) -> String {
    let plain: String = digits.chars().filter(|c| !matches!(c, '_' | ',' | ' ' | '\'')).collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number(&plain) {
        return format!(
            "is not a whole number as it is written: write {plain}, with nothing between the digits"
        );
    }
    if let Some((whole, fraction)) = plain.split_once('.')
        && is_number(whole)
        && fraction.bytes().all(|byte| byte == b'0')
    {
        return format!("is not a whole number as it is written: write {whole}, without a decimal point");
    }
    if is_number(plain.trim_end_matches(|c: char| c.is_ascii_alphabetic())) && !plain.starts_with("0x") {
        return "is not a whole number: it takes no unit and no exponent".to_owned();
    }
    if plain.starts_with(['"', '\'']) {
        return "is not a whole number: there are quotes inside the value".to_owned();
    }
    "is not a whole number".to_owned()
}

pub(crate) fn image_pull_policy(text: &str) -> Parsed<ImagePullPolicy> {
    match text.to_ascii_lowercase().as_str() {
        "always" => Ok(ImagePullPolicy::Always),
        "ifnotpresent" => Ok(ImagePullPolicy::IfNotPresent),
        "never" => Ok(ImagePullPolicy::Never),
        _ => fault("is not a pull policy"),
    }
}

pub(crate) fn pod_security(text: &str) -> Parsed<PodSecurity> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(PodSecurity::Auto),
        "restricted" => Ok(PodSecurity::Restricted),
        "baseline" => Ok(PodSecurity::Baseline),
        "none" => Ok(PodSecurity::None),
        "privileged" => {
            fault("is not a level that the manager applies: none leaves the security context out")
        }
        _ => fault("is not a Pod Security level"),
    }
}

pub(crate) fn plain_secrets(text: &str) -> Parsed<PlainSecrets> {
    match text.to_ascii_lowercase().as_str() {
        "allow" => Ok(PlainSecrets::Allow),
        "refuse" => Ok(PlainSecrets::Refuse),
        _ => fault("is neither allow nor refuse"),
    }
}

/// Text that is somebody else's name: anything on one line.
pub(crate) fn line(text: &str) -> Parsed<String> {
    match text.chars().find(|c| c.is_control()) {
        Some(c) => fault(format!("contains the control character {c:?}")),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_as_people_write_them() {
        for text in ["true", "True", "TRUE", "yes", "y", "on", "1", "t", "YES", "On"] {
            assert_eq!(boolean(text), Ok(true), "{text}");
        }
        for text in ["false", "False", "FALSE", "no", "n", "off", "0", "f", "NO", "Off"] {
            assert_eq!(boolean(text), Ok(false), "{text}");
        }
        for text in ["2", "tru", "\"true\"", "enabled", "null", "-1", "01", "ja"] {
            assert!(boolean(text).is_err(), "{text}");
        }
    }

    #[test]
    fn integers_keep_to_an_int32() {
        assert_eq!(natural("0"), Ok(0));
        assert_eq!(natural("-0"), Ok(0));
        assert_eq!(natural("+7"), Ok(7));
        assert_eq!(natural("0010"), Ok(10));
        assert_eq!(natural("2147483647"), Ok(2_147_483_647));
        assert!(natural("2147483648").is_err());
        assert!(natural("99999999999999999999999").is_err());
        assert!(positive("0").is_err());
    }

    #[test]
    fn a_number_that_is_written_otherwise_is_told_how_to_write_it() {
        for (text, word) in [
            ("1_000", "write 1000"),
            ("172,800", "write 172800"),
            ("3.0", "write 3"),
            ("48h", "no unit"),
            ("1e3", "not a whole number"),
            ("\"10\"", "quotes"),
            ("٣", "not a whole number"),
        ] {
            let faults = natural(text).unwrap_err();
            assert!(faults[0].contains(word), "{text}: {faults:?}");
        }
    }
}
