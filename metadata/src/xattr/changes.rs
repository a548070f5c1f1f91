//! GETXATTR and SETXATTR (wire-client-master §13.1, §13.2).

use crate::{Caller, Namespace, Tx};
use proto::{Inode, Status};

impl Namespace {
    /// The value of an attribute. `opened`: the client has the file open, so R is not needed.
    ///
    /// # Errors
    /// 3 no such inode, 1 `trusted.` and not root, 4 no R, 6 bad name, 38 missing.
    pub fn getxattr(
        &self,
        _who: &Caller<'_>,
        _inode: Inode,
        _name: &[u8],
        _opened: bool,
    ) -> Result<&[u8], Status> {
        Err(Status::Enotsup)
    }

    /// The names of all attributes, newest first, each followed by NUL.
    ///
    /// # Errors
    /// 3 no such inode, 4 no R, 40 list too long.
    pub fn listxattr(
        &self,
        _who: &Caller<'_>,
        _inode: Inode,
        _opened: bool,
    ) -> Result<Vec<u8>, Status> {
        Err(Status::Enotsup)
    }

    /// Creates, replaces or removes an attribute; `mode` as on the wire.
    ///
    /// # Errors
    /// In this order: 1 disabled, 33 read-only, 3 no such inode, 1 `trusted.` or `security.` and not
    /// root, 1 `system.` and not owner, 1 immutable, 4 no W, 6 bad name, 6 bad mode, 5 exists, 38
    /// missing, 40 too long.
    #[expect(clippy::too_many_arguments, reason = "the fields of the message")]
    pub fn setxattr(
        &mut self,
        _tx: &mut Tx<'_>,
        _who: &Caller<'_>,
        _inode: Inode,
        _name: &[u8],
        _value: &[u8],
        _mode: u8,
        _opened: bool,
    ) -> Result<(), Status> {
        Err(Status::Enotsup)
    }
}
