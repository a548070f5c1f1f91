//! Identity mapping, life of sessions, and the lines of both.

use super::{OPERATION_COUNTERS, Session, SessionParams};
use crate::flock::{FlockCommand, FlockKind, FlockRequest, LockOutcome, LockOwner};
use crate::{Event, Namespace, Outbox, Tx};
use proto::{Inode, SessionId, Status};
use std::net::Ipv4Addr;

const MAP_ALL: u8 = 0x10;

fn params(flags: u8) -> SessionParams {
    SessionParams {
        exports_checksum: 77,
        root: Inode::ROOT,
        flags,
        umask: 0o027,
        root_uid: 10,
        root_gid: 11,
        map_all_uid: 20,
        map_all_gid: 21,
        min_goal: 1,
        max_goal: 9,
        min_trash_seconds: 0,
        max_trash_seconds: u32::MAX,
        disables: 0x101,
        peer: Ipv4Addr::new(10, 0, 0, 1),
        info: b"/mnt"[..].into(),
    }
}

/// Lines without their time stamps.
fn lines(out: &Outbox) -> Vec<String> {
    let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
    let lines = out.lines.iter().map(|(_, line)| text(line));
    lines
        .map(|line| {
            line.split_once('|')
                .map_or(line.clone(), |(_, rest)| rest.to_owned())
        })
        .collect()
}

#[test]
fn identity_mapping() {
    for (flags, uid, gids, mapped_uid, mapped_gids) in [
        (0, 0, &[0, 5][..], 10, &[11, 5][..]),
        (0, 3, &[4, 5], 3, &[4, 5]),
        (0, 0, &[], 10, &[]),
        (0, 0, &[11], 10, &[11]),
        (MAP_ALL, 0, &[0], 10, &[11]),
        (MAP_ALL, 3, &[4, 5], 20, &[21, 5]),
        (MAP_ALL, 3, &[], 20, &[]),
    ] {
        let session = Session::new(SessionId(1), params(flags));
        let mut scratch = Vec::new();
        let who = session.caller(uid, gids, &mut scratch);
        assert_eq!(
            (who.uid, who.gids),
            (mapped_uid, mapped_gids),
            "flags {flags}, {uid}:{gids:?}"
        );
        assert_eq!(who.sent_uid, uid);
        assert_eq!(who.sent_gid, gids.first().copied().unwrap_or(0));
        assert_eq!((who.rights.umask, who.rights.disables), (0o027, 0x101));
    }
}

#[test]
fn life_of_a_session() {
    let mut ns = Namespace::default();
    let mut out = Outbox::default();
    let id = ns.session_add(&mut Tx::new(100, &mut out), params(8));
    assert_eq!(id, SessionId(1));
    ns.session_disconnected(&mut Tx::new(200, &mut out), id);
    for (now, sustain, expired) in [(260, 60, false), (261, 60, true), (261, 61, false)] {
        let found = !ns.expired_sessions(now, sustain).is_empty();
        assert_eq!(found, expired, "at {now} with {sustain}");
    }
    ns.session_close(id);
    assert_eq!(ns.expired_sessions(201, 60), [id], "closed by its client");
    ns.session_connected(id);
    assert_eq!(ns.expired_sessions(u32::MAX, 0), [], "connected");
    let changed = ns.session_change(&mut Tx::new(300, &mut out), id, params(0));
    assert_eq!(changed, Ok(()));
    ns.sessions_start(400);
    assert_eq!(
        ns.session(id).map(|session| session.disconnected),
        Some(400)
    );
    ns.session_del(&mut Tx::new(500, &mut out), id).unwrap();
    assert_eq!(
        ns.session_del(&mut Tx::new(500, &mut out), id),
        Err(Status::BadSessionId)
    );
    let fields = "10,11,20,21,1,9,0,4294967295,0x00000101,167772161,/mnt";
    assert_eq!(
        lines(&out),
        [
            format!("SESADD(#77,1,8,0027,{fields}):1"),
            "SESDISCONNECTED(1)".to_owned(),
            format!("SESCHANGED(1,#77,1,0,0027,{fields})"),
            "SESDEL(1)".to_owned(),
        ]
    );
    let next = ns.session_add(&mut Tx::new(600, &mut out), params(0));
    assert_eq!(next, SessionId(2), "numbers are not used again");
}

fn lock(session: SessionId, owner: u64, msgid: u32) -> FlockRequest {
    FlockRequest {
        inode: Inode(5),
        owner: LockOwner { session, owner },
        reqid: 1,
        msgid,
        command: FlockCommand::Lock(FlockKind::Exclusive),
    }
}

#[test]
fn locks_end_before_their_session_or_opening() {
    for removal in ["SESDEL(1)", "RELEASE(1,5)"] {
        let mut ns = Namespace::default();
        let mut out = Outbox::default();
        let mut tx = Tx::new(100, &mut out);
        let (first, second) = (
            ns.session_add(&mut tx, params(0)),
            ns.session_add(&mut tx, params(0)),
        );
        let outcome = ns.flock(&mut tx, &lock(first, 7, 1));
        assert_eq!(outcome, LockOutcome::Done(Status::NotOpened));
        assert!(ns.acquire(&mut tx, first, Inode(5)) && ns.acquire(&mut tx, second, Inode(5)));
        assert!(!ns.acquire(&mut tx, second, Inode(5)), "open already");
        let outcome = ns.flock(&mut tx, &lock(first, 7, 1));
        assert_eq!(outcome, LockOutcome::Done(Status::Ok));
        assert_eq!(ns.flock(&mut tx, &lock(second, 8, 2)), LockOutcome::Waiting);
        out.lines.clear();
        let mut tx = Tx::new(200, &mut out);
        if removal == "SESDEL(1)" {
            ns.session_del(&mut tx, first).unwrap();
        } else {
            assert!(ns.release(&mut tx, first, Inode(5)));
            assert!(!ns.release(&mut tx, first, Inode(5)), "closed already");
        }
        assert_eq!(lines(&out), ["FLOCK(5,1,7,U)", "FLOCK(5,2,8,W)", removal]);
        let granted = out.events.iter().any(|event| {
            matches!(event, Event::LockAnswer { session, msgid: 2, status: Status::Ok, .. }
                if *session == second)
        });
        assert!(granted, "{:?}", out.events);
        let openers: Vec<_> = ns.openers(Inode(5)).collect();
        assert_eq!(openers, [second]);
    }
}

#[test]
fn statistics_move_each_hour() {
    let mut ns = Namespace::default();
    let id = ns.session_add(&mut Tx::new(1, &mut Outbox::default()), params(0));
    let mut counts = [0; OPERATION_COUNTERS];
    counts[3] = 2;
    ns.session_add_counts(id, &counts);
    ns.session_add_counts(SessionId(9), &counts);
    ns.sessions_new_hour();
    counts[3] = 0;
    counts[0] = 1;
    ns.session_add_counts(id, &counts);
    let counters = ns.session(id).unwrap().counters;
    assert_eq!((counters.current[0], counters.current[3]), (1, 0));
    assert_eq!(counters.last_hour[3], 2);
}
