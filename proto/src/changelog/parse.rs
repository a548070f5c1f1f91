//! From a line to its [`Entry`]: every form that 3.0.117 takes (metadata-and-changelog §3.4), and
//! the forms of 4.x that mean the same.
//!
//! Stricter than 3.0.117: a number must have digits and fit its field, and nothing may follow the
//! last field. No master writes such lines.

use super::{
    LINE_BYTES_MAX, NAME_BYTES_MAX, PATH_BYTES_MAX,
    cursor::Cursor,
    entry::{
        Counts, Entry, FOREIGN, LockChange, Quota, QuotaLimits, ServerChange, SessionParams,
        Snapshot, SnapshotCounts, StorageClass,
    },
    error::{Fault, ParseError},
    seal::Seal,
};
use crate::{ChunkId, ChunkVersion, ClassId, Inode, MetaId, MetaVersion, NodeKind, SessionId};
use std::borrow::Cow;

type Result<T> = std::result::Result<T, ParseError>;

/// Seconds after which freed inode numbers were used again when the line does not say.
const FREE_DELAY_SECONDS: u32 = 86400;

/// Largest value of an extended attribute.
const XATTR_BYTES_MAX: usize = 65536;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Number of the change; absent in the form of the network stream.
    pub version: Option<MetaVersion>,
    /// When the change was made, seconds since 1970, by the master's clock.
    pub timestamp: u32,
    /// What was changed.
    pub entry: Entry<'a>,
}

