//! GETEATTR and SETEATTR (wire-client-master §15.3).

use super::message::{List, Message, message, record};
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// Extra attributes of an inode (wire-client-master §3).
pub mod eattr_flag {
    /// Every user except root sees the object as his own.
    pub const NO_OWNER: u8 = 0x01;
    /// Attributes are not cached.
    pub const NO_ATTRIBUTE_CACHE: u8 = 0x02;
    /// Names are not cached; directories only.
    pub const NO_ENTRY_CACHE: u8 = 0x04;
    /// Data are not cached.
    pub const NO_DATA_CACHE: u8 = 0x08;
    /// Made by a snapshot and not changed since.
    pub const SNAPSHOT: u8 = 0x10;
    /// Cannot be removed.
    pub const UNDELETABLE: u8 = 0x20;
    /// Only grows.
    pub const APPEND_ONLY: u8 = 0x40;
    /// Cannot be changed.
    pub const IMMUTABLE: u8 = 0x80;
}

impl Version {
    /// Extra attributes that this client knows; the master folds the values in replies to them.
    pub const fn known_eattr(self) -> u8 {
        if self.has_open_flags() {
            0xff
        } else if self.has_empty_counter() {
            0x1f
        } else {
            0x0f
        }
    }
}

record! {
    /// How many inodes have a set of extra attributes.
    EattrCount {
        /// Bits of [`eattr_flag`].
        eattr: u8,
        /// Number of inodes.
        count: u32,
    }
}

message! {
    /// SETEATTR 474. The reply is a [`ChangeReply`](super::ChangeReply).
    Seteattr {
        /// The object.
        inode: Inode,
        /// Who asks.
        uid: u32,
        /// Bits of [`eattr_flag`].
        eattr: u8,
        /// `smode`: 0 set, 1 increase, 2 decrease, +4 recursive.
        mode: u8,
    }
}

/// GETEATTR 473. Both lists ascend, with values folded to [`Version::known_eattr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeteattrReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// Everything that is not a directory; at most 255 values.
    pub files: List<'a, EattrCount>,
    /// Directories; at most 255 values.
    pub directories: List<'a, EattrCount>,
}

impl<'a> Message<'a> for GeteattrReply<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let (files, directories) = (u64::from(reader.u8()?), u64::from(reader.u8()?));
        let files = List::get(&mut reader, files, client)?;
        let directories = List::get(&mut reader, directories, client)?;
        reader.finish()?;
        Ok(GeteattrReply {
            msgid,
            files,
            directories,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        let lists = [&self.files, &self.directories];
        for list in lists {
            out.put_u8(u8::try_from(list.count()).unwrap_or(u8::MAX));
        }
        for list in lists {
            for each in list.iter().take(usize::from(u8::MAX)) {
                out.put(each);
            }
        }
    }
}
