//! NODE: inodes with their chunk lists.

use super::{Loader, Outcome};
use crate::chunk_table::ChunkRecord;
use crate::image::Problem;
use crate::storage_class::ClassUses;
use crate::store::dirs::DirRecord;
use crate::store::inode_map::INODE_MAX;
use crate::store::node::NodeRecord as Node;
use crate::store::pages::Exclusive;
use crate::tree::TRASH_HOURS_DEFAULT;
use proto::image::{ChunkList, NodeBody, NodeHeader, NodeRecord};
use proto::{ChunkId, ClassId, Inode, NodeKind};

/// Inodes for one page up to which it is worth making all pages before they are filled.
const INODES_PER_PAGE_MIN: u32 = 16;
/// Bytes of the smallest record.
const NODE_BYTES_MIN: usize = 32;
/// Pages that are made even for fewer inodes.
const PAGES_MIN: u32 = 1 << 10;

/// Class of an inode whose own does not exist, ignoring errors: the one that new file systems have.
const CLASS_INSTEAD: ClassId = ClassId(2);

fn has_class(kind: NodeKind) -> bool {
    kind.has_data() || kind == NodeKind::Directory
}

/// Chunks as the inodes of an image see them.
struct Chunks<'p> {
    records: Exclusive<'p, ChunkRecord, 256>,
    /// Place of each chunk by its number.
    places: &'p [u32],
    /// References that change the class of a chunk: they are counted last.
    later: Vec<(u32, ClassId)>,
}

impl Chunks<'_> {
    /// The place of a chunk that has a record.
    #[inline]
    fn place(&self, chunk: ChunkId) -> Option<u32> {
        let index = usize::try_from(chunk.0).ok()?;
        self.places.get(index).copied().filter(|&at| at != 0)
    }

    /// A slot of a file refers to the chunk.
    #[inline]
    fn refer(&mut self, at: u32, class: ClassId) {
        match self.records.get_mut(at) {
            Some(record) if record.references == 0 || record.class == class => {
                record.class = class;
                record.references += 1;
            }
            _ => self.later.push((at, class)),
        }
    }
}

