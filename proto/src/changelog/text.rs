//! Numbers and escaped texts (metadata-and-changelog §3.2), written without the formatting
//! machinery: these run for every change of the file system.

use super::error::Fault;
use std::{borrow::Cow, fmt};

const HEX: [u8; 16] = *b"0123456789ABCDEF";

/// Whether a byte is written as `%XX`.
const fn is_escaped(byte: u8) -> bool {
    byte < 0x20 || byte >= 0x7F || matches!(byte, b',' | b'%' | b'(' | b')')
}

static ESCAPED: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = is_escaped(byte as u8);
        byte += 1;
    }
    table
};

/// Appends a text, escaped.
pub fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(plain) = rest.iter().position(|&byte| ESCAPED[usize::from(byte)]) {
        let byte = rest[plain];
        out.extend_from_slice(&rest[..plain]);
        out.extend_from_slice(&[
            b'%',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]);
        rest = &rest[plain + 1..];
    }
    out.extend_from_slice(rest);
}

/// Shows a text escaped, as messages about names do.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::with_capacity(self.0.len());
        escape(self.0, &mut out);
        // Everything that is not ASCII has been escaped.
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

/// The text of an escaped one; `Err` has the position of the bad escape.
pub(super) fn unescape(escaped: &[u8]) -> Result<Cow<'_, [u8]>, (Fault, usize)> {
    let Some(first) = escaped.iter().position(|&byte| byte == b'%') else {
        return Ok(Cow::Borrowed(escaped));
    };
    let mut text = Vec::with_capacity(escaped.len());
    text.extend_from_slice(&escaped[..first]);
    let mut position = first;
    while let Some(&byte) = escaped.get(position) {
        if byte == b'%' {
            let high = escaped.get(position + 1).and_then(|&digit| hex(digit));
            let low = escaped.get(position + 2).and_then(|&digit| hex(digit));
            let (Some(high), Some(low)) = (high, low) else {
                return Err((Fault::BadEscape, position));
            };
            text.push(high << 4 | low);
            position += 3;
        } else {
            text.push(byte);
            position += 1;
        }
    }
    Ok(Cow::Owned(text))
}

/// Value of an upper-case hexadecimal digit.
pub(super) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Appends a decimal number.
#[inline]
pub(super) fn number(value: impl Into<u64>, out: &mut Vec<u8>) {
    let mut buffer = itoa::Buffer::new();
    out.extend_from_slice(buffer.format(value.into()).as_bytes());
}

/// Appends `0` and at least three octal digits.
pub(super) fn octal(value: u16, out: &mut Vec<u8>) {
    let digits = (3..6)
        .find(|&digits| value >> (3 * digits) == 0)
        .unwrap_or(6);
    out.push(b'0');
    for digit in (0..digits).rev() {
        out.push(b'0' + (value >> (3 * digit) & 7) as u8);
    }
}

/// Appends `0x` and eight hexadecimal digits.
pub(super) fn hexadecimal(value: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0x");
    for digit in (0..8).rev() {
        out.push(HEX[(value >> (4 * digit) & 15) as usize]);
    }
}
