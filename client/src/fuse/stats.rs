//! Counters and latencies of operations, for `.stats` (client-behaviour §4.3).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::adapter::Adapter;

macro_rules! operations {
    ($($name:ident = $text:literal,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Counted {
            $($name,)*
        }

        /// Names in `.stats`, in the order of [`Counted`].
        const NAMES: &[&str] = &[$($text,)*];
    };
}

operations! {
    Statfs = "statfs",
    Access = "access",
    Lookup = "lookup",
    Getattr = "getattr",
    Setattr = "setattr",
    Mknod = "mknod",
    Unlink = "unlink",
    Mkdir = "mkdir",
    Rmdir = "rmdir",
    Symlink = "symlink",
    Readlink = "readlink",
    Rename = "rename",
    Link = "link",
    Opendir = "opendir",
    Readdirplus = "readdirplus",
    Readdir = "readdir",
    Releasedir = "releasedir",
    Create = "create",
    Open = "open",
    Release = "release",
    Read = "read",
    Write = "write",
    Flush = "flush",
    Fsync = "fsync",
    Setlk = "setlk",
    Getlk = "getlk",
    Flock = "flock",
    Removexattr = "removexattr",
    Listxattr = "listxattr",
    Getxattr = "getxattr",
    Setxattr = "setxattr",
    Fallocate = "fallocate",
    Lseek = "lseek",
    CopyFileRange = "copy_file_range",
}

/// Latencies are counted in classes: up to 1 µs, 2 µs, 4 µs, … and the rest.
const CLASSES: usize = 32;

#[derive(Debug, Default)]
struct Operation {
    count: AtomicU64,
    total_us: AtomicU64,
    classes: [AtomicU64; CLASSES],
}

/// Counters of a mount.
#[derive(Debug)]
pub(super) struct Stats {
    operations: Vec<Operation>,
    in_directory: AtomicU64,
}

impl Default for Stats {
    fn default() -> Self {
        Stats {
            operations: NAMES.iter().map(|_| Operation::default()).collect(),
            in_directory: AtomicU64::new(0),
        }
    }
}

impl Stats {
    /// An operation took so long.
    pub(super) fn count(&self, what: Counted, took: Duration) {
        let Some(operation) = self.operations.get(what as usize) else {
            return;
        };
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        operation.count.fetch_add(1, Ordering::Relaxed);
        operation.total_us.fetch_add(us, Ordering::Relaxed);
        if let Some(class) = operation.classes.get(class_of(us)) {
            class.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A LOOKUP was answered from an open directory.
    pub(super) fn lookup_in_directory(&self) {
        self.in_directory.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything starts from 0 again.
    pub(super) fn reset(&self) {
        for operation in &self.operations {
            operation.count.store(0, Ordering::Relaxed);
            operation.total_us.store(0, Ordering::Relaxed);
            for class in &operation.classes {
                class.store(0, Ordering::Relaxed);
            }
        }
        self.in_directory.store(0, Ordering::Relaxed);
    }
}

/// Number of bits of a latency.
fn class_of(us: u64) -> usize {
    ((u64::BITS - us.leading_zeros()) as usize).min(CLASSES - 1)
}

/// Latency below which the part `percent` of the counted ones lies, in µs, rounded up to a class.
fn percentile(classes: &[u64], percent: u64) -> u64 {
    let total: u64 = classes.iter().sum();
    let wanted = (total * percent).div_ceil(100);
    let mut seen = 0;
    for (class, count) in classes.iter().enumerate() {
        seen += count;
        if seen >= wanted && wanted > 0 {
            return 1 << class;
        }
    }
    0
}

impl Adapter {
    /// Text of `.stats`.
    pub(super) fn statistics(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: u64| {
            // Writing into a string cannot fail.
            let _ = writeln!(out, "{name}: {value}");
        };
        let mut sum = 0;
        for (name, operation) in NAMES.iter().zip(&self.stats.operations) {
            let count = operation.count.load(Ordering::Relaxed);
            sum += count;
            line(&format!("fuse_ops.{name}"), count);
            if *name == "lookup" {
                let cached = self.stats.in_directory.load(Ordering::Relaxed);
                line("fuse_ops.lookup.cached.readdir", cached);
            }
        }
        line("fuse_ops", sum);
        for (name, operation) in NAMES.iter().zip(&self.stats.operations) {
            let count = operation.count.load(Ordering::Relaxed);
            if count == 0 {
                continue;
            }
            let classes: Vec<u64> = operation
                .classes
                .iter()
                .map(|class| class.load(Ordering::Relaxed))
                .collect();
            let mean = operation.total_us.load(Ordering::Relaxed) / count;
            line(&format!("latency_us.{name}.mean"), mean);
            for percent in [50, 90, 99, 100] {
                let value = percentile(&classes, percent);
                line(&format!("latency_us.{name}.p{percent}"), value);
            }
        }
        let symlinks = self.symlinks.counters();
        line("symlink_cache.search_misses", symlinks.misses);
        line("symlink_cache.search_hits", symlinks.hits);
        line("symlink_cache.inserts", symlinks.inserts);
        if self.negative.is_on() {
            let (counters, removals) = self.negative.counters();
            line("negentry_cache.search_misses", counters.misses);
            line("negentry_cache.search_hits", counters.hits);
            line("negentry_cache.removals", removals);
            line("negentry_cache.inserts", counters.inserts);
        }
        let link = self.session().counters();
        line("master.reconnects", link.reconnects);
        line("master.bytes_sent", link.bytes_sent);
        line("master.bytes_received", link.bytes_received);
        line("master.packets_sent", link.packets_sent);
        line("master.packets_received", link.packets_received);
        let (offset_us, ping_us) = self.session().clock_figures();
        let _ = writeln!(out, "master.usec_timediff: [{offset_us}]");
        let _ = writeln!(out, "master.usec_ping: [{ping_us}]");
        let _ = writeln!(out, "symlink_cache.#links: [{}]", symlinks.entries);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::{class_of, percentile};

    #[test]
    fn latencies_fall_into_classes_of_powers_of_two() {
        let rows = [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (u64::MAX, 31)];
        for (us, class) in rows {
            assert_eq!(class_of(us), class, "{us}");
        }
        assert_eq!(percentile(&[0, 90, 0, 10], 50), 2);
        assert_eq!(percentile(&[0, 90, 0, 10], 99), 8);
        assert_eq!(percentile(&[0, 0], 50), 0);
    }
}
