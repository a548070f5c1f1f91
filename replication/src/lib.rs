//! The replicated log: what one node proposes is on stable storage at a majority, in one order, before
//! anyone is told.
//!
//! Generic over what it replicates: entries are bytes, snapshots are files. openraft decides; this
//! crate stores ([`store`]), connects ([`frame`]), forms the cluster, and gives the application a few
//! calls ([`Replica`]), events ([`Event`]) and the right to serve ([`Lease`]).

mod event;
mod formation;
mod frame;
mod identity;
mod image;
mod lease;
mod machine;
mod network;
mod replica;
mod server;
mod status;
mod store;
mod supervise;
mod types;
mod wire;

pub use event::{Content, Event, Role};
pub use frame::{SECRET_BYTES_MIN, Secret};
pub use lease::Lease;
pub use replica::{Recovered, Replica, Settings, is_member, recovered};
pub use status::{PeerStatus, Status};
pub use types::{Batch, Kind, NodeId, Peer, Position};
