//! Reading the tree: lookup, access, symbolic links, directories (wire-client-master §10.1–§10.3,
//! §10.9).

use crate::client::answer::Handled;
use crate::client::link::{Conn, Counter};
use crate::core::Core;
use metadata::access::disable;
use metadata::attributes::NodeInfo;
use metadata::{Caller, Namespace};
use proto::attr::{Attr, flag};
use proto::client::chunks::{Location, Server};
use proto::client::eattr::eattr_flag;
use proto::client::lookup::{Access, Lookup, LookupReply, ReadlinkReply, lookup_flag};
use proto::client::message::{List, Message, NulText};
use proto::client::open::open_flag;
use proto::client::readdir::{Entry, FullEntry, Readdir, put_readdir_head, readdir_flag};
use proto::client::{InodeRequest, kind};
use proto::frame::{begin_frame, end_frame};
use proto::wire::Versioned;
use proto::{ChunkId, Inode, NodeKind, Status, Version};

/// Largest answer to READDIR, bytes.
const READDIR_MAX: usize = 0xFFFF_0000;
/// Position behind the last entry of a directory.
const END_OF_DIRECTORY: u64 = 0x7FFF_FFFF_FFFF_FFFF;
/// READDIR position of `..`.
const DOT_DOT: u64 = 1;
/// Set of access masks that include writing.
const MASKS_WITH_WRITE: u8 = 0b1100_1100;
/// Access masks *read* and *write* alone.
const READ_OR_WRITE: u8 = 1 << 4 | 1 << 2;

impl Core {
    /// Flags of OPEN and CREATE replies, and the same knowledge in the attributes. `may_keep`: the
    /// session may have cached something of the file.
    pub(super) fn open_flags(
        &mut self,
        who: &Caller<'_>,
        inode: Inode,
        attr: &mut Attr,
        may_keep: bool,
    ) -> u8 {
        let Some(node) = self.ns.node(inode) else {
            return 0;
        };
        let mut flags = 0;
        if may_keep && self.is_cache_valid(who, inode, &node) {
            flags |= open_flag::KEEP_CACHE;
        } else {
            attr.flags &= !flag::DATA_CACHE;
        }
        if node.eattr & eattr_flag::NO_DATA_CACHE != 0 {
            flags |= open_flag::DIRECT;
        }
        if node.eattr & eattr_flag::APPEND_ONLY != 0 {
            flags |= open_flag::APPEND_ONLY;
        }
        flags
    }

    /// Whether the session may keep what it has cached of a file (§12.6).
    fn is_cache_valid(&mut self, who: &Caller<'_>, inode: Inode, node: &NodeInfo) -> bool {
        node.eattr & eattr_flag::NO_DATA_CACHE == 0 && self.clients.marks.check(inode, who.session)
    }
}

/// LOOKUP.
pub fn lookup(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Lookup::decode(payload, conn.version)?;
    core.count(conn, Counter::Lookup);
    core.as_caller(conn, &request.caller, |core, who| {
        if let Err(status) = find(core, conn, who, &request) {
            let status = match status {
                Status::EnoentNoCache if !conn.version.has_enoent_no_cache() => Status::Enoent,
                other => other,
            };
            core.answer_status(conn, kind::LOOKUP, request.msgid, status);
        }
    })
}

fn find(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &Lookup<'_>,
) -> Result<(), Status> {
    let parent = core
        .ns
        .resolve(who, request.parent)
        .map_err(|_| Status::EnoentNoCache)?;
    let found = core.ns.lookup(who, parent, request.name)?;
    let mut attr = core.ns.attr_in(who, found.parent, found.inode)?;
    let node = core.ns.node(found.inode).ok_or(Status::Enoent)?;

    let mut masks = core.ns.allowed_masks(who, found.inode);
    let mut flags = 0;
    if who.is_read_only() {
        flags |= lookup_flag::READ_ONLY;
    }
    if node.eattr & eattr_flag::IMMUTABLE != 0 {
        flags |= lookup_flag::IMMUTABLE;
        masks &= !MASKS_WITH_WRITE;
    }
    if node.eattr & eattr_flag::NO_DATA_CACHE != 0 {
        flags |= lookup_flag::DIRECT;
    }
    if node.eattr & eattr_flag::APPEND_ONLY != 0 {
        flags |= lookup_flag::APPEND_ONLY;
        if !conn.version.has_open_flags() {
            masks &= !MASKS_WITH_WRITE;
        }
    }

    let mut servers = std::mem::take(&mut core.clients.scratch.servers);
    servers.clear();
    let mut chunk = None;
    if node.kind.has_data() && conn.version.has_lookup_flags() {
        // Nobody asks for the cache of a file that may not be used.
        let usable = masks & READ_OR_WRITE != 0;
        if usable && core.is_cache_valid(who, found.inode, &node) {
            flags |= lookup_flag::KEEP_CACHE;
        } else if usable {
            attr.flags &= !flag::DATA_CACHE;
        }
        if usable && node.slots == 1 {
            chunk = first_chunk(core, conn, who, found.inode, &mut servers);
        }
    }
    if !conn.version.has_open_flags() {
        flags &= !lookup_flag::KEEP_CACHE;
    }
    let inode = core.ns.wire_inode(who, found.inode);
    let reply = LookupReply {
        msgid: request.msgid,
        inode,
        attr,
        flags: flags | u16::from(masks),
        chunk: chunk.map(|(chunk, version)| Location {
            chunk,
            version,
            servers: List::Values(&servers),
        }),
    };
    core.answer(conn, kind::LOOKUP, &reply);
    core.clients.scratch.servers = servers;
    Ok(())
}

