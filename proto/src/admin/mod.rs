//! Monitoring and administration: messages of the client port 9421 and of the data port 9422
//! (wire-admin §3–§5).
//!
//! [`MasterRequest`] and [`ChunkserverRequest`] are what the two kinds of daemons serve. Replies
//! are read with their own `decode`, since some need the request or the daemon's version. Their
//! types are those of the requests plus one.

mod charts;
mod classes;
mod daemon;
mod disks;
mod exports;
mod files;
mod info;
mod loops;
mod matrix;
mod quotas;
mod request;
mod servers;
mod sessions;
mod stats_file;

pub use charts::{
    ChartData, ChartId, ChartImage, ChartName, GetChartData, GetChartImage, GetMonotonic,
    Monotonic, NO_DATA,
};
pub use classes::{
    ClassChunks, ClassEntry, ClassForm, ClassList, GetStorageClasses, LabelExpression, LabelSet,
};
pub use daemon::{
    GetMemoryDetail, GetModuleInfo, MEMORY_KINDS, MemoryArea, MemoryDetail, ModuleInfo, ModuleKind,
};
pub use disks::{Disk, DiskEntry, DiskList, DiskStats, GetDisks, OldDiskList, disk_flags};
pub use exports::{ExportEntry, ExportForm, ExportList, GetExports};
pub use files::{
    FileLock, GetLocks, GetNodeInfo, GetOpenFiles, GetPaths, InodePaths, LockEntry, LockList,
    Locks, NodeChunk, NodeContent, NodeInfo, OpenFile, OpenFileList, OpenFiles, PathList,
};
pub use info::{GetInfo, Info, InfoForm, MasterState};
pub use loops::{
    ChunkLoop, ChunkLoopForm, FileCheck, FileCheckForm, GetChunkLoop, GetFileCheck,
    GetMissingChunks, MissingChunk, MissingChunkForm, MissingChunkList,
};
pub use matrix::{ChunkMatrix, GetChunkMatrix, MATRIX_SIDE, Matrix};
pub use quotas::{Amounts, GetQuotas, NOT_EXCEEDED, QuotaEntry, QuotaForm, QuotaList};
pub use servers::{
    ChunkserverAction, ChunkserverCommand, ChunkserverCommandStatus, ChunkserverEntry,
    ChunkserverForm, ChunkserverList, GetChunkservers, GetMetaloggers, HEAVY_LOAD,
    INTERNAL_REBALANCE, MetaloggerEntry, MetaloggerList, ServerState,
};
pub use sessions::{
    CONNECTED, COUNTERS, GetSessions, ListedSession, SessionCommand, SessionCommandStatus,
    SessionEntry, SessionForm, SessionList,
};
pub use stats_file::{RANGES, SAMPLES, StatsFile, StatsSeries};

use crate::common::{GetConfig, GetVersion};
use crate::message::direction;

direction! {
    /// What a master serves on its client port, besides the messages of mounts and tools.
    MasterRequest<'a> {
        /// Version of the program.
        GetVersion,
        /// Value of the configuration.
        GetConfig<'a>,
        /// List of chunkservers.
        GetChunkservers,
        /// Counters since the start.
        GetMonotonic,
        /// Picture of a chart.
        GetChartImage,
        /// Samples of a chart.
        GetChartData,
        /// List of sessions.
        GetSessions,
        /// State of the cluster.
        GetInfo,
        /// Result of the check of all files.
        GetFileCheck,
        /// Result of the loop over all chunks.
        GetChunkLoop,
        /// Chunks by goal and copies.
        GetChunkMatrix,
        /// List of quotas.
        GetQuotas,
        /// List of exports.
        GetExports,
        /// List of metaloggers.
        GetMetaloggers,
        /// Change of a chunkserver.
        ChunkserverCommand,
        /// Change of a session.
        SessionCommand,
        /// Memory of the master.
        GetMemoryDetail,
        /// Kind of daemon.
        GetModuleInfo,
        /// List of open files.
        GetOpenFiles,
        /// List of locks.
        GetLocks,
        /// Paths of inodes.
        GetPaths<'a>,
        /// List of storage classes.
        GetStorageClasses,
        /// List of missing chunks.
        GetMissingChunks,
        /// Contents of an inode; only for registered sessions.
        GetNodeInfo,
    }
}

direction! {
    /// What a chunkserver serves on its data port, besides the data.
    ChunkserverRequest<'a> {
        /// Version of the program.
        GetVersion,
        /// Value of the configuration.
        GetConfig<'a>,
        /// Counters since the start.
        GetMonotonic,
        /// Picture of a chart.
        GetChartImage,
        /// Samples of a chart.
        GetChartData,
        /// Kind of daemon.
        GetModuleInfo,
        /// List of disks.
        GetDisks,
    }
}