impl<'a> Loader<'a> {
    /// Records of inodes and chunks lie all over the memory: their pages are made one's own first,
    /// so that many of them can be on their way at once. What that has no place for comes last.
    pub(super) fn nodes(&mut self, version: u8) -> Outcome<()> {
        let header = NodeHeader::decode(&mut self.reader, self.container, version)?;
        if version <= 0x13 && self.namespace.older.is_none() {
            self.namespace.older = Some(Box::default());
        }
        let store = &mut self.namespace.store;
        store.max_inode = store.max_inode.max(header.max_inode);
        let mut nodes = std::mem::take(&mut store.nodes);
        // What the header says is a hint; what there is bounds it.
        self.stated_max_inode = Some(store.max_inode);
        let nodes_max = self.reader.remaining() / NODE_BYTES_MIN;
        let nodes_max = header
            .nodes
            .min(u32::try_from(nodes_max).unwrap_or(u32::MAX));
        if header.max_inode >> 8 <= nodes_max / INODES_PER_PAGE_MIN + PAGES_MIN {
            nodes.reach(header.max_inode);
        }
        self.ahead.begin(nodes_max);
        let mut pages = nodes.exclusive();
        let mut records = std::mem::take(&mut self.namespace.chunks.records);
        let places = std::mem::take(&mut self.places);
        let mut chunks = Chunks {
            records: records.exclusive(),
            places: &places,
            later: Vec::new(),
        };
        let copies: [u8; 256] =
            std::array::from_fn(|id| self.namespace.classes.counted_copies(ClassId(id as u8)));
        let mut uses = [ClassUses::default(); 256];
        let mut rest: Vec<(Node, NodeRecord<'a>)> = Vec::new();
        let mut found = 0u32;
        while let Some(record) = self.next(|reader| NodeRecord::decode(reader, version))? {
            found = found.saturating_add(1);
            if !self.is_usable(record.attributes.inode)? {
                continue;
            }
            let mut node = self.node(&record, version, &copies, &mut uses)?;
            let is_known = self.known_slots(&record, &mut node, &mut chunks)?;
            match pages.get_mut(record.attributes.inode.0) {
                Some(slot) if is_known => *slot = node,
                _ => rest.push((node, record)),
            }
        }
        let later = chunks.later;
        self.namespace.store.nodes = nodes;
        self.namespace.chunks.records = records;
        for (at, class) in later {
            let namespace = &mut self.namespace;
            namespace
                .chunks
                .load_reference(&namespace.classes, at, class);
        }
        for (node, record) in rest {
            self.late_node(node, &record)?;
        }
        for (id, count) in (0..=u8::MAX).zip(uses) {
            self.namespace.classes.add_uses(ClassId(id), count);
        }
        if version >= 0x11 && found != header.nodes {
            let stated = header.nodes;
            self.problem(Problem::NodeCount { stated, found })?;
        }
        Ok(())
    }

    /// Whether the number of a record may be taken; the first inode of a number keeps it.
    #[inline]
    fn is_usable(&mut self, inode: Inode) -> Outcome<bool> {
        let problem = if inode == Inode(0) || inode.0 > INODE_MAX {
            Problem::NodeNumber(inode)
        } else if self.namespace.used.is_taken(inode.0) {
            Problem::NodeRepeated(inode)
        } else {
            return Ok(true);
        };
        self.problem(problem)?;
        Ok(false)
    }

    /// An inode that has no page yet, or chunks without records.
    fn late_node(&mut self, mut node: Node, record: &NodeRecord<'_>) -> Outcome<()> {
        if let NodeBody::Data { chunks, .. } = record.body
            && node.slots() == 0
        {
            node.set_slots(self.slots(chunks, node.class)?);
        }
        let inode = record.attributes.inode;
        *self.namespace.store.nodes.slot(inode.0) = node;
        Ok(())
    }

    /// The chunk list of a file when all its chunks have records; `false` when it is still to come.
    #[inline]
    fn known_slots(
        &mut self,
        record: &NodeRecord<'_>,
        node: &mut Node,
        known: &mut Chunks<'_>,
    ) -> Outcome<bool> {
        let NodeBody::Data { chunks, .. } = record.body else {
            return Ok(true);
        };
        let is_known = |chunk| chunk == ChunkId::HOLE || known.place(chunk).is_some();
        if !chunks.iter().all(is_known) {
            return Ok(false);
        }
        let mut word = 0;
        for (index, chunk) in (0..).zip(chunks.iter()) {
            let Some(at) = known.place(chunk) else {
                continue;
            };
            known.refer(at, node.class);
            let slots = &mut self.namespace.store.slots;
            word = slots.set(word, index, at).ok_or(Problem::OutOfMemory)?;
        }
        node.set_slots(word);
        Ok(true)
    }

    /// Everything of an inode but its chunk list.
    #[inline]
    fn node(
        &mut self,
        record: &NodeRecord<'_>,
        version: u8,
        copies: &[u8; 256],
        uses: &mut [ClassUses; 256],
    ) -> Outcome<Node> {
        let attributes = &record.attributes;
        let (inode, kind) = (attributes.inode, attributes.kind);
        let mut node = Node::new(kind, attributes.mode);
        node.class = attributes.class;
        node.eattr = attributes.eattr;
        node.winattr = attributes.winattr;
        node.trash_hours = attributes.trash_hours;
        node.uid = attributes.uid;
        node.gid = attributes.gid;
        node.atime = attributes.atime;
        node.mtime = attributes.mtime;
        node.ctime = attributes.ctime;
        if version <= 0x13 && !has_class(kind) {
            // Older versions kept a goal and a trash time of everything.
            node.class = ClassId(0);
            node.trash_hours = TRASH_HOURS_DEFAULT;
        }
        if has_class(kind) && copies[usize::from(node.class.0)] == 0 {
            let class = node.class;
            self.problem(Problem::NodeClass { inode, class })?;
            node.class = CLASS_INSTEAD;
        }
        if let Some(seconds) = record.trash_seconds
            && has_class(kind)
        {
            self.namespace.keep_trash_seconds(inode, seconds);
        }
        let class = usize::from(node.class.0);
        *uses[class].of(kind == NodeKind::Directory) += u32::from(class != 0);
        node.set_counted_copies(copies[class]);
        let store = &mut self.namespace.store;
        match record.body {
            NodeBody::Plain if kind == NodeKind::Directory => {
                node.links = 2;
                let dir = DirRecord {
                    inode: inode.0,
                    ..DirRecord::default()
                };
                node.set_dir(store.dirs.insert(dir).ok_or(Problem::OutOfMemory)?);
            }
            NodeBody::Plain => {}
            NodeBody::Device(rdev) => node.set_rdev(rdev),
            NodeBody::Symlink(target) => {
                let offset = store.names.insert(target).ok_or(Problem::OutOfMemory)?;
                node.set_target(offset, target.len());
                if record.target_replaced {
                    self.problem(Problem::TargetReplaced(inode))?;
                }
            }
            NodeBody::Data { length, chunks, .. } => {
                if chunks.ends_with_hole() {
                    self.problem(Problem::NodeHole(inode))?;
                }
                node.set_file_length(length);
                for session in record.sessions() {
                    let namespace = &mut self.namespace;
                    if namespace.is_of_1_6() || namespace.sessions.get(session).is_some() {
                        namespace.open.insert(session, inode);
                    }
                }
                let totals = &mut self.namespace.store.totals;
                match kind {
                    NodeKind::Trash => totals.trash_bytes = totals.trash_bytes.wrapping_add(length),
                    NodeKind::Sustained => {
                        totals.sustained_bytes = totals.sustained_bytes.wrapping_add(length)
                    }
                    _ => {}
                }
            }
        }
        let store = &mut self.namespace.store;
        store.totals.inodes += 1;
        store.totals.by_kind[usize::from(kind.number())] += 1;
        store.max_inode = store.max_inode.max(inode.0);
        self.namespace.used.take(inode.0);
        Ok(node)
    }

    /// The word of a chunk list; the chunks get their references. Their records may come later, or
    /// never: then they are unknown.
    #[inline]
    fn slots(&mut self, chunks: ChunkList<'_>, class: ClassId) -> Outcome<u32> {
        let mut word = 0;
        for (index, chunk) in (0..).zip(chunks.iter()) {
            if chunk == ChunkId::HOLE {
                continue;
            }
            let namespace = &mut self.namespace;
            let at = namespace
                .chunks
                .place_or_unknown(chunk)
                .ok_or(Problem::OutOfMemory)?;
            namespace
                .chunks
                .load_reference(&namespace.classes, at, class);
            let slots = &mut namespace.store.slots;
            word = slots.set(word, index, at).ok_or(Problem::OutOfMemory)?;
        }
        Ok(word)
    }
}
