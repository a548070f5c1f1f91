//! From an [`Entry`] to its line, in the form of 3.0.117.

use super::{
    entry::{Counts, Entry, Quota, SessionParams, Snapshot, StorageClass},
    text::{escape, hexadecimal, number, octal},
};
use crate::{ClassId, Inode};

impl Entry<'_> {
    /// Appends `TIMESTAMP|NAME(arguments):results`: the line without its version and newline.
    pub fn write(&self, timestamp: u32, out: &mut Vec<u8>) {
        number(timestamp, out);
        out.push(b'|');
        out.extend_from_slice(self.name().as_bytes());
        out.push(b'(');
        self.write_fields(Fields(out));
    }

    fn write_fields(&self, fields: Fields<'_>) {
        match self {
            Entry::Access { inode } | Entry::Undelete { inode } | Entry::Purge { inode } => {
                fields.inode(*inode).close()
            }
            Entry::AmTime {
                inode,
                atime,
                mtime,
                ctime,
            } => fields
                .inode(*inode)
                .number(*atime)
                .number(*mtime)
                .number(*ctime)
                .close(),
            Entry::Attr {
                inode,
                mode,
                uid,
                gid,
                atime,
                mtime,
                winattr,
                acl_mode,
            } => fields
                .inode(*inode)
                .number(*mode)
                .number(*uid)
                .number(*gid)
                .number(*atime)
                .number(*mtime)
                .number(*winattr)
                .number(*acl_mode)
                .close(),
            Entry::Create {
                parent,
                name,
                kind,
                mode,
                umask,
                uid,
                gid,
                rdev,
                inode,
            } => fields
                .inode(*parent)
                .text(name)
                .number(kind.number())
                .number(*mode)
                .number(*umask)
                .number(*uid)
                .number(*gid)
                .number(*rdev)
                .results()
                .last(inode.0),
            Entry::Symlink {
                parent,
                name,
                target,
                uid,
                gid,
                inode,
            } => fields
                .inode(*parent)
                .text(name)
                .text(target)
                .number(*uid)
                .number(*gid)
                .results()
                .last(inode.0),
            Entry::Link {
                inode,
                parent,
                name,
            } => fields.inode(*inode).inode(*parent).text(name).close(),
            Entry::Unlink {
                parent,
                name,
                inode,
            } => fields.inode(*parent).text(name).results().last(inode.0),
            Entry::Move {
                parent,
                name,
                new_parent,
                new_name,
                inode,
            } => fields
                .inode(*parent)
                .text(name)
                .inode(*new_parent)
                .text(new_name)
                .results()
                .last(inode.0),
            Entry::Snapshot(snapshot) => write_snapshot(fields, snapshot),
            Entry::SetEattr {
                inode,
                uid,
                eattr,
                mode,
                counts,
            } => fields
                .inode(*inode)
                .number(*uid)
                .number(*eattr)
                .number(*mode)
                .counts(*counts),
            Entry::SetClass {
                inode,
                uid,
                source,
                destination,
                mode,
                counts,
            } => fields
                .inode(*inode)
                .number(*uid)
                .class(*source)
                .class(*destination)
                .number(*mode)
                .counts(*counts),
            Entry::SetTrashTime {
                inode,
                uid,
                seconds,
                mode,
                counts,
            } => fields
                .inode(*inode)
                .number(*uid)
                .number(*seconds)
                .number(*mode)
                .counts(*counts),
            Entry::SetXattr {
                inode,
                name,
                value,
                mode,
            } => fields
                .inode(*inode)
                .text(name)
                .text(value)
                .number(*mode)
                .close(),
            Entry::SetAcl {
                inode,
                mode,
                change_ctime,
                acl_type,
                user,
                group,
                other,
                mask,
                named_users,
                named_groups,
                entries,
            } => fields
                .inode(*inode)
                .number(*mode)
                .number(*change_ctime)
                .number(*acl_type)
                .number(*user)
                .number(*group)
                .number(*other)
                .number(*mask)
                .number(*named_users)
                .number(*named_groups)
                .text(entries)
                .close(),
            Entry::Quota(quota) => write_quota(fields, quota),
            Entry::SetPath { inode, path } => fields.inode(*inode).text(path).close(),
            Entry::EmptyTrash {
                bucket,
                freed,
                sustained,
                xor,
            } => fields
                .optional(*bucket)
                .results()
                .number(*freed)
                .number(*sustained)
                .optional(*xor)
                .close_results(),
            Entry::EmptySustained { bucket, freed, xor } => fields
                .optional(*bucket)
                .results()
                .number(*freed)
                .optional(*xor)
                .close_results(),
            Entry::FreeInodes {
                delay,
                freed,
                sustained,
                xor,
            } => fields
                .number(*delay)
                .results()
                .number(*freed)
                .optional(*sustained)
                .optional(*xor)
                .close_results(),
            Entry::ArchiveChange {
                inode,
                uid,
                command,
                counts,
            } => fields
                .inode(*inode)
                .number(*uid)
                .number(*command)
                .counts(*counts),
            Entry::Idle => fields.close(),
            _ => self.write_data_fields(fields),
        }
    }

    /// Chunks and what belongs to clients and servers.
    fn write_data_fields(&self, fields: Fields<'_>) {
        match self {
            Entry::Length {
                inode,
                length,
                can_mtime,
            } => fields
                .inode(*inode)
                .number(*length)
                .number(*can_mtime)
                .close(),
            Entry::Write {
                inode,
                index,
                increase_version,
                can_mtime,
                chunk,
            } => fields
                .inode(*inode)
                .number(*index)
                .number(*increase_version)
                .number(*can_mtime)
                .results()
                .last(chunk.0),
            Entry::Trunc {
                inode,
                index,
                chunk,
            } => fields.inode(*inode).number(*index).results().last(chunk.0),
            Entry::Unlock { chunk }
            | Entry::IncreaseVersion { chunk }
            | Entry::NextChunkId { chunk } => fields.number(chunk.0).close(),
            Entry::Rollback {
                inode,
                index,
                previous,
                chunk,
            } => fields
                .inode(*inode)
                .number(*index)
                .number(previous.0)
                .number(chunk.0)
                .close(),
            Entry::Append {
                destination,
                source,
                from,
                to,
            } => fields
                .inode(*destination)
                .inode(*source)
                .number(*from)
                .number(*to)
                .close(),
            Entry::Repair {
                inode,
                index,
                version,
            } => fields
                .inode(*inode)
                .number(*index)
                .results()
                .last(version.0),
            Entry::SetFileChunk {
                inode,
                index,
                chunk,
            } => fields.inode(*inode).number(*index).number(chunk.0).close(),
            Entry::ChunkAdd {
                chunk,
                version,
                locked_to,
            } => fields
                .number(chunk.0)
                .number(version.0)
                .number(*locked_to)
                .close(),
            Entry::ChunkDelete { chunk, version } | Entry::SetVersion { chunk, version } => {
                fields.number(chunk.0).number(version.0).close();
            }
            Entry::Acquire { session, inode } | Entry::Release { session, inode } => {
                fields.number(session.0).inode(*inode).close();
            }
            Entry::Flock {
                inode,
                session,
                owner,
                change,
            } => fields
                .inode(*inode)
                .number(session.0)
                .number(*owner)
                .letter(change.letter())
                .close(),
            Entry::PosixLock {
                inode,
                session,
                owner,
                change,
                start,
                end,
                pid,
            } => fields
                .inode(*inode)
                .number(session.0)
                .number(*owner)
                .letter(change.letter())
                .number(*start)
                .number(*end)
                .number(*pid)
                .close(),
            Entry::SessionAdd { params, session } => {
                fields.session(params).results().last(session.0);
            }
            Entry::SessionChanged { session, params } => {
                fields.number(session.0).session(params).close();
            }
            Entry::SessionDisconnected { session }
            | Entry::SessionConnected { session }
            | Entry::SessionDelete { session } => fields.number(session.0).close(),
            Entry::SessionNumber { session } => fields.results().last(session.0),
            Entry::ClassSet(class) => write_class(fields, class),
            Entry::ClassDelete { name, class } => fields.text(name).results().last(class.0),
            Entry::ClassDuplicate {
                source,
                destination,
                source_class,
                destination_class,
            } => fields
                .text(source)
                .text(destination)
                .results()
                .class(*source_class)
                .last(destination_class.0),
            Entry::ClassRename {
                name,
                new_name,
                class,
            } => fields.text(name).text(new_name).results().last(class.0),
            Entry::ServerTable {
                change,
                ip,
                port,
                argument,
            } => fields
                .number(change.number())
                .number(*ip)
                .number(*port)
                .number(*argument)
                .close(),
            Entry::SetMetaId { id } => fields.number(id.0).close(),
            Entry::RenumerateEdges { next_edge } => fields.results().last(*next_edge),
            // Written by `write_fields`.
            _ => {}
        }
    }
}

