//! LOOKUP, and making, removing and moving names (client-behaviour §7.2, §7.5).

use bytes::Bytes;
use proto::{Inode, NodeKind, Status};
use rustix::io::Errno;

use super::adapter::Adapter;
use super::kernel::{EntryOut, Header};
use super::special;
use crate::error::{Error, Result};

/// Longest name.
const NAME_MAX: usize = 255;
/// Longest target of a symbolic link, NUL included.
const TARGET_MAX: usize = 4096;

fn check_name(name: &[u8]) -> Result<()> {
    if name.len() > NAME_MAX {
        return Err(Error::Os(Errno::NAMETOOLONG));
    }
    Ok(())
}

impl Adapter {
    /// A name that may be made or removed: not too long, and not one of ours.
    fn check_change(&self, parent: Inode, name: &[u8]) -> Result<()> {
        check_name(name)?;
        if parent == special::ROOT && special::find(name).is_some() {
            return Err(Error::Os(Errno::ACCESS));
        }
        Ok(())
    }

    pub(super) async fn lookup(&self, header: &Header, name: &[u8]) -> Result<EntryOut> {
        check_name(name)?;
        let parent = header.inode;
        if parent == special::ROOT
            && let Some(file) = special::find(name)
        {
            return Ok(self.special_entry(file));
        }
        let name = if parent == special::ROOT && name == b".." {
            b"."
        } else {
            name
        };
        if let Some(node) = self.open_directories.lookup(header, name) {
            self.stats.lookup_in_directory();
            return Ok(self.seen(self.fs.mark(), node));
        }
        self.negative.heed(self.fs.name_changes());
        if self.negative.contains(parent, name) {
            return Err(Error::Os(Errno::NOENT));
        }
        let caller = self.caller(header);
        let mark = self.fs.mark();
        match self.session().lookup(parent, name, &caller).await {
            Ok(found) => {
                let entry = self.seen(mark, found.node);
                self.open_data
                    .put(Adapter::identity(header), found, entry.attr);
                Ok(entry)
            }
            Err(Error::Status(Status::Enoent | Status::EnoentNoCache))
                if name == special::MASTER_INFO.name =>
            {
                Ok(self.special_entry(&special::MASTER_INFO))
            }
            Err(error) => {
                if error.is(Status::Enoent) {
                    self.negative.add(parent, name);
                }
                Err(error)
            }
        }
    }

    pub(super) async fn mknod(
        &self,
        header: &Header,
        name: &[u8],
        mode: u32,
        rdev: u32,
        umask: u32,
    ) -> Result<EntryOut> {
        self.check_change(header.inode, name)?;
        let kind = match mode & libc::S_IFMT {
            libc::S_IFIFO => NodeKind::Fifo,
            libc::S_IFBLK => NodeKind::BlockDevice,
            libc::S_IFCHR => NodeKind::CharDevice,
            libc::S_IFSOCK => NodeKind::Socket,
            libc::S_IFREG | 0 => NodeKind::File,
            _ => return Err(Error::Os(Errno::PERM)),
        };
        let (mode, umask) = ((mode & 0o7777) as u16, umask as u16);
        let caller = self.caller(header);
        let mark = self.fs.mark();
        let node = self
            .session()
            .mknod(header.inode, name, kind, mode, umask, rdev, &caller)
            .await?;
        self.name_appeared(header.inode, name);
        Ok(self.seen(mark, node))
    }

    pub(super) async fn mkdir(
        &self,
        header: &Header,
        name: &[u8],
        mode: u32,
        umask: u32,
    ) -> Result<EntryOut> {
        self.check_change(header.inode, name)?;
        let (mode, umask) = ((mode & 0o7777) as u16, umask as u16);
        let caller = self.caller(header);
        let copy_sgid = self.options.mkdir_copy_sgid;
        let node = self
            .session()
            .mkdir(header.inode, name, mode, umask, copy_sgid, &caller)
            .await?;
        self.name_appeared(header.inode, name);
        Ok(self.entry(&node))
    }

    pub(super) async fn symlink(
        &self,
        header: &Header,
        name: &[u8],
        target: &[u8],
    ) -> Result<EntryOut> {
        self.check_change(header.inode, name)?;
        if target.len() >= TARGET_MAX {
            return Err(Error::Os(Errno::NAMETOOLONG));
        }
        let caller = self.caller(header);
        let node = self
            .session()
            .symlink(header.inode, name, target, &caller)
            .await?;
        self.symlinks
            .put(node.inode, Bytes::copy_from_slice(target));
        self.name_appeared(header.inode, name);
        Ok(self.entry(&node))
    }

    pub(super) async fn readlink(&self, header: &Header) -> Result<Bytes> {
        if let Some(target) = self.symlinks.get(&header.inode) {
            return Ok(target);
        }
        let target = self.session().readlink(header.inode).await?;
        // Not the whole packet: it may live for minutes.
        let target = Bytes::copy_from_slice(&target);
        self.symlinks.put(header.inode, target.clone());
        Ok(target)
    }

    pub(super) async fn unlink(&self, header: &Header, name: &[u8]) -> Result<()> {
        self.check_change(header.inode, name)?;
        let caller = self.caller(header);
        let removed = self.session().unlink(header.inode, name, &caller).await?;
        self.name_vanished(header.inode, name);
        if let Some(inode) = removed {
            self.removed(inode);
        }
        Ok(())
    }

    pub(super) async fn rmdir(&self, header: &Header, name: &[u8]) -> Result<()> {
        self.check_change(header.inode, name)?;
        let caller = self.caller(header);
        let removed = self.session().rmdir(header.inode, name, &caller).await?;
        self.name_vanished(header.inode, name);
        if let Some(inode) = removed {
            self.removed(inode);
        }
        Ok(())
    }

    /// An object lost a name, perhaps its last: its number may come back for another one.
    fn removed(&self, inode: Inode) {
        self.attributes_changed(inode);
        self.symlinks.forget(&inode);
        self.xattrs.forget_inode(inode);
    }

    pub(super) async fn rename(
        &self,
        header: &Header,
        name: &[u8],
        new_parent: Inode,
        new_name: &[u8],
        flags: u32,
    ) -> Result<()> {
        self.check_change(header.inode, name)?;
        self.check_change(new_parent, new_name)?;
        if flags != 0 {
            return Err(Error::Os(Errno::INVAL));
        }
        let caller = self.caller(header);
        let node = self
            .session()
            .rename(header.inode, name, new_parent, new_name, &caller)
            .await?;
        self.name_vanished(header.inode, name);
        self.name_appeared(new_parent, new_name);
        self.attributes_changed(node.inode);
        Ok(())
    }

    pub(super) async fn link(
        &self,
        header: &Header,
        inode: Inode,
        new_name: &[u8],
    ) -> Result<EntryOut> {
        self.check_change(header.inode, new_name)?;
        if special::of_inode(inode).is_some() {
            return Err(Error::Os(Errno::ACCESS));
        }
        let caller = self.caller(header);
        let mark = self.fs.mark();
        let node = self
            .session()
            .link(inode, header.inode, new_name, &caller)
            .await?;
        self.name_appeared(header.inode, new_name);
        self.attributes_changed(inode);
        Ok(self.seen(mark, node))
    }
}
