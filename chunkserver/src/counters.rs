//! What is counted for the charts (wire-admin §6.2) and for the list of disks (§5.2).

use proto::admin::DiskStats;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// Counters since the last sample of a minute.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }
    };
}

counters! {
    /// Bytes from the master.
    master_in;
    /// Bytes to the master.
    master_out;
    /// Bytes of replication and forwarded writes, received.
    servers_in;
    /// Bytes of replication and forwarded writes, sent.
    servers_out;
    /// Bytes received on the data port.
    clients_in;
    /// Bytes sent on the data port.
    clients_out;
    /// Bytes of headers read.
    header_bytes_read;
    /// Bytes of headers written.
    header_bytes_written;
    /// Reads of headers.
    header_reads;
    /// Writes of headers.
    header_writes;
    /// Bytes of data read.
    data_bytes_read;
    /// Bytes of data written.
    data_bytes_written;
    /// Reads of data.
    data_reads;
    /// Writes of data.
    data_writes;
    /// READ requests.
    reads;
    /// WRITE requests.
    writes;
    /// Nanoseconds in reads.
    read_ns;
    /// Nanoseconds in writes.
    write_ns;
    /// Chunks replicated.
    replications;
    /// Chunks created.
    creations;
    /// Chunks deleted.
    deletions;
    /// Versions set.
    versions;
    /// Chunks duplicated.
    duplications;
    /// Chunks truncated.
    truncations;
    /// Chunks duplicated with another length.
    duplicate_truncations;
    /// Chunks tested.
    tests;
    /// Chunks moved between disks, low speed.
    moves_low;
    /// Chunks moved between disks, high speed.
    moves_high;
    /// Chunks changed inside the server.
    changes;
}

/// A number that only grows until it is taken.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The number since the last call.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Nanoseconds of a duration.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Microseconds of a duration.
fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Minutes of a day.
const DAY: usize = 1440;
/// Minutes of an hour.
const HOUR: usize = 60;

/// No work.
pub const NO_WORK: DiskStats = DiskStats {
    read_bytes: 0,
    written_bytes: 0,
    read_us: 0,
    write_us: 0,
    fsync_us: 0,
    reads: 0,
    writes: 0,
    fsyncs: 0,
    read_us_max: 0,
    write_us_max: 0,
    fsync_us_max: 0,
};

/// Work of a disk: the running minute and the finished ones of a day.
#[derive(Debug, Clone)]
pub struct DiskWork {
    current: DiskStats,
    total: DiskStats,
    /// Newest first.
    minutes: VecDeque<DiskStats>,
}

impl Default for DiskWork {
    fn default() -> DiskWork {
        DiskWork {
            current: NO_WORK,
            total: NO_WORK,
            minutes: VecDeque::new(),
        }
    }
}

impl DiskWork {
    /// A read of so many bytes took so long.
    pub fn read(&mut self, bytes: usize, took: Duration) {
        let us = microseconds(took);
        for stats in [&mut self.current, &mut self.total] {
            stats.read_bytes += bytes as u64;
            stats.read_us += us;
            stats.reads = stats.reads.saturating_add(1);
            stats.read_us_max = stats.read_us_max.max(u32::try_from(us).unwrap_or(u32::MAX));
        }
    }

    /// A write of so many bytes took so long.
    pub fn wrote(&mut self, bytes: usize, took: Duration) {
        let us = microseconds(took);
        for stats in [&mut self.current, &mut self.total] {
            stats.written_bytes += bytes as u64;
            stats.write_us += us;
            stats.writes = stats.writes.saturating_add(1);
            stats.write_us_max = stats
                .write_us_max
                .max(u32::try_from(us).unwrap_or(u32::MAX));
        }
    }

    /// An fsync took so long.
    pub fn synced(&mut self, took: Duration) {
        let us = microseconds(took);
        for stats in [&mut self.current, &mut self.total] {
            stats.fsync_us += us;
            stats.fsyncs = stats.fsyncs.saturating_add(1);
            stats.fsync_us_max = stats
                .fsync_us_max
                .max(u32::try_from(us).unwrap_or(u32::MAX));
        }
    }

    /// A minute is over.
    pub fn close_minute(&mut self) {
        self.minutes.push_front(self.current);
        self.minutes.truncate(DAY);
        self.current = NO_WORK;
    }

    /// Sums over the last finished minute, hour and day.
    pub fn periods(&self) -> [DiskStats; 3] {
        [1, HOUR, DAY].map(|count| self.minutes.iter().take(count).fold(NO_WORK, joined))
    }

    /// Sum since the start.
    pub fn total(&self) -> DiskStats {
        self.total
    }
}

fn joined(a: DiskStats, b: &DiskStats) -> DiskStats {
    DiskStats {
        read_bytes: a.read_bytes + b.read_bytes,
        written_bytes: a.written_bytes + b.written_bytes,
        read_us: a.read_us + b.read_us,
        write_us: a.write_us + b.write_us,
        fsync_us: a.fsync_us + b.fsync_us,
        reads: a.reads.saturating_add(b.reads),
        writes: a.writes.saturating_add(b.writes),
        fsyncs: a.fsyncs.saturating_add(b.fsyncs),
        read_us_max: a.read_us_max.max(b.read_us_max),
        write_us_max: a.write_us_max.max(b.write_us_max),
        fsync_us_max: a.fsync_us_max.max(b.fsync_us_max),
    }
}

#[cfg(test)]
mod tests {
    use super::DiskWork;
    use std::time::Duration;

    #[test]
    fn periods_are_sums_of_finished_minutes_with_the_greatest_maximum() {
        let mut work = DiskWork::default();
        work.read(100, Duration::from_micros(7));
        assert_eq!(
            work.periods()[2].reads,
            0,
            "the running minute does not count"
        );
        work.close_minute();
        work.read(50, Duration::from_micros(3));
        work.wrote(5, Duration::from_micros(1));
        work.close_minute();
        let [minute, hour, day] = work.periods();
        assert_eq!((minute.read_bytes, minute.read_us_max), (50, 3));
        assert_eq!(
            (hour.read_bytes, hour.read_us, hour.read_us_max),
            (150, 10, 7)
        );
        assert_eq!((day.reads, day.writes, work.total().reads), (2, 1, 2));
    }
}
