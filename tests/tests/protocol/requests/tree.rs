//! Random requests about names: making, removing, renaming, looking up.

use super::{Request, Requests, build};
use proto::client::create::{Create, Mkdir, Mknod, Symlink};
use proto::client::kind;
use proto::client::lookup::Lookup;
use proto::client::readdir::{Page, Readdir};
use proto::client::remove::{Link, Remove, Rename};
use proto::list::Text;
use proto::{NodeKind, Version};

impl Requests {
    /// Names.
    pub(super) fn tree(&mut self, version: Version) -> Request {
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
}
