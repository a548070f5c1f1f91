//! Administration of inodes and trees: trash time, class, extra attributes, quota, copies, repair,
//! snapshots, archive (wire-client-master §15).

use crate::chunks::{Cx, Repaired};
use crate::client::answer::{Handled, user};
use crate::client::link::{Conn, State};
use crate::client::push;
use crate::core::Core;
use metadata::file_chunks::Slice;
use metadata::quota::{self, QuotaRequest};
use metadata::{Caller, quota::Limits};
use proto::changelog::Counts;
use proto::client::eattr::{EattrCount, GeteattrReply, Seteattr};
use proto::client::inspect::{
    Check, CheckCopiesReply, CheckReply, Copy, DirStatsReply, ParentsReply, Repair, RepairReply,
};
use proto::client::message::{List, Message};
use proto::client::quota::{QuotaControl, QuotaReply, Usage};
use proto::client::snapshot::{
    AppendSlice, Archctl, ArchctlGetReply, ArchctlSetReply, Snapshot, archive, snapshot_mode,
};
use proto::client::trashtime::{GettrashtimeReply, Settrashtime, TrashTimeCount};
use proto::client::{ChangeReply, InodeRequest, TreeRequest, kind};
use proto::frame::{begin_frame, end_frame};
use proto::wire::Put;
use proto::{ChunkId, ChunkVersion, Inode, Status};

/// Largest `gmode`.
const GMODE_MAX: u8 = 1;
/// Counter of CHECK for chunks with ten copies or more.
const CHECK_MANY: usize = 10;
/// Counter of CHECK for holes.
const CHECK_HOLES: usize = 11;
/// Most copies that CHECK lists.
const CHECK_COPIES_MAX: usize = 100;
/// The whole source of APPEND_SLICE: to the end of whatever it has.
const WHOLE: Slice = Slice {
    flags: 0,
    from: 0,
    to: 0x8000_0000,
};

fn changes(msgid: u32, counts: Counts) -> ChangeReply {
    ChangeReply {
        msgid,
        changed: counts.changed,
        unchanged: counts.unchanged,
        not_permitted: counts.refused,
    }
}

fn tree(core: &Core, who: &Caller<'_>, request: &TreeRequest) -> Result<(Inode, bool), Status> {
    if request.mode > GMODE_MAX {
        return Err(Status::Einval);
    }
    let inode = core.ns.resolve(who, request.inode)?;
    Ok((inode, request.mode != 0))
}

/// GETTRASHTIME.
pub fn gettrashtime(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = TreeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let tally = tree(core, who, &request)
            .and_then(|(inode, recursive)| core.ns.get_trashtime(inode, recursive));
        let count = |&(seconds, count): &(u32, u32)| TrashTimeCount { seconds, count };
        let lists = tally.map(|tally| {
            let files: Vec<_> = tally.files.iter().map(count).collect();
            let directories: Vec<_> = tally.directories.iter().map(count).collect();
            (files, directories)
        });
        let result = lists.as_ref().map_err(|&status| status);
        let result = result.map(|(files, directories)| GettrashtimeReply {
            msgid: request.msgid,
            files: List::Values(files),
            directories: List::Values(directories),
        });
        core.answer_result(conn, kind::GETTRASHTIME, request.msgid, result);
    })
}

/// SETTRASHTIME.
pub fn settrashtime(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Settrashtime::decode(payload, conn.version)?;
    core.as_caller(conn, &user(request.uid), |core, who| {
        let inode = core.ns.target(who, request.inode);
        let (ns, mut tx) = core.change();
        let result = ns.set_trashtime(&mut tx, who, inode, request.seconds, request.mode);
        let result = result.map(|counts| changes(request.msgid, counts));
        core.answer_result(conn, kind::SETTRASHTIME, request.msgid, result);
    })
}

