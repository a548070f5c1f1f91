//! Exchanges between client and master: the vector files and one codec for all packets.

#![allow(clippy::unwrap_used, reason = "in tests a failure is a panic")]

use std::fmt::Debug;

use proto::Version;
use proto::client::acl::{Getfacl, GetfaclReply, Setfacl};
use proto::client::attributes::{Getattr, Setattr, Truncate, TruncateReply};
use proto::client::chunks::{ChunkReply, ChunkRequest, WriteEnd};
use proto::client::create::{Create, CreateReply, Mkdir, Mknod, Symlink};
use proto::client::eattr::{GeteattrReply, Seteattr};
use proto::client::goals::{GetsclassReply, Setsclass};
use proto::client::inspect::{
    Check, CheckCopiesReply, CheckReply, DirStatsReply, NodeInfo, NodeInfoReply, ParentsReply,
    PathsReply, Repair, RepairReply,
};
use proto::client::locks::{Flock, PosixLock, PosixLockReply};
use proto::client::lookup::{Access, Lookup, LookupReply, ReadlinkReply};
use proto::client::message::{Plain, StatusReply};
use proto::client::open::{Open, OpenReply};
use proto::client::push::{
    AmtimeInodes, ChunkChanged, LengthChanged, SustainedInodes, TimeSync, TimeSyncReply,
};
use proto::client::query::{
    InodeLocksReply, ListRequest, LocksReply, MassResolvePaths, MassResolvePathsReply,
    OpenFilesReply, SessionFilesReply, StatfsReply,
};
use proto::client::quota::{QuotaControl, QuotaReply};
use proto::client::readdir::{Entry, FullEntry, Readdir, ReaddirReply, readdir_flag};
use proto::client::register::{
    ChallengeReply, MetaSessionReply, ReconnectReply, Register, Registered, SessionReply,
};
use proto::client::remove::{Link, Remove, RemoveReply, Rename, RenameReply};
use proto::client::sclass::{
    SclassChange, SclassChangeReply, SclassCopy, SclassCreate, SclassDefinitions, SclassDelete,
    SclassList, SclassNames,
};
use proto::client::snapshot::{
    AppendSlice, Archctl, ArchctlGetReply, ArchctlSetReply, Snapshot, archive,
};
use proto::client::trash::{
    DetachedReply, Getdetachedattr, Gettrash, GettrashpathReply, Settrashpath,
};
use proto::client::trashtime::{GettrashtimeReply, Settrashtime};
use proto::client::xattr::{Getxattr, GetxattrReply, Setxattr};
use proto::client::{
    Answer, AttrReply, ChangeReply, InodeRequest, Message, NodeReply, TreeRequest, kind,
};
use proto::common::{ConfigValue, GetConfig, GetVersion, VersionReply};
use proto::frame::{HEADER_LEN, split_frame};
use proto::wire::Malformed;

use crate::bytes::parse_bytes;

