//! Open files, locks, paths and contents of inodes (wire-admin §4.13–§4.15, §4.18).

use super::request::optional_msgid;
use crate::frame::put_frame;
use crate::ids::{ChunkId, Inode, SessionId};
use crate::list::List;
use crate::message::{messages, records};
use crate::status::Status;
use crate::wire::{Malformed, Put, Reader};

/// Asks for open files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetOpenFiles {
    /// Returned in the reply when present.
    pub msgid: Option<u32>,
    /// Session; 0: all.
    pub session: SessionId,
}

optional_msgid! { GetOpenFiles = 532 { session, 8 bytes } }

records! {
    /// A file that a session has open.
    OpenFile[8] {
        /// Session.
        session: SessionId,
        /// File.
        inode: Inode,
    }
}

/// What was found, in no particular order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFiles<'a> {
    /// Files of the session that was asked for.
    Session(List<'a, Inode>),
    /// Files of all sessions.
    All(List<'a, OpenFile>),
}

/// Answer to [`GetOpenFiles`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFileList<'a> {
    /// From the request.
    pub msgid: Option<u32>,
    /// Files.
    pub files: OpenFiles<'a>,
}

impl<'a> OpenFileList<'a> {
    /// Message type.
    pub const KIND: u32 = 533;

    /// Reads the answer to `request`.
    pub fn decode(payload: &'a [u8], request: GetOpenFiles) -> Result<OpenFileList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        Ok(OpenFileList {
            msgid: request.msgid.map(|_| reader.u32()).transpose()?,
            files: match request.session {
                SessionId(0) => OpenFiles::All(reader.get()?),
                _ => OpenFiles::Session(reader.get()?),
            },
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
            match self.files {
                OpenFiles::Session(files) => out.put(files),
                OpenFiles::All(files) => out.put(files),
            }
        });
    }
}

/// Asks for locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetLocks {
    /// Returned in the reply when present.
    pub msgid: Option<u32>,
    /// File; 0: all.
    pub inode: Inode,
}

optional_msgid! { GetLocks = 534 { inode, 8 bytes } }

records! {
    /// A lock. flock locks have `pid`, `start` and `end` 0.
    LockEntry[33] {
        /// Session of the owner.
        session: SessionId,
        /// Owner within the session.
        owner: u64,
        /// Process of a POSIX lock.
        pid: u32,
        /// First byte.
        start: u64,
        /// Byte behind the last one; `u64::MAX`: to the end of the file.
        end: u64,
        /// 1 shared, 2 exclusive.
        kind: u8,
    }

    /// A lock in the list of all files.
    FileLock[37] {
        /// File.
        inode: Inode,
        /// Lock.
        lock: LockEntry,
    }
}

/// What was found: POSIX locks, then flock locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Locks<'a> {
    /// Locks of the file that was asked for.
    File(List<'a, LockEntry>),
    /// Locks of all files.
    All(List<'a, FileLock>),
}

/// Answer to [`GetLocks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockList<'a> {
    /// From the request.
    pub msgid: Option<u32>,
    /// Locks.
    pub locks: Locks<'a>,
}

impl<'a> LockList<'a> {
    /// Message type.
    pub const KIND: u32 = 535;

    /// Reads the answer to `request`.
    pub fn decode(payload: &'a [u8], request: GetLocks) -> Result<LockList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        Ok(LockList {
            msgid: request.msgid.map(|_| reader.u32()).transpose()?,
            locks: match request.inode {
                Inode(0) => Locks::All(reader.get()?),
                _ => Locks::File(reader.get()?),
            },
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
            match self.locks {
                Locks::File(locks) => out.put(locks),
                Locks::All(locks) => out.put(locks),
            }
        });
    }
}

messages! {
    /// Asks for the paths of inodes.
    GetPaths<'a> = 536 {
        /// Inodes; zeros are skipped.
        inodes: List<'a, Inode>,
    }
}

/// All paths of an inode. Trash: `./TRASH (path)`; deleted but open: `./SUSTAINED (path)`;
/// unknown: `(deleted)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodePaths<'a> {
    /// Inode.
    pub inode: Inode,
    /// One path for each hard link, without a leading slash; `/` for the root.
    pub paths: Vec<&'a [u8]>,
}

/// Answer to [`GetPaths`], in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathList<'a> {
    /// One for each inode.
    pub inodes: Vec<InodePaths<'a>>,
}