/// GETEATTR.
pub fn geteattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = TreeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let tally = tree(core, who, &request)
            .and_then(|(inode, recursive)| core.ns.get_eattr(inode, recursive));
        let known = conn.version.known_eattr();
        let lists = tally.map(|tally| (fold(&tally.files, known), fold(&tally.directories, known)));
        let result = lists.as_ref().map_err(|&status| status);
        let result = result.map(|(files, directories)| GeteattrReply {
            msgid: request.msgid,
            files: List::Values(files),
            directories: List::Values(directories),
        });
        core.answer_result(conn, kind::GETEATTR, request.msgid, result);
    })
}

/// Counts of extra attributes with only the bits that a client knows, ascending.
fn fold(counts: &[(u8, u32)], known: u8) -> Vec<EattrCount> {
    let mut sums = std::collections::BTreeMap::<u8, u32>::new();
    for &(eattr, count) in counts {
        *sums.entry(eattr & known).or_default() += count;
    }
    let count = |(eattr, count)| EattrCount { eattr, count };
    sums.into_iter().map(count).collect()
}

/// SETEATTR.
pub fn seteattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Seteattr::decode(payload, conn.version)?;
    core.as_caller(conn, &user(request.uid), |core, who| {
        let inode = core.ns.target(who, request.inode);
        let (ns, mut tx) = core.change();
        let result = ns.set_eattr(&mut tx, who, inode, request.eattr, request.mode);
        let result = result.map(|counts| changes(request.msgid, counts));
        core.answer_result(conn, kind::SETEATTR, request.msgid, result);
    })
}

/// QUOTACONTROL.
pub fn quotacontrol(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = QuotaControl::decode(payload, conn.version)?;
    let flags = request.flags;
    let wanted = match request.set {
        Some(set) => QuotaRequest::Set {
            flags,
            grace_seconds: set.grace.unwrap_or(0),
            soft: limits(&set.soft),
            hard: limits(&set.hard),
        },
        None if flags == 0 => QuotaRequest::Get,
        None => QuotaRequest::Remove { flags },
    };
    core.as_session(conn, |core, who| {
        let inode = core.ns.target(who, request.inode);
        let (ns, mut tx) = core.change();
        let result = ns.quota_control(&mut tx, who, inode, wanted);
        let result = result.map(|report| QuotaReply {
            msgid: request.msgid,
            flags: report.quota.flags,
            grace: report.quota.grace_seconds,
            soft: shown_limits(&report.quota.soft),
            hard: shown_limits(&report.quota.hard),
            current: shown_usage(&report.usage),
        });
        core.answer_result(conn, kind::QUOTACONTROL, request.msgid, result);
    })
}

fn limits(usage: &Usage) -> Limits {
    Limits {
        inodes: usage.inodes,
        length: usage.length,
        size: usage.size,
        real_size: usage.real_size,
    }
}

fn shown_limits(limits: &Limits) -> Usage {
    Usage {
        inodes: limits.inodes,
        length: limits.length,
        size: limits.size,
        real_size: limits.real_size,
    }
}

fn shown_usage(usage: &quota::Usage) -> Usage {
    Usage {
        inodes: u32::try_from(usage.inodes).unwrap_or(u32::MAX),
        length: usage.length,
        size: usage.size,
        real_size: usage.real_size,
    }
}

/// GETDIRSTATS.
pub fn getdirstats(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let InodeRequest { msgid, inode } = InodeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let info = core.ns.resolve(who, inode);
        let info = info.and_then(|inode| core.ns.dir_info(inode));
        let result = info.map(|info| DirStatsReply {
            msgid,
            is_short: conn.state == State::Tools,
            inodes: info.inodes,
            directories: info.directories,
            files: info.files,
            chunks: info.chunks,
            length: info.length,
            size: info.size,
            real_size: info.real_size,
        });
        core.answer_result(conn, kind::GETDIRSTATS, msgid, result);
    })
}

