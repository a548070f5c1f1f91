//! A replicated master: several machines with networks of their own on one switch, a floating
//! address, real chunkservers and mounts that know nothing else.

use crate::cluster::{Program, built_program, wait_at_most};
use crate::command::run;
use crate::namespace::{Namespace, kill};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The floating address.
pub const VIP: &str = "172.21.21.82";
/// Name, address and part of each node.
const NODES: [(&str, &str, &str); 3] = [
    ("mfsmaster", "172.21.21.80", ""),
    ("mfsbackup", "172.21.21.81", ""),
    ("mfschunk1", "172.21.21.77", " witness"),
];
/// The machine of the chunkserver and of the mounts.
const CLIENT: (&str, &str) = ("client", "172.21.21.90");
/// How long a cluster may take to form or to change its leader.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a machine is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Nothing passes, and neither end sees a reset.
    Silent,
    /// Everything passes.
    Healed,
}

/// A running replicated cluster: two masters and a witness.
#[derive(Debug)]
pub struct ReplicatedCluster {
    /// Everything it has on disk.
    pub root: PathBuf,
    switch: Namespace,
    hosts: Vec<Namespace>,
    mounts: Vec<PathBuf>,
    disk: PathBuf,
}

impl ReplicatedCluster {
    /// Starts all nodes on empty directories, and waits until one of them serves.
    pub fn start(further_cfg: &str) -> Result<ReplicatedCluster> {
        let switch = Namespace::new(&[])?;
        let root = std::env::temp_dir().join(switch.name());
        fs::create_dir_all(root.join("etc"))?;
        run(switch
            .command("ip")
            .args(["link", "add", "switch", "type", "bridge"]))?
        .success()?;
        run(switch.command("ip").args(["link", "set", "switch", "up"]))?.success()?;
        let mut cluster = ReplicatedCluster {
            disk: root.join("disk"),
            root,
            switch,
            hosts: Vec::new(),
            mounts: Vec::new(),
        };
        for (_, address, _) in NODES {
            cluster.plug_in(address)?;
        }
        cluster.plug_in(CLIENT.1)?;
        cluster.write_files(further_cfg)?;
        for node in 0..NODES.len() {
            cluster.master(node, "start")?.success()?;
        }
        cluster.wait_for_leader(None)?;
        Ok(cluster)
    }

    /// A machine with one cable to the switch.
    fn plug_in(&mut self, address: &str) -> Result<()> {
        let host = Namespace::new(&[])?;
        let port = format!("port{}", self.hosts.len());
        let peer = format!("/run/netns/{}", host.name());
        run(self.switch.command("ip").args([
            "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &peer,
        ]))?
        .success()?;
        run(self
            .switch
            .command("ip")
            .args(["link", "set", &port, "master", "switch", "up"]))?
        .success()?;
        let address = format!("{address}/24");
        for arguments in [
            &["link", "set", "eth0", "up"][..],
            &["addr", "add", &address, "dev", "eth0"][..],
        ] {
            run(host.command("ip").args(arguments))?.success()?;
        }
        self.hosts.push(host);
        Ok(())
    }

    fn write_files(&self, further_cfg: &str) -> Result<()> {
        let etc = self.root.join("etc");
        fs::write(
            etc.join("secret"),
            "a secret of the laboratory, 40 bytes....\n",
        )?;
        fs::write(
            etc.join("mfsexports.cfg"),
            "* / rw,alldirs,admin,maproot=0:0\n* . rw\n",
        )?;
        fs::write(etc.join("mfstopology.cfg"), "")?;
        let peers: Vec<String> = NODES
            .iter()
            .map(|(name, address, part)| format!("{name} {address}{part}"))
            .collect();
        for (name, ..) in NODES {
            let data = self.root.join(name);
            fs::create_dir_all(&data)?;
            fs::write(
                etc.join(format!("{name}.cfg")),
                format!(
                    "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {}\nSYSLOG_IDENT = {name}\n\
                     EXPORTS_FILENAME = {etc}/mfsexports.cfg\nTOPOLOGY_FILENAME = {etc}/mfstopology.cfg\n\
                     HA_PEERS = {}\nHA_SECRET_FILE = {etc}/secret\nHA_VIP = {VIP}/24 eth0\n\
                     REPLICATIONS_DELAY_INIT = 5\n{further_cfg}",
                    data.display(),
                    peers.join(", "),
                    etc = etc.display(),
                ),
            )?;
        }
        Ok(())
    }

    /// `mfsmaster ARGUMENTS` on a node, counted from 0.
    pub fn master(&self, node: usize, arguments: &str) -> Result<crate::command::Output> {
        let (name, ..) = NODES[node];
        let config = self.root.join("etc").join(format!("{name}.cfg"));
        let mut command = self.hosts[node].command(built_program("mfsmaster"));
        let mut words = arguments.split_whitespace().peekable();
        if words.next_if_eq(&"ha").is_some() {
            command.arg("ha");
        }
        command.arg("-c").arg(config).args(words);
        run(&mut command)
    }

