//! Random requests about what tools send: trees, quotas, snapshots.

use super::{CLASSES, Request, Requests, Role, build};
use proto::client::eattr::Seteattr;
use proto::client::goals::{Class, Setsclass};
use proto::client::inspect::{Check, Repair};
use proto::client::quota::{QuotaControl, QuotaSet, Usage};
use proto::client::snapshot::{AppendSlice, Archctl, Slice, Snapshot, archive, snapshot_mode};
use proto::client::trashtime::Settrashtime;
use proto::client::{InodeRequest, TreeRequest, kind};
use proto::{Inode, Version};

impl Requests {
    /// What tools send.
    pub(super) fn tools(&mut self, role: Role, version: Version) -> Option<Request> {
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
}
