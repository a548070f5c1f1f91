//! How far a changelog is sound: its seals (see [`Seal`]), and where there are none, what its text
//! gives away.
//!
//! Two things go wrong with a file, and they mean different things. A crash *tears* what was being
//! written: bytes are missing at the end or read as zeros, and nobody was told that these changes
//! are saved. A *broken* file once was whole: a bit has flipped, somebody has edited it; changes that
//! were acknowledged are lost unless another file has them.

use super::{Damage, STEP_MAX, number};
use proto::MetaVersion;
use proto::changelog::Seal;

/// What a changelog is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Soundness {
    /// Bytes of sound lines from the beginning on; whatever follows does not count.
    pub sound: usize,
    /// What follows.
    pub damage: Option<Damage>,
    /// The last change that some batch knew to be on stable storage; `None` without seals.
    pub stable: Option<u64>,
}

/// Looks at all lines of a changelog.
pub fn check(bytes: &[u8]) -> Soundness {
    let mut walk = Walk {
        bytes,
        at: 0,
        batch: 0,
        last: None,
        sealed: None,
        stable: None,
    };
    let mut sound = 0;
    while walk.at < bytes.len() {
        if !walk.line() {
            let end = walk.sound();
            return Soundness {
                sound: end,
                damage: Some(walk.judge(end)),
                stable: walk.stable,
            };
        }
        sound = walk.at;
    }
    Soundness {
        sound,
        damage: None,
        stable: walk.stable,
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    /// Where the next line begins.
    at: usize,
    /// Where the lines begin that no seal has covered yet.
    batch: usize,
    /// Number of the last line.
    last: Option<u64>,
    /// Number of the last line in front of `batch`.
    sealed: Option<u64>,
    /// Highest number that a good seal has.
    stable: Option<u64>,
}

impl Walk<'_> {
    fn newline(&self, from: usize) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        memchr::memchr(b'\n', rest).map(|end| from + end)
    }

    /// Goes past one line; `false` when there is something wrong with it or with its batch.
    fn line(&mut self) -> bool {
        let Some(end) = self.newline(self.at) else {
            return false;
        };
        let line = &self.bytes[self.at..end];
        let follows = |&next: &u64| {
            self.last
                .is_none_or(|last| next > last && next - last < STEP_MAX)
        };
        let Some(next) = number(line).filter(follows) else {
            return false;
        };
        let (text, seal) = Seal::split(line);
        let Some(seal) = seal else {
            if line.contains(&0) {
                return false;
            }
            self.last = Some(next);
            self.at = end + 1;
            return true;
        };
        let sealed_to = self.at + text.len();
        let Some(from) = usize::try_from(seal.bytes)
            .ok()
            .and_then(|bytes| sealed_to.checked_sub(bytes))
        else {
            return false;
        };
        // Lines without a seal in front of it are those of a MooseFS master.
        let begins_a_line =
            from == self.batch || self.bytes.get(from.wrapping_sub(1)) == Some(&b'\n');
        if from < self.batch || !begins_a_line || !seal.fits(&self.bytes[from..sealed_to]) {
            return false;
        }
        self.last = Some(next);
        self.sealed = self.last;
        self.stable = self.stable.max(Some(seal.stable));
        self.at = end + 1;
        self.batch = self.at;
        true
    }

    /// How far the file is sound when the next line is not: a line that is itself well formed may be
    /// the end of a batch that is not.
    fn sound(&self) -> usize {
        let is_seal_wrong = self.newline(self.at).is_some_and(|end| {
            let line = &self.bytes[self.at..end];
            Seal::split(line).1.is_some()
        });
        if is_seal_wrong { self.batch } else { self.at }
    }

    /// What it means that the file is not sound from `at` on.
    fn judge(&self, at: usize) -> Damage {
        let after = if at == self.batch {
            self.sealed
        } else {
            self.last
        };
        let mut next = self.at;
        let mut broken_to = self.bytes.len();
        let mut resumes = false;
        let mut last = after;
        while let Some(end) = self.newline(next) {
            let line = &self.bytes[next..end];
            let follows =
                |&next: &u64| last.is_none_or(|last| next > last && next - last < STEP_MAX);
            let found = number(line).filter(follows);
            last = found.or(last);
            if found.is_some() && self.proves_stable(at, after, next, line) {
                return self.broken(at, last);
            }
            if found.is_some() && next > self.at && !resumes && !line.contains(&0) {
                resumes = true;
                broken_to = next;
            }
            next = end + 1;
        }
        let region = &self.bytes[at..broken_to];
        let is_torn = region.contains(&0) || !resumes && region.last() != Some(&b'\n');
        if is_torn {
            return Damage::Torn {
                after: after.map(MetaVersion),
                bytes: self.bytes.len() - at,
            };
        }
        self.broken(at, last)
    }

    /// Whether a line behind the unsound byte `at` ends a good batch whose writer knew the changes
    /// there to be on stable storage.
    fn proves_stable(&self, at: usize, after: Option<u64>, from: usize, line: &[u8]) -> bool {
        let (text, Some(seal)) = Seal::split(line) else {
            return false;
        };
        let end = from + text.len();
        let batch = usize::try_from(seal.bytes).ok().and_then(|bytes| {
            self.bytes
                .get(end.checked_sub(bytes).filter(|&from| from > at)?..end)
        });
        let Some(batch) = batch.filter(|batch| seal.fits(batch)) else {
            return false;
        };
        match after {
            Some(after) => after < seal.stable,
            None => number(batch).is_some_and(|first| first <= seal.stable + 1),
        }
    }

    fn broken(&self, at: usize, last: Option<u64>) -> Damage {
        let after = if at == self.batch {
            self.sealed
        } else {
            self.last
        };
        Damage::Broken {
            after: after.map(MetaVersion),
            last: last.map(MetaVersion),
            offset: at as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Soundness, check};
    use crate::merge::Damage;
    use proto::changelog::Seal;

    /// A file of batches: lines of numbers, and the last stable one; `None` leaves the seal out.
    fn file(batches: &[(&[u64], Option<u64>)]) -> Vec<u8> {
        let mut file = Vec::new();
        for (numbers, stable) in batches {
            let lines: Vec<String> = numbers
                .iter()
                .map(|number| format!("{number}: 5|ACCESS(1)"))
                .collect();
            let mut text = lines.join("\n").into_bytes();
            if let Some(stable) = stable {
                Seal::of(&text.clone(), *stable).write(&mut text);
            }
            text.push(b'\n');
            file.extend(text);
        }
        file
    }

    fn story(bytes: &[u8]) -> String {
        let Soundness { sound, damage, .. } = check(bytes);
        let lines = bytes[..sound].iter().filter(|byte| **byte == b'\n').count();
        match damage {
            None => format!("{lines} whole"),
            Some(Damage::Torn { after, bytes }) => {
                format!(
                    "{lines} torn behind {} ({bytes})",
                    after.unwrap_or_default()
                )
            }
            Some(Damage::Broken { after, last, .. }) => format!(
                "{lines} broken behind {} to {}",
                after.unwrap_or_default(),
                last.unwrap_or_default()
            ),
        }
    }

    const DURABLE: [(&[u64], Option<u64>); 3] =
        [(&[1, 2], Some(0)), (&[3, 4, 5], Some(2)), (&[6], Some(5))];

    #[test]
    fn whole_files_are_whole_whoever_wrote_them() {
        assert_eq!(story(b""), "0 whole");
        assert_eq!(story(&file(&DURABLE)), "6 whole");
        assert_eq!(story(&file(&[(&[1, 2, 3], None)])), "3 whole");
        let mixed: [(&[u64], Option<u64>); 3] =
            [(&[1, 2], Some(0)), (&[3, 4], None), (&[5, 6], Some(4))];
        assert_eq!(story(&file(&mixed)), "6 whole", "the real master between");
    }

    #[test]
    fn a_crash_tears_the_batch_that_was_being_written_and_no_other() {
        let whole = file(&DURABLE);
        let last = file(&DURABLE[..2]).len();
        for end in last + 1..whole.len() {
            let expected = format!("5 torn behind 5 ({})", end - last);
            assert_eq!(story(&whole[..end]), expected);
            let mut hole = whole.clone();
            hole[end - 1] = 0;
            let expected = format!("5 torn behind 5 ({})", whole.len() - last);
            assert_eq!(story(&hole), expected, "a zero at {}", end - 1);
        }
        // The batch before was on stable storage, as the last one says.
        let mut hole = whole.clone();
        hole[last - 5] = 0;
        assert_eq!(story(&hole), "4 broken behind 4 to 6", "its seal");
        let mut hole = whole.clone();
        hole[last - 25] = 0;
        assert_eq!(story(&hole), "2 broken behind 2 to 6", "its last line");
        // Without syncs in between any of them may be missing.
        let lazy: [(&[u64], Option<u64>); 3] =
            [(&[1, 2], Some(0)), (&[3, 4, 5], Some(2)), (&[6], Some(2))];
        let mut hole = file(&lazy);
        let first = file(&lazy[..1]).len();
        hole[first + 4..first + 9].fill(0);
        let expected = format!("2 torn behind 2 ({})", hole.len() - first);
        assert_eq!(story(&hole), expected);
    }

    #[test]
    fn every_flipped_bit_in_front_of_the_last_line_is_found() {
        let whole = file(&DURABLE);
        for at in 0..whole.len() - 1 {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                let Soundness { sound, damage, .. } = check(&flipped);
                // A line without a seal that reads differently is the replay's to find.
                let is_seen = damage.is_some() || flipped[..sound] == flipped[..];
                let text = String::from_utf8_lossy(&flipped).into_owned();
                assert!(is_seen, "{text}");
                if damage.is_none() {
                    let bad = flipped
                        .split(|byte| *byte == b'\n')
                        .filter(|line| !line.is_empty())
                        .filter(|line| proto::changelog::parse(line).is_err());
                    assert_eq!(bad.count(), 1, "{text}");
                }
            }
        }
    }
}
