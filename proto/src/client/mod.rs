//! Messages between client and master, port 9421 (wire-client-master).
//!
//! Each file holds the requests and replies of one subject. [`kind`] has the numbers.

pub mod acl;
pub mod attributes;
pub mod chunks;
pub mod create;
pub mod credentials;
pub mod eattr;
pub mod goals;
pub mod inspect;
pub mod kind;
pub mod locks;
pub mod lookup;
pub mod message;
pub mod open;
pub mod push;
pub mod query;
pub mod quota;
pub mod readdir;
pub mod register;
pub mod remove;
pub mod sclass;
pub mod snapshot;
pub mod trash;
pub mod trashtime;
pub mod xattr;

pub use credentials::{Credentials, Gids};
pub use message::{Answer, List, ListMessage, Message};

use crate::attr::Attr;
use crate::ids::Inode;
use message::message;

message! {
    /// Request about one inode: READLINK, PARENTS, PATHS, GETDIRSTATS, GETTRASHPATH, UNDEL, PURGE.
    InodeRequest {
        /// The object.
        inode: Inode,
    }
    /// Request about an inode or the subtree below it: GETTRASHTIME, GETSCLASS, GETEATTR.
    TreeRequest {
        /// The object.
        inode: Inode,
        /// `gmode`: 0 this inode, 1 recursive; others are refused with status 6.
        mode: u8,
    }
    /// `msgid ATTR`: reply to GETATTR, SETATTR, GETDETACHEDATTR.
    AttrReply {
        /// Attributes now.
        attr: Attr,
    }
    /// `msgid inode ATTR`: reply to SYMLINK, MKNOD, MKDIR, LINK.
    NodeReply {
        /// The new or found object.
        inode: Inode,
        /// Its attributes.
        attr: Attr,
    }
    /// Three counts: reply to SETTRASHTIME, SETSCLASS, SETEATTR.
    ChangeReply {
        /// Inodes that were changed.
        changed: u32,
        /// Inodes that had the value already.
        unchanged: u32,
        /// Inodes that the caller may not change.
        not_permitted: u32,
    }
}
