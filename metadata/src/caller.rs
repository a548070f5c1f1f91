//! Who asks for an operation, and what his session allows.

use proto::{Inode, SessionId};

/// Rights of a session that decide about single operations (wire-client-master §5.2–§5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionRights {
    /// `sesflags`: 01 read-only, 02 dynamic ip, 04 ignore gid, 08 admin, 10 map all.
    pub flags: u8,
    /// Added to the umask of each creating request.
    pub umask: u16,
    /// Bit mask of forbidden operations.
    pub disables: u32,
    /// Smallest goal that may be set.
    pub min_goal: u8,
    /// Largest goal that may be set.
    pub max_goal: u8,
    /// Shortest trash time that may be set, seconds.
    pub min_trash_seconds: u32,
    /// Longest trash time that may be set, seconds.
    pub max_trash_seconds: u32,
}

impl SessionRights {
    /// Modifications are refused.
    pub const READ_ONLY: u8 = 0x01;
    /// Reconnection is accepted from any address.
    pub const DYNAMIC_IP: u8 = 0x02;
    /// A non-owner's rights are group OR other bits.
    pub const IGNORE_GID: u8 = 0x04;
    /// Quotas, storage classes and protected attributes may be changed.
    pub const ADMIN: u8 = 0x08;
    /// The client is 1.7.32 or newer. Lines of snapshots show it; nothing depends on it.
    pub const NEW_CLIENT: u8 = 0x40;
    /// Every uid but root is replaced.
    pub const MAP_ALL: u8 = 0x10;

    /// Everything is allowed: what the master does by itself.
    pub const MASTER: SessionRights = SessionRights {
        flags: Self::ADMIN,
        umask: 0,
        disables: 0,
        min_goal: 1,
        max_goal: 9,
        min_trash_seconds: 0,
        max_trash_seconds: u32::MAX,
    };

    /// Whether a flag of `sesflags` is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// The identity behind one request, after the session's mapping (wire-client-master §5.3).
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The session that asks.
    pub session: SessionId,
    /// Root directory of the session; inode 0 in a metadata session.
    pub root: Inode,
    /// User after mapping.
    pub uid: u32,
    /// Groups after mapping of the first; empty when the request carries none.
    pub gids: &'a [u32],
    /// User as the client sent it, for the owner shown in attributes (§4.3).
    pub sent_uid: u32,
    /// First group as the client sent it.
    pub sent_gid: u32,
    /// What the session allows.
    pub rights: SessionRights,
}

impl Caller<'_> {
    /// The first group, which owns what the caller creates; 0 when the request carries none.
    pub fn gid(&self) -> u32 {
        self.gids.first().copied().unwrap_or(0)
    }

    /// Whether a flag of the session is set.
    pub fn has(&self, flag: u8) -> bool {
        self.rights.has(flag)
    }

    /// Whether the session may change nothing.
    pub fn is_read_only(&self) -> bool {
        self.has(SessionRights::READ_ONLY)
    }

    /// Whether it is a metadata session: trash and sustained files only.
    pub fn is_meta(&self) -> bool {
        self.root == Inode(0)
    }

    /// The master itself, as root at the root directory.
    pub const MASTER: Caller<'static> = Caller {
        session: SessionId(0),
        root: Inode::ROOT,
        uid: 0,
        gids: &[0],
        sent_uid: 0,
        sent_gid: 0,
        rights: SessionRights::MASTER,
    };
}
