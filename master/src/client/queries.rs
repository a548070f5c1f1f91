//! Questions that need no rights: version, configuration, open files, locks, paths, contents of one
//! node (wire-client-master §1.6, §15.12, §19.2–§19.4).

use crate::client::answer::Handled;
use crate::client::link::Conn;
use crate::core::Core;
use crate::{VERSION, VERSION_TEXT};
use metadata::flock::{FlockKind, LockOwner};
use metadata::posix_lock::{RangeKind, RangeLock};
use proto::client::inspect::NodeInfo;
use proto::client::kind;
use proto::client::message::Message;
use proto::client::query::{HeldLock, InodeLock, ListRequest, MassResolvePaths, OpenFile};
use proto::common::{ConfigValue, GetConfig, GetVersion, VersionReply};
use proto::frame::{begin_frame, end_frame};
use proto::list::Rest;
use proto::wire::Put;
use proto::{ChunkId, Inode, NodeKind, SessionId, Status};

/// Longest value of an option in a reply, bytes.
const OPTION_MAX: usize = 255;
/// Bytes of a chunk.
const CHUNK_BYTES: u64 = 1 << 26;
/// Bytes of a block: chunks are stored in whole blocks.
const BLOCK_BYTES: u64 = 1 << 16;
/// Bytes of the header of a stored chunk.
const CHUNK_HEADER_BYTES: u64 = 0x2000;

/// GET_VERSION.
pub fn get_version(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = GetVersion::decode(payload)?;
    let reply = VersionReply {
        msgid: request.msgid,
        version: VERSION,
        text: Rest(VERSION_TEXT.as_bytes()),
    };
    reply.encode(core.links.out(conn.link));
    Ok(())
}

/// GET_CONFIG.
pub fn get_config(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = GetConfig::decode(payload)?;
    let value = core.settings.raw(request.option).as_bytes();
    let reply = ConfigValue {
        msgid: request.msgid,
        value: &value[..value.len().min(OPTION_MAX)],
    };
    reply.encode(core.links.out(conn.link));
    Ok(())
}

/// LIST_OPEN_FILES.
pub fn list_open_files(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = ListRequest::decode(payload, conn.version)?;
    let Core { ns, links, .. } = core;
    let out = links.out(conn.link);
    let mark = begin_frame(out, kind::reply(kind::LIST_OPEN_FILES));
    if let Some(msgid) = request.msgid {
        out.put_u32(msgid);
    }
    if request.of == 0 {
        for (session, inode) in ns.open_files() {
            out.put(OpenFile { session, inode });
        }
    } else {
        for inode in ns.files_of(SessionId(request.of)) {
            out.put(inode);
        }
    }
    end_frame(out, mark);
    Ok(())
}

fn range_lock(owner: LockOwner, lock: RangeLock) -> HeldLock {
    HeldLock {
        session: owner.session,
        owner: owner.owner,
        pid: lock.pid,
        start: lock.range.start,
        end: lock.range.end,
        kind: lock.kind as u8,
    }
}

fn whole_file_lock(lock: metadata::flock::Flock) -> HeldLock {
    let kind = match lock.kind {
        FlockKind::Shared => RangeKind::Read,
        FlockKind::Exclusive => RangeKind::Write,
    };
    HeldLock {
        session: lock.owner.session,
        owner: lock.owner.owner,
        pid: 0,
        start: 0,
        end: 0,
        kind: kind as u8,
    }
}

/// LIST_ACQUIRED_LOCKS: byte ranges, then whole files.
pub fn list_acquired_locks(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = ListRequest::decode(payload, conn.version)?;
    let Core { ns, links, .. } = core;
    let out = links.out(conn.link);
    let mark = begin_frame(out, kind::reply(kind::LIST_ACQUIRED_LOCKS));
    if let Some(msgid) = request.msgid {
        out.put_u32(msgid);
    }
    if request.of == 0 {
        for (inode, owner, lock) in ns.posix_locks() {
            let lock = range_lock(owner, lock);
            out.put(InodeLock { inode, lock });
        }
        for (inode, lock) in ns.flocks() {
            let lock = whole_file_lock(lock);
            out.put(InodeLock { inode, lock });
        }
    } else {
        let inode = Inode(request.of);
        for (owner, lock) in ns.posix_locks_of(inode) {
            out.put(range_lock(owner, lock));
        }
        for &lock in ns.flocks_of(inode) {
            out.put(whole_file_lock(lock));
        }
    }
    end_frame(out, mark);
    Ok(())
}

