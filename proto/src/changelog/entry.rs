//! What the lines say: one variant for each operation.

use crate::{
    ChunkId, ChunkVersion, ClassId, Inode, MetaId, NodeKind, SessionId, changelog::error::Fault,
};
use std::borrow::Cow;

/// A name, path, attribute value or other byte string, not escaped.
pub type Text<'a> = Cow<'a, [u8]>;

/// One operation with its arguments and the results of its first execution
/// (metadata-and-changelog §3.4, which also states the effects).
///
/// Optional results are those that older versions did not write; 3.0.117 writes all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are the arguments of §3.4, in its order and meaning"
)]
pub enum Entry<'a> {
    /// Access time becomes the line's.
    Access { inode: Inode },
    /// All three times, as a client reported them.
    AmTime {
        inode: Inode,
        atime: u32,
        mtime: u32,
        ctime: u32,
    },
    /// Owner, mode and times. Bit 12 of `acl_mode` says that the inode has an access ACL whose
    /// bits follow the low 12 bits.
    Attr {
        inode: Inode,
        mode: u16,
        uid: u32,
        gid: u32,
        atime: u32,
        mtime: u32,
        winattr: u8,
        acl_mode: u16,
    },
    /// A new object of any kind but a symbolic link.
    Create {
        parent: Inode,
        name: Text<'a>,
        kind: NodeKind,
        mode: u16,
        umask: u16,
        uid: u32,
        gid: u32,
        rdev: u32,
        inode: Inode,
    },
    /// A new symbolic link.
    Symlink {
        parent: Inode,
        name: Text<'a>,
        target: Text<'a>,
        uid: u32,
        gid: u32,
        inode: Inode,
    },
    /// A further name of an inode.
    Link {
        inode: Inode,
        parent: Inode,
        name: Text<'a>,
    },
    /// A name is removed, of whatever kind the inode is.
    Unlink {
        parent: Inode,
        name: Text<'a>,
        inode: Inode,
    },
    /// A name moves, replacing what has the new one.
    Move {
        parent: Inode,
        name: Text<'a>,
        new_parent: Inode,
        new_name: Text<'a>,
        inode: Inode,
    },
    /// The length of a file, bytes.
    Length {
        inode: Inode,
        length: u64,
        can_mtime: bool,
    },
    /// A chunk is made writable; `chunk` is the one that the file has now.
    Write {
        inode: Inode,
        index: u32,
        increase_version: bool,
        can_mtime: bool,
        chunk: ChunkId,
    },
    /// A chunk is made ready to be cut; `chunk` is the one that the file has now.
    Trunc {
        inode: Inode,
        index: u32,
        chunk: ChunkId,
    },
    /// The end of a write.
    Unlock { chunk: ChunkId },
    /// A failed write or cut is taken back.
    Rollback {
        inode: Inode,
        index: u32,
        previous: ChunkId,
        chunk: ChunkId,
    },
    /// Chunks `from..=to` of a file are appended to another; `u32::MAX, 0` is the whole file.
    Append {
        destination: Inode,
        source: Inode,
        from: u32,
        to: u32,
    },
    /// A tree is copied, or a copy removed.
    Snapshot(Snapshot<'a>),
    /// Version 0: the reference is dropped; else the chunk gets the version.
    Repair {
        inode: Inode,
        index: u32,
        version: ChunkVersion,
    },
    /// A slot of a file gets another chunk.
    SetFileChunk {
        inode: Inode,
        index: u32,
        chunk: ChunkId,
    },
    /// Extra attributes, below a directory when `mode` says so.
    SetEattr {
        inode: Inode,
        uid: u32,
        eattr: u8,
        mode: u8,
        counts: Counts,
    },
    /// Storage class, below a directory when `mode` says so.
    SetClass {
        inode: Inode,
        uid: u32,
        source: ClassId,
        destination: ClassId,
        mode: u8,
        counts: Counts,
    },
    /// Trash time, below a directory when `mode` says so.
    SetTrashTime {
        inode: Inode,
        uid: u32,
        seconds: u32,
        mode: u8,
        counts: Counts,
    },
    /// An extended attribute: 0 create or replace, 1 create, 2 replace, 3 remove.
    SetXattr {
        inode: Inode,
        name: Text<'a>,
        value: Text<'a>,
        mode: u8,
    },
    /// An ACL. `entries` holds 6 bytes (`id:32 perm:16`) for each named user, then group.
    SetAcl {
        inode: Inode,
        mode: u16,
        change_ctime: bool,
        acl_type: u8,
        user: u16,
        group: u16,
        other: u16,
        mask: u16,
        named_users: u16,
        named_groups: u16,
        entries: Text<'a>,
    },
    /// The quota of a directory.
    Quota(Quota),
    /// Archive flags of the chunks below an inode: 0 clear, 1 set.
    ArchiveChange {
        inode: Inode,
        uid: u32,
        command: u8,
        counts: Counts,
    },
    /// The path of a file in trash.
    SetPath { inode: Inode, path: Text<'a> },
    /// A file comes back from trash.
    Undelete { inode: Inode },
    /// A file leaves trash for good.
    Purge { inode: Inode },
    /// A bucket of the trash (all when absent) loses what is too old.
    EmptyTrash {
        bucket: Option<u32>,
        freed: u32,
        sustained: u32,
        xor: Option<u32>,
    },
    /// A bucket of sustained files (all when absent) loses what nobody has open.
    EmptySustained {
        bucket: Option<u32>,
        freed: u32,
        xor: Option<u32>,
    },
    /// Inode numbers freed longer than `delay` seconds ago may be used again.
    FreeInodes {
        delay: u32,
        freed: u32,
        sustained: Option<u32>,
        xor: Option<u32>,
    },
    /// A session opens a file.
    Acquire { session: SessionId, inode: Inode },
    /// A session no longer has a file open.
    Release { session: SessionId, inode: Inode },
    /// A whole-file lock.
    Flock {
        inode: Inode,
        session: SessionId,
        owner: u64,
        change: LockChange,
    },
    /// A byte-range lock over `start..end`.
    PosixLock {
        inode: Inode,
        session: SessionId,
        owner: u64,
        change: LockChange,
        start: u64,
        end: u64,
        pid: u32,
    },
    /// A new session.
    SessionAdd {
        params: SessionParams<'a>,
        session: SessionId,
    },
    /// A session came back with other rights.
    SessionChanged {
        session: SessionId,
        params: SessionParams<'a>,
    },
    /// The connection of a session ended.
    SessionDisconnected { session: SessionId },
    /// A session came back. Written by 4.x only.
    SessionConnected { session: SessionId },
    /// A session ended.
    SessionDelete { session: SessionId },
    /// A session number was used; no record. Written before 2.0 only.
    SessionNumber { session: SessionId },
    /// A storage class is made or changed.
    ClassSet(StorageClass<'a>),
    /// A storage class is removed.
    ClassDelete { name: Text<'a>, class: ClassId },
    /// A storage class is copied.
    ClassDuplicate {
        source: Text<'a>,
        destination: Text<'a>,
        source_class: ClassId,
        destination_class: ClassId,
    },
    /// A storage class gets another name.
    ClassRename {
        name: Text<'a>,
        new_name: Text<'a>,
        class: ClassId,
    },
    /// A chunk without files.
    ChunkAdd {
        chunk: ChunkId,
        version: ChunkVersion,
        locked_to: u32,
    },
    /// A chunk record is removed.
    ChunkDelete {
        chunk: ChunkId,
        version: ChunkVersion,
    },
    /// The version that copies of a chunk must have.
    SetVersion {
        chunk: ChunkId,
        version: ChunkVersion,
    },
    /// The version of a chunk grows by one. Written before 3.0 only.
    IncreaseVersion { chunk: ChunkId },
    /// The number of the next chunk. Written before 3.0 only.
    NextChunkId { chunk: ChunkId },
    /// The table of chunkservers. `ip` in host order; `argument` depends on the change.
    ServerTable {
        change: ServerChange,
        ip: u32,
        port: u16,
        argument: u32,
    },
    /// The identity of the file system.
    SetMetaId { id: MetaId },
    /// All directory entries get new positions; the number that the next entry gets.
    RenumerateEdges { next_edge: u64 },
    /// Nothing but a version. Written by 4.x only.
    Idle,
}

/// How many objects a recursive change met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Changed.
    pub changed: u32,
    /// Had the value already.
    pub unchanged: u32,
    /// Not permitted to the caller.
    pub refused: u32,
}

/// Arguments of SNAPSHOT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot<'a> {
    /// What is copied; 0 in remove mode.
    pub source: Inode,
    /// Directory that gets (or loses) the name.
    pub parent: Inode,
    /// The name.
    pub name: Text<'a>,
    /// Bits: 1 may overwrite, 2 like `cp`, 4 force, 8 keep hard links, 0x80 remove.
    pub mode: u8,
    /// `sesflags` of the session, which matter for access.
    pub session_flags: u8,
    /// User of the caller.
    pub uid: u32,
    /// Groups of the caller; the first owns what is made.
    pub gids: Cow<'a, [u32]>,
    /// Umask of the caller.
    pub umask: u16,
    /// What was met; absent in lines of 2.0.
    pub counts: Option<SnapshotCounts>,
}

/// Results of SNAPSHOT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// XOR of the inode numbers concerned.
    pub xor: u32,
    /// Objects removed.
    pub removed: u32,
    /// Files left as they were.
    pub same: u32,
    /// Files replaced.
    pub existing: u32,
    /// Hard links made.
    pub hardlinks: u32,
    /// Objects made.
    pub new: u32,
}

