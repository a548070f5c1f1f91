//! The whole state, and how its parts are reached.

use crate::acl::Acls;
use crate::chunk_table::ChunkTable;
use crate::flock::Flocks;
use crate::open_files::OpenFiles;
use crate::posix_lock::PosixLocks;
use crate::quota::Quotas;
use crate::server_table::ServerTable;
use crate::session::Sessions;
use crate::storage_class::StorageClasses;
use crate::store::Store;
use crate::tx::Tx;
use crate::xattr::Xattrs;
use proto::changelog::Entry;
use proto::{MetaId, MetaVersion};

/// Every persistent fact about one file system.
#[derive(Debug, Default)]
pub struct Namespace {
    /// Number of the next change.
    pub(crate) version: MetaVersion,
    /// Identity of the file system; 0 until SETMETAID.
    pub(crate) metaid: MetaId,
    /// Inodes, names, trash and freed numbers.
    pub(crate) store: Store,
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
}

impl Namespace {
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
        entry.write(tx.now, tx.out.lines.begin(self.version));
        tx.out.lines.end();
        self.version.0 += 1;
    }
}
