//! Chunkservers as the planner sees them: space, load, labels, work under way.

use super::limits::Work;
use super::request::{Location, ServerId};
use proto::version::Version;
use std::net::Ipv4Addr;

/// Most servers at a time, those included whose copies are still being forgotten.
pub const SERVERS_MAX: usize = 10_000;

/// Who a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Address for clients and other servers.
    pub ip: Ipv4Addr,
    /// Data port.
    pub port: u16,
    /// Version of its program.
    pub version: Version,
}

/// Disks of a server in bytes and chunks; *marked*: on disks marked for removal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes used on regular disks.
    pub used: u64,
    /// Bytes of regular disks.
    pub total: u64,
    /// Chunks on regular disks.
    pub chunks: u32,
    /// Bytes used on marked disks.
    pub marked_used: u64,
    /// Bytes of marked disks.
    pub marked_total: u64,
    /// Chunks on marked disks.
    pub marked_chunks: u32,
}

/// What a server says about its own load (chunkserver §2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadReport {
    /// It says nothing: the master judges.
    #[default]
    Default,
    /// Normal.
    Ok,
    /// Overloaded.
    Overloaded,
    /// Moving chunks between its disks.
    InternalRebalance,
}

/// How loaded a server counts as (master-behaviour §5.5), with the number that log lines show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LoadStatus {
    /// Nothing known against it.
    Default = 0,
    /// Normal.
    Ok = 1,
    /// Overloaded by its own word.
    Overloaded = 2,
    /// Moving chunks between its disks.
    InternalRebalance = 3,
    /// Spared for a while because its load was far above the others'.
    Grace = 4,
}

impl LoadStatus {
    /// Text in log lines.
    pub fn text(self) -> &'static str {
        match self {
            LoadStatus::Default => "DEFAULT",
            LoadStatus::Ok => "OK",
            LoadStatus::Overloaded => "OVERLOADED",
            LoadStatus::InternalRebalance => "REBALANCE",
            LoadStatus::Grace => "GRACE",
        }
    }
}

/// Readiness of marked disks for removal (§6.8), as its number on the admin page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RemovalState {
    /// Still being examined.
    #[default]
    Unknown = 0,
    /// Some chunk has its only good copies there.
    InProgress = 1,
    /// Everything has enough copies elsewhere.
    Ready = 2,
}

/// Orders since the server came, for the extended log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Chunks made.
    pub created: u64,
    /// Copies fetched from it.
    pub read: u64,
    /// Copies fetched by it.
    pub written: u64,
    /// Copies deleted.
    pub deleted: u64,
}

/// One server.
#[derive(Clone, Debug)]
pub struct Server {
    /// Address and version.
    pub identity: Identity,
    /// Labels, bit 0 = A.
    pub labels: u32,
    /// Rack of its address; `None` when undefined.
    pub rack: Option<u32>,
    /// False once its connection is gone and its copies are being forgotten.
    pub connected: bool,
    /// Between the begin and the end of its registration.
    pub registering: bool,
    /// Its disks.
    pub space: DiskSpace,
    /// Jobs running and queued there.
    pub load: u32,
    /// What it says about its load.
    pub load_report: LoadReport,
    /// Second until which it is spared.
    pub grace_until: u32,
    /// In maintenance (§6.6).
    pub maintenance: bool,
    /// Disk errors since it came.
    pub errors: u32,
    /// Chunks being written there.
    pub writing: u32,
    /// Replications into it.
    pub replications_in: u32,
    /// Replications out of it.
    pub replications_out: u32,
    /// Deletions without an answer.
    pub deletions: u32,
    /// Allocations since its last turn (§5.3).
    pub distance: u32,
    /// Accumulated error of its turns.
    pub correction: f64,
    /// It had no turn yet.
    pub first: bool,
    /// Readiness of its marked disks.
    pub removal: RemovalState,
    /// A chunk that needs the marked disks was seen in this pass.
    pub removal_seen: bool,
    /// The pass under way has watched this server from its beginning.
    pub removal_watched: bool,
    /// Orders so far.
    pub totals: Totals,
    /// When it came, seconds.
    pub since: u32,
}

