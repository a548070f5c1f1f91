//! The cluster in numbers: totals, chunk loop, matrix, memory, module (wire-admin §3.3, §4.3,
//! §4.5, §4.6, §4.12).

use crate::core::Core;
use crate::links::LinkId;
use metadata::survey::Memory;
use proto::admin::{
    ChunkLoop, ChunkLoopForm, ChunkMatrix, GetChunkMatrix, GetModuleInfo, Info, InfoForm,
    MEMORY_KINDS, MasterState, Matrix, MemoryArea, MemoryDetail, ModuleInfo, ModuleKind,
};
use proto::ids::CsId;
use proto::list::List;
use std::net::{Ipv4Addr, SocketAddrV4};

/// Totals.
pub(super) fn info(core: &mut Core, link: LinkId) {
    let counts = core.ns.counts();
    let space = core.chunks.space();
    let copies = |matrix: &crate::chunks::Matrix| {
        let of_row = |row: &[u32; crate::chunks::MATRIX]| -> u64 {
            (0..)
                .zip(row)
                .map(|(copies, &chunks)| copies * u64::from(chunks))
                .sum()
        };
        u32::try_from(matrix.iter().map(of_row).sum::<u64>()).unwrap_or(u32::MAX)
    };
    let (store, usage) = (core.admin.store, core.admin.usage);
    let none = MasterState::NONE.0;
    // 10^9 is a whole core; the counters are those of a minute.
    let share = |micros: u64| micros.saturating_mul(1000) / 60;
    let info = Info {
        version: crate::VERSION,
        memory: usage.memory,
        system_cpu: share(usage.system_cpu_micros),
        user_cpu: share(usage.user_cpu_micros),
        total_space: space.total,
        available_space: space.available,
        free_space: space.free,
        trash_space: counts.trash_space,
        trash_files: counts.trash_files,
        sustained_space: counts.sustained_space,
        sustained_files: counts.sustained_files,
        inodes: counts.inodes,
        directories: counts.dirs,
        files: counts.files,
        chunks: counts.chunks,
        copies: copies(core.chunks.matrix()),
        regular_copies: copies(core.chunks.regular_matrix()),
        store_time: store.time,
        store_duration: store.duration_ms,
        store_status: store.status,
        state: none,
        next_state: none,
        stable: none,
        synchronised: none,
        leader: Ipv4Addr::UNSPECIFIED,
        state_change_time: 0,
        meta_version: core.ns.version(),
        exports_checksum: core.clients.exports_checksum(),
        local_time_us: core.now.unix_micros,
        changelog_time: 0,
    };
    info.encode(InfoForm::Clock, core.links.out(link));
}

/// The last complete pass over all chunks.
pub(super) fn chunk_loop(core: &mut Core, link: LinkId) {
    let report = core.chunks.loop_report();
    let counters = report.counters;
    let answer = ChunkLoop {
        start: report.began,
        end: report.ended,
        deleted_invalid: counters.invalid,
        delayed_invalid: counters.invalid_left,
        deleted_unused: counters.unused,
        delayed_unused: counters.unused_left,
        deleted_disk_clean: counters.disk_clean,
        delayed_disk_clean: counters.disk_clean_left,
        deleted_overgoal: counters.overgoal,
        delayed_overgoal: counters.overgoal_left,
        copied_undergoal: counters.undergoal,
        delayed_undergoal: counters.undergoal_left,
        copied_wrong_labels: counters.wrong_labels,
        delayed_wrong_labels: counters.wrong_labels_left,
        copied_rebalance: counters.rebalance,
        unmatched_labels: counters.labels_dont_match,
        locked_unused: counters.locked_unused,
        locked_used: counters.locked_used,
    };
    answer.encode(ChunkLoopForm::Labels, core.links.out(link));
}

/// Chunks by goal and number of copies.
pub(super) fn matrix(core: &mut Core, link: LinkId, request: GetChunkMatrix) {
    let all = Matrix(*core.chunks.matrix());
    let regular = Matrix(*core.chunks.regular_matrix());
    let answer = match request.matrix {
        Some(0) => ChunkMatrix::One(Box::new(all)),
        Some(1) => ChunkMatrix::One(Box::new(regular)),
        Some(_) => ChunkMatrix::One(Box::default()),
        None => ChunkMatrix::Both {
            progress: core.chunks.progress(),
            matrices: Box::new([all, regular]),
        },
    };
    answer.encode(core.links.out(link));
}

/// Memory of each kind of record, in the positions that the clients know.
pub(super) fn memory(core: &mut Core, link: LinkId) {
    let metadata = core.ns.memory();
    let (allocated, used) = core.chunks.copies_memory();
    let area = |kind: &str| match kind {
        "chunks" => metadata.chunks,
        "chunkserver lists" => Memory { allocated, used },
        "edge hash" => metadata.name_index,
        "edges" => metadata.edges,
        "nodes" => metadata.nodes,
        "deleted nodes" => metadata.freed,
        "quota" => metadata.quotas,
        // Inodes and chunks of files are found by position; there is no table for them.
        _ => Memory::default(),
    };
    let mut buffer = Vec::new();
    let areas = MEMORY_KINDS.iter().map(|kind| {
        let Memory { allocated, used } = area(kind);
        MemoryArea { allocated, used }
    });
    MemoryDetail {
        areas: List::write(areas, &mut buffer),
    }
    .encode(core.links.out(link));
}

/// What kind of daemon answers.
pub(super) fn module(core: &mut Core, link: LinkId, request: GetModuleInfo) {
    let info = ModuleInfo {
        msgid: request.msgid,
        module: ModuleKind::MASTER,
        version: crate::VERSION,
        csid: CsId(0),
        metaid: core.ns.metaid(),
        leader: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0),
    };
    info.encode(core.links.out(link));
}