    /// Which node serves, if one does.
    pub fn leader(&self) -> Option<usize> {
        let serving: Vec<usize> = (0..NODES.len())
            .filter(|&node| {
                self.master(node, "ha role")
                    .is_ok_and(|output| output.stdout == "leader\n")
            })
            .collect();
        serving.first().copied()
    }

    /// Waits until a node serves, another one than `not`.
    pub fn wait_for_leader(&self, not: Option<usize>) -> Result<usize> {
        let mut found = None;
        wait_at_most(PATIENCE, "a master serves", || {
            found = self.leader().filter(|leader| Some(*leader) != not);
            found.is_some()
        })
        .with_context(|| self.status())?;
        found.context("a master serves")
    }

    /// Waits until every node is connected and has everything.
    pub fn wait_until_complete(&self) -> Result<()> {
        wait_at_most(PATIENCE, "the cluster is complete", || {
            (0..NODES.len()).all(|node| {
                self.master(node, "ha status")
                    .is_ok_and(|output| output.code == 0)
            })
        })
        .with_context(|| self.status())
    }

    /// What the nodes say.
    pub fn status(&self) -> String {
        (0..NODES.len())
            .map(|node| match self.master(node, "ha status") {
                Ok(output) => output.stdout + &output.stderr,
                Err(error) => format!("{error:#}\n"),
            })
            .collect()
    }

    /// Sends a signal to the master of a node.
    pub fn signal(&self, node: usize, signal: Signal) -> Result<()> {
        let lock = self.root.join(NODES[node].0).join(".mfsmaster.lock");
        let pid = fs::read_to_string(&lock)
            .with_context(|| lock.display().to_string())?
            .trim()
            .parse()?;
        kill(pid, signal);
        Ok(())
    }

    /// Cuts a node off, or heals it.
    pub fn cut(&self, node: usize, cut: Cut) -> Result<()> {
        let port = format!("port{node}");
        let arguments = match cut {
            Cut::Silent => vec!["link", "set", &port, "nomaster"],
            Cut::Healed => vec!["link", "set", &port, "master", "switch"],
        };
        run(self.switch.command("ip").args(arguments))?.success()?;
        Ok(())
    }

    /// Starts the chunkserver, which knows the floating address only.
    pub fn start_chunkserver(&mut self, program: &Program) -> Result<()> {
        let data = self.root.join("chunkserver");
        fs::create_dir_all(&data)?;
        fs::create_dir_all(&self.disk)?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1g", "tmpfs"])
            .arg(&self.disk))?
        .success()?;
        let etc = self.root.join("etc");
        fs::write(etc.join("mfshdd.cfg"), format!("{}\n", self.disk.display()))?;
        fs::write(
            etc.join("mfschunkserver.cfg"),
            format!(
                "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {}\n\
                 HDD_CONF_FILENAME = {}/mfshdd.cfg\nMASTER_HOST = {VIP}\nMASTER_RECONNECTION_DELAY = 1\n",
                data.display(),
                etc.display(),
            ),
        )?;
        let path = match program {
            Program::Debian => PathBuf::from("mfschunkserver"),
            Program::Ours => built_program("mfschunkserver"),
        };
        run(self
            .client()
            .command(path)
            .arg("-c")
            .arg(etc.join("mfschunkserver.cfg"))
            .arg("start"))?
        .success()?;
        Ok(())
    }

    /// The machine of the chunkserver and of the mounts.
    pub fn client(&self) -> &Namespace {
        &self.hosts[NODES.len()]
    }

    /// Mounts the file system; gives the mount point.
    pub fn mount(&mut self, name: &str) -> Result<PathBuf> {
        let point = self.root.join(name);
        fs::create_dir_all(&point)?;
        let output = run(self
            .client()
            .command("mfsmount")
            .args(["-H", VIP])
            .arg(&point))?;
        if output.code != 0 {
            bail!("mfsmount: {}{}", output.stdout, output.stderr);
        }
        self.mounts.push(point.clone());
        Ok(point)
    }
}

impl Drop for ReplicatedCluster {
    fn drop(&mut self) {
        if std::env::var_os("LAB_KEEP").is_some() {
            self.switch.keep();
            for host in &mut self.hosts {
                host.keep();
            }
            return;
        }
        for host in &self.hosts {
            for pid in host.pids() {
                kill(pid, Signal::KILL);
            }
        }
        for point in self
            .mounts
            .iter()
            .map(PathBuf::as_path)
            .chain([self.disk.as_path()])
        {
            unmount(point);
        }
        if let Err(error) = fs::remove_dir_all(&self.root) {
            eprintln!("{} is left behind: {error}", self.root.display());
        }
    }
}

fn unmount(point: &Path) {
    // It may not be mounted.
    drop(run(Command::new("umount").arg("-l").arg(point)));
}
