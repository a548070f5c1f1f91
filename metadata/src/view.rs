//! A frozen copy of the whole state, for the image saver.

use crate::Namespace;
use crate::acl::Acls;
use crate::chunk_table::ChunkRecord;
use crate::flock::Flocks;
use crate::open_files::OpenFiles;
use crate::posix_lock::PosixLocks;
use crate::quota::Quotas;
use crate::server_table::ServerTable;
use crate::session::Sessions;
use crate::storage_class::StorageClasses;
use crate::store::Store;
use crate::store::edge::EdgeRecord;
use crate::store::node::NodeRecord;
use crate::store::pages::Slab;
use crate::xattr::Xattrs;
use proto::{ChunkId, Inode, MetaId, MetaVersion};

/// The state at one version. Made in microseconds; shares its pages with the namespace, which copies
/// a page when it changes it.
#[derive(Clone, Debug)]
pub struct View {
    pub(crate) version: MetaVersion,
    pub(crate) metaid: MetaId,
    pub(crate) store: Store,
    pub(crate) chunks: Slab<ChunkRecord, 256>,
    pub(crate) next_chunk_id: ChunkId,
    pub(crate) sessions: Sessions,
    pub(crate) classes: StorageClasses,
    pub(crate) quotas: Quotas,
    pub(crate) xattrs: Xattrs,
    pub(crate) acls: Acls,
    pub(crate) open: OpenFiles,
    pub(crate) flocks: Flocks,
    pub(crate) posix_locks: PosixLocks,
    pub(crate) servers: ServerTable,
}

const _: () = {
    const fn goes_to_another_thread<T: Send + Sync>() {}
    goes_to_another_thread::<View>();
};

impl Namespace {
    /// Freezes the state as it is.
    pub fn freeze(&self) -> View {
        View {
            version: self.version,
            metaid: self.metaid,
            store: self.store.clone(),
            chunks: self.chunks.records.clone(),
            next_chunk_id: self.chunks.next_id,
            sessions: self.sessions.clone(),
            classes: self.classes.clone(),
            quotas: self.quotas.clone(),
            xattrs: self.xattrs.clone(),
            acls: self.acls.clone(),
            open: self.open.clone(),
            flocks: self.flocks.clone(),
            posix_locks: self.posix_locks.clone(),
            servers: self.servers.clone(),
        }
    }
}

impl View {
    /// Number of the change that follows this state.
    pub fn version(&self) -> MetaVersion {
        self.version
    }

    /// Identity of the file system.
    pub fn metaid(&self) -> MetaId {
        self.metaid
    }

    /// All inodes, ascending.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Inode, &NodeRecord)> {
        self.store.inodes()
    }

    /// Slots of a file up to its last chunk, holes as 0.
    pub(crate) fn file_chunks(&self, node: &NodeRecord) -> impl ExactSizeIterator<Item = ChunkId> {
        let word = node.slots();
        (0..self.store.slots.len(word)).map(move |index| match self.store.slots.get(word, index) {
            0 => ChunkId::HOLE,
            at => self
                .chunks
                .get(at)
                .map_or(ChunkId::HOLE, |record| record.id),
        })
    }

    /// All names in the order of the image (metadata-and-changelog §1.4.4): each directory as a
    /// whole, depth first from the root; then trash, then sustained files.
    pub(crate) fn names(&self) -> impl Iterator<Item = &EdgeRecord> {
        let store = &self.store;
        let mut directories = vec![Inode::ROOT];
        let tree = std::iter::from_fn(move || {
            let directory = directories.pop()?;
            let children = store.entries(directory).filter_map(|(_, edge)| {
                let child = Inode(edge.child);
                store.node(child)?.is_dir().then_some(child)
            });
            let first = directories.len();
            directories.extend(children);
            directories[first..].reverse();
            Some(store.entries(directory).map(|(_, edge)| edge))
        });
        let detached = store.trash.iter().chain(store.sustained.iter());
        tree.flatten()
            .chain(detached.flat_map(|&first| store.entries_from(first).map(|(_, edge)| edge)))
    }

    /// All chunk records.
    pub(crate) fn chunk_records(&self) -> impl Iterator<Item = &ChunkRecord> {
        self.chunks
            .iter()
            .map(|(_, record)| record)
            .filter(|record| record.is_known())
    }
}
