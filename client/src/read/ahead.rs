//! How far to read ahead (client-behaviour §11.2). Pure: reads come in, a window goes out.

/// Highest level.
const LEVEL_MAX: u32 = 4;
/// Sequential bytes after which a handle that did not start at the beginning reads ahead.
const FIRST_TRIGGER: u64 = 256 << 10;

/// Limits of reading ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AheadOptions {
    /// Window of the first level, bytes.
    pub(crate) length: u64,
    /// Sequential bytes that raise the level.
    pub(crate) trigger: u64,
}

/// Pattern of the reads of one handle.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    level: u32,
    expected: u64,
    run: u64,
    has_read: bool,
}

impl Ahead {
    /// A read happens; how many bytes behind it are worth fetching.
    pub(crate) fn read(&mut self, offset: u64, size: u64, options: &AheadOptions) -> u64 {
        if !self.has_read {
            self.has_read = true;
            self.level = u32::from(offset == 0);
            self.expected = offset;
        }
        if offset.abs_diff(self.expected) > options.length / 2 {
            self.level = self.level.saturating_sub(1);
            self.run = 0;
        } else {
            self.run += size;
            let trigger = if self.level == 0 {
                FIRST_TRIGGER
            } else {
                options.trigger
            };
            if self.run >= trigger && self.level < LEVEL_MAX {
                self.level += 1;
                self.run = 0;
            }
        }
        self.expected = offset + size;
        match self.level {
            0 => 0,
            level => options.length << (2 * (level - 1)),
        }
    }

    /// Whether the reads jump about: nothing of them is worth keeping.
    pub(crate) fn is_random(&self) -> bool {
        self.level == 0
    }
}

#[cfg(test)]
mod tests {
    use super::{Ahead, AheadOptions};

    const MIB: u64 = 1 << 20;
    const OPTIONS: AheadOptions = AheadOptions {
        length: MIB,
        trigger: 10 * MIB,
    };

    #[test]
    fn the_window_quadruples_while_reads_are_sequential() {
        let mut ahead = Ahead::default();
        let windows: Vec<u64> = (0..64)
            .map(|n| ahead.read(n * MIB, MIB, &OPTIONS) / MIB)
            .collect();
        let mut steps = windows.clone();
        steps.dedup();
        assert_eq!(steps, [1, 4, 16, 64]);
        assert_eq!(windows[8..11], [1, 4, 4]);
    }

    #[test]
    fn jumps_lower_it_again() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.read(0, 4096, &OPTIONS), MIB);
        assert_eq!(
            ahead.read(4096 + 100_000, 4096, &OPTIONS),
            MIB,
            "a small jump"
        );
        assert_eq!(ahead.read(900 * MIB, 4096, &OPTIONS), 0);
        assert!(ahead.is_random());
        assert_eq!(ahead.read(5 * MIB, 4096, &OPTIONS), 0);
    }

    #[test]
    fn a_start_in_the_middle_becomes_sequential_soon() {
        let mut ahead = Ahead::default();
        let at = |n: u64| 77 * MIB + n * 131_072;
        assert_eq!(ahead.read(at(0), 131_072, &OPTIONS), 0);
        assert_eq!(ahead.read(at(1), 131_072, &OPTIONS), MIB);
    }
}
