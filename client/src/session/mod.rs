//! A session with a master: registration, the life of its link, what it tells regularly.
//!
//! [`Session::connect`] registers. From then on a task keeps the link: it answers to silence,
//! reconnects, resumes the session or makes a new one, and sends unanswered requests again
//! (client-behaviour §6.4). Requests are made with [`Session::ask`] from the messages of
//! `proto::client`, or with the typed methods of [`crate::operations`].
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client::{Caller, Session, SessionOptions};
//! use proto::Inode;
//! use proto::client::{InodeRequest, kind, query::StatfsReply, message::Plain};
//!
//! let session = Session::connect(SessionOptions {
//!     host: "mfsmaster".to_owned(),
//!     ..SessionOptions::default()
//! })
//! .await?;
//! let reply = session.ask(kind::STATFS, |msgid| Plain { msgid }).await?;
//! println!("{} bytes", reply.body::<StatfsReply>()?.total);
//! session.close().await;
//! # Ok(()) }
//! ```

mod open_list;
mod options;
mod register;
mod times;

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proto::client::push::{SustainedInodes, TimeSync, TimeSyncReply};
use proto::client::register::{Register, Resume, session_flag};
use proto::client::{List, ListMessage, Message, kind};
use proto::{Inode, MetaId, Status, Version};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{info, warn};

use crate::error::{Error, Result};
use crate::master_link::{Link, LinkCounters, Reply, Watcher, adopt_socket, retry, shut};

pub use open_list::OpenList;
pub use options::{Kind, PasswordDigest, SessionOptions, answer_challenge, digest_password};
pub use register::{CLIENT_VERSION, Granted, RegisterError};
pub use times::FileClock;

/// Pause between two rounds of reconnection.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);
/// How often the clock of the master is asked for.
const TIME_SYNC_SECONDS: u64 = 60;
/// How often the list of open files goes out.
const OPEN_LIST_SECONDS: u64 = 60;
/// Longest wait for the answer to the end of a session.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// How often a refused connection is tried at the start, each time with the name resolved again.
const FIRST_TRIES: u32 = 10;

/// A session with a master. Cheap to share behind an [`Arc`].
pub struct Session {
    options: Mutex<SessionOptions>,
    link: Arc<Link>,
    state: Mutex<State>,
    open: Mutex<OpenList>,
    times: Mutex<FileClock>,
    /// Difference of the master's clock to ours.
    clock_offset_us: AtomicI64,
    ping_us: AtomicU64,
    closing: AtomicBool,
    stop: Notify,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    granted: Option<Granted>,
    address: Option<SocketAddrV4>,
}

