//! The record of one inode.

use proto::{ClassId, NodeKind};

/// Extra attribute bits (master-behaviour §14.1).
pub mod eattr {
    /// Every user counts as owner.
    pub const NO_OWNER: u8 = 0x01;
    /// Clients do not cache attributes.
    pub const NO_ATTR_CACHE: u8 = 0x02;
    /// Clients do not cache entries; directories only.
    pub const NO_ENTRY_CACHE: u8 = 0x04;
    /// Clients do not cache data.
    pub const NO_DATA_CACHE: u8 = 0x08;
    /// Made by a snapshot and unchanged since.
    pub const SNAPSHOT: u8 = 0x10;
    /// Cannot be removed or replaced.
    pub const UNDELETABLE: u8 = 0x20;
    /// Files grow only; directories gain entries only.
    pub const APPEND_ONLY: u8 = 0x40;
    /// Nothing changes.
    pub const IMMUTABLE: u8 = 0x80;
}

/// Marks of a record: what other tables hold about the inode.
pub mod mark {
    /// It has extended attributes.
    pub const XATTR: u8 = 0x01;
    /// It has an access ACL.
    pub const ACCESS_ACL: u8 = 0x02;
    /// It has a default ACL.
    pub const DEFAULT_ACL: u8 = 0x04;
}

const COPIES_SHIFT: u32 = 4;
const COPIES: u8 = 0xF0;
const MARKS: u8 = 0x0F;

/// One inode in 48 bytes. What the last three words mean depends on the kind.
#[derive(Clone, Copy, Debug, Default)]
pub struct NodeRecord {
    /// Kind in the upper 4 bits (0: no inode), mode in the lower 12.
    kind_mode: u16,
    /// Storage class; 0 for other kinds than files and directories.
    pub class: ClassId,
    /// [`eattr`] bits.
    pub eattr: u8,
    /// Windows attributes.
    pub winattr: u8,
    /// [`mark`] bits below, counted copies above.
    flags: u8,
    /// Trash time, hours.
    pub trash_hours: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last access, seconds since 1970.
    pub atime: u32,
    /// Last change of the data.
    pub mtime: u32,
    /// Last change of the inode.
    pub ctime: u32,
    /// Number of names; of a directory 2 + the number of its subdirectories.
    pub links: u32,
    /// The newest edge that names this inode; for a detached file its only one.
    pub names: u32,
    /// Directory: first and last entry, directory record. File: length (upper, lower half), chunk
    /// list. Symlink: offset and bytes of the target. Device: device number.
    body: [u32; 3],
}

const _: () = assert!(size_of::<NodeRecord>() == 48);

impl NodeRecord {
    /// An inode of a kind with a mode, everything else 0.
    pub fn new(kind: NodeKind, mode: u16) -> NodeRecord {
        let mut record = NodeRecord::default();
        record.set_kind(kind);
        record.set_mode(mode);
        record
    }

    /// What it is; `None` when the record is not in use.
    #[inline]
    pub fn kind_if_used(&self) -> Option<NodeKind> {
        NodeKind::from_number((self.kind_mode >> 12) as u8)
    }

    /// Whether it is of that kind.
    #[inline]
    pub fn is(&self, kind: NodeKind) -> bool {
        self.kind_mode >> 12 == kind as u16
    }

    /// What the record of an existing inode is.
    #[inline]
    pub fn kind(&self) -> NodeKind {
        self.kind_if_used().unwrap_or(NodeKind::File)
    }

    /// Changes the kind (files move between tree, trash and the sustained).
    #[inline]
    pub fn set_kind(&mut self, kind: NodeKind) {
        self.kind_mode = self.kind_mode & 0x0FFF | u16::from(kind.number()) << 12;
    }

    /// Whether it is a directory.
    #[inline]
    pub fn is_dir(&self) -> bool {
        self.is(NodeKind::Directory)
    }

    /// 12 bits of mode.
    #[inline]
    pub fn mode(&self) -> u16 {
        self.kind_mode & 0x0FFF
    }

    /// Sets the 12 bits of mode.
    #[inline]
    pub fn set_mode(&mut self, mode: u16) {
        self.kind_mode = self.kind_mode & 0xF000 | mode & 0x0FFF;
    }

    /// Whether any of these eattr bits is set.
    #[inline]
    pub fn has(&self, bits: u8) -> bool {
        self.eattr & bits != 0
    }

    /// Whether any of these marks is set.
    #[inline]
    pub fn is_marked(&self, marks: u8) -> bool {
        self.flags & MARKS & marks != 0
    }

    /// Sets all marks.
    pub fn set_marks(&mut self, marks: u8) {
        self.flags = self.flags & COPIES | marks & MARKS;
    }

