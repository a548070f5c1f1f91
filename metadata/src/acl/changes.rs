//! GETFACL and SETFACL (wire-client-master §13.3).

use super::Acl;
use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

impl Namespace {
    /// The list of an inode; `kind` as on the wire (1 access, 2 default).
    ///
    /// # Errors
    /// 3 no such inode, 38 no such list, also for an unknown kind.
    pub fn getfacl(&self, _inode: Inode, _kind: u8) -> Result<&Acl, Status> {
        Err(Status::Enotsup)
    }

    /// Sets or removes the list of an inode; `kind` as on the wire.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 not owner, 1 immutable, 6 unknown
    /// kind.
    pub fn setfacl(
        &mut self,
        _tx: &mut Tx<'_>,
        _who: &Caller<'_>,
        _inode: Inode,
        _kind: u8,
        _acl: Acl,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }
}
