//! What `mfschunkserver.cfg` says, as values.

use crate::disk_list::parse_size;
use crate::store::layout::Layout;
use daemon::config::Config;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Space left free on a disk when the configuration makes no sense.
const LEAVE_SPACE: u64 = 256 << 20;
/// Shortest timeout that the configuration may ask for, seconds.
const TIMEOUT_MIN: u16 = 10;
/// Bytes of the MB of `HDD_TEST_SPEED`.
const MIB: f64 = 1_048_576.0;

/// Settings of the chunkserver, except those of the process (daemon crate).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connection to the master.
    pub master: MasterSettings,
    /// Disks and chunk files.
    pub store: StoreSettings,
    /// Where the data port listens; address 0 is every address.
    pub listen: SocketAddrV4,
    /// `mfshdd.cfg`.
    pub disk_list: PathBuf,
    /// Whether to start although a line of the list is wrong.
    pub invalid_disks_allowed: bool,
    /// Jobs running and waiting on one disk beyond which new ones are refused (`WORKERS_MAX`).
    pub jobs_max: usize,
    /// Idle threads that a disk keeps (`WORKERS_MAX_IDLE`).
    pub idle_threads_max: usize,
    /// Values as they stand in the file, for the message GET_CONFIG.
    written: BTreeMap<String, String>,
}

/// How to reach the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterSettings {
    /// Names or addresses (`MASTER_HOST`), with the port.
    pub hosts: Vec<String>,
    /// Port of every master.
    pub port: u16,
    /// Local address (`BIND_HOST`).
    pub bind: Ipv4Addr,
    /// Seconds; 0: the master chooses.
    pub timeout_s: u16,
    /// Pause between attempts.
    pub reconnection_delay: Duration,
    /// Secret; empty: none.
    pub auth_code: Vec<u8>,
    /// Chunks of one packet.
    pub chunks_per_packet: usize,
    /// Bit 0 is label A.
    pub labels: u32,
}

/// What the disks and the work on them need.
#[derive(Clone, Copy, Debug)]
pub struct StoreSettings {
    /// Bytes left free where the disk's line says nothing else.
    pub leave_space: u64,
    /// Errors within the period that are tolerated.
    pub error_tolerance_count: usize,
    /// The period, seconds.
    pub error_tolerance_period_s: u32,
    /// Whether zeros of new blocks become holes.
    pub sparsify: bool,
    /// Form of new files.
    pub layout: Layout,
    /// When data are brought to the disk.
    pub sync: SyncPolicy,
    /// Chunks put into one subfolder before the next.
    pub folder_chunks: u32,
    /// Seconds that the older of two files of a chunk is kept.
    pub keep_duplicates_s: u32,
    /// Bytes a second that the test reads from each disk; 0: off.
    pub test_bytes_per_second: u64,
    /// Chunks used within so many seconds are not tested.
    pub test_interval_s: u32,
    /// Tested data leave the page cache when the last use is so many seconds ago; `None`: never.
    pub drop_cache_after_s: Option<u32>,
    /// Percent of the time spent on moving chunks, one at a time.
    pub rebalance_percent: u32,
    /// Chunks moved at a time to each disk; 0: the other way.
    pub rebalance_parallel: u32,
}

/// When written data are brought to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// When the kernel wants.
    Never,
    /// In the background after the last use (`HDD_FSYNC_BEFORE_CLOSE`).
    AfterUse,
    /// Before a write is confirmed (`HDD_FSYNC_BEFORE_STATUS`).
    BeforeStatus,
}

impl Settings {
    /// Reads the settings; what has no sense gets a warning and its default.
    pub fn from_config(config: &Config) -> Result<Settings, String> {
        Ok(Settings {
            master: MasterSettings::from_config(config)?,
            store: StoreSettings::from_config(config),
            listen: address(config, "CSSERV_LISTEN_HOST", "CSSERV_LISTEN_PORT")?,
            disk_list: PathBuf::from(config.text("HDD_CONF_FILENAME")),
            invalid_disks_allowed: config.flag("ALLOW_STARTING_WITH_INVALID_DISKS"),
            jobs_max: config.u32("WORKERS_MAX") as usize,
            idle_threads_max: config.u32("WORKERS_MAX_IDLE") as usize,
            written: config
                .written()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        })
    }

    /// A value as it stands in the file, for the message GET_CONFIG. Secrets are not told
    /// (chunkserver §1.5).
    pub fn written(&self, name: &[u8]) -> &str {
        match name {
            b"AUTH_CODE" => "",
            name => std::str::from_utf8(name)
                .ok()
                .and_then(|name| self.written.get(name))
                .map_or("", String::as_str),
        }
    }
}