/// Reads a line without its newline, with or without `VERSION: `; a [`Seal`] behind it does not
/// count.
pub fn parse(line: &[u8]) -> Result<Line<'_>> {
    let (line, _) = Seal::split(line);
    let mut cursor = Cursor::new(line);
    if line.len() > LINE_BYTES_MAX {
        return cursor.fail(Fault::LineTooLong);
    }
    let mut version = None;
    let mut timestamp = cursor.number64()?;
    if cursor.take(b": ") {
        version = Some(MetaVersion(timestamp));
        timestamp = cursor.number64()?;
    }
    let Ok(timestamp) = u32::try_from(timestamp) else {
        return cursor.fail(Fault::NumberTooLarge(32));
    };
    cursor.expect(b'|')?;
    let entry = entry(&mut cursor)?;
    if !cursor.is_at_end() {
        return cursor.fail(Fault::Expected("end of line"));
    }
    Ok(Line {
        version,
        timestamp,
        entry,
    })
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let start = *cursor;
    let rest = cursor.rest();
    let Some(length) = rest.iter().take(32).position(|&byte| byte == b'(') else {
        return cursor.fail(Fault::Expected("'('"));
    };
    let (name, _) = rest.split_at(length);
    cursor.take(name);
    cursor.expect(b'(')?;
    match name {
        b"ACCESS" => Ok(Entry::Access {
            inode: last_inode(cursor)?,
        }),
        b"CREATE" => create(cursor),
        b"ACQUIRE" | b"AQUIRE" => {
            let (session, inode) = session_inode(cursor)?;
            Ok(Entry::Acquire { session, inode })
        }
        b"RELEASE" => {
            let (session, inode) = session_inode(cursor)?;
            Ok(Entry::Release { session, inode })
        }
        b"WRITE" => write(cursor),
        b"LENGTH" => length_changed(cursor),
        b"UNLOCK" => Ok(Entry::Unlock {
            chunk: ChunkId(cursor.last_field()?),
        }),
        b"UNLINK" => {
            let (parent, name) = (inode(cursor)?, cursor.last_text(NAME_BYTES_MAX)?);
            Ok(Entry::Unlink {
                parent,
                name,
                inode: result_inode(cursor)?,
            })
        }
        b"MOVE" => move_entry(cursor),
        b"ATTR" => attr(cursor),
        b"AMTIME" => Ok(Entry::AmTime {
            inode: inode(cursor)?,
            atime: cursor.field()?,
            mtime: cursor.field()?,
            ctime: cursor.last_field()?,
        }),
        b"SYMLINK" => Ok(Entry::Symlink {
            parent: inode(cursor)?,
            name: cursor.text_field(NAME_BYTES_MAX)?,
            target: cursor.text_field(PATH_BYTES_MAX)?,
            uid: cursor.field()?,
            gid: cursor.last_field()?,
            inode: result_inode(cursor)?,
        }),
        b"LINK" => Ok(Entry::Link {
            inode: inode(cursor)?,
            parent: inode(cursor)?,
            name: cursor.last_text(NAME_BYTES_MAX)?,
        }),
        b"TRUNC" => Ok(Entry::Trunc {
            inode: inode(cursor)?,
            index: cursor.last_field()?,
            chunk: ChunkId(result(cursor)?),
        }),
        b"ROLLBACK" => Ok(Entry::Rollback {
            inode: inode(cursor)?,
            index: cursor.field()?,
            previous: ChunkId(cursor.field()?),
            chunk: ChunkId(cursor.last_field()?),
        }),
        b"APPEND" => append(cursor),
        b"SNAPSHOT" => snapshot(cursor),
        b"REPAIR" => Ok(Entry::Repair {
            inode: inode(cursor)?,
            index: cursor.last_field()?,
            version: ChunkVersion(result(cursor)?),
        }),
        b"SETFILECHUNK" => Ok(Entry::SetFileChunk {
            inode: inode(cursor)?,
            index: cursor.field()?,
            chunk: ChunkId(cursor.last_field()?),
        }),
        b"SETEATTR" => Ok(Entry::SetEattr {
            inode: inode(cursor)?,
            uid: cursor.field()?,
            eattr: cursor.field()?,
            mode: cursor.last_field()?,
            counts: counts(cursor)?,
        }),
        b"SETSCLASS" => Ok(Entry::SetClass {
            inode: inode(cursor)?,
            uid: cursor.field()?,
            source: ClassId(cursor.field()?),
            destination: ClassId(cursor.field()?),
            mode: cursor.last_field()?,
            counts: counts(cursor)?,
        }),
        b"SETGOAL" => {
            let (inode, uid) = (inode(cursor)?, cursor.field()?);
            let class = ClassId(cursor.field()?);
            Ok(Entry::SetClass {
                inode,
                uid,
                source: class,
                destination: class,
                mode: cursor.last_field()?,
                counts: counts(cursor)?,
            })
        }
        b"SETTRASHTIME" => Ok(Entry::SetTrashTime {
            inode: inode(cursor)?,
            uid: cursor.field()?,
            seconds: cursor.field()?,
            mode: cursor.last_field()?,
            counts: counts(cursor)?,
        }),
        b"SETXATTR" => Ok(Entry::SetXattr {
            inode: inode(cursor)?,
            name: cursor.text_field(NAME_BYTES_MAX)?,
            value: cursor.text_field(XATTR_BYTES_MAX)?,
            mode: cursor.last_field()?,
        }),
        b"SETACL" => Ok(Entry::SetAcl {
            inode: inode(cursor)?,
            mode: cursor.field()?,
            change_ctime: cursor.field::<u64>()? != 0,
            acl_type: cursor.field()?,
            user: cursor.field()?,
            group: cursor.field()?,
            other: cursor.field()?,
            mask: cursor.field()?,
            named_users: cursor.field()?,
            named_groups: cursor.field()?,
            entries: cursor.last_text(LINE_BYTES_MAX)?,
        }),
        b"QUOTA" => quota(cursor),
        b"ARCHCHG" => Ok(Entry::ArchiveChange {
            inode: inode(cursor)?,
            uid: cursor.field()?,
            command: cursor.last_field()?,
            counts: counts(cursor)?,
        }),
        b"SETPATH" => Ok(Entry::SetPath {
            inode: inode(cursor)?,
            path: cursor.last_text(PATH_BYTES_MAX)?,
        }),
        b"UNDEL" => Ok(Entry::Undelete {
            inode: last_inode(cursor)?,
        }),
        b"PURGE" => Ok(Entry::Purge {
            inode: last_inode(cursor)?,
        }),
        b"EMPTYTRASH" => empty_trash(cursor),
        b"EMPTYSUSTAINED" | b"EMPTYRESERVED" => {
            let bucket = optional_argument(cursor)?;
            Ok(Entry::EmptySustained {
                bucket,
                freed: result(cursor)?,
                xor: further_result(cursor)?,
            })
        }
        b"FREEINODES" => {
            let delay = optional_argument(cursor)?;
            Ok(Entry::FreeInodes {
                delay: delay.unwrap_or(FREE_DELAY_SECONDS),
                freed: result(cursor)?,
                sustained: further_result(cursor)?,
                xor: further_result(cursor)?,
            })
        }
        b"FLOCK" => Ok(Entry::Flock {
            inode: inode(cursor)?,
            session: SessionId(cursor.field()?),
            owner: cursor.field()?,
            change: {
                let change = lock_change(cursor)?;
                cursor.expect(b')')?;
                change
            },
        }),
        b"POSIXLOCK" => Ok(Entry::PosixLock {
            inode: inode(cursor)?,
            session: SessionId(cursor.field()?),
            owner: cursor.field()?,
            change: {
                let change = lock_change(cursor)?;
                cursor.expect(b',')?;
                change
            },
            start: cursor.field()?,
            end: cursor.field()?,
            pid: cursor.last_field()?,
        }),
        b"IDLE" => {
            cursor.expect(b')')?;
            Ok(Entry::Idle)
        }
        _ => table_entry(name, cursor, start),
    }
}

