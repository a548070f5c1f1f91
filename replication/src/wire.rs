//! Messages between replicas and records on disk, in the wire form of protocol buffers, and their
//! conversion to and from openraft's types.

use crate::types::{
    Batch, Entry, Kind, LogId, Membership, NodeId, Peer, Position, StoredMembership, Vote, log_id,
    position,
};
use bytes::Bytes;
use openraft::EntryPayload;
use std::collections::{BTreeMap, BTreeSet};

/// A message that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("replication message: {0}")]
pub struct Malformed(pub &'static str);

/// A place in the log.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct WirePosition {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub index: u64,
}

/// A vote.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct WireVote {
    #[prost(uint64, tag = "1")]
    pub term: u64,
    #[prost(uint64, tag = "2")]
    pub node: u64,
    #[prost(bool, tag = "3")]
    pub committed: bool,
}

/// A member.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireMember {
    #[prost(uint64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(string, tag = "3")]
    pub address: String,
    #[prost(bool, tag = "4")]
    pub is_witness: bool,
}

/// A set of voters.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireVoters {
    #[prost(uint64, repeated, tag = "1")]
    pub ids: Vec<u64>,
}

/// Who belongs to the cluster; two sets of voters while it changes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireMembership {
    #[prost(message, repeated, tag = "1")]
    pub configs: Vec<WireVoters>,
    #[prost(message, repeated, tag = "2")]
    pub members: Vec<WireMember>,
}

/// A membership and the entry that set it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireStoredMembership {
    #[prost(message, optional, tag = "1")]
    pub position: Option<WirePosition>,
    #[prost(message, optional, tag = "2")]
    pub membership: Option<WireMembership>,
}

/// A batch of the application.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireBatch {
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    #[prost(fixed64, tag = "2")]
    pub origin: u64,
    #[prost(uint64, tag = "3")]
    pub sequence: u64,
    #[prost(bytes = "bytes", tag = "4")]
    pub bytes: Bytes,
}

/// An entry of the log; neither batch nor membership is the entry with which a leader begins.
#[derive(Clone, PartialEq, prost::Message)]
pub struct WireEntry {
    #[prost(message, optional, tag = "1")]
    pub position: Option<WirePosition>,
    #[prost(message, optional, tag = "2")]
    pub batch: Option<WireBatch>,
    #[prost(message, optional, tag = "3")]
    pub membership: Option<WireMembership>,
}

/// Entries from the leader, or none as its heartbeat.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AppendRequest {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<WireVote>,
    #[prost(message, optional, tag = "2")]
    pub previous: Option<WirePosition>,
    #[prost(message, optional, tag = "3")]
    pub commit: Option<WirePosition>,
    #[prost(message, repeated, tag = "4")]
    pub entries: Vec<WireEntry>,
}

/// What became of them: none of the fields set means all of them are durable here.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct AppendReply {
    #[prost(bool, tag = "1")]
    pub conflict: bool,
    #[prost(message, optional, tag = "2")]
    pub higher_vote: Option<WireVote>,
    #[prost(bool, tag = "3")]
    pub partial: bool,
    #[prost(message, optional, tag = "4")]
    pub matched: Option<WirePosition>,
}

/// A candidate asks for a vote, or whether it would get one.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BallotRequest {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<WireVote>,
    #[prost(message, optional, tag = "2")]
    pub last: Option<WirePosition>,
    #[prost(bool, tag = "3")]
    pub is_transfer: bool,
    #[prost(bool, tag = "4")]
    pub is_question: bool,
}

/// The answer.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct BallotReply {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<WireVote>,
    #[prost(bool, tag = "2")]
    pub granted: bool,
    #[prost(message, optional, tag = "3")]
    pub last: Option<WirePosition>,
}

/// The leader wants the receiver to take over.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct TransferRequest {
    #[prost(message, optional, tag = "1")]
    pub from: Option<WireVote>,
    #[prost(uint64, tag = "2")]
    pub to: u64,
    #[prost(message, optional, tag = "3")]
    pub last: Option<WirePosition>,
}

/// An image is about to come.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageOffer {
    #[prost(message, optional, tag = "1")]
    pub position: Option<WirePosition>,
    #[prost(message, optional, tag = "2")]
    pub membership: Option<WireStoredMembership>,
    #[prost(uint64, tag = "3")]
    pub bytes: u64,
}

