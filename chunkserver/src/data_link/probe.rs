//! Block count and checksums of a copy (chunkserver §3.6).

use super::{Closed, Link};
use crate::disk_pool::NotRun;
use crate::server::Server;
use crate::store::layout::TABLE_LEN;
use proto::chunkserver::{
    ChecksumTable, ChunkBlocks, ChunkChecksum, ChunkChecksumTable, GetChunkBlocks,
    GetChunkChecksum, GetChunkChecksumTable, checksum_of_table,
};
use proto::{ChunkId, ChunkVersion, Status};
use std::sync::Arc;

/// Number of blocks and CRCs of a copy.
pub async fn look(
    server: &Arc<Server>,
    chunk: ChunkId,
    version: ChunkVersion,
) -> Result<(u16, [u8; TABLE_LEN]), Status> {
    let disk = server.store.disk_of(chunk)?;
    let open = server.store.find(chunk, version)?;
    let store = Arc::clone(&server.store);
    match disk.pool.run(move || store.table(&open, version)).await {
        Ok(result) => result,
        Err(NotRun::Full(_) | NotRun::TooLate) => Err(Status::NotDone),
    }
}

pub(super) async fn blocks(link: &Link, request: GetChunkBlocks) -> Result<(), Closed> {
    let GetChunkBlocks { chunk, version } = request;
    let (blocks, status) = match look(&link.server, chunk, version).await {
        Ok((blocks, _)) => (blocks, Status::Ok),
        Err(status) => (0, status),
    };
    let mut out = Vec::new();
    ChunkBlocks {
        chunk,
        version,
        blocks,
        status,
    }
    .encode(&mut out);
    link.send(&out).await
}

pub(super) async fn checksum(link: &Link, request: GetChunkChecksum) -> Result<(), Closed> {
    let GetChunkChecksum { chunk, version } = request;
    let looked = look(&link.server, chunk, version).await;
    let mut out = Vec::new();
    ChunkChecksum {
        chunk,
        version,
        result: looked.map(|(_, table)| checksum_of_table(ChecksumTable(&table))),
    }
    .encode(&mut out);
    link.send(&out).await
}

pub(super) async fn table(link: &Link, request: GetChunkChecksumTable) -> Result<(), Closed> {
    let GetChunkChecksumTable { chunk, version } = request;
    let looked = look(&link.server, chunk, version).await;
    let mut out = Vec::new();
    ChunkChecksumTable {
        chunk,
        version,
        result: match &looked {
            Ok((_, table)) => Ok(ChecksumTable(table)),
            Err(status) => Err(*status),
        },
    }
    .encode(&mut out);
    link.send(&out).await
}
