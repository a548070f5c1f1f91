//! What goes into the log, and how openraft is told about it. Only this crate sees openraft.

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddrV4;

/// Identity of a node: a random number that it draws when it starts with an empty directory, so a
/// wiped node never votes under its old identity.
pub type NodeId = u64;

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Term of the leader that wrote the entry.
    pub term: u64,
    /// Number of the entry.
    pub index: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.term, self.index)
    }
}

/// What a batch is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes of the application.
    Changes,
    /// Digest of the application's state at a version, to be compared by every replica.
    Digest,
    /// What the application needs to share and does not put into its state.
    Auxiliary,
}

/// One entry of the application: opaque bytes, and who proposed them.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    /// What it is for.
    pub kind: Kind,
    /// Random number of the process that proposed it.
    pub origin: u64,
    /// Number of the proposal within that process, from 1.
    pub sequence: u64,
    /// The content.
    pub bytes: Bytes,
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {:x}:{}, {} bytes",
            self.kind,
            self.origin,
            self.sequence,
            self.bytes.len()
        )
    }
}

/// A member of the cluster, as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Name of the machine, unique in the cluster.
    pub name: String,
    /// Where its replication port is.
    pub address: SocketAddrV4,
    /// It votes and keeps everything, and never serves.
    pub is_witness: bool,
}

openraft::declare_raft_types!(
    /// Types of the log.
    pub(crate) Types:
        D = Batch,
        R = (),
        NodeId = NodeId,
        Node = Peer,
        LeaderId = openraft::impls::leader_id_std::LeaderId<u64, NodeId>,
);

pub(crate) type LogId = openraft::alias::LogIdOf<Types>;
pub(crate) type Vote = openraft::alias::VoteOf<Types>;
pub(crate) type Entry = openraft::alias::EntryOf<Types>;
pub(crate) type Membership = openraft::Membership<NodeId, Peer>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<Types>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<Types>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<Types, crate::image::ImageFile>;

pub(crate) fn log_id(position: Position) -> LogId {
    LogId::new_term_index(position.term, position.index)
}

pub(crate) fn position(log_id: &LogId) -> Position {
    Position {
        term: log_id.committed_leader_id().term,
        index: log_id.index(),
    }
}