/// CHECK: how many copies chunks have, or where those of one chunk are.
pub fn check(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Check::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let msgid = request.msgid;
        let file = core.ns.resolve(who, request.inode).and_then(|inode| {
            let node = core.ns.node(inode).ok_or(Status::Enoent)?;
            if node.kind.has_data() {
                Ok(inode)
            } else {
                Err(Status::Eperm)
            }
        });
        match request.index {
            None => {
                let result = file.map(|inode| CheckReply {
                    msgid,
                    chunks: count_copies(core, inode),
                });
                core.answer_result(conn, kind::CHECK, msgid, result);
            }
            Some(index) => {
                let found = file.and_then(|inode| copies_of(core, inode, index));
                let result = found.as_ref().map_err(|&status| status);
                let result = result.map(|(chunk, version, copies)| CheckCopiesReply {
                    msgid,
                    chunk: *chunk,
                    version: *version,
                    copies: List::Values(copies),
                });
                core.answer_result(conn, kind::CHECK, msgid, result);
            }
        }
    })
}

fn count_copies(core: &Core, inode: Inode) -> [u32; CHECK_HOLES + 1] {
    let mut counts = [0; CHECK_HOLES + 1];
    for chunk in core.ns.file_chunks(inode) {
        let counter = if chunk == ChunkId::HOLE {
            CHECK_HOLES
        } else {
            usize::from(core.chunks.valid_copies(&core.ns, chunk)).min(CHECK_MANY)
        };
        counts[counter] += 1;
    }
    counts
}

fn copies_of(
    core: &Core,
    inode: Inode,
    index: u32,
) -> Result<(ChunkId, ChunkVersion, Vec<Copy>), Status> {
    if index > proto::client::chunks::CHUNK_INDEX_MAX {
        return Err(Status::IndexTooBig);
    }
    let chunk = core.ns.file_chunk(inode, index);
    if chunk == ChunkId::HOLE {
        return Ok((chunk, ChunkVersion(0), Vec::new()));
    }
    let (_, record) = core.ns.chunk(chunk).ok_or(Status::NoChunk)?;
    let copies = core.chunks.copies(&core.ns, chunk)?;
    let copies = copies.iter().take(CHECK_COPIES_MAX).map(|copy| Copy {
        ip: copy.location.ip,
        port: copy.location.port,
        state: copy.state,
    });
    Ok((chunk, record.version, copies.collect()))
}

/// REPAIR.
pub fn repair(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Repair::decode(payload, conn.version)?;
    core.as_caller(conn, &request.caller, |core, who| {
        let inode = core.ns.target(who, request.inode);
        let checked = core.ns.repair_check(who, inode);
        let result = checked.map(|()| repair_file(core, request.msgid, inode));
        core.answer_result(conn, kind::REPAIR, request.msgid, result);
    })
}

fn repair_file(core: &mut Core, msgid: u32, inode: Inode) -> RepairReply {
    let mut reply = RepairReply {
        msgid,
        unchanged: 0,
        erased: 0,
        repaired: 0,
    };
    let chunks: Vec<ChunkId> = core.ns.file_chunks(inode).collect();
    for (index, chunk) in (0..).zip(chunks) {
        let mut cx = Cx {
            now: core.now,
            ns: &mut core.ns,
            out: &mut core.out,
        };
        let outcome = if chunk == ChunkId::HOLE {
            Repaired::Unchanged
        } else {
            core.chunks.repair(&mut cx, inode, index, chunk)
        };
        match outcome {
            Repaired::Unchanged => reply.unchanged += 1,
            Repaired::Erased => reply.erased += 1,
            Repaired::Repaired => reply.repaired += 1,
        }
    }
    reply
}

/// SNAPSHOT, making and removing.
pub fn snapshot(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Snapshot::decode(payload, conn.version)?;
    core.as_caller(conn, &request.caller, |core, who| {
        let result = copy_or_remove(core, who, &request);
        core.answer_done(conn, kind::SNAPSHOT, request.msgid, result);
    })
}

fn copy_or_remove(core: &mut Core, who: &Caller<'_>, request: &Snapshot<'_>) -> Result<(), Status> {
    let Snapshot {
        name, mode, umask, ..
    } = *request;
    let parent = core.ns.target(who, request.parent);
    if mode & snapshot_mode::DELETE != 0 {
        if request.inode != Inode(0) {
            return Err(Status::Einval);
        }
        let (ns, mut tx) = core.change();
        return ns.remove_snapshot(&mut tx, who, parent, name, mode, umask);
    }
    if request.inode == Inode(0) {
        return Err(if who.is_read_only() {
            Status::Erofs
        } else {
            Status::Einval
        });
    }
    let source = core.ns.target(who, request.inode);
    let (ns, mut tx) = core.change();
    ns.snapshot(&mut tx, who, source, parent, name, mode, umask)
}

