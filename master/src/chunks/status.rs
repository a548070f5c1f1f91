//! What monitors ask about the planner (wire-admin §4).

use super::counters::{ClassChunks, LoopReport, Matrix};
use super::planner::Chunks;
use super::queues::PRIORITIES;
use super::request::ServerId;
use super::servers::Server;
use metadata::storage_class::LabelList;

/// Whether the matrices are changing for a passing reason, bits of message 517.
pub const FORGETTING: u8 = 1;
/// A server registers.
pub const REGISTERING: u8 = 2;

impl Chunks {
    /// Chunks by copies needed and usable copies.
    pub fn matrix(&self) -> &Matrix {
        self.census.all()
    }

    /// The same without copies on disks marked for removal.
    pub fn regular_matrix(&self) -> &Matrix {
        self.census.regular()
    }

    /// [`FORGETTING`] and [`REGISTERING`] bits.
    pub fn progress(&self) -> u8 {
        let mut bits = 0;
        if self.walk.is_running() {
            bits |= FORGETTING;
        }
        if self.servers.any_registering() {
            bits |= REGISTERING;
        }
        bits
    }

    /// The last complete pass.
    pub fn loop_report(&self) -> &LoopReport {
        &self.report
    }

    /// Chunks of a storage class.
    pub fn class_chunks(&self, class: u8) -> ClassChunks {
        self.census.class(class)
    }

    /// Entries of the priority queues.
    pub fn queue_lengths(&self) -> [usize; PRIORITIES] {
        self.queues.lengths()
    }

    /// All copies of all chunks.
    pub fn copies_total(&self) -> u64 {
        self.copies.total()
    }

    /// Bytes of the table of copies: allocated and used.
    pub fn copies_memory(&self) -> (u64, u64) {
        self.copies.memory()
    }

    /// Deletions that may be unanswered at one server now.
    pub fn deletion_limit(&self) -> u32 {
        self.deletion_limit.current()
    }

    /// Connected servers.
    pub fn servers(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        self.servers.iter()
    }

    /// A server, connected or being forgotten.
    pub fn server_info(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id)
    }

    /// Whether client operations are still open (asked at the end of the process).
    pub fn has_operations(&self) -> bool {
        !self.operations.is_empty()
    }

    /// How well a list of labels can be met (§4.4): 3 by usable servers, 2 only with overloaded or
    /// spared ones, 1 only with ones that have no space, 0 not at all.
    pub fn fulfilment(&self, now: u32, labels: &LabelList) -> u8 {
        let met = |accept: &dyn Fn(&Server) -> bool| {
            let ids: Vec<ServerId> = self
                .servers
                .iter()
                .filter(|(_, server)| accept(server))
                .map(|(id, _)| id)
                .collect();
            let matching = super::matching::match_labels(
                labels.expressions(),
                &self.candidates_of(ids.into_iter()),
            );
            matching.iter().flatten().count() == usize::from(labels.copies())
        };
        if met(&|server| !server.is_full() && !server.is_spared(now)) {
            3
        } else if met(&|server| !server.is_full()) {
            2
        } else if met(&|_| true) {
            1
        } else {
            0
        }
    }

    /// Connected servers that fit an expression.
    pub fn servers_matching(&self, expression: metadata::storage_class::LabelExpression) -> u16 {
        let count = self
            .servers
            .iter()
            .filter(|(_, server)| expression.matches(server.labels))
            .count();
        u16::try_from(count).unwrap_or(u16::MAX)
    }
}