/// Sessions, classes, chunks, servers: what belongs to no inode.
fn table_entry<'a>(name: &[u8], cursor: &mut Cursor<'a>, start: Cursor<'a>) -> Result<Entry<'a>> {
    match name {
        b"SESADD" => Ok(Entry::SessionAdd {
            params: session_params(cursor)?,
            session: SessionId(result(cursor)?),
        }),
        b"SESCHANGED" => Ok(Entry::SessionChanged {
            session: SessionId(cursor.field()?),
            params: session_params(cursor)?,
        }),
        b"SESDISCONNECTED" => Ok(Entry::SessionDisconnected {
            session: SessionId(cursor.last_field()?),
        }),
        b"SESCONNECTED" => Ok(Entry::SessionConnected {
            session: SessionId(cursor.last_field()?),
        }),
        b"SESDEL" => Ok(Entry::SessionDelete {
            session: SessionId(cursor.last_field()?),
        }),
        b"SESSION" | b"CUSTOMER" => {
            cursor.expect(b')')?;
            Ok(Entry::SessionNumber {
                session: SessionId(result(cursor)?),
            })
        }
        b"SCSET" => class_set(cursor),
        b"SCDEL" => Ok(Entry::ClassDelete {
            name: cursor.last_text(NAME_BYTES_MAX)?,
            class: ClassId(result(cursor)?),
        }),
        b"SCDUP" => Ok(Entry::ClassDuplicate {
            source: cursor.text_field(NAME_BYTES_MAX)?,
            destination: cursor.last_text(NAME_BYTES_MAX)?,
            source_class: ClassId(result(cursor)?),
            destination_class: {
                cursor.expect(b',')?;
                ClassId(cursor.number()?)
            },
        }),
        b"SCREN" => Ok(Entry::ClassRename {
            name: cursor.text_field(NAME_BYTES_MAX)?,
            new_name: cursor.last_text(NAME_BYTES_MAX)?,
            class: ClassId(result(cursor)?),
        }),
        b"CHUNKADD" => Ok(Entry::ChunkAdd {
            chunk: ChunkId(cursor.field()?),
            version: ChunkVersion(cursor.field()?),
            locked_to: cursor.last_field()?,
        }),
        b"CHUNKDEL" => Ok(Entry::ChunkDelete {
            chunk: ChunkId(cursor.field()?),
            version: ChunkVersion(cursor.last_field()?),
        }),
        b"SETVERSION" => Ok(Entry::SetVersion {
            chunk: ChunkId(cursor.field()?),
            version: ChunkVersion(cursor.last_field()?),
        }),
        b"INCVERSION" => Ok(Entry::IncreaseVersion {
            chunk: ChunkId(cursor.last_field()?),
        }),
        b"NEXTCHUNKID" => Ok(Entry::NextChunkId {
            chunk: ChunkId(cursor.last_field()?),
        }),
        b"CSDBOP" => {
            let Some(change) = ServerChange::from_number(cursor.number()?) else {
                return cursor.fail(Fault::BadValue("server operation"));
            };
            cursor.expect(b',')?;
            Ok(Entry::ServerTable {
                change,
                ip: cursor.field()?,
                port: cursor.field()?,
                argument: cursor.last_field()?,
            })
        }
        b"CSADD" | b"CSDEL" => Ok(Entry::ServerTable {
            change: if name == b"CSADD" {
                ServerChange::Add
            } else {
                ServerChange::Remove
            },
            ip: cursor.field()?,
            port: cursor.last_field()?,
            argument: 0,
        }),
        b"SETMETAID" => Ok(Entry::SetMetaId {
            id: MetaId(cursor.last_field()?),
        }),
        b"RENUMERATEEDGES" => {
            cursor.expect(b')')?;
            Ok(Entry::RenumerateEdges {
                next_edge: result(cursor)?,
            })
        }
        _ => {
            for (prefix, fault) in FOREIGN {
                if start.rest().starts_with(prefix) {
                    return start.fail(fault);
                }
            }
            start.fail(Fault::UnknownEntry(
                String::from_utf8_lossy(name).into_owned(),
            ))
        }
    }
}

