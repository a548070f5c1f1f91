//! What the connections of a chunkserver share.

use crate::counters::Counters;
use crate::data_link::peers::PeerCache;
use crate::identity::Identity;
use crate::settings::Settings;
use crate::store::Store;
use daemon::charts::Charts;
use parking_lot::{Mutex, RwLock};
use proto::chunkserver::LoadState;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A chunkserver.
#[derive(Debug)]
pub struct Server {
    /// Disks and chunks.
    pub store: Arc<Store>,
    /// For the charts.
    pub counters: Arc<Counters>,
    /// Idle connections to other servers.
    pub peers: Arc<PeerCache>,
    /// Charts.
    pub charts: Mutex<Charts>,
    /// Number of the server and of the file system.
    pub identity: Mutex<Identity>,
    /// The master that orders, while connected.
    pub leader: Mutex<Option<SocketAddrV4>>,
    /// Paths of lines of the list that cannot be used.
    pub invalid_disks: Mutex<Vec<Vec<u8>>>,
    /// Connections to the data port.
    pub connections: AtomicUsize,
    /// The process is to end; with the reason if it is not an order.
    pub stop: Notify,
    settings: RwLock<Arc<Settings>>,
    overloaded: AtomicBool,
    load_max: AtomicU64,
}

impl Server {
    /// A server around a store.
    pub fn new(
        store: Arc<Store>,
        settings: Settings,
        identity: Identity,
        charts: Charts,
    ) -> Server {
        let counters = Arc::clone(&store.counters);
        Server {
            store,
            counters,
            peers: Arc::default(),
            charts: Mutex::new(charts),
            identity: Mutex::new(identity),
            leader: Mutex::new(None),
            invalid_disks: Mutex::default(),
            connections: AtomicUsize::new(0),
            stop: Notify::new(),
            settings: RwLock::new(Arc::new(settings)),
            overloaded: AtomicBool::new(false),
            load_max: AtomicU64::new(0),
        }
    }

    /// Settings in effect.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read())
    }

    /// New settings.
    pub fn set_settings(&self, settings: Settings) {
        self.store.set_settings(settings.store);
        *self.settings.write() = Arc::new(settings);
    }

    /// Jobs running and waiting on all disks, and what that means (chunkserver §5.3).
    pub fn load(&self) -> (u32, LoadState) {
        let disks = self.store.disks();
        let load: usize = disks.iter().map(|disk| disk.pool.load()).sum();
        let busiest = disks.iter().map(|disk| disk.pool.load()).max().unwrap_or(0);
        let most = self.settings().jobs_max;
        let was = self.overloaded.load(Ordering::Relaxed);
        let overloaded = busiest * 4 > most * 3 || (was && busiest * 2 >= most);
        self.overloaded.store(overloaded, Ordering::Relaxed);
        let load = u32::try_from(load).unwrap_or(u32::MAX);
        self.load_max.fetch_max(load.into(), Ordering::Relaxed);
        let state = if overloaded || self.store.balance.is_fast() {
            LoadState::OVERLOADED
        } else if self.store.balance.is_slow() {
            LoadState::REBALANCE
        } else {
            LoadState::NORMAL
        };
        (load, state)
    }

    /// The greatest load since the last call.
    pub fn take_load_max(&self) -> u64 {
        self.load_max.swap(0, Ordering::Relaxed)
    }
}
