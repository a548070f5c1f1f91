//! The life of a master process: load, listen, serve, reload, save, end.

use crate::admin::{StoreReport, charts};
use crate::core::Core;
use crate::datadir::disk::Directory;
use crate::ha::{Follower, Guardian, HaSettings, Opened, Standing};
use crate::journal::{Journal, SaveMode};
use crate::links::Port;
use crate::saver::Saver;
use crate::settings::{Settings, listen_address};
use crate::shell::{Shell, clock};
use crate::storage::{LoadOptions, Storage};
use daemon::charts::{LocalTime, MASTER, store};
use daemon::config::Config;
use daemon::local_time::utc_offset;
use daemon::log;
use daemon::start::Startup;
use daemon::usage::{self, CpuTime, ProcessUsage};
use std::net::SocketAddrV4;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::{AbortHandle, LocalSet};

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 1024;
/// Seconds of an hour of the wall clock, at whose full value changelogs rotate.
const HOUR: u32 = 3600;
/// The charts, in the data directory.
const CHARTS: &str = "stats.mfs";
/// The charts are saved so long after the full hour, seconds.
const CHARTS_OFFSET: u32 = 30;
/// Pause before an image that could not be saved at the stop is tried again.
const SAVE_RETRY: Duration = Duration::from_secs(10);

/// The ports, the prefix of their keys, and what their module is called when it fails.
const PORTS: [(Port, &str, &str, &str); 3] = [
    (
        Port::Metalogger,
        "MATOML",
        "master <-> metaloggers module",
        "communication with metalogger",
    ),
    (
        Port::Chunkserver,
        "MATOCS",
        "master <-> chunkservers module",
        "communication with chunkserver",
    ),
    (
        Port::Client,
        "MATOCL",
        "main master server module",
        "communication with clients",
    ),
];