#[inline]
fn inode(cursor: &mut Cursor<'_>) -> Result<Inode> {
    Ok(Inode(cursor.field()?))
}

fn last_inode(cursor: &mut Cursor<'_>) -> Result<Inode> {
    Ok(Inode(cursor.last_field()?))
}

/// The first result.
#[inline]
fn result<T: TryFrom<u64>>(cursor: &mut Cursor<'_>) -> Result<T> {
    cursor.expect(b':')?;
    cursor.number()
}

fn result_inode(cursor: &mut Cursor<'_>) -> Result<Inode> {
    Ok(Inode(result(cursor)?))
}

/// A result behind others, which older versions did not write.
fn further_result(cursor: &mut Cursor<'_>) -> Result<Option<u32>> {
    if cursor.take(b",") {
        cursor.number().map(Some)
    } else {
        Ok(None)
    }
}

/// The only argument, which older versions did not write.
fn optional_argument(cursor: &mut Cursor<'_>) -> Result<Option<u32>> {
    if cursor.take(b")") {
        Ok(None)
    } else {
        cursor.last_field().map(Some)
    }
}

fn session_inode(cursor: &mut Cursor<'_>) -> Result<(SessionId, Inode)> {
    Ok((SessionId(cursor.field()?), last_inode(cursor)?))
}

fn counts(cursor: &mut Cursor<'_>) -> Result<Counts> {
    cursor.expect(b':')?;
    Ok(Counts {
        changed: cursor.field()?,
        unchanged: cursor.field()?,
        refused: cursor.number()?,
    })
}

fn lock_change(cursor: &mut Cursor<'_>) -> Result<LockChange> {
    let before = *cursor;
    match LockChange::from_letter(cursor.byte()?) {
        Some(change) => Ok(change),
        None => before.fail(Fault::BadValue("lock type")),
    }
}

/// Since 3.0 the kind is a number and a umask follows the mode; before, it is a letter and the mode
/// is masked already.
fn create<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let parent = inode(cursor)?;
    let name = cursor.text_field(NAME_BYTES_MAX)?;
    let before = *cursor;
    let kind = cursor.byte()?;
    let has_umask = kind.is_ascii_digit();
    let kind = if has_umask {
        NodeKind::from_number(kind - b'0')
    } else {
        NodeKind::from_letter(kind)
    };
    let Some(kind) = kind else {
        return before.fail(Fault::BadValue("object kind"));
    };
    cursor.expect(b',')?;
    Ok(Entry::Create {
        parent,
        name,
        kind,
        mode: cursor.field()?,
        umask: if has_umask { cursor.field()? } else { 0 },
        uid: cursor.field()?,
        gid: cursor.field()?,
        rdev: cursor.last_field()?,
        inode: result_inode(cursor)?,
    })
}

/// 1.6 has neither the Windows attributes nor the ACL's mode, early 3.0 lacks the former.
fn attr<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let inode = inode(cursor)?;
    let mode: u16 = cursor.field()?;
    let (uid, gid) = (cursor.field()?, cursor.field()?);
    let (atime, mtime) = (cursor.field()?, cursor.number()?);
    let mut winattr = 0;
    let mut acl_mode = mode;
    if cursor.take(b",") {
        acl_mode = cursor.number()?;
        if cursor.take(b",") {
            let Ok(first) = u8::try_from(acl_mode) else {
                return cursor.fail(Fault::BadValue("winattr"));
            };
            winattr = first;
            acl_mode = cursor.number()?;
        }
    }
    cursor.expect(b')')?;
    Ok(Entry::Attr {
        inode,
        mode,
        uid,
        gid,
        atime,
        mtime,
        winattr,
        acl_mode,
    })
}

/// 4.x adds how to treat an existing destination; 0 is what earlier versions do.
fn move_entry<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let (parent, name) = (inode(cursor)?, cursor.text_field(NAME_BYTES_MAX)?);
    let (new_parent, new_name) = (inode(cursor)?, cursor.text(NAME_BYTES_MAX)?);
    if cursor.take(b",") {
        let before = *cursor;
        if cursor.number64()? != 0 {
            return before.fail(Fault::Foreign("MOVE with exchange"));
        }
    }
    cursor.expect(b')')?;
    Ok(Entry::Move {
        parent,
        name,
        new_parent,
        new_name,
        inode: result_inode(cursor)?,
    })
}

