//! Who may do what.

use crate::{Caller, Namespace};
use proto::{Inode, Status};

/// When reads change access times (option ATIME_MODE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum AtimeMode {
    /// Always.
    Always = 0,
    /// Always, files only.
    AlwaysFiles = 1,
    /// Only when not newer than the other times, or older than a day.
    #[default]
    Relative = 2,
    /// The same, files only.
    RelativeFiles = 3,
    /// Never.
    Never = 4,
}

impl Namespace {
    /// Set of access masks that the caller has: bit *m* for mask *m* (§9.1).
    pub fn allowed_masks(&self, _who: &Caller, _inode: Inode) -> u8 {
        0xFF
    }

    /// ACCESS (§10.2).
    pub fn access(&self, _who: &Caller, _inode: Inode, _mask: u8) -> Result<(), Status> {
        Err(Status::Enotsup)
    }
}
