use std::net::Ipv4Addr;

use crate::{
    grammar::{Parsed, fault, image},
    settings::{S3Encryption, S3Location},
};

/// What S3 keeps for itself.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
/// S3's limit for a key is 1024 bytes, and the log store's own part of it needs room.
const PREFIX_MAX: usize = 512;

/// `s3://bucket[/prefix]`, and nothing that merely resembles it.
pub(crate) fn location(text: &str) -> Parsed<S3Location> {
    let Some(rest) = text.strip_prefix("s3://") else { return fault(scheme_fault(text)) };
    if rest.split('/').next().is_some_and(|bucket| bucket.contains('@')) {
        return fault("has an @ before its bucket: credentials don't belong into it");
    }
    if let Some(mark) = ["?", "#"].into_iter().find(|mark| rest.contains(mark)) {
        return fault(format!("contains {mark:?}: a bucket's address has no query and no fragment"));
    }
    let (bucket, prefix) = match rest.split_once('/') {
        Some((bucket, prefix)) => (bucket, prefix),
        None => (rest, ""),
    };
    if bucket.is_empty() {
        return fault("names no bucket: it has to follow s3:// at once");
    }
    let message = bucket_fault(bucket).or_else(|| prefix_fault(prefix));
    if let Some(message) = message {
        return fault(message);
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    Ok(S3Location { bucket: bucket.to_owned(), prefix: (!prefix.is_empty()).then(|| prefix.to_owned()) })
}

fn scheme_fault(text: &str) -> String {
    if text.contains('@') {
        return "does not begin with s3://".to_owned();
    }
    if text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("s3://")) {
        return "has the scheme in upper case: write s3://".to_owned();
    }
    if let Some(rest) = text.strip_prefix("s3:") {
        return format!("is not an address: write s3://{}", rest.trim_start_matches('/'));
    }
    if let Some(bucket) = text.strip_prefix("arn:aws:s3:::") {
        return format!("is an ARN: write s3://{bucket}");
    }
    match text.split_once("://") {
        Some((scheme, _)) => format!("has the scheme {scheme}://, where s3:// is due"),
        None => format!("has no scheme: write s3://{}", text.trim_start_matches('/')),
    }
}

fn bucket_fault(bucket: &str) -> Option<String> {
    if let Some(c) = bucket.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '-')) {
        return Some(match c {
            'A'..='Z' => format!("names the bucket {bucket:?}: bucket names have no upper-case letters"),
            '<' | '>' | '{' | '}' | '$' => "contains a placeholder that was not replaced".to_owned(),
            _ => format!("names the bucket {bucket:?}: bucket names have no {c:?}"),
        });
    }
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let message = if !(3..=63).contains(&bucket.len()) {
        "bucket names have 3 to 63 characters"
    } else if !(bucket.starts_with(is_end) && bucket.ends_with(is_end)) {
        "bucket names begin and end with a letter or digit"
    } else if bucket.contains("..") {
        "bucket names have no two dots in a row"
    } else if bucket.parse::<Ipv4Addr>().is_ok() {
        "bucket names are not formed like an IP address"
    } else if RESERVED_PREFIXES.iter().any(|prefix| bucket.starts_with(prefix)) {
        "S3 reserves this beginning"
    } else if RESERVED_SUFFIXES.iter().any(|suffix| bucket.ends_with(suffix)) {
        "S3 reserves this ending"
    } else {
        return None;
    };
    Some(format!("names the bucket {bucket:?}: {message}"))
}

fn prefix_fault(prefix: &str) -> Option<String> {
    if prefix.len() > PREFIX_MAX {
        return Some(format!(
            "has a prefix of {} characters: at most {PREFIX_MAX} are allowed",
            prefix.len()
        ));
    }
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "/!_.*'()=+@:,-".contains(c);
    if let Some(c) = prefix.chars().find(|c| !is_safe(*c)) {
        return Some(format!("has {c:?} in its prefix"));
    }
    let parts = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return None;
    }
    parts.split('/').find_map(|part| match part {
        "" => Some("has two slashes in a row".to_owned()),
        "." | ".." => Some(format!("has {part:?} as a part of its prefix")),
        _ => None,
    })
}

