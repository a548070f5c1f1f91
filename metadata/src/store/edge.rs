//! The record of one name.

use super::pages::Reusable;

/// One name of an inode in 40 bytes: an entry of a directory, or the path of a detached file (then
/// the parent is 0). Its chains are doubly linked: the entries of the directory (or of the bucket),
/// newest first, and the names of the inode.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeRecord {
    /// Position in the directory, ascending in its order.
    pub edge_id: u64,
    /// Directory; 0 for a detached file.
    pub parent: u32,
    /// What has the name; 0: the record is not in use.
    pub child: u32,
    /// Entry behind this one.
    pub next: u32,
    /// Entry before this one.
    pub prev: u32,
    /// Older name of the child.
    pub child_next: u32,
    /// Newer name of the child.
    pub child_prev: u32,
    /// Where the name lies.
    pub name: u32,
    /// Bytes of the name.
    pub name_bytes: u16,
}

const _: () = assert!(size_of::<EdgeRecord>() == 40);

impl Reusable for EdgeRecord {
    fn next_free(&self) -> u32 {
        self.next
    }

    fn set_free(&mut self, next: u32) {
        *self = EdgeRecord {
            next,
            ..EdgeRecord::default()
        };
    }
}
