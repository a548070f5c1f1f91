//! Chunkserver and master on port 9420, and the data port 9422 (chunkserver §1–§3).
//!
//! [`FromChunkserver`] and [`FromMaster`] are the two directions of a 9420 connection,
//! [`DataRequest`] and [`DataReply`] those of the data port. Lists of chunks are views of the
//! packet. Monitoring messages of the data port are in [`crate::admin`].

mod ack;
mod chunk;
mod command;
mod data;
mod erasure;
mod gate;
mod probe;
mod register;
mod report;

pub use ack::{Agreed, MasterAck, authentication_digest};
pub use chunk::{ReportedChunk, Usage};
pub use command::{
    ChunkOp, ChunkOpStatus, Create, CreateStatus, Delete, DeleteStatus, Duplicate, DuplicateStatus,
    DuplicateTruncate, DuplicateTruncateStatus, Replicate, ReplicateSource, ReplicateSources,
    ReplicateStatus, SetVersion, SetVersionStatus, Truncate, TruncateStatus,
};
pub use data::{
    Protocol, Read, ReadData, ReadDataHeader, ReadStatus, Write, WriteData, WriteDataHeader,
    WriteFinish, WriteStatus,
};
pub use erasure::{
    ChunkPart, ChunkStatus, ChunkStatusReply, ForceTimeout, LocalSplit, LocalSplitStatus,
    PartSource, RegisterFirst, ReplicateJoin, ReplicateJoinStatus, ReplicateRecover,
    ReplicateRecoverStatus, ReplicateSplit, ReplicateSplitStatus,
};
pub use probe::{
    ChecksumTable, ChunkBlocks, ChunkChecksum, ChunkChecksumTable, ClearErrors, ErrorsCleared,
    GetChunkBlocks, GetChunkChecksum, GetChunkChecksumTable, checksum_of_table,
};
pub use register::{Begin, Complete, CompleteForm, Enrolment, Register, Style};
pub use report::{
    ChunkDamaged, ChunkDoesNotExist, ChunkLost, ChunkNew, CurrentLoad, ErrorOccurred, Labels,
    LoadState, Space, SpaceForm, Syslog,
};

use crate::common::{BadCommandSize, ConfigValue, GetConfig, GetVersion, Nop, UnknownCommand};
use crate::message::direction;
use crate::wire::Malformed;

/// Largest payload that a chunkserver accepts from the master, in bytes.
pub const FROM_MASTER_PAYLOAD_MAX: u32 = 10_000;
/// Largest payload that a master accepts from a chunkserver, in bytes.
pub const FROM_CHUNKSERVER_PAYLOAD_MAX: u32 = 500_000_000;
/// Largest payload on the data port, in bytes, either direction.
pub const DATA_PAYLOAD_MAX: u32 = 100_000;

/// Bytes of a chunk.
pub const CHUNK_SIZE: u32 = 0x0400_0000;
/// Bytes of a block.
pub const BLOCK_SIZE: u32 = 0x1_0000;
/// Blocks of a chunk.
pub const BLOCKS_PER_CHUNK: u16 = 1024;

direction! {
    /// What a chunkserver sends to the master.
    FromChunkserver<'a> {
        /// Sign of life.
        Nop,
        /// To be ignored.
        UnknownCommand<'a>,
        /// To be ignored.
        BadCommandSize<'a>,
        /// Answered before registration too.
        GetVersion,
        /// Answered before registration too.
        GetConfig<'a>,
        /// A step of the registration, or the end of it.
        Register<'a>,
        /// Disk space.
        Space,
        /// Copies that gave an error.
        ChunkDamaged<'a>,
        /// Load of the worker pool.
        CurrentLoad,
        /// Copies that are gone.
        ChunkLost<'a>,
        /// One error on a disk.
        ErrorOccurred,
        /// Copies that were found or changed.
        ChunkNew<'a>,
        /// The server's labels.
        Labels,
        /// Chunks that a command or a client named and that are not here (4.32).
        ChunkDoesNotExist<'a>,
        /// Parts of a chunk (4.32).
        ChunkStatusReply<'a>,
        /// A line for the master's log (4.x).
        Syslog<'a>,
        /// Reply to [`Create`].
        CreateStatus,
        /// Reply to [`Delete`].
        DeleteStatus,
        /// Reply to [`Duplicate`].
        DuplicateStatus,
        /// Reply to [`SetVersion`].
        SetVersionStatus,
        /// Reply to [`Replicate`].
        ReplicateStatus,
        /// Reply to [`ChunkOp`]; closes the connection at every original master.
        ChunkOpStatus,
        /// Reply to [`Truncate`].
        TruncateStatus,
        /// Reply to [`DuplicateTruncate`].
        DuplicateTruncateStatus,
        /// Reply to [`ReplicateSplit`] (4.x).
        ReplicateSplitStatus,
        /// Reply to [`ReplicateRecover`] (4.x).
        ReplicateRecoverStatus,
        /// Reply to [`ReplicateJoin`] (4.x).
        ReplicateJoinStatus,
        /// Reply to [`LocalSplit`] (4.x).
        LocalSplitStatus,
        /// Reply to [`GetChunkBlocks`]; closes the connection at every original master.
        ChunkBlocks,
        /// Reply to [`GetChunkChecksum`].
        ChunkChecksum,
        /// Reply to [`GetChunkChecksumTable`]; closes the connection at every original master.
        ChunkChecksumTable<'a>,
    }
}

