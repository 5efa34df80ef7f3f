//! The values of a Secret come as base64.

/// Decodes standard base64; `None` if the text is none.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for character in group {
            bits = bits << 6 | sextet(*character)?;
        }
        // A group of n characters holds n - 1 bytes.
        let [_, high, middle, low] = (bits << (6 * (4 - group.len()))).to_be_bytes();
        bytes.extend_from_slice([high, middle, low].get(..group.len().checked_sub(1).filter(|n| *n > 0)?)?);
    }
    Some(bytes)
}

fn sextet(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_4648_decode() {
        let examples = [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ];
        for (text, bytes) in examples {
            assert_eq!(decode(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(decode("//79+w==").unwrap(), [0xff, 0xfe, 0xfd, 0xfb]);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        assert_eq!(decode("a-b="), None);
        assert_eq!(decode("Z"), None);
    }
}
