//! Names: looking up, making, removing, moving, listing.

use bytes::Bytes;
use proto::client::create::{Mkdir, Mknod, Symlink};
use proto::client::lookup::{Access, Lookup, LookupReply, ReadlinkReply};
use proto::client::readdir::{Entry, FullEntry, Page, Readdir, ReaddirReply, readdir_flag};
use proto::client::remove::{Link, Remove, RemoveReply, Rename, RenameReply};
use proto::client::{InodeRequest, NodeReply, kind};
use proto::list::Text;
use proto::{Attr, Inode, Malformed, NodeKind, Status, Version};

use super::{ChunkPlace, Found, Node, Ours};
use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::master_link::Reply;
use crate::session::Session;

impl Session {
    /// The object behind a name (LOOKUP).
    pub async fn lookup(&self, parent: Inode, name: &[u8], caller: &Caller) -> Result<Found> {
        let reply = self
            .ask(kind::LOOKUP, |msgid| Lookup {
                msgid,
                parent,
                name,
                caller: caller.credentials(),
            })
            .await?;
        let body: LookupReply<'_> = reply.body()?;
        Ok(Found {
            node: Node {
                inode: body.inode,
                attr: body.attr,
            },
            flags: body.flags,
            chunk: body.chunk.as_ref().map(ChunkPlace::from),
        })
    }

    /// Whether the caller may do what `mask` says (4 read, 2 write, 1 execute) (ACCESS).
    pub async fn access(&self, inode: Inode, mask: u16, caller: &Caller) -> Result<()> {
        self.ask(kind::ACCESS, |msgid| Access {
            msgid,
            inode,
            caller: caller.credentials(),
            mask,
        })
        .await?
        .status()
    }

    /// Target of a symbolic link (READLINK).
    pub async fn readlink(&self, inode: Inode) -> Result<Bytes> {
        let reply = self
            .ask(kind::READLINK, |msgid| InodeRequest { msgid, inode })
            .await?;
        let target = reply.body::<ReadlinkReply<'_>>()?.target.0;
        Ok(reply.payload().slice_ref(target))
    }

    /// New symbolic link (SYMLINK).
    pub async fn symlink(
        &self,
        parent: Inode,
        name: &[u8],
        target: &[u8],
        caller: &Caller,
    ) -> Result<Node> {
        let ours = self.ours(NodeKind::Symlink);
        // As the real mount sends it: the NUL at the end counts.
        let mut text = target.to_vec();
        text.push(0);
        let reply = self
            .ask(kind::SYMLINK, |msgid| Symlink {
                msgid,
                parent,
                name,
                target: Text(&text),
                caller: caller.credentials(),
            })
            .await?;
        self.made(&reply, parent, name, ours, caller).await
    }

