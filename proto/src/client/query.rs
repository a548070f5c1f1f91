//! Small queries: STATFS, open files, locks, paths of many inodes (wire-client-master §19).
//! Version and configuration are asked on every port: [`crate::common`].

use super::message::{List, ListMessage, Message, record};
use super::push::put_msgid;
use crate::ids::{Inode, SessionId};
use crate::list::Text;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// STATFS 403. Clients outside [`Version::has_free_space`] are not told `free`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatfsReply {
    /// Number of the request.
    pub msgid: u32,
    /// All bytes.
    pub total: u64,
    /// Free bytes without the reserves.
    pub available: u64,
    /// Free bytes.
    pub free: u64,
    /// Bytes in trash.
    pub trash: u64,
    /// Bytes of sustained files.
    pub sustained: u64,
    /// Inodes below the session's root.
    pub inodes: u32,
}

impl<'a> Message<'a> for StatfsReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let reply = StatfsReply {
            msgid: reader.u32()?,
            total: reader.u64()?,
            available: reader.u64()?,
            free: if client.has_free_space() {
                reader.u64()?
            } else {
                0
            },
            trash: reader.u64()?,
            sustained: reader.u64()?,
            inodes: reader.u32()?,
        };
        reader.finish()?;
        Ok(reply)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put_u64(self.total);
        out.put_u64(self.available);
        if client.has_free_space() {
            out.put_u64(self.free);
        }
        out.put_u64(self.trash);
        out.put_u64(self.sustained);
        out.put_u32(self.inodes);
    }
}

/// LIST_OPEN_FILES 532 (a session) and LIST_ACQUIRED_LOCKS 534 (an inode).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Number that connects request and reply; may be missing.
    pub msgid: Option<u32>,
    /// Session or inode; 0: all, and then the entries of the reply tell theirs.
    pub of: u32,
}

/// Bytes of the form with msgid.
const LIST_REQUEST_LEN: usize = 8;

impl<'a> Message<'a> for ListRequest {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = if payload.len() == LIST_REQUEST_LEN {
            Some(reader.u32()?)
        } else {
            None
        };
        let of = reader.u32()?;
        reader.finish()?;
        Ok(ListRequest { msgid, of })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        put_msgid(self.msgid, out);
        out.put_u32(self.of);
    }
}

record! {
    /// An open file of some session.
    OpenFile {
        /// The session.
        session: SessionId,
        /// The file.
        inode: Inode,
    }
    /// A lock on the inode that was asked for.
    HeldLock {
        /// Session of the holder.
        session: SessionId,
        /// Holder within the session.
        owner: u64,
        /// Process; 0 for whole-file locks.
        pid: u32,
        /// First byte; 0 for whole-file locks.
        start: u64,
        /// Byte behind the last; 0 for whole-file locks.
        end: u64,
        /// 1 read or shared, 2 write or exclusive.
        kind: u8,
    }
    /// A lock on some inode.
    InodeLock {
        /// The file.
        inode: Inode,
        /// The lock.
        lock: HeldLock,
    }
}

/// LIST_OPEN_FILES 533 of one session.
pub type SessionFilesReply<'a> = ListMessage<'a, Inode>;

/// LIST_OPEN_FILES 533 of all sessions.
pub type OpenFilesReply<'a> = ListMessage<'a, OpenFile>;

/// LIST_ACQUIRED_LOCKS 535 of one inode.
pub type InodeLocksReply<'a> = ListMessage<'a, HeldLock>;

/// LIST_ACQUIRED_LOCKS 535 of all inodes.
pub type LocksReply<'a> = ListMessage<'a, InodeLock>;

/// MASS_RESOLVE_PATHS 536: zeros are skipped. Without msgid: [`ListMessage::decode_bare`].
pub type MassResolvePaths<'a> = ListMessage<'a, Inode>;

/// MASS_RESOLVE_PATHS 537. Without msgid: [`ListMessage::decode_bare`].
pub type MassResolvePathsReply<'a> = ListMessage<'a, ResolvedPaths<'a>>;

/// Paths of one inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedPaths<'a> {
    /// The object.
    pub inode: Inode,
    /// Its paths from the root of the file system; `(deleted)` if it does not exist.
    pub paths: List<'a, Text<'a>>,
}

impl<'a> Versioned<'a> for ResolvedPaths<'a> {
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let inode = reader.get()?;
        let mut paths = Reader::new(reader.long_bytes()?);
        Ok(ResolvedPaths {
            inode,
            paths: List::get_rest(&mut paths, client)?,
        })
    }

    fn put(self, client: Version, out: &mut Vec<u8>) {
        let size: usize = self
            .paths
            .iter()
            .map(|path| size_of::<u32>() + path.0.len())
            .sum();
        out.put(self.inode);
        out.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
        self.paths.put(client, out);
    }
}
