//! Which of several servers to ask: the one with the least to do that did not fail lately
//! (client-behaviour §11.3).

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use tokio::time::Instant;

use crate::operations::ChunkServer;

/// How long a server that failed is asked only if no other has the data.
const SHUNNED: Duration = Duration::from_secs(5);
/// Weight of a new measurement against the average.
const SMOOTHING: u32 = 8;

#[derive(Debug, Default)]
struct Server {
    in_flight: u32,
    failed_at: Option<Instant>,
    /// Average time to the first byte.
    response: Duration,
}

/// What is known about the servers.
#[derive(Debug, Default)]
pub(super) struct Load {
    servers: HashMap<SocketAddrV4, Server>,
}

impl Load {
    pub(super) fn begin(&mut self, address: SocketAddrV4) {
        self.servers.entry(address).or_default().in_flight += 1;
    }

    pub(super) fn end(&mut self, address: SocketAddrV4) {
        if let Some(server) = self.servers.get_mut(&address) {
            server.in_flight = server.in_flight.saturating_sub(1);
        }
    }

    pub(super) fn failed(&mut self, address: SocketAddrV4, now: Instant) {
        self.servers.entry(address).or_default().failed_at = Some(now);
    }

    pub(super) fn answered(&mut self, address: SocketAddrV4, after: Duration) {
        let server = self.servers.entry(address).or_default();
        server.failed_at = None;
        server.response = match server.response {
            Duration::ZERO => after,
            average => (average * (SMOOTHING - 1) + after) / SMOOTHING,
        };
    }

    /// Average time to the first byte; zero if unknown.
    pub(super) fn response(&self, address: SocketAddrV4) -> Duration {
        self.servers
            .get(&address)
            .map_or(Duration::ZERO, |server| server.response)
    }

    /// The best of `servers`, whose order is the master's; `rank` is the priority of labels, small
    /// is good. `except` is asked already.
    pub(super) fn choose(
        &self,
        servers: &[ChunkServer],
        rank: impl Fn(&ChunkServer) -> usize,
        except: Option<SocketAddrV4>,
        now: Instant,
    ) -> Option<ChunkServer> {
        let cost = |server: &ChunkServer| {
            let known = self.servers.get(&server.address);
            let is_shunned = known
                .and_then(|known| known.failed_at)
                .is_some_and(|failed| now.duration_since(failed) < SHUNNED);
            let in_flight = known.map_or(0, |known| known.in_flight);
            (is_shunned, rank(server), in_flight)
        };
        servers
            .iter()
            .filter(|server| Some(server.address) != except)
            .min_by_key(|server| cost(server))
            .copied()
    }

    /// Forgets servers that nothing is known of any more.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.servers.retain(|_, server| {
            let is_shunned = server
                .failed_at
                .is_some_and(|failed| now.duration_since(failed) < SHUNNED);
            server.in_flight > 0 || is_shunned || server.response > Duration::ZERO
        });
        if self.servers.len() > SERVERS_MAX {
            self.servers.retain(|_, server| server.in_flight > 0);
        }
    }
}

/// More servers than this are not remembered.
const SERVERS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn server(port: u16) -> ChunkServer {
        ChunkServer {
            address: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
            version: proto::Version::CURRENT,
            labels: u32::from(port),
        }
    }

    #[test]
    fn the_best_server_is_near_idle_and_sound() {
        let servers = [server(1), server(2), server(3)];
        let now = Instant::now();
        let mut load = Load::default();
        let choose = |load: &Load, at| {
            load.choose(&servers, |_| 0, None, at)
                .map(|server| server.address.port())
        };
        assert_eq!(choose(&load, now), Some(1), "the master's order");
        load.begin(servers[0].address);
        assert_eq!(choose(&load, now), Some(2), "the first has something to do");
        load.failed(servers[1].address, now);
        assert_eq!(choose(&load, now), Some(3), "the second failed");
        load.end(servers[0].address);
        load.failed(servers[0].address, now);
        load.failed(servers[2].address, now);
        assert_eq!(choose(&load, now), Some(1), "all failed");
        assert_eq!(choose(&load, now + SHUNNED), Some(1));
        let labelled = load.choose(
            &servers,
            |server| usize::from(server.labels != 3),
            None,
            now + SHUNNED,
        );
        assert_eq!(labelled, Some(servers[2]));
        let other = load.choose(&servers[..1], |_| 0, Some(servers[0].address), now);
        assert_eq!(other, None);
    }
}