fn write_snapshot(fields: Fields<'_>, snapshot: &Snapshot<'_>) {
    let fields = fields
        .inode(snapshot.source)
        .inode(snapshot.parent)
        .text(&snapshot.name)
        .number(snapshot.mode)
        .number(snapshot.session_flags)
        .number(snapshot.uid)
        .list(&snapshot.gids)
        .number(snapshot.umask);
    match snapshot.counts {
        Some(counts) => fields
            .results()
            .number(counts.xor)
            .number(counts.removed)
            .number(counts.same)
            .number(counts.existing)
            .number(counts.hardlinks)
            .last(counts.new),
        None => fields.close(),
    }
}

fn write_quota(fields: Fields<'_>, quota: &Quota) {
    let (soft, hard) = (&quota.soft, &quota.hard);
    fields
        .inode(quota.inode)
        .number(quota.exceeded)
        .number(quota.flags)
        .number(quota.soft_since)
        .number(soft.inodes)
        .number(hard.inodes)
        .number(soft.length)
        .number(hard.length)
        .number(soft.size)
        .number(hard.size)
        .number(soft.real_size)
        .number(hard.real_size)
        .number(quota.grace_seconds)
        .close();
}

fn write_class(fields: Fields<'_>, class: &StorageClass<'_>) {
    let mut fields = fields
        .text(&class.name)
        .number(class.new)
        .prefixed(b'W', class.create)
        .prefixed(b'K', class.keep)
        .prefixed(b'A', class.archive)
        .number(class.mode)
        .number(class.archive_delay_days)
        .number(class.admin_only);
    if class.labels.is_empty() {
        fields = fields.letter(b'-');
    }
    for mask in class.labels.iter().flatten() {
        fields = fields.number(*mask);
    }
    fields.results().last(class.class.0);
}

