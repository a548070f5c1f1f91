//! The TCP connection to the master: pipelined requests by number, replies in any order, pushes,
//! keepalive, and what happens when it breaks (client-behaviour §6).
//!
//! Every request stays in the table of [`pending`] until its answer; when a link is replaced, what
//! is still unanswered is sent again in its old order, byte by byte the same. Who registers on a
//! new connection is [`crate::session`].

mod pending;
pub mod retry;

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proto::client::push::{ChunkChanged, LengthChanged, put_nop};
use proto::client::{Answer, Message, kind};
use proto::frame::{HEADER_LEN, put_frame};
use proto::{Status, Version};
use rustix::io::Errno;
use rustix::net::SendFlags;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::inline;
use pending::Pending;

/// No byte for this long: the link is dead.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);
/// A NOP goes out when nothing was written for longer.
const NOP_AFTER: Duration = Duration::from_secs(2);
/// Most bytes of one answer. A directory of some ten million names.
const ANSWER_BYTES_MAX: u32 = 1 << 30;
/// What one read(2) asks for at least.
const READ_BYTES: usize = 64 << 10;

/// Who learns what the master tells by itself. Called in order, from one task; must not block.
pub trait Watcher: Send + Sync {
    /// A chunk of an open file was changed by another session.
    fn chunk_changed(&self, change: ChunkChanged);
    /// An open file has another length.
    fn length_changed(&self, change: LengthChanged);
    /// All chunk locations are to be forgotten; also when the link broke.
    fn forget_chunks(&self);
}

/// Answer to a request: the payload with what is needed to read it.
#[derive(Clone, Debug)]
pub struct Reply {
    payload: Bytes,
    version: Version,
    repeated: bool,
}

impl Reply {
    /// An answer that came on another way than a session's link.
    pub(crate) fn new(payload: Bytes, version: Version) -> Reply {
        Reply {
            payload,
            version,
            repeated: false,
        }
    }

    /// The answer as a body; a status instead of one is an error.
    pub fn body<'a, T: Message<'a>>(&'a self) -> Result<T> {
        match Answer::<T>::decode(&self.payload, self.version)? {
            Answer::Body(body) => Ok(body),
            Answer::Status(reply) => Err(Error::Status(reply.status)),
        }
    }

    /// The answer where success has no body.
    pub fn status(&self) -> Result<()> {
        let reply = proto::client::message::StatusReply::decode(&self.payload, self.version)?;
        reply.status.ok().map_err(Error::Status)
    }

    /// The bytes, msgid included.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// Version whose layouts the answer has.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Whether the request had been sent on an earlier link that broke before the answer: the
    /// master may have executed it before.
    pub fn is_repeated(&self) -> bool {
        self.repeated
    }
}

/// Counters of a link since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Links after the first.
    pub reconnects: u64,
    /// Bytes written.
    pub bytes_sent: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// Packets written.
    pub packets_sent: u64,
    /// Packets read.
    pub packets_received: u64,
}

#[derive(Default)]
struct Inner {
    socket: Option<Arc<TcpStream>>,
    version: Version,
    out: Vec<u8>,
    spare: Vec<u8>,
    flushing: bool,
    pending: Pending,
    /// Why requests fail at once; `None`: they wait for a link.
    refusing: Option<Error>,
    written_at: Option<Instant>,
    counters: LinkCounters,
}

/// The link of a session. It outlives connections.
pub(crate) struct Link {
    inner: Mutex<Inner>,
    watcher: OnceLock<Arc<dyn Watcher>>,
    patience: Duration,
    timeout: Option<Duration>,
}