/// MASS_RESOLVE_PATHS: paths from the root of the file system, whatever the session's is.
pub fn mass_resolve_paths(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = MassResolvePaths::decode_bare(payload, conn.version)?;
    let Core { ns, links, .. } = core;
    let out = links.out(conn.link);
    let mark = begin_frame(out, kind::reply(kind::MASS_RESOLVE_PATHS));
    for inode in request.items.iter().filter(|&inode| inode != Inode(0)) {
        let paths = if ns.node(inode).is_some() {
            ns.paths(Inode::ROOT, inode)
        } else {
            vec![b"(deleted)".to_vec()]
        };
        let bytes: usize = paths.iter().map(|path| 4 + path.len()).sum();
        out.put(inode);
        out.put_u32(bytes as u32);
        for path in &paths {
            out.put_long_bytes(path);
        }
    }
    end_frame(out, mark);
    Ok(())
}

/// NODE_INFO: children of a directory or chunks of a file, in pages.
pub fn node_info(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = NodeInfo::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let node = core.ns.resolve(who, request.inode).and_then(|inode| {
            let node = core.ns.node(inode).ok_or(Status::Enoent)?;
            Ok((inode, node))
        });
        let Core {
            ns, links, chunks, ..
        } = core;
        let out = links.out(conn.link);
        let mark = begin_frame(out, kind::reply(kind::NODE_INFO));
        if let Some(msgid) = request.msgid {
            out.put_u32(msgid);
        }
        let entries_max = request.entries_max as usize;
        match node {
            Err(status) => out.put(status),
            Ok((inode, node)) if node.kind == NodeKind::Directory => {
                out.put_u16(1);
                let mut entries = ns.readdir_entries(inode, request.next);
                let next = out.len();
                out.put_u64(0);
                for entry in entries.by_ref().take(entries_max) {
                    out.put(entry.inode);
                }
                set_next(out, next, entries.next().map(|entry| entry.edge_id));
            }
            Ok((inode, node)) if node.kind.has_data() => {
                out.put_u16(2);
                let first = usize::try_from(request.next).unwrap_or(usize::MAX);
                let mut slots = (0u64..)
                    .zip(ns.file_chunks(inode))
                    .skip(first)
                    .filter(|&(_, chunk)| chunk != ChunkId::HOLE);
                let next = out.len();
                out.put_u64(0);
                out.put_u64(node.length);
                for (index, chunk) in slots.by_ref().take(entries_max) {
                    out.put(chunk);
                    out.put_u32(stored_bytes(node.length, index));
                    out.put_u8(chunks.valid_copies(ns, chunk));
                }
                set_next(out, next, slots.next().map(|(index, _)| index));
            }
            Ok(_) => out.put_u16(0),
        }
        end_frame(out, mark);
    })
}

/// Fills in where the next page begins; 0 when there is none.
fn set_next(out: &mut [u8], at: usize, next: Option<u64>) {
    if let Some(field) = out.get_mut(at..at + size_of::<u64>()) {
        field.copy_from_slice(&next.unwrap_or(0).to_be_bytes());
    }
}

/// Bytes that a chunk of a file of this length takes on a disk, header included.
fn stored_bytes(length: u64, index: u64) -> u32 {
    let data = length
        .saturating_sub(index.saturating_mul(CHUNK_BYTES))
        .min(CHUNK_BYTES);
    (data.next_multiple_of(BLOCK_BYTES) + CHUNK_HEADER_BYTES) as u32
}

#[cfg(test)]
mod tests {
    use super::stored_bytes;

    #[test]
    fn a_chunk_is_stored_in_whole_blocks_behind_its_header() {
        for (length, index, bytes) in [
            (0x96, 0, 0x0001_2000),
            (70 << 20, 0, 0x0400_2000),
            (70 << 20, 1, 0x0060_2000),
            (70 << 20, 2, 0x0000_2000),
            (u64::MAX, u64::MAX, 0x0000_2000),
        ] {
            assert_eq!(stored_bytes(length, index), bytes, "{length} {index}");
        }
    }
}
