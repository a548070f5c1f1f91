//! SNAPSHOT, APPEND_SLICE and ARCHCTL (wire-client-master §15.8 - §15.10).

use super::credentials::Credentials;
use super::message::{Message, message};
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// Bits of [`Snapshot::mode`].
pub mod snapshot_mode {
    /// Existing files are replaced.
    pub const OVERWRITE: u8 = 0x01;
    /// The copy gets owner, mode and times of a new object.
    pub const CP_ATTRIBUTES: u8 = 0x02;
    /// Removes what can be removed.
    pub const FORCE_REMOVAL: u8 = 0x04;
    /// Hard links inside the source stay hard links.
    pub const PRESERVE_HARD_LINKS: u8 = 0x08;
    /// Removes a snapshot instead of making one.
    pub const DELETE: u8 = 0x80;
}

/// SNAPSHOT 468. The reply is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Source; 0 to delete.
    pub inode: Inode,
    /// Directory of the destination.
    pub parent: Inode,
    /// Name of the destination.
    pub name: &'a [u8],
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Bits of [`snapshot_mode`].
    pub mode: u8,
    /// Bits to take away; 0 from clients up to 1.6.27.
    pub umask: u16,
}

/// Bytes of uid, gid and mode: what follows the name in the old form.
const SNAPSHOT_OLD_TAIL_LEN: usize = 9;

impl<'a> Message<'a> for Snapshot<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode, parent) = (reader.u32()?, reader.get()?, reader.get()?);
        let name = reader.name()?;
        let is_old = reader.remaining() == SNAPSHOT_OLD_TAIL_LEN;
        let message = Snapshot {
            msgid,
            inode,
            parent,
            name,
            caller: Credentials::get_before(&mut reader, if is_old { 1 } else { 3 })?,
            mode: if is_old {
                // Without a umask there is no copying as cp does.
                reader.u8()? & !snapshot_mode::CP_ATTRIBUTES
            } else {
                reader.u8()?
            },
            umask: if is_old { 0 } else { reader.u16()? },
        };
        reader.finish()?;
        Ok(message)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put(self.parent);
        out.put_name(self.name);
        if client.has_opened() {
            out.put(self.caller);
            out.put_u8(self.mode);
            out.put_u16(self.umask);
        } else {
            self.caller.put_single(out);
            out.put_u8(self.mode & !snapshot_mode::CP_ATTRIBUTES);
        }
    }
}

/// Range of source chunks, [from, to).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// 01: `from` counts from the end, 02: `to` does.
    pub flags: u8,
    /// First chunk.
    pub from: u32,
    /// Chunk behind the last.
    pub to: u32,
}

/// APPEND_SLICE 438. The reply is a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendSlice<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// File that grows.
    pub inode: Inode,
    /// File whose chunks are shared.
    pub source: Inode,
    /// Which chunks; clients before 3.0.92 do not tell and mean the whole file.
    pub slice: Option<Slice>,
    /// Who asks.
    pub caller: Credentials<'a>,
}

impl<'a> Message<'a> for AppendSlice<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let has_slice = !payload.len().is_multiple_of(2);
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let flags = if has_slice { Some(reader.u8()?) } else { None };
        let (inode, source) = (reader.get()?, reader.get()?);
        let slice = match flags {
            Some(flags) => Some(Slice {
                flags,
                from: reader.u32()?,
                to: reader.u32()?,
            }),
            None => None,
        };
        let caller = if has_slice {
            Credentials::get_listed(&mut reader, 0)?
        } else {
            reader.get()?
        };
        reader.finish()?;
        Ok(AppendSlice {
            msgid,
            inode,
            source,
            slice,
            caller,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if let Some(slice) = self.slice {
            out.put_u8(slice.flags);
        }
        out.put(self.inode);
        out.put(self.source);
        if let Some(slice) = self.slice {
            out.put_u32(slice.from);
            out.put_u32(slice.to);
        }
        if self.slice.is_some() {
            self.caller.put_listed(out);
        } else if client.has_gid_lists() {
            out.put(self.caller);
        } else {
            self.caller.put_single(out);
        }
    }
}

/// Values of [`Archctl::command`].
pub mod archive {
    /// Forgets that chunks were archived.
    pub const CLEAR: u8 = 0;
    /// Archives now.
    pub const SET: u8 = 1;
    /// Asks.
    pub const GET: u8 = 2;
}

/// ARCHCTL 496, always recursive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archctl {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The object.
    pub inode: Inode,
    /// One of [`archive`].
    pub command: u8,
    /// Who asks: present for [`archive::SET`] and [`archive::CLEAR`].
    pub uid: Option<u32>,
}

impl<'a> Message<'a> for Archctl {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode, command) = (reader.u32()?, reader.get()?, reader.u8()?);
        let uid = if command == archive::GET {
            None
        } else {
            Some(reader.u32()?)
        };
        reader.finish()?;
        Ok(Archctl {
            msgid,
            inode,
            command,
            uid,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put_u8(self.command);
        if let Some(uid) = self.uid {
            out.put_u32(uid);
        }
    }
}

message! {
    /// ARCHCTL 497 to [`archive::GET`].
    ArchctlGetReply {
        /// Chunks in archive mode.
        archived_chunks: u64,
        /// Other chunks.
        other_chunks: u64,
        /// Files whose chunks are all in archive mode.
        archived_inodes: u32,
        /// Files with both.
        partial_inodes: u32,
        /// Files without any.
        other_inodes: u32,
    }
    /// ARCHCTL 497 to [`archive::SET`] and [`archive::CLEAR`].
    ArchctlSetReply {
        /// Chunks that were changed.
        changed_chunks: u64,
        /// Chunks that were as wanted.
        unchanged_chunks: u64,
        /// Inodes that the caller may not change.
        not_permitted: u32,
    }
}
