//! Creating, removing and renaming (wire-client-master §10.4–§10.8).
//!
//! Reading the tree is in `lookup_ops`.

use crate::client::answer::Handled;
use crate::client::link::{Conn, Counter};
use crate::core::Core;
use metadata::Caller;
use metadata::create::NewNode;
use proto::client::create::{Create, CreateReply, Mkdir, Mknod, Symlink};
use proto::client::message::Message;
use proto::client::remove::{Link, Remove, RemoveReply, Rename, RenameReply};
use proto::client::{NodeReply, kind};
use proto::{Inode, NodeKind, Status};

impl Core {
    /// Answers with an inode that was reached through a directory.
    fn answer_entry(
        &mut self,
        conn: &Conn,
        who: &Caller<'_>,
        request: u32,
        msgid: u32,
        entry: Result<(Inode, Inode), Status>,
    ) {
        let result = entry.and_then(|(parent, inode)| {
            Ok(NodeReply {
                msgid,
                inode,
                attr: self.ns.attr_in(who, parent, inode)?,
            })
        });
        self.answer_result(conn, request, msgid, result);
    }
}

/// SYMLINK.
pub fn symlink(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Symlink::decode(payload, conn.version)?;
    core.count(conn, Counter::Symlink);
    let target = request.target.0;
    let length = target.iter().rposition(|&byte| byte != 0);
    let target = &target[..length.map_or(0, |last| last + 1)];
    core.as_caller(conn, &request.caller, |core, who| {
        let parent = core.ns.target(who, request.parent);
        let (ns, mut tx) = core.change();
        let entry = ns.symlink(&mut tx, who, parent, request.name, target);
        let entry = entry.map(|inode| (parent, inode));
        core.answer_entry(conn, who, kind::SYMLINK, request.msgid, entry);
    })
}

/// MKNOD.
pub fn mknod(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Mknod::decode(payload, conn.version)?;
    core.count(conn, Counter::Mknod);
    core.as_caller(conn, &request.caller, |core, who| {
        let entry = make_node(core, who, &request);
        core.answer_entry(conn, who, kind::MKNOD, request.msgid, entry);
    })
}

fn make_node(
    core: &mut Core,
    who: &Caller<'_>,
    request: &Mknod<'_>,
) -> Result<(Inode, Inode), Status> {
    use NodeKind::{BlockDevice, CharDevice, Fifo, File, Socket};
    let made = matches!(
        request.kind,
        Some(File | Fifo | BlockDevice | CharDevice | Socket)
    );
    let Some(kind) = request.kind.filter(|_| made) else {
        return Err(if who.is_read_only() {
            Status::Erofs
        } else {
            Status::Einval
        });
    };
    let node = NewNode {
        kind,
        mode: request.mode,
        umask: request.umask,
        rdev: request.rdev,
        copy_sgid: false,
    };
    let parent = core.ns.target(who, request.parent);
    let (ns, mut tx) = core.change();
    let inode = ns.mknod(&mut tx, who, parent, request.name, node)?;
    Ok((parent, inode))
}

/// MKDIR.
pub fn mkdir(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Mkdir::decode(payload, conn.version)?;
    core.count(conn, Counter::Mkdir);
    let node = NewNode {
        kind: NodeKind::Directory,
        mode: request.mode,
        umask: request.umask,
        rdev: 0,
        // 3.0.117 does not look at it in the old form, without a umask.
        copy_sgid: request.copy_sgid && conn.version.has_gid_lists(),
    };
    core.as_caller(conn, &request.caller, |core, who| {
        let parent = core.ns.target(who, request.parent);
        let (ns, mut tx) = core.change();
        let entry = ns.mknod(&mut tx, who, parent, request.name, node);
        let entry = entry.map(|inode| (parent, inode));
        core.answer_entry(conn, who, kind::MKDIR, request.msgid, entry);
    })
}

/// CREATE.
pub fn create(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Create::decode(payload, conn.version)?;
    core.count(conn, Counter::Mknod);
    core.count(conn, Counter::Open);
    core.as_caller(conn, &request.caller, |core, who| {
        let result = create_open(core, who, &request);
        core.answer_result(conn, kind::CREATE, request.msgid, result);
    })
}

fn create_open(
    core: &mut Core,
    who: &Caller<'_>,
    request: &Create<'_>,
) -> Result<CreateReply, Status> {
    let parent = core.ns.target(who, request.parent);
    let (ns, mut tx) = core.change();
    let inode = ns.create(
        &mut tx,
        who,
        parent,
        request.name,
        request.mode,
        request.umask,
    )?;
    let mut attr = core.ns.attr_in(who, parent, inode)?;
    // Nothing is cached of a new file, and a mark is only made when it is opened again.
    let flags = core.open_flags(who, inode, &mut attr, false);
    Ok(CreateReply {
        msgid: request.msgid,
        flags,
        inode,
        attr,
    })
}

/// UNLINK and RMDIR; `request_kind` tells which.
pub fn remove(core: &mut Core, conn: &Conn, request_kind: u32, payload: &[u8]) -> Handled {
    let request = Remove::decode(payload, conn.version)?;
    let is_directory = request_kind == kind::RMDIR;
    core.count(
        conn,
        if is_directory {
            Counter::Rmdir
        } else {
            Counter::Unlink
        },
    );
    core.as_caller(conn, &request.caller, |core, who| {
        let parent = core.ns.target(who, request.parent);
        let (ns, mut tx) = core.change();
        let removed = if is_directory {
            ns.rmdir(&mut tx, who, parent, request.name)
        } else {
            ns.unlink(&mut tx, who, parent, request.name)
        };
        let result = removed.map(|inode| RemoveReply {
            msgid: request.msgid,
            inode,
        });
        core.answer_result(conn, request_kind, request.msgid, result);
    })
}

/// RENAME.
pub fn rename(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Rename::decode(payload, conn.version)?;
    core.count(conn, Counter::Rename);
    core.as_caller(conn, &request.caller, |core, who| {
        let result = move_name(core, who, &request);
        core.answer_result(conn, kind::RENAME, request.msgid, result);
    })
}

fn move_name(
    core: &mut Core,
    who: &Caller<'_>,
    request: &Rename<'_>,
) -> Result<RenameReply, Status> {
    let parent = core.ns.target(who, request.parent);
    let new_parent = core.ns.target(who, request.new_parent);
    let (ns, mut tx) = core.change();
    let inode = ns.rename(
        &mut tx,
        who,
        parent,
        request.name,
        new_parent,
        request.new_name,
    )?;
    Ok(RenameReply {
        msgid: request.msgid,
        inode,
        attr: core.ns.attr_in(who, new_parent, inode)?,
    })
}

/// LINK.
pub fn link(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Link::decode(payload, conn.version)?;
    core.count(conn, Counter::Link);
    core.as_caller(conn, &request.caller, |core, who| {
        let entry = add_name(core, who, &request);
        core.answer_entry(conn, who, kind::LINK, request.msgid, entry);
    })
}

fn add_name(
    core: &mut Core,
    who: &Caller<'_>,
    request: &Link<'_>,
) -> Result<(Inode, Inode), Status> {
    let inode = core.ns.target(who, request.inode);
    let parent = core.ns.target(who, request.new_parent);
    let links_max = core.settings.hard_links_max;
    let (ns, mut tx) = core.change();
    let inode = ns.link(&mut tx, who, inode, parent, request.new_name, links_max)?;
    Ok((parent, inode))
}
