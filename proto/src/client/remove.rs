//! UNLINK, RMDIR, RENAME and LINK (wire-client-master §10.6 - §10.8).

use super::credentials::Credentials;
use super::message::{Message, message};
use crate::attr::Attr;
use crate::ids::Inode;
use crate::status::Status;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

message! {
    /// UNLINK 420 and RMDIR 422.
    Remove<'a> {
        /// Directory.
        parent: Inode,
        /// Name in it.
        name: &'a [u8],
        /// Who asks.
        caller: Credentials<'a>,
    }
    /// RENAME 424.
    Rename<'a> {
        /// Directory of the old name.
        parent: Inode,
        /// Old name.
        name: &'a [u8],
        /// Directory of the new name.
        new_parent: Inode,
        /// New name.
        new_name: &'a [u8],
        /// Who asks.
        caller: Credentials<'a>,
    }
    /// LINK 426. The reply is a [`NodeReply`](super::NodeReply).
    Link<'a> {
        /// Object that gets a further name.
        inode: Inode,
        /// Directory of the new name.
        new_parent: Inode,
        /// New name.
        new_name: &'a [u8],
        /// Who asks.
        caller: Credentials<'a>,
    }
}

/// UNLINK 421 and RMDIR 423 on success.
///
/// Clients that do not expect the inode get status 0, which decodes as a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemoveReply {
    /// Number of the request.
    pub msgid: u32,
    /// The object that lost its name.
    pub inode: Inode,
}

impl<'a> Message<'a> for RemoveReply {
    #[inline]
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let reply = RemoveReply {
            msgid: reader.u32()?,
            inode: reader.get()?,
        };
        reader.finish()?;
        Ok(reply)
    }

    #[inline]
    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if client.has_removed_inode() {
            out.put(self.inode);
        } else {
            out.put(Status::Ok);
        }
    }
}

/// RENAME 425 on success. Clients before 1.6.21 get status 0, which decodes as a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenameReply {
    /// Number of the request.
    pub msgid: u32,
    /// The moved object.
    pub inode: Inode,
    /// Its attributes.
    pub attr: Attr,
}

impl<'a> Message<'a> for RenameReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let (msgid, inode) = (reader.u32()?, reader.get()?);
        let attr = Attr::get(&mut reader, client)?;
        reader.finish()?;
        Ok(RenameReply { msgid, inode, attr })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if client.has_attributes_in_rename() {
            out.put(self.inode);
            self.attr.put(client, out);
        } else {
            out.put(Status::Ok);
        }
    }
}
