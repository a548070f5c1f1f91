//! Numbers of the messages between client and master (wire-client-master §1.1, §10 - §19).
//!
//! A request has an even number and its reply the next one: [`reply`].

/// Number of the reply to a request.
pub const fn reply(request: u32) -> u32 {
    request + 1
}

/// Keepalive in both directions, msgid 0, no answer.
pub const NOP: u32 = 0;
/// The peer does not know a message type. Never sent by 3.0.117.
pub const UNKNOWN_COMMAND: u32 = 1;
/// The peer cannot read a message. Never sent by 3.0.117.
pub const BAD_COMMAND_SIZE: u32 = 2;
/// Version of the master.
pub const GET_VERSION: u32 = 10;
/// Value of an option of the master's configuration file.
pub const GET_CONFIG: u32 = 80;
/// New storage class.
pub const SCLASS_CREATE: u32 = 350;
/// Change of a storage class, or its definition.
pub const SCLASS_CHANGE: u32 = 352;
/// Removal of a storage class.
pub const SCLASS_DELETE: u32 = 354;
/// Copy of a storage class under a new name.
pub const SCLASS_DUPLICATE: u32 = 356;
/// New name of a storage class.
pub const SCLASS_RENAME: u32 = 358;
/// All storage classes.
pub const SCLASS_LIST: u32 = 360;
/// Registration and its end.
pub const REGISTER: u32 = 400;
/// Sizes of the file system.
pub const STATFS: u32 = 402;
/// Permission test.
pub const ACCESS: u32 = 404;
/// Name to inode.
pub const LOOKUP: u32 = 406;
/// Attributes.
pub const GETATTR: u32 = 408;
/// Change of attributes.
pub const SETATTR: u32 = 410;
/// Target of a symbolic link.
pub const READLINK: u32 = 412;
/// New symbolic link.
pub const SYMLINK: u32 = 414;
/// New file, pipe, device or socket.
pub const MKNOD: u32 = 416;
/// New directory.
pub const MKDIR: u32 = 418;
/// Removal of a name that is not a directory.
pub const UNLINK: u32 = 420;
/// Removal of a directory.
pub const RMDIR: u32 = 422;
/// New name or place.
pub const RENAME: u32 = 424;
/// Further name.
pub const LINK: u32 = 426;
/// Entries of a directory.
pub const READDIR: u32 = 428;
/// Opening of a file.
pub const OPEN: u32 = 430;
/// Where to read a chunk.
pub const READ_CHUNK: u32 = 432;
/// Where to write a chunk; locks it.
pub const WRITE_CHUNK: u32 = 434;
/// End of a write; unlocks the chunk.
pub const WRITE_CHUNK_END: u32 = 436;
/// Appends chunks of another file.
pub const APPEND_SLICE: u32 = 438;
/// Number and state of copies.
pub const CHECK: u32 = 440;
/// Trash times of an inode or subtree.
pub const GETTRASHTIME: u32 = 442;
/// Change of trash times.
pub const SETTRASHTIME: u32 = 444;
/// Storage classes (goals) of an inode or subtree.
pub const GETSCLASS: u32 = 446;
/// Change of storage classes (goals).
pub const SETSCLASS: u32 = 448;
/// Files in trash.
pub const GETTRASH: u32 = 450;
/// Attributes of a file in trash or sustained.
pub const GETDETACHEDATTR: u32 = 452;
/// Path of a file in trash.
pub const GETTRASHPATH: u32 = 454;
/// New path of a file in trash.
pub const SETTRASHPATH: u32 = 456;
/// Recovery of a file from trash.
pub const UNDEL: u32 = 458;
/// Removal of a file from trash.
pub const PURGE: u32 = 460;
/// Sums over a directory.
pub const GETDIRSTATS: u32 = 462;
/// Change of the length.
pub const TRUNCATE: u32 = 464;
/// Repair of chunks without a valid copy.
pub const REPAIR: u32 = 466;
/// Copy of a tree that shares its chunks.
pub const SNAPSHOT: u32 = 468;
/// Sustained files.
pub const GETSUSTAINED: u32 = 470;
/// Extra attributes of an inode or subtree.
pub const GETEATTR: u32 = 472;
/// Change of extra attributes.
pub const SETEATTR: u32 = 474;
/// Quota of a directory.
pub const QUOTACONTROL: u32 = 476;
/// Extended attribute, or their names.
pub const GETXATTR: u32 = 478;
/// Change of an extended attribute.
pub const SETXATTR: u32 = 480;
/// New file, opened.
pub const CREATE: u32 = 482;
/// Directories that hold a name of an inode.
pub const PARENTS: u32 = 484;
/// Paths of an inode.
pub const PATHS: u32 = 486;
/// Access control list.
pub const GETFACL: u32 = 488;
/// Change of an access control list.
pub const SETFACL: u32 = 490;
/// Whole-file lock.
pub const FLOCK: u32 = 492;
/// Lock on a range.
pub const POSIX_LOCK: u32 = 494;
/// Archive state of a subtree.
pub const ARCHCTL: u32 = 496;
/// Open files of one or all sessions.
pub const LIST_OPEN_FILES: u32 = 532;
/// Locks held on one or all inodes.
pub const LIST_ACQUIRED_LOCKS: u32 = 534;
/// Paths of many inodes.
pub const MASS_RESOLVE_PATHS: u32 = 536;
/// Children of a directory or chunks of a file, in pages.
pub const NODE_INFO: u32 = 546;
/// Clock of the master.
pub const TIME_SYNC: u32 = 704;
/// Open files of clients before 3.0.74; the list of [`SUSTAINED_INODES`] under its old number.
pub const OLD_SUSTAINED_INODES: u32 = 499;
/// Inodes that the session holds open. No reply.
pub const SUSTAINED_INODES: u32 = 700;
/// Times of read and written files. No reply.
pub const AMTIME_INODES: u32 = 701;
/// Push: a chunk is another one now, or has another version.
pub const CHUNK_HAS_CHANGED: u32 = 702;
/// Push: a file has another length.
pub const FLENG_HAS_CHANGED: u32 = 703;
/// Push: forget all chunk locations.
pub const INVALIDATE_CHUNK_CACHE: u32 = 706;
