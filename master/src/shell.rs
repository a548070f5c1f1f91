//! The shell: sockets, timers and the journal around the core, on one thread.
//!
//! A turn is what one poll of the kernel brought: every connection that is ready is read once and
//! all its whole frames are executed; then the lines of the turn go to the journal in one batch,
//! and the answers of the turn leave with one write per connection. Lines that only keep the books
//! delay no answer: in durable mode they go with the next batch that has to be saved.

use crate::core::{Core, Now};
use crate::ha::Standing;
use crate::lingering::{LINGER_MAX, Lingering};
use crate::links::{BACKLOG_CUT_OFF, BACKLOG_STOP_READING, LinkId, Port};
use crate::saver::Saver;
use proto::frame::{CLIENT_PAYLOAD_MAX, FrameError, HEADER_LEN, split_frame};
use replication::Lease;
use socket2::SockRef;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Bytes read from a connection at once; also bounds what one connection may do in one turn.
const READ_SIZE: usize = 256 << 10;
/// A frame that does not fit into half the read buffer collects in a buffer of its own.
const CARRY_IN_PLACE: usize = READ_SIZE / 2;
/// Longest frame on the chunkserver port (master-behaviour §9.1).
const CHUNKSERVER_PAYLOAD_MAX: u32 = 500_000_000;
/// Longest frame on the metalogger port (metadata-and-changelog §4.1).
const METALOGGER_PAYLOAD_MAX: u32 = 1_500_000;
/// How long a closing connection may take to accept its last bytes.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a master that ends waits for metaloggers to take its last lines.
const FAREWELL_MAX: Duration = Duration::from_secs(1);
/// Pause of a connection whose peer does not read, and of a listener without descriptors.
const PAUSE: Duration = Duration::from_millis(20);
/// Period of [`Core::tick`].
const TICK: Duration = Duration::from_millis(20);
/// How long lines may collect that nobody relies on (access times, open files).
const COLLECT_MAX_MS: u64 = 50;
/// Between two complaints about connections that cannot be accepted.
const ACCEPT_COMPLAINT_PERIOD: Duration = Duration::from_secs(60);

fn payload_max(port: Port) -> u32 {
    match port {
        Port::Client => CLIENT_PAYLOAD_MAX,
        Port::Chunkserver => CHUNKSERVER_PAYLOAD_MAX,
        Port::Metalogger => METALOGGER_PAYLOAD_MAX,
    }
}

/// The sending half of a connection.
#[derive(Debug)]
struct Socket {
    link: LinkId,
    write: Rc<OwnedWriteHalf>,
    /// The kernel's buffer is full; a task waits until it is not.
    blocked: bool,
    /// The connection is being closed, and a timer ends it if the peer does not take the rest.
    ending: bool,
}

/// The shell of one master process.
#[derive(Debug)]
pub struct Shell {
    me: Weak<Shell>,
    /// The core; borrowed for the time of one batch.
    pub core: RefCell<Core>,
    saver: RefCell<Saver>,
    sockets: RefCell<Vec<Option<Socket>>>,
    started: Instant,
    read_buffer: RefCell<Box<[u8]>>,
    dirty: RefCell<Vec<LinkId>>,
    turn: Notify,
    turn_pending: Cell<bool>,
    lingering: RefCell<Lingering>,
    rotation_wanted: Cell<Option<u32>>,
    /// The last batch with a line that somebody relies on.
    bound: Cell<u64>,
    /// Since when lines have collected on which nobody relies, monotonic milliseconds.
    collecting_since_ms: Cell<Option<u64>>,
    idle: Notify,
    save_reports: (
        UnboundedSender<crate::storage::SaveOutcome>,
        RefCell<UnboundedReceiver<crate::storage::SaveOutcome>>,
    ),
}

/// What reading a connection brought.
enum Read {
    More,
    Backlog,
    Closed,
}