/// Where chunk 0 is, for clients that would ask next; nothing when the answer is not certain.
fn first_chunk(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    inode: Inode,
    servers: &mut Vec<Server>,
) -> Option<(ChunkId, proto::ChunkVersion)> {
    if who.is_denied(disable::READ) {
        return None;
    }
    let chunk = core.ns.file_chunk(inode, 0);
    if chunk == ChunkId::HOLE {
        return Some((chunk, proto::ChunkVersion(0)));
    }
    let ip = *core.links.peer(conn.link).ip();
    let locations = core.chunks.read(&core.ns, core.now, chunk, ip).ok()?;
    servers.extend(locations.servers.iter().map(super::data_ops::server));
    Some((chunk, locations.version))
}

/// ACCESS.
pub fn access(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Access::decode(payload, conn.version)?;
    core.as_caller(conn, &request.caller, |core, who| {
        let result = core
            .inode_or_open(who, request.inode, true)
            .and_then(|inode| core.ns.access(who, inode, request.mask as u8 & 7));
        core.answer_done(conn, kind::ACCESS, request.msgid, result);
    })
}

/// READLINK.
pub fn readlink(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let InodeRequest { msgid, inode } = InodeRequest::decode(payload, conn.version)?;
    core.count(conn, Counter::Readlink);
    core.as_session(conn, |core, who| {
        let mut target = Vec::new();
        let atime = core.settings.atime_mode;
        let result = core.ns.resolve(who, inode).and_then(|inode| {
            let (ns, mut tx) = core.change();
            target.extend_from_slice(ns.readlink(&mut tx, who, inode, atime)?);
            Ok(ReadlinkReply {
                msgid,
                target: NulText(&target),
            })
        });
        core.answer_result(conn, kind::READLINK, msgid, result);
    })
}

/// READDIR.
pub fn readdir(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Readdir::decode(payload, conn.version)?;
    core.count(conn, Counter::Readdir);
    core.as_caller(conn, &request.caller, |core, who| {
        if let Err(status) = list(core, conn, who, &request) {
            core.answer_status(conn, kind::READDIR, request.msgid, status);
        }
    })
}

/// The part of an answer to READDIR that lists.
struct Page<'a> {
    ns: &'a Namespace,
    who: &'a Caller<'a>,
    client: Version,
    directory: Inode,
    with_attributes: bool,
    out: &'a mut Vec<u8>,
    bytes_max: usize,
}

impl Page<'_> {
    #[inline]
    fn put(&mut self, name: &[u8], inode: Inode, kind: NodeKind) {
        let shown = self.ns.wire_inode(self.who, inode);
        if !self.with_attributes {
            let entry = Entry {
                name,
                inode: shown,
                kind,
            };
            entry.put(self.client, self.out);
        } else if let Ok(attr) = self.ns.attr_in(self.who, self.directory, inode) {
            let entry = FullEntry {
                name,
                inode: shown,
                attr,
            };
            entry.put(self.client, self.out);
        }
    }

    fn is_full(&self) -> bool {
        self.out.len() > self.bytes_max
    }
}

fn list(
    core: &mut Core,
    conn: &Conn,
    who: &Caller<'_>,
    request: &Readdir<'_>,
) -> Result<(), Status> {
    let with_attributes = request.flags & readdir_flag::WITH_ATTRIBUTES != 0;
    if who.is_denied(disable::READDIR) {
        return Err(Status::Eperm);
    }
    let directory = core.ns.resolve(who, request.inode)?;
    let (from, entries_max) = request
        .page
        .map_or((0, u32::MAX), |page| (page.edge, page.entries_max));
    if from == 0 {
        let atime = core.settings.atime_mode;
        let (ns, mut tx) = core.change();
        ns.readdir_open(&mut tx, who, directory, with_attributes, atime)?;
    } else if core.ns.node(directory).map(|node| node.kind) != Some(NodeKind::Directory) {
        return Err(Status::Enotdir);
    }

    let Core { ns, links, .. } = core;
    let out = links.out(conn.link);
    let mark = begin_frame(out, kind::reply(kind::READDIR));
    let start = out.len();
    put_readdir_head(out, request.msgid, request.page.map(|page| page.edge));

    let parent = ns.parent_of(who, directory);
    let mut left = entries_max;
    let mut next = END_OF_DIRECTORY;
    let mut page = Page {
        ns,
        who,
        client: conn.version,
        directory,
        with_attributes,
        out,
        bytes_max: start + READDIR_MAX,
    };
    let dots = [
        (0, &b"."[..], directory, NodeKind::Directory),
        (DOT_DOT, &b".."[..], parent, NodeKind::Directory),
    ];
    for (position, name, inode, kind) in dots {
        if position < from {
            continue;
        }
        if left == 0 {
            next = next.min(position);
            break;
        }
        left -= 1;
        page.put(name, inode, kind);
    }
    for entry in ns.readdir_entries(directory, if from > DOT_DOT { from } else { 0 }) {
        if left == 0 {
            next = next.min(entry.edge_id);
            break;
        }
        left -= 1;
        page.put(entry.name, entry.inode, entry.kind);
        if page.is_full() {
            mark.cancel(page.out);
            return Err(Status::Erange);
        }
    }
    let out = page.out;
    // 3.0.117 always repeats the number of the request, so nobody can page through it; whoever asks
    // for a part learns here where the next one begins.
    if request.page.is_some() && entries_max != u32::MAX {
        let position = start + size_of::<u32>();
        if let Some(field) = out.get_mut(position..position + size_of::<u64>()) {
            field.copy_from_slice(&next.to_be_bytes());
        }
    }
    end_frame(out, mark);
    Ok(())
}
