//! Random requests about the trash.

use super::{Request, Requests, build};
use proto::Version;
use proto::client::message::Plain;
use proto::client::trash::{Getdetachedattr, Gettrash, Settrashpath};
use proto::client::{InodeRequest, kind};
use proto::list::Text;

impl Requests {
    /// Trash.
    pub(super) fn meta(&mut self, version: Version) -> Option<Request> {
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
}