fn length_changed<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let (inode, length) = (inode(cursor)?, cursor.number()?);
    let can_mtime = if cursor.take(b",") {
        cursor.flag()?
    } else {
        true
    };
    cursor.expect(b')')?;
    Ok(Entry::Length {
        inode,
        length,
        can_mtime,
    })
}

fn write<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let (inode, index) = (inode(cursor)?, cursor.number()?);
    let mut flag = || -> Result<bool> {
        if cursor.take(b",") {
            cursor.flag()
        } else {
            Ok(true)
        }
    };
    let (increase_version, can_mtime) = (flag()?, flag()?);
    cursor.expect(b')')?;
    Ok(Entry::Write {
        inode,
        index,
        increase_version,
        can_mtime,
        chunk: ChunkId(result(cursor)?),
    })
}

fn append<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let (destination, source) = (inode(cursor)?, Inode(cursor.number()?));
    let (mut from, mut to) = (u32::MAX, 0);
    if cursor.take(b",") {
        from = cursor.field()?;
        to = cursor.number()?;
    }
    cursor.expect(b')')?;
    Ok(Entry::Append {
        destination,
        source,
        from,
        to,
    })
}

fn snapshot<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let (source, parent) = (inode(cursor)?, inode(cursor)?);
    let name = cursor.text_field(NAME_BYTES_MAX)?;
    let mode = cursor.number()?;
    if cursor.take(b")") {
        // 1.6: the master copies, whoever asked for it.
        return Ok(Entry::Snapshot(Snapshot {
            source,
            parent,
            name,
            mode,
            session_flags: 0,
            uid: 0,
            gids: Cow::Borrowed(&[0]),
            umask: 0,
            counts: None,
        }));
    }
    cursor.expect(b',')?;
    let (session_flags, uid) = (cursor.field()?, cursor.field()?);
    let (gids, umask) = groups_and_umask(cursor)?;
    let mut counts = None;
    if cursor.take(b":") {
        counts = Some(SnapshotCounts {
            xor: cursor.field()?,
            removed: cursor.field()?,
            same: cursor.field()?,
            existing: cursor.field()?,
            hardlinks: cursor.field()?,
            new: cursor.number()?,
        });
    }
    Ok(Entry::Snapshot(Snapshot {
        source,
        parent,
        name,
        mode,
        session_flags,
        uid,
        gids,
        umask,
        counts,
    }))
}

/// `[gid,…],umask)`; or of 2.0 `count,binary,umask)` or `gid,umask)`. The binary holds 32-bit
/// numbers in the byte order of the machine that wrote it, taken as little endian.
fn groups_and_umask<'a>(cursor: &mut Cursor<'a>) -> Result<(Cow<'a, [u32]>, u16)> {
    let mut gids = Vec::new();
    if cursor.take(b"[") {
        while !cursor.take(b"]") {
            if !gids.is_empty() {
                cursor.expect(b',')?;
            }
            gids.push(cursor.number()?);
        }
        cursor.expect(b',')?;
        return Ok((Cow::Owned(gids), cursor.last_field()?));
    }
    let first: u32 = cursor.field()?;
    let before = *cursor;
    let second = cursor.text(LINE_BYTES_MAX)?;
    if cursor.take(b",") {
        let (words, rest) = second.as_chunks::<4>();
        if !rest.is_empty() || u32::try_from(words.len()) != Ok(first) {
            return before.fail(Fault::BadValue("group list"));
        }
        gids.extend(words.iter().map(|word| u32::from_le_bytes(*word)));
        return Ok((Cow::Owned(gids), cursor.last_field()?));
    }
    *cursor = before;
    Ok((Cow::Owned(vec![first]), cursor.last_field()?))
}

