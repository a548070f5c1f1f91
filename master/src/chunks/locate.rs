//! Where clients find a chunk: read requests, and the order of locations (master-behaviour §3.2,
//! §5.2).

use super::copies::{CopyState, OperationKind};
use super::planner::Chunks;
use super::records::Chunk;
use super::request::{LOCATIONS_MAX, Location, Locations};
use crate::core::Now;
use metadata::Namespace;
use proto::{ChunkId, Status};
use std::net::Ipv4Addr;

/// One copy as mfsfileinfo shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyInfo {
    /// Where it is.
    pub location: Location,
    /// 0 valid, 1 marked for removal, 2 wrong version, 3 both, 4 invalid (wire form of CHECK).
    pub state: u8,
}

impl Chunks {
    /// Where a chunk can be read. An empty list means "try again".
    ///
    /// # Errors
    /// [`Status::NoChunk`] for an unknown chunk; [`Status::Locked`] and [`Status::ChunkBusy`] wait
    /// in the client room's queue; [`Status::ChunkLost`] when no copy can come any more.
    pub fn read(
        &mut self,
        ns: &Namespace,
        now: Now,
        chunk: ChunkId,
        client_ip: Ipv4Addr,
    ) -> Result<Locations, Status> {
        let chunk = Chunk::find(ns, chunk).ok_or(Status::NoChunk)?;
        if chunk.is_locked(now.unix) {
            return Err(Status::Locked);
        }
        if self.copies.facts(chunk.index).operation != OperationKind::None {
            return Err(Status::ChunkBusy);
        }
        let servers = self.locations(chunk.index, client_ip);
        if servers.is_empty() && self.is_complete(now) {
            return Err(Status::ChunkLost);
        }
        Ok(Locations {
            version: chunk.record.version,
            servers,
        })
    }

    /// Good copies of a chunk, nearest to the client first, equally near ones in random order.
    /// Copies in the making are left out: a client could only fail there.
    pub(super) fn locations(&mut self, index: u32, client_ip: Ipv4Addr) -> Vec<Location> {
        let mut list: Vec<(u32, u64, Location)> = Vec::with_capacity(self.copies.of(index).len());
        for copy in self.copies.of(index) {
            if !copy.state.is_confirmed() {
                continue;
            }
            if let Some(server) = self.servers.get(copy.server)
                && server.connected
            {
                let distance = self.places.distance(client_ip, server.identity.ip);
                list.push((distance, self.random.next(), server.location()));
            }
        }
        list.sort_unstable_by_key(|&(distance, random, _)| (distance, random));
        list.truncate(LOCATIONS_MAX);
        list.into_iter().map(|(_, _, location)| location).collect()
    }

    /// Copies of a chunk for CHECK; those under deletion are left out.
    ///
    /// # Errors
    /// [`Status::NoChunk`] for an unknown chunk.
    pub fn copies(&self, ns: &Namespace, chunk: ChunkId) -> Result<Vec<CopyInfo>, Status> {
        let chunk = Chunk::find(ns, chunk).ok_or(Status::NoChunk)?;
        let copies = self.copies.of(chunk.index).iter();
        Ok(copies
            .filter_map(|copy| {
                let server = self.servers.get(copy.server)?;
                let state = match copy.state {
                    CopyState::Valid | CopyState::Busy => 0,
                    CopyState::MarkedValid | CopyState::MarkedBusy => 1,
                    CopyState::WrongVersion => 2,
                    CopyState::MarkedWrongVersion => 3,
                    CopyState::Invalid => 4,
                    CopyState::Deleting => return None,
                };
                server.connected.then(|| CopyInfo {
                    location: server.location(),
                    state,
                })
            })
            .collect())
    }

    /// Number of usable copies; 0 for an unknown chunk.
    pub fn valid_copies(&self, ns: &Namespace, chunk: ChunkId) -> u8 {
        let Some(chunk) = Chunk::find(ns, chunk) else {
            return 0;
        };
        let usable = self
            .copies
            .of(chunk.index)
            .iter()
            .filter(|copy| copy.state.is_usable() && self.servers.is_connected(copy.server));
        u8::try_from(usable.count()).unwrap_or(u8::MAX)
    }
}
