//! One node of the replicated log: threads of its own, calls and events by value.

use crate::event::Event;
use crate::formation::{Decision, decide};
use crate::frame::Secret;
use crate::identity::{Identity, random};
use crate::image;
use crate::lease::{Lease, LeaseClock};
use crate::machine::{Images, Machine};
use crate::network::{Caller, Network, Transfers};
use crate::server::{self, Served};
use crate::status::{PeerStatus, Status};
use crate::store::LogStore;
use crate::supervise;
use crate::types::{
    Batch, Kind, NodeId, Peer, Position, StoredMembership, Types, log_id, position,
};
use crate::wire::{Answer, Ask, NodeReport};
use bytes::Bytes;
use openraft::async_runtime::WatchReceiver as _;
use openraft::{Config, Membership, Raft, ServerState, SnapshotPolicy, StepDownPolicy};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// Events that wait for the application; beyond it the log waits.
const EVENTS_MAX: usize = 1024;
/// Between two exchanges of reports with a peer.
const REPORT_PERIOD: Duration = Duration::from_millis(500);
/// A report that is older counts as none.
const REPORT_LIFE: Duration = Duration::from_secs(3);
/// How long the threads may take to end.
const STOP_TIME: Duration = Duration::from_secs(2);
/// Entries that stay in the log although an image holds them, for nodes that were away.
const ENTRIES_KEPT: u64 = 100_000;

/// How a node takes part.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it keeps the log; made if missing.
    pub directory: PathBuf,
    /// Its name among `peers`.
    pub name: String,
    /// All nodes, this one too.
    pub peers: Vec<Peer>,
    /// Where its replication port is.
    pub listen: SocketAddrV4,
    /// Secret of the cluster.
    pub secret: Secret,
    /// Between two messages of an idle leader.
    pub heartbeat: Duration,
    /// A leader that is silent for so long is replaced; also the length of a lease.
    pub election: Duration,
    /// Rate at which images are sent, bytes a second; 0 = unlimited.
    pub image_rate: u64,
    /// An image of the application's present state, with which a cluster may be founded.
    pub image: PathBuf,
    /// The application has data that no cluster knows.
    pub has_data: bool,
    /// Bytes of log after which an image is wanted.
    pub log_bytes_max: u64,
}

/// What a start finds in a replication directory.
#[derive(Clone, Debug)]
pub struct Recovered {
    /// The last entry whose effect is in the image.
    pub position: Position,
    /// The image from which the application starts.
    pub path: PathBuf,
}

/// Looks for the image with which an application starts that took part before; `None` in a directory
/// whose node has no state from a cluster yet.
///
/// # Errors
/// The directory cannot be read or is damaged.
pub fn recovered(directory: &Path) -> io::Result<Option<Recovered>> {
    if !directory.join("identity").exists() || Identity::load(directory)?.cluster == 0 {
        return Ok(None);
    }
    Ok(image::newest(directory)?.map(|image| Recovered {
        position: image.position,
        path: image.path,
    }))
}

/// Whether the node in a directory belongs to a cluster.
///
/// # Errors
/// The directory cannot be read or is damaged.
pub fn is_member(directory: &Path) -> io::Result<bool> {
    Ok(directory.join("identity").exists() && Identity::load(directory)?.cluster != 0)
}

/// What is known of another node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    pub report: NodeReport,
    pub at: Option<Instant>,
    pub error: String,
}

