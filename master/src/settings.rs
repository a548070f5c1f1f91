//! What `mfsmaster.cfg` says, as values that the rooms use.

use crate::chunks::{ChunkSettings, ReplicationLimits, Reserve, UniqueMode};
use crate::journal::SaveMode;
use crate::topology::Remap;
use daemon::config::Config;
use metadata::access::AtimeMode;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// Settings of the master, except those of the process (daemon crate).
#[derive(Clone, Debug)]
pub struct Settings {
    /// Chunk management.
    pub chunks: ChunkSettings,
    /// When reading changes atime (`ATIME_MODE`).
    pub atime_mode: AtimeMode,
    /// A file with so many names gets no further one (`MAX_ALLOWED_HARD_LINKS`).
    pub hard_links_max: u32,
    /// A session without connections is kept so long, seconds (`SESSION_SUSTAIN_TIME`).
    pub session_sustain_seconds: u32,
    /// A freed inode number rests so long, seconds (`INODE_REUSE_DELAY`).
    pub inode_reuse_delay_seconds: u32,
    /// Recent changelog lines stay in memory so long, milliseconds (`CHANGELOG_PRESERVE_SECONDS`).
    pub changelog_preserve_ms: u64,
    /// Timeout told to chunkservers that name none, seconds (`MATOCS_TIMEOUT`).
    pub chunkserver_timeout_seconds: u16,
    /// Secret that chunkservers have to know; empty = none (`AUTH_CODE`).
    pub auth_code: Vec<u8>,
    /// Maintenance by command ends after so many seconds; 0 = never
    /// (`CS_MAINTENANCE_MODE_TIMEOUT`).
    pub maintenance_seconds: u32,
    /// Maintenance of a server that announced its stop, seconds
    /// (`CS_TEMP_MAINTENANCE_MODE_TIMEOUT`).
    pub temporary_maintenance_seconds: u32,
    /// A disconnected server is forgotten after so many days; 0 = never
    /// (`CS_DAYS_TO_REMOVE_UNUSED`).
    pub remove_unused_days: u32,
    /// When a change counts as saved (`CHANGELOG_SAVE_MODE`).
    pub save_mode: SaveMode,
    /// Changelogs kept beside the current one (`BACK_LOGS`).
    pub back_logs: u32,
    /// Images kept beside the newest (`BACK_META_KEEP_PREVIOUS`).
    pub images_kept: u32,
    /// Hours between two images (`METADATA_SAVE_FREQ`).
    pub save_every_hours: u32,
    /// Addresses that chunkservers get instead of their own (`REMAP_*`).
    pub remap: Option<Remap>,
    /// `mfsexports.cfg`.
    pub exports_file: PathBuf,
    /// `mfstopology.cfg`.
    pub topology_file: PathBuf,
    /// Values as they stand in the file, for the message GET_CONFIG.
    written: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            chunks: ChunkSettings::default(),
            atime_mode: AtimeMode::Relative,
            hard_links_max: 32_767,
            session_sustain_seconds: 86_400,
            inode_reuse_delay_seconds: 86_400,
            changelog_preserve_ms: 1_800_000,
            chunkserver_timeout_seconds: 10,
            auth_code: Vec::new(),
            maintenance_seconds: 0,
            temporary_maintenance_seconds: 1_800,
            remove_unused_days: 7,
            save_mode: SaveMode::Durable,
            back_logs: 50,
            images_kept: 1,
            save_every_hours: 1,
            remap: None,
            exports_file: PathBuf::from("/etc/mfs/mfsexports.cfg"),
            topology_file: PathBuf::from("/etc/mfs/mfstopology.cfg"),
            written: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Reads the settings; what has no sense gets a warning and its default.
    pub fn from_config(config: &Config) -> Settings {
        let days = config.u32("CS_DAYS_TO_REMOVE_UNUSED");
        let back_logs = config.u32("BACK_LOGS");
        Settings {
            chunks: chunk_settings(config),
            atime_mode: match config.u32("ATIME_MODE") {
                0 => AtimeMode::Always,
                1 => AtimeMode::AlwaysFiles,
                3 => AtimeMode::RelativeFiles,
                4 => AtimeMode::Never,
                _ => AtimeMode::Relative,
            },
            hard_links_max: config.u32("MAX_ALLOWED_HARD_LINKS"),
            session_sustain_seconds: config.u32("SESSION_SUSTAIN_TIME"),
            inode_reuse_delay_seconds: config.u32("INODE_REUSE_DELAY"),
            changelog_preserve_ms: u64::from(config.u32("CHANGELOG_PRESERVE_SECONDS")) * 1000,
            chunkserver_timeout_seconds: u16::try_from(config.u32("MATOCS_TIMEOUT"))
                .unwrap_or(u16::MAX),
            auth_code: config.text("AUTH_CODE").as_bytes().to_vec(),
            maintenance_seconds: config.u32("CS_MAINTENANCE_MODE_TIMEOUT"),
            temporary_maintenance_seconds: config.u32("CS_TEMP_MAINTENANCE_MODE_TIMEOUT"),
            remove_unused_days: if days > 365 { 0 } else { days },
            save_mode: match config.is_set("CHANGELOG_SAVE_MODE") {
                true if config.u32("CHANGELOG_SAVE_MODE") != 2 => SaveMode::Written,
                _ => SaveMode::Durable,
            },
            back_logs,
            images_kept: config.u32("BACK_META_KEEP_PREVIOUS"),
            save_every_hours: config.u32("METADATA_SAVE_FREQ").min((back_logs / 2).max(1)),
            remap: remap(config),
            exports_file: PathBuf::from(config.text("EXPORTS_FILENAME")),
            topology_file: PathBuf::from(config.text("TOPOLOGY_FILENAME")),
            written: config
                .written()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// A value as it stands in the configuration file; empty when it does not.
    pub fn raw(&self, option: &[u8]) -> &str {
        std::str::from_utf8(option)
            .ok()
            .and_then(|name| self.written.get(name))
            .map_or("", String::as_str)
    }
}

fn remap(config: &Config) -> Option<Remap> {
    let class = |key| config.is_set(key).then(|| config.text(key));
    let remap = Remap::from_config(
        config.u32("REMAP_BITS"),
        class("REMAP_SOURCE_IP_CLASS"),
        class("REMAP_DESTINATION_IP_CLASS"),
    );
    remap.unwrap_or_else(|error| {
        tracing::warn!("{error}");
        None
    })
}

fn chunk_settings(config: &Config) -> ChunkSettings {
    let soft = config.u32("CHUNKS_SOFT_DEL_LIMIT");
    let hard = if config.is_set("CHUNKS_HARD_DEL_LIMIT") {
        config.u32("CHUNKS_HARD_DEL_LIMIT")
    } else {
        soft.saturating_mul(3)
    };
    if hard < soft {
        tracing::warn!(
            "CHUNKS_SOFT_DEL_LIMIT is greater than CHUNKS_HARD_DEL_LIMIT - using {hard} for both"
        );
    }
    let old_loop = config.is_set("CHUNKS_LOOP_TIME") && !config.is_set("CHUNKS_LOOP_MIN_TIME");
    let acceptable_difference = if config.is_set("ACCEPTABLE_DIFFERENCE")
        && !config.is_set("ACCEPTABLE_PERCENTAGE_DIFFERENCE")
    {
        config.real("ACCEPTABLE_DIFFERENCE")
    } else {
        config.real("ACCEPTABLE_PERCENTAGE_DIFFERENCE") / 100.0
    };
    let reserve_text = config.text("RESERVE_SPACE");
    ChunkSettings {
        loop_min_seconds: if old_loop {
            config.u32("CHUNKS_LOOP_TIME")
        } else {
            config.u32("CHUNKS_LOOP_MIN_TIME")
        },
        loop_max_per_second: if old_loop {
            u32::MAX
        } else {
            config.u32("CHUNKS_LOOP_MAX_CPS")
        },
        delete_soft_limit: soft.min(hard),
        delete_hard_limit: hard,
        write_limits: ReplicationLimits(config.limits("CHUNKS_WRITE_REP_LIMIT")),
        read_limits: ReplicationLimits(config.limits("CHUNKS_READ_REP_LIMIT")),
        unique_mode: match config.u32("CHUNKS_UNIQUE_MODE") {
            1 => UniqueMode::Ip,
            2 => UniqueMode::Rack,
            _ => UniqueMode::Off,
        },
        delay_init_seconds: config.u32("REPLICATIONS_DELAY_INIT"),
        replications_respect_topology: u8::try_from(config.u32("REPLICATIONS_RESPECT_TOPOLOGY"))
            .unwrap_or(0),
        creations_respect_topology: config.u32("CREATIONS_RESPECT_TOPOLOGY"),
        acceptable_difference,
        queue_length: config.u32("PRIORITY_QUEUES_LENGTH"),
        heavy_load_threshold: config.u32("CS_HEAVY_LOAD_THRESHOLD"),
        heavy_load_ratio: config.real("CS_HEAVY_LOAD_RATIO_THRESHOLD"),
        heavy_load_grace_seconds: config.u32("CS_HEAVY_LOAD_GRACE_PERIOD"),
        reserve: reserve_text.parse().unwrap_or_else(|error| {
            tracing::warn!("RESERVE_SPACE = {reserve_text}: {error} - nothing is reserved");
            Reserve::default()
        }),
        missing_capacity: config.u32("MISSING_LOG_CAPACITY"),
    }
}

/// Where a port listens (`MAT??_LISTEN_HOST`, `MAT??_LISTEN_PORT`); `*` is every address. Host names
/// are resolved.
pub fn listen_address(config: &Config, prefix: &str) -> Result<std::net::SocketAddrV4, String> {
    let host = config.text(&format!("{prefix}_LISTEN_HOST"));
    let port_key = format!("{prefix}_LISTEN_PORT");
    let port_text = config.text(&port_key);
    let port: u16 = port_text
        .parse()
        .map_err(|_| format!("{port_key} = {port_text}: a port is a number from 1 to 65535"))?;
    if host == "*" {
        return Ok(std::net::SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port));
    }
    std::net::ToSocketAddrs::to_socket_addrs(&(host, port))
        .map_err(|error| format!("can't resolve {prefix}_LISTEN_HOST = {host}: {error}"))?
        .find_map(|address| match address {
            std::net::SocketAddr::V4(address) => Some(address),
            std::net::SocketAddr::V6(_) => None,
        })
        .ok_or_else(|| format!("{prefix}_LISTEN_HOST = {host}: no IPv4 address"))
}
