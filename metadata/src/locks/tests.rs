//! Whatever clients do with open files and locks, a replay of the lines holds the same.

use crate::flock::{FlockCommand, FlockKind, FlockRequest, LockOwner};
use crate::posix_lock::{ByteRange, RangeKind, RangeRequest};
use crate::session::SessionParams;
use crate::{Caller, Namespace, Outbox, Tx};
use proptest::prelude::*;
use proto::changelog::Entry;
use proto::{Inode, SessionId};
use std::net::Ipv4Addr;

#[derive(Clone, Copy, Debug)]
enum Step {
    Open,
    Close,
    Flock(FlockCommand),
    Range(Option<RangeKind>, bool, u64, u64),
    Interrupt,
    EndSession,
}

/// What is open and held.
fn state(ns: &Namespace) -> String {
    let mut open: Vec<_> = ns.open_files().collect();
    let mut flocks: Vec<_> = ns
        .flocks()
        .map(|(inode, lock)| format!("{inode} {lock:?}"))
        .collect();
    let mut ranges: Vec<_> = ns
        .posix_locks()
        .map(|(inode, owner, lock)| format!("{inode} {owner:?} {lock:?}"))
        .collect();
    open.sort_unstable();
    flocks.sort_unstable();
    ranges.sort_unstable();
    format!("{open:#?} {flocks:#?} {ranges:#?}")
}

/// Whether a line meets no conflict: 3.0.117 would stop at one, our replay is milder.
fn fits(ns: &Namespace, entry: &Entry<'_>) -> bool {
    match *entry {
        Entry::Flock {
            inode,
            session,
            owner,
            change,
        } => {
            let owner = LockOwner { session, owner };
            let kind = super::flock_kind(change);
            ns.flocks.clone().apply(inode, owner, kind).is_ok()
        }
        Entry::PosixLock {
            inode,
            session,
            owner,
            change,
            start,
            end,
            pid,
        } => {
            let owner = LockOwner { session, owner };
            let range = ByteRange { start, end };
            let kind = super::range_kind(change);
            let mut locks = ns.posix_locks.clone();
            locks.apply(inode, owner, range, kind, pid).is_ok()
        }
        _ => true,
    }
}

/// Two files and three sessions.
fn start(out: &mut Outbox) -> Namespace {
    let mut ns = Namespace::new(0, 1).unwrap();
    let mut tx = Tx::new(1, out);
    for name in [b"a", b"b"] {
        ns.create(&mut tx, &Caller::MASTER, Inode::ROOT, name, 0o600, 0)
            .unwrap();
    }
    for _ in 0..3 {
        let params = SessionParams {
            exports_checksum: 0,
            root: Inode::ROOT,
            flags: 0,
            umask: 0,
            root_uid: 0,
            root_gid: 0,
            map_all_uid: 0,
            map_all_gid: 0,
            min_goal: 1,
            max_goal: 9,
            min_trash_seconds: 0,
            max_trash_seconds: 0,
            disables: 0,
            peer: Ipv4Addr::LOCALHOST,
            info: b""[..].into(),
        };
        ns.session_add(&mut tx, params);
    }
    out.lines.clear();
    ns
}

fn do_step(ns: &mut Namespace, tx: &mut Tx<'_>, session: SessionId, inode: Inode, step: Step) {
    let owner = LockOwner { session, owner: 1 };
    match step {
        Step::Open => {
            if ns.session(session).is_some() {
                ns.acquire(tx, session, inode);
            }
        }
        Step::Close => {
            ns.release(tx, session, inode);
        }
        Step::Flock(command) => {
            let request = FlockRequest {
                inode,
                owner,
                reqid: 1,
                msgid: 1,
                command,
            };
            ns.flock(tx, &request);
        }
        Step::Range(kind, wait, start, end) => {
            let request = RangeRequest {
                inode,
                owner,
                reqid: 1,
                msgid: 1,
                pid: session.0,
                range: ByteRange { start, end },
                kind,
                wait,
            };
            ns.posix_lock(tx, &request);
        }
        Step::Interrupt => ns.posix_lock_interrupt(tx, inode, session, 1),
        // A session that is gone already is no error here.
        Step::EndSession => drop(ns.session_del(tx, session)),
    }
}

fn a_step() -> impl Strategy<Value = Step> {
    let command = prop_oneof![
        Just(FlockCommand::Unlock),
        Just(FlockCommand::Try(FlockKind::Shared)),
        Just(FlockCommand::Try(FlockKind::Exclusive)),
        Just(FlockCommand::Lock(FlockKind::Shared)),
        Just(FlockCommand::Lock(FlockKind::Exclusive)),
        Just(FlockCommand::Interrupt),
        Just(FlockCommand::Release),
    ];
    let kind = prop_oneof![
        Just(None),
        Just(Some(RangeKind::Read)),
        Just(Some(RangeKind::Write))
    ];
    prop_oneof![
        3 => Just(Step::Open),
        1 => Just(Step::Close),
        8 => command.prop_map(Step::Flock),
        8 => (kind, any::<bool>(), 0u64..8, 1u64..8)
            .prop_map(|(kind, wait, start, length)| Step::Range(kind, wait, start, start + length)),
        1 => Just(Step::Interrupt),
        1 => Just(Step::EndSession),
    ]
}

proptest! {
    #[test]
    fn a_replay_holds_the_same(
        steps in prop::collection::vec((1u32..4, 2u32..4, a_step()), 1..120)
    ) {
        let mut out = Outbox::default();
        let mut replayed = start(&mut out);
        let mut ns = start(&mut out);
        for (session, inode, step) in steps {
            let mut tx = Tx::new(5, &mut out);
            do_step(&mut ns, &mut tx, SessionId(session), Inode(inode), step);
            for (version, line) in out.lines.iter() {
                let line = proto::changelog::parse(line).unwrap();
                prop_assert!(fits(&replayed, &line.entry), "conflict: {:?}", line.entry);
                let result = replayed.replay(version, line.timestamp, &line.entry);
                prop_assert!(result.is_ok(), "{:?}: {result:?}", line.entry);
            }
            out.lines.clear();
            out.events.clear();
            prop_assert_eq!(state(&replayed), state(&ns), "after {:?}", step);
        }
        for session in 1..4 {
            let mut tx = Tx::new(6, &mut out);
            do_step(&mut ns, &mut tx, SessionId(session), Inode(2), Step::EndSession);
        }
        prop_assert!(ns.flocks.is_empty() && ns.posix_locks.is_empty(), "nothing is left");
    }
}
