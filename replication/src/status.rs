//! The state of the cluster as one node sees it, for operators.

use crate::types::{NodeId, Peer, Position};
use crate::wire::NodeReport;
use std::net::SocketAddrV4;
use std::time::Duration;

/// The cluster as one node sees it.
#[derive(Clone, Debug)]
pub struct Status {
    /// Name of the node that tells.
    pub node: String,
    /// Identity of the cluster; 0 = none yet.
    pub cluster: u64,
    /// The newest term.
    pub term: u64,
    /// Who leads; 0 = nobody that it knows.
    pub leader: NodeId,
    /// How long this node may still serve without hearing from a majority.
    pub lease: Option<Duration>,
    /// Why there is no cluster yet.
    pub waiting: String,
    /// All configured nodes, in the order of the configuration.
    pub peers: Vec<PeerStatus>,
}

/// One node.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Its name.
    pub name: String,
    /// Its replication port.
    pub address: SocketAddrV4,
    /// It never serves.
    pub is_witness: bool,
    /// It answered within the last seconds.
    pub is_connected: bool,
    /// Its identity; 0 = not known.
    pub id: NodeId,
    /// It belongs to a cluster.
    pub cluster: u64,
    /// Its last entry.
    pub last: Option<Position>,
    /// The last entry that its application was given.
    pub applied: Option<Position>,
    /// Percent of an image that it is receiving.
    pub percent: Option<u32>,
    /// What its application says.
    pub state: String,
    /// Why it cannot be reached, or what is wrong with it.
    pub error: String,
}

impl PeerStatus {
    pub(crate) fn new(
        peer: &Peer,
        report: Option<&NodeReport>,
        is_connected: bool,
        error: &str,
        sending: Option<u32>,
    ) -> PeerStatus {
        let receiving = report
            .map(|report| report.percent)
            .filter(|&percent| percent < 100 && is_connected);
        PeerStatus {
            name: peer.name.clone(),
            address: peer.address,
            is_witness: peer.is_witness,
            is_connected,
            id: report.map_or(0, |report| report.id),
            cluster: report.map_or(0, |report| report.cluster),
            last: report.and_then(|report| report.last).map(Into::into),
            applied: report.and_then(|report| report.applied).map(Into::into),
            percent: sending.or(receiving),
            state: report
                .map(|report| report.state.clone())
                .unwrap_or_default(),
            error: error.to_owned(),
        }
    }
}
