//! Two hosts with real keepalived and `packaging/keepalived/keepalived_mfs.sh`: where the address is,
//! a master answers, whatever ends on the other one. A stand-in hands the data directory over, as a
//! mirrored block device does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anyhow::{Context, Result, ensure};
use lab::{Namespace, Program, program, run, wait_at_most};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const VIP: Ipv4Addr = Ipv4Addr::new(172, 21, 21, 82);
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../packaging/keepalived/keepalived_mfs.sh"
);
/// From an event to the master serving elsewhere: two failed checks, three adverts, a start.
const TAKEOVER: Duration = Duration::from_secs(20);

/// One of the two machines.
struct Host {
    name: &'static str,
    address: Ipv4Addr,
    network: Namespace,
    folder: PathBuf,
    keepalived: Option<Child>,
}

/// Which configuration keepalived has.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setup {
    /// The classic one: the old script's name, a weight, nopreempt on the first node only.
    Classic,
    /// The sample of this project.
    Sample,
}

fn write_program(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

impl Host {
    fn new(name: &'static str, last: u8, root: &Path, setup: Setup) -> Result<Host> {
        let folder = root.join(name);
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        fs::create_dir_all(folder.join("logger"))?;
        let host = Host {
            name,
            address: Ipv4Addr::new(172, 21, 21, last),
            network: Namespace::new(&[])?,
            folder,
            keepalived: None,
        };
        let at = host.folder.display();
        let root = root.display();
        let real = program(&Program::master_from_env(), "mfsmaster");
        // The node that served last has the data.
        write_program(
            &host.folder.join("mfsmaster"),
            &format!(
                "#!/bin/sh\ncase \"$*\" in *start*)\n\
                 last=$(cat {root}/last)\n\
                 if [ \"$last\" != {name} ]; then rm -rf {at}/data; cp -a {root}/$last/data {at}/data; rm -f {at}/data/.mfsmaster.lock; fi\n\
                 echo {name} > {root}/last;; esac\nexec {} \"$@\"\n",
                real.display()
            ),
        );
        write_program(
            &host.folder.join("logger.sh"),
            &format!("#!/bin/sh\necho \"$*\" >> {at}/log\n"),
        );
        fs::write(
            host.folder.join("mfsmaster.cfg"),
            format!(
                "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {at}/data\n\
                 EXPORTS_FILENAME = {at}/exports\nTOPOLOGY_FILENAME = {at}/topology\n"
            ),
        )?;
        fs::write(host.folder.join("exports"), "* / rw\n")?;
        fs::write(host.folder.join("topology"), "")?;
        fs::write(
            host.folder.join("mfsmetalogger.cfg"),
            format!(
                "WORKING_USER = root\nWORKING_GROUP = root\nDATA_PATH = {at}/logger\n\
                 MASTER_HOST = {VIP}\nMASTER_RECONNECTION_DELAY = 1\n"
            ),
        )?;
        fs::write(
            host.folder.join("keepalived_drbd_mfs_config.sh"),
            format!(
                "DRBDRESOURCE=mfs\nSPLIT_BRAIN_METHOD=1\nMFSMASTER={at}/mfsmaster\n\
                 MFSMASTER_CFG={at}/mfsmaster.cfg\nMFSLOGGER={}\n\
                 MFSLOGGER_CFG={at}/mfsmetalogger.cfg\nMFSLOGERBAKDIR={at}/logger\n\
                 MFSCGI=/nonexistent\n",
                program(&Program::Ours, "mfsmetalogger").display()
            ),
        )?;
        std::os::unix::fs::symlink(SCRIPT, host.folder.join("keepalived_drbd_mfs.sh"))?;
        fs::write(
            host.folder.join("keepalived.conf"),
            host.configuration(setup)?,
        )?;
        Ok(host)
    }

    fn script(&self, setup: Setup) -> String {
        let at = self.folder.display();
        let script = match setup {
            Setup::Classic => format!("{at}/keepalived_drbd_mfs.sh"),
            Setup::Sample => SCRIPT.to_owned(),
        };
        format!("/usr/bin/env CONFIG_DIR={at} STATE_DIR={at}/state LOGGER={at}/logger.sh {script}")
    }

    fn configuration(&self, setup: Setup) -> Result<String> {
        let script = self.script(setup);
        let is_first = self.name == "mfsmaster";
        if setup == Setup::Classic {
            let (priority, nopreempt) = if is_first {
                (100, "nopreempt")
            } else {
                (80, "")
            };
            return Ok(format!(
                "vrrp_script check_mfs {{\n script \"{script} check\"\n interval 1\n weight -40\n fall 2\n rise 1\n}}\n\
                 vrrp_instance VI_1 {{\n state BACKUP\n interface eth1\n virtual_router_id 10\n priority {priority}\n {nopreempt}\n\
                 advert_int 1\n authentication {{\n auth_type PASS\n auth_pass 1111\n }}\n virtual_ipaddress {{\n {VIP}/24 dev eth1\n }}\n\
                 track_script {{\n check_mfs\n }}\n notify_master \"{script} master\"\n notify_backup \"{script} backup\"\n\
                 notify_fault \"{script} fault\"\n notify_stop \"{script} fault\"\n}}\n"
            ));
        }
        let name = if is_first { "master" } else { "backup" };
        let sample = Path::new(SCRIPT).with_file_name(format!("keepalived.conf.{name}"));
        Ok(fs::read_to_string(sample)?
            .replace("/etc/keepalived/keepalived_mfs.sh", &script)
            .replace(
                "/run/keepalived-mfs",
                &format!("{}/state", self.folder.display()),
            ))
    }

    fn start_keepalived(&mut self) -> Result<()> {
        fs::create_dir_all(self.folder.join("state"))?;
        let log = fs::File::create(self.folder.join("keepalived.log"))?;
        let child = self
            .network
            .command("keepalived")
            .args(["-P", "-n", "-l", "-D", "-f"])
            .arg(self.folder.join("keepalived.conf"))
            .arg("-p")
            .arg(self.folder.join("keepalived.pid"))
            .arg("-r")
            .arg(self.folder.join("vrrp.pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.keepalived = Some(child);
        Ok(())
    }

    fn stop_keepalived(&mut self) -> Result<()> {
        if let Some(mut child) = self.keepalived.take() {
            signal(i32::try_from(child.id())?, Signal::TERM)?;
            child.wait()?;
        }
        Ok(())
    }

    fn has_vip(&self) -> bool {
        run(self
            .network
            .command("ip")
            .args(["-o", "addr", "show", "dev", "eth1"]))
        .is_ok_and(|output| output.stdout.contains(&format!("inet {VIP}/")))
    }

    /// A master answers at the address, as seen from here.
    fn is_served(&self) -> bool {
        let answer = || -> Result<u8> {
            let to = SocketAddrV4::new(VIP, 9419);
            let mut stream = self.network.connect(self.address, to)?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(&[0, 0, 0, 10, 0, 0, 0, 0])?;
            let mut byte = [1; 4];
            stream.read_exact(&mut byte)?;
            Ok(byte[3])
        };
        answer().is_ok_and(|kind| kind == 11)
    }

    /// No transition is under way.
    fn is_at_rest(&self) -> bool {
        let lock = self.folder.join("state/lock");
        let free = run(Command::new("flock").arg("-n").arg(lock).arg("true"));
        free.is_ok_and(|output| output.code == 0)
    }

    fn master_pid(&self) -> Result<i32> {
        let lock = self.folder.join("data/.mfsmaster.lock");
        Ok(fs::read_to_string(lock)?.trim().parse()?)
    }

    fn log(&self) -> String {
        let read = |name| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        format!(
            "{}:\n{}\n{}",
            self.name,
            read("log"),
            read("keepalived.log")
        )
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(child) = &mut self.keepalived {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn signal(pid: i32, signal: Signal) -> Result<()> {
    Ok(kill_process(
        Pid::from_raw(pid).context("a process")?,
        signal,
    )?)
}

/// The hosts, joined by a cable.
struct Pair {
    hosts: [Host; 2],
    root: PathBuf,
}

impl Pair {
    fn start(setup: Setup) -> Result<Pair> {
        let root = std::env::temp_dir().join(format!("mfslab-{setup:?}-{}", std::process::id()));
        drop(fs::remove_dir_all(&root));
        let hosts = [
            Host::new("mfsmaster", 80, &root, setup)?,
            Host::new("mfsbackup", 81, &root, setup)?,
        ];
        fs::write(root.join("last"), "mfsmaster\n")?;
        fs::write(root.join("mfsmaster/data/metadata.mfs"), "MFSM NEW")?;
        let [one, other] = [hosts[0].network.name(), hosts[1].network.name()];
        run(Command::new("ip").args([
            "link", "add", "eth1", "netns", one, "type", "veth", "peer", "name", "eth1", "netns",
            other,
        ]))?
        .success()?;
        for host in &hosts {
            for words in [
                format!("addr add {}/24 dev eth1", host.address),
                "link set eth1 up".to_owned(),
            ] {
                run(host.network.command("ip").args(words.split(' ')))?.success()?;
            }
        }
        let mut pair = Pair { hosts, root };
        for host in &mut pair.hosts {
            host.start_keepalived()?;
        }
        Ok(pair)
    }

    /// Waits until `host` alone has the address and both reach a master there.
    fn wait_for(&self, host: usize, what: &str) -> Result<()> {
        let other = 1 - host;
        wait_at_most(TAKEOVER, what, || {
            self.hosts[host].has_vip()
                && !self.hosts[other].has_vip()
                && self.hosts.iter().all(Host::is_served)
                && self.hosts.iter().all(Host::is_at_rest)
        })
        .with_context(|| format!("{}\n{}", self.hosts[0].log(), self.hosts[1].log()))
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        // What still runs would write into the folder again; it is killed once more with the network.
        for pid in self.hosts.iter().flat_map(|host| host.network.pids()) {
            drop(signal(pid, Signal::KILL));
        }
        drop(fs::remove_dir_all(&self.root));
    }
}

fn is_possible() -> bool {
    lab::ready() && Path::new("/usr/sbin/keepalived").exists()
}

#[test]
fn the_address_is_where_a_master_answers() -> Result<()> {
    if !is_possible() {
        return Ok(());
    }
    let mut pair = Pair::start(Setup::Sample)?;
    pair.wait_for(0, "the first node serves")?;
    signal(pair.hosts[0].master_pid()?, Signal::KILL)?;
    pair.wait_for(1, "the second one serves after a kill")?;
    // The metaloggers were started and follow the address.
    for host in &pair.hosts {
        let file = host.folder.join("logger/.mfsmetalogger.lock");
        ensure!(file.exists(), "no metalogger\n{}", host.log());
    }
    signal(pair.hosts[1].master_pid()?, Signal::STOP)?;
    pair.wait_for(0, "the first one serves after a hang")?;
    pair.hosts[0].stop_keepalived()?;
    pair.wait_for(1, "the second one serves after a stop of keepalived")?;
    Ok(())
}

#[test]
fn the_classic_configuration_works_unchanged() -> Result<()> {
    if !is_possible() {
        return Ok(());
    }
    let pair = Pair::start(Setup::Classic)?;
    wait_at_most(TAKEOVER, "one node serves", || {
        pair.hosts.iter().filter(|host| host.has_vip()).count() == 1
            && pair.hosts.iter().all(Host::is_served)
    })
    .with_context(|| format!("{}\n{}", pair.hosts[0].log(), pair.hosts[1].log()))?;
    for host in &pair.hosts {
        let told = host.log().matches("DRBD's variables").count();
        ensure!(told == 1, "told {told} times\n{}", host.log());
    }
    Ok(())
}

/// The script alone, on one host, against each of its rules.
#[test]
fn verbs_do_what_they_say_and_nothing_twice() -> Result<()> {
    if !is_possible() {
        return Ok(());
    }
    let root = std::env::temp_dir().join(format!("mfslab-verbs-{}", std::process::id()));
    drop(fs::remove_dir_all(&root));
    let host = Host::new("mfsmaster", 80, &root, Setup::Sample)?;
    fs::write(root.join("last"), "mfsmaster\n")?;
    fs::write(host.folder.join("data/metadata.mfs"), "MFSM NEW")?;
    run(host.network.command("ip").args(["link", "set", "lo", "up"]))?.success()?;
    let verb = |verb: &str| -> Result<i32> {
        let words = format!("{} {verb}", host.script(Setup::Sample));
        let mut command = host.network.command("/usr/bin/env");
        command.args(words.split(' ').skip(1));
        Ok(run(&mut command)?.code)
    };
    let expect = |name: &str, code: i32| -> Result<()> {
        let found = verb(name)?;
        ensure!(
            found == code,
            "{name}: {found} instead of {code}\n{}",
            host.log()
        );
        Ok(())
    };
    expect("--help", 0)?;
    expect("bogus", 2)?;
    // Nothing runs here and nothing has to.
    expect("check", 0)?;
    expect("master", 0)?;
    let pid = host.master_pid()?;
    expect("check", 0)?;
    expect("master", 0)?;
    ensure!(host.master_pid()? == pid, "a working master was restarted");
    signal(pid, Signal::STOP)?;
    expect("check", 1)?;
    fs::write(host.folder.join("maintenance"), "")?;
    expect("check", 0)?;
    fs::remove_file(host.folder.join("maintenance"))?;
    // A hung master is killed.
    expect("fault", 0)?;
    ensure!(
        !Path::new(&format!("/proc/{pid}/fd/0")).exists(),
        "it lives"
    );
    expect("backup", 0)?;
    expect("check", 0)?;
    // After the kill the master recovers by itself.
    expect("master", 0)?;
    expect("check", 0)?;
    // Two at once: both end, the newer one decides.
    std::thread::scope(|scope| {
        let one = scope.spawn(|| verb("backup"));
        std::thread::sleep(Duration::from_millis(100));
        let two = scope.spawn(|| verb("master"));
        ensure!(one.join().unwrap()? == 0 && two.join().unwrap()? == 0);
        Ok(())
    })?;
    expect("check", 0)?;
    expect("backup", 0)?;
    drop(host);
    fs::remove_dir_all(root)?;
    Ok(())
}

/// A program that plays a replicated master for the script: its part stands in files.
const REPLICA: &str = "#!/bin/sh
cd FOLDER
echo \"$*\" >> asked
case \"$*\" in
*' role') cat role ;;
*' status --json')
    echo '{\"node\":\"mfsmaster\",\"peers\":[{\"name\":\"mfsmaster\",\"self\":true,\"data\":\"'$(cat quality)'\"}]}'
    exit $(cat code) ;;
*' promote mfsmaster') echo leader > role ;;
*' demote') echo follower > role ;;
esac
";

#[test]
fn a_replicated_master_is_asked_promoted_and_demoted() -> Result<()> {
    if !is_possible() {
        return Ok(());
    }
    let root = std::env::temp_dir().join(format!("mfslab-replica-{}", std::process::id()));
    drop(fs::remove_dir_all(&root));
    let host = Host::new("mfsmaster", 80, &root, Setup::Sample)?;
    let at = host.folder.display().to_string();
    write_program(
        &host.folder.join("mfsmaster"),
        &REPLICA.replace("FOLDER", &at),
    );
    let cfg = host.folder.join("mfsmaster.cfg");
    let text = fs::read_to_string(&cfg)?;
    fs::write(
        &cfg,
        format!("{text}HA_PEERS = mfsmaster 172.21.21.80, mfsbackup 172.21.21.81\n"),
    )?;
    let play = |role: &str, code: &str, data: &str| {
        for (name, text) in [("role", role), ("code", code), ("quality", data)] {
            fs::write(host.folder.join(name), format!("{text}\n")).unwrap();
        }
    };
    let verb = |verb: &str| -> Result<i32> {
        let words = format!("{} {verb}", host.script(Setup::Sample));
        Ok(run(Command::new("env").args(words.split(' ').skip(1)))?.code)
    };
    let leader_file = || fs::read_to_string(host.folder.join("state/leader")).unwrap_or_default();
    // Role, exit code of the status, data, and what the check has to say.
    for (role, code, data, expected) in [
        ("leader", "0", "UpToDate", 0),
        ("follower", "1", "UpToDate", 0),
        ("follower", "0", "Inconsistent(40%)", 1),
        ("follower", "2", "UpToDate", 1),
    ] {
        play(role, code, data);
        let found = verb("check")?;
        ensure!(
            found == expected,
            "{role} {code} {data}: {found}\n{}",
            host.log()
        );
        let tracked = if role == "leader" { "1\n" } else { "0\n" };
        ensure!(leader_file() == tracked, "{role}: {}", leader_file());
    }
    play("follower", "0", "UpToDate");
    ensure!(verb("master")? == 0, "{}", host.log());
    ensure!(leader_file() == "1\n");
    ensure!(verb("backup")? == 0, "{}", host.log());
    ensure!(leader_file() == "0\n");
    let asked = fs::read_to_string(host.folder.join("asked"))?;
    ensure!(
        !asked.contains("stop") && !asked.contains("restart"),
        "{asked}"
    );
    drop(host);
    fs::remove_dir_all(root)?;
    Ok(())
}

#[test]
fn shellcheck_has_nothing_to_say() -> Result<()> {
    if !Path::new("/usr/bin/shellcheck").exists() {
        return Ok(());
    }
    run(Command::new("shellcheck").arg(SCRIPT))?.success()?;
    Ok(())
}
