//! Hard links.

use crate::access::disable;
use crate::quota::Usage;
use crate::store::node::eattr;
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, Status};

impl Namespace {
    /// LINK (wire-client-master §10.8); `links_max` is MAX_ALLOWED_HARD_LINKS.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode or directory, 1 immutable, 3 in trash
    /// or sustained, 1 directory, 21 too many names; of the directory 2, 1 immutable, 4 no W and X;
    /// 6 bad name, 5 exists, 34 quota.
    pub fn link(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        inode: Inode,
        parent: Inode,
        name: &[u8],
        links_max: u32,
    ) -> Result<Inode, Status> {
        who.permit(disable::LINK)?;
        who.writes()?;
        let node = self.node_or(inode)?;
        self.node_or(parent)?;
        if node.has(eattr::IMMUTABLE) {
            return Err(Status::Eperm);
        }
        if node.kind().is_detached() {
            return Err(Status::Enoent);
        }
        if node.is_dir() {
            return Err(Status::Eperm);
        }
        if node.links >= links_max {
            return Err(Status::NoSpace);
        }
        self.check_new_name(who, parent, name)?;
        if self.over_quota(parent, Usage::from(self.store.stats(node))) {
            return Err(Status::Quota);
        }
        self.apply_link(tx, inode, parent, name)?;
        self.log(
            tx,
            &Entry::Link {
                inode,
                parent,
                name: name.into(),
            },
        );
        Ok(inode)
    }

    /// Replays LINK.
    pub(crate) fn apply_link(
        &mut self,
        tx: &mut Tx,
        inode: Inode,
        parent: Inode,
        name: &[u8],
    ) -> Result<(), Status> {
        self.directory_or(parent)?;
        let node = self.node_or(inode)?;
        if node.kind().is_detached() {
            return Err(Status::Enoent);
        }
        if node.is_dir() {
            return Err(Status::Eperm);
        }
        if self.find(parent, name).is_some() {
            return Err(Status::Eexist);
        }
        self.attach(tx.now, parent, name, inode)
    }
}
