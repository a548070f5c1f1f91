//! Random requests about single inodes: attributes, lengths, opening, extra attributes, lists.

use super::{LENGTHS, Request, Requests, Role, XATTRS, build};
use proto::Version;
use proto::client::acl::{Acl, AclEntry, Getfacl, Setfacl};
use proto::client::attributes::{Getattr, Setattr, Truncate, truncate_flag};
use proto::client::chunks::ChunkRequest;
use proto::client::inspect::NodeInfo;
use proto::client::lookup::Access;
use proto::client::message::{List, Plain};
use proto::client::open::{Open, open_want};
use proto::client::push::{AmtimeInodes, FileTimes, SustainedInodes};
use proto::client::xattr::{Getxattr, Setxattr};
use proto::client::{InodeRequest, kind};

impl Requests {
    /// Single inodes.
    pub(super) fn node(&mut self, role: Role, version: Version) -> Request {
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
}