/// Arguments of QUOTA.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The directory.
    pub inode: Inode,
    /// A soft limit was exceeded for longer than the grace period.
    pub exceeded: bool,
    /// Limits that exist: bits 0–3 soft, 4–7 hard, in the order of [`QuotaLimits`]; 0 deletes.
    pub flags: u8,
    /// Since when a soft limit is exceeded, seconds since 1970; 0 when none is.
    pub soft_since: u32,
    /// Soft limits.
    pub soft: QuotaLimits,
    /// Hard limits.
    pub hard: QuotaLimits,
    /// Seconds that a soft limit may be exceeded; 0 keeps the present value.
    pub grace_seconds: u32,
}

/// Limits of one kind; a field without its flag means nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits {
    /// Objects.
    pub inodes: u32,
    /// Sum of file lengths, bytes.
    pub length: u64,
    /// Sum of chunk sizes, bytes.
    pub size: u64,
    /// Sum of chunk sizes times copies, bytes.
    pub real_size: u64,
}

/// Fields of SESADD and SESCHANGED.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionParams<'a> {
    /// Checksum of the export line; 0 in lines of 2.0.
    pub exports_checksum: u64,
    /// Root of the session; 0 for a metadata session.
    pub root: Inode,
    /// `sesflags`.
    pub flags: u8,
    /// Added to the umask of each request.
    pub umask: u16,
    /// What root becomes.
    pub root_uid: u32,
    /// What the group of root becomes.
    pub root_gid: u32,
    /// What all others become.
    pub map_all_uid: u32,
    /// What the groups of all others become.
    pub map_all_gid: u32,
    /// Smallest goal that may be set.
    pub min_goal: u8,
    /// Largest goal that may be set.
    pub max_goal: u8,
    /// Shortest trash time that may be set, seconds.
    pub min_trash_seconds: u32,
    /// Longest trash time that may be set, seconds.
    pub max_trash_seconds: u32,
    /// Bit mask of forbidden operations.
    pub disables: u32,
    /// Address of the client, host order.
    pub ip: u32,
    /// Mount point that the client reported.
    pub info: Text<'a>,
}

