//! Which message goes where, and who may send it (wire-client-master §1.4).

use crate::admin;
use crate::client::answer::Handled;
use crate::client::link::{Conn, State};
use crate::client::{
    admin_ops, attribute_ops, class_ops, data_ops, lock_ops, lookup_ops, namespace_ops, queries,
    register, trash_ops, xattr_ops,
};
use crate::core::Core;
use proto::client::kind;
use proto::wire::Malformed;

/// First and last type of the monitoring messages.
const MONITORING: std::ops::RangeInclusive<u32> = 500..=547;

/// Executes one message and answers it.
#[inline]
pub fn dispatch(core: &mut Core, conn: &Conn, kind: u32, payload: &[u8]) -> Handled {
    match conn.state {
        State::Mount => mount(core, conn, kind, payload),
        State::Tools => tools(core, conn, kind, payload),
        State::Unregistered => unregistered(core, conn, kind, payload),
    }
}

/// What everybody may send.
fn common(core: &mut Core, conn: &Conn, kind: u32, payload: &[u8]) -> Handled {
    match kind {
        kind::NOP | kind::UNKNOWN_COMMAND | kind::BAD_COMMAND_SIZE => Ok(()),
        kind::GET_VERSION => queries::get_version(core, conn, payload),
        kind::GET_CONFIG => queries::get_config(core, conn, payload),
        kind::REGISTER => register::register(core, conn, payload),
        _ => Err(Malformed),
    }
}

/// What needs no registration: questions of monitors.
fn unregistered(core: &mut Core, conn: &Conn, kind: u32, payload: &[u8]) -> Handled {
    match kind {
        kind::LIST_OPEN_FILES => queries::list_open_files(core, conn, payload),
        kind::LIST_ACQUIRED_LOCKS => queries::list_acquired_locks(core, conn, payload),
        kind::MASS_RESOLVE_PATHS => queries::mass_resolve_paths(core, conn, payload),
        kind::NODE_INFO => Err(Malformed),
        kind if MONITORING.contains(&kind) => {
            admin::frame(core, conn.link, kind, payload);
            Ok(())
        }
        _ => common(core, conn, kind, payload),
    }
}

/// What tools of old versions may send on a connection of their own.
fn tools(core: &mut Core, conn: &Conn, kind: u32, payload: &[u8]) -> Handled {
    match kind {
        kind::READ_CHUNK
        | kind::CHECK
        | kind::GETTRASHTIME
        | kind::SETTRASHTIME
        | kind::GETSCLASS
        | kind::SETSCLASS
        | kind::APPEND_SLICE
        | kind::GETDIRSTATS
        | kind::TRUNCATE
        | kind::REPAIR
        | kind::SNAPSHOT
        | kind::GETEATTR
        | kind::SETEATTR
        | kind::QUOTACONTROL
        | kind::ARCHCTL
        | kind::SCLASS_CREATE
        | kind::SCLASS_CHANGE
        | kind::SCLASS_DELETE
        | kind::SCLASS_DUPLICATE
        | kind::SCLASS_RENAME
        | kind::SCLASS_LIST => mount(core, conn, kind, payload),
        _ => common(core, conn, kind, payload),
    }
}

