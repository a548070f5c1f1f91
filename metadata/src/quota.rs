//! Quotas of directories: limits, what exceeds them, and the clock of the soft ones
//! (master-behaviour §12).

mod changes;

pub use changes::{QuotaReport, QuotaRequest};

use crate::digest::{Kind, Sum};
use proto::Inode;

/// What quotas count, for everything below a directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Inodes, without the directory itself.
    pub inodes: u64,
    /// Sum of lengths, bytes.
    pub length: u64,
    /// Bytes of one copy of all chunks.
    pub size: u64,
    /// Bytes of all copies.
    pub real_size: u64,
}

impl Usage {
    /// What an operation that adds nothing adds.
    pub const NONE: Usage = Usage {
        inodes: 0,
        length: 0,
        size: 0,
        real_size: 0,
    };

    fn by_kind(self) -> [u64; 4] {
        [self.inodes, self.length, self.size, self.real_size]
    }
}

/// Limits of one sort, soft or hard; what a limit without its flag holds has no meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Inodes.
    pub inodes: u32,
    /// Length, bytes.
    pub length: u64,
    /// Size, bytes.
    pub size: u64,
    /// Real size, bytes.
    pub real_size: u64,
}

impl Limits {
    /// Takes the values of the kinds in `kinds` (bits in the order of the fields) from `other`.
    fn take(&mut self, kinds: u8, other: Limits) {
        if kinds & 1 != 0 {
            self.inodes = other.inodes;
        }
        if kinds & 2 != 0 {
            self.length = other.length;
        }
        if kinds & 4 != 0 {
            self.size = other.size;
        }
        if kinds & 8 != 0 {
            self.real_size = other.real_size;
        }
    }

    fn by_kind(self) -> [u64; 4] {
        [self.inodes.into(), self.length, self.size, self.real_size]
    }
}

/// Flags of the soft limits.
pub const SOFT: u8 = 0x0F;
/// Flags of the hard limits.
pub const HARD: u8 = 0xF0;

/// The quota of one directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Limits that exist: soft inodes 01, length 02, size 04, real size 08; hard 10, 20, 40, 80.
    pub flags: u8,
    /// Seconds for which a soft limit may be exceeded before it blocks.
    pub grace_seconds: u32,
    /// A soft limit has been exceeded for longer than that.
    pub exceeded: bool,
    /// Second since which a soft limit is exceeded; 0 when none is.
    pub since: u32,
    /// Soft limits.
    pub soft: Limits,
    /// Hard limits.
    pub hard: Limits,
}

impl Quota {
    /// Sets the limits named by `flags`. Grace 0 keeps the present time. The clock of soft limits
    /// goes on: the check of the next second sees to it.
    pub fn set_limits(&mut self, flags: u8, grace_seconds: u32, soft: Limits, hard: Limits) {
        self.flags |= flags;
        if grace_seconds != 0 {
            self.grace_seconds = grace_seconds;
        }
        self.soft.take(flags & SOFT, soft);
        self.hard.take(flags >> 4, hard);
    }

    /// Removes the limits named by `flags`; they read 0 from then on. Without any limit nothing of
    /// the quota is left.
    pub fn remove_limits(&mut self, flags: u8) {
        self.flags &= !flags;
        self.soft.take(flags & SOFT, Limits::default());
        self.hard.take(flags >> 4, Limits::default());
        if self.flags == 0 {
            *self = Quota::default();
        }
    }

    /// Flags of the soft limits that this usage is above.
    pub fn soft_exceeded(&self, usage: Usage) -> u8 {
        above(self.flags & SOFT, self.soft, usage)
    }

    /// Flags of the hard limits that this usage would be above, shifted to the soft positions.
    fn hard_exceeded(&self, usage: Usage) -> u8 {
        above(self.flags >> 4, self.hard, usage)
    }
}

fn above(flags: u8, limits: Limits, usage: Usage) -> u8 {
    let kinds = limits.by_kind().into_iter().zip(usage.by_kind());
    let mut found = 0;
    for (kind, (limit, used)) in kinds.enumerate() {
        let flag = 1 << kind;
        if flags & flag != 0 && used > limit {
            found |= flag;
        }
    }
    found
}

/// The smaller of the soft and the hard limits of one kind, if there is any.
fn smaller(quota: &Quota, kind: usize) -> Option<u64> {
    let soft = (quota.flags & 1 << kind != 0).then_some(quota.soft.by_kind()[kind]);
    let hard = (quota.flags & 0x10 << kind != 0).then_some(quota.hard.by_kind()[kind]);
    match (soft, hard) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (one, other) => one.or(other),
    }
}

/// Space as STATFS shows it, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Size of the file system.
    pub total: u64,
    /// What may still be written.
    pub available: u64,
    /// The same before reserves are subtracted.
    pub free: u64,
}

/// The quotas of all directories that have one. A clone shares everything with the original.
#[derive(Clone, Debug, Default)]
pub struct Quotas {
    by_inode: imbl::OrdMap<u32, Quota>,
}