pub(crate) struct Shared {
    pub settings: Settings,
    pub lease: LeaseClock,
    pub identity: Mutex<Identity>,
    pub heard: Mutex<BTreeMap<String, Heard>>,
    pub raft: watch::Sender<Option<Raft<Types, Machine>>>,
    pub store: LogStore,
    pub images: Arc<Images>,
    pub transfers: Arc<Transfers>,
    pub events: mpsc::Sender<Event>,
    /// What the application says about itself.
    pub state: Mutex<String>,
    pub served: std::sync::OnceLock<Arc<Served>>,
    /// Why there is no cluster yet.
    pub waiting: Mutex<String>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// What this node says about itself.
    pub fn report(&self) -> NodeReport {
        let me = self.me();
        let identity = lock(&self.identity).clone();
        let mut report = NodeReport {
            id: identity.node,
            name: me.name.clone(),
            cluster: identity.cluster,
            has_data: self.settings.has_data && identity.cluster == 0,
            is_witness: me.is_witness,
            state: lock(&self.state).clone(),
            percent: self
                .served
                .get()
                .map_or(100, |served| served.percent.load(Ordering::Relaxed)),
            ..NodeReport::default()
        };
        if let Some(raft) = self.raft.borrow().as_ref() {
            let metrics = raft.metrics();
            let metrics = metrics.borrow_watched();
            report.term = metrics.current_term;
            report.leader = metrics.current_leader.unwrap_or(0);
            report.last = metrics.last_log_index.map(|index| {
                Position {
                    term: metrics.current_term,
                    index,
                }
                .into()
            });
            report.applied = metrics.last_applied.as_ref().map(|id| position(id).into());
        }
        report
    }

    pub fn me(&self) -> &Peer {
        let settings = &self.settings;
        settings
            .peers
            .iter()
            .find(|peer| peer.name == settings.name)
            .unwrap_or(&settings.peers[0])
    }

    /// Newest reports of the nodes that can be reached, by name.
    pub fn reports(&self) -> BTreeMap<String, NodeReport> {
        lock(&self.heard)
            .iter()
            .filter(|(_, heard)| heard.at.is_some_and(|at| at.elapsed() < REPORT_LIFE))
            .map(|(name, heard)| (name.clone(), heard.report.clone()))
            .collect()
    }

    fn note(&self, report: NodeReport) {
        let known = self
            .settings
            .peers
            .iter()
            .any(|peer| peer.name == report.name && peer.name != self.settings.name);
        if known {
            let name = report.name.clone();
            lock(&self.heard).insert(
                name,
                Heard {
                    report,
                    at: Some(Instant::now()),
                    error: String::new(),
                },
            );
        }
    }

    /// How long no leader was heard.
    pub fn leaderless(&self) -> Duration {
        self.served.get().map_or(Duration::ZERO, |served| {
            lock(&served.leader_heard).elapsed()
        })
    }

    pub async fn tell(&self, event: Event) {
        // Without an application there is nobody to tell.
        drop(self.events.send(event).await);
    }
}

/// A node.
pub struct Replica {
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    proposals: mpsc::UnboundedSender<(u64, Batch)>,
    origin: u64,
    sequence: AtomicU64,
}

impl std::fmt::Debug for Replica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "replica {}", self.shared.settings.name)
    }
}

