//! Deleted files, in a metadata session (client-behaviour §5).

use bytes::Bytes;
use proto::client::message::Plain;
use proto::client::trash::{
    DetachedReply, Getdetachedattr, Gettrash, GettrashpathReply, Settrashpath,
};
use proto::client::{AttrReply, InodeRequest, Message as _, kind};
use proto::list::Text;
use proto::{Attr, Inode};

use crate::error::Result;
use crate::master_link::Reply;
use crate::session::Session;

/// A file in trash, or one that was deleted while open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detached {
    /// Its path with `|` for `/`, shortened at the front beyond 240 bytes.
    pub name: Vec<u8>,
    /// The file.
    pub inode: Inode,
}

impl Session {
    /// Files in trash: those of a bucket (inode mod 4096), or all (GETTRASH).
    pub async fn trash(&self, bucket: Option<u32>) -> Result<Vec<Detached>> {
        let reply = self
            .ask(kind::GETTRASH, |msgid| Gettrash { msgid, bucket })
            .await?;
        detached(&reply)
    }

    /// Files that were deleted while open (GETSUSTAINED).
    pub async fn sustained(&self) -> Result<Vec<Detached>> {
        let reply = self
            .ask(kind::GETSUSTAINED, |msgid| Plain { msgid })
            .await?;
        detached(&reply)
    }

    /// Attributes of a deleted file (GETDETACHEDATTR).
    pub async fn detached_attributes(&self, inode: Inode) -> Result<Attr> {
        let reply = self
            .ask(kind::GETDETACHEDATTR, |msgid| Getdetachedattr {
                msgid,
                inode,
                kind: 0,
            })
            .await?;
        Ok(reply.body::<AttrReply>()?.attr)
    }

    /// Path that a file in trash is recovered to (GETTRASHPATH).
    pub async fn trash_path(&self, inode: Inode) -> Result<Bytes> {
        let reply = self
            .ask(kind::GETTRASHPATH, |msgid| InodeRequest { msgid, inode })
            .await?;
        let path = reply.body::<GettrashpathReply<'_>>()?.path.0;
        Ok(reply.payload().slice_ref(path))
    }

    /// Changes the path that a file in trash is recovered to (SETTRASHPATH).
    pub async fn set_trash_path(&self, inode: Inode, path: &[u8]) -> Result<()> {
        let mut text = path.to_vec();
        text.push(0);
        self.ask(kind::SETTRASHPATH, |msgid| Settrashpath {
            msgid,
            inode,
            path: Text(&text),
        })
        .await?
        .status()
    }

    /// Recovers a file from trash (UNDEL).
    pub async fn undelete(&self, inode: Inode) -> Result<()> {
        self.ask(kind::UNDEL, |msgid| InodeRequest { msgid, inode })
            .await?
            .status()
    }

    /// Removes a file from trash for good (PURGE).
    pub async fn purge(&self, inode: Inode) -> Result<()> {
        self.ask(kind::PURGE, |msgid| InodeRequest { msgid, inode })
            .await?
            .status()
    }
}

fn detached(reply: &Reply) -> Result<Vec<Detached>> {
    if reply.payload().len() == 5 {
        reply.status()?;
    }
    let list = DetachedReply::decode(reply.payload(), reply.version())?;
    Ok(list
        .items
        .iter()
        .map(|entry| Detached {
            name: entry.name.to_vec(),
            inode: entry.inode,
        })
        .collect())
}
