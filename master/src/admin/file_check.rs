//! The slow round over all files: missing chunks, chunks under goal, archiving by age
//! (master-behaviour §17.2; messages 512 and 544).

use crate::chunks::{Cx, Missing, SlotCheck};
use crate::core::Core;
use crate::links::LinkId;
use metadata::Tx;
use proto::admin::{
    FileCheck, FileCheckForm, GetFileCheck, GetMissingChunks, MissingChunk, MissingChunkForm,
    MissingChunkList,
};
use proto::kind::NodeKind;
use proto::list::Text;
use proto::{ChunkId, Inode};

/// Steps of a round.
const STEPS: u32 = 32_768;
/// Time between two steps, milliseconds.
const STEP_MS: u64 = 100;
/// Inodes of a step at least.
const INODES_MIN: u32 = 512;
/// The first round begins so long after the start of the master, milliseconds.
const FIRST_MS: u64 = 900_000;
/// Length of the text at most, bytes.
const TEXT_MAX: usize = 1_000_000;

/// What a round finds.
#[derive(Clone, Debug, Default)]
struct Findings {
    start: u32,
    end: u32,
    files: u32,
    undergoal_files: u32,
    missing_files: u32,
    missing_trash_files: u32,
    missing_sustained_files: u32,
    chunks: u32,
    undergoal_chunks: u32,
    missing_chunks: u32,
    missing: Vec<Missing>,
    unknown_chunks: u32,
    text: String,
}

/// The round under way and the last whole one.
#[derive(Debug, Default)]
pub(super) struct FileCheckRound {
    current: Findings,
    last: Findings,
    step: u32,
    stepped_ms: u64,
}

/// The last whole round.
pub(super) fn report(core: &mut Core, link: LinkId, request: GetFileCheck) {
    let last = &core.admin.file_check.last;
    let answer = FileCheck {
        start: last.start,
        end: last.end,
        files: last.files,
        undergoal_files: last.undergoal_files,
        missing_files: last.missing_files,
        missing_trash_files: last.missing_trash_files,
        missing_sustained_files: last.missing_sustained_files,
        chunks: last.chunks,
        undergoal_chunks: last.undergoal_chunks,
        missing_chunks: last.missing_chunks,
        messages: Text(last.text.as_bytes()),
    };
    answer.encode(FileCheckForm::of_request(request), core.links.out(link));
}

/// Missing chunks that the last whole round found.
pub(super) fn missing(core: &mut Core, link: LinkId, request: GetMissingChunks) {
    let entries = core
        .admin
        .file_check
        .last
        .missing
        .iter()
        .map(|missing| MissingChunk {
            chunk: missing.chunk,
            inode: missing.inode,
            index: missing.index,
            reason: missing.kind as u8,
        });
    MissingChunkList::encode(
        entries,
        MissingChunkForm::of_request(request),
        core.links.out(link),
    );
}

/// Does a step when one is due.
pub(super) fn tick(core: &mut Core) {
    let now_ms = core.now.mono_ms;
    let round = &mut core.admin.file_check;
    if now_ms < FIRST_MS
        || now_ms < round.stepped_ms + STEP_MS
        || core.chunks.is_check_paused(core.now)
    {
        return;
    }
    round.stepped_ms = now_ms;
    if round.step == 0 {
        begin(core);
    }
    let bound = core.ns.inode_bound();
    let size = (bound / STEPS + 1).max(INODES_MIN);
    let step = core.admin.file_check.step;
    let first = step.saturating_mul(size);
    for inode in first..first.saturating_add(size).min(bound) {
        look_at(core, Inode(inode));
    }
    core.ns.refresh_real_sizes(Inode(first), size);
    core.admin.file_check.step = (step + 1) % STEPS;
}

/// The results of a round show when the next one begins.
fn begin(core: &mut Core) {
    let now = core.now.unix;
    let capacity = core.settings.chunks.missing_capacity as usize;
    let round = &mut core.admin.file_check;
    let mut done = std::mem::take(&mut round.current);
    done.end = now;
    if done.start != 0 {
        tracing::info!("structure check loop");
        if done.unknown_chunks > 0 {
            done.note(&format!("unknown chunks: {}", done.unknown_chunks));
        }
    }
    done.missing.truncate(capacity);
    round.last = done;
    round.current.start = now;
}

impl Findings {
    fn note(&mut self, line: &str) {
        tracing::error!("{line}");
        if self.text.len() + line.len() < TEXT_MAX {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }
}

fn look_at(core: &mut Core, inode: Inode) {
    let Some(node) = core.ns.node(inode) else {
        return;
    };
    if !matches!(
        node.kind,
        NodeKind::File | NodeKind::Trash | NodeKind::Sustained
    ) {
        return;
    }
    let chunks: Vec<(u32, ChunkId)> = (0..).zip(core.ns.file_chunks(inode)).collect();
    let (mut undergoal, mut lost) = (false, false);
    for (index, chunk) in chunks {
        if chunk == ChunkId::HOLE {
            continue;
        }
        let beyond_end = u64::from(index) << 26 >= node.length;
        let cx = Cx {
            now: core.now,
            ns: &mut core.ns,
            out: &mut core.out,
        };
        let found = core.chunks.check_slot(&cx, chunk, beyond_end);
        let current = &mut core.admin.file_check.current;
        current.chunks += 1;
        match found {
            SlotCheck::Good => {}
            SlotCheck::Undergoal => {
                undergoal = true;
                current.undergoal_chunks += 1;
            }
            SlotCheck::Missing(kind) => {
                lost = true;
                current.missing_chunks += 1;
                current.missing.push(Missing {
                    chunk,
                    inode,
                    index,
                    kind,
                });
            }
            SlotCheck::Unknown => {
                current.unknown_chunks += 1;
                current.note(&format!(
                    "structure error - chunk {:016X} not found (inode: {inode} ; index: {index})",
                    chunk.0
                ));
            }
            SlotCheck::Droppable => {
                let mut tx = Tx::new(core.now.unix, &mut core.out);
                if core
                    .ns
                    .set_file_chunk(&mut tx, inode, index, ChunkId::HOLE)
                    .is_ok()
                {
                    tracing::info!(
                        "removed not existing chunk exceeding file size (chunkid: {:016X} ; inode: {inode} ; index: {index})",
                        chunk.0
                    );
                }
            }
        }
    }
    let current = &mut core.admin.file_check.current;
    current.files += 1;
    current.undergoal_files += u32::from(undergoal);
    if lost {
        match node.kind {
            NodeKind::Trash => current.missing_trash_files += 1,
            NodeKind::Sustained => current.missing_sustained_files += 1,
            _ => current.missing_files += 1,
        }
    }
    let mut tx = Tx::new(core.now.unix, &mut core.out);
    core.ns.archive_by_delay(&mut tx, inode);
}
