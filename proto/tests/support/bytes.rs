//! The notation of bytes in vector files.

#![allow(clippy::unwrap_used, reason = "in tests a failure is a panic")]

/// Bytes of hexadecimal words, repetitions, ramps and texts.
pub fn parse_bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace() {
        let (word, count) = match word.split_once('*') {
            Some((word, count)) => (word, count.parse().unwrap()),
            None => (word, 1),
        };
        let part = if word == "ramp" {
            (0..=255).collect()
        } else if let Some(text) = word.strip_prefix('"') {
            text.trim_end_matches('"').as_bytes().to_vec()
        } else {
            assert!(word.len().is_multiple_of(2), "odd number of digits: {word}");
            (0..word.len() / 2)
                .map(|place| u8::from_str_radix(&word[2 * place..2 * place + 2], 16).unwrap())
                .collect::<Vec<u8>>()
        };
        bytes.extend(part.repeat(count));
    }
    bytes
}