impl MasterSettings {
    fn from_config(config: &Config) -> Result<MasterSettings, String> {
        let timeout_s = u16::try_from(config.u32("MASTER_TIMEOUT")).unwrap_or(u16::MAX);
        let (labels, wrong) = parse_labels(config.text("LABELS"));
        if let Some(wrong) = wrong {
            tracing::warn!(
                "LABELS: '{wrong}' is no label: use letters A to Z, separated by commas"
            );
        }
        let bind = match config.text("BIND_HOST") {
            "*" => Ipv4Addr::UNSPECIFIED,
            host => *resolve(host, 0)
                .map_err(|error| format!("BIND_HOST = {host}: {error}"))?
                .ip(),
        };
        let hosts: Vec<String> = config
            .text("MASTER_HOST")
            .split([',', ' '])
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect();
        Ok(MasterSettings {
            hosts,
            port: port(config, "MASTER_PORT")?,
            bind,
            timeout_s: match timeout_s {
                0 => 0,
                seconds => seconds.max(TIMEOUT_MIN),
            },
            reconnection_delay: Duration::from_secs(
                config.u32("MASTER_RECONNECTION_DELAY").max(1).into(),
            ),
            auth_code: config.text("AUTH_CODE").as_bytes().to_vec(),
            chunks_per_packet: config.u32("CHUNKS_PER_REGISTER_PACKET") as usize,
            labels,
        })
    }
}

impl StoreSettings {
    fn from_config(config: &Config) -> StoreSettings {
        let leave = config.text("HDD_LEAVE_SPACE_DEFAULT");
        let leave_space = parse_size(leave).unwrap_or_else(|| {
            tracing::warn!("HDD_LEAVE_SPACE_DEFAULT = {leave}: size parse error - 256MiB is used");
            LEAVE_SPACE
        });
        let speed = match config.is_set("HDD_TEST_FREQ") && !config.is_set("HDD_TEST_SPEED") {
            true if config.real("HDD_TEST_FREQ") > 0.0 => 10.0 / config.real("HDD_TEST_FREQ"),
            true => 0.0,
            false => config.real("HDD_TEST_SPEED"),
        };
        StoreSettings {
            leave_space,
            error_tolerance_count: config.u32("HDD_ERROR_TOLERANCE_COUNT") as usize,
            error_tolerance_period_s: config.u32("HDD_ERROR_TOLERANCE_PERIOD"),
            sparsify: config.flag("HDD_SPARSIFY_ON_WRITE"),
            layout: match config.flag("HDD_OLD_CHUNK_FORMAT") {
                true => Layout::Old,
                false => Layout::New,
            },
            sync: match (
                config.flag("HDD_FSYNC_BEFORE_STATUS"),
                config.flag("HDD_FSYNC_BEFORE_CLOSE"),
            ) {
                (true, _) => SyncPolicy::BeforeStatus,
                (false, true) => SyncPolicy::AfterUse,
                (false, false) => SyncPolicy::Never,
            },
            folder_chunks: config.u32("HDD_RR_CHUNK_COUNT"),
            keep_duplicates_s: config.u32("HDD_KEEP_DUPLICATES_HOURS").saturating_mul(3600),
            test_bytes_per_second: (speed * MIB) as u64,
            test_interval_s: config.u32("HDD_MIN_TEST_INTERVAL"),
            drop_cache_after_s: u32::try_from(config.integer("HDD_FADVISE_MIN_TIME")).ok(),
            rebalance_percent: config.u32("HDD_REBALANCE_UTILIZATION"),
            rebalance_parallel: config.u32("HDD_HIGH_SPEED_REBALANCE_LIMIT"),
        }
    }
}

/// Mask of some labels, and the first word that is none.
pub fn parse_labels(text: &str) -> (u32, Option<&str>) {
    let (mut mask, mut wrong) = (0, None);
    for word in text.split([',', ';']).map(str::trim) {
        match word.as_bytes() {
            [] => {}
            [letter] if letter.is_ascii_alphabetic() => {
                mask |= 1 << (letter.to_ascii_uppercase() - b'A');
            }
            _ => wrong = wrong.or(Some(word)),
        }
    }
    (mask, wrong)
}

fn port(config: &Config, key: &str) -> Result<u16, String> {
    let text = config.text(key);
    text.parse()
        .map_err(|_| format!("{key} = {text}: a port is a number from 1 to 65535"))
}

fn address(config: &Config, host_key: &str, port_key: &str) -> Result<SocketAddrV4, String> {
    let port = port(config, port_key)?;
    match config.text(host_key) {
        "*" => Ok(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port)),
        host => resolve(host, port).map_err(|error| format!("{host_key} = {host}: {error}")),
    }
}

/// First IPv4 address of a name. Asks the system's resolver: may take seconds.
pub fn resolve(host: &str, port: u16) -> Result<SocketAddrV4, String> {
    let found = (host, port)
        .to_socket_addrs()
        .map_err(|error| error.to_string())?;
    found
        .into_iter()
        .find_map(|address| match address {
            SocketAddr::V4(address) => Some(address),
            SocketAddr::V6(_) => None,
        })
        .ok_or_else(|| "no IPv4 address".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse_labels;

    #[test]
    fn labels() {
        assert_eq!(parse_labels(""), (0, None));
        assert_eq!(parse_labels("A, c;z"), (1 | 4 | 1 << 25, None));
        assert_eq!(parse_labels("A,BC,1"), (1, Some("BC")));
    }
}
