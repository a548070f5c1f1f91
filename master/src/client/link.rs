//! One connection on the client port: what it is, whose it is, and what it has asked for.

use crate::links::LinkId;
use proto::SessionId;
use proto::version::Version;

/// What a connection may send (wire-client-master §1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// Nothing but registrations and questions for information.
    #[default]
    Unregistered,
    /// Everything: a mount, or a metadata mount.
    Mount,
    /// What tools of old versions need.
    Tools,
}

/// Kinds of operations that are counted for each session, in the order of the session list
/// (wire-client-master §19.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Counter {
    /// STATFS.
    Statfs,
    /// GETATTR.
    Getattr,
    /// SETATTR and TRUNCATE.
    Setattr,
    /// LOOKUP.
    Lookup,
    /// MKDIR.
    Mkdir,
    /// RMDIR.
    Rmdir,
    /// SYMLINK.
    Symlink,
    /// READLINK.
    Readlink,
    /// MKNOD and CREATE.
    Mknod,
    /// UNLINK.
    Unlink,
    /// RENAME.
    Rename,
    /// LINK.
    Link,
    /// READDIR.
    Readdir,
    /// OPEN and CREATE.
    Open,
    /// READ_CHUNK.
    Read,
    /// WRITE_CHUNK.
    Write,
}

/// Number of counters.
/// Operations that are counted.
pub const COUNTERS: usize = metadata::session::OPERATION_COUNTERS;

/// Numbers of operations, by [`Counter`].
pub type Counters = [u32; COUNTERS];

/// What a request handler needs to know about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conn {
    /// The connection.
    pub link: LinkId,
    /// What it may send.
    pub state: State,
    /// Version that it announced; 0 before registration.
    pub version: Version,
    /// Its session; 0 before registration.
    pub session: SessionId,
}

/// The record of a connection.
#[derive(Clone, Debug)]
pub struct Link {
    /// What handlers get.
    pub conn: Conn,
    /// Challenge that was sent for the password.
    pub challenge: Option<[u8; 32]>,
    /// Directory that the mount asked for when it registered here; `None` when it only came back.
    pub asked_path: Option<Box<str>>,
    /// Operations that are not in the statistics of the session yet.
    pub counters: Counters,
}

impl Link {
    /// What was counted since the last call; nothing when nothing was.
    pub fn take_counters(&mut self) -> Option<Counters> {
        if self.counters == [0; COUNTERS] {
            return None;
        }
        Some(std::mem::take(&mut self.counters))
    }
}

/// Records of the connections, parallel to [`crate::links::Links`].
#[derive(Debug, Default)]
pub struct LinkTable {
    slots: Vec<Option<Link>>,
}

impl LinkTable {
    /// A connection came in.
    pub fn open(&mut self, link: LinkId) {
        let index = link.index();
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        self.slots[index] = Some(Link {
            conn: Conn {
                link,
                state: State::Unregistered,
                version: Version(0),
                session: SessionId(0),
            },
            challenge: None,
            asked_path: None,
            counters: [0; COUNTERS],
        });
    }

    /// The connection is gone; its record.
    pub fn close(&mut self, link: LinkId) -> Option<Link> {
        self.get(link)?;
        self.slots.get_mut(link.index())?.take()
    }

    /// The record of a connection.
    #[inline]
    pub fn get(&self, link: LinkId) -> Option<&Link> {
        let record = self.slots.get(link.index())?.as_ref()?;
        (record.conn.link == link).then_some(record)
    }

    /// The record of a connection.
    #[inline]
    pub fn get_mut(&mut self, link: LinkId) -> Option<&mut Link> {
        let record = self.slots.get_mut(link.index())?.as_mut()?;
        (record.conn.link == link).then_some(record)
    }

    /// Counts an operation.
    #[inline]
    pub fn count(&mut self, link: LinkId, counter: Counter) {
        if let Some(record) = self.get_mut(link) {
            let count = &mut record.counters[counter as usize];
            *count = count.wrapping_add(1);
        }
    }

    /// Every connection.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.slots.iter().flatten()
    }

    /// Every connection.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Link> {
        self.slots.iter_mut().flatten()
    }
}
