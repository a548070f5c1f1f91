//! Requests that a client repeats after a failover because it never got their answers.
//!
//! The protocol has no mark for a repetition, and MooseFS's clients repeat byte by byte under the same
//! message number (client-behaviour §15.4). So the leader logs the answer of each change beside its
//! lines, and a new leader gives the same answer when the first request of a message number on a
//! *resumed* session is the one that was answered last, and fails now because it was done already.

use crate::links::LinkId;
use proto::SessionId;
use proto::client::kind;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};

/// A resumed connection may repeat for so long, milliseconds: a client gives up before that.
const REPEATS_MS: u64 = 150_000;
/// Answers longer than this are not kept, bytes.
const REPLY_MAX: usize = 512;
/// Message numbers of a session whose answers are kept.
const NUMBERS_MAX: usize = 4096;

/// An answered change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    request: u64,
    reply: Vec<u8>,
}

/// A resumed connection.
#[derive(Debug)]
struct Resumed {
    since_ms: u64,
    seen: HashSet<u32>,
}

/// Answered changes by session and message number.
#[derive(Debug, Default)]
pub struct Repeats {
    answered: HashMap<SessionId, HashMap<u32, Answered>>,
    resumed: HashMap<LinkId, Resumed>,
    /// Records of this turn, in the form of the log; nothing without a cluster.
    made: Option<Vec<u8>>,
}

/// Whether doing it again fails where doing it once succeeded.
pub fn fails_when_repeated(kind: u32) -> bool {
    matches!(
        kind,
        kind::CREATE
            | kind::MKNOD
            | kind::MKDIR
            | kind::SYMLINK
            | kind::LINK
            | kind::UNLINK
            | kind::RMDIR
            | kind::RENAME
            | kind::SETXATTR
    )
}

/// Fingerprint of a request.
fn fingerprint(kind: u32, payload: &[u8]) -> u64 {
    // Equal on all nodes: the seed is fixed, and nobody gains by making two requests collide.
    let mut hasher = foldhash::fast::FixedState::with_seed(1).build_hasher();
    hasher.write_u32(kind);
    hasher.write(payload);
    hasher.finish()
}

fn msgid(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(payload.get(..4)?.try_into().ok()?))
}

impl Repeats {
    /// Records are made from now on, for the other nodes.
    pub fn record(&mut self) {
        self.made.get_or_insert_default();
    }

    /// Whether records are made.
    pub fn is_recording(&self) -> bool {
        self.made.is_some()
    }

