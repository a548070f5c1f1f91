//! Trash and sustained files, for metadata sessions (wire-client-master §17).

use crate::client::answer::Handled;
use crate::client::link::Conn;
use crate::core::Core;
use metadata::Caller;
use metadata::trash::Detached;
use proto::client::message::{Message, NulText, Plain};
use proto::client::trash::{Getdetachedattr, Gettrash, GettrashpathReply, Settrashpath};
use proto::client::{AttrReply, InodeRequest, kind};
use proto::frame::{begin_frame, end_frame};
use proto::wire::Put;
use proto::{Inode, NodeKind, Status};

/// Number of buckets of the trash; a greater number means all of them.
const TRASH_BUCKETS: u32 = 4096;
/// Paths longer than this are shown by their end, bytes.
const SHOWN_MAX: usize = 240;
/// Bytes of the end that is shown then.
const SHOWN_END: usize = 235;

/// Which detached files GETDETACHEDATTR asks for.
const EITHER: u8 = 0;
const TRASH: u8 = 1;
const SUSTAINED: u8 = 2;

fn meta_only(who: &Caller<'_>) -> Result<(), Status> {
    if who.is_meta() {
        Ok(())
    } else {
        Err(Status::Eperm)
    }
}

/// Appends an entry of a list: its path in the form of a single name.
fn put_detached(out: &mut Vec<u8>, file: &Detached<'_>) {
    let (head, end) = match file.path.len().checked_sub(SHOWN_END) {
        Some(cut) if file.path.len() > SHOWN_MAX => (&b"(...)"[..], &file.path[cut..]),
        _ => (&b""[..], file.path),
    };
    out.put_u8((head.len() + end.len()) as u8);
    out.put_bytes(head);
    out.extend(
        end.iter()
            .map(|&byte| if byte == b'/' { b'|' } else { byte }),
    );
    out.put(file.inode);
}

/// Answers with a list of detached files.
fn answer_list<'a>(
    out: &mut Vec<u8>,
    request: u32,
    msgid: u32,
    files: impl Iterator<Item = Detached<'a>>,
) {
    let mark = begin_frame(out, kind::reply(request));
    out.put_u32(msgid);
    for file in files {
        put_detached(out, &file);
    }
    end_frame(out, mark);
}

/// GETTRASH.
pub fn gettrash(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Gettrash::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        if let Err(status) = meta_only(who) {
            return core.answer_status(conn, kind::GETTRASH, request.msgid, status);
        }
        let bucket = request.bucket.filter(|&bucket| bucket < TRASH_BUCKETS);
        let Core { ns, links, .. } = core;
        answer_list(
            links.out(conn.link),
            kind::GETTRASH,
            request.msgid,
            ns.trash_list(bucket),
        );
    })
}

/// GETSUSTAINED.
pub fn getsustained(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let Plain { msgid } = Plain::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        if let Err(status) = meta_only(who) {
            return core.answer_status(conn, kind::GETSUSTAINED, msgid, status);
        }
        let Core { ns, links, .. } = core;
        answer_list(
            links.out(conn.link),
            kind::GETSUSTAINED,
            msgid,
            ns.sustained_list(),
        );
    })
}

/// GETDETACHEDATTR.
pub fn getdetachedattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Getdetachedattr::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let result = detached_attr(core, who, &request);
        core.answer_result(conn, kind::GETDETACHEDATTR, request.msgid, result);
    })
}

fn detached_attr(
    core: &Core,
    who: &Caller<'_>,
    request: &Getdetachedattr,
) -> Result<AttrReply, Status> {
    meta_only(who)?;
    let found = core.ns.node(request.inode).map(|node| node.kind);
    match (request.kind, found) {
        (EITHER | TRASH, Some(NodeKind::Trash)) => {}
        (EITHER | SUSTAINED, Some(NodeKind::Sustained)) => {}
        (EITHER | TRASH | SUSTAINED, _) => return Err(Status::Enoent),
        _ => return Err(Status::Einval),
    }
    Ok(AttrReply {
        msgid: request.msgid,
        attr: core.ns.attr(who, request.inode)?,
    })
}

/// GETTRASHPATH.
pub fn gettrashpath(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let InodeRequest { msgid, inode } = InodeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let path = meta_only(who).and_then(|()| core.ns.trash_path(inode).map(<[u8]>::to_vec));
        let result = path.as_deref().map_err(|&status| status).map(|path| {
            let path = NulText(path);
            GettrashpathReply { msgid, path }
        });
        core.answer_result(conn, kind::GETTRASHPATH, msgid, result);
    })
}

/// SETTRASHPATH.
pub fn settrashpath(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Settrashpath::decode(payload, conn.version)?;
    let path = request.path.0;
    let length = path.iter().rposition(|&byte| byte != 0);
    let path = &path[..length.map_or(0, |last| last + 1)];
    core.as_session(conn, |core, who| {
        let result = meta_only(who).and_then(|()| {
            let (ns, mut tx) = core.change();
            ns.set_trash_path(&mut tx, who, request.inode, path)
        });
        core.answer_done(conn, kind::SETTRASHPATH, request.msgid, result);
    })
}

/// UNDEL and PURGE; `request_kind` tells which.
pub fn undel_or_purge(core: &mut Core, conn: &Conn, request_kind: u32, payload: &[u8]) -> Handled {
    let InodeRequest { msgid, inode } = InodeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let result = meta_only(who).and_then(|()| leave_trash(core, who, request_kind, inode));
        core.answer_done(conn, request_kind, msgid, result);
    })
}

fn leave_trash(
    core: &mut Core,
    who: &Caller<'_>,
    request_kind: u32,
    inode: Inode,
) -> Result<(), Status> {
    let (ns, mut tx) = core.change();
    if request_kind == kind::UNDEL {
        ns.undel(&mut tx, who, inode)
    } else {
        ns.purge(&mut tx, who, inode)
    }
}
