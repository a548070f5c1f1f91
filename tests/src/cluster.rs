//! A cluster on one loopback: a master, chunkservers on small disks in memory, a metalogger, mounts.

use crate::command::{Output, run, run_for};
use crate::metalogger::Metalogger;
use crate::namespace::{Namespace, PREFIX, kill};
use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Address of the master.
pub const MASTER_IP: &str = "172.21.21.82";
/// Addresses of the chunkservers, in order.
const CHUNKSERVER_IPS: [&str; 9] = [
    "172.21.21.77",
    "172.21.21.78",
    "172.21.21.79",
    "172.21.21.71",
    "172.21.21.72",
    "172.21.21.73",
    "172.21.21.74",
    "172.21.21.75",
    "172.21.21.76",
];
/// Addresses for scripted peers.
const OTHER_IPS: [&str; 4] = [
    "172.21.21.80",
    "172.21.21.81",
    "172.21.21.83",
    "172.21.21.90",
];
/// A master puts no chunk on a server whose report of chunks is younger.
const SETTLING: Duration = Duration::from_secs(4);
/// Longest run of a script.
const SCRIPT_LIMIT: Duration = Duration::from_secs(300);
/// How long anything may take to come up.
const PATIENCE: Duration = Duration::from_secs(90);

/// Which program plays a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// Ours, as built by cargo.
    Ours,
    /// The one of the MooseFS packages.
    Debian,
}

impl Program {
    /// The master that `LAB_MASTER` names: `debian`, or ours. So every test can be tried on the
    /// real master.
    pub fn master_from_env() -> Program {
        match std::env::var("LAB_MASTER").as_deref() {
            Ok("debian") => Program::Debian,
            _ => Program::Ours,
        }
    }

    /// The metalogger that `LAB_METALOGGER` names: `ours`, or the one of the packages.
    pub fn metalogger_from_env() -> Program {
        match std::env::var("LAB_METALOGGER").as_deref() {
            Ok("ours") => Program::Ours,
            _ => Program::Debian,
        }
    }

    /// The mfsmount that `LAB_CLIENT` names: `ours`, or the one of the packages.
    pub fn client_from_env() -> Program {
        match std::env::var("LAB_CLIENT").as_deref() {
            Ok("ours") => Program::Ours,
            _ => Program::Debian,
        }
    }

    /// Path of mfsmount.
    fn mfsmount(&self) -> PathBuf {
        match self {
            Program::Debian => PathBuf::from("/usr/bin/mfsmount"),
            Program::Ours => built_program("mfsmount"),
        }
    }

    /// Path of the program `name`.
    fn path(&self, name: &str) -> PathBuf {
        match self {
            Program::Debian => Path::new("/usr/sbin").join(name),
            Program::Ours => built_program(name),
        }
    }
}

/// Which programs serve the chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunkservers {
    /// Ours.
    Ours,
    /// Those of the MooseFS packages.
    Debian,
    /// Ours at odd numbers, those of the packages at even ones.
    Mixed,
}

impl Chunkservers {
    /// What `LAB_CHUNKSERVER` names: `ours`, `mixed`, or those of the packages.
    pub fn from_env() -> Chunkservers {
        match std::env::var("LAB_CHUNKSERVER").as_deref() {
            Ok("ours") => Chunkservers::Ours,
            Ok("mixed") => Chunkservers::Mixed,
            _ => Chunkservers::Debian,
        }
    }

    fn program(self, number: usize) -> Program {
        match self {
            Chunkservers::Ours => Program::Ours,
            Chunkservers::Debian => Program::Debian,
            Chunkservers::Mixed if number % 2 == 1 => Program::Ours,
            Chunkservers::Mixed => Program::Debian,
        }
    }
}

/// What a cluster consists of.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Program of the master.
    pub master: Program,
    /// Number of chunkservers, at most nine.
    pub chunkservers: usize,
    /// Programs of the chunkservers.
    pub chunkserver_programs: Chunkservers,
    /// Disks of each chunkserver.
    pub disks: usize,
    /// Whether a metalogger follows.
    pub metalogger: bool,
    /// Program of that metalogger.
    pub metalogger_program: Program,
    /// Program of [`Cluster::mount`].
    pub client: Program,
    /// Further lines for `mfsmaster.cfg`.
    pub master_cfg: String,
    /// Lines of `mfsexports.cfg`.
    pub exports: String,
    /// Size of each chunkserver's disk, as tmpfs takes it; empty: a folder of the system's disk.
    pub disk_size: String,
    /// Further lines for each `mfschunkserver.cfg`; `{n}` is the server's number from 1.
    pub chunkserver_cfg: String,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        ClusterOptions {
            master: Program::master_from_env(),
            chunkservers: 3,
            chunkserver_programs: Chunkservers::from_env(),
            disks: 1,
            metalogger: false,
            metalogger_program: Program::metalogger_from_env(),
            client: Program::client_from_env(),
            master_cfg: "REPLICATIONS_DELAY_INIT = 5\n".to_owned(),
            exports: "* / rw,alldirs,admin,maproot=0:0\n* . rw\n".to_owned(),
            disk_size: "2g".to_owned(),
            chunkserver_cfg: String::new(),
        }
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    /// The network it lives in.
    pub namespace: Namespace,
    /// Everything it has on disk.
    pub root: PathBuf,
    options: ClusterOptions,
    master_environment: Vec<(String, String)>,
    mounts: Vec<PathBuf>,
    disks: Vec<PathBuf>,
    keep: bool,
}

