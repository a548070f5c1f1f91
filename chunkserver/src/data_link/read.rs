//! READ (chunkserver §3.3): the next batch is read while the last one is sent.

use super::frame::{send, send_parts};
use super::{Closed, Link};
use crate::server::Server;
use crate::store::disk::Disk;
use crate::store::layout::BLOCK;
use crate::store::open_chunk::OpenChunk;
use crate::store::serve::{ReadBatch, check_range};
use parking_lot::Mutex;
use proto::chunkserver::{Protocol, Read, ReadDataHeader, ReadStatus};
use proto::common::Nop;
use proto::frame::HEADER_LEN;
use proto::{ChunkId, Status};
use std::io::IoSlice;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Blocks of one batch.
const BATCH_BLOCKS: usize = 4;
/// Batches whose memory is kept.
const SPARE_MAX: usize = 64;
/// A reader hears something this often while the disk works.
const NOP_EVERY: Duration = Duration::from_secs(1);
/// A reader is sent to another copy when the disk gives nothing for so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of a READ_DATA before the data.
const HEAD: usize = HEADER_LEN + 20;

static ZEROS: [u8; BLOCK] = [0; BLOCK];
static SPARE: Mutex<Vec<ReadBatch>> = Mutex::new(Vec::new());

type Answer = oneshot::Receiver<(ReadBatch, Result<(), Status>)>;

struct Source {
    server: Arc<Server>,
    disk: Arc<Disk>,
    open: Arc<OpenChunk>,
    request: Read,
}

/// Serves one READ.
pub async fn serve(link: &mut Link, request: Read) -> Result<(), Closed> {
    link.server.counters.reads.add(1);
    let status = match stream(link, request).await? {
        Ok(()) => Status::Ok,
        Err(status) => status,
    };
    let mut out = Vec::new();
    ReadStatus {
        chunk: request.chunk,
        status,
    }
    .encode(&mut out);
    link.send(&out).await
}

async fn stream(link: &Link, request: Read) -> Result<Result<(), Status>, Closed> {
    if request.size == 0 {
        return Ok(Ok(()));
    }
    let source = match source(&link.server, request) {
        Ok(source) => source,
        Err(status) => return Ok(Err(status)),
    };
    let end = request.offset + request.size;
    let (mut at, first) = (request.offset, next_size(request.offset, end));
    if first == request.size
        && let Some(batch) = source.at_once()
    {
        send_batch(link, request.chunk, &batch).await?;
        recycle(batch);
        return Ok(Ok(()));
    }
    let mut answer = match source.begin(at, first) {
        Ok(answer) => answer,
        Err(status) => return Ok(Err(status)),
    };
    at += first;
    loop {
        let batch = match wait(link, answer, request.protocol).await? {
            Ok(batch) => batch,
            Err(status) => return Ok(Err(status)),
        };
        let size = next_size(at, end);
        let next = (size > 0).then(|| source.begin(at, size));
        at += size;
        send_batch(link, request.chunk, &batch).await?;
        recycle(batch);
        answer = match next {
            None => return Ok(Ok(())),
            Some(Ok(answer)) => answer,
            Some(Err(status)) => return Ok(Err(status)),
        };
    }
}

fn source(server: &Arc<Server>, request: Read) -> Result<Source, Status> {
    check_range(request.offset, request.size)?;
    let disk = server.store.disk_of(request.chunk)?;
    let open = server.store.find(request.chunk, request.version)?;
    if disk.pool.is_full() || disk.pool.is_stalled(Instant::now()) {
        return Err(Status::NotDone);
    }
    Ok(Source {
        server: Arc::clone(server),
        disk,
        open,
        request,
    })
}

/// Bytes of the batch that begins at `at`: it ends at the end of a block.
fn next_size(at: u32, end: u32) -> u32 {
    let border = (at as usize / BLOCK + BATCH_BLOCKS) * BLOCK;
    end.min(border as u32) - at
}

