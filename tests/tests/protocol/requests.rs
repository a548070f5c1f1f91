//! Random requests of every kind. Left out are those that make the real master crash or answer
//! from uninitialised memory (wire-client-master §23), and those on which this project differs from
//! it on purpose; each place says so.

#[path = "requests/classes.rs"]
mod classes;
#[path = "requests/locks.rs"]
mod locks;
#[path = "requests/monitor.rs"]
mod monitor;
#[path = "requests/node.rs"]
mod node;
#[path = "requests/tools.rs"]
mod tools;
#[path = "requests/trash.rs"]
mod trash;
#[path = "requests/tree.rs"]
mod tree;

use crate::dice::Dice;
use proto::client::message::Message;
use proto::client::quota::Usage;
use proto::client::sclass::CopyLabels;
use proto::client::{Credentials, Gids};
use proto::{Inode, Version};
use std::fmt::Debug;

/// What a connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Mount with all rights.
    Admin,
    /// Mount with limits.
    Limited,
    /// Tool at the session of the first mount.
    Tools,
    /// Metadata session.
    Meta,
    /// No registration.
    Monitor,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Message type.
    pub kind: u32,
    /// The message as a person reads it.
    pub text: String,
    /// What is sent.
    pub payload: Vec<u8>,
}

fn build<'a>(kind: u32, message: &(impl Message<'a> + Debug), version: Version) -> Request {
    let mut payload = Vec::new();
    message.encode(version, &mut payload);
    Request {
        kind,
        text: format!("{message:?}"),
        payload,
    }
}

const NAMES: &[&[u8]] = &[b"a", b"b", b"c", b"d", b"e", b"f", b"two words", b"\xffx"];
const BAD_NAMES: &[&[u8]] = &[b"", b".", b"..", b"a/b", b"a\0b"];
const CLASSES: &[&[u8]] = &[
    b"1", b"2", b"3", b"8", b"new", b"other", b"third", b"nosuch", b"",
];
const XATTRS: &[&[u8]] = &[b"user.a", b"user.b", b"trusted.x", b"security.selinux", b""];
const GROUPS: &[&[u32]] = &[&[0], &[0, 5], &[1000], &[1001, 1000], &[7, 8, 9, 1000]];
const LENGTHS: &[u64] = &[
    0,
    1,
    1000,
    65_536,
    65_537,
    67_108_863,
    67_108_864,
    67_108_865,
    1 << 40,
    1 << 57,
    u64::MAX,
];

/// Makes requests.
#[derive(Debug)]
pub struct Requests {
    /// Randomness.
    pub dice: Dice,
    msgid: u32,
}

impl Requests {
    /// Requests of a seed.
    pub fn new(seed: u64) -> Requests {
        Requests {
            dice: Dice::new(seed),
            msgid: 0,
        }
    }

    fn name(&mut self) -> &'static [u8] {
        if self.dice.once_in(25) {
            self.dice.pick(BAD_NAMES)
        } else {
            self.dice.pick(NAMES)
        }
    }

    fn inode(&mut self) -> Inode {
        Inode(match self.dice.below(20) {
            0 => self.dice.pick(&[0, 0x7fff_ffff, u32::MAX, 5000]),
            1..=5 => 1,
            6..=13 => 2 + self.dice.below(12),
            _ => 2 + self.dice.below(60),
        })
    }

    fn caller(&mut self, version: Version) -> Credentials<'static> {
        let uid = self.dice.pick(&[0, 0, 0, 1000, 1001]);
        // An empty list of groups kills the real master.
        let groups = self.dice.pick(GROUPS);
        let gids = if version.has_gid_lists() {
            Gids::listed(groups)
        } else {
            Gids::Single(groups[0])
        };
        Credentials { uid, gids }
    }

    fn uid(&mut self) -> u32 {
        self.dice.pick(&[0, 0, 0, 1000, 1001])
    }

    fn mode(&mut self) -> u16 {
        self.dice.pick(&[
            0o777, 0o755, 0o644, 0o700, 0o1777, 0o2775, 0o4755, 0o6711, 0, 0o7777,
        ])
    }

    fn set_mode(&mut self) -> u8 {
        self.dice.pick(&[0, 0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 255])
    }

    fn copies(&mut self) -> Vec<CopyLabels> {
        let count = self.dice.pick(&[1, 1, 2, 2, 3, 9, 0]);
        (0..count)
            .map(|_| {
                CopyLabels([
                    self.dice.pick(&[0, 1, 2, 3]),
                    self.dice.pick(&[0, 0, 4]),
                    0,
                    0,
                ])
            })
            .collect()
    }

    fn usage(&mut self) -> Usage {
        Usage {
            inodes: self.dice.pick(&[0, 3, 5000]),
            length: self.dice.pick(&[0, 100_000, 1 << 50]),
            size: self.dice.pick(&[0, 1 << 20, 1 << 50]),
            real_size: self.dice.pick(&[0, 1 << 21, 1 << 50]),
        }
    }

    /// A request for a connection; `None`: nothing this time.
    pub fn next(&mut self, role: Role, version: Version) -> Option<Request> {
        self.msgid += 1;
        match role {
            Role::Admin | Role::Limited => self.mount(role, version),
            Role::Tools => self.tools(role, version),
            Role::Meta => self.meta(version),
            Role::Monitor => self.monitor(version),
        }
    }

    fn mount(&mut self, role: Role, version: Version) -> Option<Request> {
        match self.dice.below(100) {
            0..45 => Some(self.tree(version)),
            45..70 => Some(self.node(role, version)),
            70..78 => self.locks(version),
            _ => self.tools(role, version),
        }
    }
}