impl Cluster {
    /// Starts a cluster and waits until its master serves.
    pub fn start(options: ClusterOptions) -> Result<Cluster> {
        let mut addresses = vec![MASTER_IP];
        addresses.extend(CHUNKSERVER_IPS);
        addresses.extend(OTHER_IPS);
        let namespace = Namespace::new(&addresses)?;
        let root = std::env::temp_dir().join(namespace.name());
        for folder in ["etc", "master"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let mut cluster = Cluster {
            namespace,
            root,
            options,
            master_environment: Vec::new(),
            mounts: Vec::new(),
            disks: Vec::new(),
            keep: std::env::var_os("LAB_KEEP").is_some(),
        };
        cluster.write_master_files()?;
        cluster
            .master("start")?
            .success()
            .context("mfsmaster start")?;
        for number in 1..=cluster.options.chunkservers {
            cluster.make_chunkserver(number)?;
            cluster.chunkserver(number, "start")?;
        }
        let program = cluster.options.metalogger_program.clone();
        let metalogger = cluster.add_metalogger("metalogger", program)?;
        if cluster.options.metalogger {
            metalogger.command(&cluster, "start")?.success()?;
        }
        Ok(cluster)
    }

    fn write_master_files(&self) -> Result<()> {
        let etc = self.root.join("etc");
        let data = self.master_data();
        fs::write(
            etc.join("mfsmaster.cfg"),
            format!(
                "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {}\n\
                 EXPORTS_FILENAME = {etc}/mfsexports.cfg\nTOPOLOGY_FILENAME = {etc}/mfstopology.cfg\n\
                 MATOML_LISTEN_HOST = {MASTER_IP}\nMATOCS_LISTEN_HOST = {MASTER_IP}\n\
                 MATOCL_LISTEN_HOST = {MASTER_IP}\n{}",
                data.display(),
                self.options.master_cfg,
                etc = etc.display(),
            ),
        )?;
        fs::write(etc.join("mfsexports.cfg"), &self.options.exports)?;
        fs::write(etc.join("mfstopology.cfg"), "")?;
        if !data.join("metadata.mfs").exists() {
            fs::write(data.join("metadata.mfs"), "MFSM NEW")?;
        }
        Ok(())
    }

    /// Leaves everything running and on disk when the value is dropped. `LAB_KEEP` in the
    /// environment does the same for every cluster.
    pub fn keep(&mut self) {
        self.keep = true;
    }

    /// Data directory of the master.
    pub fn master_data(&self) -> PathBuf {
        self.root.join("master")
    }

    /// Path of a configuration file.
    pub fn etc(&self, name: &str) -> PathBuf {
        self.root.join("etc").join(name)
    }

    /// Folder where a chunkserver keeps its chunks: its first disk.
    pub fn disk(&self, number: usize) -> PathBuf {
        self.root.join(format!("disk{number}"))
    }

    /// Folder of a disk of a chunkserver, both counted from 1.
    pub fn disk_of(&self, number: usize, disk: usize) -> PathBuf {
        match disk {
            1 => self.disk(number),
            _ => self.root.join(format!("disk{number}-{disk}")),
        }
    }

    /// Address of a chunkserver.
    pub fn chunkserver_ip(number: usize) -> &'static str {
        CHUNKSERVER_IPS[number - 1]
    }

    /// Which master program runs from the next start on.
    pub fn set_master(&mut self, program: Program) {
        self.options.master = program;
    }

    /// Environment variables of the master from the next start on.
    pub fn set_master_environment(&mut self, environment: Vec<(String, String)>) {
        self.master_environment = environment;
    }

    /// `mfsmaster ARGUMENT` with the cluster's configuration.
    pub fn master(&self, argument: &str) -> Result<Output> {
        let mut command = self
            .namespace
            .command(self.options.master.path("mfsmaster"));
        command.arg("-c").arg(self.etc("mfsmaster.cfg"));
        command.envs(self.master_environment.iter().cloned());
        for word in argument.split_whitespace() {
            command.arg(word);
        }
        run(&mut command)
    }

