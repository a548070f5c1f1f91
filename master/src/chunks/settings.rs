//! What the configuration says about chunks (master-behaviour §7.10).

use std::str::FromStr;

/// Which servers count as one place when copies are spread (`CHUNKS_UNIQUE_MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UniqueMode {
    /// Each server is a place of its own.
    #[default]
    Off,
    /// Servers with one address are one place.
    Ip,
    /// Servers in one rack are one place.
    Rack,
}

/// Replications that may run at a server, per class of work (§7.4).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplicationLimits(pub [f64; 4]);

/// Text that is no list of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("limits are one number or four numbers with commas between them, each from 0 to 65535")]
pub struct BadLimits;

impl FromStr for ReplicationLimits {
    type Err = BadLimits;

    fn from_str(text: &str) -> Result<ReplicationLimits, BadLimits> {
        let mut limits = [0.0; 4];
        let mut count = 0;
        for part in text.split(',') {
            let place = limits.get_mut(count).ok_or(BadLimits)?;
            let limit: f64 = part.trim().parse().map_err(|_| BadLimits)?;
            if !(0.0..=65535.0).contains(&limit) {
                return Err(BadLimits);
            }
            *place = limit;
            count += 1;
        }
        match count {
            1 => Ok(ReplicationLimits([limits[0]; 4])),
            4 => Ok(ReplicationLimits(limits)),
            _ => Err(BadLimits),
        }
    }
}

/// Space that is kept from ordinary users (`RESERVE_SPACE`, §5.6).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reserve {
    /// Bytes.
    Bytes(u64),
    /// Percent of the total space.
    Percent(f64),
    /// Multiple of the greatest used space of one server.
    Used(f64),
    /// Multiple of the greatest total space of one server.
    Capacity(f64),
}

impl Default for Reserve {
    fn default() -> Reserve {
        Reserve::Bytes(0)
    }
}

/// Text that is no reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a reserve is a number of bytes (10GiB), a percentage (5%), or a multiple of servers (1.5U, 1C)"
)]
pub struct BadReserve;

impl FromStr for Reserve {
    type Err = BadReserve;

    fn from_str(text: &str) -> Result<Reserve, BadReserve> {
        let text = text.trim();
        let split = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: f64 = number.parse().map_err(|_| BadReserve)?;
        let scale = match unit.trim() {
            "%" if number <= 100.0 => return Ok(Reserve::Percent(number)),
            "u" | "U" => return Ok(Reserve::Used(number)),
            "c" | "C" => return Ok(Reserve::Capacity(number)),
            "" | "B" => 1.0,
            "k" | "kB" => 1e3,
            "M" | "MB" => 1e6,
            "G" | "GB" => 1e9,
            "T" | "TB" => 1e12,
            "P" | "PB" => 1e15,
            "E" | "EB" => 1e18,
            "Ki" | "KiB" => 2f64.powi(10),
            "Mi" | "MiB" => 2f64.powi(20),
            "Gi" | "GiB" => 2f64.powi(30),
            "Ti" | "TiB" => 2f64.powi(40),
            "Pi" | "PiB" => 2f64.powi(50),
            "Ei" | "EiB" => 2f64.powi(60),
            _ => return Err(BadReserve),
        };
        Ok(Reserve::Bytes((number * scale) as u64))
    }
}

