//! WRITE with its chain (chunkserver §3.4): packets are passed on and written at the same time,
//! confirmations go back in order.

use super::chain::Chain;
use super::frame::Frame;
use super::local_writer::{Item, LocalWriter};
use super::peers::Peer;
use super::{Closed, Link};
use crate::disk_pool::NotRun;
use proto::chunkserver::{Protocol, Write, WriteData, WriteDataHeader, WriteFinish, WriteStatus};
use proto::common::Nop;
use proto::frame::{HEADER_LEN, put_frame};
use proto::wire::{Field, Reader};
use proto::{ChunkId, ChunkVersion, Status};
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Packets of a connection that are not confirmed; more wait in the socket. 4 MiB.
const UNCONFIRMED_MAX: usize = 64;
/// The last server gives up a writer that sends nothing for so long.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// A server with a successor relies on that one; this is for a successor that never says anything.
const CHAIN_SILENCE_MAX: Duration = Duration::from_secs(60);
/// A chain whose disk confirms nothing for so long is given up: the client tries without it.
const DISK_PATIENCE: Duration = Duration::from_secs(5);
/// Signs of life are answered at most so often.
const ECHO_EVERY: Duration = Duration::from_millis(500);
/// How often the limits are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Bytes of WRITE_DATA before the data.
const DATA_AT: usize = 24;

struct Session<'a> {
    link: &'a mut Link,
    protocol: Protocol,
    chunk: ChunkId,
    version: ChunkVersion,
    successor: Option<Peer>,
    writer: LocalWriter,
    chain: Chain,
    last_id: u32,
    heard: Instant,
    progress: Instant,
    echoed: Option<Instant>,
}

enum Event {
    Upstream(io::Result<Option<Frame>>),
    Downstream(io::Result<Option<Frame>>),
    Written(Status),
    Tick,
}

/// How a session ended that did not close the connection.
enum End {
    Idle,
}

/// Serves one WRITE, to its end.
pub async fn serve(link: &mut Link, request: Write<'_>) -> Result<(), Closed> {
    link.server.counters.writes.add(1);
    let chunk = request.chunk;
    let mut successor = None;
    if let Some((address, forward)) = request.forward() {
        let mut packet = Vec::new();
        forward.encode(&mut packet);
        let connected = match link.server.peers.connect(address).await {
            Ok(peer) => peer.send(&packet).await.map(|()| peer),
            Err(error) => Err(error),
        };
        match connected {
            Ok(peer) => successor = Some(peer),
            Err(error) => {
                tracing::debug!("write chain: can't reach {address}: {error}");
                return status(link, chunk, 0, Status::CantConnect).await;
            }
        }
    }
    let writer = match open(link, chunk, request.version).await {
        Ok(writer) => writer,
        Err(why) => {
            drop(successor);
            return status(link, chunk, 0, why).await;
        }
    };
    if successor.is_none() {
        status(link, chunk, 0, Status::Ok).await?;
    }
    let now = Instant::now();
    let session = Session {
        protocol: request.protocol,
        chunk,
        version: request.version,
        chain: Chain::new(successor.is_some()),
        successor,
        writer,
        last_id: 0,
        heard: now,
        progress: now,
        echoed: None,
        link,
    };
    session.run().await.map(|_: End| ())
}

async fn open(link: &Link, chunk: ChunkId, version: ChunkVersion) -> Result<LocalWriter, Status> {
    let store = &link.server.store;
    let disk = store.disk_of(chunk)?;
    let open = store.find(chunk, version)?;
    if disk.pool.is_stalled(Instant::now()) {
        return Err(Status::NotDone);
    }
    if store.is_ready_for_write(&open, version) {
        return Ok(LocalWriter::new(store, &disk, open, version));
    }
    let (job_store, job_open) = (Arc::clone(store), Arc::clone(&open));
    let opened = disk
        .pool
        .run_within(DISK_PATIENCE, move || {
            job_store.open_for_write(&job_open, version)
        })
        .await;
    match opened {
        Ok(result) => result?,
        Err(NotRun::Full(_) | NotRun::TooLate) => return Err(Status::NotDone),
    }
    Ok(LocalWriter::new(store, &disk, open, version))
}

async fn status(link: &Link, chunk: ChunkId, write_id: u32, status: Status) -> Result<(), Closed> {
    let mut out = Vec::new();
    WriteStatus {
        chunk,
        write_id,
        status,
    }
    .encode(&mut out);
    link.send(&out).await
}

