//! QUOTACONTROL (wire-client-master §15.4).

use super::message::{Message, record};
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// Bits of `qflags`: which limits exist, are set or are deleted.
pub mod quota_flag {
    /// Soft limit on inodes.
    pub const SOFT_INODES: u8 = 0x01;
    /// Soft limit on the sum of lengths.
    pub const SOFT_LENGTH: u8 = 0x02;
    /// Soft limit on the size of the chunks.
    pub const SOFT_SIZE: u8 = 0x04;
    /// Soft limit on the size of all copies.
    pub const SOFT_REAL_SIZE: u8 = 0x08;
    /// Hard limit on inodes.
    pub const HARD_INODES: u8 = 0x10;
    /// Hard limit on the sum of lengths.
    pub const HARD_LENGTH: u8 = 0x20;
    /// Hard limit on the size of the chunks.
    pub const HARD_SIZE: u8 = 0x40;
    /// Hard limit on the size of all copies.
    pub const HARD_REAL_SIZE: u8 = 0x80;
}

record! {
    /// Amounts of the four counted things: limits, or what a directory has now.
    Usage {
        /// Inodes, without the directory itself.
        inodes: u32,
        /// Sum of lengths in bytes.
        length: u64,
        /// Size of the chunks in bytes.
        size: u64,
        /// Size of all copies in bytes.
        real_size: u64,
    }
}

/// QUOTACONTROL 476.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaControl {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// The directory.
    pub inode: Inode,
    /// Bits of [`quota_flag`]: limits to be set or deleted.
    pub flags: u8,
    /// New limits; `None`: delete those of `flags`, or only ask when there are none.
    pub set: Option<QuotaSet>,
}

/// New limits of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSet {
    /// Seconds during which a soft limit may be exceeded; 0 keeps the present value. Clients before
    /// 3.0.9 do not tell.
    pub grace: Option<u32>,
    /// Soft limits.
    pub soft: Usage,
    /// Hard limits.
    pub hard: Usage,
}

/// Bytes of the form with grace period.
const QUOTA_SET_LEN: usize = 69;

impl<'a> Message<'a> for QuotaControl {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let has_grace = payload.len() == QUOTA_SET_LEN;
        let mut reader = Reader::new(payload);
        let (msgid, inode, flags) = (reader.u32()?, reader.get()?, reader.u8()?);
        let set = if reader.is_empty() {
            None
        } else {
            Some(QuotaSet {
                grace: if has_grace { Some(reader.u32()?) } else { None },
                soft: reader.get()?,
                hard: reader.get()?,
            })
        };
        reader.finish()?;
        Ok(QuotaControl {
            msgid,
            inode,
            flags,
            set,
        })
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        out.put_u8(self.flags);
        if let Some(set) = &self.set {
            if let Some(grace) = set.grace {
                out.put_u32(grace);
            }
            out.put(set.soft);
            out.put(set.hard);
        }
    }
}

/// QUOTACONTROL 477. Clients before 3.0.9 are not told the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaReply {
    /// Number of the request.
    pub msgid: u32,
    /// Bits of [`quota_flag`]: limits that exist. The others read 0.
    pub flags: u8,
    /// Seconds during which a soft limit may be exceeded.
    pub grace: u32,
    /// Soft limits.
    pub soft: Usage,
    /// Hard limits.
    pub hard: Usage,
    /// What is used now.
    pub current: Usage,
}

impl<'a> Message<'a> for QuotaReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let reply = QuotaReply {
            msgid: reader.u32()?,
            flags: reader.u8()?,
            grace: if client.has_grace_period() {
                reader.u32()?
            } else {
                0
            },
            soft: reader.get()?,
            hard: reader.get()?,
            current: reader.get()?,
        };
        reader.finish()?;
        Ok(reply)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put_u8(self.flags);
        if client.has_grace_period() {
            out.put_u32(self.grace);
        }
        out.put(self.soft);
        out.put(self.hard);
        out.put(self.current);
    }
}
