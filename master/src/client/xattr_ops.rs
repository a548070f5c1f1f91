//! Extended attributes and access control lists (wire-client-master §13).

use crate::client::answer::{Handled, user};
use crate::client::link::Conn;
use crate::core::Core;
use metadata::acl::{Acl, AclEntry};
use proto::Status;
use proto::client::acl::{self, Getfacl, GetfaclReply, Setfacl};
use proto::client::kind;
use proto::client::message::{List, Message};
use proto::client::xattr::{Getxattr, GetxattrReply, Setxattr};

/// GETXATTR: the value or its length, or the names.
pub fn getxattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Getxattr::decode(payload, conn.version)?;
    core.as_caller(conn, &request.caller, |core, who| {
        let Getxattr { msgid, mode, .. } = request;
        if mode > 1 {
            return core.answer_status(conn, kind::GETXATTR, msgid, Status::Einval);
        }
        let inode = match core.inode_or_open(who, request.inode, request.opened) {
            Ok(inode) => inode,
            Err(status) => return core.answer_status(conn, kind::GETXATTR, msgid, status),
        };
        let names;
        let Core { ns, links, .. } = core;
        let value = if request.name.is_empty() {
            names = ns.listxattr(who, inode, request.opened);
            names.as_deref().map_err(|&status| status)
        } else {
            ns.getxattr(who, inode, request.name, request.opened)
        };
        let out = links.out(conn.link);
        match value {
            Ok(value) => {
                let reply = GetxattrReply {
                    msgid,
                    length: value.len() as u32,
                    value: if mode == 0 { value } else { &[] },
                };
                proto::frame::put_frame(out, kind::reply(kind::GETXATTR), |out| {
                    reply.encode(conn.version, out);
                });
            }
            Err(status) => {
                proto::frame::put_status(out, kind::reply(kind::GETXATTR), msgid, status);
            }
        }
    })
}

/// SETXATTR.
pub fn setxattr(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Setxattr::decode(payload, conn.version)?;
    core.as_caller(conn, &request.caller, |core, who| {
        let Setxattr {
            name,
            value,
            mode,
            opened,
            ..
        } = request;
        let inode = core.target_or_open(who, request.inode, opened);
        let (ns, mut tx) = core.change();
        let result = ns.setxattr(&mut tx, who, inode, name, value, mode, opened);
        core.answer_done(conn, kind::SETXATTR, request.msgid, result);
    })
}

/// GETFACL.
pub fn getfacl(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Getfacl::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        // Having the file open is no leave here: 3.0.117 looks whether the session sees it.
        let found = core
            .ns
            .resolve(who, request.inode)
            .and_then(|inode| core.ns.getfacl(inode, request.kind).cloned());
        let (mut users, mut groups) = (Vec::new(), Vec::new());
        let result = found.map(|list| {
            users.extend(list.named_users().iter().map(entry_to_wire));
            groups.extend(list.named_groups().iter().map(entry_to_wire));
            GetfaclReply {
                msgid: request.msgid,
                acl: acl::Acl {
                    user: list.user,
                    group: list.group,
                    other: list.other,
                    mask: list.mask,
                    users: List::Values(&users),
                    groups: List::Values(&groups),
                },
            }
        });
        core.answer_result(conn, kind::GETFACL, request.msgid, result);
    })
}

fn entry_to_wire(entry: &AclEntry) -> acl::AclEntry {
    acl::AclEntry {
        id: entry.id,
        permissions: entry.permission,
    }
}

fn entry_from_wire(entry: acl::AclEntry) -> AclEntry {
    AclEntry {
        id: entry.id,
        permission: entry.permissions,
    }
}

/// SETFACL.
pub fn setfacl(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Setfacl::decode(payload, conn.version)?;
    let sent = &request.acl;
    let users = sent.users.iter().map(entry_from_wire);
    let groups = sent.groups.iter().map(entry_from_wire);
    let list = Acl::new(
        [sent.user, sent.group, sent.other, sent.mask],
        users,
        groups,
    );
    core.as_caller(conn, &user(request.uid), |core, who| {
        let inode = core.ns.target(who, request.inode);
        let (ns, mut tx) = core.change();
        let result = ns.setfacl(&mut tx, who, inode, request.kind, list);
        core.answer_done(conn, kind::SETFACL, request.msgid, result);
    })
}
