//! Which disk a new chunk goes to (chunkserver §5.2), and which subfolder (§4.1).

use std::collections::BTreeMap;

/// A disk that may get chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Number of the disk.
    pub disk: u16,
    /// Usable bytes in total.
    pub total: u64,
    /// Usable bytes left.
    pub free: u64,
    /// The rebalancer has put a chunk there within the last ten seconds.
    pub receiving: bool,
}

/// Takes turns: each disk gets chunks in proportion to its size, evenly spaced.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    credit: BTreeMap<u16, i128>,
}

impl Turns {
    /// The next disk; `None` when none has room.
    pub fn next(&mut self, candidates: &[Candidate]) -> Option<u16> {
        let with_room: Vec<Candidate> = candidates
            .iter()
            .filter(|disk| disk.total > 0 && disk.free > 0)
            .copied()
            .collect();
        let roomy = prefer(
            with_room,
            |disk| disk.free >= disk.total / 1000,
            |_, _| true,
        );
        // Disks that the rebalancer fills are spared while enough others are there.
        let chosen = prefer(
            roomy,
            |disk| !disk.receiving,
            |preferred, all| 3 * preferred >= 2 * all,
        );
        self.credit
            .retain(|disk, _| candidates.iter().any(|candidate| candidate.disk == *disk));
        let sum: i128 = chosen.iter().map(|disk| i128::from(disk.total)).sum();
        for disk in &chosen {
            *self.credit.entry(disk.disk).or_default() += i128::from(disk.total);
        }
        let credit = &self.credit;
        let next = chosen
            .iter()
            .max_by_key(|disk| credit.get(&disk.disk).copied().unwrap_or_default())?
            .disk;
        *self.credit.entry(next).or_default() -= sum;
        Some(next)
    }
}

/// Those that satisfy `better`, if there are any and `enough` of them.
fn prefer(
    all: Vec<Candidate>,
    better: impl Fn(&Candidate) -> bool,
    enough: impl Fn(usize, usize) -> bool,
) -> Vec<Candidate> {
    let preferred: Vec<Candidate> = all.iter().filter(|disk| better(disk)).copied().collect();
    if !preferred.is_empty() && enough(preferred.len(), all.len()) {
        preferred
    } else {
        all
    }
}

/// Chunks in the 256 subfolders of a disk, and the one that is being filled.
#[derive(Clone, Debug)]
pub struct Folders {
    counts: [u32; 256],
    current: u8,
}

impl Default for Folders {
    fn default() -> Folders {
        Folders {
            counts: [0; 256],
            current: 0,
        }
    }
}

impl Folders {
    /// A chunk was found in a subfolder.
    pub fn found(&mut self, folder: u8) {
        self.counts[usize::from(folder)] += 1;
    }

    /// A chunk has left a subfolder.
    pub fn removed(&mut self, folder: u8) {
        let count = &mut self.counts[usize::from(folder)];
        *count = count.saturating_sub(1);
    }

    /// Subfolder of a new chunk, which is counted: the current one until it has `ahead` chunks more
    /// than the emptiest.
    pub fn place(&mut self, ahead: u32) -> u8 {
        let (emptiest, fewest) = self
            .counts
            .iter()
            .copied()
            .zip(0_u8..=255)
            .map(|(count, folder)| (folder, count))
            .min_by_key(|&(_, count)| count)
            .unwrap_or_default();
        if self.counts[usize::from(self.current)] >= fewest.saturating_add(ahead) {
            self.current = emptiest;
        }
        self.found(self.current);
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, Folders, Turns};

    fn disk(disk: u16, total: u64, free: u64) -> Candidate {
        Candidate {
            disk,
            total,
            free,
            receiving: false,
        }
    }

    #[test]
    fn chunks_are_spread_in_proportion_to_size() {
        let mut turns = Turns::default();
        let disks = [disk(1, 3000, 3000), disk(2, 1000, 1000), disk(3, 1000, 0)];
        let order: Vec<u16> = (0..8).filter_map(|_| turns.next(&disks)).collect();
        assert_eq!(order, [1, 2, 1, 1, 1, 2, 1, 1]);
        assert_eq!(turns.next(&[disk(1, 0, 0)]), None);
        assert_eq!(turns.next(&[]), None);
    }

    #[test]
    fn nearly_full_and_receiving_disks_are_spared_while_others_are_there() {
        let mut turns = Turns::default();
        let full = disk(1, 10_000, 9);
        assert_eq!(turns.next(&[full, disk(2, 10, 5)]), Some(2));
        assert_eq!(turns.next(&[full]), Some(1));
        let receiving = Candidate {
            receiving: true,
            ..disk(3, 1_000_000, 1_000_000)
        };
        for _ in 0..5 {
            let next = turns.next(&[receiving, disk(4, 10, 10), disk(5, 10, 10)]);
            assert_ne!(next, Some(3));
        }
        assert_eq!(
            turns.next(&[receiving, disk(4, 10, 10)]),
            Some(3),
            "half is not enough"
        );
    }

    #[test]
    fn subfolders_are_filled_one_after_another() {
        let mut folders = Folders::default();
        folders.found(1);
        let order: Vec<u8> = (0..5).map(|_| folders.place(2)).collect();
        assert_eq!(order, [0, 0, 2, 2, 3]);
        folders.removed(3);
        folders.removed(3);
        assert_eq!(folders.place(1), 3);
    }
}
