//! The life of a metalogger process: the thin shell around the core. Sockets, clock, signals.

use crate::disk::{Disk, NotSaved};
use crate::effect::{Effects, Now};
use crate::follower::Follower;
use crate::settings::Settings;
use daemon::errno::describe;
use daemon::log;
use daemon::start::Startup;
use proto::frame::split_frame;
use proto::metalogger::PAYLOAD_MAX;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::Interest;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// How long a connection may take to come up.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of one read.
const READ_BYTES: usize = 256 << 10;

/// Everything between the daemon's start and its end.
///
/// # Errors
/// The data directory cannot be used, or the system refuses signals.
pub fn serve(startup: &mut Startup) -> Result<(), String> {
    let settings = Settings::from_config(&startup.config);
    let (disk, remembered) =
        Disk::open(Path::new("."), settings.back_logs, settings.images_kept)
            .map_err(|error| format!("can't use the data directory: {}", describe(&error)))?;
    let service = Service {
        follower: Follower::new(settings.pace, remembered),
        disk,
        settings,
        began: Instant::now(),
        link: None,
        attempt: None,
        next_attempt: Instant::now(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the runtime: {error}"))?;
    runtime
        .block_on(service.run(startup))
        .map_err(|error| format!("can't watch signals: {error}"))
}

/// A connection with what has been read and not understood, and what has not been sent.
struct Link {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

struct Service {
    settings: Settings,
    follower: Follower,
    disk: Disk,
    began: Instant,
    link: Option<Link>,
    attempt: Option<JoinHandle<Result<TcpStream, String>>>,
    next_attempt: Instant,
}

/// What ended the waiting.
enum Wake {
    Second,
    Ready,
    Attempted(Result<TcpStream, String>),
    Reload,
    Info,
    Stop,
}

impl Service {
    async fn run(mut self, startup: &mut Startup) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut user1 = signal(SignalKind::user_defined1())?;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        startup.initialized();
        loop {
            self.begin_attempt();
            let wake = tokio::select! {
                _ = second.tick() => Wake::Second,
                () = ready(self.link.as_ref()) => Wake::Ready,
                stream = attempted(self.attempt.as_mut()) => Wake::Attempted(stream),
                _ = hangup.recv() => Wake::Reload,
                _ = user1.recv() => Wake::Info,
                _ = terminate.recv() => Wake::Stop,
                _ = interrupt.recv(), if startup.invocation.foreground => Wake::Stop,
            };
            match wake {
                Wake::Second => self.with_core(|core, now, effects| core.tick(now, effects)),
                Wake::Ready => self.exchange(),
                Wake::Attempted(stream) => self.attempt_ended(stream),
                Wake::Reload => self.reload(startup),
                Wake::Info => self.info(),
                Wake::Stop => break,
            }
        }
        tracing::info!("terminate signal received");
        self.disconnect();
        tracing::info!("exited from main loop");
        Ok(())
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Now {
            unix: u32::try_from(unix).unwrap_or(u32::MAX),
            mono_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// One event for the core, and all that it leads to.
    fn with_core(&mut self, event: impl FnOnce(&mut Follower, Now, &mut Effects)) {
        let mut effects = Effects::default();
        let now = self.now();
        event(&mut self.follower, now, &mut effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, mut effects: Effects) {
        let mut disconnect = false;
        loop {
            if let Some(link) = &mut self.link {
                link.output.append(&mut effects.send);
            }
            disconnect |= effects.disconnect;
            let actions = std::mem::take(&mut effects.actions);
            effects = Effects::default();
            if actions.is_empty() {
                break;
            }
            for action in actions {
                match self.disk.execute(action) {
                    Ok(None) => {}
                    Ok(Some(outcome)) => self.follower.stored(outcome, self.now(), &mut effects),
                    Err(NotSaved { first, error }) => {
                        tracing::error!(
                            "lost MFS change {first}: {error} - it is asked for again after {} seconds",
                            self.settings.reconnection_delay.as_secs()
                        );
                        self.follower.not_saved(first, &mut effects);
                    }
                }
            }
        }
        if disconnect {
            self.disconnect();
        } else {
            self.send();
        }
    }

    /// Reads and writes what the socket takes.
    fn exchange(&mut self) {
        self.send();
        let Some(link) = &mut self.link else { return };
        let filled = link.input.len();
        link.input.resize(filled + READ_BYTES, 0);
        let read = link
            .stream
            .try_read(link.input.get_mut(filled..).unwrap_or_default());
        link.input
            .truncate(filled + read.as_ref().map_or(0, |&count| count));
        match read {
            Ok(0) => {
                tracing::warn!("connection was reset by Master");
                self.disconnect();
            }
            Ok(_) => self.frames(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::warn!("read from Master error: {}", describe(&error));
                self.disconnect();
            }
        }
    }

    /// Hands every whole packet to the core.
    fn frames(&mut self) {
        let Some(link) = &mut self.link else { return };
        let input = std::mem::take(&mut link.input);
        let mut effects = Effects::default();
        let mut at = 0;
        let now = self.now();
        loop {
            let rest = input.get(at..).unwrap_or_default();
            let frame = match split_frame(rest, PAYLOAD_MAX) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!("Master {error}");
                    effects.disconnect = true;
                    break;
                }
            };
            at += frame.consumed;
            if self
                .follower
                .frame(frame.kind, frame.payload, now, &mut effects)
                .is_err()
            {
                tracing::warn!(
                    "unexpected packet from Master (type:{} ; length:{}) - closing connection",
                    frame.kind,
                    frame.payload.len()
                );
                effects.disconnect = true;
            }
            if effects.disconnect {
                break;
            }
        }
        if let Some(link) = &mut self.link {
            link.input = input;
            link.input.drain(..at);
        }
        self.carry_out(effects);
    }

    fn send(&mut self) {
        let Some(link) = &mut self.link else { return };
        while !link.output.is_empty() {
            match link.stream.try_write(&link.output) {
                Ok(count) => drop(link.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!("write to Master error: {}", describe(&error));
                    self.disconnect();
                    return;
                }
            }
        }
    }

    fn disconnect(&mut self) {
        self.link = None;
        self.next_attempt = Instant::now() + self.settings.reconnection_delay;
        let mut effects = Effects::default();
        self.follower.closed(&mut effects);
        for action in effects.actions {
            if let Err(lost) = self.disk.execute(action) {
                tracing::error!("{lost}");
                self.follower.not_saved(lost.first, &mut Effects::default());
            }
        }
    }

    /// A new attempt, when there is no connection and it is time.
    fn begin_attempt(&mut self) {
        let is_due = Instant::now() >= self.next_attempt;
        if self.link.is_none() && self.attempt.is_none() && is_due {
            tracing::info!("connecting ...");
            self.next_attempt = Instant::now() + self.settings.reconnection_delay;
            self.attempt = Some(tokio::spawn(connect(
                self.settings.master.clone(),
                self.settings.bind_host.clone(),
            )));
        }
    }

    fn attempt_ended(&mut self, stream: Result<TcpStream, String>) {
        self.attempt = None;
        match stream {
            Ok(stream) => {
                tracing::info!("connected to Master");
                self.link = Some(Link {
                    stream,
                    input: Vec::new(),
                    output: Vec::new(),
                });
                self.with_core(|core, now, effects| core.connected(now, effects));
            }
            Err(error) => tracing::warn!("{error}"),
        }
    }

    /// SIGHUP: what is wrong keeps its old value.
    fn reload(&mut self, startup: &mut Startup) {
        tracing::info!("reloading config files");
        let config = match startup.config.reload() {
            Ok(config) => config,
            Err(error) => {
                tracing::error!("{error}");
                return;
            }
        };
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        log::set_level(config.text("SYSLOG_MIN_LEVEL"));
        let settings = Settings::from_config(&config);
        let moved = (&settings.master, &settings.bind_host)
            != (&self.settings.master, &self.settings.bind_host);
        self.disk.keep(settings.back_logs, settings.images_kept);
        self.follower.set_pace(settings.pace);
        self.settings = settings;
        startup.config = config;
        if moved {
            tracing::info!("the master's address has changed - connecting again");
            if let Some(attempt) = self.attempt.take() {
                attempt.abort();
            }
            self.disconnect();
            self.next_attempt = Instant::now();
        }
    }

    /// SIGUSR1.
    fn info(&self) {
        tracing::info!(
            "master: {}:{} ; {} ; next change: {}",
            self.settings.master.0,
            self.settings.master.1,
            if self.link.is_some() {
                "connected"
            } else {
                "not connected"
            },
            self.follower
                .next_line()
                .map_or_else(|| "not known yet".to_owned(), |next| next.to_string())
        );
    }
}

/// Waits until the connection, if there is one, can be read, or written when something waits.
async fn ready(link: Option<&Link>) {
    let Some(link) = link else {
        return std::future::pending().await;
    };
    let interest = if link.output.is_empty() {
        Interest::READABLE
    } else {
        Interest::READABLE | Interest::WRITABLE
    };
    // An error is met again by the read that follows.
    let _ = link.stream.ready(interest).await;
}

async fn attempted(
    attempt: Option<&mut JoinHandle<Result<TcpStream, String>>>,
) -> Result<TcpStream, String> {
    match attempt {
        None => std::future::pending().await,
        Some(attempt) => attempt
            .await
            .unwrap_or_else(|error| Err(format!("connection failed, error: {error}"))),
    }
}

/// Resolves the names anew each time and connects.
async fn connect(
    (host, port): (String, u16),
    bind_host: Option<String>,
) -> Result<TcpStream, String> {
    let failed = |error: io::Error| format!("connection failed, error: {}", describe(&error));
    let master = resolve(&host, port)
        .await
        .ok_or_else(|| format!("can't resolve master host/port ({host}:{port})"))?;
    let socket = TcpSocket::new_v4().map_err(failed)?;
    if let Some(bind_host) = bind_host {
        let local = resolve(&bind_host, 0)
            .await
            .ok_or_else(|| format!("can't resolve BIND_HOST ({bind_host})"))?;
        socket.bind(local).map_err(failed)?;
    }
    socket.set_nodelay(true).map_err(failed)?;
    match tokio::time::timeout(CONNECT_TIMEOUT, socket.connect(master)).await {
        Ok(stream) => stream.map_err(failed),
        Err(_) => Err("connection timed out".to_owned()),
    }
}

async fn resolve(host: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(IpAddr::V4(address)) = host.parse() {
        return Some(SocketAddr::new(address.into(), port));
    }
    lookup_host((host, port))
        .await
        .ok()?
        .find(SocketAddr::is_ipv4)
}
