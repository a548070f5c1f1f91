//! Reading of one line: numbers, texts and the characters between them.

use super::{
    error::{Fault, ParseError},
    text::{hex, unescape},
};
use std::borrow::Cow;

/// A place in a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    line: &'a [u8],
    position: usize,
}

type Result<T> = std::result::Result<T, ParseError>;

impl<'a> Cursor<'a> {
    pub(super) fn new(line: &'a [u8]) -> Self {
        Cursor { line, position: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.line.get(self.position..).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.line.get(self.position).copied()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.line.len()
    }

    pub(super) fn fail<T>(&self, what: Fault) -> Result<T> {
        Err(ParseError {
            what,
            position: self.position,
        })
    }

    /// Goes past the text if it stands here.
    #[inline]
    pub(super) fn take(&mut self, text: &[u8]) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.position += text.len();
        }
        found
    }

    /// Goes past a character that must stand here.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        if self.peek() == Some(byte) {
            self.position += 1;
            return Ok(());
        }
        self.fail(Fault::Expected(match byte {
            b',' => "','",
            b')' => "')'",
            b':' => "':'",
            b'|' => "'|'",
            b' ' => "' '",
            b'(' => "'('",
            b'[' => "'['",
            b'#' => "'#'",
            _ => "another character",
        }))
    }

    /// Any character.
    pub(super) fn byte(&mut self) -> Result<u8> {
        match self.peek() {
            Some(byte) => {
                self.position += 1;
                Ok(byte)
            }
            None => self.fail(Fault::Expected("more text")),
        }
    }

    /// A decimal number of up to 64 bits.
    #[inline]
    pub(super) fn number64(&mut self) -> Result<u64> {
        let start = self.position;
        let mut value = 0u64;
        while let Some(digit) = self.peek().map(|byte| byte.wrapping_sub(b'0')) {
            if digit > 9 {
                break;
            }
            match value
                .checked_mul(10)
                .and_then(|v| v.checked_add(u64::from(digit)))
            {
                Some(next) => value = next,
                None => return self.fail(Fault::NumberTooLarge(64)),
            }
            self.position += 1;
        }
        if self.position == start {
            return self.fail(Fault::Expected("number"));
        }
        Ok(value)
    }

    /// A decimal number that fits the type.
    #[inline]
    pub(super) fn number<T: TryFrom<u64>>(&mut self) -> Result<T> {
        let start = self.position;
        let value = self.number64()?;
        T::try_from(value).map_err(|_| ParseError {
            what: Fault::NumberTooLarge(size_of::<T>() as u32 * 8),
            position: start,
        })
    }

    /// A number and the comma behind it.
    #[inline]
    pub(super) fn field<T: TryFrom<u64>>(&mut self) -> Result<T> {
        let value = self.number()?;
        self.expect(b',')?;
        Ok(value)
    }

    /// A number and the parenthesis behind it.
    #[inline]
    pub(super) fn last_field<T: TryFrom<u64>>(&mut self) -> Result<T> {
        let value = self.number()?;
        self.expect(b')')?;
        Ok(value)
    }

    /// 0 or 1.
    pub(super) fn flag(&mut self) -> Result<bool> {
        Ok(self.number::<u64>()? != 0)
    }

    /// Up to 32 bits of digits in base 8 or 16.
    pub(super) fn digits(&mut self, bits: u32) -> Result<u32> {
        let start = self.position;
        let mut value = 0u64;
        while let Some(digit) = self
            .peek()
            .and_then(hex)
            .filter(|&digit| digit >> bits == 0)
        {
            value = value << bits | u64::from(digit);
            if value > u64::from(u32::MAX) {
                return self.fail(Fault::NumberTooLarge(32));
            }
            self.position += 1;
        }
        if self.position == start {
            return self.fail(Fault::Expected("number"));
        }
        Ok(value as u32)
    }

    /// A text up to the next comma or parenthesis, of at most `max` bytes.
    pub(super) fn text(&mut self, max: usize) -> Result<Cow<'a, [u8]>> {
        let rest = self.rest();
        let end = rest
            .iter()
            .position(|&byte| byte == b',' || byte == b')')
            .unwrap_or(rest.len());
        let text = unescape(&rest[..end]).map_err(|(what, offset)| ParseError {
            what,
            position: self.position + offset,
        })?;
        if text.len() > max {
            return self.fail(Fault::TextTooLong(max));
        }
        self.position += end;
        Ok(text)
    }

    /// A text and the comma behind it.
    pub(super) fn text_field(&mut self, max: usize) -> Result<Cow<'a, [u8]>> {
        let text = self.text(max)?;
        self.expect(b',')?;
        Ok(text)
    }

    /// A text and the parenthesis behind it.
    pub(super) fn last_text(&mut self, max: usize) -> Result<Cow<'a, [u8]>> {
        let text = self.text(max)?;
        self.expect(b')')?;
        Ok(text)
    }
}