const ACCESS_REPLY: u32 = kind::reply(kind::ACCESS);
const APPEND_SLICE_REPLY: u32 = kind::reply(kind::APPEND_SLICE);
const ARCHCTL_REPLY: u32 = kind::reply(kind::ARCHCTL);
const CHECK_REPLY: u32 = kind::reply(kind::CHECK);
const CREATE_REPLY: u32 = kind::reply(kind::CREATE);
const FLOCK_REPLY: u32 = kind::reply(kind::FLOCK);
const GETATTR_REPLY: u32 = kind::reply(kind::GETATTR);
const GETDETACHEDATTR_REPLY: u32 = kind::reply(kind::GETDETACHEDATTR);
const GETDIRSTATS_REPLY: u32 = kind::reply(kind::GETDIRSTATS);
const GETEATTR_REPLY: u32 = kind::reply(kind::GETEATTR);
const GETFACL_REPLY: u32 = kind::reply(kind::GETFACL);
const GETSCLASS_REPLY: u32 = kind::reply(kind::GETSCLASS);
const GETSUSTAINED_REPLY: u32 = kind::reply(kind::GETSUSTAINED);
const GETTRASH_REPLY: u32 = kind::reply(kind::GETTRASH);
const GETTRASHPATH_REPLY: u32 = kind::reply(kind::GETTRASHPATH);
const GETTRASHTIME_REPLY: u32 = kind::reply(kind::GETTRASHTIME);
const GETXATTR_REPLY: u32 = kind::reply(kind::GETXATTR);
const GET_CONFIG_REPLY: u32 = kind::reply(kind::GET_CONFIG);
const GET_VERSION_REPLY: u32 = kind::reply(kind::GET_VERSION);
const LINK_REPLY: u32 = kind::reply(kind::LINK);
const LIST_ACQUIRED_LOCKS_REPLY: u32 = kind::reply(kind::LIST_ACQUIRED_LOCKS);
const LIST_OPEN_FILES_REPLY: u32 = kind::reply(kind::LIST_OPEN_FILES);
const LOOKUP_REPLY: u32 = kind::reply(kind::LOOKUP);
const MASS_RESOLVE_PATHS_REPLY: u32 = kind::reply(kind::MASS_RESOLVE_PATHS);
const MKDIR_REPLY: u32 = kind::reply(kind::MKDIR);
const MKNOD_REPLY: u32 = kind::reply(kind::MKNOD);
const NODE_INFO_REPLY: u32 = kind::reply(kind::NODE_INFO);
const OPEN_REPLY: u32 = kind::reply(kind::OPEN);
const PARENTS_REPLY: u32 = kind::reply(kind::PARENTS);
const PATHS_REPLY: u32 = kind::reply(kind::PATHS);
const POSIX_LOCK_REPLY: u32 = kind::reply(kind::POSIX_LOCK);
const PURGE_REPLY: u32 = kind::reply(kind::PURGE);
const QUOTACONTROL_REPLY: u32 = kind::reply(kind::QUOTACONTROL);
const READDIR_REPLY: u32 = kind::reply(kind::READDIR);
const READLINK_REPLY: u32 = kind::reply(kind::READLINK);
const READ_CHUNK_REPLY: u32 = kind::reply(kind::READ_CHUNK);
const REGISTER_REPLY: u32 = kind::reply(kind::REGISTER);
const RENAME_REPLY: u32 = kind::reply(kind::RENAME);
const REPAIR_REPLY: u32 = kind::reply(kind::REPAIR);
const RMDIR_REPLY: u32 = kind::reply(kind::RMDIR);
const SCLASS_CHANGE_REPLY: u32 = kind::reply(kind::SCLASS_CHANGE);
const SCLASS_CREATE_REPLY: u32 = kind::reply(kind::SCLASS_CREATE);
const SCLASS_DELETE_REPLY: u32 = kind::reply(kind::SCLASS_DELETE);
const SCLASS_DUPLICATE_REPLY: u32 = kind::reply(kind::SCLASS_DUPLICATE);
const SCLASS_LIST_REPLY: u32 = kind::reply(kind::SCLASS_LIST);
const SCLASS_RENAME_REPLY: u32 = kind::reply(kind::SCLASS_RENAME);
const SETATTR_REPLY: u32 = kind::reply(kind::SETATTR);
const SETEATTR_REPLY: u32 = kind::reply(kind::SETEATTR);
const SETFACL_REPLY: u32 = kind::reply(kind::SETFACL);
const SETSCLASS_REPLY: u32 = kind::reply(kind::SETSCLASS);
const SETTRASHPATH_REPLY: u32 = kind::reply(kind::SETTRASHPATH);
const SETTRASHTIME_REPLY: u32 = kind::reply(kind::SETTRASHTIME);
const SETXATTR_REPLY: u32 = kind::reply(kind::SETXATTR);
const SNAPSHOT_REPLY: u32 = kind::reply(kind::SNAPSHOT);
const STATFS_REPLY: u32 = kind::reply(kind::STATFS);
const SYMLINK_REPLY: u32 = kind::reply(kind::SYMLINK);
const TIME_SYNC_REPLY: u32 = kind::reply(kind::TIME_SYNC);
const TRUNCATE_REPLY: u32 = kind::reply(kind::TRUNCATE);
const UNDEL_REPLY: u32 = kind::reply(kind::UNDEL);
const UNLINK_REPLY: u32 = kind::reply(kind::UNLINK);
const WRITE_CHUNK_REPLY: u32 = kind::reply(kind::WRITE_CHUNK);
const WRITE_CHUNK_END_REPLY: u32 = kind::reply(kind::WRITE_CHUNK_END);

