//! Kinds of file system objects: one number on disk, on the wire and in the changelog.

use std::fmt;

/// What an inode is (metadata-and-changelog §1.4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum NodeKind {
    /// Regular file with a name.
    File = 1,
    /// Directory.
    Directory = 2,
    /// Symbolic link.
    Symlink = 3,
    /// Named pipe.
    Fifo = 4,
    /// Block device.
    BlockDevice = 5,
    /// Character device.
    CharDevice = 6,
    /// Socket.
    Socket = 7,
    /// Deleted file that can still be recovered.
    Trash = 8,
    /// Deleted file that a client still has open.
    Sustained = 9,
}

impl NodeKind {
    /// Every kind, in the order of its numbers.
    pub const ALL: [NodeKind; 9] = [
        NodeKind::File,
        NodeKind::Directory,
        NodeKind::Symlink,
        NodeKind::Fifo,
        NodeKind::BlockDevice,
        NodeKind::CharDevice,
        NodeKind::Socket,
        NodeKind::Trash,
        NodeKind::Sustained,
    ];

    /// Letters that versions before 2.0 use, in the order of the numbers.
    const LETTERS: [u8; 9] = *b"fdlqbcstr";

    /// The number used by 3.0.117.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Kind of a number; `None` outside 1..=9.
    pub fn from_number(number: u8) -> Option<NodeKind> {
        let index = number.checked_sub(1)?;
        NodeKind::ALL.get(usize::from(index)).copied()
    }

    /// The letter used before 2.0.
    pub const fn letter(self) -> u8 {
        NodeKind::LETTERS[self as usize - 1]
    }

    /// Kind of a letter; `None` for others.
    pub fn from_letter(letter: u8) -> Option<NodeKind> {
        let index = NodeKind::LETTERS.iter().position(|&each| each == letter)?;
        NodeKind::ALL.get(index).copied()
    }

    /// Whether the object has a length and chunks: a file, in the tree, in trash or sustained.
    pub const fn has_data(self) -> bool {
        matches!(self, NodeKind::File | NodeKind::Trash | NodeKind::Sustained)
    }

    /// Whether the object's `rdev` means something.
    pub const fn is_device(self) -> bool {
        matches!(self, NodeKind::BlockDevice | NodeKind::CharDevice)
    }

    /// Whether the name is a path outside the tree: trash or sustained.
    pub const fn is_detached(self) -> bool {
        matches!(self, NodeKind::Trash | NodeKind::Sustained)
    }
}

impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NodeKind::File => "file",
            NodeKind::Directory => "directory",
            NodeKind::Symlink => "symlink",
            NodeKind::Fifo => "fifo",
            NodeKind::BlockDevice => "block device",
            NodeKind::CharDevice => "character device",
            NodeKind::Socket => "socket",
            NodeKind::Trash => "file in trash",
            NodeKind::Sustained => "sustained file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::NodeKind;

    #[test]
    fn numbers_and_letters_name_the_same_kinds() {
        for kind in NodeKind::ALL {
            assert_eq!(NodeKind::from_number(kind.number()), Some(kind));
            assert_eq!(NodeKind::from_letter(kind.letter()), Some(kind));
        }
        assert_eq!(NodeKind::from_number(0), None);
        assert_eq!(NodeKind::from_number(10), None);
        assert_eq!(NodeKind::from_letter(b'x'), None);
        assert_eq!(NodeKind::from_letter(b'r'), Some(NodeKind::Sustained));
    }
}