fn quota<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let mut quota = Quota {
        inode: inode(cursor)?,
        exceeded: cursor.field::<u64>()? != 0,
        flags: cursor.field()?,
        soft_since: cursor.field()?,
        ..Quota::default()
    };
    let (mut soft, mut hard) = (QuotaLimits::default(), QuotaLimits::default());
    soft.inodes = cursor.field()?;
    hard.inodes = cursor.field()?;
    soft.length = cursor.field()?;
    hard.length = cursor.field()?;
    soft.size = cursor.field()?;
    hard.size = cursor.field()?;
    soft.real_size = cursor.field()?;
    hard.real_size = cursor.number()?;
    if cursor.take(b",") {
        quota.grace_seconds = cursor.number()?;
    }
    cursor.expect(b')')?;
    (quota.soft, quota.hard) = (soft, hard);
    Ok(Entry::Quota(quota))
}

/// 4.x counts the flagged files before the xor: their flag does not exist here.
fn empty_trash<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let bucket = optional_argument(cursor)?;
    let freed = result(cursor)?;
    cursor.expect(b',')?;
    let sustained = cursor.number()?;
    let third = further_result(cursor)?;
    let fourth = further_result(cursor)?;
    Ok(Entry::EmptyTrash {
        bucket,
        freed,
        sustained,
        xor: fourth.or(third),
    })
}

/// Ends at the parenthesis. The checksum, the umask and the disabled operations are known by how
/// they begin, as 2.0 did not write them; 4.x has groups of classes in place of the goals.
fn session_params<'a>(cursor: &mut Cursor<'a>) -> Result<SessionParams<'a>> {
    let mut exports_checksum = 0;
    if cursor.take(b"#") {
        exports_checksum = cursor.field()?;
    }
    let (root, flags) = (inode(cursor)?, cursor.field()?);
    let mut umask = 0;
    if let [b'0', b'0'..=b'7', ..] = cursor.rest() {
        let before = *cursor;
        let Ok(digits) = u16::try_from(cursor.digits(3)?) else {
            return before.fail(Fault::NumberTooLarge(16));
        };
        umask = digits;
        cursor.expect(b',')?;
    }
    let (root_uid, root_gid) = (cursor.field()?, cursor.field()?);
    let (map_all_uid, map_all_gid) = (cursor.field()?, cursor.field()?);
    let (mut min_goal, mut max_goal) = (1, 9);
    if cursor.take(b"0x") {
        cursor.digits(4)?;
        cursor.expect(b',')?;
    } else {
        min_goal = cursor.field()?;
        max_goal = cursor.field()?;
    }
    let (min_trash_seconds, max_trash_seconds) = (cursor.field()?, cursor.field()?);
    let mut disables = 0;
    if cursor.take(b"0x") {
        disables = cursor.digits(4)?;
        cursor.expect(b',')?;
    }
    Ok(SessionParams {
        exports_checksum,
        root,
        flags,
        umask,
        root_uid,
        root_gid,
        map_all_uid,
        map_all_gid,
        min_goal,
        max_goal,
        min_trash_seconds,
        max_trash_seconds,
        disables,
        ip: cursor.field()?,
        info: cursor.last_text(LINE_BYTES_MAX)?,
    })
}

fn class_set<'a>(cursor: &mut Cursor<'a>) -> Result<Entry<'a>> {
    let name = cursor.text_field(NAME_BYTES_MAX)?;
    let new = cursor.field::<u64>()? != 0;
    let start = *cursor;
    let mut count = |letter: &[u8], expected| -> Result<u8> {
        if cursor.take(letter) {
            cursor.field()
        } else if cursor.rest().starts_with(b"1,") {
            start.fail(Fault::Foreign("SCSET"))
        } else {
            cursor.fail(Fault::Expected(expected))
        }
    };
    let (create, keep, archive) = (
        count(b"W", "'W'")?,
        count(b"K", "'K'")?,
        count(b"A", "'A'")?,
    );
    let mode = cursor.field()?;
    let (archive_delay_days, admin_only) = (cursor.field()?, cursor.field::<u64>()? != 0);
    let positions = usize::from(create) + usize::from(keep) + usize::from(archive);
    let mut labels = Vec::with_capacity(positions);
    if positions == 0 {
        cursor.expect(b'-')?;
    }
    for position in 0..positions {
        let mut masks = [0; 4];
        for (index, mask) in masks.iter_mut().enumerate() {
            if position + index > 0 {
                cursor.expect(b',')?;
            }
            *mask = cursor.number()?;
        }
        labels.push(masks);
    }
    cursor.expect(b')')?;
    Ok(Entry::ClassSet(StorageClass {
        name,
        new,
        create,
        keep,
        archive,
        mode,
        archive_delay_days,
        admin_only,
        labels: Cow::Owned(labels),
        class: ClassId(result(cursor)?),
    }))
}