direction! {
    /// What a master sends to a chunkserver.
    FromMaster<'a> {
        /// Sign of life.
        Nop,
        /// To be ignored.
        UnknownCommand<'a>,
        /// To be ignored.
        BadCommandSize<'a>,
        /// Reply to [`GetConfig`].
        ConfigValue<'a>,
        /// New timeout of the connection (4.12).
        ForceTimeout,
        /// Answer to a step of the registration.
        MasterAck,
        /// Make an empty chunk.
        Create,
        /// Remove a copy.
        Delete,
        /// Copy a chunk under a new id.
        Duplicate,
        /// Change the version of a copy.
        SetVersion,
        /// Fetch a copy from other servers.
        Replicate<'a>,
        /// The general command.
        ChunkOp,
        /// Change version and length.
        Truncate,
        /// Copy a chunk under a new id with another length.
        DuplicateTruncate,
        /// Count the blocks of a copy.
        GetChunkBlocks,
        /// Checksum over the CRCs of a copy.
        GetChunkChecksum,
        /// CRCs of a copy.
        GetChunkChecksumTable,
        /// Ask for the parts of a chunk (4.32).
        ChunkStatus,
        /// Report this chunk early (4.30).
        RegisterFirst,
        /// Make an erasure-coded part from a plain copy (4.x).
        ReplicateSplit,
        /// Make a lost part from the others (4.x).
        ReplicateRecover<'a>,
        /// Make a plain copy from parts (4.x).
        ReplicateJoin<'a>,
        /// Split a local copy into parts (4.x).
        LocalSplit,
    }
}

direction! {
    /// What a client or another chunkserver sends to a data port.
    DataRequest<'a> {
        /// Keeps the connection open.
        Nop,
        /// Asks for the version.
        GetVersion,
        /// Asks for a value of the configuration.
        GetConfig<'a>,
        /// Read a range of a chunk.
        Read,
        /// Open a chain for writing.
        Write<'a>,
        /// Write a piece of a block.
        WriteData<'a>,
        /// End of the writes.
        WriteFinish,
        /// Count the blocks of a copy.
        GetChunkBlocks,
        /// Checksum over the CRCs of a copy.
        GetChunkChecksum,
        /// CRCs of a copy.
        GetChunkChecksumTable,
        /// Reset the error of a disk (4.x).
        ClearErrors<'a>,
    }
}

direction! {
    /// What a data port answers.
    DataReply<'a> {
        /// Keeps the connection open.
        Nop,
        /// Value of the configuration.
        ConfigValue<'a>,
        /// End of a read.
        ReadStatus,
        /// A piece of a block.
        ReadData<'a>,
        /// Outcome of opening the chain, or of one write.
        WriteStatus,
        /// Number of blocks.
        ChunkBlocks,
        /// Checksum over the CRCs.
        ChunkChecksum,
        /// The CRCs.
        ChunkChecksumTable<'a>,
        /// Reply to [`ClearErrors`] (4.x).
        ErrorsCleared,
    }
}

/// Fails unless a length is what the layout asks for.
fn require(condition: bool) -> Result<(), Malformed> {
    if condition { Ok(()) } else { Err(Malformed) }
}