/// What to try in a round of reconnection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// The session should still be there.
    Link,
    /// It is there, but its terms changed: it has to be taken over.
    Terms,
    /// It is gone.
    Session,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("state", &*lock(&self.state))
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    fn new(options: SessionOptions) -> Arc<Session> {
        let link = Link::new(retry::patience(options.tries), options.timeout);
        Arc::new(Session {
            options: Mutex::new(options),
            link: Arc::new(link),
            state: Mutex::default(),
            open: Mutex::default(),
            times: Mutex::default(),
            clock_offset_us: AtomicI64::new(0),
            ping_us: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            stop: Notify::new(),
            tasks: Mutex::default(),
        })
    }

    /// Registers a new session. A refused connection is tried ten times at once; every other
    /// failure ends the attempt.
    pub async fn connect(
        options: SessionOptions,
    ) -> std::result::Result<Arc<Session>, RegisterError> {
        let mut tries = 1;
        let registration = loop {
            let attempt = async {
                let address = register::resolve(&options.host, options.port).await?;
                register::new_session(&options, address, None).await
            };
            match attempt.await {
                Ok(registration) => break registration,
                Err(RegisterError::Connect(_)) if tries < FIRST_TRIES => tries += 1,
                Err(RegisterError::NoLeader) => tokio::time::sleep(RECONNECT_PAUSE).await,
                Err(error) => return Err(error),
            }
        };
        let session = Session::new(options);
        session.start(Some(registration));
        Ok(session)
    }

    /// A session that registers in the background, every two seconds until it succeeds. Until then
    /// every request fails at once.
    pub fn connect_later(options: SessionOptions) -> Arc<Session> {
        let session = Session::new(options);
        session.link.refuse(Error::SessionLost);
        session.start(None);
        session
    }

    fn start(self: &Arc<Self>, registration: Option<register::Registration>) {
        let keeper = tokio::spawn(Arc::clone(self).keep_link(registration));
        let ticker = tokio::spawn(Arc::clone(self).tick());
        lock(&self.tasks).extend([keeper, ticker]);
    }

    /// Makes a request of type `kind` and waits for its answer; `message` gets the number that the
    /// message has to carry. The request is repeated on a new link when the old one breaks
    /// ([`Reply::is_repeated`]).
    pub async fn ask<'a, M: Message<'a>>(
        &self,
        kind: u32,
        message: impl FnOnce(u32) -> M,
    ) -> Result<Reply> {
        self.link
            .ask(kind, |msgid, version, out| {
                message(msgid).encode(version, out)
            })
            .await
    }

    /// Makes a request whose payload behind the message number is given: what a proxy passes on.
    pub async fn ask_raw(&self, kind: u32, payload: &[u8]) -> Result<Reply> {
        self.link
            .ask(kind, |msgid, _, out| {
                out.extend_from_slice(&msgid.to_be_bytes());
                out.extend_from_slice(payload);
            })
            .await
    }

    /// Names who learns of what the master tells by itself. Only the first call counts.
    pub fn watch(&self, watcher: Arc<dyn Watcher>) {
        self.link.watch(watcher);
    }

    /// What the master granted at the last registration; zeros before the first.
    pub fn granted(&self) -> Granted {
        lock(&self.state).granted.unwrap_or_default()
    }

    /// Address of the master that was registered at last.
    pub fn master_address(&self) -> Option<SocketAddrV4> {
        lock(&self.state).address
    }

    /// Version whose layouts requests have now: the smaller of ours and the master's.
    pub fn version(&self) -> Version {
        self.link.version()
    }

    /// Whether every modification is refused.
    pub fn is_read_only(&self) -> bool {
        self.granted().flags & session_flag::READ_ONLY != 0
    }

    /// Counters of the link.
    pub fn counters(&self) -> LinkCounters {
        self.link.counters()
    }

    /// Whether there is a link at this moment.
    pub fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// The files that the master is to keep for this session.
    pub fn open_list(&self) -> MutexGuard<'_, OpenList> {
        lock(&self.open)
    }

    /// Times of reads and writes that the master is to be told.
    pub fn file_clock(&self) -> MutexGuard<'_, FileClock> {
        lock(&self.times)
    }

    /// Seconds since 1970 on the master's clock.
    pub fn master_seconds(&self) -> u32 {
        let now_us = i64::try_from(unix_us()).unwrap_or(i64::MAX);
        let us = now_us.saturating_add(self.clock_offset_us.load(Ordering::Relaxed));
        u32::try_from(us / 1_000_000).unwrap_or(0)
    }

    /// Difference of the master's clock to ours and half of a round trip, microseconds.
    pub fn clock_figures(&self) -> (i64, u64) {
        (
            self.clock_offset_us.load(Ordering::Relaxed),
            self.ping_us.load(Ordering::Relaxed),
        )
    }

    /// Source address for connections to chunkservers.
    pub fn bind_address(&self) -> Option<std::net::Ipv4Addr> {
        lock(&self.options).bind
    }

    /// Tells the last times and open files, ends the session at the master and stops. Requests
    /// that still wait fail.
    pub async fn close(&self) {
        self.send_times();
        self.send_open_list(&[]);
        let granted = self.granted();
        self.closing.store(true, Ordering::Relaxed);
        self.link.post(kind::REGISTER, |_, out| {
            Register::CloseSession {
                session: granted.session,
                metaid: (granted.metaid != MetaId(0)).then_some(granted.metaid),
            }
            .encode(out);
        });
        // The master closes the connection once it has read all this.
        let ended = async {
            while self.link.is_connected() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, ended).await;
        self.stop.notify_one();
        for task in lock(&self.tasks).drain(..) {
            task.abort();
        }
        self.link.refuse(Error::SessionLost);
    }

    async fn keep_link(self: Arc<Self>, mut registration: Option<register::Registration>) {
        let mut lost = Lost::Session;
        loop {
            let current = match registration.take() {
                Some(current) => current,
                None => match self.reconnect(lost).await {
                    Some(current) => current,
                    None => return,
                },
            };
            let granted = current.granted;
            *lock(&self.state) = State {
                granted: Some(granted),
                address: Some(current.address),
            };
            self.after_registration();
            let socket = match adopt_socket(current.stream) {
                Ok(socket) => socket,
                Err(error) => {
                    warn!("master connection: {error}");
                    lost = Lost::Link;
                    continue;
                }
            };
            let version = granted.version.min(CLIENT_VERSION);
            self.link.connected(Arc::clone(&socket), version);
            let clock = Arc::clone(&self);
            tokio::spawn(async move { clock.sync_clock().await });
            let why = self.link.serve(Arc::clone(&socket), current.input).await;
            shut(&socket);
            self.link.disconnected();
            if self.closing.load(Ordering::Relaxed) {
                return;
            }
            warn!("master connection lost: {why}");
            lost = Lost::Link;
        }
    }

    fn after_registration(&self) {
        let mut options = lock(&self.options);
        if options.forget_password {
            options.password = None;
        }
    }

    /// Tries until there is a link; `None` when the session is being closed.
    async fn reconnect(&self, mut lost: Lost) -> Option<register::Registration> {
        loop {
            let last = lock(&self.state).address;
            if let Some(address) = last
                && let Some(registration) = self.attempt(&mut lost, address).await
            {
                return Some(registration);
            }
            let (host, port) = {
                let options = lock(&self.options);
                (options.host.clone(), options.port)
            };
            if let Ok(address) = register::resolve(&host, port).await
                && let Some(registration) = self.attempt(&mut lost, address).await
            {
                return Some(registration);
            }
            tokio::select! {
                () = self.stop.notified() => return None,
                () = tokio::time::sleep(RECONNECT_PAUSE) => {}
            }
        }
    }

    /// One attempt at one address; what the master says about the session decides the next step
    /// at once.
    async fn attempt(
        &self,
        lost: &mut Lost,
        address: SocketAddrV4,
    ) -> Option<register::Registration> {
        let options = lock(&self.options).clone();
        let granted = lock(&self.state).granted;
        loop {
            let outcome = match (*lost, granted) {
                (Lost::Link, Some(granted)) => {
                    register::reconnect(&options, address, &granted).await
                }
                (Lost::Terms, Some(granted)) => {
                    let resume = Resume {
                        session: granted.session,
                        metaid: (granted.metaid != MetaId(0)).then_some(granted.metaid),
                    };
                    register::new_session(&options, address, Some(resume)).await
                }
                (Lost::Session, _) | (_, None) => {
                    register::new_session(&options, address, None).await
                }
            };
            match outcome {
                Ok(registration) => {
                    let before = granted.map(|granted| granted.session);
                    let after = registration.granted.session;
                    match before {
                        None => info!("registered to master"),
                        Some(before) if before == after => info!("registered to master again"),
                        Some(_) => warn!("registered to master with a new session"),
                    }
                    return Some(registration);
                }
                Err(RegisterError::Refused(Status::Eperm)) if *lost == Lost::Link => {
                    *lost = Lost::Terms;
                }
                Err(RegisterError::Refused(status)) if *lost == Lost::Link => {
                    warn!("the master does not know the session any more: {status}");
                    *lost = Lost::Session;
                }
                Err(error) => {
                    if let RegisterError::Refused(_) = error {
                        // Nothing that waits can be answered before somebody changes the exports.
                        self.link.refuse(Error::SessionLost);
                    }
                    tracing::debug!("no registration at {address}: {error}");
                    return None;
                }
            }
        }
    }

    async fn sync_clock(&self) {
        let asked = Instant::now();
        let reply = self
            .ask(kind::TIME_SYNC, |msgid| TimeSync { msgid: Some(msgid) })
            .await;
        let Ok(reply) = reply else { return };
        let Ok(TimeSyncReply { time_us, .. }) =
            TimeSyncReply::decode(reply.payload(), reply.version())
        else {
            return;
        };
        let half = asked.elapsed() / 2;
        let half_us = u64::try_from(half.as_micros()).unwrap_or(u64::MAX);
        self.ping_us.store(half_us, Ordering::Relaxed);
        let added = if half <= Duration::from_millis(100) {
            half_us
        } else {
            0
        };
        let offset = i128::from(time_us) + i128::from(added) - i128::from(unix_us());
        let offset = i64::try_from(offset).unwrap_or(0);
        self.clock_offset_us.store(offset, Ordering::Relaxed);
        if offset.unsigned_abs() > 1_000_000 {
            warn!(
                "the clock of the master differs by {} s",
                offset as f64 / 1_000_000.0
            );
        }
    }

    /// What happens every second.
    async fn tick(self: Arc<Self>) {
        /// Ticks in a second: requests expire at this resolution.
        const TICKS: u64 = 5;
        let mut interval = tokio::time::interval(Duration::from_secs(1) / TICKS as u32);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ticks = 0;
        loop {
            interval.tick().await;
            self.link.expire();
            ticks += 1;
            if ticks % TICKS != 0 {
                continue;
            }
            let second = ticks / TICKS;
            self.send_times();
            if second.is_multiple_of(OPEN_LIST_SECONDS) {
                let listed = lock(&self.open).next_report();
                if let Some(listed) = listed {
                    self.send_open_list(&listed);
                }
            }
            if second.is_multiple_of(TIME_SYNC_SECONDS) && self.is_connected() {
                let clock = Arc::clone(&self);
                tokio::spawn(async move { clock.sync_clock().await });
            }
            self.link.keep_alive();
        }
    }

    fn send_times(&self) {
        let times = lock(&self.times).report();
        if times.is_empty() || !self.version().has_change_pushes() {
            return;
        }
        self.link.post(kind::AMTIME_INODES, |version, out| {
            ListMessage {
                msgid: None,
                items: List::Values(&times),
            }
            .encode(version, out);
        });
    }

    fn send_open_list(&self, inodes: &[Inode]) {
        let number = if self.version().has_change_pushes() {
            kind::SUSTAINED_INODES
        } else {
            kind::OLD_SUSTAINED_INODES
        };
        self.link.post(number, |version, out| {
            SustainedInodes {
                msgid: None,
                items: List::Values(inodes),
            }
            .encode(version, out);
        });
    }
}

fn unix_us() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(0))
}
