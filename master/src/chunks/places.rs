//! How far machines are from each other (master-behaviour §5.1).

use std::fmt::Debug;
use std::net::Ipv4Addr;

/// The topology, as far as chunk placement needs it.
pub trait Places: Debug {
    /// 0 the same address, 1 the same rack, more the farther apart the racks are.
    fn distance(&self, a: Ipv4Addr, b: Ipv4Addr) -> u32;

    /// A number that all addresses of one rack share; `None` when the rack is undefined.
    fn rack(&self, ip: Ipv4Addr) -> Option<u32>;
}

/// A topology without any rack.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRacks;

impl Places for NoRacks {
    fn distance(&self, a: Ipv4Addr, b: Ipv4Addr) -> u32 {
        u32::from(a != b)
    }

    fn rack(&self, _ip: Ipv4Addr) -> Option<u32> {
        None
    }
}