/// `http://` or `https://`, a host, and perhaps a port.
pub(crate) fn endpoint(text: &str) -> Parsed<String> {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return fault("begins with neither http:// nor https://");
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    if host.contains(['/', '?', '#', '@']) {
        return fault("has more than a host and a port");
    }
    image::registry(host)?;
    Ok(text.strip_suffix('/').unwrap_or(text).to_owned())
}

/// `AES256`, `aws:kms`, or `aws:kms:<key>`.
pub(crate) fn encryption(text: &str) -> Parsed<S3Encryption> {
    if text == "AES256" {
        return Ok(S3Encryption::S3);
    }
    let Some(key) = text.strip_prefix("aws:kms") else {
        return fault("is no way in which S3 encrypts");
    };
    let is_key = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte));
    match key.strip_prefix(':') {
        None if key.is_empty() => Ok(S3Encryption::Kms { key: None }),
        Some(key) if !key.is_empty() && is_key(key) => Ok(S3Encryption::Kms { key: Some(key.to_owned()) }),
        _ => fault("names no key behind aws:kms:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_and_prefix_are_told_apart() {
        let location = location("s3://my-bucket/run-template-logs").unwrap();
        assert_eq!(
            (location.bucket.as_str(), location.prefix.as_deref()),
            ("my-bucket", Some("run-template-logs"))
        );
        assert_eq!(location.to_string(), "s3://my-bucket/run-template-logs");
    }

    #[test]
    fn a_prefix_may_be_missing() {
        for text in ["s3://my-bucket", "s3://my-bucket/"] {
            assert_eq!(location(text).unwrap(), S3Location { bucket: "my-bucket".to_owned(), prefix: None });
        }
        assert_eq!(location("s3://123/a/b/").unwrap().prefix.as_deref(), Some("a/b"));
    }

    #[test]
    fn what_is_no_location_is_told_why() {
        for (text, word) in [
            ("my-bucket", "write s3://my-bucket"),
            ("S3://my-bucket", "upper case"),
            ("s3:/my-bucket", "write s3://my-bucket"),
            ("arn:aws:s3:::my-bucket", "write s3://my-bucket"),
            ("https://my-bucket.s3.amazonaws.com", "where s3:// is due"),
            ("s3://", "names no bucket"),
            ("s3:///logs", "names no bucket"),
            ("s3://my-bucket//logs", "two slashes"),
            ("s3://my-bucket/a//b", "two slashes"),
            ("s3://my-bucket//", "two slashes"),
            ("s3://my-bucket?x=1", "query"),
            ("s3://my-bucket/a#b", "fragment"),
            ("s3://My-bucket", "upper-case"),
            ("s3://my_bucket", "'_'"),
            ("s3://ab", "3 to 63"),
            ("s3://-ab", "begin and end"),
            ("s3://a..b", "two dots"),
            ("s3://10.0.0.1", "IP address"),
            ("s3://xn--abc", "reserves"),
            ("s3://abc-s3alias", "reserves"),
            ("s3://<bucket>", "placeholder"),
            ("s3://key:hunter2@my-bucket", "credentials"),
            ("key:hunter2@my-bucket", "begin with s3://"),
            ("s3://my-bucket/a b", "' '"),
            ("s3://my-bucket/../b", "\"..\""),
        ] {
            let faults = location(text).unwrap_err();
            assert!(faults[0].contains(word), "{text}: {faults:?}");
        }
        assert!(location(&format!("s3://my-bucket/{}", "a".repeat(513))).is_err());
        assert!(location("s3:\u{e9}").is_err());
    }
}
