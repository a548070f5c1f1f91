//! The chunk planner: where copies are, where they should be, and what to order for that.
//!
//! Pure: events come in as calls with the time in [`Cx`], orders and results are left in
//! [`Chunks::actions`]. No sockets, no clock; randomness comes from a seed.

mod places;
mod request;
mod settings;

pub use places::{NoRacks, Places};
pub use request::{
    Action, ChunkGrant, Command, CommandKind, Cx, LOCATIONS_MAX, Location, Locations, OpToken,
    Progress, ServerId, SlotChunk, TruncateRequest, WriteRequest,
};
pub use settings::{BadLimits, BadReserve, ChunkSettings, ReplicationLimits, Reserve, UniqueMode};

use crate::core::Now;
use metadata::Namespace;
use proto::{ChunkId, Inode, Status};
use std::net::Ipv4Addr;

/// Space of all connected servers, bytes (master-behaviour §5.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Total.
    pub total: u64,
    /// Free, with the reserve taken off. 0 refuses writes without the flag *may use reserve*.
    pub available: u64,
    /// Free.
    pub free: u64,
}

/// One copy as mfsfileinfo shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyInfo {
    /// Where it is.
    pub location: Location,
    /// 0 valid, 1 marked for removal, 2 wrong version, 3 both, 4 invalid (wire form of CHECK).
    pub state: u8,
}

/// Outcome of repairing one slot (§3.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// Nothing to do, or the chunk is locked.
    Unchanged,
    /// The slot is a hole now.
    Erased,
    /// Copies with another version count again.
    Repaired,
}

/// The planner.
#[derive(Debug)]
pub struct Chunks {
    /// Orders and results, for the shell to drain after each event.
    pub actions: Vec<Action>,
    settings: ChunkSettings,
}

impl Chunks {
    /// A planner that knows no server yet.
    pub fn new(settings: &ChunkSettings, _now: Now, _seed: u64) -> Chunks {
        Chunks {
            actions: Vec::new(),
            settings: settings.clone(),
        }
    }

    /// Changes the settings.
    pub fn reload(&mut self, settings: &ChunkSettings) {
        self.settings = settings.clone();
    }

    /// Where a chunk can be read (§3.2). [`Status::Locked`] and [`Status::ChunkBusy`] wait in the
    /// client room's queue; an empty list means "try again".
    pub fn read(
        &mut self,
        _ns: &Namespace,
        _now: Now,
        _chunk: ChunkId,
        _client_ip: Ipv4Addr,
    ) -> Result<Locations, Status> {
        Err(Status::NoChunk)
    }

    /// Prepares a slot for writing (§3.3, from the chunk phase on). Makes the WRITE line itself.
    pub fn write(&mut self, _cx: &mut Cx<'_>, _request: &WriteRequest) -> Progress {
        Progress::Refused(Status::NoChunkServers)
    }

    /// Cuts or extends the chunk in a slot (§3.5). Makes the TRUNC line and, at the end, the UNLOCK
    /// line; the LENGTH line is the caller's, when the answer has come.
    pub fn truncate(&mut self, _cx: &mut Cx<'_>, _request: &TruncateRequest) -> Progress {
        Progress::Refused(Status::NoChunkServers)
    }

    /// The writer is done (§3.4): UNLOCK line, and whatever work the chunk now needs.
    /// [`Status::NoChunk`] for an unknown chunk.
    pub fn write_end(&mut self, _cx: &mut Cx<'_>, _chunk: ChunkId) -> Result<(), Status> {
        Err(Status::NoChunk)
    }

    /// The client of a pending request is gone: the request is rolled back at once (§3.7).
    pub fn cancel(&mut self, _cx: &mut Cx<'_>, _token: OpToken) {}

    /// Repairs one slot of a file (§3.9), with its REPAIR line.
    pub fn repair(
        &mut self,
        _cx: &mut Cx<'_>,
        _inode: Inode,
        _index: u32,
        _chunk: ChunkId,
    ) -> Repaired {
        Repaired::Unchanged
    }

    /// Copies of a chunk for CHECK; [`Status::NoChunk`] for an unknown chunk.
    pub fn copies(&self, _ns: &Namespace, _chunk: ChunkId) -> Result<Vec<CopyInfo>, Status> {
        Err(Status::NoChunk)
    }

    /// Number of usable copies; 0 for an unknown chunk.
    pub fn valid_copies(&self, _ns: &Namespace, _chunk: ChunkId) -> u8 {
        0
    }

    /// Space of all connected servers.
    pub fn space(&self) -> Space {
        Space::default()
    }
}