/// Every type that has a codec.
pub const KINDS: &[u32] = &[
    kind::ACCESS,
    kind::AMTIME_INODES,
    kind::APPEND_SLICE,
    kind::ARCHCTL,
    kind::CHECK,
    kind::CHUNK_HAS_CHANGED,
    kind::CREATE,
    kind::FLENG_HAS_CHANGED,
    kind::FLOCK,
    kind::GETATTR,
    kind::GETDETACHEDATTR,
    kind::GETDIRSTATS,
    kind::GETEATTR,
    kind::GETFACL,
    kind::GETSCLASS,
    kind::GETSUSTAINED,
    kind::GETTRASH,
    kind::GETTRASHPATH,
    kind::GETTRASHTIME,
    kind::GETXATTR,
    kind::GET_CONFIG,
    kind::GET_VERSION,
    kind::INVALIDATE_CHUNK_CACHE,
    kind::LINK,
    kind::LIST_ACQUIRED_LOCKS,
    kind::LIST_OPEN_FILES,
    kind::LOOKUP,
    kind::MASS_RESOLVE_PATHS,
    kind::MKDIR,
    kind::MKNOD,
    kind::NODE_INFO,
    kind::NOP,
    kind::OLD_SUSTAINED_INODES,
    kind::OPEN,
    kind::PARENTS,
    kind::PATHS,
    kind::POSIX_LOCK,
    kind::PURGE,
    kind::QUOTACONTROL,
    kind::READDIR,
    kind::READLINK,
    kind::READ_CHUNK,
    kind::REGISTER,
    kind::RENAME,
    kind::REPAIR,
    kind::RMDIR,
    kind::SCLASS_CHANGE,
    kind::SCLASS_CREATE,
    kind::SCLASS_DELETE,
    kind::SCLASS_DUPLICATE,
    kind::SCLASS_LIST,
    kind::SCLASS_RENAME,
    kind::SETATTR,
    kind::SETEATTR,
    kind::SETFACL,
    kind::SETSCLASS,
    kind::SETTRASHPATH,
    kind::SETTRASHTIME,
    kind::SETXATTR,
    kind::SNAPSHOT,
    kind::STATFS,
    kind::SUSTAINED_INODES,
    kind::SYMLINK,
    kind::TIME_SYNC,
    kind::TRUNCATE,
    kind::UNDEL,
    kind::UNLINK,
    kind::WRITE_CHUNK,
    kind::WRITE_CHUNK_END,
    ACCESS_REPLY,
    APPEND_SLICE_REPLY,
    ARCHCTL_REPLY,
    CHECK_REPLY,
    CREATE_REPLY,
    FLOCK_REPLY,
    GETATTR_REPLY,
    GETDETACHEDATTR_REPLY,
    GETDIRSTATS_REPLY,
    GETEATTR_REPLY,
    GETFACL_REPLY,
    GETSCLASS_REPLY,
    GETSUSTAINED_REPLY,
    GETTRASH_REPLY,
    GETTRASHPATH_REPLY,
    GETTRASHTIME_REPLY,
    GETXATTR_REPLY,
    GET_CONFIG_REPLY,
    GET_VERSION_REPLY,
    LINK_REPLY,
    LIST_ACQUIRED_LOCKS_REPLY,
    LIST_OPEN_FILES_REPLY,
    LOOKUP_REPLY,
    MASS_RESOLVE_PATHS_REPLY,
    MKDIR_REPLY,
    MKNOD_REPLY,
    NODE_INFO_REPLY,
    OPEN_REPLY,
    PARENTS_REPLY,
    PATHS_REPLY,
    POSIX_LOCK_REPLY,
    PURGE_REPLY,
    QUOTACONTROL_REPLY,
    READDIR_REPLY,
    READLINK_REPLY,
    READ_CHUNK_REPLY,
    REGISTER_REPLY,
    RENAME_REPLY,
    REPAIR_REPLY,
    RMDIR_REPLY,
    SCLASS_CHANGE_REPLY,
    SCLASS_CREATE_REPLY,
    SCLASS_DELETE_REPLY,
    SCLASS_DUPLICATE_REPLY,
    SCLASS_LIST_REPLY,
    SCLASS_RENAME_REPLY,
    SETATTR_REPLY,
    SETEATTR_REPLY,
    SETFACL_REPLY,
    SETSCLASS_REPLY,
    SETTRASHPATH_REPLY,
    SETTRASHTIME_REPLY,
    SETXATTR_REPLY,
    SNAPSHOT_REPLY,
    STATFS_REPLY,
    SYMLINK_REPLY,
    TIME_SYNC_REPLY,
    TRUNCATE_REPLY,
    UNDEL_REPLY,
    UNLINK_REPLY,
    WRITE_CHUNK_REPLY,
    WRITE_CHUNK_END_REPLY,
];

