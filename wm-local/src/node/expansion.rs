//! `$(NAME)` in commands, arguments and values, as Kubernetes expands it.

/// Replaces each `$(NAME)` that `lookup` knows; `$$` is an escaped `$`, all else stays as it is.
pub(crate) fn expand(text: &[u8], lookup: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut expanded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(dollar) = rest.iter().position(|byte| *byte == b'$') {
        expanded.extend_from_slice(&rest[..dollar]);
        rest = &rest[dollar..];
        match rest.get(1) {
            Some(b'$') => {
                expanded.push(b'$');
                rest = &rest[2..];
            }
            Some(b'(') if let Some(end) = rest.iter().position(|byte| *byte == b')') => {
                let reference = &rest[..=end];
                match lookup(&rest[2..end]) {
                    Some(value) => expanded.extend_from_slice(&value),
                    None => expanded.extend_from_slice(reference),
                }
                rest = &rest[end + 1..];
            }
            _ => {
                expanded.push(b'$');
                rest = &rest[1..];
            }
        }
    }
    expanded.extend_from_slice(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> String {
        let value = expand(text.as_bytes(), |name| (name == b"A").then(|| b"one".to_vec()));
        String::from_utf8(value).unwrap()
    }

    #[test]
    fn known_names_are_replaced_and_unknown_ones_stay() {
        assert_eq!(expanded("x$(A)y$(A)"), "xoneyone");
        assert_eq!(expanded("$(B)$(A)"), "$(B)one");
    }

    #[test]
    fn a_doubled_dollar_escapes() {
        assert_eq!(expanded("$$(A)"), "$(A)");
        assert_eq!(expanded("$$$(A)"), "$one");
        assert_eq!(expanded("5$$"), "5$");
    }

    #[test]
    fn shell_syntax_is_left_to_the_shell() {
        assert_eq!(expanded("$A ${A} $ $(A"), "$A ${A} $ $(A");
    }
}
