//! What goes in and out of the planner: requests, replies, commands.

use crate::core::Now;
pub use metadata::file_chunks::SlotState as SlotChunk;
use metadata::{Namespace, Outbox, Tx};
use proto::version::Version;
use proto::{ChunkId, ChunkVersion, ClassId, Inode, Status};
use std::net::Ipv4Addr;

/// The context of one event: the clock, and the state that the planner may change.
#[derive(Debug)]
pub struct Cx<'a> {
    /// The clocks of this turn.
    pub now: Now,
    /// The file system, whose chunk records the planner changes.
    pub ns: &'a mut Namespace,
    /// Receives changelog lines and events.
    pub out: &'a mut Outbox,
}

impl Cx<'_> {
    /// The namespace, and the transaction that its changing methods want.
    pub fn parts(&mut self) -> (&mut Namespace, Tx<'_>) {
        (self.ns, Tx::new(self.now.unix, self.out))
    }
}

/// A connected chunkserver, until the walk that forgets its copies is over. A server that comes
/// back gets another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(pub u16);

impl ServerId {
    /// No server.
    pub const NOBODY: ServerId = ServerId(u16::MAX);

    /// Place in tables of servers.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Name that the client room gives to a request whose answer comes later; unique among the pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpToken(pub u64);

/// One copy as a client is told of it (master-behaviour §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Address of the data port.
    pub ip: Ipv4Addr,
    /// Data port.
    pub port: u16,
    /// Version of the chunkserver program.
    pub version: Version,
    /// Labels of the server, bit 0 = A.
    pub labels: u32,
}

/// Most copies that a client is told of.
pub const LOCATIONS_MAX: usize = 100;

/// Answer to a read: where the chunk is, nearest first. No location means "try again".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locations {
    /// Version that all these copies have.
    pub version: ChunkVersion,
    /// At most [`LOCATIONS_MAX`] copies.
    pub servers: Vec<Location>,
}

/// Answer to a write or truncate: the chunk is locked and ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkGrant {
    /// The chunk that the slot now holds.
    pub chunk: ChunkId,
    /// Its version.
    pub version: ChunkVersion,
    /// Where it is, nearest to the client first.
    pub servers: Vec<Location>,
}

/// A client wants to write into a slot; the checks of master-behaviour §3.3, 1–4, are done.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest {
    /// The file.
    pub inode: Inode,
    /// The slot.
    pub index: u32,
    /// Class of the file, which rules the placement of a new chunk.
    pub class: ClassId,
    /// What the slot holds, as the metadata's check of the write found it.
    pub slot: SlotChunk,
    /// The client holds the lock already (request flag 02).
    pub continues: bool,
    /// Whether the effect changes mtime and ctime (clients before 3.0.74).
    pub changes_mtime: bool,
    /// Address of the client's connection, for the order of locations.
    pub client_ip: Ipv4Addr,
    /// Comes back with the result.
    pub token: OpToken,
}

/// A client wants to cut or extend a file inside a chunk (master-behaviour §3.5).
#[derive(Clone, Copy, Debug)]
pub struct TruncateRequest {
    /// The file.
    pub inode: Inode,
    /// The slot, which is not a hole.
    pub index: u32,
    /// What the slot holds.
    pub slot: SlotChunk,
    /// New length inside the chunk, bytes, 1..67,108,864.
    pub length_in_chunk: u32,
    /// Comes back with the result.
    pub token: OpToken,
}

/// How far a request came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Answer this status; [`Status::Locked`] and [`Status::ChunkBusy`] wait in the queue of the
    /// client room.
    Refused(Status),
    /// Done without a chunkserver.
    Granted(ChunkGrant),
    /// The answer comes as [`Action::Finished`].
    Pending,
}

/// An order to a chunkserver (chunkserver §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Make an empty chunk.
    Create {
        /// Its number.
        chunk: ChunkId,
        /// Its version.
        version: ChunkVersion,
    },
    /// Remove a copy.
    Delete {
        /// The chunk.
        chunk: ChunkId,
        /// Version that the copy must have; 0 = any.
        version: ChunkVersion,
    },
    /// Copy a chunk on the same server under a new number.
    Duplicate {
        /// The new chunk.
        chunk: ChunkId,
        /// Version of the new chunk.
        version: ChunkVersion,
        /// The source.
        source: ChunkId,
        /// Version of the source.
        source_version: ChunkVersion,
    },
    /// Change the version of a copy.
    SetVersion {
        /// The chunk.
        chunk: ChunkId,
        /// Version afterwards.
        version: ChunkVersion,
        /// Version before.
        old_version: ChunkVersion,
    },
    /// Fetch a copy from another server.
    Replicate {
        /// The chunk.
        chunk: ChunkId,
        /// Its version.
        version: ChunkVersion,
        /// Data port of the source.
        ip: Ipv4Addr,
        /// Data port of the source.
        port: u16,
    },
    /// Change the length and the version of a copy.
    Truncate {
        /// The chunk.
        chunk: ChunkId,
        /// Bytes of the chunk that are kept.
        length: u32,
        /// Version afterwards.
        version: ChunkVersion,
        /// Version before.
        old_version: ChunkVersion,
    },
    /// [`Command::Duplicate`], the copy having another length.
    DuplicateTruncate {
        /// The new chunk.
        chunk: ChunkId,
        /// Version of the new chunk.
        version: ChunkVersion,
        /// The source.
        source: ChunkId,
        /// Version of the source.
        source_version: ChunkVersion,
        /// Bytes of the chunk that are kept.
        length: u32,
    },
}

/// Which order a status answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// 111.
    Create,
    /// 121.
    Delete,
    /// 131.
    Duplicate,
    /// 141.
    SetVersion,
    /// 151.
    Replicate,
    /// 161.
    Truncate,
    /// 171.
    DuplicateTruncate,
}

impl Command {
    /// Which order it is.
    pub fn kind(&self) -> CommandKind {
        match self {
            Command::Create { .. } => CommandKind::Create,
            Command::Delete { .. } => CommandKind::Delete,
            Command::Duplicate { .. } => CommandKind::Duplicate,
            Command::SetVersion { .. } => CommandKind::SetVersion,
            Command::Replicate { .. } => CommandKind::Replicate,
            Command::Truncate { .. } => CommandKind::Truncate,
            Command::DuplicateTruncate { .. } => CommandKind::DuplicateTruncate,
        }
    }
}

/// What the shell has to do for the planner, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an order.
    Send {
        /// To whom.
        server: ServerId,
        /// What.
        command: Command,
    },
    /// A pending request has its answer.
    Finished {
        /// Which request.
        token: OpToken,
        /// [`Status::NotDone`] or [`Status::NoSpace`] when it failed.
        result: Result<ChunkGrant, Status>,
    },
    /// Requests that wait for this chunk may be tried again (unlocked, or no longer busy).
    Wake(ChunkId),
    /// Clients may not use remembered locations any more (message 706).
    ForgetLocations,
}
