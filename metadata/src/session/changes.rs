//! Changes of sessions: registration, reconnection, disconnection and removal, with their lines.

use super::{OPERATION_COUNTERS, Session, SessionParams};
use crate::event::Event;
use crate::namespace::Namespace;
use crate::tx::Tx;
use proto::changelog::{self, Entry};
use proto::{SessionId, Status};
use std::net::Ipv4Addr;

impl SessionParams {
    fn entry(&self) -> changelog::SessionParams<'_> {
        changelog::SessionParams {
            exports_checksum: self.exports_checksum,
            root: self.root,
            flags: self.flags,
            umask: self.umask,
            root_uid: self.root_uid,
            root_gid: self.root_gid,
            map_all_uid: self.map_all_uid,
            map_all_gid: self.map_all_gid,
            min_goal: self.min_goal,
            max_goal: self.max_goal,
            min_trash_seconds: self.min_trash_seconds,
            max_trash_seconds: self.max_trash_seconds,
            disables: self.disables,
            ip: self.peer.into(),
            info: (&*self.info).into(),
        }
    }

    /// The parameters that a line carries.
    pub fn from_entry(entry: &changelog::SessionParams<'_>) -> SessionParams {
        SessionParams {
            exports_checksum: entry.exports_checksum,
            root: entry.root,
            flags: entry.flags,
            umask: entry.umask,
            root_uid: entry.root_uid,
            root_gid: entry.root_gid,
            map_all_uid: entry.map_all_uid,
            map_all_gid: entry.map_all_gid,
            min_goal: entry.min_goal,
            max_goal: entry.max_goal,
            min_trash_seconds: entry.min_trash_seconds,
            max_trash_seconds: entry.max_trash_seconds,
            disables: entry.disables,
            peer: Ipv4Addr::from(entry.ip),
            info: (&*entry.info).into(),
        }
    }
}

impl Namespace {
    /// The session of that number.
    pub fn session(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// All sessions, ascending by number.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.iter()
    }

    /// Makes a session; it counts as connected.
    pub fn session_add(&mut self, tx: &mut Tx<'_>, params: SessionParams) -> SessionId {
        let entry = Entry::SessionAdd {
            params: params.entry(),
            session: self.sessions.next_id(),
        };
        self.log(tx, &entry);
        self.sessions.add(params.clone())
    }

    /// Replaces what a session was granted, when its client comes back under other exports.
    ///
    /// # Errors
    /// 35 no such session.
    pub fn session_change(
        &mut self,
        tx: &mut Tx<'_>,
        id: SessionId,
        params: SessionParams,
    ) -> Result<(), Status> {
        if self.sessions.get(id).is_none() {
            return Err(Status::BadSessionId);
        }
        let entry = Entry::SessionChanged {
            session: id,
            params: params.entry(),
        };
        self.log(tx, &entry);
        self.apply_session_change(id, params)
    }

    pub(crate) fn apply_session_change(
        &mut self,
        id: SessionId,
        params: SessionParams,
    ) -> Result<(), Status> {
        let session = self.sessions.get_mut(id).ok_or(Status::BadSessionId)?;
        session.params = params;
        Ok(())
    }

    /// The last connection of a session ended.
    pub fn session_disconnected(&mut self, tx: &mut Tx<'_>, id: SessionId) {
        if self.apply_session_disconnected(id, tx.now).is_ok() {
            self.log(tx, &Entry::SessionDisconnected { session: id });
        }
    }

    pub(crate) fn apply_session_disconnected(
        &mut self,
        id: SessionId,
        now: u32,
    ) -> Result<(), Status> {
        let session = self.sessions.get_mut(id).ok_or(Status::BadSessionId)?;
        session.disconnected = now;
        Ok(())
    }

    /// A session has a connection again. 3.0.117 has no line for it, so none is written: a master
    /// that takes over counts every session as disconnected from then on.
    pub fn session_connected(&mut self, id: SessionId) {
        if self
            .sessions
            .get(id)
            .is_some_and(|session| session.disconnected != 0)
            && let Some(session) = self.sessions.get_mut(id)
        {
            session.disconnected = 0;
        }
    }

    /// A master begins to serve: nobody is connected yet, and sessions whose disconnection was not
    /// noted are disconnected from now on.
    pub fn sessions_start(&mut self, now: u32) {
        let connected: Vec<_> = self
            .sessions
            .iter()
            .filter(|session| session.disconnected == 0)
            .map(|session| session.id)
            .collect();
        for id in connected {
            if let Some(session) = self.sessions.get_mut(id) {
                session.disconnected = now;
            }
        }
    }

    /// What the client of a connection to the session is.
    pub fn session_announced(&mut self, id: SessionId, new_client: bool) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.new_client = new_client;
        }
    }

    /// The client closed the session: once disconnected it is removed without waiting.
    pub fn session_close(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.closed = true;
        }
    }

    /// Sessions that are to be removed: disconnected, and closed or away for longer than
    /// `sustain_seconds`.
    pub fn expired_sessions(&self, now: u32, sustain_seconds: u32) -> Vec<SessionId> {
        self.sessions
            .iter()
            .filter(|session| {
                let until = session.disconnected.saturating_add(sustain_seconds);
                session.disconnected != 0 && (session.closed || until < now)
            })
            .map(|session| session.id)
            .collect()
    }

    /// Removes a session with its open files and locks. The locks go first, with their lines and
    /// those of whom that lets in, see [`Namespace::release`]; open files have no lines of their own.
    ///
    /// # Errors
    /// 35 no such session.
    pub fn session_del(&mut self, tx: &mut Tx<'_>, id: SessionId) -> Result<(), Status> {
        if self.sessions.get(id).is_none() {
            return Err(Status::BadSessionId);
        }
        let files: Vec<_> = self.open.files_of(id).collect();
        for inode in files {
            self.end_locks(tx, inode, id);
        }
        self.apply_session_del(id)?;
        self.log(tx, &Entry::SessionDelete { session: id });
        tx.event(Event::SessionRemoved(id));
        Ok(())
    }

    /// The effect of SESDEL: the session, its open files and its locks vanish.
    pub(crate) fn apply_session_del(&mut self, id: SessionId) -> Result<(), Status> {
        if !self.sessions.remove(id) {
            return Err(Status::BadSessionId);
        }
        let files: Vec<_> = self.open.files_of(id).collect();
        for inode in files {
            self.open.remove(id, inode);
            self.drop_locks(inode, id);
        }
        Ok(())
    }

    /// Adds operations that were counted elsewhere to the statistics of a session.
    pub fn session_add_counts(&mut self, id: SessionId, counts: &[u32; OPERATION_COUNTERS]) {
        if let Some(session) = self.sessions.get_mut(id) {
            for (sum, count) in session.counters.current.iter_mut().zip(counts) {
                *sum = sum.wrapping_add(*count);
            }
        }
    }

    /// A full hour has passed: the present statistics become those of the last hour.
    pub fn sessions_new_hour(&mut self) {
        self.sessions.shift_counters();
    }
}
