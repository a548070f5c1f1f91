//! Locks (wire-client-master §14). A request that waits is answered by an event, on whatever
//! connection its session then has. As in 3.0.117, inode 1 is the root of everything here, also in a
//! session of a subdirectory.

use crate::client::answer::Handled;
use crate::client::link::{Conn, State};
use crate::core::Core;
use metadata::event::LockKind;
use metadata::flock::{FlockCommand, FlockRequest, LockOutcome, LockOwner};
use metadata::posix_lock::{ByteRange, RangeKind, RangeRequest};
use proto::client::kind;
use proto::client::locks::{Flock, PosixLock, PosixLockReply, lock_kind, posix};
use proto::client::message::Message;
use proto::frame::put_status;
use proto::{SessionId, Status};

/// FLOCK.
pub fn flock(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Flock::decode(payload, conn.version)?;
    let Some(command) = FlockCommand::from_number(request.command) else {
        core.answer_status(conn, kind::FLOCK, request.msgid, Status::Einval);
        return Ok(());
    };
    let lock = FlockRequest {
        inode: request.inode,
        owner: LockOwner {
            session: conn.session,
            owner: request.owner,
        },
        reqid: request.request,
        msgid: request.msgid,
        command,
    };
    let (ns, mut tx) = core.change();
    let outcome = ns.flock(&mut tx, &lock);
    answer_outcome(core, conn, kind::FLOCK, request.msgid, outcome);
    Ok(())
}

/// POSIX_LOCK.
pub fn posix_lock(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = PosixLock::decode(payload, conn.version)?;
    let msgid = request.msgid;
    let inode = request.inode;
    let owner = LockOwner {
        session: conn.session,
        owner: request.owner,
    };
    let range = ByteRange {
        start: request.start,
        end: request.end,
    };
    let wanted = RangeKind::from_number(request.kind);
    match (request.command, wanted) {
        (posix::GET, _) => {
            let conflict = wanted
                .and_then(|wanted| core.ns.posix_lock_conflict(inode, owner, range, wanted))
                .map_or((0, 0, 0, 0), |lock| {
                    let ByteRange { start, end } = lock.range;
                    (lock.pid, lock.kind as u8, start, end)
                });
            let (pid, kind, start, end) = conflict;
            let reply = PosixLockReply {
                msgid,
                pid,
                kind,
                start,
                end,
            };
            core.answer(conn, kind::POSIX_LOCK, &reply);
        }
        (posix::INTERRUPT, _) => {
            let (ns, mut tx) = core.change();
            ns.posix_lock_interrupt(&mut tx, inode, conn.session, request.request);
            core.answer_status(conn, kind::POSIX_LOCK, msgid, Status::Ok);
        }
        (posix::SET | posix::TRY, _) if wanted.is_some() || request.kind == lock_kind::UNLOCK => {
            let lock = RangeRequest {
                inode,
                owner,
                reqid: request.request,
                msgid,
                pid: request.pid,
                range,
                kind: wanted,
                wait: request.command == posix::SET,
            };
            let (ns, mut tx) = core.change();
            let outcome = ns.posix_lock(&mut tx, &lock);
            answer_outcome(core, conn, kind::POSIX_LOCK, msgid, outcome);
        }
        _ => core.answer_status(conn, kind::POSIX_LOCK, msgid, Status::Einval),
    }
    Ok(())
}

fn answer_outcome(core: &mut Core, conn: &Conn, request: u32, msgid: u32, outcome: LockOutcome) {
    match outcome {
        LockOutcome::Done(status) => core.answer_status(conn, request, msgid, status),
        LockOutcome::Waiting => {}
    }
}

/// A waiting request is decided. Without a connection the answer is dropped: the client asks again
/// when it comes back.
pub fn lock_answer(
    core: &mut Core,
    session: SessionId,
    msgid: u32,
    lock: LockKind,
    status: Status,
) {
    let request = match lock {
        LockKind::Flock => kind::FLOCK,
        LockKind::Posix => kind::POSIX_LOCK,
    };
    let Core { clients, links, .. } = core;
    let present = clients
        .presences
        .links(session)
        .iter()
        .rev()
        .copied()
        .find(|&link| {
            links.is_open(link)
                && clients
                    .links
                    .get(link)
                    .is_some_and(|record| record.conn.state == State::Mount)
        });
    if let Some(link) = present {
        put_status(links.out(link), kind::reply(request), msgid, status);
    }
}