impl Link {
    /// A link without a connection. `patience`: how long a request waits for a link; `timeout`:
    /// how long it waits at all.
    pub(crate) fn new(patience: Duration, timeout: Option<Duration>) -> Link {
        Link {
            inner: Mutex::default(),
            watcher: OnceLock::new(),
            patience,
            timeout,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names who learns of pushes; only the first call counts.
    pub(crate) fn watch(&self, watcher: Arc<dyn Watcher>) {
        let _ = self.watcher.set(watcher);
    }

    pub(crate) fn counters(&self) -> LinkCounters {
        self.lock().counters
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.lock().socket.is_some()
    }

    /// Layout version for requests at this moment.
    pub(crate) fn version(&self) -> Version {
        self.lock().version
    }

    /// Sends a request and waits for its answer. `encode` gets the message number and writes the
    /// payload. Cancel safe: an answer to a dropped request is thrown away.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        kind: u32,
        encode: impl FnOnce(u32, Version, &mut Vec<u8>),
    ) -> Result<Reply> {
        let waiting = self.submit(kind, encode)?;
        let reply = waiting.await.map_err(|_| Error::Unreachable)??;
        if reply.payload.is_empty() {
            return Err(Error::Status(Status::Enotsup));
        }
        Ok(reply)
    }

    fn submit(
        self: &Arc<Self>,
        kind: u32,
        encode: impl FnOnce(u32, Version, &mut Vec<u8>),
    ) -> Result<oneshot::Receiver<Result<Reply>>> {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.lock();
        if let Some(error) = inner.refusing {
            return Err(error);
        }
        let msgid = inner.pending.next_id();
        let version = inner.version;
        let mut frame = Vec::with_capacity(96);
        put_frame(&mut frame, kind, |out| encode(msgid, version, out));
        let connected = inner.socket.is_some();
        if connected {
            inner.out.extend_from_slice(&frame);
            inner.counters.packets_sent += 1;
        }
        inner
            .pending
            .insert(msgid, kind, frame, connected, Instant::now(), sender);
        self.flush(inner);
        Ok(receiver)
    }

    /// Sends a packet that has no answer. Without a link it is dropped.
    pub(crate) fn post(self: &Arc<Self>, kind: u32, body: impl FnOnce(Version, &mut Vec<u8>)) {
        let mut inner = self.lock();
        if inner.socket.is_none() {
            return;
        }
        let version = inner.version;
        put_frame(&mut inner.out, kind, |out| body(version, out));
        inner.counters.packets_sent += 1;
        self.flush(inner);
    }

    /// Writes what is collected, unless somebody is at it already: then that one takes it along.
    fn flush(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>) {
        if inner.flushing || inner.out.is_empty() {
            return;
        }
        let Some(socket) = inner.socket.clone() else {
            return;
        };
        inner.flushing = true;
        drop(inner);
        loop {
            let mut inner = self.lock();
            let is_current = inner
                .socket
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &socket));
            if !is_current {
                return;
            }
            if inner.out.is_empty() {
                inner.flushing = false;
                return;
            }
            let spare = std::mem::take(&mut inner.spare);
            let mut batch = std::mem::replace(&mut inner.out, spare);
            inner.written_at = Some(Instant::now());
            inner.counters.bytes_sent += batch.len() as u64;
            drop(inner);
            let mut done = 0;
            while done < batch.len() {
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                match rustix::net::send(&*socket, &batch[done..], flags) {
                    Ok(count) => done += count,
                    Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => {
                        batch.drain(..done);
                        self.flush_later(socket, batch);
                        return;
                    }
                    // The reader sees the end and starts over.
                    Err(_) => {
                        shut(&socket);
                        return;
                    }
                }
            }
            batch.clear();
            self.lock().spare = batch;
        }
    }

    /// The socket is full: the rest goes out when it has room.
    fn flush_later(self: &Arc<Self>, socket: Arc<TcpStream>, rest: Vec<u8>) {
        let link = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if (&*socket).write_all(&rest).is_err() {
                return shut(&socket);
            }
            let mut inner = link.lock();
            let is_current = inner
                .socket
                .as_ref()
                .is_some_and(|current| Arc::ptr_eq(current, &socket));
            if is_current {
                inner.flushing = false;
                link.flush(inner);
            }
        });
    }

    /// A registered connection takes over; everything unanswered is sent on it.
    pub(crate) fn connected(self: &Arc<Self>, socket: Arc<TcpStream>, version: Version) {
        let mut inner = self.lock();
        if inner.socket.is_some() || inner.counters.packets_received > 0 {
            inner.counters.reconnects += 1;
        }
        inner.version = version;
        inner.refusing = None;
        inner.flushing = false;
        let Inner { pending, out, .. } = &mut *inner;
        out.clear();
        let count = pending.repeat(out);
        inner.counters.packets_sent += count;
        inner.socket = Some(socket);
        self.flush(inner);
    }

    /// The connection is gone. Requests wait for the next one.
    pub(crate) fn disconnected(&self) {
        let mut inner = self.lock();
        inner.socket = None;
        inner.out.clear();
        inner.pending.link_lost(Instant::now());
        drop(inner);
        if let Some(watcher) = self.watcher.get() {
            watcher.forget_chunks();
        }
    }

    /// From now on requests fail with `error`, the waiting ones too, until the next connection.
    pub(crate) fn refuse(&self, error: Error) {
        let mut inner = self.lock();
        inner.refusing = Some(error);
        let failed = inner.pending.take_all();
        drop(inner);
        for sender in failed {
            let _ = sender.send(Err(error));
        }
    }

    /// Fails requests that have waited too long. To be called a few times a second.
    pub(crate) fn expire(&self) {
        let expired = self
            .lock()
            .pending
            .expire(Instant::now(), self.patience, self.timeout);
        for sender in expired {
            let _ = sender.send(Err(Error::Unreachable));
        }
    }

    /// Sends a NOP if nothing was written lately. To be called once a second.
    pub(crate) fn keep_alive(self: &Arc<Self>) {
        let mut inner = self.lock();
        let is_idle = inner
            .written_at
            .is_none_or(|written| written.elapsed() > NOP_AFTER);
        if inner.socket.is_some() && is_idle {
            put_nop(&mut inner.out);
            inner.counters.packets_sent += 1;
            self.flush(inner);
        }
    }

    /// Reads packets in a thread of its own until the connection ends, and says why. `input`
    /// holds what came with the registration.
    pub(crate) async fn serve(self: &Arc<Self>, socket: Arc<TcpStream>, input: BytesMut) -> String {
        let (sender, ended) = oneshot::channel();
        let (link, runtime) = (Arc::clone(self), Handle::current());
        let spawned = std::thread::Builder::new()
            .name("master".to_owned())
            .spawn(move || {
                let _entered = runtime.enter();
                inline::adopt();
                let _ = sender.send(link.read_packets(&socket, input));
            });
        match spawned {
            Ok(_) => ended
                .await
                .unwrap_or_else(|_| "the reading thread ended".to_owned()),
            Err(error) => error.to_string(),
        }
    }

    fn read_packets(&self, socket: &TcpStream, mut input: BytesMut) -> String {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let taken = self.take_packets(&mut input);
            inline::drain();
            if let Err(why) = taken {
                return why;
            }
            let mut reading = socket;
            match reading.read(&mut buffer) {
                Ok(0) => return "closed by the master".to_owned(),
                Ok(count) => {
                    input.extend_from_slice(&buffer[..count]);
                    self.lock().counters.bytes_received += count as u64;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => return "no byte for ten seconds".to_owned(),
                    _ => return error.to_string(),
                },
            }
        }
    }

    /// Hands on every complete packet.
    fn take_packets(&self, input: &mut BytesMut) -> std::result::Result<(), String> {
        loop {
            let (kind, consumed) = match proto::frame::split_frame(input, ANSWER_BYTES_MAX) {
                Err(error) => return Err(error.to_string()),
                Ok(None) => {
                    if let Some(length) = input.get(4..HEADER_LEN) {
                        let length = length.iter().fold(0, |sum, byte| sum << 8 | *byte as usize);
                        input.reserve((HEADER_LEN + length).saturating_sub(input.len()));
                    }
                    return Ok(());
                }
                Ok(Some(frame)) => (frame.kind, frame.consumed),
            };
            let payload = input.split_to(consumed).freeze().slice(HEADER_LEN..);
            let Some(msgid) = payload.first_chunk::<4>().map(|id| u32::from_be_bytes(*id)) else {
                return Err(format!("packet of type {kind} without a number"));
            };
            if msgid == 0 {
                self.push(kind, &payload)?;
            } else {
                self.answer(kind, msgid, payload)?;
            }
        }
    }

    fn answer(&self, kind: u32, msgid: u32, payload: Bytes) -> std::result::Result<(), String> {
        let mut inner = self.lock();
        inner.counters.packets_received += 1;
        let version = inner.version;
        let Some(waiting) = inner.pending.remove(msgid) else {
            return Err(format!("answer of type {kind} to no request ({msgid})"));
        };
        drop(inner);
        let payload = match kind {
            kind::UNKNOWN_COMMAND | kind::BAD_COMMAND_SIZE => Bytes::new(),
            _ if kind == kind::reply(waiting.kind) => payload,
            _ => return Err(format!("answer of type {kind} to {}", waiting.kind)),
        };
        let _ = waiting.reply.send(Ok(Reply {
            payload,
            version,
            repeated: waiting.links > 1,
        }));
        Ok(())
    }

    fn push(&self, kind: u32, payload: &[u8]) -> std::result::Result<(), String> {
        let version = {
            let mut inner = self.lock();
            inner.counters.packets_received += 1;
            inner.version
        };
        let malformed = |_| format!("malformed push of type {kind}");
        let watcher = self.watcher.get();
        match kind {
            kind::NOP | kind::UNKNOWN_COMMAND | kind::BAD_COMMAND_SIZE => {}
            kind::CHUNK_HAS_CHANGED => {
                let change = ChunkChanged::decode(payload, version).map_err(malformed)?;
                watcher.inspect(|watcher| watcher.chunk_changed(change));
            }
            kind::FLENG_HAS_CHANGED => {
                let change = LengthChanged::decode(payload, version).map_err(malformed)?;
                watcher.inspect(|watcher| watcher.length_changed(change));
            }
            kind::INVALIDATE_CHUNK_CACHE => {
                watcher.inspect(|watcher| watcher.forget_chunks());
            }
            _ => return Err(format!("unexpected push of type {kind}")),
        }
        Ok(())
    }
}

/// A registered connection as the link uses it: reading waits, at most [`SILENCE_MAX`].
pub(crate) fn adopt_socket(stream: tokio::net::TcpStream) -> io::Result<Arc<TcpStream>> {
    let socket = stream.into_std()?;
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(SILENCE_MAX))?;
    socket.set_write_timeout(Some(SILENCE_MAX))?;
    Ok(Arc::new(socket))
}

/// Ends a connection so that its reader notices.
pub(crate) fn shut(socket: &TcpStream) {
    // A socket that is not connected any more is what we want.
    let _ = socket.shutdown(std::net::Shutdown::Both);
}