impl Shell {
    /// A shell around a core. `started` is the origin of the monotonic clock.
    pub fn new(core: Core, saver: Saver, started: Instant) -> Rc<Shell> {
        Rc::new_cyclic(|me| Shell {
            me: Weak::clone(me),
            core: RefCell::new(core),
            saver: RefCell::new(saver),
            sockets: RefCell::new(Vec::new()),
            started,
            read_buffer: RefCell::new(vec![0; READ_SIZE].into_boxed_slice()),
            dirty: RefCell::new(Vec::new()),
            turn: Notify::new(),
            turn_pending: Cell::new(false),
            lingering: RefCell::default(),
            rotation_wanted: Cell::new(None),
            bound: Cell::new(0),
            collecting_since_ms: Cell::new(None),
            idle: Notify::new(),
            save_reports: {
                let (sender, receiver) = unbounded_channel();
                (sender, RefCell::new(receiver))
            },
        })
    }

    /// The clocks now.
    pub fn now(&self) -> Now {
        clock(self.started)
    }

    /// Runs the timers and the end of turns; never returns.
    pub async fn run(self: Rc<Shell>) {
        let ticker = Rc::clone(&self);
        tokio::task::spawn_local(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                if ticker.lease().is_some() {
                    ticker.with_core(Core::tick);
                }
            }
        });
        loop {
            self.turn.notified().await;
            self.turn_pending.set(false);
            self.end_turn();
            self.linger().await;
        }
    }

    /// Waits a moment for the next request without going to sleep, because to be woken takes longer
    /// than most peers take to answer.
    async fn linger(&self) {
        if !self.lingering.borrow_mut().is_worth_it() {
            return;
        }
        let began = Instant::now();
        let heard = loop {
            // The runtime polls the kernel without waiting before it comes back here.
            tokio::task::yield_now().await;
            if self.turn_pending.get() {
                break true;
            }
            if began.elapsed() >= LINGER_MAX {
                break false;
            }
            // Whoever else wants this processor is not kept waiting.
            rustix::thread::sched_yield();
        };
        self.lingering.borrow_mut().learn(heard);
    }

    /// Does something with the core at the present time; its output leaves at the end of the turn.
    pub fn with_core<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let result = {
            let mut core = self.core.borrow_mut();
            core.set_now(self.now());
            act(&mut core)
        };
        self.want_turn();
        result
    }

    /// Shifts the changelogs before the next batch, keeping `keep` old ones.
    pub fn rotate(&self, keep: u32) {
        self.rotation_wanted.set(Some(keep));
        self.want_turn();
    }

    /// Waits until every line is saved.
    pub async fn quiesce(&self) {
        loop {
            self.end_turn_saving(true);
            let busy = self.saver.borrow().is_busy()
                || !self.core.borrow().out.lines.is_empty()
                || self.rotation_wanted.get().is_some();
            if !busy {
                return;
            }
            self.idle.notified().await;
        }
    }

    /// Gives metaloggers the time to take the last lines: they would miss them after the next start.
    pub async fn farewell(&self) {
        let began = Instant::now();
        let waits = |core: &Core| {
            core.links
                .of_port(Port::Metalogger)
                .any(|link| core.links.has_output(link))
        };
        while waits(&self.core.borrow()) && began.elapsed() < FAREWELL_MAX {
            self.flush();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The journal's thread saved the batch that was in flight.
    pub fn saved(&self, buffer: Vec<u8>) {
        self.saver.borrow_mut().flushed(buffer);
        self.committed();
    }

    /// Batches became safe: their answers leave, and what collected meanwhile is handed over.
    pub fn committed(&self) {
        self.end_turn();
        self.idle.notify_one();
    }

    /// The right to serve, if this master has it now.
    pub fn lease(&self) -> Option<Lease> {
        self.saver.borrow().lease()
    }

    /// This node's place in its cluster, for the time of a call; `None` without a cluster.
    pub fn with_standing<T>(&self, act: impl FnOnce(&mut Standing) -> T) -> Option<T> {
        self.saver.borrow_mut().standing().map(act)
    }

    /// The state of a node that does not serve, for the time of a call.
    pub fn with_namespace<T>(&self, act: impl FnOnce(&mut metadata::Namespace) -> T) -> T {
        act(&mut self.core.borrow_mut().ns)
    }

    /// Whether lines wait to be handed over or to become safe.
    pub fn is_busy(&self) -> bool {
        self.saver.borrow().is_busy() || !self.core.borrow().out.lines.is_empty()
    }

    /// Freezes the state of a node for an image, if all its lines were handed over.
    pub fn freeze(&self) -> bool {
        let core = self.core.borrow();
        if !core.out.lines.is_empty() {
            return false;
        }
        let view = core.ns.freeze();
        self.with_standing(|standing| standing.freeze(view));
        true
    }

    /// Forgets every connection and what was being done for it; [`Shell::cut`] ends them. Gives the
    /// lines that were made and not handed over.
    pub fn abandon(&self) -> Vec<u8> {
        let mut core = self.core.borrow_mut();
        let lines = core.out.lines.bytes().to_vec();
        core.abandon();
        lines
    }

    /// Cuts every connection; the rooms learn of it as of any end of a connection.
    pub fn cut(&self) {
        for socket in self
            .sockets
            .borrow_mut()
            .iter_mut()
            .filter_map(Option::take)
        {
            shutdown(&socket.write);
        }
    }

    /// What the metadata saver calls when it is done; the core learns of it in the next turn.
    pub fn save_report(&self) -> impl FnOnce(crate::storage::SaveOutcome) + Send + 'static {
        let reports = self.save_reports.0.clone();
        move |outcome| {
            // Nobody is left to tell only when the process ends.
            drop(reports.send(outcome));
        }
    }

    /// Takes what the metadata saver reported.
    pub fn take_save_report(&self) -> Option<crate::storage::SaveOutcome> {
        self.save_reports.1.borrow_mut().try_recv().ok()
    }

    /// Changes how changes are saved from the next batch on.
    pub fn set_save_mode(&self, mode: crate::journal::SaveMode) {
        self.saver.borrow_mut().set_mode(mode);
    }

    /// Brings the changelog to stable storage and ends the journal's thread: nothing is saved
    /// afterwards.
    pub fn finish(&self) {
        self.saver.borrow_mut().journal().finish();
    }

    fn want_turn(&self) {
        if !self.turn_pending.replace(true) {
            self.turn.notify_one();
        }
    }

    /// Hands the lines over and sends what may leave.
    fn end_turn(&self) {
        self.end_turn_saving(false);
    }

    /// Hands over every line that may be handed over now.
    pub fn flush(&self) {
        self.end_turn_saving(true);
    }

    /// The same; with `everything` also lines that could still collect are handed over. Without the
    /// right to serve nothing is handed over and nothing leaves.
    fn end_turn_saving(&self, everything: bool) {
        let mut core = self.core.borrow_mut();
        let mut saver = self.saver.borrow_mut();
        let core = &mut *core;
        if !saver.journal().is_busy()
            && let Some(keep) = self.rotation_wanted.take()
        {
            if let Err(error) = saver.journal().rotate(keep) {
                tracing::error!("can't rotate the changelogs: {error}");
            }
            crate::metalogger::rotated(core);
        }
        let Some(lease) = saver.lease() else { return };
        let may_collect = !everything && saver.lets_collect();
        let is_due = !core.out.lines.is_empty() && (!may_collect || self.is_due(core));
        if is_due && saver.is_ready() {
            crate::metalogger::lines(core);
            let binding = core.out.lines.are_binding();
            let mut records = Vec::new();
            core.clients.repeats.take_made(&mut records);
            saver.hand_over(lease, core.out.lines.bytes(), &records);
            core.out.lines.clear();
            self.collecting_since_ms.set(None);
            if binding {
                self.bound.set(saver.handed());
            }
        }
        if !core.out.lines.are_binding() {
            core.links.seal(self.bound.get(), saver.handed());
        }
        core.links.release(saver.saved());
        drop(saver);
        self.send(lease, core);
    }

    /// Whether the lines that have collected have to be saved now: somebody waits for them, or they
    /// are old.
    fn is_due(&self, core: &Core) -> bool {
        let now = core.now.mono_ms;
        let since = self.collecting_since_ms.get().unwrap_or(now);
        self.collecting_since_ms.set(Some(since));
        core.out.lines.are_binding() || now.saturating_sub(since) >= COLLECT_MAX_MS
    }

    /// Writes what may leave to the sockets, as long as the lease holds.
    fn send(&self, lease: Lease, core: &mut Core) {
        if !lease.is_valid() {
            return;
        }
        let mut dirty = self.dirty.borrow_mut();
        core.links.take_dirty(&mut dirty);
        let mut sockets = self.sockets.borrow_mut();
        for &link in dirty.iter() {
            let Some(socket) = sockets
                .get_mut(link.index())
                .and_then(Option::as_mut)
                .filter(|socket| socket.link == link)
            else {
                continue;
            };
            while !socket.blocked {
                let bytes = core.links.sendable(link);
                if bytes.is_empty() {
                    break;
                }
                match socket.write.try_write(bytes) {
                    Ok(count) => core.links.sent(link, count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        socket.blocked = true;
                        if let Some(shell) = self.me.upgrade() {
                            tokio::task::spawn_local(shell.unblock(link, Rc::clone(&socket.write)));
                        }
                    }
                    Err(_) => {
                        shutdown(&socket.write);
                        break;
                    }
                }
            }
            if core.links.is_drained_for_close(link) || core.links.backlog(link) > BACKLOG_CUT_OFF {
                shutdown(&socket.write);
                continue;
            }
            if core.links.is_closing(link) && !socket.ending {
                socket.ending = true;
                let write = Rc::clone(&socket.write);
                tokio::task::spawn_local(async move {
                    tokio::time::sleep(CLOSE_TIMEOUT).await;
                    shutdown(&write);
                });
            }
            if core.links.has_output(link) {
                core.links.keep_dirty(link);
            }
        }
    }

    /// Accepts connections on a port until the listener is dropped.
    pub async fn listen(self: Rc<Shell>, listener: TcpListener, port: Port) {
        let mut complained: Option<Instant> = None;
        loop {
            match listener.accept().await {
                Ok((stream, SocketAddr::V4(peer))) => {
                    tokio::task::spawn_local(Rc::clone(&self).serve(stream, peer, port));
                }
                Ok((_, SocketAddr::V6(peer))) => {
                    tracing::warn!("connection from {peer} closed: MooseFS speaks IPv4 only");
                }
                Err(error) => {
                    if complained.is_none_or(|at| at.elapsed() >= ACCEPT_COMPLAINT_PERIOD) {
                        tracing::error!("{} accept error: {error}", room_name(port));
                        complained = Some(Instant::now());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// One connection, from accept to its end.
    async fn serve(self: Rc<Shell>, stream: TcpStream, peer: SocketAddrV4, port: Port) {
        if self.lease().is_none() {
            // Whoever may serve is elsewhere; the peer looks again.
            return;
        }
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!("{peer}: no TCP_NODELAY: {error}");
        }
        let (mut read, write) = stream.into_split();
        let write = Rc::new(write);
        let link = self.with_core(|core| core.accepted(port, peer));
        {
            let mut sockets = self.sockets.borrow_mut();
            if sockets.len() <= link.index() {
                sockets.resize_with(link.index() + 1, || None);
            }
            sockets[link.index()] = Some(Socket {
                link,
                write: Rc::clone(&write),
                blocked: false,
                ending: false,
            });
        }
        let mut carry = Vec::new();
        loop {
            match poll_fn(|cx| self.poll_read(cx, &mut read, &mut carry, link, port)).await {
                Read::More => {}
                Read::Backlog => tokio::time::sleep(PAUSE).await,
                Read::Closed => break,
            }
        }
        if let Some(socket) = self.sockets.borrow_mut().get_mut(link.index())
            && socket.as_ref().is_some_and(|socket| socket.link == link)
        {
            *socket = None;
        }
        // After a change of the leader the core may not know it any more.
        if self.core.borrow().links.port(link) == Some(port) {
            self.with_core(|core| core.closed(link, port));
        }
    }

    /// Waits for a full socket to take more.
    async fn unblock(self: Rc<Shell>, link: LinkId, write: Rc<OwnedWriteHalf>) {
        // An error shows at the next write.
        drop(write.writable().await);
        if let Some(socket) = self
            .sockets
            .borrow_mut()
            .get_mut(link.index())
            .and_then(Option::as_mut)
            .filter(|socket| socket.link == link)
        {
            socket.blocked = false;
            self.want_turn();
        }
    }

    /// Reads once and executes every whole frame; the answers leave at the end of the turn.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        read: &mut OwnedReadHalf,
        carry: &mut Vec<u8>,
        link: LinkId,
        port: Port,
    ) -> Poll<Read> {
        let is_backed_up = self.core.borrow().links.backlog(link) > BACKLOG_STOP_READING;
        // Without the right to serve nothing is executed; it may come back in a moment.
        if is_backed_up || self.lease().is_none() {
            return Poll::Ready(Read::Backlog);
        }
        let mut buffer = self.read_buffer.borrow_mut();
        if carry.len() > CARRY_IN_PLACE {
            let mut chunk = ReadBuf::new(&mut buffer);
            match ready!(Pin::new(read).poll_read(cx, &mut chunk)) {
                Ok(()) if !chunk.filled().is_empty() => {}
                _ => return Poll::Ready(Read::Closed),
            }
            carry.extend_from_slice(chunk.filled());
            let Ok(consumed) = self.execute(carry, link, port) else {
                return Poll::Ready(Read::Closed);
            };
            carry.drain(..consumed);
            return Poll::Ready(Read::More);
        }
        let carried = carry.len();
        buffer[..carried].copy_from_slice(carry);
        let mut chunk = ReadBuf::new(&mut buffer[carried..]);
        let filled = match ready!(Pin::new(read).poll_read(cx, &mut chunk)) {
            Ok(()) if !chunk.filled().is_empty() => carried + chunk.filled().len(),
            _ => return Poll::Ready(Read::Closed),
        };
        let input = &buffer[..filled];
        let Ok(consumed) = self.execute(input, link, port) else {
            return Poll::Ready(Read::Closed);
        };
        carry.clear();
        carry.extend_from_slice(&input[consumed..]);
        Poll::Ready(Read::More)
    }

    /// Executes the whole frames at the front of `input`; says how many bytes they were.
    fn execute(&self, input: &[u8], link: LinkId, port: Port) -> Result<usize, FrameError> {
        let mut core = self.core.borrow_mut();
        core.set_now(self.now());
        core.links.heard(link);
        let mut consumed = 0;
        while core.links.is_open(link) {
            match split_frame(&input[consumed..], payload_max(port)) {
                Ok(Some(frame)) => {
                    core.frame(link, port, frame.kind, frame.payload);
                    consumed += HEADER_LEN + frame.payload.len();
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::info!(
                        "{} connection with {} closed: {error}",
                        room_name(port),
                        core.links.peer(link)
                    );
                    return Err(error);
                }
            }
        }
        if !core.links.is_open(link) {
            consumed = input.len();
        }
        // Answers of all connections that were ready leave one after the other: sent one by one
        // between the reads, each would wake a client that went to sleep after the last one.
        self.want_turn();
        Ok(consumed)
    }
}

/// How log messages name a port's room (master-behaviour §21).
fn room_name(port: Port) -> &'static str {
    match port {
        Port::Client => "main master server module:",
        Port::Chunkserver => "master <-> chunkservers module:",
        Port::Metalogger => "master <-> metaloggers module:",
    }
}

fn shutdown(write: &OwnedWriteHalf) {
    // An error means that the connection is gone already.
    drop(SockRef::from(write.as_ref()).shutdown(Shutdown::Both));
}

/// The clocks, monotonic since `started`.
pub fn clock(started: Instant) -> Now {
    let wall = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now {
        unix: u32::try_from(wall.as_secs()).unwrap_or(u32::MAX),
        unix_micros: u64::try_from(wall.as_micros()).unwrap_or(u64::MAX),
        mono_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}