/// Arguments and result of SCSET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageClass<'a> {
    /// Name of the class.
    pub name: Text<'a>,
    /// Make it (else: change it).
    pub new: bool,
    /// Number of label positions for new chunks.
    pub create: u8,
    /// Number of label positions for chunks that are kept.
    pub keep: u8,
    /// Number of label positions for archived chunks.
    pub archive: u8,
    /// 0 loose, 1 default, 2 strict.
    pub mode: u8,
    /// Days without change until a file is archived; 0 never.
    pub archive_delay_days: u16,
    /// Only administrators may set it.
    pub admin_only: bool,
    /// Masks of the positions: create, keep, archive; all empty when the labels stay as they are.
    pub labels: Cow<'a, [[u32; 4]]>,
    /// The class.
    pub class: ClassId,
}

/// What happens to a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// Shared lock.
    Read,
    /// Exclusive lock.
    Write,
    /// No lock.
    Unlock,
}

impl LockChange {
    /// The letter in a line.
    pub const fn letter(self) -> u8 {
        match self {
            LockChange::Read => b'R',
            LockChange::Write => b'W',
            LockChange::Unlock => b'U',
        }
    }

    /// Meaning of a letter; the other letters are those of older lines.
    pub const fn from_letter(letter: u8) -> Option<LockChange> {
        match letter {
            b'R' | b'r' | b'S' => Some(LockChange::Read),
            b'W' | b'w' | b'E' => Some(LockChange::Write),
            b'U' | b'u' => Some(LockChange::Unlock),
            _ => None,
        }
    }
}

/// What happens to a chunkserver's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ServerChange {
    /// It is known from now on; argument: its identifier or 0.
    Add = 0,
    /// It is forgotten.
    Remove = 1,
    /// The server with the identifier in the argument has this address now.
    NewAddress = 2,
    /// It gets the identifier in the argument.
    SetId = 3,
    /// Maintenance begins; argument: when it ends by itself, or 0.
    MaintenanceOn = 4,
    /// Maintenance ends.
    MaintenanceOff = 5,
    /// A planned stop; argument: when it ends by itself.
    MaintenanceTemporary = 6,
}

impl ServerChange {
    /// The number in a line.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Meaning of a number.
    pub const fn from_number(number: u8) -> Option<ServerChange> {
        Some(match number {
            0 => ServerChange::Add,
            1 => ServerChange::Remove,
            2 => ServerChange::NewAddress,
            3 => ServerChange::SetId,
            4 => ServerChange::MaintenanceOn,
            5 => ServerChange::MaintenanceOff,
            6 => ServerChange::MaintenanceTemporary,
            _ => return None,
        })
    }
}

