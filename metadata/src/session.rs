//! Client sessions: what the exports granted them, when they were last connected, how often they
//! asked. Which connection serves a session is the shell's knowledge.

mod changes;

use crate::caller::{Caller, SessionRights};
use crate::digest::{Kind, Sum};
use proto::{Inode, SessionId};
use std::net::Ipv4Addr;
use std::sync::Arc;

/// Number of operation counters of a session (metadata-and-changelog §1.4.1).
pub const OPERATION_COUNTERS: usize = 16;

/// What a session was granted when it registered (wire-client-master §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionParams {
    /// Checksum of the exports under which the session was accepted.
    pub exports_checksum: u64,
    /// Root directory; inode 0 for a metadata session.
    pub root: Inode,
    /// `sesflags`, see [`SessionRights`].
    pub flags: u8,
    /// Added to the umask of each creating request.
    pub umask: u16,
    /// User that uid 0 becomes.
    pub root_uid: u32,
    /// Group that the first gid of uid 0 becomes.
    pub root_gid: u32,
    /// User that every other uid becomes when all are mapped.
    pub map_all_uid: u32,
    /// Group that the first gid of every other user becomes when all are mapped.
    pub map_all_gid: u32,
    /// Smallest goal that may be set.
    pub min_goal: u8,
    /// Largest goal that may be set.
    pub max_goal: u8,
    /// Shortest trash time that may be set, seconds.
    pub min_trash_seconds: u32,
    /// Longest trash time that may be set, seconds.
    pub max_trash_seconds: u32,
    /// Bit mask of forbidden operations.
    pub disables: u32,
    /// Address of the client.
    pub peer: Ipv4Addr,
    /// Mount point that the client reported.
    pub info: Arc<[u8]>,
}

/// Operations in the present hour and in the one before. Statistics only: nothing depends on them,
/// and no changelog line carries them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperationCounters {
    /// Since the last full hour.
    pub current: [u32; OPERATION_COUNTERS],
    /// In the hour before.
    pub last_hour: [u32; OPERATION_COUNTERS],
}

/// One session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its number.
    pub id: SessionId,
    /// What it was granted.
    pub params: SessionParams,
    /// Second at which its last connection ended; 0 while it is connected.
    pub disconnected: u32,
    /// Statistics.
    pub counters: OperationCounters,
    /// Its client asked to close it: it is removed without waiting. Not persistent.
    pub closed: bool,
    /// Its client is 1.7.32 or newer: [`SessionRights::NEW_CLIENT`]. Not persistent.
    pub new_client: bool,
}

impl Session {
    /// A connected session that has done nothing yet.
    pub fn new(id: SessionId, params: SessionParams) -> Session {
        Session {
            id,
            params,
            disconnected: 0,
            counters: OperationCounters::default(),
            closed: false,
            new_client: false,
        }
    }

    /// Whether it serves a metadata mount: trash and sustained files only.
    pub fn is_meta(&self) -> bool {
        self.params.root == Inode(0)
    }

    /// The rights that operations test.
    pub fn rights(&self) -> SessionRights {
        let params = &self.params;
        let mark = if self.new_client {
            SessionRights::NEW_CLIENT
        } else {
            0
        };
        SessionRights {
            flags: params.flags | mark,
            umask: params.umask,
            disables: params.disables,
            min_goal: params.min_goal,
            max_goal: params.max_goal,
            min_trash_seconds: params.min_trash_seconds,
            max_trash_seconds: params.max_trash_seconds,
        }
    }

