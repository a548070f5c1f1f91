//! Attributes and lengths.

use proto::client::attributes::{Getattr, Setattr, Truncate, TruncateReply};
use proto::client::message::Plain;
use proto::client::query::StatfsReply;
use proto::client::{AttrReply, kind};
use proto::{Attr, Inode};

use crate::caller::Caller;
use crate::error::Result;
use crate::session::Session;

/// Changes of one SETATTR. The default changes nothing but ctime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttributes {
    /// Bits of `attributes::set`: which of the values count.
    pub mask: u8,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of access, seconds since 1970.
    pub atime: u32,
    /// Time of change, seconds since 1970.
    pub mtime: u32,
    /// How chown clears set-user-id and set-group-id bits: 0 never, 1 always, 2 osx, 3 bsd, 4 ext,
    /// 5 xfs.
    pub sugid_clear: u8,
}

/// Sizes of the file system in bytes, and the number of objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileSystemSize {
    /// All bytes.
    pub total: u64,
    /// Free bytes without the reserves.
    pub available: u64,
    /// Free bytes.
    pub free: u64,
    /// Bytes in trash.
    pub trash: u64,
    /// Bytes of sustained files.
    pub sustained: u64,
    /// Objects below the session's root.
    pub inodes: u32,
}

impl Session {
    /// Sizes of the file system (STATFS).
    pub async fn statfs(&self) -> Result<FileSystemSize> {
        let reply = self.ask(kind::STATFS, |msgid| Plain { msgid }).await?;
        let body: StatfsReply = reply.body()?;
        Ok(FileSystemSize {
            total: body.total,
            available: body.available,
            free: body.free,
            trash: body.trash,
            sustained: body.sustained,
            inodes: body.inodes,
        })
    }

    /// Attributes (GETATTR). `opened`: this client has the object open.
    pub async fn getattr(&self, inode: Inode, opened: bool, caller: &Caller) -> Result<Attr> {
        let reply = self
            .ask(kind::GETATTR, |msgid| Getattr {
                msgid,
                inode,
                opened,
                caller: Some((caller.uid, caller.gid())),
            })
            .await?;
        Ok(reply.body::<AttrReply>()?.attr)
    }

    /// Changes attributes (SETATTR); what they are afterwards.
    pub async fn setattr(
        &self,
        inode: Inode,
        opened: bool,
        change: &SetAttributes,
        caller: &Caller,
    ) -> Result<Attr> {
        let reply = self
            .ask(kind::SETATTR, |msgid| Setattr {
                msgid,
                inode,
                opened,
                caller: caller.credentials(),
                mask: change.mask,
                mode: change.mode,
                uid: change.uid,
                gid: change.gid,
                atime: change.atime,
                mtime: change.mtime,
                winattr: 0,
                sugid_clear: change.sugid_clear,
            })
            .await?;
        Ok(reply.body::<AttrReply>()?.attr)
    }

    /// Changes the length, or reserves room for an append (TRUNCATE with `truncate_flag`s): the
    /// length before and the attributes now. Once; see [`Session::set_length`].
    pub async fn truncate(
        &self,
        inode: Inode,
        flags: u8,
        length: u64,
        caller: &Caller,
    ) -> Result<(u64, Attr)> {
        let reply = self
            .ask(kind::TRUNCATE, |msgid| Truncate {
                msgid,
                inode,
                flags,
                caller: caller.credentials(),
                length,
            })
            .await?;
        let body: TruncateReply = reply.body()?;
        Ok((body.previous_length, body.attr))
    }

    /// Changes the length, repeating what the master cannot do at the moment
    /// (client-behaviour §12.9).
    pub async fn set_length(
        &self,
        inode: Inode,
        flags: u8,
        length: u64,
        caller: &Caller,
    ) -> Result<(u64, Attr)> {
        use crate::error::Error;
        use crate::master_link::retry::standard_delay;
        use proto::Status;
        use std::time::Duration;
        const TRIES: u32 = 30;
        const LOCKED_DELAY: Duration = Duration::from_millis(10);
        let mut tries = 1;
        loop {
            match self.truncate(inode, flags, length, caller).await {
                Err(Error::Status(Status::Locked)) => tokio::time::sleep(LOCKED_DELAY).await,
                Err(Error::Status(
                    status @ (Status::Erofs
                    | Status::Eacces
                    | Status::Eperm
                    | Status::Enoent
                    | Status::Einval
                    | Status::IndexTooBig
                    | Status::Quota
                    | Status::NoSpace
                    | Status::ChunkLost),
                )) => return Err(Error::Status(status)),
                Err(Error::Status(_)) if tries < TRIES => {
                    tokio::time::sleep(standard_delay(tries)).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }
}
