//! The lab: whole clusters in network namespaces of their own, our programs and those that Debian
//! ships in any mixture, real FUSE mounts, real kills.
//!
//! Everything a [`Cluster`] makes is gone when it is dropped. Addresses are private to the
//! namespace, so clusters run side by side and reach nothing outside.

mod cluster;
mod command;
mod metalogger;
mod namespace;
mod replicated;
mod requirements;
mod tree;

pub use cluster::{
    Chunkservers, Cluster, ClusterOptions, MASTER_IP, Program, program, wait_at_most, wait_until,
};
pub use command::{Output, run, run_for};
pub use metalogger::Metalogger;
pub use namespace::Namespace;
pub use replicated::{Cut, ReplicatedCluster, VIP};
pub use requirements::{missing, ready};
pub use tree::{Difference, differences};