    /// The identity behind a request with these credentials (wire-client-master §5.3): user 0
    /// becomes the session's root, and every other user the common one when all are mapped; of the
    /// groups only the first is replaced. `scratch` holds the groups when they differ from those
    /// sent.
    pub fn caller<'a>(&self, uid: u32, gids: &'a [u32], scratch: &'a mut Vec<u32>) -> Caller<'a> {
        let params = &self.params;
        let sent_gid = gids.first().copied().unwrap_or(0);
        let (mapped_uid, mapped_gid) = if uid == 0 {
            (params.root_uid, params.root_gid)
        } else if params.flags & SessionRights::MAP_ALL != 0 {
            (params.map_all_uid, params.map_all_gid)
        } else {
            (uid, sent_gid)
        };
        let gids = match gids {
            [] => gids,
            [first, ..] if *first == mapped_gid => gids,
            [_, rest @ ..] => {
                scratch.clear();
                scratch.push(mapped_gid);
                scratch.extend_from_slice(rest);
                scratch.as_slice()
            }
        };
        Caller {
            session: self.id,
            root: params.root,
            uid: mapped_uid,
            gids,
            sent_uid: uid,
            sent_gid,
            rights: self.rights(),
        }
    }
}

/// All sessions. A clone shares everything with the original.
#[derive(Clone, Debug)]
pub struct Sessions {
    by_id: imbl::OrdMap<u32, Arc<Session>>,
    next: SessionId,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions {
            by_id: imbl::OrdMap::new(),
            next: SessionId(1),
        }
    }
}

impl Sessions {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &Sessions, sum: &mut Sum) {
        sum.map(&old.by_id, &self.by_id, |sum, side, id, session| {
            let params = &session.params;
            let parts = [
                &id.to_be_bytes()[..],
                &params.exports_checksum.to_be_bytes(),
                &params.root.0.to_be_bytes(),
                &[params.flags, params.min_goal, params.max_goal],
                &params.umask.to_be_bytes(),
                &params.root_uid.to_be_bytes(),
                &params.root_gid.to_be_bytes(),
                &params.map_all_uid.to_be_bytes(),
                &params.map_all_gid.to_be_bytes(),
                &params.min_trash_seconds.to_be_bytes(),
                &params.max_trash_seconds.to_be_bytes(),
                &params.disables.to_be_bytes(),
                &params.peer.octets(),
                &params.info,
            ];
            sum.count(side, Kind::Session, &parts);
        });
    }

    /// The session of that number.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.by_id.get(&id.0).map(Arc::as_ref)
    }

    /// All sessions, ascending by number.
    pub fn iter(&self) -> impl Iterator<Item = &Session> {
        self.by_id.values().map(Arc::as_ref)
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// The number that the next session gets.
    pub fn next_id(&self) -> SessionId {
        self.next
    }

    /// Sets the number of the next session: an image says it, old changelogs count with it.
    pub fn set_next_id(&mut self, next: SessionId) {
        self.next = next;
    }

    /// Takes a session over as an image has it. `false` when the number is 0 or exists.
    pub fn load(&mut self, session: Session) -> bool {
        if session.id == SessionId(0) || self.by_id.contains_key(&session.id.0) {
            return false;
        }
        self.by_id.insert(session.id.0, Arc::new(session));
        true
    }

    /// A full hour has passed: the present counters become those of the last hour.
    pub fn shift_counters(&mut self) {
        for id in self.by_id.keys().copied().collect::<Vec<_>>() {
            if let Some(session) = self.get_mut(SessionId(id)) {
                session.counters.last_hour = session.counters.current;
                session.counters.current = [0; OPERATION_COUNTERS];
            }
        }
    }

    pub(crate) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.by_id.get_mut(&id.0).map(Arc::make_mut)
    }

    /// Adds a session under the next number.
    pub fn add(&mut self, params: SessionParams) -> SessionId {
        let id = self.next;
        self.next = SessionId(id.0.wrapping_add(1));
        self.by_id.insert(id.0, Arc::new(Session::new(id, params)));
        id
    }

    /// Removes a session; `false` when there is none.
    pub fn remove(&mut self, id: SessionId) -> bool {
        self.by_id.remove(&id.0).is_some()
    }
}

#[cfg(test)]
mod tests;