    /// Process of the master, from its lock file.
    pub fn master_pid(&self) -> Result<i32> {
        pid_of(&self.master_data().join(".mfsmaster.lock"))
    }

    /// kill -9 of the master.
    pub fn kill_master(&self) -> Result<()> {
        let pid = self.master_pid()?;
        kill(pid, Signal::KILL);
        wait_until("the master is gone", || {
            !Path::new(&format!("/proc/{pid}")).exists() || is_zombie(pid)
        })
    }

    fn make_chunkserver(&mut self, number: usize) -> Result<()> {
        let data = self.root.join(format!("chunkserver{number}"));
        fs::create_dir_all(&data)?;
        let size = self.options.disk_size.clone();
        let mut list = String::new();
        for disk in 1..=self.options.disks {
            let disk = self.disk_of(number, disk);
            fs::create_dir_all(&disk)?;
            if !size.is_empty() {
                self.mount_memory(&disk, &size)?;
            }
            list.push_str(&format!("{}\n", disk.display()));
        }
        let ip = Self::chunkserver_ip(number);
        let etc = self.root.join("etc");
        fs::write(etc.join(format!("mfshdd{number}.cfg")), list)?;
        fs::write(
            etc.join(format!("mfschunkserver{number}.cfg")),
            format!(
                "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {}\n\
                 HDD_CONF_FILENAME = {}/mfshdd{number}.cfg\nMASTER_HOST = {MASTER_IP}\n\
                 MASTER_RECONNECTION_DELAY = 1\nBIND_HOST = {ip}\nCSSERV_LISTEN_HOST = {ip}\n\
                 CSSERV_LISTEN_PORT = 9422\n{}",
                data.display(),
                etc.display(),
                self.options
                    .chunkserver_cfg
                    .replace("{n}", &number.to_string()),
            ),
        )?;
        Ok(())
    }

