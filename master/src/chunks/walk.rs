//! Forgetting the copies of servers that are gone, a slice at a time (master-behaviour §6.5).

use super::planner::Chunks;
use super::records::Chunk;
use super::request::{Cx, ServerId};

/// Chunks looked at in one tick.
const SLICE: u32 = 50_000;

/// Servers whose copies are being forgotten.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Each with the number of chunks that were not looked at since it went.
    gone: Vec<(ServerId, u32)>,
    next: u32,
}

impl Walk {
    /// A server went; `bound` is the bound of chunk indexes.
    pub fn begin(&mut self, server: ServerId, bound: u32) {
        self.gone.push((server, bound));
    }

    /// Whether anything is left to forget.
    pub fn is_running(&self) -> bool {
        !self.gone.is_empty()
    }
}

impl Chunks {
    /// One slice of the walk.
    pub(super) fn walk_slice(&mut self, cx: &mut Cx<'_>) {
        let Some(longest) = self.walk.gone.iter().map(|&(_, left)| left).max() else {
            return;
        };
        let count = longest.min(SLICE);
        let bound = cx.ns.chunk_index_bound();
        for _ in 0..count {
            if self.walk.next >= bound {
                self.walk.next = 0;
            }
            let index = self.walk.next;
            self.walk.next += 1;
            if !self.drop_gone(index) {
                continue;
            }
            if let Some(chunk) = Chunk::at(cx.ns, index) {
                self.recount(cx.ns, &chunk);
                self.queue_check(cx.ns, cx.now, &chunk);
                if self.copies.of(index).is_empty() {
                    self.try_remove(cx, chunk.id());
                }
            }
        }
        for (_, left) in &mut self.walk.gone {
            *left = left.saturating_sub(count);
        }
        for (server, _) in self.walk.gone.extract_if(.., |(_, left)| *left == 0) {
            if let Some(known) = self.servers.get(server) {
                tracing::info!(
                    "server ip: {} / port: {} has been fully removed from data structures",
                    known.identity.ip,
                    known.identity.port
                );
            }
            self.servers.remove(server);
            // Its number may be given again: running replications must not be counted there.
            for replication in self.replications.values_mut() {
                if replication.source == server {
                    replication.source = ServerId::NOBODY;
                }
            }
        }
    }
}