    /// New file, pipe, device or socket (MKNOD). The mode has permission bits only.
    #[allow(
        clippy::too_many_arguments,
        reason = "the fields of one request, each of another kind"
    )]
    pub async fn mknod(
        &self,
        parent: Inode,
        name: &[u8],
        node: NodeKind,
        mode: u16,
        umask: u16,
        rdev: u32,
        caller: &Caller,
    ) -> Result<Node> {
        let ours = self.ours(node);
        let reply = self
            .ask(kind::MKNOD, |msgid| Mknod {
                msgid,
                parent,
                name,
                kind: Some(node),
                mode,
                umask,
                caller: caller.credentials(),
                rdev,
            })
            .await?;
        self.made(&reply, parent, name, ours, caller).await
    }

    /// New directory (MKDIR). `copy_sgid`: it inherits the set-group-id bit.
    pub async fn mkdir(
        &self,
        parent: Inode,
        name: &[u8],
        mode: u16,
        umask: u16,
        copy_sgid: bool,
        caller: &Caller,
    ) -> Result<Node> {
        let ours = self.ours(NodeKind::Directory);
        let reply = self
            .ask(kind::MKDIR, |msgid| Mkdir {
                msgid,
                parent,
                name,
                mode,
                umask,
                caller: caller.credentials(),
                copy_sgid,
            })
            .await?;
        self.made(&reply, parent, name, ours, caller).await
    }

    /// Removes a name that is not a directory (UNLINK). The object, where the master tells it and
    /// the request was executed once.
    pub async fn unlink(
        &self,
        parent: Inode,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Option<Inode>> {
        self.remove(kind::UNLINK, parent, name, caller).await
    }

    /// Removes a directory (RMDIR).
    pub async fn rmdir(
        &self,
        parent: Inode,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Option<Inode>> {
        self.remove(kind::RMDIR, parent, name, caller).await
    }

    async fn remove(
        &self,
        kind: u32,
        parent: Inode,
        name: &[u8],
        caller: &Caller,
    ) -> Result<Option<Inode>> {
        let reply = self
            .ask(kind, |msgid| Remove {
                msgid,
                parent,
                name,
                caller: caller.credentials(),
            })
            .await?;
        match reply.body::<RemoveReply>() {
            Ok(body) => Ok(Some(body.inode)),
            Err(Error::Status(Status::Ok)) => Ok(None),
            Err(Error::Status(Status::Enoent)) if reply.is_repeated() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// New name or place (RENAME).
    pub async fn rename(
        &self,
        parent: Inode,
        name: &[u8],
        new_parent: Inode,
        new_name: &[u8],
        caller: &Caller,
    ) -> Result<Node> {
        let reply = self
            .ask(kind::RENAME, |msgid| Rename {
                msgid,
                parent,
                name,
                new_parent,
                new_name,
                caller: caller.credentials(),
            })
            .await?;
        match reply.body::<RenameReply>() {
            Ok(body) => Ok(Node {
                inode: body.inode,
                attr: body.attr,
            }),
            Err(Error::Status(Status::Enoent)) if reply.is_repeated() => {
                let found = self.lookup(new_parent, new_name, caller).await?;
                Ok(found.node)
            }
            Err(error) => Err(error),
        }
    }

    /// Further name (LINK).
    pub async fn link(
        &self,
        inode: Inode,
        new_parent: Inode,
        new_name: &[u8],
        caller: &Caller,
    ) -> Result<Node> {
        let reply = self
            .ask(kind::LINK, |msgid| Link {
                msgid,
                inode,
                new_parent,
                new_name,
                caller: caller.credentials(),
            })
            .await?;
        match reply.body::<NodeReply>() {
            Ok(body) => Ok(node(&body)),
            // The limit of links per object, not a full disk.
            Err(Error::Status(Status::NoSpace)) => Err(Error::Os(rustix::io::Errno::MLINK)),
            Err(Error::Status(Status::Eexist)) if reply.is_repeated() => {
                let found = self.lookup(new_parent, new_name, caller).await?;
                if found.node.inode == inode {
                    Ok(found.node)
                } else {
                    Err(Error::Status(Status::Eexist))
                }
            }
            Err(error) => Err(error),
        }
    }

    /// All entries of a directory (READDIR).
    pub async fn readdir(
        &self,
        inode: Inode,
        with_attributes: bool,
        caller: &Caller,
    ) -> Result<Listing> {
        let flags = if with_attributes {
            readdir_flag::WITH_ATTRIBUTES
        } else {
            0
        };
        let reply = self
            .ask(kind::READDIR, |msgid| Readdir {
                msgid,
                inode,
                caller: caller.credentials(),
                flags,
                page: Some(Page {
                    entries_max: u32::MAX,
                    edge: 0,
                }),
            })
            .await?;
        if reply.payload().len() == 5 {
            reply.status()?;
        }
        Listing::new(&reply, with_attributes)
    }

    fn ours(&self, kind: NodeKind) -> Ours {
        Ours {
            kind,
            since: self.master_seconds(),
        }
    }

    /// The answer to a request that makes a name.
    async fn made(
        &self,
        reply: &Reply,
        parent: Inode,
        name: &[u8],
        ours: Ours,
        caller: &Caller,
    ) -> Result<Node> {
        match reply.body::<NodeReply>() {
            Ok(body) => Ok(node(&body)),
            Err(Error::Status(Status::Eexist)) if reply.is_repeated() => {
                self.made_before(parent, name, ours, caller).await
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a name that exists was made by the first try of a repeated request.
    pub(super) async fn made_before(
        &self,
        parent: Inode,
        name: &[u8],
        ours: Ours,
        caller: &Caller,
    ) -> Result<Node> {
        let found = self.lookup(parent, name, caller).await?;
        if ours.matches(&found.node.attr) {
            Ok(found.node)
        } else {
            Err(Error::Status(Status::Eexist))
        }
    }

    pub(super) fn ours_file(&self) -> Ours {
        self.ours(NodeKind::File)
    }
}

fn node(body: &NodeReply) -> Node {
    Node {
        inode: body.inode,
        attr: body.attr,
    }
}

/// One entry of a [`Listing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingEntry<'a> {
    /// Name in the directory.
    pub name: &'a [u8],
    /// The object.
    pub inode: Inode,
    /// What it is.
    pub kind: NodeKind,
    /// Its attributes, if they were asked for.
    pub attr: Option<Attr>,
    /// Position of the next entry, for [`Listing::from`].
    pub next: u64,
}

/// The entries of a directory as the master sent them, in its order: `.` and `..` first. Positions
/// are byte positions, as the real mount gives them to the kernel (client-behaviour §7.6).
#[derive(Clone, Debug)]
pub struct Listing {
    payload: Bytes,
    version: Version,
    with_attributes: bool,
}

/// msgid and edge number.
const LISTING_HEAD: usize = 12;

impl Listing {
    fn new(reply: &Reply, with_attributes: bool) -> Result<Listing> {
        let (payload, version) = (reply.payload(), reply.version());
        // Checks that all entries are whole.
        if with_attributes {
            ReaddirReply::<FullEntry<'_>>::decode(payload, version, true)?;
        } else {
            ReaddirReply::<Entry<'_>>::decode(payload, version, true)?;
        }
        Ok(Listing {
            payload: payload.slice(LISTING_HEAD..),
            version,
            with_attributes,
        })
    }

    /// Whether entries have attributes.
    pub fn has_attributes(&self) -> bool {
        self.with_attributes
    }

    /// Entries from a position on; 0 is the start. A position between entries ends the listing.
    pub fn from(&self, position: u64) -> impl Iterator<Item = ListingEntry<'_>> {
        let mut at = usize::try_from(position).unwrap_or(usize::MAX);
        std::iter::from_fn(move || {
            let rest = self.payload.get(at..)?;
            let (entry, used) = self.first(rest).ok()?;
            at += used;
            Some(ListingEntry {
                next: at as u64,
                ..entry
            })
        })
    }

    fn first<'a>(
        &self,
        bytes: &'a [u8],
    ) -> std::result::Result<(ListingEntry<'a>, usize), Malformed> {
        use proto::wire::Versioned as _;
        let mut reader = proto::Reader::new(bytes);
        let entry = if self.with_attributes {
            let entry = FullEntry::get(&mut reader, self.version)?;
            ListingEntry {
                name: entry.name,
                inode: entry.inode,
                kind: entry.attr.kind,
                attr: Some(entry.attr),
                next: 0,
            }
        } else {
            let entry = Entry::get(&mut reader, self.version)?;
            ListingEntry {
                name: entry.name,
                inode: entry.inode,
                kind: entry.kind,
                attr: None,
                next: 0,
            }
        };
        Ok((entry, bytes.len() - reader.remaining()))
    }
}
