//! Writing chunks: permission of the master, the chain, repetition of what failed
//! (client-behaviour §12.3–§12.5).

use std::io::{self, IoSlice};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use proto::chunkserver::{
    DATA_PAYLOAD_MAX, Protocol, Write, WriteDataHeader, WriteFinish, WriteStatus,
};
use proto::client::chunks::chunk_flag;
use proto::frame::split_frame;
use proto::list::List;
use proto::{ChunkId, Status};
use rustix::io::Errno;
use tokio::time::Instant;

use super::job::{Job, Next};
use crate::chunk_link::{Connection, Failure};
use crate::error::Error;
use crate::file::{CHUNK, File};
use crate::file_system::FileSystem;
use crate::master_link::retry::{locked_delay, standard_delay};
use crate::operations::{ChunkPlace, ChunkServer};

const NOP: u32 = 0;
const NOP_PACKET: [u8; 8] = [0; 8];
/// Wait when the master names no server.
const NO_SERVERS_DELAY: Duration = Duration::from_secs(60);
/// Pause when a server has no time.
const NOT_DONE_DELAY: Duration = Duration::from_millis(300);
/// Bytes that are handed to the kernel at a time.
const OUT_BYTES_MAX: usize = 1 << 20;

/// Starts a task for every chunk whose time has come.
pub(crate) fn start_jobs(fs: &Arc<FileSystem>, file: &Arc<File>) {
    for index in file.start_jobs() {
        let (fs, file) = (Arc::clone(fs), Arc::clone(file));
        tokio::spawn(async move { write_chunk(&fs, &file, index).await });
    }
}

/// Outcome of a try that did not end well.
enum Trouble {
    /// No use in trying again.
    Fatal(Error),
    /// Try again after `delay`; at the limit the error is `error`.
    Again {
        delay: Duration,
        error: Error,
        counts: u32,
    },
}

fn fatal<T>(errno: Errno) -> Result<T, Trouble> {
    Err(Trouble::Fatal(Error::Os(errno)))
}

/// Writes a chunk until nothing of it is left.
async fn write_chunk(fs: &Arc<FileSystem>, file: &Arc<File>, index: u32) {
    let mut failures = 0;
    let mut continues = false;
    loop {
        let outcome = write_once(fs, file, index, failures, continues).await;
        let error = match outcome {
            Ok(()) => {
                failures = 0;
                continues = false;
                None
            }
            Err(Trouble::Fatal(error)) => Some(error),
            Err(Trouble::Again {
                delay,
                error,
                counts,
            }) => {
                failures += counts;
                if failures >= fs.options().tries {
                    Some(error)
                } else {
                    tokio::time::sleep(delay).await;
                    continues = true;
                    None
                }
            }
        };
        let (is_done, freed) = settle(file, index, error);
        fs.release_write_memory(freed);
        if is_done {
            file.changed.notify_waiters();
            start_jobs(fs, file);
            return;
        }
        file.lock()
            .chunks
            .entry(index)
            .and_modify(|chunk| chunk.queue.rewind());
    }
}

/// After a try: whether the chunk needs no further one, and the bytes that were given up.
fn settle(file: &File, index: u32, error: Option<Error>) -> (bool, usize) {
    let mut state = file.lock();
    if let Some(error) = error {
        tracing::warn!("error writing file {}, chunk {index}: {error}", file.inode);
        state.error.get_or_insert(error);
    }
    let mut freed = 0;
    if state.error.is_some() {
        // What comes behind a hole in the data must not be there alone.
        state.chunks.retain(|other, chunk| {
            freed += chunk.queue.discard();
            *other != index && chunk.is_running
        });
        return (true, freed);
    }
    let Some(chunk) = state.chunks.get_mut(&index) else {
        return (true, freed);
    };
    chunk.is_granted = false;
    if chunk.queue.is_empty() {
        state.chunks.remove(&index);
        return (true, freed);
    }
    (false, freed)
}

