//! What may be a name, a label or a variable: `k8s.io/apimachinery/pkg/api/validate/content`.
//!
//! Each check returns the messages of the API server, none when the text is fine.

const NAME_CHARACTERS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// Checks the key of a label, an annotation, a taint or a node selector.
pub fn label_key(key: &str) -> Vec<String> {
    let example = "(e.g. 'MyName',  or 'my.name',  or '123-abc', \
                   regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
    let mut messages = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                messages.push("prefix part must be non-empty".to_owned());
            } else {
                messages.extend(
                    dns_subdomain(prefix).into_iter().map(|message| format!("prefix part {message}")),
                );
            }
            *name
        }
        _ => {
            return vec![format!(
                "a valid label key {NAME_CHARACTERS} {example} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        messages.push("name part must be non-empty".to_owned());
    }
    messages.extend(longer_than(name, 63).map(|message| format!("name part {message}")));
    if !is_name(name) {
        messages.push(format!("name part {NAME_CHARACTERS} {example}"));
    }
    messages
}

/// Checks the value of a label or of a node selector.
pub fn label_value(value: &str) -> Vec<String> {
    let mut messages: Vec<_> = longer_than(value, 63).collect();
    if !value.is_empty() && !is_name(value) {
        messages.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
             for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    messages
}

/// Checks a name that becomes part of a host name: a container's, a namespace's.
pub fn dns_label(name: &str) -> Vec<String> {
    let mut messages: Vec<_> = longer_than(name, 63).collect();
    if !is_dns_label(name) {
        messages.push(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
             and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    messages
}

/// Checks the name of an object: a Secret's, a service account's.
pub fn dns_subdomain(name: &str) -> Vec<String> {
    let mut messages: Vec<_> = longer_than(name, 253).collect();
    if !name.split('.').all(is_dns_label) {
        messages.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    messages
}

/// Checks the name of an environment variable, by the relaxed rule of Kubernetes 1.32 and later.
pub fn env_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if name.chars().all(|character| matches!(character, ' '..='~') && character != '=') {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .to_owned(),
    ]
}

/// Checks a whole number as the comparison operators of a toleration want it.
pub(super) fn decimal_integer(text: &str) -> Vec<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if text.is_empty() {
        return vec!["must be non-empty".to_owned()];
    }
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && (!digits.starts_with('0') || text == "0");
    if canonical { Vec::new() } else { vec!["must be a valid decimal integer in canonical form".to_owned()] }
}

fn longer_than(text: &str, most: usize) -> impl Iterator<Item = String> {
    (text.len() > most).then(|| format!("must be no more than {most} bytes")).into_iter()
}

fn is_name(name: &str) -> bool {
    let alphanumeric = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    alphanumeric(bytes.first())
        && alphanumeric(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_dns_label(label: &str) -> bool {
    let edge =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = label.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_kubernetes_takes_are_fine() {
        for key in ["a", "node-pool", "example.com/MyName", "kubernetes.io/os", "a/b_c.d", &"k".repeat(63)] {
            assert_eq!(label_key(key), Vec::<String>::new(), "{key}");
        }
        for value in ["", "a", "MyValue", "1.2_3-x", &"v".repeat(63)] {
            assert_eq!(label_value(value), Vec::<String>::new(), "{value}");
        }
        for name in ["a", "my-name", "123-abc", &"n".repeat(63)] {
            assert_eq!(dns_label(name), Vec::<String>::new(), "{name}");
            assert_eq!(dns_subdomain(name), Vec::<String>::new(), "{name}");
        }
        assert_eq!(dns_subdomain("a.b-c.d"), Vec::<String>::new());
        for name in ["PATH", "my.var-1", "a b", "1x"] {
            assert_eq!(env_name(name), Vec::<String>::new(), "{name}");
        }
        for number in ["0", "5", "-17", "100"] {
            assert_eq!(decimal_integer(number), Vec::<String>::new(), "{number}");
        }
    }

    #[test]
    fn names_that_kubernetes_refuses_are_refused() {
        for key in ["", "-a", "a-", "a b", "a/b/c", "/a", "a/", "Upper.Case/x", "ü", &"k".repeat(64)] {
            assert_ne!(label_key(key), Vec::<String>::new(), "{key}");
        }
        for value in [" ", "-", "a b", "x_", "a/b", &"v".repeat(64)] {
            assert_ne!(label_value(value), Vec::<String>::new(), "{value}");
        }
        for name in ["", "A", "a.b", "-a", "a-", "a_b", &"n".repeat(64)] {
            assert_ne!(dns_label(name), Vec::<String>::new(), "{name}");
        }
        for name in ["", "a..b", ".a", "a.", "A", &"n".repeat(254)] {
            assert_ne!(dns_subdomain(name), Vec::<String>::new(), "{name}");
        }
        for name in ["", "A=B", "a\n", "é", "\u{7f}"] {
            assert_ne!(env_name(name), Vec::<String>::new(), "{name}");
        }
        for number in ["", "-", "007", "-0", "+1", "1.0", "1e3"] {
            assert_ne!(decimal_integer(number), Vec::<String>::new(), "{number}");
        }
    }

    #[test]
    fn an_empty_name_part_breaks_two_rules() {
        assert_eq!(label_key("example.com/").len(), 2);
        assert_eq!(label_key(&"k".repeat(64)), ["name part must be no more than 63 bytes"]);
    }
}