/// The receiver has so many bytes of it already.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ImageWanted {
    #[prost(uint64, tag = "1")]
    pub from: u64,
}

/// A piece.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ImagePiece {
    #[prost(uint64, tag = "1")]
    pub offset: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub bytes: Bytes,
}

/// All pieces are there: take it, on behalf of this leader.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ImageEnd {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<WireVote>,
    /// CRC-32 of the whole file.
    #[prost(fixed32, tag = "2")]
    pub crc: u32,
}

/// It was taken, or the vote that stands against it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ImageTaken {
    #[prost(message, optional, tag = "1")]
    pub vote: Option<WireVote>,
}

/// What a node says about itself.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeReport {
    #[prost(fixed64, tag = "1")]
    pub id: u64,
    #[prost(string, tag = "2")]
    pub name: String,
    /// Identity of the cluster that it belongs to; 0 = none yet.
    #[prost(fixed64, tag = "3")]
    pub cluster: u64,
    /// It has data of its own that no cluster knows.
    #[prost(bool, tag = "4")]
    pub has_data: bool,
    #[prost(bool, tag = "5")]
    pub is_witness: bool,
    #[prost(uint64, tag = "6")]
    pub term: u64,
    #[prost(fixed64, tag = "7")]
    pub leader: u64,
    #[prost(message, optional, tag = "8")]
    pub last: Option<WirePosition>,
    #[prost(message, optional, tag = "9")]
    pub applied: Option<WirePosition>,
    /// What the application says about itself, for operators.
    #[prost(string, tag = "10")]
    pub state: String,
    /// Percent of an image that is being received; 100 when none is.
    #[prost(uint32, tag = "11")]
    pub percent: u32,
}

/// A request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Request {
    /// The node that is meant; 0 = whoever answers at this address.
    #[prost(fixed64, tag = "8")]
    pub to: u64,
    /// The cluster that is meant.
    #[prost(fixed64, tag = "9")]
    pub cluster: u64,
    #[prost(oneof = "Ask", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub ask: Option<Ask>,
}

/// What is asked.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Ask {
    #[prost(message, tag = "1")]
    Append(AppendRequest),
    #[prost(message, tag = "2")]
    Ballot(BallotRequest),
    #[prost(message, tag = "3")]
    Transfer(TransferRequest),
    #[prost(message, tag = "4")]
    Offer(ImageOffer),
    #[prost(message, tag = "5")]
    Piece(ImagePiece),
    #[prost(message, tag = "6")]
    End(ImageEnd),
    #[prost(message, tag = "7")]
    Report(NodeReport),
}

/// A reply; requests of a connection are answered in order.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Reply {
    #[prost(oneof = "Answer", tags = "1, 2, 3, 4, 5, 6, 7, 8")]
    pub answer: Option<Answer>,
}

/// What is answered.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Answer {
    #[prost(message, tag = "1")]
    Append(AppendReply),
    #[prost(message, tag = "2")]
    Ballot(BallotReply),
    /// A transfer was accepted, or a piece was written.
    #[prost(bool, tag = "3")]
    Done(bool),
    #[prost(message, tag = "4")]
    Wanted(ImageWanted),
    #[prost(message, tag = "5")]
    Taken(ImageTaken),
    #[prost(message, tag = "6")]
    Report(NodeReport),
    /// Why there is no answer.
    #[prost(string, tag = "7")]
    Refused(String),
    /// A transfer was refused because something else happened first.
    #[prost(string, tag = "8")]
    NotNow(String),
}

impl From<Position> for WirePosition {
    fn from(position: Position) -> WirePosition {
        WirePosition {
            term: position.term,
            index: position.index,
        }
    }
}

impl From<WirePosition> for Position {
    fn from(wire: WirePosition) -> Position {
        Position {
            term: wire.term,
            index: wire.index,
        }
    }
}

/// An optional position on the wire.
pub fn place(log_id: Option<&LogId>) -> Option<WirePosition> {
    log_id.map(|id| position(id).into())
}

/// And back.
pub fn unplace(wire: Option<WirePosition>) -> Option<LogId> {
    wire.map(|wire| log_id(wire.into()))
}