impl Replica {
    /// Starts a node: it finds the others, joins or founds the cluster, and reports what happens
    /// through the receiver. The application has loaded what [`recovered`] named, if anything.
    ///
    /// # Errors
    /// The directory or the port cannot be used, or the settings contradict each other.
    pub fn start(settings: Settings) -> io::Result<(Replica, mpsc::Receiver<Event>)> {
        if !settings.peers.iter().any(|peer| peer.name == settings.name) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not one of the peers", settings.name),
            ));
        }
        std::fs::create_dir_all(&settings.directory)?;
        let identity = Identity::load(&settings.directory)?;
        let store = LogStore::open(&settings.directory)?;
        let newest = if identity.cluster == 0 {
            None
        } else {
            image::newest(&settings.directory)?
        };
        let images = Images::new(settings.directory.clone(), newest);
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let (raft, raft_seen) = watch::channel(None);
        let (proposals, proposed) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("replication")
            .enable_all()
            .build()?;
        let listener = {
            let _inside = runtime.enter();
            server::bind(settings.listen)?
        };
        let shared = Arc::new(Shared {
            lease: LeaseClock::default(),
            identity: Mutex::new(identity),
            heard: Mutex::default(),
            raft,
            store,
            images,
            transfers: Arc::default(),
            events,
            state: Mutex::default(),
            served: std::sync::OnceLock::new(),
            waiting: Mutex::default(),
            settings,
        });
        let reporter = Arc::clone(&shared);
        let identified = Arc::clone(&shared);
        let served = Arc::new(Served {
            secret: shared.settings.secret.clone(),
            identity: Box::new(move || {
                let identity = lock(&identified.identity);
                (identity.node, identity.cluster)
            }),
            leader_heard: Mutex::new(Instant::now()),
            raft: raft_seen,
            report: Box::new(move |theirs| {
                reporter.note(theirs);
                reporter.report()
            }),
            directory: shared.settings.directory.clone(),
            percent: AtomicU32::new(100),
            complained: Mutex::default(),
        });
        // It is set once, here.
        drop(shared.served.set(Arc::clone(&served)));
        runtime.spawn(server::listen(listener, served));
        runtime.spawn(run(Arc::clone(&shared), proposed));
        Ok((
            Replica {
                shared,
                runtime: Some(runtime),
                proposals,
                origin: random()?,
                sequence: AtomicU64::new(0),
            },
            received,
        ))
    }

    /// Proposes a batch on behalf of the leader of `term`: it is written in that term or never, behind
    /// what was proposed before. Gives its sequence number; together with [`Replica::origin`] that
    /// tells the batch when it is committed.
    pub fn propose(&self, term: u64, kind: Kind, bytes: Bytes) -> u64 {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed) + 1;
        let batch = Batch {
            kind,
            origin: self.origin,
            sequence,
            bytes,
        };
        // When the other end is gone, the node has failed and says so by an event.
        drop(self.proposals.send((term, batch)));
        sequence
    }

    /// Which proposals are this process's.
    pub fn origin(&self) -> u64 {
        self.origin
    }

    /// The right to serve, if this node has it now.
    pub fn lease(&self) -> Option<Lease> {
        self.shared.lease.current()
    }

    /// Hands in an image of the state right after a committed entry. The file is linked or copied
    /// soon, and may be replaced afterwards.
    pub fn offer_image(&self, position: Position, path: PathBuf) {
        self.shared.images.offer(position, path);
        let raft = self.shared.raft.borrow().clone();
        if let (Some(raft), Some(runtime)) = (raft, &self.runtime) {
            runtime.spawn(async move {
                if let Err(error) = raft.trigger().snapshot().await {
                    tracing::error!("the replicated log can't take the image: {error}");
                }
            });
        }
    }

    /// Gives the leadership to the named node, or to the master that is most up to date. This node
    /// serves no more in its term. Says whom; `None` when there is nobody or it does not lead.
    pub fn hand_over(&self, name: Option<&str>) -> Option<String> {
        let raft = self.shared.raft.borrow().clone()?;
        let (term, target) = supervise::successor(&raft, name)?;
        self.shared.lease.revoke(term);
        let shared = Arc::clone(&self.shared);
        let (id, peer) = target;
        self.runtime.as_ref()?.spawn(async move {
            supervise::transfer(&shared, &raft, term, id).await;
        });
        Some(peer.name)
    }

    /// What this node says about itself to the others and to operators.
    pub fn describe(&self, state: &str) {
        let mut described = lock(&self.shared.state);
        if *described != state {
            state.clone_into(&mut described);
        }
    }

    /// Everything that an operator may want to know.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let own = shared.report();
        let heard = lock(&shared.heard).clone();
        let peers = shared
            .settings
            .peers
            .iter()
            .map(|peer| {
                let mine = peer.name == shared.settings.name;
                let heard = heard.get(&peer.name);
                let report = if mine {
                    Some(&own)
                } else {
                    heard.map(|heard| &heard.report)
                };
                let is_connected = mine
                    || heard
                        .is_some_and(|heard| heard.at.is_some_and(|at| at.elapsed() < REPORT_LIFE));
                PeerStatus::new(
                    peer,
                    report,
                    is_connected,
                    heard.map_or("", |heard| heard.error.as_str()),
                    report.and_then(|report| shared.transfers.percent(report.id)),
                )
            })
            .collect();
        Status {
            node: shared.settings.name.clone(),
            cluster: own.cluster,
            term: own.term,
            leader: own.leader,
            lease: shared.lease.current().map(Lease::remaining),
            waiting: lock(&shared.waiting).clone(),
            peers,
        }
    }

    /// Ends the node. What it had promised is on disk.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.lease.end();
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        // The caller may be inside a runtime of its own, where none can be waited for.
        let ended = std::thread::spawn(move || {
            let raft = shared.raft.borrow().clone();
            if let Some(raft) = raft {
                let ended = runtime
                    .block_on(async { tokio::time::timeout(STOP_TIME, raft.shutdown()).await });
                if ended.is_err() {
                    tracing::warn!("the replication did not end in time");
                }
            }
            shared.store.stop();
            runtime.shutdown_timeout(STOP_TIME);
        })
        .join();
        if ended.is_err() {
            tracing::error!("the replication ended by a panic");
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.end();
    }
}

