//! What can be known only when the whole file has been read: derived values, and whether the tree
//! is one (metadata-and-changelog §1.3, §1.5).

use super::{Loader, Outcome};
use crate::image::{Problem, problem::Edge};
use crate::store::dirs::DirStats;
use proto::{ChunkId, Inode};
use std::collections::{HashMap, HashSet};

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
        self.check_max_inode()?;
        self.check_chunks()
    }

    fn check_max_inode(&mut self) -> Outcome<()> {
        let store = &mut self.namespace.store;
        let freed = store.freed.iter().map(|freed| freed.inode.0).max();
        store.max_inode = store.max_inode.max(freed.unwrap_or(0));
        let max_inode = Inode(store.max_inode);
        if self
            .stated_max_inode
            .is_some_and(|stated| stated < max_inode.0)
        {
            self.problem(Problem::MaxInode(max_inode))?;
        }
        Ok(())
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
    /// one name; those that are not reached from the root lie in a loop, or below one.
    fn sum_directories(&mut self) -> Outcome<()> {
        let mut order = Vec::new();
        if !self.reach(&mut order) {
            let reached: HashSet<u32> = order.iter().map(|(_, child)| *child).collect();
            for inode in self.loops(&reached) {
                self.problem(Problem::DirectoryLoop(inode))?;
                self.namespace.unname_directory(inode);
                self.edges
                    .directories
                    .retain(|(_, child)| *child != inode.0);
                let base = format!("lost_node_{inode}");
                let name = self.free_name(base.clone(), base.as_bytes());
                self.attach_to_root(&name, inode)?;
            }
            order.clear();
            self.reach(&mut order);
        }
        self.edges.directories = Vec::new();
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

    /// The directories below the root with their parents, parents first; whether these are all.
    fn reach(&mut self, order: &mut Vec<(u32, u32)>) -> bool {
        let edges = &mut self.edges.directories;
        edges.sort_unstable();
        order.reserve(edges.len());
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
        order.len() == edges.len()
    }

    /// One directory of each loop, the one that is found first.
    fn loops(&self, reached: &HashSet<u32>) -> Vec<Inode> {
        let parents: HashMap<u32, u32> = self
            .edges
            .directories
            .iter()
            .map(|&(parent, child)| (child, parent))
            .collect();
        let mut found = Vec::new();
        // Directories that were looked at, by the one from which the way up began.
        let mut seen: HashMap<u32, u32> = HashMap::new();
        for &(_, start) in &self.edges.directories {
            let mut directory = start;
            while !reached.contains(&directory) && !seen.contains_key(&directory) {
                seen.insert(directory, start);
                directory = parents.get(&directory).copied().unwrap_or(Inode::ROOT.0);
            }
            if seen.get(&directory) == Some(&start) && directory != Inode::ROOT.0 {
                found.push(Inode(directory));
            }
        }
        found
    }

    /// A chunk number is never given twice, and every number of a file should be that of a chunk.
    fn check_chunks(&mut self) -> Outcome<()> {
        let chunks = &self.namespace.chunks;
        let (mut highest, mut unknown, mut first) = (0, 0, u64::MAX);
        for (_, record) in chunks.records.iter() {
            highest = highest.max(record.id.0);
            if record.unknown {
                unknown += 1;
                first = first.min(record.id.0);
            }
        }
        let least = highest.saturating_add(1);
        if chunks.next_id.0 < least {
            self.namespace.chunks.next_id = ChunkId(least);
            self.problem(Problem::NextChunk(least))?;
        }
        if unknown > 0 {
            let count = unknown;
            self.problem(Problem::ChunksUnknown { count, first })?;
        }
        Ok(())
    }
}