impl Quotas {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &Quotas, sum: &mut Sum) {
        sum.map(&old.by_inode, &self.by_inode, |sum, side, inode, quota| {
            let soft = quota.soft.by_kind().map(u64::to_be_bytes);
            let hard = quota.hard.by_kind().map(u64::to_be_bytes);
            let parts = [
                &inode.to_be_bytes()[..],
                &[quota.flags, u8::from(quota.exceeded)],
                &quota.grace_seconds.to_be_bytes(),
                &quota.since.to_be_bytes(),
                soft.as_flattened(),
                hard.as_flattened(),
            ];
            sum.count(side, Kind::Quota, &parts);
        });
    }

    /// The quota of a directory.
    pub fn get(&self, inode: Inode) -> Option<&Quota> {
        if self.by_inode.is_empty() {
            return None;
        }
        self.by_inode.get(&inode.0)
    }

    /// All quotas, ascending by inode.
    pub fn iter(&self) -> impl Iterator<Item = (Inode, &Quota)> {
        self.by_inode
            .iter()
            .map(|(&inode, quota)| (Inode(inode), quota))
    }

    /// Number of directories with a quota.
    pub fn len(&self) -> usize {
        self.by_inode.len()
    }

    /// Whether no directory has a quota: then nothing has to be computed.
    pub fn is_empty(&self) -> bool {
        self.by_inode.is_empty()
    }

    /// Sets or replaces the quota of a directory; one without limits is removed.
    pub fn set(&mut self, inode: Inode, quota: Quota) {
        if quota.flags == 0 {
            self.by_inode.remove(&inode.0);
        } else {
            self.by_inode.insert(inode.0, quota);
        }
    }

    /// The directory is gone.
    pub fn remove(&mut self, inode: Inode) {
        if !self.by_inode.is_empty() {
            self.by_inode.remove(&inode.0);
        }
    }

    /// Whether an operation that adds `added` below these directories (a directory and all above
    /// it) is to be refused with 34 (master-behaviour §12.3): a hard limit would be exceeded, or a
    /// soft limit has been for longer than its grace time. Only limits of the kinds that the
    /// operation adds to count.
    pub fn exceeded(
        &self,
        directories: impl IntoIterator<Item = Inode>,
        usage_of: impl Fn(Inode) -> Usage,
        added: Usage,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        directories.into_iter().any(|inode| {
            self.get(inode)
                .is_some_and(|quota| refuses(quota, usage_of(inode), added))
        })
    }

    /// Narrows the space of a file system by the quota of one directory (master-behaviour §12.4);
    /// to be called for the session's root and then for each directory above it.
    pub fn narrow(&self, inode: Inode, usage_of: impl Fn(Inode) -> Usage, space: Space) -> Space {
        const REAL_SIZE: usize = 3;
        const SIZE: usize = 2;
        const LENGTH: usize = 1;
        let Some(quota) = self.get(inode) else {
            return space;
        };
        let usage = usage_of(inode).by_kind();
        let mut space = space;
        for kind in [REAL_SIZE, SIZE, LENGTH] {
            if let Some(limit) = smaller(quota, kind) {
                let used = usage[kind];
                let left = limit.saturating_sub(used);
                space.available = space.available.min(left);
                space.free = space.free.min(left);
                space.total = space
                    .total
                    .min(limit)
                    .min(used.saturating_add(space.available));
            }
        }
        space
    }

    /// What the check of a second changes: the directories whose soft limits began or ceased to be
    /// exceeded, or whose grace time has ended, with their new quota.
    pub fn due(&self, usage_of: impl Fn(Inode) -> Usage, now: u32) -> Vec<(Inode, Quota)> {
        self.iter()
            .filter_map(|(inode, quota)| Some((inode, checked(quota, usage_of(inode), now)?)))
            .collect()
    }
}

fn refuses(quota: &Quota, usage: Usage, added: Usage) -> bool {
    let mut concerned = 0;
    for (kind, amount) in added.by_kind().into_iter().enumerate() {
        concerned |= u8::from(amount > 0) << kind;
    }
    let then = Usage {
        inodes: usage.inodes.saturating_add(added.inodes),
        length: usage.length.saturating_add(added.length),
        size: usage.size.saturating_add(added.size),
        real_size: usage.real_size.saturating_add(added.real_size),
    };
    let soft = if quota.exceeded {
        quota.soft_exceeded(usage)
    } else {
        0
    };
    (quota.hard_exceeded(then) | soft) & concerned != 0
}

fn checked(quota: &Quota, usage: Usage, now: u32) -> Option<Quota> {
    let mut next = *quota;
    if quota.soft_exceeded(usage) == 0 {
        next.since = 0;
        next.exceeded = false;
    } else {
        if quota.since == 0 {
            next.since = now;
        }
        // Counted anew each second: the limits or the grace time may have been changed meanwhile.
        next.exceeded = next.since.saturating_add(quota.grace_seconds) < now;
    }
    (next != *quota).then_some(next)
}

#[cfg(test)]
mod tests;