/// One permission and one chain.
async fn write_once(
    fs: &Arc<FileSystem>,
    file: &Arc<File>,
    index: u32,
    failures: u32,
    continues: bool,
) -> Result<(), Trouble> {
    let (length, place) = grant(fs, file, index, failures, continues).await?;
    fs.places().put(file.inode, index, place.clone());
    let mut job = Job::new(Instant::now());
    let outcome = converse(fs, file, index, &place, &mut job, failures).await;
    let end = match job.acknowledged_end() {
        0 => 0,
        end => length.max(u64::from(index) * CHUNK + u64::from(end)),
    };
    if let Err(failure) = outcome {
        tracing::debug!("write of chunk {:016X}: {failure}", place.chunk.0);
        fs.places().forget(file.inode, index);
    }
    if end > 0 {
        let first = u64::from(index) * CHUNK;
        file.invalidate(first, first + CHUNK);
    }
    let ended = fs
        .session()
        .write_chunk_end(place.chunk, file.inode, index, end)
        .await;
    match ended {
        Ok(()) => {}
        Err(Error::Status(Status::Enoent)) => return fatal(Errno::BADF),
        Err(Error::Status(Status::Quota)) => return fatal(Errno::DQUOT),
        Err(Error::Status(Status::Io)) => return fatal(Errno::IO),
        Err(Error::Status(_)) => return fatal(Errno::NXIO),
        Err(error) => return Err(Trouble::Fatal(error)),
    }
    let (counts, delay) = match outcome {
        Ok(()) => return Ok(()),
        // Silence of the chain alone does not count as long as something arrives.
        Err(Failure::Silence) if job.acknowledged_end() > 0 => (0, Duration::ZERO),
        Err(Failure::Status(Status::NotDone)) => (0, NOT_DONE_DELAY),
        Err(_) => (1, standard_delay(failures + 1)),
    };
    Err(Trouble::Again {
        delay,
        counts,
        error: Error::Os(match outcome {
            Err(Failure::Status(Status::NoSpace)) => Errno::NOSPC,
            _ => Errno::IO,
        }),
    })
}

/// Asks the master until it grants the write.
async fn grant(
    fs: &FileSystem,
    file: &File,
    index: u32,
    failures: u32,
    continues: bool,
) -> Result<(u64, ChunkPlace), Trouble> {
    let by_root = file
        .lock()
        .chunks
        .get(&index)
        .is_some_and(|chunk| chunk.by_root);
    let mut flags = 0;
    if by_root {
        flags |= chunk_flag::USE_RESERVE;
    }
    if continues {
        flags |= chunk_flag::CONTINUE;
    }
    let deadline = fs.options().timeout.map(|timeout| Instant::now() + timeout);
    let mut locked = 0;
    let status = loop {
        match fs.session().write_chunk(file.inode, index, flags).await {
            Ok((_, place)) if place.servers.is_empty() => {
                // Only unlocks; what it answers changes nothing.
                let _ = fs
                    .session()
                    .write_chunk_end(place.chunk, file.inode, index, 0)
                    .await;
                return Err(Trouble::Again {
                    delay: NO_SERVERS_DELAY,
                    error: Error::Os(Errno::NXIO),
                    counts: 6,
                });
            }
            Ok(granted) => return Ok(granted),
            Err(Error::Status(Status::Locked | Status::Eagain)) => {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return fatal(Errno::IO);
                }
                tokio::time::sleep(locked_delay(locked)).await;
                locked += 1;
            }
            Err(Error::Status(status)) => break status,
            Err(error) => return Err(Trouble::Fatal(error)),
        }
    };
    match status {
        Status::Enoent | Status::Eperm | Status::NoChunk => fatal(Errno::BADF),
        Status::IndexTooBig => fatal(Errno::INVAL),
        Status::Quota => fatal(Errno::DQUOT),
        Status::Io => fatal(Errno::IO),
        Status::Erofs => fatal(Errno::ROFS),
        Status::NoSpace if fs.options().error_on_no_space => fatal(Errno::NOSPC),
        Status::ChunkLost if fs.options().error_on_lost_chunk => fatal(Errno::NXIO),
        other => Err(Trouble::Again {
            delay: standard_delay(failures + 1),
            error: Error::Os(match other {
                Status::NoChunkServers | Status::NoSpace => Errno::NOSPC,
                Status::CsNotPresent | Status::ChunkLost => Errno::NXIO,
                _ => Errno::IO,
            }),
            counts: 1,
        }),
    }
}

