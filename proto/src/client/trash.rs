//! Trash and sustained files, seen by metadata sessions (wire-client-master §17).
//! GETTRASHPATH, UNDEL and PURGE ask with an [`InodeRequest`](super::InodeRequest), GETSUSTAINED
//! with a [`Plain`](super::message::Plain).

use super::message::{ListMessage, Message, NulText, message, record};
use crate::ids::Inode;
use crate::list::Text;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// GETTRASH 450.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gettrash {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Only inodes whose remainder modulo 4096 is this; `None` or more than 4095: all.
    pub bucket: Option<u32>,
}

impl<'a> Message<'a> for Gettrash {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let bucket = if reader.is_empty() {
            None
        } else {
            Some(reader.u32()?)
        };
        reader.finish()?;
        Ok(Gettrash { msgid, bucket })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if let Some(bucket) = self.bucket {
            out.put_u32(bucket);
        }
    }
}

record! {
    /// A detached file.
    DetachedEntry<'a> {
        /// Its path with `|` for `/`, shortened at the front beyond 240 bytes.
        name: &'a [u8],
        /// The file.
        inode: Inode,
    }
}

/// GETTRASH 451 and GETSUSTAINED 471.
pub type DetachedReply<'a> = ListMessage<'a, DetachedEntry<'a>>;

/// GETDETACHEDATTR 452. The reply is an [`AttrReply`](super::AttrReply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Getdetachedattr {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The file.
    pub inode: Inode,
    /// 0 either, 1 trash, 2 sustained; others are refused with status 6.
    pub kind: u8,
}

impl<'a> Message<'a> for Getdetachedattr {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode) = (reader.u32()?, reader.get()?);
        let kind = if reader.is_empty() { 0 } else { reader.u8()? };
        reader.finish()?;
        Ok(Getdetachedattr { msgid, inode, kind })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        if self.kind != 0 {
            out.put_u8(self.kind);
        }
    }
}

message! {
    /// GETTRASHPATH 455.
    GettrashpathReply<'a> {
        /// Path from the root of the file system, without a leading slash.
        path: NulText<'a>,
    }
    /// SETTRASHPATH 456. The reply is a status.
    Settrashpath<'a> {
        /// The file.
        inode: Inode,
        /// New path, as sent: see [`trim_nuls`](super::message::trim_nuls).
        path: Text<'a>,
    }
}
