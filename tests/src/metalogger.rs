//! A metalogger of a cluster: ours or the real one.

use crate::cluster::{Cluster, is_zombie, pid_of, wait_until};
use crate::command::{Output, run};
use crate::namespace::kill;
use anyhow::Result;
use rustix::process::Signal;
use std::path::{Path, PathBuf};

/// Where its program, its configuration and its files are.
#[derive(Clone, Debug)]
pub struct Metalogger {
    /// The program.
    pub program: PathBuf,
    /// Its configuration file.
    pub configuration: PathBuf,
    /// Its data directory.
    pub data: PathBuf,
}

impl Metalogger {
    /// `mfsmetalogger ARGUMENT` in the network of the cluster.
    pub fn command(&self, cluster: &Cluster, argument: &str) -> Result<Output> {
        run(cluster
            .namespace
            .command(&self.program)
            .arg("-c")
            .arg(&self.configuration)
            .arg(argument))
    }

    /// Its process, from its lock file.
    pub fn pid(&self) -> Result<i32> {
        pid_of(&self.data.join(".mfsmetalogger.lock"))
    }

    /// kill -9.
    pub fn kill(&self) -> Result<()> {
        let pid = self.pid()?;
        kill(pid, Signal::KILL);
        wait_until("the metalogger is gone", || {
            !Path::new(&format!("/proc/{pid}")).exists() || is_zombie(pid)
        })
    }
}
