//! What monitors and the rounds over all inodes ask.

use crate::Namespace;
use crate::chunk_table::ChunkRecord;
use crate::quota::{Quota, Quotas, Usage};
use crate::store::edge::EdgeRecord;
use crate::store::node::NodeRecord;
use proto::Inode;

/// Memory of a kind of record, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Taken from the system.
    pub allocated: u64,
    /// In use.
    pub used: u64,
}

impl Memory {
    fn of_records<T>(slots: u64, used: u64) -> Memory {
        let size = size_of::<T>() as u64;
        Memory {
            allocated: slots * size,
            used: used * size,
        }
    }
}

/// Memory by kind of record (message 528).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Inodes.
    pub nodes: Memory,
    /// Names, without their text.
    pub edges: Memory,
    /// The index of names.
    pub name_index: Memory,
    /// Chunk records.
    pub chunks: Memory,
    /// Freed inode numbers.
    pub freed: Memory,
    /// Quotas.
    pub quotas: Memory,
}

impl Namespace {
    /// One more than the highest inode number ever used.
    pub fn inode_bound(&self) -> u32 {
        self.store.max_inode.saturating_add(1)
    }

    /// Memory by kind of record.
    pub fn memory(&self) -> MemoryReport {
        let store = &self.store;
        let names = u64::from(store.edges.count());
        MemoryReport {
            nodes: Memory::of_records::<NodeRecord>(
                u64::from(self.inode_bound()),
                u64::from(store.totals.inodes),
            ),
            edges: Memory::of_records::<EdgeRecord>(u64::from(store.edges.bound()), names),
            name_index: Memory::of_records::<u32>(names.next_power_of_two(), names),
            chunks: Memory::of_records::<ChunkRecord>(
                u64::from(self.chunks.bound()),
                u64::from(self.chunks.len()),
            ),
            freed: Memory::of_records::<(Inode, u32)>(
                store.freed.len() as u64,
                store.freed.len() as u64,
            ),
            quotas: Memory::of_records::<Quota>(self.quotas.len() as u64, self.quotas.len() as u64),
        }
    }

    /// All quotas.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// What a directory's quota counts: everything below it.
    pub fn usage(&self, directory: Inode) -> Usage {
        self.usage_below(directory)
    }
}
