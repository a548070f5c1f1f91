//! Repair of files by command (master-behaviour §3.9).

use super::copies::CopyState;
use super::planner::Chunks;
use super::records::Chunk;
use super::request::Cx;
use proto::{ChunkId, ChunkVersion, Inode, Status};

/// Outcome of repairing one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// Nothing to do, or the chunk is locked.
    Unchanged,
    /// The slot is a hole now.
    Erased,
    /// Copies with another version count again.
    Repaired,
}

impl Chunks {
    /// Repairs one slot of a file, with its REPAIR line.
    pub fn repair(&mut self, cx: &mut Cx<'_>, inode: Inode, slot: u32, id: ChunkId) -> Repaired {
        self.try_repair(cx, inode, slot, id)
            .unwrap_or_else(|status| {
                tracing::error!("inode {inode} slot {slot}: repairing failed: {status}");
                Repaired::Unchanged
            })
    }

    fn try_repair(
        &mut self,
        cx: &mut Cx<'_>,
        inode: Inode,
        slot: u32,
        id: ChunkId,
    ) -> Result<Repaired, Status> {
        if id == ChunkId::HOLE {
            return Ok(Repaired::Unchanged);
        }
        let Some(chunk) = Chunk::find(cx.ns, id) else {
            let (ns, mut tx) = cx.parts();
            ns.repair_slot(&mut tx, inode, slot, ChunkVersion(0))?;
            return Ok(Repaired::Erased);
        };
        let index = chunk.index;
        self.drop_gone(index);
        if chunk.is_locked(cx.now.unix) || self.count(index, CopyState::is_usable) != 0 {
            return Ok(Repaired::Unchanged);
        }
        let best = self
            .copies
            .of(index)
            .iter()
            .filter(|copy| copy.state.is_wrong_version())
            .map(|copy| copy.version)
            .max()
            .unwrap_or(0);
        let (ns, mut tx) = cx.parts();
        ns.repair_slot(&mut tx, inode, slot, ChunkVersion(best))?;
        if best != 0 {
            self.take_version(index, best);
        }
        self.changed(cx, id);
        Ok(if best == 0 {
            Repaired::Erased
        } else {
            Repaired::Repaired
        })
    }

    /// Copies with this version count again; the chunk has it already.
    pub(super) fn take_version(&mut self, index: u32, version: u32) {
        for copy in self.copies.of_mut(index) {
            if copy.state.is_wrong_version() && copy.version == version {
                copy.state = copy.state.valid();
            }
        }
        self.copies.update(index, |facts| facts.settled = false);
    }
}
