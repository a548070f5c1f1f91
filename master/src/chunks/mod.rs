//! The chunk planner: where copies are, where they should be, and what to order for that.
//!
//! Pure: events come in as calls with the time in [`Cx`], orders and results are left in
//! [`Chunks::actions`]. No sockets, no clock; randomness comes from a seed.

mod check;
mod choose;
mod copies;
mod counters;
mod examine;
mod limits;
mod load;
mod locate;
mod matching;
mod operation;
mod places;
mod planner;
mod queues;
mod random;
mod rebalance;
mod records;
mod repair;
mod replicate;
mod report;
mod request;
mod servers;
mod settings;
mod status;
mod sweep;
#[cfg(test)]
mod tests;
mod walk;

pub use check::{Missing, MissingKind, SlotCheck};
pub use counters::{ClassChunks, LoopCounters, LoopReport, MATRIX, Matrix};
pub use load::Space;
pub use locate::CopyInfo;
pub use places::{NoRacks, Places};
pub use planner::{Chunks, Presence};
pub use queues::PRIORITIES;
pub use repair::Repaired;
pub use request::{
    Action, ChunkGrant, Command, CommandKind, Cx, LOCATIONS_MAX, Location, Locations, OpToken,
    Progress, ServerId, SlotChunk, TruncateRequest, WriteRequest,
};
pub use servers::{DiskSpace, Identity, LoadReport, LoadStatus, RemovalState, Server, Totals};
pub use settings::{BadLimits, BadReserve, ChunkSettings, ReplicationLimits, Reserve, UniqueMode};
pub use status::{FORGETTING, REGISTERING};