/// The conversation with the head of the chain.
async fn converse(
    fs: &Arc<FileSystem>,
    file: &Arc<File>,
    index: u32,
    place: &ChunkPlace,
    job: &mut Job,
    failures: u32,
) -> Result<(), Failure> {
    let mut servers: Vec<ChunkServer> = place.servers.to_vec();
    servers.sort_by_key(|server| fs.options().labels.rank(server.labels));
    let Some((head, followers)) = servers.split_first() else {
        return Err(Failure::Connect);
    };
    let reuses = servers
        .iter()
        .all(|server| server.version.server_takes_protocol_byte());
    let _busy = fs.pool().busy(head.address);
    let connection = fs
        .pool()
        .connect(head.address, failures)
        .await
        .inspect_err(|_| fs.pool().failed(head.address))?;
    let mut chain = Vec::new();
    let addresses = followers.iter().map(|server| server.address);
    let opening = |chain: &mut Vec<u8>| {
        let mut packet = Vec::with_capacity(64);
        Write {
            protocol: if reuses {
                Protocol::Reusing
            } else {
                Protocol::Plain
            },
            chunk: place.chunk,
            version: place.version,
            chain: List::<SocketAddrV4>::write(addresses, chain),
        }
        .encode(&mut packet);
        packet
    };
    let packet = opening(&mut chain);
    if let Some(chunk) = file.lock().chunks.get_mut(&index) {
        chunk.is_granted = true;
    }
    file.changed.notify_waiters();
    *job = Job::new(Instant::now());
    let mut talk = Talk {
        connection,
        out: vec![Out::Head(packet)],
        first_done: 0,
        heard: false,
    };
    let outcome = loop {
        match talk.run(fs, file, index, place.chunk, job).await {
            Err(Failure::Lost) if talk.connection.is_used && !talk.heard => {
                // An idle connection that the server had closed is no failure.
                talk.connection = fs.pool().connect_new(head.address, failures).await?;
                let mut chain = Vec::new();
                let addresses = followers.iter().map(|server| server.address);
                let mut packet = Vec::new();
                Write {
                    protocol: Protocol::Reusing,
                    chunk: place.chunk,
                    version: place.version,
                    chain: List::<SocketAddrV4>::write(addresses, &mut chain),
                }
                .encode(&mut packet);
                talk.out = vec![Out::Head(packet)];
                talk.first_done = 0;
                if let Some(chunk) = file.lock().chunks.get_mut(&index) {
                    chunk.queue.rewind();
                }
                *job = Job::new(Instant::now());
            }
            outcome => break outcome,
        }
    };
    match outcome {
        Ok(()) => {
            if reuses {
                let mut packet = Vec::new();
                WriteFinish {
                    chunk: place.chunk,
                    version: place.version,
                }
                .encode(&mut packet);
                if talk.connection.write_all(&packet).await.is_ok() {
                    fs.pool().put_back(talk.connection);
                }
            }
            Ok(())
        }
        Err(failure) => {
            fs.pool().failed(head.address);
            Err(failure)
        }
    }
}

/// What waits to be written to the socket.
enum Out {
    Head(Vec<u8>),
    Data(Bytes),
}

impl Out {
    fn bytes(&self) -> &[u8] {
        match self {
            Out::Head(bytes) => bytes,
            Out::Data(bytes) => bytes,
        }
    }
}

struct Talk {
    connection: Connection,
    out: Vec<Out>,
    /// Bytes of the first element of `out` that are written.
    first_done: usize,
    heard: bool,
}