fn mount(core: &mut Core, conn: &Conn, kind: u32, payload: &[u8]) -> Handled {
    match kind {
        kind::LOOKUP => lookup_ops::lookup(core, conn, payload),
        kind::GETATTR => attribute_ops::getattr(core, conn, payload),
        kind::ACCESS => lookup_ops::access(core, conn, payload),
        kind::READDIR => lookup_ops::readdir(core, conn, payload),
        kind::READLINK => lookup_ops::readlink(core, conn, payload),
        kind::OPEN => attribute_ops::open(core, conn, payload),
        kind::CREATE => namespace_ops::create(core, conn, payload),
        kind::SETATTR => attribute_ops::setattr(core, conn, payload),
        kind::MKNOD => namespace_ops::mknod(core, conn, payload),
        kind::MKDIR => namespace_ops::mkdir(core, conn, payload),
        kind::SYMLINK => namespace_ops::symlink(core, conn, payload),
        kind::UNLINK | kind::RMDIR => namespace_ops::remove(core, conn, kind, payload),
        kind::RENAME => namespace_ops::rename(core, conn, payload),
        kind::LINK => namespace_ops::link(core, conn, payload),

        kind::READ_CHUNK => data_ops::read_chunk(core, conn, payload),
        kind::WRITE_CHUNK => data_ops::write_chunk(core, conn, payload),
        kind::WRITE_CHUNK_END => data_ops::write_chunk_end(core, conn, payload),
        kind::TRUNCATE => data_ops::truncate(core, conn, payload),
        kind::AMTIME_INODES => attribute_ops::amtime_inodes(core, conn, payload),
        kind::SUSTAINED_INODES | kind::OLD_SUSTAINED_INODES => {
            attribute_ops::sustained_inodes(core, conn, payload)
        }
        kind::TIME_SYNC => attribute_ops::time_sync(core, conn, payload),
        kind::STATFS => attribute_ops::statfs(core, conn, payload),

        kind::GETXATTR => xattr_ops::getxattr(core, conn, payload),
        kind::SETXATTR => xattr_ops::setxattr(core, conn, payload),
        kind::GETFACL => xattr_ops::getfacl(core, conn, payload),
        kind::SETFACL => xattr_ops::setfacl(core, conn, payload),
        kind::FLOCK => lock_ops::flock(core, conn, payload),
        kind::POSIX_LOCK => lock_ops::posix_lock(core, conn, payload),

        kind::CHECK => admin_ops::check(core, conn, payload),
        kind::GETTRASHTIME => admin_ops::gettrashtime(core, conn, payload),
        kind::SETTRASHTIME => admin_ops::settrashtime(core, conn, payload),
        kind::GETSCLASS => class_ops::getsclass(core, conn, payload),
        kind::SETSCLASS => class_ops::setsclass(core, conn, payload),
        kind::GETEATTR => admin_ops::geteattr(core, conn, payload),
        kind::SETEATTR => admin_ops::seteattr(core, conn, payload),
        kind::QUOTACONTROL => admin_ops::quotacontrol(core, conn, payload),
        kind::GETDIRSTATS => admin_ops::getdirstats(core, conn, payload),
        kind::REPAIR => admin_ops::repair(core, conn, payload),
        kind::SNAPSHOT => admin_ops::snapshot(core, conn, payload),
        kind::APPEND_SLICE => admin_ops::append_slice(core, conn, payload),
        kind::ARCHCTL => admin_ops::archctl(core, conn, payload),
        kind::PARENTS => admin_ops::parents(core, conn, payload),
        kind::PATHS => admin_ops::paths(core, conn, payload),

        kind::SCLASS_CREATE => class_ops::create(core, conn, payload),
        kind::SCLASS_CHANGE => class_ops::change(core, conn, payload),
        kind::SCLASS_DELETE => class_ops::delete(core, conn, payload),
        kind::SCLASS_DUPLICATE | kind::SCLASS_RENAME => class_ops::copy(core, conn, kind, payload),
        kind::SCLASS_LIST => class_ops::list(core, conn, payload),

        kind::GETTRASH => trash_ops::gettrash(core, conn, payload),
        kind::GETSUSTAINED => trash_ops::getsustained(core, conn, payload),
        kind::GETDETACHEDATTR => trash_ops::getdetachedattr(core, conn, payload),
        kind::GETTRASHPATH => trash_ops::gettrashpath(core, conn, payload),
        kind::SETTRASHPATH => trash_ops::settrashpath(core, conn, payload),
        kind::UNDEL | kind::PURGE => trash_ops::undel_or_purge(core, conn, kind, payload),

        kind::NODE_INFO => queries::node_info(core, conn, payload),
        _ => unregistered(core, conn, kind, payload),
    }
}
