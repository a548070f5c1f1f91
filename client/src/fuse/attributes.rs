//! GETATTR, SETATTR, ACCESS and STATFS (client-behaviour §7.3, §7.4).

use std::time::Duration;

use proto::Attr;
use proto::client::attributes::set;
use rustix::io::Errno;

use super::adapter::Adapter;
use super::kernel::{Header, SetAttr, StatfsOut};
use super::special;
use crate::error::{Error, Result};
use crate::operations::SetAttributes;
use crate::session::CLIENT_VERSION;

/// Bytes of a block in statfs.
const BLOCK: u64 = 65536;

impl Adapter {
    pub(super) async fn getattr(
        &self,
        header: &Header,
        handle: Option<u64>,
    ) -> Result<(Attr, Duration)> {
        let inode = header.inode;
        if let Some(file) = special::of_inode(inode) {
            return Ok((file.attr(), special::TIMEOUT));
        }
        let mark = self.fs.mark();
        let known = self.open_directories.attributes(header);
        let mut attr = match known {
            Some(attr) => attr,
            None => {
                let opened = handle.is_some() || self.session().open_list().is_open(inode);
                let caller = self.caller(header);
                self.session().getattr(inode, opened, &caller).await?
            }
        };
        self.fs.see(mark, inode, &mut attr);
        Ok((attr, self.attr_timeout(&attr)))
    }

    pub(super) async fn setattr(
        &self,
        header: &Header,
        change: &SetAttr,
    ) -> Result<(Attr, Duration)> {
        let inode = header.inode;
        if let Some(file) = special::of_inode(inode) {
            if file.inode == special::MASTER_INFO.inode {
                return Err(Error::Os(Errno::PERM));
            }
            return Ok((file.attr(), special::TIMEOUT));
        }
        let caller = self.caller(header);
        let mut attr = None;
        if let Some(size) = change.size {
            let handle = change.handle.and_then(|number| self.files.get(number));
            if let Some(handle) = &handle {
                handle.wait_for_open().await?;
                if !handle.can_write() {
                    return Err(Error::Os(Errno::ACCESS));
                }
            }
            let opened = handle.is_some();
            attr = Some(self.fs.set_length(inode, opened, size, &caller).await?);
        }
        let mut request = SetAttributes {
            sugid_clear: self.options.sugid_clear,
            ..SetAttributes::default()
        };
        if let Some(mode) = change.mode {
            request.mask |= set::MODE;
            request.mode = (mode & 0o7777) as u16;
        }
        if let Some(uid) = change.uid {
            request.mask |= set::UID;
            request.uid = uid;
        }
        if let Some(gid) = change.gid {
            request.mask |= set::GID;
            request.gid = gid;
        }
        match change.atime {
            None => {}
            Some(None) => request.mask |= set::ATIME_NOW,
            Some(Some(seconds)) => {
                request.mask |= set::ATIME;
                request.atime = seconds as u32;
            }
        }
        match change.mtime {
            None => {}
            Some(None) => request.mask |= set::MTIME_NOW,
            Some(Some(seconds)) => {
                request.mask |= set::MTIME;
                request.mtime = seconds as u32;
            }
        }
        let mark = self.fs.mark();
        // A truncation alone is done. A change of nothing at all still moves ctime.
        let changed = if request.mask == 0 && attr.is_some() {
            None
        } else {
            let times = set::ATIME | set::ATIME_NOW | set::MTIME | set::MTIME_NOW;
            if request.mask & times != 0 {
                // What is written later would change the time again.
                self.fs.flush_inode(inode).await.ok();
                self.session().file_clock().forget(inode);
            }
            let opened = change.handle.is_some() || self.session().open_list().is_open(inode);
            let attr = self
                .session()
                .setattr(inode, opened, &request, &caller)
                .await?;
            if request.mask & times != 0 {
                self.session().file_clock().forget(inode);
            }
            Some(attr)
        };
        if request.mask & set::MODE != 0 {
            self.xattrs.forget_acl(inode);
        }
        self.attributes_changed(inode);
        let Some(mut attr) = changed.or(attr) else {
            return Err(Error::Os(Errno::INVAL));
        };
        self.fs.see(mark, inode, &mut attr);
        Ok((attr, self.attr_timeout(&attr)))
    }

    pub(super) async fn access(&self, header: &Header, mask: u32) -> Result<()> {
        if special::of_inode(header.inode).is_some() {
            // 2 write, 1 execute.
            return if mask & 3 == 0 {
                Ok(())
            } else {
                Err(Error::Os(Errno::ACCESS))
            };
        }
        if let Some(outcome) = self
            .open_data
            .access(header.inode, Adapter::identity(header), mask)
        {
            return outcome;
        }
        let caller = self.caller(header);
        self.session()
            .access(header.inode, (mask & 7) as u16, &caller)
            .await
    }

    pub(super) async fn statfs(&self) -> Result<StatfsOut> {
        /// Number of objects for which there is room, as the real mount shows it.
        const FILES_FREE: u64 = 1_000_000_000;
        let sizes = self.session().statfs().await?;
        let version = u64::from(CLIENT_VERSION.major()) * 1_000_000
            + u64::from(CLIENT_VERSION.middle()) * 10_000
            + u64::from(CLIENT_VERSION.minor()) * 100
            + 1;
        let files_free = FILES_FREE + version;
        Ok(StatfsOut {
            blocks: sizes.total / BLOCK,
            free: sizes.free / BLOCK,
            available: sizes.available / BLOCK,
            files: files_free + u64::from(sizes.inodes),
            files_free,
        })
    }
}