impl Source {
    /// A small request, if the page cache has the data: two changes of thread cost more than the
    /// copy.
    fn at_once(&self) -> Option<ReadBatch> {
        let Read {
            version,
            offset,
            size,
            ..
        } = self.request;
        let mut batch = SPARE.lock().pop().unwrap_or_default();
        let store = &self.server.store;
        match store.read_cached(&self.open, version, offset, size, &mut batch) {
            Some(Ok(())) => Some(batch),
            _ => {
                recycle(batch);
                None
            }
        }
    }

    fn begin(&self, offset: u32, size: u32) -> Result<Answer, Status> {
        let (sender, receiver) = oneshot::channel();
        let (server, open) = (Arc::clone(&self.server), Arc::clone(&self.open));
        let version = self.request.version;
        let submitted = self.disk.pool.submit(move || {
            if sender.is_closed() {
                return;
            }
            let mut batch = SPARE.lock().pop().unwrap_or_default();
            let read = server.store.read(&open, version, offset, size, &mut batch);
            // A reader that is gone needs nothing.
            if let Err((batch, _)) = sender.send((batch, read)) {
                recycle(batch);
            }
        });
        submitted.map(|()| receiver).map_err(|_| Status::NotDone)
    }
}

/// Waits for a batch; the peer hears something meanwhile if it wants to.
async fn wait(
    link: &Link,
    mut answer: Answer,
    protocol: Protocol,
) -> Result<Result<ReadBatch, Status>, Closed> {
    let begun = Instant::now();
    loop {
        match timeout(NOP_EVERY, &mut answer).await {
            Ok(Ok((batch, Ok(())))) => return Ok(Ok(batch)),
            Ok(Ok((batch, Err(status)))) => {
                recycle(batch);
                return Ok(Err(status));
            }
            Ok(Err(_)) => return Ok(Err(Status::NotDone)),
            Err(_) if begun.elapsed() >= PATIENCE => return Ok(Err(Status::NotDone)),
            Err(_) => {
                if protocol == Protocol::Reusing {
                    let mut nop = Vec::new();
                    Nop {}.encode(&mut nop);
                    send(&link.stream, &nop).await?;
                }
            }
        }
    }
}

async fn send_batch(link: &Link, chunk: ChunkId, batch: &ReadBatch) -> Result<(), Closed> {
    let mut heads = Vec::with_capacity(HEAD * batch.pieces.len());
    for piece in &batch.pieces {
        ReadDataHeader {
            chunk,
            block: piece.block,
            offset: piece.offset,
            size: piece.size,
            crc: piece.crc,
        }
        .encode(&mut heads);
    }
    let mut parts = [IoSlice::new(&[]); 2 * (BATCH_BLOCKS + 1)];
    let mut count = 0;
    let mut bytes = heads.len();
    for (piece, head) in batch.pieces.iter().zip(heads.chunks(HEAD)) {
        let size = piece.size as usize;
        let data = match piece.at {
            Some(at) => &batch.data[at..at + size],
            None => &ZEROS[..size],
        };
        if let Some(places) = parts.get_mut(count..count + 2) {
            places[0] = IoSlice::new(head);
            places[1] = IoSlice::new(data);
        }
        count += 2;
        bytes += size;
    }
    let parts = parts.get_mut(..count).ok_or(Closed)?;
    send_parts(&link.stream, parts).await?;
    link.note_sent(bytes);
    Ok(())
}

fn recycle(batch: ReadBatch) {
    let mut spare = SPARE.lock();
    if spare.len() < SPARE_MAX {
        spare.push(batch);
    }
}

#[cfg(test)]
mod tests {
    use super::next_size;

    #[test]
    fn batches_end_at_the_ends_of_blocks() {
        assert_eq!(next_size(0, 100), 100);
        assert_eq!(next_size(10, 10_000_000), 4 * 65_536 - 10);
        assert_eq!(next_size(4 * 65_536, 10_000_000), 4 * 65_536);
        assert_eq!(next_size(65_535, 65_537), 2);
        assert_eq!(next_size(7, 7), 0);
    }
}
