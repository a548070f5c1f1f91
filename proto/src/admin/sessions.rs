//! Sessions as the master lists them, and their removal (wire-admin §4.2, §4.11).

use std::net::Ipv4Addr;

use super::request::optional_byte;
use crate::frame::put_frame;
use crate::ids::SessionId;
use crate::list::{List, Text};
use crate::message::{forms, messages};
use crate::status::Status;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// Operations that a 3.0.117 master counts for each session, in the order of the list: statfs,
/// getattr, setattr, lookup, mkdir, rmdir, symlink, readlink, mknod, unlink, rename, link, readdir,
/// open, read, write.
pub const COUNTERS: u16 = 16;

/// `expire` of a connected session.
pub const CONNECTED: u32 = u32::MAX;

/// Asks for the list of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetSessions {
    /// Form of the answer, 0–4; absent: 0.
    pub vmode: Option<u8>,
}

optional_byte! { GetSessions = 508 { vmode } }

/// Fields of a [`SessionEntry`]: the request's number, no more than the master knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SessionForm {
    /// Connected sessions only.
    V0,
    /// With limits of goal and trash time (1.6.26).
    V1,
    /// All sessions, with open files, sockets and expiration (1.7.8).
    V2,
    /// With umask (3.0.72).
    V3,
    /// With disabled operations (3.0.112).
    V4,
}

impl SessionForm {
    /// Form of a 3.0.117 master's answer.
    pub fn of_request(request: GetSessions) -> SessionForm {
        match request.vmode {
            None | Some(0) => SessionForm::V0,
            Some(1) => SessionForm::V1,
            Some(2) => SessionForm::V2,
            Some(3) => SessionForm::V3,
            Some(_) => SessionForm::V4,
        }
    }

    fn has_limits(self) -> bool {
        self >= SessionForm::V1
    }

    /// Whether the list has disconnected sessions too, and tells connections and open files.
    pub fn has_connections(self) -> bool {
        self >= SessionForm::V2
    }

    fn has_umask(self) -> bool {
        self >= SessionForm::V3
    }

    fn has_disables(self) -> bool {
        self >= SessionForm::V4
    }
}

forms! {
    /// A session without its counters.
    SessionEntry<'a> by SessionForm {
        /// Number.
        session: SessionId,
        /// Address of the last connection.
        ip: Ipv4Addr,
        /// Version of the mount.
        version: Version,
        /// Number of open files.
        open_files: u32 where has_connections else 0,
        /// Number of connections, at most 255.
        sockets: u8 where has_connections else 0,
        /// [`CONNECTED`], or seconds until the session is dropped.
        expire_s: u32 where has_connections else CONNECTED,
        /// Mount point as the mount told it.
        info: Text<'a>,
        /// Root directory of the session; `.` for meta mounts.
        path: Text<'a>,
        /// Session flags.
        flags: u8,
        /// Mask of permission bits.
        umask: u16 where has_umask else 0,
        /// User that root becomes.
        root_uid: u32,
        /// Group that root becomes.
        root_gid: u32,
        /// User that all others become.
        mapall_uid: u32,
        /// Group that all others become.
        mapall_gid: u32,
        /// Least goal; 1: not set.
        min_goal: u8 where has_limits else 1,
        /// Greatest goal; 9: not set.
        max_goal: u8 where has_limits else 9,
        /// Least trash time in seconds; 0: not set.
        min_trashtime_s: u32 where has_limits else 0,
        /// Greatest trash time in seconds; `u32::MAX`: not set.
        max_trashtime_s: u32 where has_limits else u32::MAX,
        /// Operations that the session may not do (wire-admin §4.10).
        disables: u32 where has_disables else 0,
    }
}

/// A session of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedSession<'a> {
    /// What it is.
    pub entry: SessionEntry<'a>,
    /// Operations in this hour of the master's clock, [`COUNTERS`] of them.
    pub current: List<'a, u32>,
    /// Operations in the hour before.
    pub last: List<'a, u32>,
}

/// Answer to [`GetSessions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionList<'a> {
    /// Counters a session has in each hour.
    pub counters: u16,
    /// Sessions.
    pub sessions: Vec<ListedSession<'a>>,
}

impl<'a> SessionList<'a> {
    /// Message type.
    pub const KIND: u32 = 509;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8], form: SessionForm) -> Result<SessionList<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let counters = reader.u16()?;
        let mut sessions = Vec::new();
        while !reader.is_empty() {
            sessions.push(ListedSession {
                entry: SessionEntry::get(&mut reader, form)?,
                current: List::get_counted(&mut reader, usize::from(counters))?,
                last: List::get_counted(&mut reader, usize::from(counters))?,
            });
        }
        Ok(SessionList { counters, sessions })
    }

    /// Appends the packet, header included. Every session has lists of `counters` numbers.
    pub fn encode<'e>(
        counters: u16,
        sessions: impl IntoIterator<Item = ListedSession<'e>>,
        form: SessionForm,
        out: &mut Vec<u8>,
    ) {
        put_frame(out, Self::KIND, |out| {
            out.put_u16(counters);
            for session in sessions {
                debug_assert_eq!(session.current.len(), usize::from(counters));
                debug_assert_eq!(session.last.len(), usize::from(counters));
                session.entry.put(out, form);
                out.put(session.current);
                out.put(session.last);
            }
        });
    }
}

messages! {
    /// Changes a session.
    SessionCommand = 526 {
        /// 0: remove the session if it has no connection; others are answered with 6.
        action: u8,
        /// Session.
        session: SessionId,
    }

    /// Answer to [`SessionCommand`]: 0, 41 no such session, 42 still connected.
    SessionCommandStatus = 527 {
        /// Outcome.
        status: Status,
    }
}
