//! Fetching segments from chunkservers: choice of the copy, retries on another one, a second
//! server when the first is slow (client-behaviour §11.3–§11.5).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proto::chunkserver::Protocol;
use proto::{ChunkId, Status};
use rustix::io::Errno;
use tokio::time::Instant;

use super::buffers::Segment;
use crate::chunk_link::{Failure, ReadRequest, read};
use crate::error::{Error, Result};
use crate::file::{CHUNK, File, chunk_index};
use crate::file_system::FileSystem;
use crate::master_link::retry::{locked_delay, standard_delay};
use crate::operations::{ChunkPlace, ChunkServer};

/// Zeros of a hole are handed out in pieces of this size.
static ZEROS: [u8; 65536] = [0; 65536];
/// Wait of a master that knows a chunk but none of its servers.
const NO_SERVERS_DELAY: Duration = Duration::from_secs(10);
/// Pause when a server has no time.
const NOT_DONE_DELAY: Duration = Duration::from_millis(300);
/// A second server is asked when the first one's answer takes this many times its average, but
/// never before the shortest wait.
const HEDGE_FACTOR: u32 = 10;
const HEDGE_MIN: Duration = Duration::from_millis(100);
const HEDGE_MAX: Duration = Duration::from_secs(1);

/// Marks a segment as failed if its fetch is dropped, so that nobody waits for ever.
struct Abandoned<'a>(Option<&'a Segment>);

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(segment) = self.0 {
            segment.finish(Err(Error::Unreachable));
        }
    }
}

/// Fills a segment.
pub(crate) async fn fetch(fs: &FileSystem, file: &File, segment: &Segment) {
    let mut guard = Abandoned(Some(segment));
    let outcome = fetch_all(fs, file, segment).await;
    guard.0 = None;
    segment.finish(outcome);
}

/// Fills a segment in a task of its own.
pub(crate) fn spawn_fetch(fs: &Arc<FileSystem>, file: &Arc<File>, segment: Arc<Segment>) {
    let (fs, file) = (Arc::clone(fs), Arc::clone(file));
    tokio::spawn(async move { fetch(&fs, &file, &segment).await });
}

async fn fetch_all(fs: &FileSystem, file: &File, segment: &Segment) -> Result<()> {
    let index = chunk_index(segment.start);
    let deadline = fs.options().timeout.map(|timeout| Instant::now() + timeout);
    let limit = fs.options().tries;
    let mut failures = 0;
    loop {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Error::Os(Errno::IO));
        }
        let place = match find(fs, file, index, failures).await {
            Ok(place) => place,
            Err(Next::Fail(error)) => return Err(error),
            Err(Next::Again {
                delay,
                error,
                counts,
            }) => {
                failures += counts;
                if failures >= limit {
                    return Err(error);
                }
                tokio::time::sleep(delay).await;
                continue;
            }
        };
        if place.chunk == ChunkId::HOLE {
            fill_zeros(segment);
            return Ok(());
        }
        match fetch_from(fs, segment, &place, failures).await {
            Ok(())
                if fs
                    .places()
                    .is_current(file.inode, index, place.chunk, place.version) =>
            {
                return Ok(());
            }
            Ok(()) => segment.restart(),
            Err(failure) => {
                tracing::debug!("chunk {:016X}: {failure}", place.chunk.0);
                fs.places().forget(file.inode, index);
                let (counts, delay) = match failure {
                    Failure::Status(Status::NotDone) => (0, NOT_DONE_DELAY),
                    Failure::Connect => (1, standard_delay(failures + 1)),
                    Failure::Silence | Failure::Lost => (1, later(failures)),
                    Failure::Crc | Failure::Malformed | Failure::Status(_) => {
                        segment.restart();
                        (1, later(failures))
                    }
                };
                failures += counts;
                if failures >= limit {
                    return Err(Error::Os(Errno::IO));
                }
                tokio::time::sleep(delay).await;
            }
        }
    }
}

/// The first two failures are followed by another try at once.
fn later(failures: u32) -> Duration {
    match failures {
        0..=1 => Duration::ZERO,
        more => standard_delay(more - 1),
    }
}

fn fill_zeros(segment: &Segment) {
    let mut left = segment.size - segment.filled();
    while left > 0 {
        let size = left.min(ZEROS.len() as u32);
        segment.fill(Bytes::from_static(&ZEROS[..size as usize]));
        left -= size;
    }
}

enum Next {
    Fail(Error),
    Again {
        delay: Duration,
        error: Error,
        counts: u32,
    },
}

