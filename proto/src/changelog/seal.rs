//! What closes a batch of lines on disk: text behind the last line of the batch, by which a flipped
//! bit or a lost sector is found.
//!
//! ` #BYTES,CRC,STABLE`: length of the batch up to this text, a CRC-32 with eight hexadecimal
//! digits, and the last change that was on stable storage when the batch was written. MooseFS reads a
//! line up to its last field and does not look at what follows (metadata-and-changelog §3.1); the
//! network stream never has it.

use std::io::Write as _;

/// Longest seal with its space, bytes.
pub const SEAL_BYTES_MAX: usize = 2 + 20 + 1 + 8 + 1 + 20;

/// The seal of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Bytes of the batch in front of the seal.
    pub bytes: u64,
    /// CRC-32 of these bytes and the eight bytes of `stable`, big endian.
    pub crc: u32,
    /// Number of the last change that was on stable storage before: a batch behind it may be torn
    /// by a crash, one up to it may not.
    pub stable: u64,
}

impl Seal {
    /// The seal of a batch without its last newline.
    pub fn of(batch: &[u8], stable: u64) -> Seal {
        Seal {
            bytes: batch.len() as u64,
            crc: Seal::crc(batch, stable),
            stable,
        }
    }

    fn crc(batch: &[u8], stable: u64) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(batch);
        hasher.update(&stable.to_be_bytes());
        hasher.finalize()
    }

    /// Appends the text.
    pub fn write(&self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = write!(out, " #{},{:08x},{}", self.bytes, self.crc, self.stable);
    }

    /// Whether these are the bytes of the batch.
    pub fn fits(&self, batch: &[u8]) -> bool {
        batch.len() as u64 == self.bytes && Seal::crc(batch, self.stable) == self.crc
    }

    /// A line without its newline, and the seal behind it.
    #[inline]
    pub fn split(line: &[u8]) -> (&[u8], Option<Seal>) {
        let from = line.len().saturating_sub(SEAL_BYTES_MAX);
        let Some(at) = line[from..].iter().rposition(|&byte| byte == b'#') else {
            return (line, None);
        };
        let (Some(text), Some((b' ', before))) =
            (line.get(from + at + 1..), line[..from + at].split_last())
        else {
            return (line, None);
        };
        match Seal::read(text) {
            Some(seal) => (before, Some(seal)),
            None => (line, None),
        }
    }

    fn read(text: &[u8]) -> Option<Seal> {
        let mut fields = std::str::from_utf8(text).ok()?.split(',');
        let (bytes, crc, stable) = (fields.next()?, fields.next()?, fields.next()?);
        let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_seal = fields.next().is_none()
            && only_digits(bytes)
            && only_digits(stable)
            && crc.len() == 8
            && crc.bytes().all(is_lower_hex);
        Some(Seal {
            bytes: bytes.parse().ok().filter(|_| is_seal)?,
            crc: u32::from_str_radix(crc, 16).ok()?,
            stable: stable.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{SEAL_BYTES_MAX, Seal};

    #[test]
    fn a_seal_is_split_from_its_line() {
        let lines = b"7: 5|ACCESS(1)\n8: 5|UNLINK(1,a #1%2C2):4";
        for seal in [
            Seal::of(lines, 6),
            Seal {
                bytes: u64::MAX,
                crc: u32::MAX,
                stable: u64::MAX,
            },
        ] {
            let mut text = lines.to_vec();
            seal.write(&mut text);
            assert!(text.len() <= lines.len() + SEAL_BYTES_MAX);
            assert_eq!(Seal::split(&text), (&lines[..], Some(seal)));
        }
        assert!(Seal::of(lines, 6).fits(lines));
        assert!(!Seal::of(lines, 6).fits(&lines[1..]));
    }

    #[test]
    fn what_is_no_seal_stays_in_the_line() {
        for line in [
            "8: 5|UNLINK(1,a):4",
            "8: 5|UNLINK(1,a):4 #",
            "8: 5|UNLINK(1,a):4 #1,0000000a",
            "8: 5|UNLINK(1,a):4 #1,0000000A,3",
            "8: 5|UNLINK(1,a):4 #1,000000a,3",
            "8: 5|UNLINK(1,a):4 #+1,0000000a,3",
            "8: 5|UNLINK(1,a):4 #1,0000000a,3,",
            "8: 5|UNLINK(1,a):4#1,0000000a,3",
            "8: 5|UNLINK(1,a):4 #1,0000000a,99999999999999999999",
            "#1,0000000a,3",
            "",
        ] {
            assert_eq!(Seal::split(line.as_bytes()), (line.as_bytes(), None));
        }
    }
}
