//! NODE: inodes with their chunk lists.

use super::{Loader, Outcome};
use crate::image::Problem;
use crate::storage_class::ClassUses;
use crate::store::dirs::DirRecord;
use crate::store::node::NodeRecord as Node;
use crate::tree::TRASH_HOURS_DEFAULT;
use proto::image::{ChunkList, NodeBody, NodeHeader, NodeRecord};
use proto::{ClassId, Inode, NodeKind};

impl Loader<'_> {
    pub(super) fn nodes(&mut self, version: u8) -> Outcome<()> {
        let header = NodeHeader::decode(&mut self.reader, self.container, version)?;
        let store = &mut self.namespace.store;
        store.max_inode = store.max_inode.max(header.max_inode);
        let copies: [u8; 256] =
            std::array::from_fn(|id| self.namespace.classes.counted_copies(ClassId(id as u8)));
        let mut uses = [ClassUses::default(); 256];
        while let Some(record) = NodeRecord::decode(&mut self.reader, version)? {
            self.node(&record, version, &copies, &mut uses)?;
        }
        for (id, count) in (0..=u8::MAX).zip(uses) {
            self.namespace.classes.add_uses(ClassId(id), count);
        }
        Ok(())
    }

    #[inline]
    fn node(
        &mut self,
        record: &NodeRecord<'_>,
        version: u8,
        copies: &[u8; 256],
        uses: &mut [ClassUses; 256],
    ) -> Outcome<()> {
        let attributes = &record.attributes;
        let (inode, kind) = (attributes.inode, attributes.kind);
        if inode == Inode(0) {
            return Err(Problem::NodeZero);
        }
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
        if version <= 0x13 && !kind.has_data() && kind != NodeKind::Directory {
            // Older versions kept a goal and a trash time of everything.
            node.class = ClassId(0);
            node.trash_hours = TRASH_HOURS_DEFAULT;
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
                node.set_file_length(length);
                node.set_slots(self.slots(chunks, node.class)?);
                for session in record.sessions() {
                    if self.namespace.sessions.get(session).is_some() {
                        self.namespace.open.insert(session, inode);
                    }
                }
                let totals = &mut self.namespace.store.totals;
                match kind {
                    NodeKind::Trash => totals.trash_bytes += length,
                    NodeKind::Sustained => totals.sustained_bytes += length,
                    _ => {}
                }
            }
        }
        let store = &mut self.namespace.store;
        store.totals.inodes += 1;
        store.totals.by_kind[usize::from(kind.number())] += 1;
        store.max_inode = store.max_inode.max(inode.0);
        let slot = store.nodes.slot(inode.0);
        if slot.kind_if_used().is_some() {
            return Err(Problem::NodeRepeated(inode));
        }
        *slot = node;
        self.namespace.used.take(inode.0);
        Ok(())
    }

    /// The word of a chunk list; the chunks get their references. Their records may come later, or
    /// never: then they are unknown.
    #[inline]
    fn slots(&mut self, chunks: ChunkList<'_>, class: ClassId) -> Outcome<u32> {
        let mut word = 0;
        for (index, chunk) in (0..).zip(chunks.iter()) {
            if chunk == proto::ChunkId::HOLE {
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