/// Everything between the daemon's start and its end.
pub fn serve(startup: &mut Startup) -> Result<(), String> {
    let settings = Settings::from_config(&startup.config);
    let directory = std::env::current_dir().map_err(|error| format!("data directory: {error}"))?;
    let storage = Storage::new(directory.clone(), settings.images_kept);
    let options = LoadOptions {
        ignore_errors: startup.invocation.count('i') > 0,
        verbosity: startup.invocation.count('x'),
        quota_grace_seconds: startup.config.u32("QUOTA_DEFAULT_GRACE_PERIOD"),
    };
    let restore = startup.invocation.command == daemon::cli::Command::Restore;
    let mut companions = None;
    if !restore {
        companions = Some(crate::companions::load(&settings, true)?);
    }
    let started = Instant::now();
    let now = clock(started);
    let seed = random_seed()?;
    let ha = HaSettings::from_config(&startup.config)?;
    // The process has one thread yet.
    let guardian = ha
        .as_ref()
        .filter(|ha| !restore && !ha.is_witness())
        .and_then(|ha| ha.vip.as_ref())
        .and_then(|vip| {
            Guardian::start(vip)
                .map_err(|error| {
                    tracing::warn!(
                        "no guardian of the connections: {error} - failovers take longer"
                    );
                })
                .ok()
        });
    let failed = |error| format!("{error}\ninit: metadata manager failed !!!");
    let mut node = None;
    let (ns, must_renumerate) = match &ha {
        Some(ha) if !restore => {
            let mut opened =
                crate::ha::open(ha, &storage, &options, now.unix, seed).map_err(failed)?;
            let ns = std::mem::take(&mut opened.namespace);
            let must_renumerate = opened.must_renumerate;
            node = Some(opened);
            (ns, must_renumerate)
        }
        _ => {
            if ha.is_none() && replication::is_member(Path::new("ha")).unwrap_or(true) {
                return Err(failed(
                    "this data directory belongs to a cluster, and HA_PEERS is not set: set it; or move the directory 'ha' away to make this a single master"
                        .to_owned(),
                ));
            }
            let found = storage.load(&options, now.unix, seed).map_err(failed)?;
            if restore {
                return storage
                    .save_final(&found.loaded.namespace.freeze())
                    .map_err(|error| format!("can't store metadata: {error}"));
            }
            storage
                .adopt(&found.recovery)
                .map_err(|error| format!("can't move files in the data directory: {error}"))?;
            (found.loaded.namespace, found.loaded.must_renumerate)
        }
    };
    let save_mode = match &ha {
        Some(_) => SaveMode::Written,
        None => settings.save_mode,
    };
    let (saved_sender, saved) = unbounded_channel();
    let disk = Directory(directory.clone());
    let journal = Journal::new(disk, ns.version(), save_mode, move |buffer| {
        // The receiver is gone only when the process ends.
        drop(saved_sender.send(buffer));
    })
    .map_err(|error| format!("can't start the changelog writer: {error}"))?;
    let mut core = Core::new(ns, settings, now, seed);
    core.loggers
        .set_files(Box::new(crate::metalogger::files::DataDirectory(directory)));
    if let Some(companions) = companions {
        companions.give_to(&mut core);
    }
    core.set_now(now);
    // The upper half of the seed is as good a random number as any.
    let random = (seed >> 32) as u32;
    let offset = utc_offset();
    let charts_now = LocalTime(now.unix.saturating_add_signed(offset));
    let charts = store::load(&MASTER, Path::new(CHARTS), charts_now);
    charts::begin(&mut core, charts, offset);
    // CPU shares are those of whole minutes; memory can be told at once.
    core.admin.usage = ProcessUsage {
        system_cpu_micros: 0,
        user_cpu_micros: 0,
        ..usage::since(&mut CpuTime::default())
    };
    let saver = if ha.is_some() {
        Saver::Replicated(Box::new(Standing::new(journal, storage.next_line()?)))
    } else {
        crate::startup_lines::write(&mut core, must_renumerate, random)?;
        Saver::local(journal)
    };
    let shell = Shell::new(core, saver, started);
    let cluster = ha.zip(node).map(|(ha, opened)| Cluster {
        ha,
        opened,
        options,
        guardian,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the runtime: {error}"))?;
    let local = LocalSet::new();
    local.block_on(
        &runtime,
        Service::run(startup, shell, storage, saved, cluster),
    )
}

/// What a node of a cluster needs beyond a single master.
struct Cluster {
    ha: HaSettings,
    opened: Opened,
    options: LoadOptions,
    guardian: Option<Guardian>,
}

/// A number nobody can guess, for everything that is chosen at random.
fn random_seed() -> Result<u64, String> {
    getrandom::u64().map_err(|error| format!("no random numbers from the kernel: {error}"))
}

/// A listening port.
struct Listener {
    address: SocketAddrV4,
    task: AbortHandle,
}

struct Service<'a> {
    startup: &'a mut Startup,
    shell: Rc<Shell>,
    storage: Storage,
    listeners: Vec<Listener>,
    hour: u32,
    charts_hour: u32,
    cpu: CpuTime,
    follower: Option<Follower>,
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
    async fn run(
        startup: &mut Startup,
        shell: Rc<Shell>,
        storage: Storage,
        mut saved: UnboundedReceiver<Vec<u8>>,
        cluster: Option<Cluster>,
    ) -> Result<(), String> {
        let mut signals = Signals::watch()?;
        let hour = shell.now().unix / HOUR;
        let mut service = Service {
            startup,
            shell: Rc::clone(&shell),
            storage,
            listeners: Vec::new(),
            hour,
            charts_hour: shell.now().unix.saturating_sub(CHARTS_OFFSET) / HOUR,
            cpu: CpuTime::default(),
            follower: None,
        };
        for (port, prefix, module, what) in PORTS {
            let opened = listen_address(&service.startup.config, prefix)
                .and_then(|address| service.open(port, address, module));
            match opened {
                Ok(listener) => service.listeners.push(listener),
                Err(error) => return Err(format!("{error}\ninit: {what} failed !!!")),
            }
        }
        tokio::task::spawn_local(Rc::clone(&shell).run());
        let flushed = Rc::clone(&shell);
        tokio::task::spawn_local(async move {
            while let Some(buffer) = saved.recv().await {
                flushed.saved(buffer);
            }
        });
        if let Some(cluster) = cluster {
            service.follower = Some(service.join(cluster)?);
        }
        service.startup.initialized();
        service.watch(&mut signals).await;
        service.stop().await
    }

    /// Takes part in the cluster.
    fn join(&self, cluster: Cluster) -> Result<Follower, String> {
        let directory =
            std::env::current_dir().map_err(|error| format!("data directory: {error}"))?;
        let images_kept = self.shell.core.borrow().settings.images_kept;
        let storage = Storage::new(directory, images_kept);
        Follower::start(
            &self.shell,
            cluster.ha,
            storage,
            cluster.options,
            &cluster.opened,
            cluster.guardian,
        )
    }

    /// Binds a port and begins to accept.
    fn open(&self, port: Port, address: SocketAddrV4, module: &str) -> Result<Listener, String> {
        let listener = bind(address).map_err(|error| {
            format!(
                "{module}: can't listen on {}: {}",
                shown(address),
                daemon::errno::describe(&error)
            )
        })?;
        log::say(&format!("{module}: listen on {}", shown(address)));
        let task = tokio::task::spawn_local(Rc::clone(&self.shell).listen(listener, port));
        Ok(Listener {
            address,
            task: task.abort_handle(),
        })
    }

    /// Serves until the process is told to stop.
    async fn watch(&mut self, signals: &mut Signals) {
        let mut second = tokio::time::interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = second.tick() => {
                    self.sample();
                    self.hourly();
                }
                () = follow(&mut self.follower) => {}
                _ = signals.hangup.recv() => self.reload(),
                _ = signals.user1.recv() => {
                    tracing::info!("log extra info");
                    self.shell.with_core(|core| crate::chunkserver::log_servers(core));
                }
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv(), if self.startup.invocation.foreground => break,
            }
        }
        tracing::info!("terminate signal received");
    }

    /// At each full hour of the wall clock changelogs rotate and an image is written
    /// (metadata-and-changelog §2.3).
    fn hourly(&mut self) {
        self.note_saved();
        let hour = self.shell.now().unix / HOUR;
        if hour == self.hour {
            return;
        }
        self.hour = hour;
        let (back_logs, view) = {
            let core = self.shell.core.borrow();
            let due = hour.is_multiple_of(core.settings.save_every_hours.max(1));
            (core.settings.back_logs, due.then(|| core.ns.freeze()))
        };
        self.shell.rotate(back_logs);
        if let Some(follower) = &mut self.follower {
            if view.is_some() {
                follower.want_image();
            }
            return;
        }
        if let Some(view) = view {
            let report = self.shell.save_report();
            self.storage.save_in_background(view, report);
        }
    }

    /// A sample for the charts at each full minute, their file half a minute after each full hour.
    fn sample(&mut self) {
        if charts::is_due_at(&self.shell.core.borrow(), self.shell.now()) {
            let usage = usage::since(&mut self.cpu);
            self.shell
                .with_core(|core| charts::sample(core, usage, utc_offset()));
        }
        let hour = self.shell.now().unix.saturating_sub(CHARTS_OFFSET) / HOUR;
        if hour != self.charts_hour {
            self.charts_hour = hour;
            self.save_charts();
        }
    }

    fn save_charts(&self) {
        let Some(file) = charts::file(&self.shell.core.borrow()) else {
            return;
        };
        if let Err(error) = store::save(Path::new(CHARTS), &file) {
            tracing::warn!("can't save charts to {CHARTS}: {error}");
        }
    }

    /// Tells operators and monitors what became of an image.
    fn note_saved(&self) {
        let Some(outcome) = self.shell.take_save_report() else {
            return;
        };
        let time = self.shell.now().unix;
        let store = match outcome {
            Ok(took) => {
                tracing::info!(
                    "store process has finished - store time: {:.3}",
                    took.as_secs_f64()
                );
                StoreReport {
                    time,
                    duration_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
                    status: 0,
                }
            }
            Err(error) => {
                tracing::error!(
                    "metadata not stored !!! ({error}) - the previous image and all changes since are safe; next try at the full hour"
                );
                StoreReport {
                    status: 1,
                    ..self.shell.core.borrow().admin.store
                }
            }
        };
        self.shell.core.borrow_mut().admin.store = store;
    }

    /// SIGHUP: settings, exports, topology, listening addresses. What is wrong keeps its old value.
    fn reload(&mut self) {
        tracing::info!("reloading config files");
        let config = match self.startup.config.reload() {
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
        self.shell.set_save_mode(settings.save_mode);
        self.storage.keep(settings.images_kept);
        if let Some(follower) = &mut self.follower {
            follower.reconfigure(&settings);
        }
        match crate::companions::load(&settings, false) {
            Ok(companions) => self.shell.with_core(|core| {
                core.reconfigure(settings);
                companions.give_to(core);
            }),
            Err(error) => tracing::error!("{error}"),
        }
        self.move_listeners(&config);
        self.startup.config = config;
    }

    /// Listens on the addresses that the configuration names now; old connections stay.
    fn move_listeners(&mut self, config: &Config) {
        for (index, (port, prefix, module, _)) in PORTS.into_iter().enumerate() {
            let address = match listen_address(config, prefix) {
                Ok(address) => address,
                Err(error) => {
                    tracing::error!("{module}: {error}");
                    continue;
                }
            };
            if self.listeners[index].address == address {
                tracing::info!(
                    "{module}: socket address hasn't changed ({})",
                    shown(address)
                );
                continue;
            }
            match self.open(port, address, module) {
                Ok(listener) => {
                    self.listeners[index].task.abort();
                    self.listeners[index] = listener;
                }
                Err(error) => tracing::error!("{error} - the old address stays"),
            }
        }
    }

    /// SIGTERM: no new connections, changelog complete, image saved.
    async fn stop(mut self) -> Result<(), String> {
        for listener in &self.listeners {
            listener.task.abort();
        }
        if let Some(mut follower) = self.follower.take() {
            follower.leave().await;
            self.shell.with_standing(Standing::end);
            self.save_charts();
            self.shell.finish();
            tracing::info!("exited from main loop");
            return Ok(());
        }
        self.shell.with_core(Core::prepare_stop);
        self.shell.quiesce().await;
        let back_logs = self.shell.core.borrow().settings.back_logs;
        self.shell.rotate(back_logs);
        self.shell.quiesce().await;
        self.shell.farewell().await;
        self.storage.wait_for_background();
        let view = self.shell.core.borrow().ns.freeze();
        while let Err(error) = self.storage.save_final(&view) {
            tracing::error!(
                "can't store metadata - try to make more space on your hdd or change privileges - retry after {} seconds: {error}",
                SAVE_RETRY.as_secs()
            );
            tokio::time::sleep(SAVE_RETRY).await;
        }
        let usage = usage::since(&mut self.cpu);
        self.shell
            .with_core(|core| charts::sample(core, usage, utc_offset()));
        self.save_charts();
        self.shell.finish();
        tracing::info!("exited from main loop");
        Ok(())
    }
}

/// Works for the cluster, if there is one.
async fn follow(follower: &mut Option<Follower>) {
    match follower {
        Some(follower) => follower.run().await,
        None => std::future::pending().await,
    }
}

fn bind(address: SocketAddrV4) -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.into())?;
    socket.listen(BACKLOG)
}

/// An address as the operators know it: `*` for every address.
fn shown(address: SocketAddrV4) -> String {
    if address.ip().is_unspecified() {
        format!("*:{}", address.port())
    } else {
        address.to_string()
    }
}
