//! The connection to a master (chunkserver §2): registration, orders, reports, load, space.

pub mod orders;
pub mod registration;

use crate::data_link::frame::{FrameReader, send};
use crate::identity::Verdict;
use crate::reports::ReportQueue;
use crate::server::Server;
use crate::settings::{MasterSettings, resolve};
use crate::store::index::SHARDS;
use orders::Order;
use proto::chunkserver::{
    Begin, ChunkDamaged, ChunkLost, ChunkNew, CurrentLoad, Enrolment, ErrorOccurred,
    FROM_MASTER_PAYLOAD_MAX, FromMaster, Labels, LoadState, MasterAck, Register, ReportedChunk,
    Space, Style, authentication_digest,
};
use proto::common::Nop;
use proto::frame::HEADER_LEN;
use proto::list::List;
use proto::{ChunkId, Version};
use registration::{Fallback, Registration, Step};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// An attempt to connect takes so long at most.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// How often the timers are looked at.
const TICK: Duration = Duration::from_millis(250);
/// A sign of life after so long without another packet.
const NOP_AFTER: Duration = Duration::from_secs(1);
/// The load is told this often, and at once when its state changes.
const LOAD_EVERY: Duration = Duration::from_secs(5);
/// Space is told at most this often.
const SPACE_EVERY: Duration = Duration::from_secs(1);
/// Until something is agreed, the master may be silent so long.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout in the old style when the configuration names none, seconds.
const OLD_TIMEOUT_S: u16 = 10;
/// Lost and new copies of one pass.
const REPORTS_MAX: usize = 24_500;
/// The farewell takes so long at most.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

/// What the service tells a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// The labels have changed.
    Labels,
    /// Say goodbye and end.
    Stop,
}

/// How a connection ended.
#[derive(Debug, Default)]
struct Ended {
    /// The master had said something.
    answered: bool,
    /// Where to connect next instead of resolving the name.
    next: Option<Ipv4Addr>,
    /// The task is to end too.
    stop: bool,
}

/// Connects to one master, and again, until told to stop.
pub async fn run(
    server: Arc<Server>,
    settings: MasterSettings,
    host: String,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let queue = server.store.reports.subscribe();
    let mut fallback = Fallback::default();
    let mut next: Option<Ipv4Addr> = None;
    loop {
        let begun = Instant::now();
        let style = fallback.style();
        let connected = connect(&settings, &host, next.take()).await;
        let ended = match connected {
            Ok((stream, address)) => {
                let mut link = MasterLink::new(&server, &settings, &queue, stream, address);
                let ended = link.serve(style, &mut commands).await;
                queue.end();
                let mut leader = server.leader.lock();
                if *leader == Some(address) {
                    *leader = None;
                }
                fallback.ended(ended.answered);
                ended
            }
            Err(reason) => {
                tracing::warn!("master connection module: {host}: {reason}");
                Ended::default()
            }
        };
        if ended.stop {
            break;
        }
        // With several masters in the list each has its connection: the leader's is another one.
        next = ended.next.filter(|_| settings.hosts.len() == 1);
        let pause = settings
            .reconnection_delay
            .saturating_sub(begun.elapsed())
            .max(Duration::from_millis(100));
        let stopped = timeout(pause, async {
            while let Some(command) = commands.recv().await {
                if command == Command::Stop {
                    return;
                }
            }
        })
        .await;
        if stopped.is_ok() {
            break;
        }
    }
    server.store.reports.unsubscribe(&queue);
}

async fn connect(
    settings: &MasterSettings,
    host: &str,
    known: Option<Ipv4Addr>,
) -> Result<(TcpStream, SocketAddrV4), String> {
    let address = match known {
        Some(ip) => SocketAddrV4::new(ip, settings.port),
        None => {
            let (host, port) = (host.to_owned(), settings.port);
            tokio::task::spawn_blocking(move || resolve(&host, port))
                .await
                .map_err(|error| error.to_string())?
                .map_err(|error| format!("can't resolve master host/port: {error}"))?
        }
    };
    if address.ip().is_loopback() {
        return Err(format!(
            "address {} of the master is a local one that no other server could use",
            address.ip()
        ));
    }
    let describe = |error: std::io::Error| daemon::errno::describe(&error);
    let socket = TcpSocket::new_v4().map_err(describe)?;
    if !settings.bind.is_unspecified() {
        socket
            .bind(SocketAddrV4::new(settings.bind, 0).into())
            .map_err(|error| format!("can't bind to {}: {}", settings.bind, describe(error)))?;
    }
    let stream = timeout(CONNECT_LIMIT, socket.connect(address.into()))
        .await
        .map_err(|_| format!("no connection to {address} within a second"))?
        .map_err(|error| format!("can't connect to {address}: {}", describe(error)))?;
    stream.set_nodelay(true).map_err(describe)?;
    Ok((stream, address))
}

