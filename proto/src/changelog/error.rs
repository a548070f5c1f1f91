//! Why a line cannot be understood.

use std::fmt;

/// A line that is not one of the grammar, and where it stops being one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {position}")]
pub struct ParseError {
    /// What is wrong.
    pub what: Fault,
    /// Byte of the line, counted from 0.
    pub position: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The named text should stand here.
    Expected(&'static str),
    /// The number does not fit the field of that many bits.
    NumberTooLarge(u32),
    /// `%` without two upper-case hexadecimal digits.
    BadEscape,
    /// The text is longer than the field allows, in bytes.
    TextTooLong(usize),
    /// The value is not one of the field's.
    BadValue(&'static str),
    /// No operation has this name.
    UnknownEntry(String),
    /// An operation of MooseFS 4.x whose effect cannot be reproduced here.
    Foreign(&'static str),
    /// The line is longer than any that a master writes.
    LineTooLong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Expected(what) => write!(f, "{what} expected"),
            Fault::NumberTooLarge(bits) => write!(f, "number does not fit {bits} bits"),
            Fault::BadEscape => f.write_str("'%' without two upper-case hexadecimal digits"),
            Fault::TextTooLong(max) => write!(f, "text longer than {max} bytes"),
            Fault::BadValue(field) => write!(f, "impossible {field}"),
            Fault::UnknownEntry(name) => write!(f, "unknown entry '{name}'"),
            Fault::Foreign(name) => write!(
                f,
                "entry '{name}' of MooseFS 4 has an effect that this version cannot reproduce"
            ),
            Fault::LineTooLong => f.write_str("line too long"),
        }
    }
}
