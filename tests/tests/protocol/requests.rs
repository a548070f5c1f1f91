//! Random requests of every kind. Left out are those that make the real master crash or answer
//! from uninitialised memory (wire-client-master §23), and those on which this project differs from
//! it on purpose; each place says so.

use crate::dice::Dice;
use proto::client::acl::{Acl, AclEntry, Getfacl, Setfacl};
use proto::client::attributes::{Getattr, Setattr, Truncate, truncate_flag};
use proto::client::chunks::ChunkRequest;
use proto::client::create::{Create, Mkdir, Mknod, Symlink};
use proto::client::eattr::Seteattr;
use proto::client::goals::{Class, Setsclass};
use proto::client::inspect::{Check, NodeInfo, Repair};
use proto::client::locks::{Flock, PosixLock, flock, posix};
use proto::client::lookup::{Access, Lookup};
use proto::client::message::{List, ListMessage, Message, Plain};
use proto::client::open::{Open, open_want};
use proto::client::push::{AmtimeInodes, FileTimes, SustainedInodes};
use proto::client::query::ListRequest;
use proto::client::quota::{QuotaControl, QuotaSet, Usage};
use proto::client::readdir::{Page, Readdir};
use proto::client::remove::{Link, Remove, Rename};
use proto::client::sclass::{
    CopyLabels, Definition, SclassChange, SclassCopy, SclassCreate, SclassDelete, SclassList,
    change,
};
use proto::client::snapshot::{AppendSlice, Archctl, Slice, Snapshot, archive, snapshot_mode};
use proto::client::trash::{Getdetachedattr, Gettrash, Settrashpath};
use proto::client::trashtime::Settrashtime;
use proto::client::xattr::{Getxattr, Setxattr};
use proto::client::{Credentials, Gids, InodeRequest, TreeRequest, kind};
use proto::list::Text;
use proto::{Inode, NodeKind, Version};
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

    /// Names.
    fn tree(&mut self, version: Version) -> Request {
        let msgid = self.msgid;
        let (parent, inode) = (self.inode(), self.inode());
        let (name, new_name) = (self.name(), self.name());
        let caller = self.caller(version);
        let (mode, umask) = (self.mode(), self.dice.pick(&[0, 0o22, 0o77]));
        match self.dice.below(18) {
            0..4 => {
                let copy_sgid = self.dice.once_in(2);
                build(
                    kind::MKDIR,
                    &Mkdir {
                        msgid,
                        parent,
                        name,
                        mode,
                        umask,
                        caller,
                        copy_sgid,
                    },
                    version,
                )
            }
            4..6 => build(
                kind::CREATE,
                &Create {
                    msgid,
                    parent,
                    name,
                    mode,
                    umask,
                    caller,
                },
                version,
            ),
            6..8 => {
                // A directory made by MKNOD is a defect that is not copied.
                let kind = self.dice.pick(&[
                    NodeKind::File,
                    NodeKind::File,
                    NodeKind::Fifo,
                    NodeKind::BlockDevice,
                    NodeKind::CharDevice,
                    NodeKind::Socket,
                ]);
                let rdev = self.dice.below(0x500);
                let message = Mknod {
                    msgid,
                    parent,
                    name,
                    kind: Some(kind),
                    mode,
                    umask,
                    caller,
                    rdev,
                };
                build(kind::MKNOD, &message, version)
            }
            8 => {
                let target =
                    Text(
                        self.dice
                            .pick(&[b"x".as_slice(), b"../a", b"/etc/passwd", b"", b"a\0b"]),
                    );
                build(
                    kind::SYMLINK,
                    &Symlink {
                        msgid,
                        parent,
                        name,
                        target,
                        caller,
                    },
                    version,
                )
            }
            9..11 => build(
                kind::UNLINK,
                &Remove {
                    msgid,
                    parent,
                    name,
                    caller,
                },
                version,
            ),
            11 => build(
                kind::RMDIR,
                &Remove {
                    msgid,
                    parent,
                    name,
                    caller,
                },
                version,
            ),
            12..15 => {
                let message = Rename {
                    msgid,
                    parent,
                    name,
                    new_parent: inode,
                    new_name,
                    caller,
                };
                build(kind::RENAME, &message, version)
            }
            15 => build(
                kind::LINK,
                &Link {
                    msgid,
                    inode,
                    new_parent: parent,
                    new_name,
                    caller,
                },
                version,
            ),
            16 => build(
                kind::LOOKUP,
                &Lookup {
                    msgid,
                    parent,
                    name,
                    caller,
                },
                version,
            ),
            _ => {
                let flags = self.dice.below(4) as u8;
                // Pages of the real master cannot be continued: one page has everything.
                let page = Some(Page {
                    entries_max: u32::MAX,
                    edge: 0,
                });
                build(
                    kind::READDIR,
                    &Readdir {
                        msgid,
                        inode,
                        caller,
                        flags,
                        page,
                    },
                    version,
                )
            }
        }
    }

    /// Single inodes.
    fn node(&mut self, role: Role, version: Version) -> Request {
        let msgid = self.msgid;
        let inode = self.inode();
        let caller = self.caller(version);
        let opened = self.dice.once_in(3);
        match self.dice.below(22) {
            0 => {
                let caller = Some((self.uid(), self.dice.pick(&[0, 1000])));
                build(
                    kind::GETATTR,
                    &Getattr {
                        msgid,
                        inode,
                        opened,
                        caller,
                    },
                    version,
                )
            }
            1 => {
                let mask = self.dice.below(10) as u16;
                build(
                    kind::ACCESS,
                    &Access {
                        msgid,
                        inode,
                        caller,
                        mask,
                    },
                    version,
                )
            }
            2 => build(kind::READLINK, &InodeRequest { msgid, inode }, version),
            3..7 => {
                let message = Setattr {
                    msgid,
                    inode,
                    opened,
                    caller,
                    mask: self.dice.below(256) as u8,
                    mode: self.mode(),
                    uid: self.uid(),
                    gid: self.dice.pick(&[0, 1000, 1001, 8]),
                    atime: self.dice.below(1_000_000),
                    mtime: self.dice.below(1_000_000),
                    winattr: self.dice.below(256) as u8,
                    sugid_clear: self.dice.below(6) as u8,
                };
                build(kind::SETATTR, &message, version)
            }
            7..10 => {
                // A shrinking update pushes a wrong length.
                let flags = self.dice.below(16) as u8 & !truncate_flag::UPDATE;
                let length = self.dice.pick(LENGTHS);
                build(
                    kind::TRUNCATE,
                    &Truncate {
                        msgid,
                        inode,
                        flags,
                        caller,
                        length,
                    },
                    version,
                )
            }
            10..12 => {
                let mut flags = self.dice.below(32) as u8;
                // The real master cuts files of sessions that may only read.
                if role == Role::Limited && flags & open_want::TRUNCATE != 0 {
                    flags |= open_want::WRITE;
                }
                build(
                    kind::OPEN,
                    &Open {
                        msgid,
                        inode,
                        caller,
                        flags,
                    },
                    version,
                )
            }
            12 | 13 => {
                let index = self.dice.pick(&[0, 1, 0x7fff_ffff, 0x8000_0000]);
                let flags = self.dice.pick(&[None, Some(0), Some(1)]);
                let message = ChunkRequest {
                    msgid,
                    inode,
                    index,
                    flags,
                };
                build(
                    self.dice.pick(&[kind::READ_CHUNK, kind::WRITE_CHUNK]),
                    &message,
                    version,
                )
            }
            14 => {
                let (name, mode) = (self.dice.pick(XATTRS), self.dice.below(3) as u8);
                build(
                    kind::GETXATTR,
                    &Getxattr {
                        msgid,
                        inode,
                        opened,
                        caller,
                        name,
                        mode,
                    },
                    version,
                )
            }
            15 | 16 => {
                let value = self.dice.pick(&[b"".as_slice(), b"v", b"longer value"]);
                // The real master takes an attribute without a name.
                let (name, mode) = (self.dice.pick(&XATTRS[..4]), self.dice.below(5) as u8);
                let message = Setxattr {
                    msgid,
                    inode,
                    opened,
                    caller,
                    name,
                    value,
                    mode,
                };
                build(kind::SETXATTR, &message, version)
            }
            17 => {
                let kind = self.dice.below(4) as u8;
                let caller = (!self.dice.once_in(4)).then_some((opened, caller));
                build(
                    kind::GETFACL,
                    &Getfacl {
                        msgid,
                        inode,
                        kind,
                        caller,
                    },
                    version,
                )
            }
            18 => {
                let named = [
                    AclEntry {
                        id: self.dice.pick(&[1000, 1001]),
                        permissions: self.dice.below(8) as u16,
                    },
                    AclEntry {
                        id: 1002,
                        permissions: 5,
                    },
                ];
                let group = [AclEntry {
                    id: 1000,
                    permissions: self.dice.below(8) as u16,
                }];
                let (users, groups) = (self.dice.below(3) as usize, self.dice.below(2) as usize);
                let acl = Acl {
                    user: self.dice.below(8) as u16,
                    group: self.dice.below(8) as u16,
                    other: self.dice.below(8) as u16,
                    mask: self.dice.pick(&[7, 5, 0, 0xffff]),
                    users: List::Values(&named[..users]),
                    groups: List::Values(&group[..groups]),
                };
                let message = Setfacl {
                    msgid,
                    inode,
                    uid: self.uid(),
                    kind: self.dice.below(4) as u8,
                    acl,
                };
                build(kind::SETFACL, &message, version)
            }
            19 => match self.dice.below(3) {
                0 => build(kind::STATFS, &Plain { msgid }, version),
                1 => build(kind::PATHS, &InodeRequest { msgid, inode }, version),
                _ => {
                    let message = NodeInfo {
                        msgid: Some(msgid),
                        inode,
                        entries_max: self.dice.pick(&[1, 2, 500]),
                        next: 0,
                    };
                    build(kind::NODE_INFO, &message, version)
                }
            },
            20 => {
                let mut inodes: Vec<_> = (0..self.dice.below(6)).map(|_| self.inode()).collect();
                inodes.sort_unstable();
                inodes.dedup();
                let message = SustainedInodes {
                    msgid: None,
                    items: List::Values(&inodes),
                };
                build(kind::SUSTAINED_INODES, &message, version)
            }
            _ => {
                let times = [FileTimes {
                    inode,
                    atime: self.dice.pick(&[0, 5_000]),
                    mtime: self.dice.pick(&[0, 6_000]),
                }];
                let message = AmtimeInodes {
                    msgid: None,
                    items: List::Values(&times),
                };
                build(kind::AMTIME_INODES, &message, version)
            }
        }
    }

    /// Locks. Nobody waits: a waiter that is let in while a file is released gets its line in front
    /// of the release in the real changelog.
    fn locks(&mut self, version: Version) -> Option<Request> {
        if !version.has_winattr() {
            return None;
        }
        let (msgid, inode) = (self.msgid, self.inode());
        let owner = u64::from(self.dice.below(4));
        let request = self.msgid;
        if self.dice.once_in(2) {
            // The real master logs no conversion by a try: an owner always wants the same kind.
            let lock = if owner.is_multiple_of(2) {
                flock::TRY_SHARED
            } else {
                flock::TRY_EXCLUSIVE
            };
            let command =
                self.dice
                    .pick(&[lock, lock, flock::UNLOCK, flock::INTERRUPT, flock::RELEASE]);
            return Some(build(
                kind::FLOCK,
                &Flock {
                    msgid,
                    inode,
                    request,
                    owner,
                    command,
                },
                version,
            ));
        }
        let start = u64::from(self.dice.below(50));
        let message = PosixLock {
            msgid,
            inode,
            request,
            owner,
            pid: 100 + owner as u32,
            command: self.dice.pick(&[
                posix::GET,
                posix::TRY,
                posix::TRY,
                posix::TRY,
                posix::INTERRUPT,
            ]),
            kind: self.dice.below(3) as u8,
            start,
            end: self.dice.pick(&[start + 10, start + 1, u64::MAX]),
        };
        Some(build(kind::POSIX_LOCK, &message, version))
    }

    /// What tools send.
    fn tools(&mut self, role: Role, version: Version) -> Option<Request> {
        let msgid = self.msgid;
        let (inode, uid, mode) = (self.inode(), self.uid(), self.set_mode());
        let caller = self.caller(version);
        let gmode = self.dice.pick(&[0, 0, 1, 1, 2]);
        Some(match self.dice.below(24) {
            0 => build(
                kind::GETTRASHTIME,
                &TreeRequest {
                    msgid,
                    inode,
                    mode: gmode,
                },
                version,
            ),
            1 | 2 => {
                // Beyond 65535 hours the real master wraps around.
                let seconds =
                    self.dice
                        .pick(&[0, 1, 3600, 3601, 7200, 86_400, 100_000, 200_000_000]);
                build(
                    kind::SETTRASHTIME,
                    &Settrashtime {
                        msgid,
                        inode,
                        uid,
                        seconds,
                        mode,
                    },
                    version,
                )
            }
            3 => build(
                kind::GETSCLASS,
                &TreeRequest {
                    msgid,
                    inode,
                    mode: gmode,
                },
                version,
            ),
            4 | 5 => {
                let class = if version.has_named_classes() && self.dice.once_in(2) {
                    Class::Named(self.dice.pick(&CLASSES[..8]))
                } else {
                    Class::Goal(self.dice.pick(&[1, 2, 3, 4, 9, 0, 10]))
                };
                let exchanges = mode & 3 == 3 && matches!(class, Class::Named(_));
                let replacement = exchanges.then(|| self.dice.pick(&CLASSES[..8]));
                build(
                    kind::SETSCLASS,
                    &Setsclass {
                        msgid,
                        inode,
                        uid,
                        mode,
                        class,
                        replacement,
                    },
                    version,
                )
            }
            6 => build(
                kind::GETEATTR,
                &TreeRequest {
                    msgid,
                    inode,
                    mode: gmode,
                },
                version,
            ),
            7 | 8 => {
                // A plain set by others than administrators clears protecting bits in the real master.
                let mode = if role == Role::Limited && mode & 3 == 0 {
                    mode | 1
                } else {
                    mode
                };
                let eattr = self
                    .dice
                    .pick(&[0, 1, 2, 4, 8, 9, 15, 16, 32, 64, 128, 255]);
                build(
                    kind::SETEATTR,
                    &Seteattr {
                        msgid,
                        inode,
                        uid,
                        eattr,
                        mode,
                    },
                    version,
                )
            }
            9 | 10 => {
                let flags = if self.dice.once_in(3) {
                    0
                } else {
                    self.dice.below(256) as u8
                };
                // Without limits the real master takes the grace time over and writes no line.
                let graces: &[u32] = if flags == 0 { &[0] } else { &[0, 100_000] };
                let set = self.dice.once_in(2).then(|| QuotaSet {
                    grace: Some(self.dice.pick(graces)).filter(|_| version.has_grace_period()),
                    soft: Usage {
                        inodes: 1 << 30,
                        length: 1 << 60,
                        size: 1 << 60,
                        real_size: 1 << 60,
                    },
                    hard: self.usage(),
                });
                build(
                    kind::QUOTACONTROL,
                    &QuotaControl {
                        msgid,
                        inode,
                        flags,
                        set,
                    },
                    version,
                )
            }
            11 => build(kind::GETDIRSTATS, &InodeRequest { msgid, inode }, version),
            12 => {
                let index = self.dice.pick(&[None, Some(0), Some(0x8000_0000)]);
                build(
                    kind::CHECK,
                    &Check {
                        msgid,
                        inode,
                        index,
                    },
                    version,
                )
            }
            13 => build(
                kind::REPAIR,
                &Repair {
                    msgid,
                    inode,
                    caller,
                },
                version,
            ),
            14..17 => {
                let removes = self.dice.once_in(3);
                let mut mode = self.dice.below(16) as u8 & !snapshot_mode::FORCE_REMOVAL;
                if removes {
                    mode =
                        snapshot_mode::DELETE | self.dice.pick(&[0, snapshot_mode::FORCE_REMOVAL]);
                }
                let inode = if removes { Inode(0) } else { inode };
                let (parent, name) = (self.inode(), self.name());
                let umask = self.dice.pick(&[0, 0o22]);
                build(
                    kind::SNAPSHOT,
                    &Snapshot {
                        msgid,
                        inode,
                        parent,
                        name,
                        caller,
                        mode,
                        umask,
                    },
                    version,
                )
            }
            17 => {
                // Without a slice the real master appends nothing.
                if !version.has_opened() {
                    return None;
                }
                let slice = Some(Slice {
                    flags: self.dice.below(4) as u8,
                    from: self.dice.pick(&[0, 1]),
                    to: self.dice.pick(&[0, 1, 0x8000_0000]),
                });
                let message = AppendSlice {
                    msgid,
                    inode,
                    source: self.inode(),
                    slice,
                    caller,
                };
                build(kind::APPEND_SLICE, &message, version)
            }
            18 => {
                let command = self.dice.below(3) as u8;
                let uid = (command != archive::GET).then_some(uid);
                build(
                    kind::ARCHCTL,
                    &Archctl {
                        msgid,
                        inode,
                        command,
                        uid,
                    },
                    version,
                )
            }
            _ => return self.classes(version),
        })
    }

    /// Definitions of storage classes.
    fn classes(&mut self, version: Version) -> Option<Request> {
        if !version.has_named_classes() {
            return None;
        }
        let msgid = self.msgid;
        let (name, new_name) = (self.dice.pick(CLASSES), self.dice.pick(CLASSES));
        let (create, keep, archive) = (self.copies(), self.copies(), self.copies());
        let definition = Some(Definition {
            admin_only: self.dice.pick(&[0, 0, 1]),
            mode: self.dice.pick(&[0, 1, 2]),
            archive_delay_days: self.dice.pick(&[0, 1, 100, 65_535]),
            create: List::Values(&create),
            keep: List::Values(&keep),
            archive: List::Values(&archive),
        });
        Some(match self.dice.below(7) {
            0 | 1 => build(
                kind::SCLASS_CREATE,
                &SclassCreate {
                    msgid,
                    name,
                    definition,
                },
                version,
            ),
            2 => {
                let mask = self.dice.below(0x40) as u16;
                let force = self.dice.pick(&[0, change::FORCE]);
                let message = SclassChange {
                    msgid,
                    name,
                    change: mask | force,
                    definition,
                };
                build(kind::SCLASS_CHANGE, &message, version)
            }
            3 => build(kind::SCLASS_DELETE, &SclassDelete { msgid, name }, version),
            4 => build(
                kind::SCLASS_DUPLICATE,
                &SclassCopy {
                    msgid,
                    name,
                    new_name,
                },
                version,
            ),
            5 => build(
                kind::SCLASS_RENAME,
                &SclassCopy {
                    msgid,
                    name,
                    new_name,
                },
                version,
            ),
            _ => {
                let format = self.dice.pick(&[0, 128, 1]);
                build(kind::SCLASS_LIST, &SclassList { msgid, format }, version)
            }
        })
    }

    /// Trash.
    fn meta(&mut self, version: Version) -> Option<Request> {
        let (msgid, inode) = (self.msgid, self.inode());
        Some(match self.dice.below(10) {
            0 => build(
                kind::GETTRASH,
                &Gettrash {
                    msgid,
                    bucket: None,
                },
                version,
            ),
            1 => {
                let bucket = Some(self.dice.pick(&[0, 5, 4095, 4096]));
                build(kind::GETTRASH, &Gettrash { msgid, bucket }, version)
            }
            2 => build(kind::GETSUSTAINED, &Plain { msgid }, version),
            3 => build(
                kind::GETDETACHEDATTR,
                &Getdetachedattr {
                    msgid,
                    inode,
                    kind: self.dice.below(3) as u8,
                },
                version,
            ),
            4 => build(kind::GETTRASHPATH, &InodeRequest { msgid, inode }, version),
            5 => {
                let path = Text(self.dice.pick(&[
                    b"x/y".as_slice(),
                    b"a",
                    b"",
                    b"../z",
                    b"d//e",
                    b"a\0b",
                ]));
                build(
                    kind::SETTRASHPATH,
                    &Settrashpath { msgid, inode, path },
                    version,
                )
            }
            6 | 7 => build(kind::UNDEL, &InodeRequest { msgid, inode }, version),
            8 => build(kind::PURGE, &InodeRequest { msgid, inode }, version),
            _ => build(kind::STATFS, &Plain { msgid }, version),
        })
    }

    /// Monitoring. Left out: lists of locks, which the real master takes from uninitialised memory
    /// when there are whole-file locks, and what measures the process (memory, charts).
    fn monitor(&mut self, version: Version) -> Option<Request> {
        const FORMS: &[&[u8]] = &[&[], &[0], &[1], &[2], &[3]];
        let form = match self.dice.below(9) {
            0 => {
                let message = ListRequest {
                    msgid: Some(self.msgid),
                    of: self.dice.below(4),
                };
                return Some(build(kind::LIST_OPEN_FILES, &message, version));
            }
            1 => {
                let inodes: Vec<_> = (0..8).map(|_| self.inode()).collect();
                let message = ListMessage {
                    msgid: None,
                    items: List::Values(&inodes),
                };
                return Some(build(kind::MASS_RESOLVE_PATHS, &message, version));
            }
            2 => (500, &FORMS[..1]),
            3 => (508, FORMS),
            4 => (516, &FORMS[..3]),
            5 => (518, &FORMS[..1]),
            6 => (520, FORMS),
            7 => (522, &FORMS[..1]),
            _ => (542, &FORMS[..2]),
        };
        let (kind, payload) = (form.0, self.dice.pick(form.1).to_vec());
        Some(Request {
            kind,
            text: format!("{payload:?}"),
            payload,
        })
    }
}
