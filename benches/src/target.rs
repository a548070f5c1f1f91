//! One master under measurement: its process, its CPU time, its memory.

use anyhow::{Context, Result};
use lab::{Cluster, ClusterOptions, MASTER_IP, Program};
use rustix::process::Pid;
use rustix::thread::{CpuSet, LinkNameSpaceType, move_into_link_name_space, sched_setaffinity};
use std::fs;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A running master without chunkservers.
#[derive(Debug)]
pub struct Target {
    /// How reports name it.
    pub name: &'static str,
    cluster: Cluster,
    pinned: bool,
}

fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processors(range: Range<usize>) -> CpuSet {
    let mut set = CpuSet::new();
    range.for_each(|number| set.set(number));
    set
}

/// CPU time of all threads of these processes so far.
pub fn cpu_of(pids: impl IntoIterator<Item = i32>) -> Duration {
    let mut nanoseconds = 0;
    for pid in pids {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
            continue;
        };
        for task in tasks.flatten() {
            nanoseconds += fs::read_to_string(task.path().join("schedstat"))
                .ok()
                .and_then(|text| text.split(' ').next()?.parse::<u64>().ok())
                .unwrap_or(0);
        }
    }
    Duration::from_nanos(nanoseconds)
}

/// Resident memory of these processes, bytes.
pub fn resident_of(pids: &[i32]) -> u64 {
    let resident = |pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:"))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let kibibytes: u64 = pids.iter().filter_map(resident).sum();
    kibibytes * 1024
}

impl Target {
    /// Starts a master on an empty file system; `cfg` holds further lines of its configuration.
    pub fn start(name: &'static str, program: Program, cfg: &str) -> Result<Target> {
        let cluster = Cluster::start(ClusterOptions {
            master: program,
            chunkservers: 0,
            master_cfg: cfg.to_owned(),
            ..ClusterOptions::default()
        })
        .with_context(|| format!("start of {name}"))?;
        Ok(Target {
            name,
            cluster,
            pinned: false,
        })
    }

    /// Gives the first processor to the load generator and the others to the master. The scheduler
    /// would put both on one processor or on two as it likes, which differs by a factor of three
    /// for a single request in flight.
    pub fn pin(&mut self) -> Result<()> {
        let others = processors(1..available());
        for pid in self.cluster.namespace.pids() {
            for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
                let id = task.file_name().to_string_lossy().parse()?;
                sched_setaffinity(Pid::from_raw(id), &others)?;
            }
        }
        self.pinned = true;
        Ok(())
    }

    /// Runs `work` on a thread inside the master's network, with the address of its client port.
    pub fn inside<T: Send>(&self, work: impl FnOnce(SocketAddr) -> Result<T> + Send) -> Result<T> {
        let path = Path::new("/run/netns").join(self.cluster.namespace.name());
        let namespace = fs::File::open(&path).with_context(|| path.display().to_string())?;
        let address: SocketAddr = format!("{MASTER_IP}:9421").parse()?;
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    if self.pinned {
                        sched_setaffinity(None, &processors(0..1))?;
                    }
                    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                    work(address)
                })
                .join()
                .map_err(|_| anyhow::anyhow!("the load generator panicked"))?
        })
    }

    /// CPU time of all processes and threads of the master so far.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.cluster.namespace.pids())
    }

    /// Processes of the master.
    pub fn pids(&self) -> Vec<i32> {
        self.cluster.namespace.pids()
    }

    /// Resident memory of all processes of the master, bytes.
    pub fn resident(&self) -> u64 {
        resident_of(&self.pids())
    }

    /// Stops the master cleanly, which saves; says how long it took.
    pub fn stop(&self) -> Result<Duration> {
        let began = Instant::now();
        self.cluster.master("stop")?.success()?;
        Ok(began.elapsed())
    }

    /// Kills the master.
    pub fn kill(&self) -> Result<()> {
        self.cluster.kill_master()
    }

    /// Starts the master again on what it left; says how long it took to serve.
    pub fn start_again(&self, argument: &str) -> Result<Duration> {
        let began = Instant::now();
        self.cluster.master(argument)?.success()?;
        Ok(began.elapsed())
    }

    /// Environment of the master from the next start on.
    pub fn set_environment(&mut self, environment: Vec<(String, String)>) {
        self.cluster.set_master_environment(environment);
    }

    /// Inode number of a file in the data directory: another one when the file was replaced.
    pub fn file_number(&self, name: &str) -> u64 {
        fs::metadata(self.cluster.master_data().join(name)).map_or(0, |meta| meta.ino())
    }

    /// Size of a file in the data directory, bytes.
    pub fn file_size(&self, name: &str) -> u64 {
        fs::metadata(self.cluster.master_data().join(name)).map_or(0, |meta| meta.len())
    }
}