/// Everything that happens in the node's own threads.
async fn run(shared: Arc<Shared>, proposals: mpsc::UnboundedReceiver<(u64, Batch)>) {
    for peer in &shared.settings.peers {
        if peer.name != shared.settings.name {
            tokio::spawn(exchange_reports(Arc::clone(&shared), peer.clone()));
        }
    }
    if let Err(error) = form(&shared).await {
        shared
            .tell(Event::Failed(format!(
                "can't join or found the cluster: {error}"
            )))
            .await;
        return;
    }
    match start_raft(&shared).await {
        Ok(raft) => {
            tokio::spawn(propose(raft.clone(), proposals));
            tokio::spawn(supervise::watch(Arc::clone(&shared), raft.clone()));
            tokio::spawn(supervise::tend(Arc::clone(&shared), raft.clone()));
            shared.raft.send_replace(Some(raft));
        }
        Err(error) => {
            let text = format!("can't start the replicated log: {error}");
            shared.tell(Event::Failed(text)).await;
        }
    }
}

/// Tells a peer about this node and learns about him, again and again.
async fn exchange_reports(shared: Arc<Shared>, peer: Peer) {
    let mut caller = Caller::new(peer.address, shared.settings.secret.clone(), 0, 0);
    loop {
        let answer = caller.ask(Ask::Report(shared.report()), REPORT_LIFE).await;
        match answer {
            Ok(Answer::Report(report)) if report.name == peer.name => shared.note(report),
            Ok(Answer::Report(report)) => {
                lock(&shared.heard)
                    .entry(peer.name.clone())
                    .or_default()
                    .error = format!(
                    "at {} answers {}: HA_PEERS differ",
                    peer.address, report.name
                );
            }
            Ok(_) => {}
            Err(error) => {
                let mut heard = lock(&shared.heard);
                let heard = heard.entry(peer.name.clone()).or_default();
                let text = error.to_string();
                if heard.error != text {
                    tracing::info!("{} at {}: {text}", peer.name, peer.address);
                    heard.error = text;
                }
            }
        }
        tokio::time::sleep(REPORT_PERIOD).await;
    }
}

