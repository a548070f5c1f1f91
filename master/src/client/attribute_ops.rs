//! Attributes, opening, times, and the size of the file system (wire-client-master §11.1, §11.2,
//! §12.1, §18.2–§18.4, §19.1).

use crate::client::answer::Handled;
use crate::client::link::{Conn, Counter};
use crate::core::Core;
use metadata::Caller;
use metadata::attributes::{AmTime, SetAttr};
use metadata::quota::Space;
use proto::client::attributes::{Getattr, Setattr, set};
use proto::client::message::{Message, Plain};
use proto::client::open::{Open, OpenReply, open_want};
use proto::client::push::{AmtimeInodes, SustainedInodes, TimeSync, TimeSyncReply};
use proto::client::query::StatfsReply;
use proto::client::{AttrReply, Credentials, Gids, kind};
use proto::{Inode, Status};

/// User and group, mapped and unmapped, of the shortest GETATTR, which tells neither.
const NOBODY_IN_PARTICULAR: u32 = 12345;

/// GETATTR.
pub fn getattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Getattr::decode(payload, conn.version)?;
    core.count(conn, Counter::Getattr);
    let (uid, gid) = request.caller.unwrap_or_default();
    let caller = Credentials {
        uid,
        gids: Gids::Single(gid),
    };
    core.as_caller(conn, &caller, |core, who| {
        let nobody = Caller {
            uid: NOBODY_IN_PARTICULAR,
            gids: &[NOBODY_IN_PARTICULAR],
            sent_uid: NOBODY_IN_PARTICULAR,
            sent_gid: NOBODY_IN_PARTICULAR,
            ..*who
        };
        let who = if request.caller.is_none() {
            &nobody
        } else {
            who
        };
        let result = core
            .inode_or_open(who, request.inode, request.opened)
            .and_then(|inode| core.ns.attr(who, inode))
            .map(|attr| AttrReply {
                msgid: request.msgid,
                attr,
            });
        core.answer_result(conn, kind::GETATTR, request.msgid, result);
    })
}

/// SETATTR.
pub fn setattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Setattr::decode(payload, conn.version)?;
    core.count(conn, Counter::Setattr);
    core.as_caller(conn, &request.caller, |core, who| {
        let result = change_attributes(core, conn, who, &request);
        core.answer_result(conn, kind::SETATTR, request.msgid, result);
    })
}

fn change_attributes(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &Setattr<'_>,
) -> Result<AttrReply, Status> {
    if request.mask & set::WINATTR != 0 && !conn.version.has_winattr() {
        return Err(Status::Einval);
    }
    let change = SetAttr {
        mask: request.mask,
        mode: request.mode,
        uid: request.uid,
        gid: request.gid,
        atime: request.atime,
        mtime: request.mtime,
        winattr: request.winattr,
        sugid_mode: request.sugid_clear,
    };
    let inode = core.target_or_open(who, request.inode, request.opened);
    let (ns, mut tx) = core.change();
    ns.setattr(&mut tx, who, inode, change)?;
    Ok(AttrReply {
        msgid: request.msgid,
        attr: ns.attr(who, inode)?,
    })
}

/// OPEN.
pub fn open(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Open::decode(payload, conn.version)?;
    core.count(conn, Counter::Open);
    core.as_caller(conn, &request.caller, |core, who| {
        let result = open_file(core, conn, who, &request);
        core.answer_result(conn, kind::OPEN, request.msgid, result);
    })
}

fn open_file(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &Open<'_>,
) -> Result<OpenReply, Status> {
    let inode = core.ns.target(who, request.inode);
    let flags = request.flags;
    let cuts = flags & open_want::TRUNCATE != 0 && flags & open_want::AFTER_CREATE == 0;
    let (ns, mut tx) = core.change();
    ns.open(&mut tx, who, inode, flags, !conn.version.has_open_flags())?;
    // As in 3.0.117 nobody is told, and what others have cached stays valid: it ends where the length
    // says, and who writes makes it stale.
    if cuts {
        core.clients.append_ends.forget(inode);
    }
    if flags & open_want::CACHE_CLEARED != 0 {
        core.clients.marks.validate(inode, who.session);
    }
    let mut attr = core.ns.attr(who, inode)?;
    Ok(OpenReply {
        msgid: request.msgid,
        flags: core.open_flags(who, inode, &mut attr, true),
        attr,
    })
}

/// SUSTAINED_INODES: all that the session has open. No answer.
pub fn sustained_inodes(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = SustainedInodes::decode_bare(payload, conn.version)?;
    let inodes = request.items.iter().filter(|&inode| inode != Inode(0));
    let session = conn.session;
    let (ns, mut tx) = core.change();
    ns.set_sustained(&mut tx, session, inodes);
    Ok(())
}

/// AMTIME_INODES: times of files that were read or written. No answer.
pub fn amtime_inodes(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = AmtimeInodes::decode_bare(payload, conn.version)?;
    let entries = request
        .items
        .iter()
        .filter(|entry| entry.inode != Inode(0) && (entry.atime != 0 || entry.mtime != 0))
        .map(|entry| AmTime {
            inode: entry.inode,
            atime: entry.atime,
            mtime: entry.mtime,
        });
    let atime_mode = core.settings.atime_mode;
    let (ns, mut tx) = core.change();
    ns.am_time(&mut tx, entries, atime_mode);
    Ok(())
}

/// TIME_SYNC.
pub fn time_sync(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = TimeSync::decode(payload, conn.version)?;
    let reply = TimeSyncReply {
        msgid: request.msgid,
        time_us: core.now.unix_micros,
    };
    core.answer(conn, kind::TIME_SYNC, &reply);
    Ok(())
}

/// STATFS.
pub fn statfs(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let Plain { msgid } = Plain::decode(payload, conn.version)?;
    core.count(conn, Counter::Statfs);
    core.as_session(conn, |core, who| {
        let mut reply = StatfsReply {
            msgid,
            ..StatfsReply::default()
        };
        if !who.is_meta() {
            let space = core.chunks.space();
            let usage = core.ns.statfs_usage(who);
            let space = Space {
                total: space.total,
                available: space.available,
                free: space.free,
            };
            let space = core.ns.narrow_space(who, space);
            reply.total = space.total;
            reply.available = space.available;
            reply.free = space.free;
            reply.trash = usage.trash_space;
            reply.sustained = usage.sustained_space;
            reply.inodes = usage.inodes;
        }
        core.answer(conn, kind::STATFS, &reply);
    })
}
