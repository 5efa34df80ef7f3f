//! What the server says beside its answer.

use http::{HeaderMap, header::WARNING};

/// The texts of the `Warning` headers: `299 - "text"`, one a header.
pub(super) fn texts(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(WARNING)
        .iter()
        .filter_map(|value| text(&String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

fn text(header: &str) -> Option<String> {
    let quoted = header.split_once('"')?.1;
    let mut text = String::new();
    let mut characters = quoted.chars();
    loop {
        match characters.next()? {
            '"' => return Some(text),
            '\\' => text.push(characters.next()?),
            character => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_without_its_quotes_and_escapes() {
        let mut headers = HeaderMap::new();
        headers.append(
            WARNING,
            r#"299 - "would violate PodSecurity \"restricted:latest\": x""#.parse().unwrap(),
        );
        headers.append(WARNING, r#"299 - "unknown field \"spec.a\"""#.parse().unwrap());
        headers.append(WARNING, "nonsense".parse().unwrap());
        let texts = texts(&headers);
        assert_eq!(
            texts,
            [r#"would violate PodSecurity "restricted:latest": x"#, r#"unknown field "spec.a""#]
        );
    }
}
