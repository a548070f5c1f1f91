//! Extended attributes; ACLs in the kernel's form (client-behaviour §7.10).

use bytes::Bytes;
use proto::{Inode, Status};
use rustix::io::Errno;

use super::acl;
use super::adapter::Adapter;
use super::kernel::{Header, Reply};
use super::special;
use crate::error::{Error, Result};
use crate::operations::{AclKind, AclValue, XattrMode};

const NAME_MAX: usize = 255;
const VALUE_MAX: usize = 65536;

/// The list of an object that a name means.
fn acl_of(name: &[u8]) -> Option<AclKind> {
    match name {
        b"system.posix_acl_access" => Some(AclKind::Access),
        b"system.posix_acl_default" => Some(AclKind::Default),
        _ => None,
    }
}

impl Adapter {
    fn check_xattr(&self, inode: Inode, name: &[u8]) -> Result<()> {
        if self.options.no_xattrs {
            return Err(Error::Os(Errno::NOSYS));
        }
        if special::of_inode(inode).is_some() {
            return Err(Error::Os(Errno::PERM));
        }
        if name.len() > NAME_MAX {
            return Err(Error::Os(Errno::RANGE));
        }
        Ok(())
    }

    pub(super) async fn getxattr(&self, header: &Header, name: &[u8], size: u32, reply: Reply) {
        if let Err(error) = self.check_xattr(header.inode, name) {
            return reply.error(error.errno());
        }
        if name.is_empty() {
            return reply.error(Errno::INVAL);
        }
        answer(self.value(header, name).await, size, reply);
    }

    pub(super) async fn listxattr(&self, header: &Header, size: u32, reply: Reply) {
        if let Err(error) = self.check_xattr(header.inode, b"") {
            return reply.error(error.errno());
        }
        answer(self.value(header, b"").await, size, reply);
    }

    /// A value, or with an empty name the names.
    async fn value(&self, header: &Header, name: &[u8]) -> Result<Bytes> {
        let (inode, uid, gid) = (header.inode, header.uid, header.gid);
        let missing = Error::Status(Status::Enoattr);
        if let Some(known) = self.xattrs.get(inode, uid, gid, name) {
            return known.ok_or(missing);
        }
        let listed = self.open_directories.attributes(header);
        if listed.is_some_and(|attr| attr.flags & proto::attr::flag::NO_XATTR != 0) {
            return if name.is_empty() {
                Ok(Bytes::new())
            } else {
                Err(missing)
            };
        }
        let caller = self.caller(header);
        let outcome = match acl_of(name) {
            Some(kind) => self
                .session()
                .getfacl(inode, kind, &caller)
                .await
                .map(|value| acl::to_kernel(&value)),
            None => {
                let opened = self.session().open_list().is_open(inode);
                self.session().getxattr(inode, name, opened, &caller).await
            }
        };
        match &outcome {
            Ok(value) => self.xattrs.put(inode, uid, gid, name, Some(value)),
            Err(error) if *error == missing => self.xattrs.put(inode, uid, gid, name, None),
            Err(_) => {}
        }
        outcome
    }

    pub(super) async fn setxattr(
        &self,
        header: &Header,
        name: &[u8],
        value: &[u8],
        flags: u32,
    ) -> Result<()> {
        self.check_xattr(header.inode, name)?;
        if name.is_empty() {
            return Err(Error::Os(Errno::INVAL));
        }
        if value.len() > VALUE_MAX {
            return Err(Error::Os(Errno::RANGE));
        }
        let caller = self.caller(header);
        let outcome = match acl_of(name) {
            Some(kind) => {
                let acl = acl::from_kernel(value)?;
                self.session()
                    .setfacl(header.inode, kind, &acl, &caller)
                    .await
            }
            None => {
                let mode = match flags as i32 {
                    libc::XATTR_CREATE => XattrMode::Create,
                    libc::XATTR_REPLACE => XattrMode::Replace,
                    _ => XattrMode::Set,
                };
                let opened = self.session().open_list().is_open(header.inode);
                self.session()
                    .setxattr(header.inode, name, value, mode, opened, &caller)
                    .await
            }
        };
        self.xattrs.forget(header.inode, name);
        self.attributes_changed(header.inode);
        outcome
    }

    pub(super) async fn removexattr(&self, header: &Header, name: &[u8]) -> Result<()> {
        self.check_xattr(header.inode, name)?;
        if name.is_empty() {
            return Err(Error::Os(Errno::INVAL));
        }
        let caller = self.caller(header);
        let outcome = match acl_of(name) {
            Some(kind) => {
                let none = AclValue::default();
                self.session()
                    .setfacl(header.inode, kind, &none, &caller)
                    .await
            }
            None => {
                let opened = self.session().open_list().is_open(header.inode);
                self.session()
                    .setxattr(header.inode, name, b"", XattrMode::Remove, opened, &caller)
                    .await
            }
        };
        self.xattrs.forget(header.inode, name);
        self.attributes_changed(header.inode);
        outcome
    }
}

/// With size 0 only the length is wanted.
fn answer(outcome: Result<Bytes>, size: u32, reply: Reply) {
    match outcome {
        Err(error) => reply.error(error.errno()),
        Ok(value) if size == 0 => reply.xattr_size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(Errno::RANGE),
        Ok(value) => reply.data(&value),
    }
}
