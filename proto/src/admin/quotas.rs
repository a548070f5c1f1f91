//! Quotas as the master lists them (wire-admin §4.7).

use crate::ids::Inode;
use crate::list::Text;
use crate::message::{forms, lists, messages, records};
use crate::version::Version;

/// `time_to_block` of a quota whose soft limit is not exceeded.
pub const NOT_EXCEEDED: u32 = u32::MAX;

messages! {
    /// Asks for all quotas.
    GetQuotas = 518 {}
}

lists! {
    /// Answer to [`GetQuotas`].
    QuotaList = 519 of QuotaEntry<'a> by QuotaForm;
}

/// Fields of a [`QuotaEntry`], by the master's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaForm {
    /// Without a grace period.
    Old,
    /// With it (3.0.9).
    Grace,
}

impl QuotaForm {
    /// Form of a master's answer.
    pub fn of_master(master: Version) -> QuotaForm {
        if master >= Version::new(3, 0, 9) {
            QuotaForm::Grace
        } else {
            QuotaForm::Old
        }
    }

    fn has_grace(self) -> bool {
        self == QuotaForm::Grace
    }
}

records! {
    /// Limits, or current values.
    Amounts[28] {
        /// Number of inodes.
        inodes: u32,
        /// Sum of the lengths in bytes.
        length: u64,
        /// Sum of the chunk sizes in bytes.
        size: u64,
        /// The same times the number of copies.
        real_size: u64,
    }
}

forms! {
    /// Quota of a directory.
    QuotaEntry<'a> by QuotaForm {
        /// Directory.
        inode: Inode,
        /// Its path with a leading slash.
        path: Text<'a>,
        /// Grace period in seconds; 0: the default one.
        grace_s: u32 where has_grace else 0,
        /// 1: the soft limit has been exceeded for so long that it blocks.
        exceeded: u8,
        /// Limits that are set: 1, 2, 4, 8 soft and 0x10 … 0x80 hard for inodes, length, size,
        /// real size. The others are 0.
        flags: u8,
        /// [`NOT_EXCEEDED`], or seconds until the soft limit blocks.
        time_to_block_s: u32,
        /// Soft limits.
        soft: Amounts,
        /// Hard limits.
        hard: Amounts,
        /// Current values.
        current: Amounts,
    }
}
