//! Fetching a chunk from another server (chunkserver §3.7). The copy has version 0 until it is
//! complete; what fails is removed.

use super::frame::Frame;
use super::local_writer::{Item, LocalWriter};
use super::peers::Peer;
use crate::disk_pool::NotRun;
use crate::server::Server;
use crate::store::disk::Disk;
use crate::store::open_chunk::OpenChunk;
use proto::chunkserver::{
    BLOCK_SIZE, BLOCKS_PER_CHUNK, ChunkBlocks, GetChunkBlocks, Protocol, Read, ReadData,
    ReadDataHeader, ReadStatus, WriteDataHeader,
};
use proto::wire::{Field, Reader};
use proto::{ChunkId, ChunkVersion, Status};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Connecting and each step after it may take so long.
const STEP: Duration = Duration::from_secs(5);
/// Blocks that are fetched and not written yet.
const AHEAD_MAX: usize = 16;
/// Bytes of READ_DATA before the data.
const DATA_AT: usize = 20;

/// Makes a copy of the chunk at `source`.
pub async fn replicate(
    server: &Arc<Server>,
    chunk: ChunkId,
    version: ChunkVersion,
    source: SocketAddrV4,
) -> Result<(), Status> {
    let disk = server.store.choose()?;
    let copy = on_disk(&disk, {
        let (store, disk) = (Arc::clone(&server.store), Arc::clone(&disk));
        move || store.create(&disk, chunk, ChunkVersion(0))
    })
    .await?;
    let fetched = fetch(server, &disk, &copy, version, source).await;
    let store = Arc::clone(&server.store);
    match fetched {
        Ok(()) => {
            let finished = on_disk(&disk, {
                let copy = Arc::clone(&copy);
                move || store.finish_copy(&copy, version)
            })
            .await;
            if finished.is_err() {
                discard(server, &disk, copy);
            }
            finished
        }
        Err(status) => {
            discard(server, &disk, copy);
            Err(status)
        }
    }
}

fn discard(server: &Arc<Server>, disk: &Disk, copy: Arc<OpenChunk>) {
    let store = Arc::clone(&server.store);
    disk.pool
        .resume(move || store.discard(&copy, ChunkVersion(0)));
}

async fn on_disk<R: Send + 'static>(
    disk: &Disk,
    job: impl FnOnce() -> Result<R, Status> + Send + 'static,
) -> Result<R, Status> {
    match disk.pool.run(job).await {
        Ok(result) => result,
        Err(NotRun::Full(_) | NotRun::TooLate) => Err(Status::NotDone),
    }
}

async fn fetch(
    server: &Arc<Server>,
    disk: &Arc<Disk>,
    copy: &Arc<OpenChunk>,
    version: ChunkVersion,
    source: SocketAddrV4,
) -> Result<(), Status> {
    let chunk = copy.chunk;
    let mut peer = Peer::connect_once(source, STEP)
        .await
        .map_err(|_| Status::CantConnect)?;
    let mut request = Vec::new();
    GetChunkBlocks { chunk, version }.encode(&mut request);
    send(&peer, &request).await?;
    let reply = next(&mut peer).await?;
    let blocks = blocks_of(&reply, chunk, version)?;
    if blocks == 0 {
        return Ok(());
    }
    request.clear();
    Read {
        protocol: Protocol::Plain,
        chunk,
        version,
        offset: 0,
        size: u32::from(blocks) * BLOCK_SIZE,
    }
    .encode(&mut request);
    send(&peer, &request).await?;
    let writer = LocalWriter::new(&server.store, disk, Arc::clone(copy), ChunkVersion(0));
    let mut ahead = 0;
    for block in 0..blocks {
        let frame = next(&mut peer).await?;
        let size = frame.payload().len() as u64;
        server.counters.servers_in.add(size);
        let item = item_of(frame, chunk, block)?;
        while let Some(status) = writer.try_next() {
            status.ok()?;
            ahead -= 1;
        }
        while ahead >= AHEAD_MAX {
            writer.next().await.ok()?;
            ahead -= 1;
        }
        writer.push(item);
        ahead += 1;
    }
    for _ in 0..ahead {
        writer.next().await.ok()?;
    }
    let end = next(&mut peer).await?;
    match end.kind {
        ReadStatus::KIND => decoded(ReadStatus::decode(end.payload()))?.status.ok(),
        _ => Err(Status::Disconnected),
    }
}

async fn send(peer: &Peer, bytes: &[u8]) -> Result<(), Status> {
    peer.send(bytes).await.map_err(|_| Status::Disconnected)
}

async fn next(peer: &mut Peer) -> Result<Frame, Status> {
    match timeout(STEP, peer.next()).await {
        Ok(Ok(Some(frame))) => Ok(frame),
        _ => Err(Status::Disconnected),
    }
}

fn decoded<T>(result: Result<T, proto::Malformed>) -> Result<T, Status> {
    result.map_err(|_| Status::Disconnected)
}

fn blocks_of(frame: &Frame, chunk: ChunkId, version: ChunkVersion) -> Result<u16, Status> {
    if frame.kind != ChunkBlocks::KIND {
        return Err(Status::Disconnected);
    }
    let reply = decoded(ChunkBlocks::decode(frame.payload()))?;
    if reply.chunk != chunk {
        return Err(Status::WrongChunkId);
    }
    if reply.version != version {
        return Err(Status::WrongVersion);
    }
    reply.status.ok()?;
    match reply.blocks <= BLOCKS_PER_CHUNK {
        true => Ok(reply.blocks),
        false => Err(Status::WrongSize),
    }
}

/// A block that arrived, as a write of it. An end that comes too early is a broken connection.
fn item_of(frame: Frame, chunk: ChunkId, block: u16) -> Result<Item, Status> {
    if frame.kind == ReadStatus::KIND {
        decoded(ReadStatus::decode(frame.payload()))?.status.ok()?;
        return Err(Status::Disconnected);
    }
    if frame.kind != ReadData::KIND {
        return Err(Status::Disconnected);
    }
    let header = decoded(ReadDataHeader::get(&mut Reader::new(frame.payload())))?;
    if header.chunk != chunk {
        return Err(Status::WrongChunkId);
    }
    if header.block != block || header.offset != 0 {
        return Err(Status::WrongOffset);
    }
    if header.size != BLOCK_SIZE || frame.payload().len() != DATA_AT + BLOCK_SIZE as usize {
        return Err(Status::WrongSize);
    }
    Ok(Item {
        header: WriteDataHeader {
            chunk,
            write_id: u32::from(block) + 1,
            block,
            offset: 0,
            size: header.size,
            crc: header.crc,
        },
        frame: Arc::new(frame),
        data_at: DATA_AT,
    })
}