/// APPEND_SLICE. The old form means the whole source.
pub fn append_slice(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = AppendSlice::decode(payload, conn.version)?;
    let slice = request.slice.map_or(WHOLE, |slice| Slice {
        flags: slice.flags,
        from: slice.from,
        to: slice.to,
    });
    core.as_caller(conn, &request.caller, |core, who| {
        let result = append(core, who, &request, slice);
        core.answer_done(conn, kind::APPEND_SLICE, request.msgid, result);
    })
}

fn append(
    core: &mut Core,
    who: &Caller<'_>,
    request: &AppendSlice<'_>,
    slice: Slice,
) -> Result<(), Status> {
    if request.inode == request.source {
        return Err(Status::Einval);
    }
    let target = core.ns.target(who, request.inode);
    let source = core.ns.target(who, request.source);
    let (ns, mut tx) = core.change();
    let appended = ns.append_slice(&mut tx, who, target, source, slice)?;
    let length = ns.node(target).map_or(0, |node| node.length);
    if appended.is_some() {
        core.clients.marks.changed_by(target, who.session);
        core.clients.append_ends.reached(target, length);
    }
    // As in 3.0.117 also when nothing was appended.
    push::length_changed(core, target, length, None);
    Ok(())
}

/// ARCHCTL.
pub fn archctl(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Archctl::decode(payload, conn.version)?;
    let msgid = request.msgid;
    core.as_caller(conn, &user(request.uid.unwrap_or(0)), |core, who| {
        let inode = core.ns.target(who, request.inode);
        match (request.command, request.uid) {
            (archive::GET, None) => {
                let counts = core.ns.archive_counts(inode);
                let result = counts.map(|counts| ArchctlGetReply {
                    msgid,
                    archived_chunks: counts.archived_chunks,
                    other_chunks: counts.other_chunks,
                    archived_inodes: counts.archived_files,
                    partial_inodes: counts.partial_files,
                    other_inodes: counts.other_files,
                });
                core.answer_result(conn, kind::ARCHCTL, msgid, result);
            }
            (command @ (archive::SET | archive::CLEAR), Some(_)) => {
                let (ns, mut tx) = core.change();
                let counts = ns.set_archive(&mut tx, who, inode, command == archive::SET);
                let result = counts.map(|counts| ArchctlSetReply {
                    msgid,
                    changed_chunks: counts.changed.into(),
                    unchanged_chunks: counts.unchanged.into(),
                    not_permitted: counts.refused,
                });
                core.answer_result(conn, kind::ARCHCTL, msgid, result);
            }
            _ => core.answer_status(conn, kind::ARCHCTL, msgid, Status::Einval),
        }
    })
}

/// PARENTS.
pub fn parents(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let InodeRequest { msgid, inode } = InodeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let parents: Result<Vec<Inode>, Status> = core.ns.resolve(who, inode).map(|inode| {
            let shown = |parent| core.ns.wire_inode(who, parent);
            core.ns.parents(inode).map(shown).collect()
        });
        let result = parents.as_ref().map_err(|&status| status);
        let result = result.map(|parents| ParentsReply {
            msgid: Some(msgid),
            items: List::Values(parents),
        });
        core.answer_result(conn, kind::PARENTS, msgid, result);
    })
}

/// PATHS.
pub fn paths(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let InodeRequest { msgid, inode } = InodeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let paths = core.ns.resolve(who, inode);
        let paths = match paths.map(|inode| core.ns.paths(who.root, inode)) {
            Ok(paths) => paths,
            Err(status) => return core.answer_status(conn, kind::PATHS, msgid, status),
        };
        let out = core.links.out(conn.link);
        let mark = begin_frame(out, kind::reply(kind::PATHS));
        out.put_u32(msgid);
        for path in &paths {
            out.put_long_bytes(path);
        }
        end_frame(out, mark);
    })
}
