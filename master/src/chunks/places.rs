//! How far machines are from each other (master-behaviour §5.1).

use crate::topology::Topology;
use std::fmt::Debug;
use std::net::Ipv4Addr;

/// The topology, as far as chunk placement needs it.
pub trait Places: Debug {
    /// 0 the same address, 1 the same rack, more the farther apart the racks are.
    fn distance(&self, a: Ipv4Addr, b: Ipv4Addr) -> u32;

    /// Name of the rack of an address; empty when it is undefined.
    fn rack(&self, ip: Ipv4Addr) -> &str;
}

impl Places for Topology {
    fn distance(&self, a: Ipv4Addr, b: Ipv4Addr) -> u32 {
        Topology::distance(self, a, b)
    }

    fn rack(&self, ip: Ipv4Addr) -> &str {
        Topology::rack(self, ip)
    }
}

/// A topology without any rack.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRacks;

impl Places for NoRacks {
    fn distance(&self, a: Ipv4Addr, b: Ipv4Addr) -> u32 {
        u32::from(a != b)
    }

    fn rack(&self, _ip: Ipv4Addr) -> &str {
        ""
    }
}
