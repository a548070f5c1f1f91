//! GETTRASHTIME and SETTRASHTIME (wire-client-master §15.1).

use super::message::{List, Message, message, record};
use crate::ids::Inode;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

record! {
    /// How many inodes have a trash time.
    TrashTimeCount {
        /// Trash time.
        seconds: u32,
        /// Number of inodes.
        count: u32,
    }
}

message! {
    /// SETTRASHTIME 444. The reply is a [`ChangeReply`](super::ChangeReply).
    Settrashtime {
        /// The object.
        inode: Inode,
        /// Who asks.
        uid: u32,
        /// New trash time in seconds; kept in hours, rounded up.
        seconds: u32,
        /// `smode`: 0 set, 1 increase, 2 decrease, +4 recursive.
        mode: u8,
    }
}

/// GETTRASHTIME 443. Both lists ascend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GettrashtimeReply<'a> {
    /// Number of the request.
    pub msgid: u32,
    /// Files.
    pub files: List<'a, TrashTimeCount>,
    /// Directories.
    pub directories: List<'a, TrashTimeCount>,
}

impl<'a> Message<'a> for GettrashtimeReply<'a> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let (files, directories) = (u64::from(reader.u32()?), u64::from(reader.u32()?));
        let files = List::get(&mut reader, files, client)?;
        let directories = List::get(&mut reader, directories, client)?;
        reader.finish()?;
        Ok(GettrashtimeReply {
            msgid,
            files,
            directories,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put_u32(self.files.count() as u32);
        out.put_u32(self.directories.count() as u32);
        self.files.put(client, out);
        self.directories.put(client, out);
    }
}
