//! Numbers for the monitors: the chunk matrices, the chunk loop, the storage classes.

use super::copies::Counted;

/// Rows and columns of a matrix: 0 to 9, and 10 for "10 or more".
pub const MATRIX: usize = 11;

/// How many chunks need *row* copies and have *column*.
pub type Matrix = [[u32; MATRIX]; MATRIX];

/// Chunks of a class by whether they have less, exactly or more than needed; wire-admin §4.16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassChunks {
    /// Under goal, exact, over goal; keep list.
    pub keep: [u64; 3],
    /// The same for archived chunks.
    pub archive: [u64; 3],
}

/// Incremental counts over all chunks.
#[derive(Debug)]
pub struct Census {
    all: Box<Matrix>,
    regular: Box<Matrix>,
    classes: Box<[ClassChunks; 256]>,
}

impl Default for Census {
    fn default() -> Census {
        Census {
            all: Box::default(),
            regular: Box::default(),
            classes: Box::new([ClassChunks::default(); 256]),
        }
    }
}

impl Census {
    /// Replaces what was counted for a chunk.
    pub fn change(&mut self, old: Counted, new: Counted) {
        self.count(old, false);
        self.count(new, true);
    }

    fn count(&mut self, counted: Counted, add: bool) {
        if !counted.counted {
            return;
        }
        let step32 = |cell: &mut u32| {
            *cell = if add {
                cell.saturating_add(1)
            } else {
                cell.saturating_sub(1)
            };
        };
        let row = usize::from(counted.needed).min(MATRIX - 1);
        let usable = usize::from(counted.usable).min(MATRIX - 1);
        let regular = usize::from(counted.regular).min(MATRIX - 1);
        step32(&mut self.all[row][usable]);
        step32(&mut self.regular[row][regular]);
        if row == 0 {
            return;
        }
        let class = &mut self.classes[usize::from(counted.class)];
        let side = if counted.archived {
            &mut class.archive
        } else {
            &mut class.keep
        };
        let cell = &mut side[match usable.cmp(&row) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => 1,
            std::cmp::Ordering::Greater => 2,
        }];
        *cell = if add {
            *cell + 1
        } else {
            cell.saturating_sub(1)
        };
    }

    /// Matrix over all usable copies.
    pub fn all(&self) -> &Matrix {
        &self.all
    }

    /// Matrix over usable copies on disks that are not marked for removal.
    pub fn regular(&self) -> &Matrix {
        &self.regular
    }

    /// Chunks of one class.
    pub fn class(&self, class: u8) -> ClassChunks {
        self.classes[usize::from(class)]
    }
}

/// Attempts of one pass over the chunks (message 514, wire-admin §4.5). `*_left`: wanted, but
/// postponed by limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopCounters {
    /// Damaged and wrong copies deleted.
    pub invalid: u32,
    /// Postponed.
    pub invalid_left: u32,
    /// Copies of chunks without files deleted.
    pub unused: u32,
    /// Postponed.
    pub unused_left: u32,
    /// Copies deleted to make room for others (§7.2 rule 12).
    pub disk_clean: u32,
    /// Postponed.
    pub disk_clean_left: u32,
    /// Surplus copies deleted.
    pub overgoal: u32,
    /// Postponed.
    pub overgoal_left: u32,
    /// Missing copies made.
    pub undergoal: u32,
    /// Postponed.
    pub undergoal_left: u32,
    /// Copies made on servers with the right labels.
    pub wrong_labels: u32,
    /// Postponed.
    pub wrong_labels_left: u32,
    /// Copies moved to emptier servers.
    pub rebalance: u32,
    /// Chunks whose labels no server has.
    pub labels_dont_match: u32,
    /// Locked chunks without files.
    pub locked_unused: u32,
    /// Locked chunks with files.
    pub locked_used: u32,
}

impl LoopCounters {
    /// Deletions ordered.
    pub fn deletions(&self) -> u64 {
        u64::from(self.invalid)
            + u64::from(self.unused)
            + u64::from(self.disk_clean)
            + u64::from(self.overgoal)
    }

    /// Deletions postponed.
    pub fn deletions_left(&self) -> u64 {
        u64::from(self.invalid_left)
            + u64::from(self.unused_left)
            + u64::from(self.disk_clean_left)
            + u64::from(self.overgoal_left)
    }
}

/// The last complete pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoopReport {
    /// When it began, seconds; 0: there was none.
    pub began: u32,
    /// When it ended.
    pub ended: u32,
    /// What happened.
    pub counters: LoopCounters,
}
