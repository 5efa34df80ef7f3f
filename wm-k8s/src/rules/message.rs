//! Problems in the wording of the API server's field errors.

use std::fmt::Write as _;

use super::FieldProblem;

pub(crate) fn invalid(field: impl Into<String>, shown: &str, detail: &str) -> FieldProblem {
    problem(field, format!("Invalid value: {shown}: {detail}"))
}

/// An invalid value that is too much to be shown.
pub(crate) fn invalid_unshown(field: impl Into<String>, detail: &str) -> FieldProblem {
    problem(field, format!("Invalid value: {detail}"))
}

pub(crate) fn required(field: impl Into<String>, detail: &str) -> FieldProblem {
    let separator = if detail.is_empty() { "" } else { ": " };
    problem(field, format!("Required value{separator}{detail}"))
}

pub(crate) fn forbidden(field: impl Into<String>, detail: &str) -> FieldProblem {
    problem(field, format!("Forbidden: {detail}"))
}

pub(crate) fn duplicate(field: impl Into<String>, shown: &str) -> FieldProblem {
    problem(field, format!("Duplicate value: {shown}"))
}

pub(crate) fn not_supported(field: impl Into<String>, value: &str, supported: &[&str]) -> FieldProblem {
    let supported = supported.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", ");
    problem(field, format!("Unsupported value: {}: supported values: {supported}", quoted(value)))
}

pub(crate) fn too_many(field: impl Into<String>, count: usize, most: usize) -> FieldProblem {
    problem(field, format!("Too many: {count}: must have at most {most} items"))
}

pub(crate) fn too_long(field: impl Into<String>, most: usize) -> FieldProblem {
    problem(field, format!("Too long: may not be more than {most} bytes"))
}

/// What a required choice says: the values in brackets, as Go prints a list.
pub(crate) fn valid_values(values: &[&str]) -> String {
    format!("valid values: [{}]", values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(" "))
}

pub(crate) fn problem(field: impl Into<String>, detail: impl Into<String>) -> FieldProblem {
    FieldProblem { field: field.into(), detail: detail.into() }
}

/// The text in double quotes, escaped as Go's `%q` does.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            _ => escape(&mut out, character),
        }
    }
    out.push('"');
    out
}

fn escape(out: &mut String, character: char) {
    let code = u32::from(character);
    // Rust and Go agree on what is printable but for combining marks, which Go prints.
    let unprintable = character.is_control() || (!character.is_ascii() && character.escape_debug().len() > 1);
    let written = match code {
        _ if !unprintable => {
            out.push(character);
            Ok(())
        }
        0..0x80 => write!(out, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    debug_assert!(written.is_ok(), "writing to a string can't fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted_as_go_quotes_it() {
        assert_eq!(quoted("plain 'text' é"), r#""plain 'text' é""#);
        assert_eq!(quoted("a\"b\\c\n\t\0\u{7f}"), r#""a\"b\\c\n\t\x00\x7f""#);
        assert_eq!(quoted("\u{200b}\u{e0001}"), r#""\u200b\U000e0001""#);
    }

    #[test]
    fn choices_are_listed_as_the_server_lists_them() {
        let unsupported = not_supported("imagePullPolicy", "Sometimes", &["Always", "IfNotPresent", "Never"]);
        assert_eq!(
            unsupported.to_string(),
            r#"imagePullPolicy: Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never""#
        );
        assert_eq!(valid_values(&["In", "NotIn"]), r#"valid values: ["In" "NotIn"]"#);
        assert_eq!(required("image", "").detail, "Required value");
    }
}