/// Waits until this node belongs to a cluster.
async fn form(shared: &Shared) -> io::Result<()> {
    let began = Instant::now();
    let settings = &shared.settings;
    while lock(&shared.identity).cluster == 0 {
        let decision = decide(
            &shared.report(),
            &settings.peers,
            &shared.reports(),
            began.elapsed(),
        );
        let waits = match decision {
            Decision::Wait(why) => why.to_owned(),
            Decision::Refuse(why) => why,
            Decision::Join(cluster) => {
                if !shared.store.is_pristine() {
                    return Err(io::Error::other(format!(
                        "{}: a log without a cluster is here",
                        settings.directory.display()
                    )));
                }
                belong(shared, cluster)?;
                tracing::info!("this node joins cluster {cluster:016x}");
                break;
            }
            Decision::Found(members) => {
                found(shared, members).await?;
                break;
            }
        };
        {
            let mut waiting = lock(&shared.waiting);
            if *waiting != waits {
                tracing::info!("no cluster yet: {waits}");
                *waiting = waits;
            }
        }
        tokio::time::sleep(REPORT_PERIOD / 5).await;
    }
    lock(&shared.waiting).clear();
    Ok(())
}

fn belong(shared: &Shared, cluster: u64) -> io::Result<()> {
    let mut identity = lock(&shared.identity);
    let joined = Identity {
        cluster,
        ..identity.clone()
    };
    joined.save(&shared.settings.directory)?;
    *identity = joined;
    Ok(())
}

/// Founds a cluster on the application's image: the log begins behind it, so every other node is
/// filled from it.
async fn found(shared: &Shared, members: BTreeMap<NodeId, Peer>) -> io::Result<()> {
    use openraft::storage::RaftLogStorage as _;
    let voters: BTreeSet<NodeId> = members.keys().copied().collect();
    let names: Vec<&str> = members.values().map(|peer| peer.name.as_str()).collect();
    tracing::info!("this node founds a cluster of {}", names.join(", "));
    let membership = Membership::new(vec![voters], members.clone())
        .map_err(|error| io::Error::other(error.to_string()))?;
    let begin = Position::default();
    let stored = StoredMembership::new(Some(log_id(begin)), membership);
    shared.images.found(&shared.settings.image, begin, stored)?;
    shared.store.clone().purge(log_id(begin)).await?;
    belong(shared, random()?)
}

async fn start_raft(shared: &Arc<Shared>) -> io::Result<Raft<Types, Machine>> {
    let settings = &shared.settings;
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "mfs".to_owned(),
        heartbeat_interval: millis(settings.heartbeat),
        election_timeout_min: millis(settings.election) * 2 / 3,
        election_timeout_max: millis(settings.election),
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: ENTRIES_KEPT,
        purge_batch_size: 256,
        replication_lag_threshold: u64::MAX / 2,
        enable_pre_vote: Some(true),
        enable_elect: !shared.me().is_witness,
        removed_leader_step_down: StepDownPolicy::Never,
        backoff: "50ms 100ms 200ms ...500ms".to_owned(),
        ..Config::default()
    };
    let config = config
        .validate()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error.to_string()))?;
    let identity = lock(&shared.identity).clone();
    let network = Network {
        cluster: identity.cluster,
        secret: settings.secret.clone(),
        transfers: Arc::clone(&shared.transfers),
        image_rate: settings.image_rate,
    };
    let machine = Machine::new(shared.events.clone(), Arc::clone(&shared.images));
    Raft::new(
        identity.node,
        Arc::new(config),
        network,
        shared.store.clone(),
        machine,
    )
    .await
    .map_err(|error| io::Error::other(error.to_string()))
}

/// Hands proposals to the log in order.
async fn propose(raft: Raft<Types, Machine>, mut proposals: mpsc::UnboundedReceiver<(u64, Batch)>) {
    while let Some((term, batch)) = proposals.recv().await {
        let leader = openraft::impls::leader_id_std::LeaderId {
            term,
            voted_for: *raft.node_id(),
        };
        let leader = openraft::vote::RaftLeaderId::to_committed(&leader);
        if raft.write(batch).with_leader(leader).await.is_err() {
            // The log has ended; the application is told by the watcher.
            return;
        }
    }
}

/// Whether a node leads, by its metrics.
pub(crate) fn leads(metrics: &openraft::RaftMetrics<Types>) -> bool {
    metrics.state == ServerState::Leader && metrics.current_leader == Some(metrics.id)
}
