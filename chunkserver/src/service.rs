//! The life of a chunkserver process: disks, data port, masters, reload, end (chunkserver §5.1).

use crate::counters::Counters;
use crate::data_link;
use crate::data_link::peers;
use crate::disk_list;
use crate::identity::Identity;
use crate::limits::open_files_max;
use crate::master_link::{self, Command};
use crate::reports::Reports;
use crate::samples;
use crate::server::Server;
use crate::settings::Settings;
use crate::store::table::{PoolLimits, RejectedLine};
use crate::store::{Store, balance, unix_now};
use daemon::charts::{CHUNKSERVER, LocalTime, store};
use daemon::local_time::utc_offset;
use daemon::log;
use daemon::start::Startup;
use daemon::usage::{self, CpuTime};
use std::net::SocketAddrV4;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle};

/// The charts, in the data directory.
const CHARTS: &str = "csstats.mfs";
/// Seconds of a minute and of an hour.
const MINUTE: u32 = 60;
const HOUR: u32 = 3600;
/// The end does not wait longer for the masters, and for jobs on the disks.
const END_LIMIT: Duration = Duration::from_secs(6);
/// Pause between two looks at what is still to be done.
const END_POLL: Duration = Duration::from_millis(20);

/// Everything between the daemon's start and its end.
pub fn serve(startup: &mut Startup) -> Result<(), String> {
    let settings = Settings::from_config(&startup.config)?;
    let identity = Identity::load();
    let store = Arc::new(Store::new(
        settings.store,
        open_files_max(),
        Arc::new(Reports::default()),
        Arc::new(Counters::default()),
    ));
    let rejected = load_disks(&store, &settings, identity)
        .map_err(|error| format!("{error}\ninit: hdd space manager failed !!!"))?;
    if !rejected.is_empty() && !settings.invalid_disks_allowed {
        return Err("init: hdd space manager failed !!!".to_owned());
    }
    log::say("hdd space manager: start background hdd scanning (searching for available chunks)");
    let now = LocalTime(unix_now().saturating_add_signed(utc_offset()));
    let charts = store::load(&CHUNKSERVER, Path::new(CHARTS), now);
    let server = Arc::new(Server::new(store, settings, identity, charts));
    note_rejected(&server, &rejected);
    balance::start(&server.store).map_err(|error| format!("can't start a thread: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the runtime: {error}"))?;
    let result = runtime.block_on(Service::run(startup, Arc::clone(&server)));
    end(runtime);
    result
}

/// A job on a hanging disk must not keep the process.
fn end(runtime: Runtime) {
    runtime.shutdown_timeout(Duration::from_secs(1));
}

fn load_disks(
    store: &Arc<Store>,
    settings: &Settings,
    identity: Identity,
) -> Result<Vec<RejectedLine>, String> {
    let path = &settings.disk_list;
    let text = std::fs::read(path).map_err(|error| {
        format!(
            "hdd space manager: can't read {}: {}",
            path.display(),
            daemon::errno::describe(&error)
        )
    })?;
    let directory = std::env::current_dir().unwrap_or_default();
    let list = disk_list::parse(&String::from_utf8_lossy(&text), &directory);
    for warning in &list.warnings {
        tracing::warn!("hdd space manager: {}: {warning}", path.display());
    }
    if list.disks.is_empty() {
        tracing::warn!(
            "hdd space manager: no hdd space defined in {} file",
            path.display()
        );
    }
    let metaid = Some(identity.metaid).filter(|metaid| metaid.0 != 0);
    let limits = PoolLimits {
        jobs_max: settings.jobs_max,
        idle_max: settings.idle_threads_max,
    };
    Ok(store.apply(&list.disks, metaid, limits))
}

fn note_rejected(server: &Server, rejected: &[RejectedLine]) {
    *server.invalid_disks.lock() = rejected
        .iter()
        .map(|line| line.path.as_os_str().as_bytes().to_vec())
        .collect();
}

/// A master's connection.
struct MasterTask {
    commands: mpsc::UnboundedSender<Command>,
    task: JoinHandle<()>,
}

struct Service<'a> {
    startup: &'a mut Startup,
    server: Arc<Server>,
    listener: AbortHandle,
    masters: Vec<MasterTask>,
    cpu: CpuTime,
    minute: u32,
    hour: u32,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
}

impl Signals {
    fn watch() -> Result<Signals, String> {
        let watch = |kind| signal(kind).map_err(|error| format!("can't watch signals: {error}"));
        Ok(Signals {
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hangup: watch(SignalKind::hangup())?,
            user1: watch(SignalKind::user_defined1())?,
        })
    }
}