struct MasterLink<'a> {
    server: &'a Arc<Server>,
    settings: &'a MasterSettings,
    queue: &'a Arc<ReportQueue>,
    stream: TcpStream,
    address: SocketAddrV4,
    registration: Registration,
    answered: bool,
    acknowledged: bool,
    timeout: Duration,
    heard: Instant,
    said: Instant,
    load_told: Option<(Instant, LoadState)>,
    space_told: Option<(Instant, Space)>,
    lister: Lister,
    replies: mpsc::UnboundedSender<Vec<u8>>,
    next: Option<Ipv4Addr>,
}

/// Why a connection is given up.
type Reason = String;

enum Event {
    Frame(std::io::Result<Option<crate::data_link::frame::Frame>>),
    Reply(Vec<u8>),
    Reports,
    Tick,
    Command(Command),
}

impl<'a> MasterLink<'a> {
    fn new(
        server: &'a Arc<Server>,
        settings: &'a MasterSettings,
        queue: &'a Arc<ReportQueue>,
        stream: TcpStream,
        address: SocketAddrV4,
    ) -> MasterLink<'a> {
        let now = Instant::now();
        MasterLink {
            server,
            settings,
            queue,
            stream,
            address,
            registration: Registration::begun(Style::New),
            answered: false,
            acknowledged: false,
            timeout: match settings.timeout_s {
                0 => TIMEOUT,
                seconds => Duration::from_secs(seconds.into()),
            },
            heard: now,
            said: now,
            load_told: None,
            space_told: None,
            lister: Lister::default(),
            // Replaced when the connection is served.
            replies: mpsc::unbounded_channel().0,
            next: None,
        }
    }

    async fn serve(
        &mut self,
        style: Style,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Ended {
        let (replies, mut answers) = mpsc::unbounded_channel();
        self.replies = replies;
        let mut stop = false;
        let result = self
            .exchange(style, commands, &mut answers, &mut stop)
            .await;
        match result {
            Ok(()) => {}
            Err(reason) => tracing::info!("connection with master {}: {reason}", self.address),
        }
        Ended {
            answered: self.answered,
            next: self.next,
            stop,
        }
    }

    async fn exchange(
        &mut self,
        style: Style,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        answers: &mut mpsc::UnboundedReceiver<Vec<u8>>,
        stop: &mut bool,
    ) -> Result<(), Reason> {
        self.begin(style, None).await?;
        let mut reader = FrameReader::new(FROM_MASTER_PAYLOAD_MAX);
        let mut tick = tokio::time::interval(TICK);
        loop {
            let event = tokio::select! {
                frame = reader.next(&self.stream) => Event::Frame(frame),
                Some(reply) = answers.recv() => Event::Reply(reply),
                () = self.queue.bell.notified(), if self.registration.is_done() => Event::Reports,
                _ = tick.tick() => Event::Tick,
                command = commands.recv() => Event::Command(command.unwrap_or(Command::Stop)),
            };
            match event {
                Event::Frame(Ok(Some(frame))) => {
                    self.heard = Instant::now();
                    let bytes = HEADER_LEN + frame.payload().len();
                    self.server.counters.master_in.add(bytes as u64);
                    let message =
                        FromMaster::decode(frame.kind, frame.payload()).map_err(|_| {
                            format!(
                                "unknown packet (type {}, {} bytes)",
                                frame.kind,
                                frame.payload().len()
                            )
                        })?;
                    if self.message(&message).await? {
                        return Ok(());
                    }
                }
                Event::Frame(Ok(None)) => return Err("closed by the master".to_owned()),
                Event::Frame(Err(error)) => return Err(daemon::errno::describe(&error)),
                Event::Reply(mut reply) => {
                    while let Ok(more) = answers.try_recv() {
                        reply.extend_from_slice(&more);
                    }
                    self.send(&reply).await?;
                }
                Event::Reports => self.report().await?,
                Event::Tick => self.tick().await?,
                Event::Command(Command::Labels) => self.send_labels().await?,
                Event::Command(Command::Stop) => {
                    *stop = true;
                    if self.registration.master().master_takes_disconnect() {
                        let mut out = Vec::new();
                        Register::Disconnect.encode(&mut out);
                        // Whether it arrives or not, this is the end.
                        let _ = timeout(FAREWELL_LIMIT, self.send(&out)).await;
                    }
                    return Ok(());
                }
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.server.counters.master_out.add(bytes.len() as u64);
        self.said = Instant::now();
        send(&self.stream, bytes)
            .await
            .map_err(|error| daemon::errno::describe(&error))
    }

    async fn begin(&mut self, style: Style, digest: Option<[u8; 16]>) -> Result<(), Reason> {
        self.registration = Registration::begun(style);
        let settings = self.server.settings();
        let mut out = Vec::new();
        Register::Begin(Begin {
            version: Version::CURRENT,
            address: settings.listen,
            timeout_s: match style {
                Style::Old if self.settings.timeout_s == 0 => OLD_TIMEOUT_S,
                _ => self.settings.timeout_s,
            },
            enrolment: match style {
                Style::Old => None,
                Style::New => Some(Enrolment {
                    digest,
                    csid: self.server.identity.lock().csid,
                    space: self.space(),
                }),
            },
        })
        .encode(&mut out);
        self.send(&out).await
    }

    fn space(&self) -> Space {
        let (regular, marked) = self.server.store.usage();
        Space::new(regular, marked)
    }

    /// `true`: the connection is to be closed.
    async fn message(&mut self, message: &FromMaster<'_>) -> Result<bool, Reason> {
        if let Some(order) = Order::of(message) {
            let (server, replies) = (Arc::clone(self.server), self.replies.clone());
            tokio::spawn(async move {
                let reply = orders::execute(server, order).await;
                // The connection may be gone: the next registration tells the state.
                let _ = replies.send(reply);
            });
            return Ok(false);
        }
        match message {
            FromMaster::Nop(_) => {
                let steps = self.registration.on_nop(self.acknowledged);
                self.answered = true;
                self.steps(steps).await
            }
            FromMaster::MasterAck(ack) => {
                let ack: MasterAck = *ack;
                self.answered = true;
                self.acknowledged = true;
                let steps = self
                    .registration
                    .on_ack(ack)
                    .map_err(|error| error.to_string())?;
                self.steps(steps).await
            }
            FromMaster::UnknownCommand(_)
            | FromMaster::BadCommandSize(_)
            | FromMaster::ConfigValue(_) => Ok(false),
            other => Err(format!("unknown packet (type {})", other.kind())),
        }
    }

    async fn steps(&mut self, steps: Vec<Step>) -> Result<bool, Reason> {
        for step in steps {
            match step {
                Step::Accepted {
                    timeout_s,
                    csid,
                    metaid,
                    ..
                } => {
                    self.accept(timeout_s, csid, metaid)?;
                    self.send_labels().await?;
                }
                Step::NextBatch(style) => self.next_batch(style).await?,
                Step::WholeList(style) => {
                    self.queue.begin();
                    self.lister = Lister::default();
                    while !self.registration.is_done() {
                        self.next_batch(style).await?;
                    }
                }
                Step::Authenticate(challenge) => {
                    if self.settings.auth_code.is_empty() {
                        return Err("the master wants authentication: set AUTH_CODE".to_owned());
                    }
                    let digest = authentication_digest(&challenge, &self.settings.auth_code);
                    self.begin(Style::New, Some(digest)).await?;
                }
                Step::Redirect(leader) => {
                    match leader {
                        Some(leader) => tracing::info!(
                            "master {} does not lead: {leader} does",
                            self.address.ip()
                        ),
                        None => tracing::info!(
                            "master {} does not lead, and does not know who does",
                            self.address.ip()
                        ),
                    }
                    self.next = leader;
                    return Ok(true);
                }
                Step::Wait(seconds) => self.timeout = Duration::from_secs(seconds.max(1).into()),
            }
        }
        Ok(false)
    }

    fn accept(
        &mut self,
        timeout_s: Option<u16>,
        csid: proto::CsId,
        metaid: Option<proto::MetaId>,
    ) -> Result<(), Reason> {
        let mut known = *self.server.identity.lock();
        if known.metaid.0 == 0 {
            known.metaid = self.server.store.metaid_of_disks().unwrap_or_default();
        }
        match known.judge(csid, metaid) {
            Verdict::Same => {}
            Verdict::Changed(identity) => {
                *self.server.identity.lock() = identity;
                if let Err(error) = identity.store() {
                    tracing::warn!(
                        "can't store chunkserverid.mfs: {}",
                        daemon::errno::describe(&error)
                    );
                }
                if identity.metaid.0 != 0 {
                    self.server.store.write_metaid(identity.metaid);
                }
            }
            Verdict::Foreign => {
                let text = format!(
                    "the master serves another file system ({:016X}, this server belongs to {:016X}): \
                     to adopt this server there, remove chunkserverid.mfs and the .metaid of every disk",
                    metaid.unwrap_or_default().0,
                    known.metaid.0
                );
                tracing::error!("{text}");
                self.server.stop.notify_one();
                return Err(text);
            }
        }
        if let Some(seconds) = timeout_s
            && self.settings.timeout_s == 0
        {
            self.timeout = Duration::from_secs(seconds.max(1).into());
        }
        self.queue.begin();
        self.lister = Lister::default();
        *self.server.leader.lock() = Some(self.address);
        tracing::info!(
            "connected to master {} (version {})",
            self.address,
            self.registration.master()
        );
        Ok(())
    }

    async fn send_labels(&mut self) -> Result<(), Reason> {
        if !self.registration.master().master_takes_labels() {
            return Ok(());
        }
        let mut out = Vec::new();
        Labels {
            mask: self.server.settings().master.labels,
        }
        .encode(&mut out);
        self.send(&out).await
    }

    /// Sends a batch of chunks, or the end of the list.
    async fn next_batch(&mut self, style: Style) -> Result<(), Reason> {
        let batch = self
            .lister
            .next(self.server, self.settings.chunks_per_packet);
        let mut out = Vec::new();
        if batch.is_empty() {
            match style {
                Style::Old => Register::OldEnd(self.space()).encode(&mut out),
                Style::New => Register::NewEnd.encode(&mut out),
            }
            self.registration.ended();
            // What was found meanwhile waits.
            self.queue.bell.notify_one();
        } else {
            let mut list = Vec::new();
            let chunks = List::write(batch, &mut list);
            Register::Chunks(style, chunks).encode(&mut out);
        }
        self.send(&out).await
    }

    async fn report(&mut self) -> Result<(), Reason> {
        let pending = self.queue.take(REPORTS_MAX);
        let mut out = Vec::new();
        for _ in 0..pending.errors {
            ErrorOccurred {}.encode(&mut out);
        }
        let mut list = Vec::new();
        if !pending.damaged.is_empty() {
            let chunks: List<'_, ChunkId> = List::write(pending.damaged, &mut list);
            ChunkDamaged { chunks }.encode(&mut out);
        }
        if !pending.lost.is_empty() {
            let chunks: List<'_, ChunkId> = List::write(pending.lost, &mut list);
            ChunkLost { chunks }.encode(&mut out);
        }
        if !pending.new.is_empty() {
            let chunks: List<'_, ReportedChunk> = List::write(pending.new, &mut list);
            ChunkNew { chunks }.encode(&mut out);
        }
        self.send(&out).await?;
        if self.queue.has_more() {
            self.queue.bell.notify_one();
        }
        Ok(())
    }

    async fn tick(&mut self) -> Result<(), Reason> {
        if self.heard.elapsed() > self.timeout {
            return Err(format!(
                "timed out: nothing heard for {} seconds",
                self.timeout.as_secs()
            ));
        }
        let mut out = Vec::new();
        if self.registration.is_accepted() {
            self.tell_space(&mut out);
        }
        if self.registration.is_done() {
            self.tell_load(&mut out);
        }
        if out.is_empty() && self.said.elapsed() >= NOP_AFTER {
            Nop {}.encode(&mut out);
        }
        self.send(&out).await
    }

    fn tell_space(&mut self, out: &mut Vec<u8>) {
        let recent = |(told, _): (Instant, Space)| told.elapsed() < SPACE_EVERY;
        if self.space_told.is_some_and(recent) {
            return;
        }
        let space = self.space();
        if self.space_told.is_none_or(|(_, told)| told != space) {
            space.encode(out);
        }
        self.space_told = Some((Instant::now(), space));
    }

    fn tell_load(&mut self, out: &mut Vec<u8>) {
        let (load, state) = self.server.load();
        let due = self
            .load_told
            .is_none_or(|(told, before)| before != state || told.elapsed() >= LOAD_EVERY);
        if due
            && let Some(report) =
                CurrentLoad::for_master(self.registration.master(), load, state, 0)
        {
            report.encode(out);
            self.load_told = Some((Instant::now(), state));
        }
    }
}

/// Goes through the index in batches.
#[derive(Debug, Default)]
struct Lister {
    part: usize,
}

impl Lister {
    /// At least `wanted` chunks while there are as many; empty at the end.
    fn next(&mut self, server: &Server, wanted: usize) -> Vec<ReportedChunk> {
        let mut batch = Vec::new();
        while self.part < SHARDS && batch.len() < wanted {
            batch.extend(server.store.list_part(self.part));
            self.part += 1;
        }
        batch
    }
}
