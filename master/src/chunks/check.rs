//! The part of the file-system check that needs copies (master-behaviour §8, §17.2).

use super::copies::CopyState;
use super::planner::Chunks;
use super::records::Chunk;
use super::request::Cx;
use crate::core::Now;
use proto::{ChunkId, Inode};

/// How a chunk is missing, with its number on the wire (message 544).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MissingKind {
    /// No copy at all.
    NoCopy = 0,
    /// Only damaged copies.
    OnlyInvalid = 1,
    /// Only copies with other versions (and damaged ones).
    OnlyWrongVersions = 2,
}

/// A slot whose chunk has no usable copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The chunk.
    pub chunk: ChunkId,
    /// The file.
    pub inode: Inode,
    /// The slot.
    pub index: u32,
    /// Why.
    pub kind: MissingKind,
}

/// What the check finds at one slot of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotCheck {
    /// Enough copies.
    Good,
    /// Fewer usable copies than needed.
    Undergoal,
    /// No usable copy.
    Missing(MissingKind),
    /// Nobody knows the chunk.
    Unknown,
    /// No usable copy, beyond the end of the file and not locked: the slot should be cleared.
    Droppable,
}

/// Milliseconds for which the check rests after a server went.
const PAUSE_MS: u64 = 600_000;

/// State of the check that the planner keeps.
#[derive(Debug, Default)]
pub(super) struct Check {
    paused_until_ms: u64,
}

impl Check {
    /// A chunkserver went.
    pub fn pause(&mut self, now: Now) {
        self.paused_until_ms = now.mono_ms + PAUSE_MS;
    }
}

impl Chunks {
    /// Whether the check rests because a server went in the last ten minutes.
    pub fn is_check_paused(&self, now: Now) -> bool {
        now.mono_ms < self.check.paused_until_ms
    }

    /// Looks at one slot of a file; `beyond_end`: the slot lies beyond the file's length.
    pub fn check_slot(&self, cx: &Cx<'_>, chunk: ChunkId, beyond_end: bool) -> SlotCheck {
        let Some(chunk) = Chunk::find(cx.ns, chunk) else {
            return SlotCheck::Unknown;
        };
        let live = |test: fn(CopyState) -> bool| {
            self.copies
                .of(chunk.index)
                .iter()
                .any(|copy| test(copy.state) && self.servers.is_connected(copy.server))
        };
        if !live(CopyState::is_usable) {
            if beyond_end && !chunk.is_locked(cx.now.unix) {
                return SlotCheck::Droppable;
            }
            return SlotCheck::Missing(if live(CopyState::is_wrong_version) {
                MissingKind::OnlyWrongVersions
            } else if live(|state| state == CopyState::Invalid) {
                MissingKind::OnlyInvalid
            } else {
                MissingKind::NoCopy
            });
        }
        if self.is_undergoal(cx.ns, &chunk) {
            return SlotCheck::Undergoal;
        }
        SlotCheck::Good
    }
}