/// Where the chunk is.
async fn find(
    fs: &FileSystem,
    file: &File,
    index: u32,
    failures: u32,
) -> std::result::Result<ChunkPlace, Next> {
    if let Some(place) = fs.places().get(file.inode, index) {
        return Ok(place);
    }
    let mut locked = 0;
    let status = loop {
        match fs.session().read_chunk(file.inode, index).await {
            Ok((_, place)) if place.chunk != ChunkId::HOLE && place.servers.is_empty() => {
                return Err(Next::Again {
                    delay: NO_SERVERS_DELAY,
                    error: Error::Os(Errno::NXIO),
                    counts: 1,
                });
            }
            Ok((_, place)) => {
                fs.places().put(file.inode, index, place.clone());
                return Ok(place);
            }
            Err(Error::Status(Status::Locked | Status::Eagain | Status::ChunkBusy)) => {
                tokio::time::sleep(locked_delay(locked)).await;
                locked += 1;
            }
            Err(Error::Status(status)) => break status,
            Err(error) => return Err(Next::Fail(error)),
        }
    };
    let fail = |errno| Err(Next::Fail(Error::Os(errno)));
    match status {
        Status::Enoent | Status::Eperm | Status::NoChunk => fail(Errno::BADF),
        Status::IndexTooBig => fail(Errno::INVAL),
        Status::Quota => fail(Errno::DQUOT),
        Status::Io => fail(Errno::IO),
        Status::ChunkLost if fs.options().error_on_lost_chunk => fail(Errno::NXIO),
        Status::NoSpace if fs.options().error_on_no_space => fail(Errno::NOSPC),
        other => Err(Next::Again {
            delay: standard_delay(failures + 1),
            error: Error::Os(match other {
                Status::ChunkLost | Status::CsNotPresent => Errno::NXIO,
                Status::NoChunkServers | Status::NoSpace => Errno::NOSPC,
                _ => Errno::IO,
            }),
            counts: 1,
        }),
    }
}

/// Reads the rest of a segment from the best copy; when that one is slow, from a second one, too.
async fn fetch_from(
    fs: &FileSystem,
    segment: &Segment,
    place: &ChunkPlace,
    failures: u32,
) -> std::result::Result<(), Failure> {
    let pool = fs.pool();
    let rank = |server: &ChunkServer| fs.options().labels.rank(server.labels);
    let Some(first) = pool.choose(&place.servers, rank, None) else {
        return Err(Failure::Connect);
    };
    let patience = (pool.response(first.address) * HEDGE_FACTOR).clamp(HEDGE_MIN, HEDGE_MAX);
    let second = pool.choose(&place.servers, rank, Some(first.address));
    let before = segment.filled();
    let from_first = fetch_one(fs, segment, place, first, failures);
    tokio::pin!(from_first);
    let Some(second) = second else {
        return from_first.await;
    };
    tokio::select! {
        biased;
        outcome = &mut from_first => return outcome,
        () = tokio::time::sleep(patience) => {}
    }
    if segment.filled() > before {
        return from_first.await;
    }
    // The first server has sent nothing so far. Whoever begins first goes on: the other one's
    // bytes no longer fit and end its conversation.
    tracing::debug!(
        "{} is slow, {} is asked, too",
        first.address,
        second.address
    );
    let from_second = fetch_one(fs, segment, place, second, failures);
    tokio::pin!(from_second);
    tokio::select! {
        outcome = &mut from_first => match outcome {
            Ok(()) => Ok(()),
            Err(_) => from_second.await,
        },
        outcome = &mut from_second => match outcome {
            Ok(()) => {
                pool.failed(first.address);
                Ok(())
            }
            Err(_) => from_first.await,
        },
    }
}

async fn fetch_one(
    fs: &FileSystem,
    segment: &Segment,
    place: &ChunkPlace,
    server: ChunkServer,
    failures: u32,
) -> std::result::Result<(), Failure> {
    let pool = fs.pool();
    let _busy = pool.busy(server.address);
    let mut connection = pool
        .connect(server.address, failures)
        .await
        .inspect_err(|_| {
            pool.failed(server.address);
        })?;
    let protocol = if server.version.server_takes_protocol_byte() {
        Protocol::Reusing
    } else {
        Protocol::Plain
    };
    loop {
        let filled = segment.filled();
        if filled == segment.size {
            return Ok(());
        }
        let asked = Instant::now();
        let request = ReadRequest {
            chunk: place.chunk,
            version: place.version,
            offset: (segment.start % CHUNK) as u32 + filled,
            size: segment.size - filled,
            protocol,
        };
        let mut position = filled;
        let mut heard = false;
        let outcome = read(&mut connection, &request, |piece| {
            if !heard {
                heard = true;
                pool.answered(server.address, asked.elapsed());
            }
            let size = piece.len() as u32;
            // Another server may have filled this part meanwhile.
            segment.fill_at(position, piece);
            position += size;
        })
        .await;
        match outcome {
            Ok(()) => {
                if protocol == Protocol::Reusing {
                    pool.put_back(connection);
                }
                return Ok(());
            }
            Err(Failure::Lost) if connection.is_used && !heard => {
                // An idle connection that the server had closed is no failure.
                connection = pool.connect_new(server.address, failures).await?;
            }
            Err(failure) => {
                if failure != Failure::Status(Status::NotDone) {
                    pool.failed(server.address);
                }
                return Err(failure);
            }
        }
    }
}