impl Server {
    /// How loaded it counts as.
    pub fn load_status(&self, now: u32) -> LoadStatus {
        match self.load_report {
            LoadReport::Overloaded => LoadStatus::Overloaded,
            LoadReport::InternalRebalance => LoadStatus::InternalRebalance,
            LoadReport::Ok => LoadStatus::Ok,
            LoadReport::Default if self.grace_until > now => LoadStatus::Grace,
            LoadReport::Default => LoadStatus::Default,
        }
    }

    /// Overloaded, in grace or in maintenance: spared as a destination and of deletions.
    pub fn is_spared(&self, now: u32) -> bool {
        self.maintenance
            || matches!(
                self.load_status(now),
                LoadStatus::Overloaded | LoadStatus::Grace
            )
    }

    /// What clients are told of it.
    pub fn location(&self) -> Location {
        Location {
            ip: self.identity.ip,
            port: self.identity.port,
            version: self.identity.version,
            labels: self.labels,
        }
    }

    /// Used part of its regular disks, 0–1.
    pub fn usage(&self) -> f64 {
        if self.space.total == 0 {
            return 1.0;
        }
        self.space.used as f64 / self.space.total as f64
    }

    /// Free bytes of its regular disks.
    pub fn free(&self) -> u64 {
        self.space.total.saturating_sub(self.space.used)
    }

    /// At most 1 % free: no destination (§7.5).
    pub fn is_full(&self) -> bool {
        self.space.total == 0 || self.space.used > self.space.total / 100 * 99
    }

    /// Running replications in a direction.
    pub fn replications(&self, work: Work) -> u32 {
        match work {
            Work::Write => self.replications_in,
            Work::Read => self.replications_out,
        }
    }
}

/// All servers by number.
#[derive(Debug, Default)]
pub struct Servers {
    slots: Vec<Option<Box<Server>>>,
    connected: Vec<ServerId>,
}

impl Servers {
    /// Adds a connected server; `None` when there are too many.
    pub fn add(&mut self, server: Server) -> Option<ServerId> {
        let place = match self.slots.iter().position(Option::is_none) {
            Some(place) => place,
            None if self.slots.len() < SERVERS_MAX => {
                self.slots.push(None);
                self.slots.len() - 1
            }
            None => return None,
        };
        self.slots[place] = Some(Box::new(server));
        let id = ServerId(u16::try_from(place).ok()?);
        self.connected.push(id);
        Some(id)
    }

    /// The connection is gone; the number stays taken until [`Servers::remove`].
    pub fn disconnect(&mut self, id: ServerId) {
        self.connected.retain(|&other| other != id);
        if let Some(server) = self.get_mut(id) {
            server.connected = false;
            server.registering = false;
        }
    }

    /// Nothing refers to the number any more.
    pub fn remove(&mut self, id: ServerId) {
        if let Some(slot) = self.slots.get_mut(id.index()) {
            *slot = None;
        }
    }

    /// The server of a number.
    pub fn get(&self, id: ServerId) -> Option<&Server> {
        self.slots.get(id.index())?.as_deref()
    }

    /// The server of a number, to be changed.
    pub fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.slots.get_mut(id.index())?.as_deref_mut()
    }

    /// Whether the server is connected.
    pub fn is_connected(&self, id: ServerId) -> bool {
        self.get(id).is_some_and(|server| server.connected)
    }

    /// Numbers of the connected servers, in order of arrival.
    pub fn connected(&self) -> &[ServerId] {
        &self.connected
    }

    /// The connected servers.
    pub fn iter(&self) -> impl Iterator<Item = (ServerId, &Server)> {
        self.connected
            .iter()
            .filter_map(|&id| Some((id, self.get(id)?)))
    }

    /// Changes each connected server.
    pub fn each_mut(&mut self, mut change: impl FnMut(ServerId, &mut Server)) {
        for &id in &self.connected {
            if let Some(Some(server)) = self.slots.get_mut(id.index()) {
                change(id, server);
            }
        }
    }

    /// Whether any server registers.
    pub fn any_registering(&self) -> bool {
        self.iter().any(|(_, server)| server.registering)
    }
}
