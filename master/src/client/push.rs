//! Messages that clients get without having asked (wire-client-master §18.1).

use crate::client::link::{Conn, State};
use crate::core::Core;
use crate::links::LinkId;
use proto::Inode;
use proto::client::kind;
use proto::client::message::Message;
use proto::client::push::{ChunkChanged, LengthChanged, put_invalidate_chunk_cache};
use proto::frame::put_frame;

/// Tells everybody else who has the file open that a chunk changed; `cause` is the connection that
/// changed it.
pub fn chunk_changed(core: &mut Core, change: &ChunkChanged, cause: LinkId) {
    to_openers(core, change.inode, Some(cause), |conn, out| {
        put_frame(out, kind::CHUNK_HAS_CHANGED, |out| {
            change.encode(conn.version, out);
        });
    });
}

/// Tells those who have the file open its new length, except the connection `cause`.
pub fn length_changed(core: &mut Core, inode: Inode, length: u64, cause: Option<LinkId>) {
    let change = LengthChanged {
        msgid: 0,
        inode,
        length,
    };
    to_openers(core, inode, cause, |conn, out| {
        put_frame(out, kind::FLENG_HAS_CHANGED, |out| {
            change.encode(conn.version, out);
        });
    });
}

/// Tells every mount that remembered chunk locations may be wrong.
pub fn forget_locations(core: &mut Core) {
    let Core { links, clients, .. } = core;
    for record in clients.links.iter() {
        let conn = &record.conn;
        if conn.state == State::Mount && conn.version.has_chunk_cache_push() {
            put_invalidate_chunk_cache(links.out(conn.link));
        }
    }
}

fn to_openers(
    core: &mut Core,
    inode: Inode,
    cause: Option<LinkId>,
    write: impl Fn(&Conn, &mut Vec<u8>),
) {
    let Core {
        ns, links, clients, ..
    } = core;
    for session in ns.openers(inode) {
        for &link in clients.presences.links(session) {
            if Some(link) != cause
                && let Some(record) = clients.links.get(link)
                && record.conn.state == State::Mount
                && record.conn.version.has_change_pushes()
            {
                write(&record.conn, links.out(link));
            }
        }
    }
}