/// A line that grows: every field is followed by a comma, which the end of the list replaces.
struct Fields<'o>(&'o mut Vec<u8>);

impl<'o> Fields<'o> {
    #[inline]
    fn number(self, value: impl Into<u64>) -> Self {
        number(value, self.0);
        self.0.push(b',');
        self
    }

    #[inline]
    fn inode(self, inode: Inode) -> Self {
        self.number(inode.0)
    }

    fn class(self, class: ClassId) -> Self {
        self.number(class.0)
    }

    #[inline]
    fn text(self, text: &[u8]) -> Self {
        escape(text, self.0);
        self.0.push(b',');
        self
    }

    fn letter(self, letter: u8) -> Self {
        self.0.extend_from_slice(&[letter, b',']);
        self
    }

    fn prefixed(self, letter: u8, value: u8) -> Self {
        self.0.push(letter);
        self.number(value)
    }

    fn optional(self, value: Option<u32>) -> Self {
        match value {
            Some(value) => self.number(value),
            None => self,
        }
    }

    fn list(self, values: &[u32]) -> Self {
        self.0.push(b'[');
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            number(*value, self.0);
        }
        self.0.extend_from_slice(b"],");
        self
    }

    fn session(self, params: &SessionParams<'_>) -> Self {
        self.0.push(b'#');
        let fields = self
            .number(params.exports_checksum)
            .inode(params.root)
            .number(params.flags);
        octal(params.umask, fields.0);
        fields.0.push(b',');
        let fields = fields
            .number(params.root_uid)
            .number(params.root_gid)
            .number(params.map_all_uid)
            .number(params.map_all_gid)
            .number(params.min_goal)
            .number(params.max_goal)
            .number(params.min_trash_seconds)
            .number(params.max_trash_seconds);
        hexadecimal(params.disables, fields.0);
        fields.0.push(b',');
        fields.number(params.ip).text(&params.info)
    }

    fn counts(self, counts: Counts) {
        self.results()
            .number(counts.changed)
            .number(counts.unchanged)
            .last(counts.refused);
    }

    /// Ends the arguments; no results follow.
    #[inline]
    fn close(self) {
        if self.0.last() == Some(&b',') {
            self.0.pop();
        }
        self.0.push(b')');
    }

    /// Ends the arguments and begins the results.
    #[inline]
    fn results(self) -> Self {
        Fields(&mut *self.0).close();
        self.0.push(b':');
        self
    }

    /// The last result.
    #[inline]
    fn last(self, value: impl Into<u64>) {
        number(value, self.0);
    }

    /// Ends results of which the last ones may be absent.
    fn close_results(self) {
        self.0.pop();
    }
}