    /// Copies with which the statistics of directories count this file.
    #[inline]
    pub fn counted_copies(&self) -> u8 {
        self.flags >> COPIES_SHIFT
    }

    /// Remembers the copies that statistics count (at most 15).
    pub fn set_counted_copies(&mut self, copies: u8) {
        self.flags = self.flags & MARKS | copies << COPIES_SHIFT;
    }

    /// Sets mtime and ctime.
    pub fn touch(&mut self, now: u32) {
        self.mtime = now;
        self.ctime = now;
    }

    /// What is persistent about the inode itself, the same wherever its records lie: neither the
    /// places of other records nor what follows from them (marks, links, counted copies).
    #[inline]
    pub(crate) fn persistent(&self) -> [u8; 36] {
        let body = match self.kind_if_used() {
            Some(NodeKind::File | NodeKind::Trash | NodeKind::Sustained) => self.file_length(),
            Some(NodeKind::BlockDevice | NodeKind::CharDevice) => u64::from(self.rdev()),
            _ => 0,
        };
        let mut bytes = [0; 36];
        bytes[0..2].copy_from_slice(&self.kind_mode.to_be_bytes());
        bytes[2] = self.class.0;
        bytes[3] = self.eattr;
        bytes[4] = self.winattr;
        bytes[6..8].copy_from_slice(&self.trash_hours.to_be_bytes());
        let words = [self.uid, self.gid, self.atime, self.mtime, self.ctime];
        for (place, word) in bytes[8..28].as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        bytes[28..36].copy_from_slice(&body.to_be_bytes());
        bytes
    }

    /// Length of a file, bytes.
    #[inline]
    pub fn file_length(&self) -> u64 {
        u64::from(self.body[0]) << 32 | u64::from(self.body[1])
    }

    /// Sets the length of a file.
    #[inline]
    pub fn set_file_length(&mut self, length: u64) {
        self.body[0] = (length >> 32) as u32;
        self.body[1] = length as u32;
    }

    /// The chunk list of a file, see [`super::slots`].
    #[inline]
    pub fn slots(&self) -> u32 {
        self.body[2]
    }

    /// Sets the chunk list of a file.
    #[inline]
    pub fn set_slots(&mut self, slots: u32) {
        self.body[2] = slots;
    }

    /// Offset and bytes of the target of a symlink.
    #[inline]
    pub fn target(&self) -> (u32, usize) {
        (self.body[0], self.body[1] as usize)
    }

    /// Sets offset and bytes of the target of a symlink.
    pub fn set_target(&mut self, offset: u32, bytes: usize) {
        self.body[0] = offset;
        self.body[1] = bytes as u32;
    }

    /// Device number.
    pub fn rdev(&self) -> u32 {
        self.body[0]
    }

    /// Sets the device number.
    pub fn set_rdev(&mut self, rdev: u32) {
        self.body[0] = rdev;
    }

    /// First entry of a directory; 0 when it is empty.
    #[inline]
    pub fn first_entry(&self) -> u32 {
        self.body[0]
    }

    /// Sets the first entry of a directory.
    #[inline]
    pub fn set_first_entry(&mut self, edge: u32) {
        self.body[0] = edge;
    }

    /// Last entry of a directory; 0 when it is empty.
    #[inline]
    pub fn last_entry(&self) -> u32 {
        self.body[1]
    }

    /// Sets the last entry of a directory.
    #[inline]
    pub fn set_last_entry(&mut self, edge: u32) {
        self.body[1] = edge;
    }

    /// The directory record, see [`super::dirs`].
    #[inline]
    pub fn dir(&self) -> u32 {
        self.body[2]
    }

    /// Sets the directory record.
    pub fn set_dir(&mut self, dir: u32) {
        self.body[2] = dir;
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeRecord, mark};
    use proto::NodeKind;

    #[test]
    fn packed_fields_do_not_disturb_each_other() {
        let mut node = NodeRecord::new(NodeKind::File, 0o6755);
        node.set_kind(NodeKind::Sustained);
        node.set_counted_copies(9);
        node.set_marks(mark::XATTR | mark::DEFAULT_ACL);
        node.set_file_length(0x1_2345_6789_ABCD);
        node.set_slots(77);
        assert_eq!(node.kind_if_used(), Some(NodeKind::Sustained));
        assert_eq!(node.mode(), 0o6755);
        node.set_mode(0o644);
        assert!(node.is(NodeKind::Sustained));
        assert_eq!(node.counted_copies(), 9);
        assert!(node.is_marked(mark::XATTR) && !node.is_marked(mark::ACCESS_ACL));
        assert_eq!((node.file_length(), node.slots()), (0x1_2345_6789_ABCD, 77));
        assert_eq!(NodeRecord::default().kind_if_used(), None);
    }
}
