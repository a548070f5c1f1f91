//! Results of the loops over files and chunks, and the missing chunks that they found
//! (wire-admin §4.4, §4.5, §4.17).

use super::request::optional_byte;
use crate::frame::put_frame;
use crate::ids::{ChunkId, Inode};
use crate::list::Text;
use crate::message::{forms, lists, messages};
use crate::wire::{Malformed, Reader};

/// Asks for the result of the last check of all files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetFileCheck {
    /// Any byte asks for the long form (3.0.19).
    pub mode: Option<u8>,
}

optional_byte! { GetFileCheck = 512 { mode } }

/// Fields of a [`FileCheck`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileCheckForm {
    /// 36 bytes and the text.
    Old,
    /// 44 bytes and the text: missing files in trash and deleted but open.
    Long,
}

impl FileCheckForm {
    /// Form of the answer to a request.
    pub fn of_request(request: GetFileCheck) -> FileCheckForm {
        match request.mode {
            None => FileCheckForm::Old,
            Some(_) => FileCheckForm::Long,
        }
    }

    fn is_long(self) -> bool {
        self == FileCheckForm::Long
    }
}

forms! {
    /// Answer to [`GetFileCheck`]: what the last complete pass found.
    FileCheck<'a> by FileCheckForm {
        /// Start of the pass; 0: none is complete yet.
        start: u32,
        /// End of the pass, or time of the first tick.
        end: u32,
        /// Files examined.
        files: u32,
        /// Files with fewer copies than their goal.
        undergoal_files: u32,
        /// Files with missing chunks, in the tree.
        missing_files: u32,
        /// Files with missing chunks, in trash.
        missing_trash_files: u32 where is_long else 0,
        /// Files with missing chunks, deleted but open.
        missing_sustained_files: u32 where is_long else 0,
        /// Chunks examined.
        chunks: u32,
        /// Chunks with fewer copies than their goal.
        undergoal_chunks: u32,
        /// Missing chunks.
        missing_chunks: u32,
        /// A line for each problem, at most 1 000 000 bytes.
        messages: Text<'a>,
    }
}

impl<'a> FileCheck<'a> {
    /// Message type.
    pub const KIND: u32 = 513;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8], form: FileCheckForm) -> Result<FileCheck<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let check = FileCheck::get(&mut reader, form)?;
        reader.finish()?;
        Ok(check)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, form: FileCheckForm, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| self.put(out, form));
    }
}

messages! {
    /// Asks for the counters of the last pass over all chunks.
    GetChunkLoop = 514 {}
}

/// Fields of a [`ChunkLoop`]; told by the length of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChunkLoopForm {
    /// 52 bytes: 1.6.27.
    Basic,
    /// 60 bytes: locked chunks, 2.0.
    Locked,
    /// 72 bytes: labels, 2.1.4.
    Labels,
}

impl ChunkLoopForm {
    fn has_locked(self) -> bool {
        self >= ChunkLoopForm::Locked
    }

    fn has_labels(self) -> bool {
        self >= ChunkLoopForm::Labels
    }
}

forms! {
    /// Answer to [`GetChunkLoop`]: operations done, and those postponed by limits ("delayed").
    ChunkLoop by ChunkLoopForm {
        /// Start of the pass.
        start: u32,
        /// End of the pass.
        end: u32,
        /// Invalid copies deleted.
        deleted_invalid: u32,
        /// Invalid copies whose deletion is delayed.
        delayed_invalid: u32,
        /// Copies of unused chunks deleted.
        deleted_unused: u32,
        /// Copies of unused chunks whose deletion is delayed.
        delayed_unused: u32,
        /// Copies on disks marked for removal deleted.
        deleted_disk_clean: u32,
        /// Copies on disks marked for removal whose deletion is delayed.
        delayed_disk_clean: u32,
        /// Copies beyond the goal deleted.
        deleted_overgoal: u32,
        /// Copies beyond the goal whose deletion is delayed.
        delayed_overgoal: u32,
        /// Chunks below their goal replicated.
        copied_undergoal: u32,
        /// Chunks below their goal whose replication is delayed.
        delayed_undergoal: u32,
        /// Chunks at wrong labels replicated.
        copied_wrong_labels: u32 where has_labels else 0,
        /// Chunks at wrong labels whose replication is delayed.
        delayed_wrong_labels: u32 where has_labels else 0,
        /// Chunks replicated to even out the servers.
        copied_rebalance: u32,
        /// Chunks whose labels no server matches.
        unmatched_labels: u32 where has_labels else 0,
        /// Unused chunks that were locked.
        locked_unused: u32 where has_locked else 0,
        /// Used chunks that were locked.
        locked_used: u32 where has_locked else 0,
    }
}

impl ChunkLoop {
    /// Message type.
    pub const KIND: u32 = 515;

    /// Reads the payload of a packet of this type, and tells its form.
    pub fn decode(payload: &[u8]) -> Result<(ChunkLoop, ChunkLoopForm), Malformed> {
        let form = match payload.len() {
            52 => ChunkLoopForm::Basic,
            60 => ChunkLoopForm::Locked,
            72 => ChunkLoopForm::Labels,
            _ => return Err(Malformed),
        };
        Ok((ChunkLoop::get(&mut Reader::new(payload), form)?, form))
    }

    /// Appends the packet, header included.
    pub fn encode(&self, form: ChunkLoopForm, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| self.put(out, form));
    }
}

/// Asks for the missing chunks of the last complete check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetMissingChunks {
    /// Above 0: with reasons (3.0.25).
    pub mode: Option<u8>,
}

optional_byte! { GetMissingChunks = 544 { mode } }

lists! {
    /// Answer to [`GetMissingChunks`], in no particular order.
    MissingChunkList = 545 of MissingChunk by MissingChunkForm;
}

/// Fields of a [`MissingChunk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MissingChunkForm {
    /// 16 bytes.
    Plain,
    /// 17 bytes: with the reason.
    Reasons,
}

impl MissingChunkForm {
    /// Form of the answer to a request.
    pub fn of_request(request: GetMissingChunks) -> MissingChunkForm {
        match request.mode {
            None | Some(0) => MissingChunkForm::Plain,
            Some(_) => MissingChunkForm::Reasons,
        }
    }

    fn has_reason(self) -> bool {
        self == MissingChunkForm::Reasons
    }
}

forms! {
    /// A chunk without a good copy.
    MissingChunk by MissingChunkForm {
        /// Chunk.
        chunk: ChunkId,
        /// File that uses it.
        inode: Inode,
        /// Its place in the file.
        index: u32,
        /// 0 no copy, 1 only invalid ones, 2 only ones of a wrong version.
        reason: u8 where has_reason else 0,
    }
}