impl Talk {
    /// Until everything is written, or something is wrong.
    async fn run(
        &mut self,
        fs: &FileSystem,
        file: &File,
        index: u32,
        chunk: ChunkId,
        job: &mut Job,
    ) -> Result<(), Failure> {
        loop {
            let changed = file.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            self.receive(fs, file, index, chunk, job)?;
            let wake = match self.collect(file, index, chunk, job)? {
                Some(wake) => wake,
                None => return Ok(()),
            };
            let is_full = self.send()?;
            if is_full && self.out.len() > 1 {
                tokio::select! {
                    ready = self.connection.stream.ready(
                        tokio::io::Interest::READABLE | tokio::io::Interest::WRITABLE,
                    ) => { ready.map_err(|_| Failure::Lost)?; }
                    () = tokio::time::sleep_until(wake) => {}
                }
                continue;
            }
            if !self.out.is_empty() {
                tokio::select! {
                    ready = self.connection.stream.writable() => {
                        ready.map_err(|_| Failure::Lost)?;
                    }
                    () = tokio::time::sleep_until(wake) => {}
                }
                continue;
            }
            tokio::select! {
                ready = self.connection.stream.readable() => {
                    ready.map_err(|_| Failure::Lost)?;
                }
                () = changed => {}
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }

    /// Takes pieces of the queue as far as the job allows; `None`: the end.
    fn collect(
        &mut self,
        file: &File,
        index: u32,
        chunk: ChunkId,
        job: &mut Job,
    ) -> Result<Option<Instant>, Failure> {
        let mut size: usize = self.out.iter().map(|out| out.bytes().len()).sum();
        let mut state = file.lock();
        let hurry = state.flushes > 0 || state.chunks.len() >= 16;
        let has_failed = state.error.is_some();
        let Some(writes) = state.chunks.get_mut(&index) else {
            return Err(Failure::Lost);
        };
        if has_failed {
            return Err(Failure::Lost);
        }
        loop {
            if size >= OUT_BYTES_MAX {
                return Ok(Some(Instant::now() + NOT_DONE_DELAY));
            }
            match job.next(&mut writes.queue, hurry, Instant::now()) {
                Next::Send(write_id, sent) => {
                    let mut head = Vec::with_capacity(32);
                    WriteDataHeader {
                        chunk,
                        write_id,
                        block: sent.block,
                        offset: sent.offset as u16,
                        size: sent.bytes.len() as u32,
                        crc: crc32fast::hash(&sent.bytes),
                    }
                    .encode(&mut head);
                    size += head.len() + sent.bytes.len();
                    self.out.push(Out::Head(head));
                    self.out.push(Out::Data(sent.bytes));
                }
                Next::Nop => self.out.push(Out::Head(NOP_PACKET.to_vec())),
                Next::Wait(until) => return Ok(Some(until)),
                Next::Finish => return Ok(None),
                Next::Fail(failure) => return Err(failure),
            }
        }
    }

    /// Writes what the socket takes; whether it is full.
    fn send(&mut self) -> Result<bool, Failure> {
        const PARTS_MAX: usize = 64;
        while !self.out.is_empty() {
            let mut parts: Vec<IoSlice<'_>> = Vec::with_capacity(self.out.len().min(PARTS_MAX));
            for (at, out) in self.out.iter().take(PARTS_MAX).enumerate() {
                let skip = if at == 0 { self.first_done } else { 0 };
                parts.push(IoSlice::new(&out.bytes()[skip..]));
            }
            match self.connection.stream.try_write_vectored(&parts) {
                Ok(count) => self.written(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(_) => return Err(Failure::Lost),
            }
        }
        Ok(false)
    }

    fn written(&mut self, mut count: usize) {
        let mut whole = 0;
        count += self.first_done;
        for out in &self.out {
            let size = out.bytes().len();
            if count < size {
                break;
            }
            count -= size;
            whole += 1;
        }
        self.out.drain(..whole);
        self.first_done = count;
    }

    /// Reads what came.
    fn receive(
        &mut self,
        fs: &FileSystem,
        file: &File,
        index: u32,
        chunk: ChunkId,
        job: &mut Job,
    ) -> Result<(), Failure> {
        loop {
            self.connection.input.reserve(2048);
            match self
                .connection
                .stream
                .try_read_buf(&mut self.connection.input)
            {
                Ok(0) => return Err(Failure::Lost),
                Ok(_) => {
                    self.heard = true;
                    job.heard(Instant::now());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => return Err(Failure::Lost),
            }
        }
        let mut freed = 0;
        let mut failure = None;
        {
            let mut state = file.lock();
            let mut writes = state.chunks.get_mut(&index);
            while let Some(frame) = split_frame(&self.connection.input, DATA_PAYLOAD_MAX)
                .map_err(|_| Failure::Malformed)?
            {
                let consumed = frame.consumed;
                match frame.kind {
                    NOP => {}
                    WriteStatus::KIND => {
                        let status =
                            WriteStatus::decode(frame.payload).map_err(|_| Failure::Malformed)?;
                        if status.chunk != chunk {
                            return Err(Failure::Malformed);
                        }
                        if let Some(writes) = writes.as_mut() {
                            match job.status(&mut writes.queue, status.write_id, status.status) {
                                Ok(bytes) => freed += bytes,
                                Err(error) => {
                                    failure.get_or_insert(error);
                                }
                            }
                        }
                    }
                    _ => return Err(Failure::Malformed),
                }
                self.connection.input.advance(consumed);
            }
        }
        fs.release_write_memory(freed);
        failure.map_or(Ok(()), Err)
    }
}