    /// Puts a disk in memory of `size`, as tmpfs takes it, over an empty folder.
    pub fn mount_memory(&mut self, folder: &Path, size: &str) -> Result<()> {
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o"])
            .arg(format!("size={size}"))
            .arg("tmpfs")
            .arg(folder))?
        .success()?;
        self.disks.push(folder.to_owned());
        Ok(())
    }

    /// Which chunkserver program runs from the next start on.
    pub fn set_chunkservers(&mut self, programs: Chunkservers) {
        self.options.chunkserver_programs = programs;
    }

    fn chunkserver_program(&self, number: usize) -> PathBuf {
        let program = self.options.chunkserver_programs.program(number);
        program.path("mfschunkserver")
    }

    /// `mfschunkserver ARGUMENT` for one server, counted from 1.
    pub fn chunkserver(&self, number: usize, argument: &str) -> Result<Output> {
        let program = self.chunkserver_program(number);
        run(self
            .namespace
            .command(program)
            .arg("-c")
            .arg(self.etc(&format!("mfschunkserver{number}.cfg")))
            .arg(argument))
    }

    /// Process of a chunkserver, from its lock file.
    pub fn chunkserver_pid(&self, number: usize) -> Result<i32> {
        pid_of(
            &self
                .root
                .join(format!("chunkserver{number}/.mfschunkserver.lock")),
        )
    }

    /// kill -9 of a chunkserver.
    pub fn kill_chunkserver(&self, number: usize) -> Result<()> {
        kill(self.chunkserver_pid(number)?, Signal::KILL);
        Ok(())
    }

    /// A further metalogger with a data directory of its own, which does not run yet.
    pub fn add_metalogger(&self, name: &str, program: Program) -> Result<Metalogger> {
        let data = self.root.join(name);
        let configuration = self.etc(&format!("{name}.cfg"));
        fs::create_dir_all(&data)?;
        fs::write(
            &configuration,
            format!(
                "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {}\n\
                 MASTER_HOST = {MASTER_IP}\nMASTER_RECONNECTION_DELAY = 1\n",
                data.display()
            ),
        )?;
        Ok(Metalogger {
            program: program.path("mfsmetalogger"),
            configuration,
            data,
        })
    }

    /// `mfsmetalogger ARGUMENT` for the cluster's own metalogger.
    pub fn metalogger(&self, argument: &str) -> Result<Output> {
        let program = self.options.metalogger_program.clone();
        Metalogger {
            program: program.path("mfsmetalogger"),
            configuration: self.etc("metalogger.cfg"),
            data: self.root.join("metalogger"),
        }
        .command(self, argument)
    }

    /// Mounts the file system with the cluster's mfsmount and further arguments; gives the mount
    /// point.
    pub fn mount(&mut self, name: &str, arguments: &[&str]) -> Result<PathBuf> {
        let client = self.options.client.clone();
        self.mount_with(&client, name, arguments)
    }

    /// Mounts the file system with one of the mfsmounts.
    pub fn mount_with(
        &mut self,
        client: &Program,
        name: &str,
        arguments: &[&str],
    ) -> Result<PathBuf> {
        let output = self.try_mount(client, name, arguments)?;
        let point = self.root.join(name);
        if output.code != 0 {
            bail!("mfsmount: {}{}", output.stdout, output.stderr);
        }
        self.mounts.push(point.clone());
        Ok(point)
    }

    /// Runs one of the mfsmounts; it may fail. What it said.
    pub fn try_mount(&self, client: &Program, name: &str, arguments: &[&str]) -> Result<Output> {
        let point = self.root.join(name);
        fs::create_dir_all(&point)?;
        run(self
            .namespace
            .command(client.mfsmount())
            .args(["-H", MASTER_IP])
            .args(arguments)
            .arg(&point))
    }

    /// Unmounts a mount point.
    pub fn unmount(&mut self, point: &Path) -> Result<()> {
        run(Command::new("umount").arg(point))?.success()?;
        self.mounts.retain(|mounted| mounted != point);
        Ok(())
    }

    /// A command inside the cluster's network.
    pub fn command(&self, program: &str) -> Command {
        self.namespace.command(program)
    }

    /// A shell script inside the cluster's network, in a directory; it has to succeed. Its output.
    pub fn shell(&self, directory: &Path, text: &str) -> Result<String> {
        run_for(
            SCRIPT_LIMIT,
            self.command("sh")
                .args(["-e", "-c", text])
                .current_dir(directory),
        )?
        .success()
        .with_context(|| text.to_owned())
    }

    /// `mfscli` with further arguments: its output.
    pub fn mfscli(&self, arguments: &[&str]) -> Result<String> {
        run(self
            .command("mfscli")
            .args(["-H", MASTER_IP])
            .args(arguments))?
        .success()
    }

    /// Waits until `count` chunkservers are connected, have told their space, and the master has
    /// settled on them.
    pub fn wait_for_chunkservers(&self, count: usize) -> Result<()> {
        wait_until("the chunkservers are connected", || {
            self.mfscli(&["-p", "-s:", "-SCS"]).is_ok_and(|text| {
                text.lines()
                    .filter(|line| {
                        let fields: Vec<&str> = line.split(':').collect();
                        let total = fields.get(10).and_then(|total| total.parse::<u64>().ok());
                        line.contains("172.21.21.") && total.is_some_and(|total| total > 0)
                    })
                    .count()
                    >= count
            })
        })?;
        std::thread::sleep(SETTLING);
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            self.namespace.keep();
            return;
        }
        for point in &self.mounts {
            drop(run(Command::new("umount").arg("-l").arg(point)));
        }
        for pid in self.namespace.pids() {
            kill(pid, Signal::KILL);
        }
        for disk in &self.disks {
            drop(run(Command::new("umount").arg("-l").arg(disk)));
        }
        if self.root.starts_with(
            std::env::temp_dir()
                .join(PREFIX)
                .parent()
                .unwrap_or(&self.root),
        ) && let Err(error) = fs::remove_dir_all(&self.root)
        {
            eprintln!("{} is left behind: {error}", self.root.display());
        }
    }
}

/// Waits until `condition` holds, ninety seconds at most.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) -> Result<()> {
    wait_at_most(PATIENCE, what, condition)
}

/// Waits until `condition` holds, `limit` at most.
pub fn wait_at_most(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !condition() {
        if Instant::now() >= deadline {
            bail!("waited {limit:?} in vain until {what}");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Path of a program, ours or the one of the packages.
pub fn program(whose: &Program, name: &str) -> PathBuf {
    whose.path(name)
}

/// A program that cargo built, in the profile that `LAB_PROFILE` names (default `release`).
pub(crate) fn built_program(name: &str) -> PathBuf {
    let profile = std::env::var("LAB_PROFILE").unwrap_or_else(|_| "release".to_owned());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join(profile).join(name)
}

pub(crate) fn pid_of(lock: &Path) -> Result<i32> {
    let text = fs::read_to_string(lock).with_context(|| lock.display().to_string())?;
    text.trim()
        .parse()
        .with_context(|| format!("{}: no process number", lock.display()))
}

/// Whether a process and all its threads have ended. The first thread can be a zombie before the
/// others have closed what they share, locks among it.
pub(crate) fn is_zombie(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let ended = fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim().starts_with('Z'))
    });
    ended && threads <= 1
}