impl Service<'_> {
    async fn run(startup: &mut Startup, server: Arc<Server>) -> Result<(), String> {
        let signals = Signals::watch()?;
        let listener = listen(&server, server.settings().listen)
            .map_err(|error| format!("{error}\ninit: main server module failed !!!"))?;
        tokio::spawn(peers::keep_alive(Arc::downgrade(&server.peers)));
        let now = unix_now();
        let mut service = Service {
            startup,
            server,
            listener,
            masters: Vec::new(),
            cpu: CpuTime::default(),
            minute: now / MINUTE,
            hour: now / HOUR,
        };
        usage::since(&mut service.cpu);
        service.connect_masters();
        service.startup.initialized();
        service.watch(signals).await;
        service.stop().await;
        Ok(())
    }

    fn connect_masters(&mut self) {
        let settings = self.server.settings();
        for host in &settings.master.hosts {
            let (commands, receiver) = mpsc::unbounded_channel();
            let task = tokio::spawn(master_link::run(
                Arc::clone(&self.server),
                settings.master.clone(),
                host.clone(),
                receiver,
            ));
            self.masters.push(MasterTask { commands, task });
        }
    }

    /// Serves until the process is told to stop.
    async fn watch(&mut self, mut signals: Signals) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let server = Arc::clone(&self.server);
        loop {
            tokio::select! {
                _ = second.tick() => self.sample(),
                _ = signals.hangup.recv() => self.reload().await,
                _ = signals.user1.recv() => self.log_state(),
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv(), if self.startup.invocation.foreground => break,
                () = server.stop.notified() => return,
            }
        }
        tracing::info!("terminate signal received");
    }

    /// A sample for the charts at each full minute, their file after each full hour.
    fn sample(&mut self) {
        let now = unix_now();
        if now / MINUTE != self.minute {
            self.minute = now / MINUTE;
            self.record(now);
        }
        if now / HOUR != self.hour {
            self.hour = now / HOUR;
            self.save_charts();
        }
    }

    fn record(&mut self, now: u32) {
        let samples = samples::take(&self.server, usage::since(&mut self.cpu));
        let local = LocalTime(now.saturating_add_signed(utc_offset()));
        self.server.charts.lock().record(local, &samples);
    }

    fn save_charts(&self) {
        let file = self.server.charts.lock().to_file();
        if let Err(error) = store::save(Path::new(CHARTS), &file) {
            tracing::warn!("can't save charts to {CHARTS}: {error}");
        }
    }

    fn log_state(&self) {
        let (load, state) = self.server.load();
        tracing::info!("jobs running and waiting: {load} (state {})", state.0);
        for disk in self.server.store.disks() {
            let space = disk.space();
            tracing::info!(
                "disk {}: {:?}, {} chunks, {} of {} bytes free, {} jobs",
                disk.shown(),
                disk.state(),
                disk.chunks(),
                space.free,
                space.total,
                disk.pool.load()
            );
        }
    }

    /// SIGHUP: settings, disks, labels, masters, listening address. What is wrong keeps its old
    /// value.
    async fn reload(&mut self) {
        tracing::info!("reloading config files");
        let config = match self.startup.config.reload() {
            Ok(config) => config,
            Err(error) => return tracing::error!("{error}"),
        };
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        log::set_level(config.text("SYSLOG_MIN_LEVEL"));
        let mut settings = match Settings::from_config(&config) {
            Ok(settings) => settings,
            Err(error) => return tracing::error!("{error}"),
        };
        self.startup.config = config;
        let before = self.server.settings();
        if settings.listen != before.listen {
            match listen(&self.server, settings.listen) {
                Ok(listener) => {
                    self.listener.abort();
                    self.listener = listener;
                }
                Err(error) => {
                    tracing::error!("{error} - the old address stays");
                    settings.listen = before.listen;
                }
            }
        }
        let labels = settings.master.labels;
        let mut master = before.master.clone();
        master.labels = labels;
        let reconnect = master != settings.master || settings.listen != before.listen;
        self.server.set_settings(settings.clone());
        let identity = *self.server.identity.lock();
        let (store, list_settings) = (Arc::clone(&self.server.store), settings);
        // Looking at folders may take as long as the slowest disk.
        let loaded =
            tokio::task::spawn_blocking(move || load_disks(&store, &list_settings, identity)).await;
        match loaded {
            Ok(Ok(rejected)) => note_rejected(&self.server, &rejected),
            Ok(Err(error)) => tracing::error!("{error} - the disks stay as they are"),
            Err(error) => tracing::error!("reading the list of disks failed: {error}"),
        }
        if reconnect {
            self.disconnect_masters().await;
            self.connect_masters();
        } else if labels != before.master.labels {
            for master in &self.masters {
                // A task that has ended needs no labels.
                let _ = master.commands.send(Command::Labels);
            }
        }
    }

    async fn disconnect_masters(&mut self) {
        let masters = std::mem::take(&mut self.masters);
        for master in &masters {
            let _ = master.commands.send(Command::Stop);
        }
        for master in masters {
            let abort = master.task.abort_handle();
            if tokio::time::timeout(END_LIMIT, master.task).await.is_err() {
                abort.abort();
            }
        }
    }

    /// SIGTERM: farewell to the masters, running jobs to their end, disks free.
    async fn stop(&mut self) {
        self.listener.abort();
        self.disconnect_masters().await;
        let store = Arc::clone(&self.server.store);
        let idle = async {
            while store.disks().iter().any(|disk| disk.pool.load() > 0) {
                tokio::time::sleep(END_POLL).await;
            }
        };
        if tokio::time::timeout(END_LIMIT, idle).await.is_err() {
            tracing::warn!("jobs on a disk do not end - they are left behind");
        }
        let stopped = Arc::clone(&self.server.store);
        let stop = tokio::task::spawn_blocking(move || stopped.stop());
        if tokio::time::timeout(END_LIMIT, stop).await.is_err() {
            tracing::warn!("a disk does not answer - its files are left as they are");
        }
        self.record(unix_now());
        self.save_charts();
        tracing::info!("exited from main loop");
    }
}

fn listen(server: &Arc<Server>, address: SocketAddrV4) -> Result<AbortHandle, String> {
    let shown = match address.ip().is_unspecified() {
        true => format!("*:{}", address.port()),
        false => address.to_string(),
    };
    let listener = data_link::bind(address).map_err(|error| {
        format!(
            "main server module: can't listen on {shown}: {}",
            daemon::errno::describe(&error)
        )
    })?;
    log::say(&format!("main server module: listen on {shown}"));
    let task = tokio::spawn(data_link::accept(Arc::clone(server), listener));
    Ok(task.abort_handle())
}
