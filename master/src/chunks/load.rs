//! Load of servers, and the space of all of them (master-behaviour §5.5, §5.6).

use super::planner::Chunks;
use super::request::ServerId;
use super::servers::LoadReport;
use super::settings::Reserve;

/// Space of all connected servers, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Total.
    pub total: u64,
    /// Free, with the reserve taken off. 0 refuses writes without the flag *may use reserve*.
    pub available: u64,
    /// Free.
    pub free: u64,
}

impl Chunks {
    /// A server tells its load. One that leaves the judgement to the master and is far above the
    /// others is spared for a while.
    pub fn set_load(&mut self, now: u32, id: ServerId, load: u32, report: LoadReport) {
        let settings = &self.settings;
        let (sum, others) = self
            .servers
            .iter()
            .filter(|&(other, _)| other != id)
            .fold((0.0, 0u32), |(sum, count), (_, server)| {
                (sum + f64::from(server.load), count + 1)
            });
        let average = if others == 0 {
            0.0
        } else {
            sum / f64::from(others)
        };
        let threshold = settings.heavy_load_threshold;
        let ratio = settings.heavy_load_ratio;
        let grace_until = now.saturating_add(settings.heavy_load_grace_seconds);
        let Some(server) = self.servers.get_mut(id) else {
            return;
        };
        server.load = load;
        server.load_report = report;
        if report == LoadReport::Default && load > threshold && f64::from(load) > ratio * average {
            if server.grace_until <= now {
                tracing::info!(
                    "Heavy load server detected ({}:{}); load: {load} ; threshold: {threshold} ; loadavg (without this server): {average:.2} ; ratio_threshold: {ratio:.2}",
                    server.identity.ip,
                    server.identity.port,
                );
            }
            server.grace_until = grace_until;
        }
    }

    /// Ends the grace of a server by command.
    pub fn end_grace(&mut self, id: ServerId) {
        if let Some(server) = self.servers.get_mut(id) {
            server.grace_until = 0;
        }
    }

    /// Space of all connected servers.
    pub fn space(&self) -> Space {
        let mut space = Space::default();
        let (mut used_max, mut total_max) = (0u64, 0u64);
        for (_, server) in self.servers.iter() {
            space.total = space.total.saturating_add(server.space.total);
            space.free = space.free.saturating_add(server.free());
            used_max = used_max.max(server.space.used);
            total_max = total_max.max(server.space.total);
        }
        let reserve = match self.settings.reserve {
            Reserve::Bytes(bytes) => bytes,
            Reserve::Percent(percent) => (space.total as f64 * percent / 100.0) as u64,
            Reserve::Used(times) => (used_max as f64 * times) as u64,
            Reserve::Capacity(times) => (total_max as f64 * times) as u64,
        };
        space.available = space.free.saturating_sub(reserve);
        space
    }
}