impl<'a> PathList<'a> {
    /// Message type.
    pub const KIND: u32 = 537;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<PathList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let mut inodes = Vec::new();
        while !reader.is_empty() {
            let inode = reader.get()?;
            let mut records = Reader::new(reader.long_bytes()?);
            let mut paths = Vec::new();
            while !records.is_empty() {
                paths.push(records.long_bytes()?);
            }
            inodes.push(InodePaths { inode, paths });
        }
        Ok(PathList { inodes })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            for entry in &self.inodes {
                let size: usize = entry.paths.iter().map(|path| 4 + path.len()).sum();
                out.put(entry.inode);
                out.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
                for path in &entry.paths {
                    out.put_long_bytes(path);
                }
            }
        });
    }
}

/// Asks for the entries of a directory or the chunks of a file. Only on the connection of a
/// registered session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetNodeInfo {
    /// Returned in the reply when present.
    pub msgid: Option<u32>,
    /// Inode.
    pub inode: Inode,
    /// Most entries in the answer.
    pub entries_max: u32,
    /// 0, then what the last answer gave.
    pub continue_id: u64,
}

impl GetNodeInfo {
    /// Message type.
    pub const KIND: u32 = 546;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<GetNodeInfo, Malformed> {
        let mut reader = Reader::new(payload);
        let request = GetNodeInfo {
            msgid: match payload.len() {
                20 => Some(reader.u32()?),
                _ => None,
            },
            inode: reader.get()?,
            entries_max: reader.u32()?,
            continue_id: reader.u64()?,
        };
        reader.finish()?;
        Ok(request)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
            out.put(self.inode);
            out.put_u32(self.entries_max);
            out.put_u64(self.continue_id);
        });
    }
}

records! {
    /// A chunk of a file.
    NodeChunk[13] {
        /// Chunk; 0: a hole.
        chunk: ChunkId,
        /// Bytes on disk, whole blocks, without headers.
        size: u32,
        /// Number of copies; in eighths when [`NodeContent::File`] says so.
        copies: u8,
    }
}

/// What an inode is and holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeContent<'a> {
    /// Failed; 3: no such inode.
    Failed(Status),
    /// Neither file nor directory.
    Other,
    /// A directory.
    Directory {
        /// Where to go on; 0: that was all.
        next_id: u64,
        /// Entries.
        entries: List<'a, Inode>,
    },
    /// A file.
    File {
        /// Copies are counted in eighths (4.x).
        eighths: bool,
        /// Where to go on; 0: that was all.
        next_id: u64,
        /// Length in bytes.
        length: u64,
        /// Chunks.
        chunks: List<'a, NodeChunk>,
    },
}

/// Answer to [`GetNodeInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeInfo<'a> {
    /// From the request.
    pub msgid: Option<u32>,
    /// The inode.
    pub content: NodeContent<'a>,
}

const NODE_OTHER: u16 = 0;
const NODE_DIRECTORY: u16 = 1;
const NODE_FILE: u16 = 2;
const NODE_FILE_EIGHTHS: u16 = 3;

impl<'a> NodeInfo<'a> {
    /// Message type.
    pub const KIND: u32 = 547;

    /// Reads the answer to `request`.
    pub fn decode(payload: &'a [u8], request: GetNodeInfo) -> Result<NodeInfo<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = request.msgid.map(|_| reader.u32()).transpose()?;
        let content = if reader.remaining() == 1 {
            NodeContent::Failed(reader.get()?)
        } else {
            match reader.u16()? {
                NODE_OTHER => NodeContent::Other,
                NODE_DIRECTORY => NodeContent::Directory {
                    next_id: reader.u64()?,
                    entries: reader.get()?,
                },
                kind @ (NODE_FILE | NODE_FILE_EIGHTHS) => NodeContent::File {
                    eighths: kind == NODE_FILE_EIGHTHS,
                    next_id: reader.u64()?,
                    length: reader.u64()?,
                    chunks: reader.get()?,
                },
                _ => return Err(Malformed),
            }
        };
        reader.finish()?;
        Ok(NodeInfo { msgid, content })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
            match self.content {
                NodeContent::Failed(status) => out.put(status),
                NodeContent::Other => out.put_u16(NODE_OTHER),
                NodeContent::Directory { next_id, entries } => {
                    out.put_u16(NODE_DIRECTORY);
                    out.put_u64(next_id);
                    out.put(entries);
                }
                NodeContent::File {
                    eighths,
                    next_id,
                    length,
                    chunks,
                } => {
                    out.put_u16(if eighths {
                        NODE_FILE_EIGHTHS
                    } else {
                        NODE_FILE
                    });
                    out.put_u64(next_id);
                    out.put_u64(length);
                    out.put(chunks);
                }
            }
        });
    }
}