/// Operations of 4.x whose effect does not exist here.
pub(super) const FOREIGN: [(&[u8], Fault); 8] = [
    (b"ADDATTR(", Fault::Foreign("ADDATTR")),
    (b"AUTOARCH(", Fault::Foreign("AUTOARCH")),
    (b"CHUNKFLAGSCLR(", Fault::Foreign("CHUNKFLAGSCLR")),
    (b"PATADD(", Fault::Foreign("PATADD")),
    (b"PATDEL(", Fault::Foreign("PATDEL")),
    (b"SCECVERSION(", Fault::Foreign("SCECVERSION")),
    (b"TRASH_RECOVER(", Fault::Foreign("TRASH_RECOVER")),
    (b"TRASH_REMOVE(", Fault::Foreign("TRASH_REMOVE")),
];

impl Entry<'_> {
    /// What the same text means in a changelog of 1.6, which has the arguments of ACQUIRE and RELEASE
    /// the other way round (metadata-and-changelog §3.7); `None` when it means the same.
    pub const fn meaning_in_1_6(&self) -> Option<Entry<'static>> {
        match *self {
            Entry::Acquire { session, inode } => Some(Entry::Acquire {
                session: SessionId(inode.0),
                inode: Inode(session.0),
            }),
            Entry::Release { session, inode } => Some(Entry::Release {
                session: SessionId(inode.0),
                inode: Inode(session.0),
            }),
            _ => None,
        }
    }

    /// Name of the operation, as the line begins.
    pub const fn name(&self) -> &'static str {
        match self {
            Entry::Access { .. } => "ACCESS",
            Entry::AmTime { .. } => "AMTIME",
            Entry::Attr { .. } => "ATTR",
            Entry::Create { .. } => "CREATE",
            Entry::Symlink { .. } => "SYMLINK",
            Entry::Link { .. } => "LINK",
            Entry::Unlink { .. } => "UNLINK",
            Entry::Move { .. } => "MOVE",
            Entry::Length { .. } => "LENGTH",
            Entry::Write { .. } => "WRITE",
            Entry::Trunc { .. } => "TRUNC",
            Entry::Unlock { .. } => "UNLOCK",
            Entry::Rollback { .. } => "ROLLBACK",
            Entry::Append { .. } => "APPEND",
            Entry::Snapshot(_) => "SNAPSHOT",
            Entry::Repair { .. } => "REPAIR",
            Entry::SetFileChunk { .. } => "SETFILECHUNK",
            Entry::SetEattr { .. } => "SETEATTR",
            Entry::SetClass { .. } => "SETSCLASS",
            Entry::SetTrashTime { .. } => "SETTRASHTIME",
            Entry::SetXattr { .. } => "SETXATTR",
            Entry::SetAcl { .. } => "SETACL",
            Entry::Quota(_) => "QUOTA",
            Entry::ArchiveChange { .. } => "ARCHCHG",
            Entry::SetPath { .. } => "SETPATH",
            Entry::Undelete { .. } => "UNDEL",
            Entry::Purge { .. } => "PURGE",
            Entry::EmptyTrash { .. } => "EMPTYTRASH",
            Entry::EmptySustained { .. } => "EMPTYSUSTAINED",
            Entry::FreeInodes { .. } => "FREEINODES",
            Entry::Acquire { .. } => "ACQUIRE",
            Entry::Release { .. } => "RELEASE",
            Entry::Flock { .. } => "FLOCK",
            Entry::PosixLock { .. } => "POSIXLOCK",
            Entry::SessionAdd { .. } => "SESADD",
            Entry::SessionChanged { .. } => "SESCHANGED",
            Entry::SessionDisconnected { .. } => "SESDISCONNECTED",
            Entry::SessionConnected { .. } => "SESCONNECTED",
            Entry::SessionDelete { .. } => "SESDEL",
            Entry::SessionNumber { .. } => "SESSION",
            Entry::ClassSet(_) => "SCSET",
            Entry::ClassDelete { .. } => "SCDEL",
            Entry::ClassDuplicate { .. } => "SCDUP",
            Entry::ClassRename { .. } => "SCREN",
            Entry::ChunkAdd { .. } => "CHUNKADD",
            Entry::ChunkDelete { .. } => "CHUNKDEL",
            Entry::SetVersion { .. } => "SETVERSION",
            Entry::IncreaseVersion { .. } => "INCVERSION",
            Entry::NextChunkId { .. } => "NEXTCHUNKID",
            Entry::ServerTable { .. } => "CSDBOP",
            Entry::SetMetaId { .. } => "SETMETAID",
            Entry::RenumerateEdges { .. } => "RENUMERATEEDGES",
            Entry::Idle => "IDLE",
        }
    }
}