impl Session<'_> {
    async fn run(mut self) -> Result<End, Closed> {
        let mut tick = tokio::time::interval(TICK);
        loop {
            let room = self.chain.len() < UNCONFIRMED_MAX;
            let waits = !self.chain.is_empty();
            let event = tokio::select! {
                biased;
                status = self.writer.next(), if waits => Event::Written(status),
                frame = next_of(&mut self.successor) => Event::Downstream(frame),
                frame = self.link.reader.next(&self.link.stream), if room => Event::Upstream(frame),
                _ = tick.tick() => Event::Tick,
            };
            let end = match event {
                Event::Written(status) => {
                    self.written(status);
                    self.confirm().await?
                }
                Event::Downstream(Ok(Some(frame))) => self.downstream(&frame).await?,
                // What the successor did not confirm is not confirmed here.
                Event::Downstream(_) => return Err(Closed),
                Event::Upstream(Ok(Some(frame))) => {
                    self.heard = Instant::now();
                    self.link.note_received(frame.payload().len());
                    self.upstream(frame).await?
                }
                Event::Upstream(_) => return Err(Closed),
                Event::Tick => self.tick()?,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn written(&mut self, status: Status) {
        self.progress = Instant::now();
        self.chain.local(status);
        while let Some(status) = self.writer.try_next() {
            self.chain.local(status);
        }
    }

    fn tick(&mut self) -> Result<Option<End>, Closed> {
        let silence = match self.successor {
            None => SILENCE_MAX,
            Some(_) => CHAIN_SILENCE_MAX,
        };
        let silent = self.chain.is_empty() && self.heard.elapsed() > silence;
        let stuck = !self.chain.is_empty() && self.progress.elapsed() > DISK_PATIENCE;
        match silent || stuck {
            true => Err(Closed),
            false => Ok(None),
        }
    }

    async fn upstream(&mut self, frame: Frame) -> Result<Option<End>, Closed> {
        match frame.kind {
            WriteData::KIND => self.data(frame).await,
            WriteFinish::KIND => self.finish(&frame).await,
            Nop::KIND => {
                if let Some(peer) = &self.successor {
                    peer.send(&packet_of(&frame)).await?;
                }
                if self.echoed.is_none_or(|time| time.elapsed() >= ECHO_EVERY) {
                    self.echoed = Some(Instant::now());
                    self.link.send(&packet_of(&frame)).await?;
                }
                Ok(None)
            }
            _ if self.successor.is_none() && frame.payload().len() <= 12 => Ok(None),
            _ => Err(Closed),
        }
    }

    async fn data(&mut self, frame: Frame) -> Result<Option<End>, Closed> {
        let header = WriteDataHeader::get(&mut Reader::new(frame.payload()))?;
        if frame.payload().len() != DATA_AT + header.size as usize {
            return Err(Closed);
        }
        let frame = Arc::new(frame);
        if self.chain.is_empty() {
            self.progress = Instant::now();
        }
        self.last_id = header.write_id;
        self.chain.begin(header.write_id);
        self.writer.push(Item {
            header,
            frame: Arc::clone(&frame),
            data_at: DATA_AT,
        });
        if let Some(peer) = &self.successor {
            let mut head = [0; HEADER_LEN];
            head[..4].copy_from_slice(&WriteData::KIND.to_be_bytes());
            head[4..].copy_from_slice(&(frame.payload().len() as u32).to_be_bytes());
            let mut parts = [IoSlice::new(&head), IoSlice::new(frame.payload())];
            super::frame::send_parts(&peer.stream, &mut parts).await?;
            let bytes = HEADER_LEN + frame.payload().len();
            self.link.server.counters.servers_out.add(bytes as u64);
        }
        Ok(None)
    }

    async fn downstream(&mut self, frame: &Frame) -> Result<Option<End>, Closed> {
        self.heard = Instant::now();
        self.link
            .server
            .counters
            .servers_in
            .add((HEADER_LEN + frame.payload().len()) as u64);
        match frame.kind {
            Nop::KIND => Ok(None),
            WriteStatus::KIND => {
                let reply = WriteStatus::decode(frame.payload())?;
                if reply.chunk != self.chunk {
                    return Err(Closed);
                }
                if reply.write_id == 0 {
                    status(self.link, self.chunk, 0, reply.status).await?;
                    return match reply.status {
                        Status::Ok => Ok(None),
                        _ => Err(Closed),
                    };
                }
                self.chain
                    .successor(reply.write_id, reply.status)
                    .map_err(|_| Closed)?;
                self.confirm().await
            }
            _ => Err(Closed),
        }
    }

    /// Sends all confirmations that may be sent now, as one piece.
    async fn confirm(&mut self) -> Result<Option<End>, Closed> {
        let mut out = Vec::new();
        let mut failed = false;
        while let Some((write_id, status)) = self.chain.next_confirmed() {
            self.progress = Instant::now();
            WriteStatus {
                chunk: self.chunk,
                write_id,
                status,
            }
            .encode(&mut out);
            if status != Status::Ok {
                failed = true;
                break;
            }
        }
        if !out.is_empty() {
            self.link.send(&out).await?;
        }
        match (failed, &self.successor) {
            (false, _) => Ok(None),
            (true, None) => Ok(Some(End::Idle)),
            (true, Some(_)) => Err(Closed),
        }
    }

    async fn finish(&mut self, frame: &Frame) -> Result<Option<End>, Closed> {
        let finish = WriteFinish::decode(frame.payload())?;
        if finish.chunk != self.chunk || finish.version != self.version {
            let write_id = match self.successor {
                Some(_) => 0,
                None => self.last_id,
            };
            status(self.link, self.chunk, write_id, Status::WrongChunkId).await?;
            return match self.successor {
                Some(_) => Err(Closed),
                None => Ok(Some(End::Idle)),
            };
        }
        if let Some(peer) = &self.successor {
            peer.send(&packet_of(frame)).await?;
        }
        if !self.chain.is_empty() {
            // Too early: what was not confirmed may be lost, and nobody can be told any more.
            return Err(Closed);
        }
        if self.protocol == Protocol::Reusing
            && let Some(peer) = self.successor.take()
        {
            self.link.server.peers.keep(peer);
        }
        Ok(Some(End::Idle))
    }
}

async fn next_of(successor: &mut Option<Peer>) -> io::Result<Option<Frame>> {
    match successor {
        Some(peer) => peer.reader.next(&peer.stream).await,
        None => std::future::pending().await,
    }
}

fn packet_of(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, frame.kind, |out| {
        out.extend_from_slice(frame.payload())
    });
    out
}
