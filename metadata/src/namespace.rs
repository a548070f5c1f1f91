//! The whole state, and how its parts are reached.

use crate::acl::Acls;
use crate::chunk_table::ChunkTable;
use crate::flock::Flocks;
use crate::older::Older;
use crate::open_files::OpenFiles;
use crate::posix_lock::PosixLocks;
use crate::quota::Quotas;
use crate::server_table::ServerTable;
use crate::session::Sessions;
use crate::storage_class::StorageClasses;
use crate::store::Store;
use crate::store::index::Index;
use crate::store::inode_map::InodeMap;
use crate::store::node::NodeRecord;
use crate::tree::TRASH_HOURS_DEFAULT;
use crate::tx::Tx;
use crate::xattr::Xattrs;
use proto::changelog::Entry;
use proto::{ClassId, Inode, MetaId, MetaVersion, NodeKind, Status};

/// Every persistent fact about one file system.
#[derive(Debug)]
pub struct Namespace {
    /// Number of the next change.
    pub(crate) version: MetaVersion,
    /// Identity of the file system; 0 until SETMETAID.
    pub(crate) metaid: MetaId,
    /// Inodes, names, trash and freed numbers.
    pub(crate) store: Store,
    /// Where names are; derived.
    pub(crate) index: Index,
    /// Which inode numbers are taken; derived.
    pub(crate) used: InodeMap,
    /// Chunk records.
    pub(crate) chunks: ChunkTable,
    /// Client sessions.
    pub(crate) sessions: Sessions,
    /// Storage classes.
    pub(crate) classes: StorageClasses,
    /// Quotas of directories.
    pub(crate) quotas: Quotas,
    /// Extended attributes.
    pub(crate) xattrs: Xattrs,
    /// POSIX ACLs.
    pub(crate) acls: Acls,
    /// Which session has which file open.
    pub(crate) open: OpenFiles,
    /// Whole-file locks.
    pub(crate) flocks: Flocks,
    /// Byte-range locks.
    pub(crate) posix_locks: PosixLocks,
    /// Chunkservers that are known.
    pub(crate) servers: ServerTable,
    /// Rules of the older master whose file was loaded, until one of today takes over.
    pub(crate) older: Option<Box<Older>>,
}

impl Default for Namespace {
    /// [`Namespace::empty`] with seed 0, for tests.
    fn default() -> Self {
        Namespace::empty(0)
    }
}

impl Namespace {
    /// Nothing at all, not even a root directory: what an image is loaded into. `seed` should be
    /// random: whoever knows it can make names that slow lookups down.
    pub fn empty(seed: u64) -> Namespace {
        Namespace {
            version: MetaVersion(0),
            metaid: MetaId(0),
            store: Store::default(),
            index: Index::new(seed),
            used: InodeMap::default(),
            chunks: ChunkTable::default(),
            sessions: Sessions::default(),
            classes: StorageClasses::default(),
            quotas: Quotas::default(),
            xattrs: Xattrs::default(),
            acls: Acls::default(),
            open: OpenFiles::default(),
            flocks: Flocks::default(),
            posix_locks: PosixLocks::default(),
            servers: ServerTable::default(),
            older: None,
        }
    }

    /// A new file system (metadata-and-changelog §1.7): a root directory with mode 0777 and class 2.
    ///
    /// # Errors
    /// 9: no memory.
    pub fn new(seed: u64, now: u32) -> Result<Namespace, Status> {
        let mut namespace = Namespace::empty(seed);
        namespace.version = MetaVersion(1);
        let mut root = NodeRecord::new(NodeKind::Directory, 0o777);
        root.class = ClassId(2);
        root.trash_hours = TRASH_HOURS_DEFAULT;
        root.links = 2;
        (root.atime, root.mtime, root.ctime) = (now, now, now);
        namespace.store_inode(Inode::ROOT, root)?;
        Ok(namespace)
    }

    /// Number of the next change.
    pub fn version(&self) -> MetaVersion {
        self.version
    }

    /// Identity of the file system; 0 until it is set.
    pub fn metaid(&self) -> MetaId {
        self.metaid
    }

    /// Writes the line of a change that was made, and counts it.
    pub(crate) fn log(&mut self, tx: &mut Tx<'_>, entry: &Entry<'_>) {
        self.log_books(tx, entry);
        // Sessions tell their open files again when they come back.
        let keeps_books = matches!(
            entry,
            Entry::Access { .. } | Entry::Acquire { .. } | Entry::Release { .. }
        );
        if !keeps_books {
            tx.out.lines.bind();
        }
    }

    /// The same for a change on which nobody relies, see [`crate::tx::Lines::are_binding`].
    pub(crate) fn log_books(&mut self, tx: &mut Tx<'_>, entry: &Entry<'_>) {
        if self.older.is_some() {
            self.end_older();
        }
        entry.write(tx.now, tx.out.lines.begin(self.version));
        tx.out.lines.end();
        self.version.0 += 1;
    }
}