/// Limits, periods and modes of chunk work. Every value may change while the master runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkSettings {
    /// Shortest time of a pass over all chunks, seconds (`CHUNKS_LOOP_MIN_TIME`, 60–7200).
    pub loop_min_seconds: u32,
    /// Most chunks looked at in a second (`CHUNKS_LOOP_MAX_CPS`, 10,000–10,000,000).
    pub loop_max_per_second: u32,
    /// Deletions that may be unanswered at a server (`CHUNKS_SOFT_DEL_LIMIT`, at least 1).
    pub delete_soft_limit: u32,
    /// Up to this many when there is much to delete (`CHUNKS_HARD_DEL_LIMIT`, at least soft).
    pub delete_hard_limit: u32,
    /// Replications into a server (`CHUNKS_WRITE_REP_LIMIT`).
    pub write_limits: ReplicationLimits,
    /// Replications out of a server (`CHUNKS_READ_REP_LIMIT`).
    pub read_limits: ReplicationLimits,
    /// What counts as one place (`CHUNKS_UNIQUE_MODE`).
    pub unique_mode: UniqueMode,
    /// No chunk work in the first seconds (`REPLICATIONS_DELAY_INIT`).
    pub delay_init_seconds: u32,
    /// 0 off, 1 nearest source, 2 nearest source and destination
    /// (`REPLICATIONS_RESPECT_TOPOLOGY`).
    pub replications_respect_topology: u8,
    /// Servers nearer than this to the client come first; 0 = off (`CREATIONS_RESPECT_TOPOLOGY`).
    pub creations_respect_topology: u32,
    /// Difference of usage that is left alone, as a fraction (`ACCEPTABLE_PERCENTAGE_DIFFERENCE`
    /// / 100, 0.001–0.1).
    pub acceptable_difference: f64,
    /// Entries of each priority queue (`PRIORITY_QUEUES_LENGTH`, at least 10,000).
    pub queue_length: u32,
    /// Load above which a server may be given grace (`CS_HEAVY_LOAD_THRESHOLD`).
    pub heavy_load_threshold: u32,
    /// … and how many times the average of the others it must be
    /// (`CS_HEAVY_LOAD_RATIO_THRESHOLD`).
    pub heavy_load_ratio: f64,
    /// How long grace lasts, seconds (`CS_HEAVY_LOAD_GRACE_PERIOD`).
    pub heavy_load_grace_seconds: u32,
    /// Space kept back (`RESERVE_SPACE`).
    pub reserve: Reserve,
    /// Entries of the list of missing chunks (`MISSING_LOG_CAPACITY`, 1,000–1,000,000).
    pub missing_capacity: u32,
}

impl Default for ChunkSettings {
    fn default() -> ChunkSettings {
        ChunkSettings {
            loop_min_seconds: 300,
            loop_max_per_second: 100_000,
            delete_soft_limit: 10,
            delete_hard_limit: 30,
            write_limits: ReplicationLimits([2.0, 1.0, 1.0, 4.0]),
            read_limits: ReplicationLimits([10.0, 5.0, 2.0, 5.0]),
            unique_mode: UniqueMode::Off,
            delay_init_seconds: 60,
            replications_respect_topology: 0,
            creations_respect_topology: 0,
            acceptable_difference: 0.01,
            queue_length: 1_000_000,
            heavy_load_threshold: 150,
            heavy_load_ratio: 3.0,
            heavy_load_grace_seconds: 900,
            reserve: Reserve::default(),
            missing_capacity: 100_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BadLimits, BadReserve, ReplicationLimits, Reserve};

    #[test]
    fn limits_are_one_number_or_four() {
        for (text, expected) in [
            ("2,1,1,4", Ok([2.0, 1.0, 1.0, 4.0])),
            ("3", Ok([3.0; 4])),
            (" 1, 0.25,1 ,4", Ok([1.0, 0.25, 1.0, 4.0])),
            ("1,2", Err(BadLimits)),
            ("1,2,3,4,5", Err(BadLimits)),
            ("-1", Err(BadLimits)),
            ("nan", Err(BadLimits)),
            ("", Err(BadLimits)),
        ] {
            assert_eq!(text.parse(), expected.map(ReplicationLimits), "{text}");
        }
    }

    #[test]
    fn reserves_have_units() {
        for (text, expected) in [
            ("0", Ok(Reserve::Bytes(0))),
            ("10GiB", Ok(Reserve::Bytes(10 << 30))),
            ("1.5 k", Ok(Reserve::Bytes(1500))),
            ("5%", Ok(Reserve::Percent(5.0))),
            ("101%", Err(BadReserve)),
            ("1.5U", Ok(Reserve::Used(1.5))),
            ("2C", Ok(Reserve::Capacity(2.0))),
            ("many", Err(BadReserve)),
            ("", Err(BadReserve)),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }
}