/// A request and its reply, or a packet that comes alone.
pub struct Exchange {
    /// What it shows; starts with the version that the client announced.
    pub label: String,
    /// Version that the client announced.
    pub client: Version,
    packets: Vec<Vec<u8>>,
}

impl Exchange {
    /// Types and payloads.
    pub fn packets(&self) -> impl Iterator<Item = (u32, &[u8])> {
        self.packets.iter().map(|packet| {
            let frame = split_frame(packet, u32::MAX).unwrap();
            let frame = frame.unwrap_or_else(|| panic!("{} is not complete", self.label));
            assert_eq!(frame.consumed, packet.len(), "{}", self.label);
            (frame.kind, frame.payload)
        })
    }

    /// Payload of the first packet: what a reply answers.
    pub fn request(&self) -> &[u8] {
        &self.packets[0][HEADER_LEN..]
    }
}

/// Exchanges of a vector file: `# version label`, `> request`, `< reply`.
pub fn exchanges(text: &str) -> impl Iterator<Item = Exchange> {
    text.trim_start_matches("# ").split("\n# ").map(|entry| {
        let (label, lines) = entry.split_once('\n').unwrap();
        let version = label.split(' ').next().unwrap();
        Exchange {
            label: label.to_owned(),
            client: version
                .parse()
                .unwrap_or_else(|_| panic!("no version: {label}")),
            packets: lines.lines().map(|line| parse_bytes(&line[1..])).collect(),
        }
    })
}

/// Reads a payload and appends what it encodes to; replies are read with the request's help.
pub fn recode<'a>(
    kind: u32,
    payload: &'a [u8],
    client: Version,
    request: &[u8],
    out: &mut Vec<u8>,
) -> Result<Box<dyn Debug + 'a>, Malformed> {
    translate(kind, payload, request, client, client, out)
}