impl From<&Vote> for WireVote {
    fn from(vote: &Vote) -> WireVote {
        WireVote {
            term: vote.leader_id().term,
            node: vote.leader_id().voted_for,
            committed: vote.is_committed(),
        }
    }
}

impl WireVote {
    /// The vote of a message.
    pub fn into_vote(self) -> Vote {
        if self.committed {
            Vote::new_committed(self.term, self.node)
        } else {
            Vote::new(self.term, self.node)
        }
    }
}

/// A vote that a message must have.
pub fn vote(wire: Option<WireVote>) -> Result<Vote, Malformed> {
    wire.map(WireVote::into_vote).ok_or(Malformed("no vote"))
}

impl From<&Membership> for WireMembership {
    fn from(membership: &Membership) -> WireMembership {
        WireMembership {
            configs: membership
                .get_joint_config()
                .iter()
                .map(|voters| WireVoters {
                    ids: voters.iter().copied().collect(),
                })
                .collect(),
            members: membership
                .nodes()
                .map(|(id, peer)| WireMember {
                    id: *id,
                    name: peer.name.clone(),
                    address: peer.address.to_string(),
                    is_witness: peer.is_witness,
                })
                .collect(),
        }
    }
}

impl WireMembership {
    /// The membership of a message.
    pub fn into_membership(self) -> Result<Membership, Malformed> {
        let mut nodes: BTreeMap<NodeId, Peer> = BTreeMap::new();
        for member in self.members {
            let address = member
                .address
                .parse()
                .map_err(|_| Malformed("a member without an address"))?;
            nodes.insert(
                member.id,
                Peer {
                    name: member.name,
                    address,
                    is_witness: member.is_witness,
                },
            );
        }
        let configs: Vec<BTreeSet<NodeId>> = self
            .configs
            .into_iter()
            .map(|voters| voters.ids.into_iter().collect())
            .collect();
        Membership::new(configs, nodes).map_err(|_| Malformed("an impossible membership"))
    }
}

impl From<&StoredMembership> for WireStoredMembership {
    fn from(stored: &StoredMembership) -> WireStoredMembership {
        WireStoredMembership {
            position: place(stored.log_id().as_ref()),
            membership: Some(stored.membership().into()),
        }
    }
}

impl WireStoredMembership {
    /// The membership of a message, with the entry that set it.
    pub fn into_stored(self) -> Result<StoredMembership, Malformed> {
        let membership = self
            .membership
            .ok_or(Malformed("no membership"))?
            .into_membership()?;
        Ok(StoredMembership::new(unplace(self.position), membership))
    }
}

impl From<&Entry> for WireEntry {
    fn from(entry: &Entry) -> WireEntry {
        let position = Some(position(&entry.log_id).into());
        match &entry.payload {
            EntryPayload::Blank => WireEntry {
                position,
                batch: None,
                membership: None,
            },
            EntryPayload::Normal(batch) => WireEntry {
                position,
                batch: Some(WireBatch {
                    kind: match batch.kind {
                        Kind::Changes => 0,
                        Kind::Digest => 1,
                        Kind::Auxiliary => 2,
                    },
                    origin: batch.origin,
                    sequence: batch.sequence,
                    bytes: batch.bytes.clone(),
                }),
                membership: None,
            },
            EntryPayload::Membership(membership) => WireEntry {
                position,
                batch: None,
                membership: Some(membership.into()),
            },
        }
    }
}

impl WireEntry {
    /// The entry of a message.
    pub fn into_entry(self) -> Result<Entry, Malformed> {
        let log_id = unplace(self.position).ok_or(Malformed("an entry without a position"))?;
        let payload = match (self.batch, self.membership) {
            (None, None) => EntryPayload::Blank,
            (Some(batch), None) => EntryPayload::Normal(Batch {
                kind: match batch.kind {
                    0 => Kind::Changes,
                    1 => Kind::Digest,
                    2 => Kind::Auxiliary,
                    _ => return Err(Malformed("a batch of an unknown kind")),
                },
                origin: batch.origin,
                sequence: batch.sequence,
                bytes: batch.bytes,
            }),
            (None, Some(membership)) => EntryPayload::Membership(membership.into_membership()?),
            (Some(_), Some(_)) => return Err(Malformed("an entry that is two things")),
        };
        Ok(Entry { log_id, payload })
    }
}
