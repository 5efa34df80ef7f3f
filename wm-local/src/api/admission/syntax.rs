//! Names, labels and keys: the rules of `k8s.io/apimachinery/pkg/util/validation`, with its messages.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const NAME_PART: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED: &str = "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation \
     is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
     'example.com/MyName')";
const CONFIG_KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
     'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
const ENV_NAME: &str =
    "a valid environment variable name must consist only of printable ASCII characters other than '='";

/// What is wrong with a name such as a Job's or a Secret's.
pub(super) fn subdomain(name: &str) -> Vec<String> {
    let mut problems = too_long(name, 253);
    if !name.split('.').all(is_label) {
        problems.push(SUBDOMAIN.to_owned());
    }
    problems
}

/// What is wrong with a name such as a container's or a namespace's.
pub(super) fn label(name: &str) -> Vec<String> {
    let mut problems = too_long(name, 63);
    if !is_label(name) {
        problems.push(LABEL.to_owned());
    }
    problems
}

pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut problems = too_long(value, 63);
    if !value.is_empty() && !is_word(value) {
        problems.push(LABEL_VALUE.to_owned());
    }
    problems
}

/// What is wrong with the key of a label or annotation, or the name of a resource or finalizer.
pub(super) fn qualified_name(key: &str) -> Vec<String> {
    let mut parts = key.split('/');
    let (prefix, name) = match (parts.next(), parts.next(), parts.next()) {
        (Some(name), None, _) => (None, name),
        (Some(prefix), Some(name), None) => (Some(prefix), name),
        _ => return vec![QUALIFIED.to_owned()],
    };
    let mut problems = Vec::new();
    match prefix {
        None => {}
        Some("") => problems.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            problems.extend(subdomain(prefix).into_iter().map(|problem| format!("prefix part {problem}")));
        }
    }
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        problems.push("name part must be no more than 63 bytes".to_owned());
    }
    if !is_word(name) {
        problems.push(NAME_PART.to_owned());
    }
    problems
}

pub(super) fn config_key(key: &str) -> Vec<String> {
    let mut problems = too_long(key, 253);
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        problems.push(CONFIG_KEY.to_owned());
    }
    match key {
        "." => problems.push("must not be '.'".to_owned()),
        ".." => problems.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => problems.push("must not start with '..'".to_owned()),
        _ => {}
    }
    problems
}

pub(super) fn env_name(name: &str) -> Vec<String> {
    let is_printable = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'=';
    if !name.is_empty() && name.bytes().all(is_printable) { Vec::new() } else { vec![ENV_NAME.to_owned()] }
}

fn is_label(text: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = text.as_bytes();
    is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn is_word(text: &str) -> bool {
    let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn too_long(text: &str, limit: usize) -> Vec<String> {
    if text.len() > limit { vec![format!("must be no more than {limit} bytes")] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for name in ["a", "a-b", "a.b-c", "0", &"n".repeat(253)] {
            assert_eq!(subdomain(name), [""; 0], "{name}");
        }
        for name in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a b", &"n".repeat(254)] {
            assert_eq!(subdomain(name).len(), 1, "{name}");
        }
        assert_eq!(label("a.b").len(), 1);
        assert_eq!(label(&"n".repeat(63)), [""; 0]);
        assert_eq!(label(&"n".repeat(64)), ["must be no more than 63 bytes"]);
    }

    #[test]
    fn labels_are_told_from_what_is_none() {
        for value in ["", "a", "A_b.c-1", &"v".repeat(63)] {
            assert_eq!(label_value(value), [""; 0], "{value}");
        }
        for value in ["a b", "-a", "a.", "\u{e9}"] {
            assert_eq!(label_value(value).len(), 1, "{value}");
        }
        for key in ["a", "x.io/a", "A_b"] {
            assert_eq!(qualified_name(key), [""; 0], "{key}");
        }
        for key in ["bad key!", "/a", "a/b/c", "X.io/a"] {
            assert_eq!(qualified_name(key).len(), 1, "{key}");
        }
        assert_eq!(qualified_name("x.io/").len(), 2);
    }

    #[test]
    fn keys_and_variables_are_told_from_what_is_none() {
        assert_eq!(config_key(".dockerconfigjson"), [""; 0]);
        assert_eq!(config_key("a key").len(), 1);
        assert_eq!(config_key(".."), ["must not be '..'"]);
        assert_eq!(env_name("a.b c"), [""; 0]);
        assert_eq!(env_name("A=B").len(), 1);
    }
}