    /// A connection continued a session.
    pub fn resumed(&mut self, link: LinkId, now_ms: u64) {
        if self.is_recording() {
            let seen = HashSet::new();
            self.resumed.insert(
                link,
                Resumed {
                    since_ms: now_ms,
                    seen,
                },
            );
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, link: LinkId) {
        self.resumed.remove(&link);
    }

    /// A request came in. Gives the answer that it got before, if it may be a repetition.
    pub fn heard(
        &mut self,
        link: LinkId,
        session: SessionId,
        now_ms: u64,
        kind: u32,
        payload: &[u8],
    ) -> Option<Vec<u8>> {
        let resumed = self.resumed.get_mut(&link)?;
        if now_ms.saturating_sub(resumed.since_ms) > REPEATS_MS {
            self.resumed.remove(&link);
            return None;
        }
        let number = msgid(payload)?;
        let is_first = resumed.seen.len() < NUMBERS_MAX && resumed.seen.insert(number);
        if !is_first || !fails_when_repeated(kind) {
            return None;
        }
        let answered = self.answered.get(&session)?.get(&number)?;
        (answered.request == fingerprint(kind, payload)).then(|| answered.reply.clone())
    }

    /// A change was answered.
    pub fn answered(&mut self, session: SessionId, kind: u32, payload: &[u8], reply: &[u8]) {
        let Some(made) = &mut self.made else { return };
        let Some(number) = msgid(payload) else { return };
        if reply.is_empty() || reply.len() > REPLY_MAX {
            return;
        }
        made.extend_from_slice(&session.0.to_be_bytes());
        made.extend_from_slice(&number.to_be_bytes());
        made.extend_from_slice(&fingerprint(kind, payload).to_be_bytes());
        made.extend_from_slice(&(reply.len() as u16).to_be_bytes());
        made.extend_from_slice(reply);
    }

    /// Takes the records of this turn.
    pub fn take_made(&mut self, into: &mut Vec<u8>) {
        if let Some(made) = &mut self.made {
            into.append(made);
        }
    }

    /// Another node's records, or this one's when they are committed.
    pub fn learn(&mut self, mut records: &[u8]) {
        while let Some((session, number, request, reply, rest)) = split(records) {
            let numbers = self.answered.entry(session).or_default();
            if numbers.len() < NUMBERS_MAX || numbers.contains_key(&number) {
                let reply = reply.to_vec();
                numbers.insert(number, Answered { request, reply });
            }
            records = rest;
        }
    }

    /// A session is gone.
    pub fn forget(&mut self, session: SessionId) {
        self.answered.remove(&session);
    }

    /// What a new leader takes over from the follower that it was.
    pub fn take_over(&mut self, follower: &mut Repeats) {
        self.answered = std::mem::take(&mut follower.answered);
        self.record();
    }
}

type Record<'a> = (SessionId, u32, u64, &'a [u8], &'a [u8]);

fn split(records: &[u8]) -> Option<Record<'_>> {
    let (session, rest) = records.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    let (request, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (reply, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((
        SessionId(u32::from_be_bytes(*session)),
        u32::from_be_bytes(*number),
        u64::from_be_bytes(*request),
        reply,
        rest,
    ))
}

#[cfg(test)]
mod tests {
    use super::Repeats;
    use crate::links::{LinkId, Links, Port};
    use proto::SessionId;
    use proto::client::kind;
    use std::net::{Ipv4Addr, SocketAddrV4};

    const SESSION: SessionId = SessionId(3);

    fn link() -> LinkId {
        Links::default().open(Port::Client, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1))
    }

    fn follower() -> Repeats {
        let mut leader = Repeats::default();
        leader.record();
        leader.answered(SESSION, kind::MKDIR, b"\0\0\0\x05name", b"done");
        let mut records = Vec::new();
        leader.take_made(&mut records);
        let mut follower = Repeats::default();
        follower.learn(&records);
        let mut next = Repeats::default();
        next.take_over(&mut follower);
        next
    }

    #[test]
    fn the_first_request_of_a_number_on_a_resumed_session_may_be_a_repetition() {
        let cases: [(&str, u32, &[u8], bool, bool); 5] = [
            ("the same", kind::MKDIR, b"\0\0\0\x05name", true, true),
            ("another name", kind::MKDIR, b"\0\0\0\x05other", true, false),
            (
                "another number",
                kind::MKDIR,
                b"\0\0\0\x06name",
                true,
                false,
            ),
            ("another kind", kind::UNLINK, b"\0\0\0\x05name", true, false),
            (
                "a new session",
                kind::MKDIR,
                b"\0\0\0\x05name",
                false,
                false,
            ),
        ];
        for (what, kind, payload, resumes, expected) in cases {
            let mut repeats = follower();
            if resumes {
                repeats.resumed(link(), 1000);
            }
            let found = repeats.heard(link(), SESSION, 1500, kind, payload);
            assert_eq!(found.is_some(), expected, "{what}");
            assert_eq!(repeats.heard(link(), SESSION, 1600, kind, payload), None);
        }
    }

    #[test]
    fn nothing_is_recorded_without_a_cluster() {
        let mut repeats = Repeats::default();
        repeats.answered(SESSION, kind::MKDIR, b"\0\0\0\x05name", b"done");
        let mut records = Vec::new();
        repeats.take_made(&mut records);
        assert!(records.is_empty());
    }
}
