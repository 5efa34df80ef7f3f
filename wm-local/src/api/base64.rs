//! Standard base64, in which Secrets keep their values.

pub(crate) use crate::node::decode_base64 as decode;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let [high, middle, low] =
            [0, 1, 2].map(|place| u32::from(group.get(place).copied().unwrap_or_default()));
        let bits = high << 16 | middle << 8 | low;
        for place in 0..4 {
            // A group of n bytes has n + 1 characters.
            if place <= group.len() {
                let sextet = bits >> (18 - 6 * place) & 63;
                text.push(char::from(ALPHABET[sextet as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// How many bytes the text stands for.
pub(crate) fn decoded_len(text: &str) -> usize {
    text.trim_end_matches('=').len() * 3 / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        for bytes in [&b""[..], b"f", b"fo", b"foo", b"foob", &[0xff, 0xfe, 0, 0x80]] {
            let text = encode(bytes);
            assert_eq!(text.len() % 4, 0);
            assert_eq!(decode(&text).unwrap(), bytes);
            assert_eq!(decoded_len(&text), bytes.len());
        }
        assert_eq!(encode(b"value"), "dmFsdWU=");
    }
}
