//! Servers for a new chunk (master-behaviour §5.3).

use super::matching::{Candidate, match_labels};
use super::planner::Chunks;
use super::records::Want;
use super::request::ServerId;
use super::servers::{LoadStatus, Server};
use crate::core::Now;
use metadata::storage_class::LabelMode;
use proto::Status;
use proto::chunkserver::CHUNK_SIZE;
use std::net::Ipv4Addr;

/// Chunks for which a server must have room, beside the new one, for each chunk being written.
const ROOM_PER_WRITE: u64 = 10;
/// Weight of one chunk being written or fetched in the order of servers.
const BUSY_WEIGHT: f64 = 1000.0;
/// Above this part of all candidates, in percent, spared servers are used after all.
const SPARED_PERCENT_MAX: usize = 20;
/// Allocations per server after which the turns are shuffled anew.
const TURNS: u32 = 10;

impl Chunks {
    /// Servers for the copies of a new chunk; at least one.
    ///
    /// # Errors
    /// [`Status::Eagain`] when waiting may help, else [`Status::NoSpace`] or
    /// [`Status::NoChunkServers`].
    pub(super) fn choose(
        &mut self,
        now: Now,
        want: &Want,
        client_ip: Ipv4Addr,
    ) -> Result<Vec<ServerId>, Status> {
        let mut normal = Vec::new();
        let mut spared = Vec::new();
        let mut overloaded = Vec::new();
        for (id, server) in self.servers.iter() {
            if !has_room(server) {
                continue;
            }
            match server.load_status(now.unix) {
                LoadStatus::Overloaded => overloaded.push(id),
                LoadStatus::Grace | LoadStatus::InternalRebalance => spared.push(id),
                LoadStatus::Default | LoadStatus::Ok if server.maintenance => spared.push(id),
                LoadStatus::Default | LoadStatus::Ok => normal.push(id),
            }
        }
        let mut candidates = normal;
        if spared.len() * 100 > (candidates.len() + spared.len()) * SPARED_PERCENT_MAX {
            candidates.append(&mut spared);
        }
        let copies = want.copies();
        if candidates.len() < copies && candidates.len() + overloaded.len() >= copies {
            return Err(Status::Eagain);
        }
        self.sort_by_turn(&mut candidates);
        let near = self.settings.creations_respect_topology;
        if near > 0 {
            let places = &self.places;
            let servers = &self.servers;
            candidates.sort_by_key(|&id| {
                servers
                    .get(id)
                    .is_none_or(|server| places.distance(client_ip, server.identity.ip) >= near)
            });
        }
        let chosen = if want.labels.has_labels() {
            self.choose_by_labels(want, &candidates, &overloaded)?
        } else {
            candidates.truncate(copies);
            candidates
        };
        if chosen.is_empty() {
            return Err(if !overloaded.is_empty() || !self.is_complete(now) {
                Status::Eagain
            } else if !self.servers.connected().is_empty() && self.is_stable(now) {
                Status::NoSpace
            } else {
                Status::NoChunkServers
            });
        }
        self.take_turns(&chosen);
        Ok(chosen)
    }

    fn candidates(&self, servers: &[ServerId]) -> Vec<Candidate> {
        servers
            .iter()
            .filter_map(|&id| self.servers.get(id))
            .map(|server| self.candidate(server))
            .collect()
    }

    pub(super) fn candidate(&self, server: &Server) -> Candidate {
        Candidate {
            labels: server.labels,
            group: self.group(server),
        }
    }

    fn choose_by_labels(
        &self,
        want: &Want,
        candidates: &[ServerId],
        overloaded: &[ServerId],
    ) -> Result<Vec<ServerId>, Status> {
        let expressions = want.labels.expressions();
        let matching = match_labels(expressions, &self.candidates(candidates));
        let mut chosen: Vec<ServerId> = matching
            .iter()
            .flatten()
            .filter_map(|&place| candidates.get(place).copied())
            .collect();
        if chosen.len() < expressions.len() && want.mode != LabelMode::Loose {
            let all: Vec<ServerId> = candidates.iter().chain(overloaded).copied().collect();
            let possible = match_labels(expressions, &self.candidates(&all));
            if possible.iter().flatten().count() > chosen.len() {
                return Err(Status::Eagain);
            }
        }
        if want.mode != LabelMode::Strict {
            for &id in candidates {
                if chosen.len() >= expressions.len() {
                    break;
                }
                if !chosen.contains(&id) {
                    chosen.push(id);
                }
            }
        }
        Ok(chosen)
    }

    /// Total space of all servers: the expected number of allocations between two turns of a
    /// server is this through its own.
    fn total_space(&self) -> f64 {
        self.servers
            .iter()
            .map(|(_, server)| server.space.total as f64)
            .sum()
    }

    /// Whose turn it is, idle servers first.
    fn sort_by_turn(&self, servers: &mut [ServerId]) {
        let total = self.total_space();
        let key = |id: ServerId| {
            let Some(server) = self.servers.get(id) else {
                return f64::MAX;
            };
            let turn = if server.first {
                1.0
            } else {
                (expected(total, server) + server.correction) / f64::from(server.distance + 1)
            };
            turn + BUSY_WEIGHT * f64::from(server.writing + server.replications_in)
        };
        servers.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    }

    /// Moves the turns on.
    fn take_turns(&mut self, chosen: &[ServerId]) {
        let total = self.total_space();
        let count = u32::try_from(chosen.len()).unwrap_or(u32::MAX);
        self.allocations = self.allocations.saturating_add(count);
        let servers = u32::try_from(self.servers.connected().len()).unwrap_or(u32::MAX);
        let shuffle = self.allocations >= servers.saturating_mul(TURNS);
        if shuffle {
            self.allocations = 0;
        }
        let random = &mut self.random;
        self.servers.each_mut(|id, server| {
            if shuffle {
                server.distance = (expected(total, server) * random.fraction()) as u32;
                server.correction = 0.0;
                return;
            }
            server.distance = server.distance.saturating_add(count);
            if chosen.contains(&id) {
                if !server.first {
                    server.correction += expected(total, server) - f64::from(server.distance);
                }
                server.first = false;
                server.distance = 0;
            }
        });
    }
}

/// Allocations expected between two turns of a server.
fn expected(total: f64, server: &Server) -> f64 {
    if server.space.total == 0 {
        return total.max(1.0);
    }
    total / server.space.total as f64
}

fn has_room(server: &Server) -> bool {
    let room = u64::from(CHUNK_SIZE) * (1 + ROOM_PER_WRITE * u64::from(server.writing));
    server.space.total > 0 && server.space.used <= server.space.total && server.free() > room
}