/// Reads a payload for one client and appends it for another.
pub fn translate<'a>(
    number: u32,
    payload: &'a [u8],
    request: &[u8],
    from: Version,
    to: Version,
    out: &mut Vec<u8>,
) -> Result<Box<dyn Debug + 'a>, Malformed> {
    macro_rules! codec {
        ($type:ty) => {{
            let message = <$type>::decode(payload, from)?;
            message.encode(to, out);
            Ok(Box::new(message))
        }};
        ($type:ty, bare) => {{
            let message = <$type>::decode_bare(payload, from)?;
            message.encode(to, out);
            Ok(Box::new(message))
        }};
        ($type:ty, with $($what:expr)?) => {{
            let message = <$type>::decode(payload $(, $what)?)?;
            message.encode(out);
            // These write their header themselves.
            out.drain(..HEADER_LEN);
            Ok(Box::new(message))
        }};
    }
    let asked = |place: usize| request.get(place).copied();
    let is_bare = |length: usize| request.len() == length;
    let asks_all = request.ends_with(&[0; 4]);
    match number {
        kind::NOP => codec!(Plain),
        kind::GET_VERSION => codec!(GetVersion, with),
        GET_VERSION_REPLY => codec!(VersionReply, with GetVersion::decode(request)?),
        kind::GET_CONFIG => codec!(GetConfig, with),
        GET_CONFIG_REPLY => codec!(ConfigValue, with),
        kind::SCLASS_CREATE => codec!(SclassCreate),
        kind::SCLASS_CHANGE => codec!(SclassChange),
        SCLASS_CHANGE_REPLY => codec!(Answer<SclassChangeReply>),
        kind::SCLASS_DELETE => codec!(SclassDelete),
        kind::SCLASS_DUPLICATE | kind::SCLASS_RENAME => codec!(SclassCopy),
        kind::SCLASS_LIST => codec!(SclassList),
        SCLASS_LIST_REPLY if asked(4).is_some_and(|format| format & 1 != 0) => {
            codec!(Answer<SclassDefinitions>)
        }
        SCLASS_LIST_REPLY => codec!(Answer<SclassNames>),
        kind::REGISTER => {
            let message = Register::decode(payload)?;
            message.encode(out);
            Ok(Box::new(message))
        }
        REGISTER_REPLY => match asked(64) {
            Some(1) => codec!(ChallengeReply),
            Some(3) => codec!(ReconnectReply),
            Some(5) => codec!(Registered<MetaSessionReply>),
            _ => codec!(Registered<SessionReply>),
        },
        kind::STATFS => codec!(Plain),
        STATFS_REPLY => codec!(StatfsReply),
        kind::ACCESS => codec!(Access),
        kind::LOOKUP => codec!(Lookup),
        LOOKUP_REPLY => codec!(Answer<LookupReply>),
        kind::GETATTR => codec!(Getattr),
        kind::SETATTR => codec!(Setattr),
        kind::READLINK
        | kind::PARENTS
        | kind::PATHS
        | kind::GETDIRSTATS
        | kind::GETTRASHPATH
        | kind::UNDEL
        | kind::PURGE => codec!(InodeRequest),
        READLINK_REPLY => codec!(Answer<ReadlinkReply>),
        kind::SYMLINK => codec!(Symlink),
        kind::MKNOD => codec!(Mknod),
        kind::MKDIR => codec!(Mkdir),
        SYMLINK_REPLY | MKNOD_REPLY | MKDIR_REPLY | LINK_REPLY => codec!(Answer<NodeReply>),
        kind::CREATE => codec!(Create),
        CREATE_REPLY => codec!(Answer<CreateReply>),
        kind::UNLINK | kind::RMDIR => codec!(Remove),
        UNLINK_REPLY | RMDIR_REPLY => codec!(Answer<RemoveReply>),
        kind::RENAME => codec!(Rename),
        RENAME_REPLY => codec!(Answer<RenameReply>),
        kind::LINK => codec!(Link),
        kind::READDIR => codec!(Readdir),
        READDIR_REPLY if payload.len() == 5 => codec!(StatusReply),
        READDIR_REPLY => {
            let asked = Readdir::decode(request, from)?;
            let paged = asked.page.is_some();
            if asked.flags & readdir_flag::WITH_ATTRIBUTES != 0 {
                let message = ReaddirReply::<FullEntry<'_>>::decode(payload, from, paged)?;
                message.encode(to, out);
                Ok(Box::new(message))
            } else {
                let message = ReaddirReply::<Entry<'_>>::decode(payload, from, paged)?;
                message.encode(to, out);
                Ok(Box::new(message))
            }
        }
        kind::OPEN => codec!(Open),
        OPEN_REPLY => codec!(Answer<OpenReply>),
        kind::READ_CHUNK | kind::WRITE_CHUNK => codec!(ChunkRequest),
        READ_CHUNK_REPLY | WRITE_CHUNK_REPLY => codec!(Answer<ChunkReply>),
        kind::WRITE_CHUNK_END => codec!(WriteEnd),
        kind::APPEND_SLICE => codec!(AppendSlice),
        kind::CHECK => codec!(Check),
        CHECK_REPLY if request.len() == 12 => codec!(Answer<CheckCopiesReply>),
        CHECK_REPLY => codec!(Answer<CheckReply>),
        kind::GETTRASHTIME | kind::GETSCLASS | kind::GETEATTR => codec!(TreeRequest),
        GETTRASHTIME_REPLY => codec!(Answer<GettrashtimeReply>),
        kind::SETTRASHTIME => codec!(Settrashtime),
        SETTRASHTIME_REPLY | SETSCLASS_REPLY | SETEATTR_REPLY => codec!(Answer<ChangeReply>),
        GETSCLASS_REPLY => codec!(Answer<GetsclassReply>),
        kind::SETSCLASS => codec!(Setsclass),
        kind::GETTRASH => codec!(Gettrash),
        kind::GETSUSTAINED => codec!(Plain),
        GETTRASH_REPLY | GETSUSTAINED_REPLY => codec!(Answer<DetachedReply>),
        kind::GETDETACHEDATTR => codec!(Getdetachedattr),
        GETATTR_REPLY | SETATTR_REPLY | GETDETACHEDATTR_REPLY => codec!(Answer<AttrReply>),
        GETTRASHPATH_REPLY => codec!(Answer<GettrashpathReply>),
        kind::SETTRASHPATH => codec!(Settrashpath),
        GETDIRSTATS_REPLY => codec!(Answer<DirStatsReply>),
        kind::TRUNCATE => codec!(Truncate),
        TRUNCATE_REPLY => codec!(Answer<TruncateReply>),
        kind::REPAIR => codec!(Repair),
        REPAIR_REPLY => codec!(Answer<RepairReply>),
        kind::SNAPSHOT => codec!(Snapshot),
        GETEATTR_REPLY => codec!(Answer<GeteattrReply>),
        kind::SETEATTR => codec!(Seteattr),
        kind::QUOTACONTROL => codec!(QuotaControl),
        QUOTACONTROL_REPLY => codec!(Answer<QuotaReply>),
        kind::GETXATTR => codec!(Getxattr),
        GETXATTR_REPLY => codec!(Answer<GetxattrReply>),
        kind::SETXATTR => codec!(Setxattr),
        PARENTS_REPLY => codec!(Answer<ParentsReply>),
        PATHS_REPLY => codec!(Answer<PathsReply>),
        kind::GETFACL => codec!(Getfacl),
        GETFACL_REPLY => codec!(Answer<GetfaclReply>),
        kind::SETFACL => codec!(Setfacl),
        kind::FLOCK => codec!(Flock),
        kind::POSIX_LOCK => codec!(PosixLock),
        POSIX_LOCK_REPLY => codec!(Answer<PosixLockReply>),
        kind::ARCHCTL => codec!(Archctl),
        ARCHCTL_REPLY if asked(8) == Some(archive::GET) => codec!(Answer<ArchctlGetReply>),
        ARCHCTL_REPLY => codec!(Answer<ArchctlSetReply>),
        kind::LIST_OPEN_FILES | kind::LIST_ACQUIRED_LOCKS => codec!(ListRequest),
        LIST_OPEN_FILES_REPLY => match (asks_all, is_bare(4)) {
            (true, false) => codec!(OpenFilesReply),
            (true, true) => codec!(OpenFilesReply, bare),
            (false, false) => codec!(SessionFilesReply),
            (false, true) => codec!(SessionFilesReply, bare),
        },
        LIST_ACQUIRED_LOCKS_REPLY => match (asks_all, is_bare(4)) {
            (true, false) => codec!(LocksReply),
            (true, true) => codec!(LocksReply, bare),
            (false, false) => codec!(InodeLocksReply),
            (false, true) => codec!(InodeLocksReply, bare),
        },
        kind::MASS_RESOLVE_PATHS => codec!(MassResolvePaths, bare),
        MASS_RESOLVE_PATHS_REPLY => codec!(MassResolvePathsReply, bare),
        kind::NODE_INFO => codec!(NodeInfo),
        NODE_INFO_REPLY if is_bare(16) => codec!(NodeInfoReply, bare),
        NODE_INFO_REPLY => codec!(NodeInfoReply),
        kind::SUSTAINED_INODES | kind::OLD_SUSTAINED_INODES => codec!(SustainedInodes, bare),
        kind::AMTIME_INODES => codec!(AmtimeInodes, bare),
        kind::CHUNK_HAS_CHANGED => codec!(ChunkChanged),
        kind::FLENG_HAS_CHANGED => codec!(LengthChanged),
        kind::INVALIDATE_CHUNK_CACHE => codec!(Plain),
        kind::TIME_SYNC => codec!(TimeSync),
        TIME_SYNC_REPLY => codec!(TimeSyncReply),
        ACCESS_REPLY
        | WRITE_CHUNK_END_REPLY
        | APPEND_SLICE_REPLY
        | SCLASS_CREATE_REPLY
        | SCLASS_DELETE_REPLY
        | SCLASS_DUPLICATE_REPLY
        | SCLASS_RENAME_REPLY
        | SETTRASHPATH_REPLY
        | UNDEL_REPLY
        | PURGE_REPLY
        | SNAPSHOT_REPLY
        | SETXATTR_REPLY
        | SETFACL_REPLY
        | FLOCK_REPLY => codec!(StatusReply),
        other => panic!("no codec for type {other}"),
    }
}
