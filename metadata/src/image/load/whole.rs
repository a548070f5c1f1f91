//! What can be known only when the whole file has been read: derived values, and whether the tree
//! is one (metadata-and-changelog §1.3, §1.5).

use super::{Loader, Outcome};
use crate::image::{Problem, problem::Edge};
use crate::store::dirs::DirStats;
use proto::{ChunkId, Inode};

impl Loader<'_> {
    pub(super) fn complete(&mut self) -> Outcome<()> {
        let root = self.namespace.store.node(Inode::ROOT);
        if !root.is_some_and(|root| root.is_dir()) {
            return Err(Problem::RootMissing);
        }
        let hashes = std::mem::take(&mut self.edges.hashes);
        let suspects = self.namespace.index.fill(&hashes);
        drop(hashes);
        self.attach_strays()?;
        self.attach_orphans()?;
        self.sum_directories()?;
        self.drop_repeated_names(&suspects)?;
        self.check_next_chunk()
    }

    /// Drops the second of two equal names; what had it may become an orphan.
    fn drop_repeated_names(&mut self, suspects: &[(u32, u32)]) -> Outcome<()> {
        let now = self.options.now;
        for &(first, second) in suspects {
            let store = &self.namespace.store;
            let pair = (store.edges.get(first), store.edges.get(second));
            let (Some(&one), Some(&other)) = pair else {
                continue;
            };
            // An edge that was dropped before has no child any more.
            let both = one.child != 0 && other.child != 0;
            if !both || one.parent != other.parent || store.name(&one) != store.name(&other) {
                continue;
            }
            let child = Inode(other.child);
            let edge = Edge {
                parent: Inode(other.parent),
                child,
                name: store.name(&other).into(),
            };
            self.problem(Problem::EdgeRepeated(edge))?;
            self.namespace.detach(now, second);
            if self.namespace.store.names_of(child).next().is_none() {
                let base = format!("lost_node_{child}");
                let name = self.free_name(base.clone(), base.as_bytes());
                self.namespace
                    .attach(now, Inode::ROOT, &name, child)
                    .map_err(|_| Problem::OutOfMemory)?;
            }
        }
        Ok(())
    }

    fn attach_strays(&mut self) -> Outcome<()> {
        for (child, name) in std::mem::take(&mut self.edges.stray) {
            let free = self.free_name(String::from_utf8_lossy(&name).into_owned(), &name);
            self.attach_to_root(&free, child)?;
        }
        Ok(())
    }

    /// The name, or with a number behind it when the root has it.
    fn free_name(&self, base: String, name: &[u8]) -> Vec<u8> {
        if self.namespace.find(Inode::ROOT, name).is_none() {
            return name.to_vec();
        }
        let numbered = (0u32..).map(|number| format!("{base}.{number}").into_bytes());
        let mut free = numbered.filter(|name| self.namespace.find(Inode::ROOT, name).is_none());
        free.next().unwrap_or_default()
    }

    fn attach_orphans(&mut self) -> Outcome<()> {
        let store = &self.namespace.store;
        let nameless: Vec<Inode> = store
            .inodes()
            .filter(|(inode, node)| node.names == 0 && *inode != Inode::ROOT)
            .map(|(inode, _)| inode)
            .collect();
        for inode in nameless {
            self.problem(Problem::Orphan(inode))?;
            let base = format!("lost_node_{inode}");
            let node = self.namespace.store.node(inode);
            if node.is_some_and(|node| node.kind().is_detached()) {
                self.namespace
                    .name_detached(inode, base.as_bytes())
                    .map_err(|_| Problem::OutOfMemory)?;
                continue;
            }
            let name = self.free_name(base.clone(), base.as_bytes());
            self.attach_to_root(&name, inode)?;
        }
        Ok(())
    }

    /// Adds what lies below each directory to the one above it, deepest first. Every directory has
    /// one name; those that are not reached from the root lie in a loop.
    fn sum_directories(&mut self) -> Outcome<()> {
        let mut edges = std::mem::take(&mut self.edges.directories);
        edges.sort_unstable();
        let mut order: Vec<(u32, u32)> = Vec::with_capacity(edges.len());
        let below = |parent: u32| {
            let start = edges.partition_point(|edge| edge.0 < parent);
            let end = edges.partition_point(|edge| edge.0 <= parent);
            &edges[start..end]
        };
        order.extend_from_slice(below(Inode::ROOT.0));
        let mut next = 0;
        while let Some(&(_, directory)) = order.get(next) {
            order.extend_from_slice(below(directory));
            next += 1;
        }
        if order.len() != edges.len() {
            let reached: std::collections::HashSet<u32> =
                order.iter().map(|(_, child)| *child).collect();
            let lost = edges.iter().find(|(_, child)| !reached.contains(child));
            let lost = lost.map_or(Inode(0), |(_, child)| Inode(*child));
            return Err(Problem::DirectoryLoop(lost));
        }
        let store = &mut self.namespace.store;
        let itself = DirStats {
            inodes: 1,
            dirs: 1,
            ..DirStats::default()
        };
        for &(parent, child) in order.iter().rev() {
            let stats = store.dir(Inode(child)).map(|dir| dir.stats);
            let dir = store.node(Inode(parent)).map_or(0, |node| node.dir());
            if let Some(record) = store.dirs.get_mut(dir) {
                record.stats = record.stats.plus(stats.unwrap_or_default()).plus(itself);
            }
        }
        Ok(())
    }

    /// A chunk number is never given twice.
    fn check_next_chunk(&mut self) -> Outcome<()> {
        let chunks = &self.namespace.chunks;
        let highest = chunks.records.iter().map(|(_, record)| record.id.0).max();
        let least = highest.unwrap_or(0) + 1;
        if chunks.next_id.0 < least {
            self.namespace.chunks.next_id = ChunkId(least);
            self.problem(Problem::NextChunk(least))?;
        }
        Ok(())
    }
}
