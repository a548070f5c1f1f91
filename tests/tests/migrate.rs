//! `docs/migrate.md`, command by command: from the real master to ours and back, and from the files of
//! a metalogger only. The real programs and ours see the paths that the page names.

#![expect(clippy::unwrap_used, reason = "a lock that a panic left ends the test")]

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, Program, differences, run, run_for, wait_until};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

/// Longest run of one block of the page.
const BLOCK_LIMIT: Duration = Duration::from_secs(60);

/// What no log may say.
const COMPLAINTS: &[&str] = &[
    "error", "warn", "orphan", "mismatch", "ignor", "lost", "corrupt", "!!!", "unknown", "damaged",
];

/// The blocks of the page with a name, in its order.
fn blocks(name: &str) -> Result<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrate.md");
    let page = fs::read_to_string(page)?;
    let mut found = Vec::new();
    for block in page.split("\n```sh ").skip(1) {
        let (title, rest) = block.split_once('\n').context("a block without lines")?;
        let (text, _) = rest.split_once("\n```").context("a block without end")?;
        if title == name {
            found.push(text.to_owned());
        }
    }
    ensure!(!found.is_empty(), "the page has no block '{name}'");
    Ok(found)
}

/// Collects what daemons send to syslog, until nobody wants it. They wait when it is not read.
fn listen(path: &Path, said: Weak<Mutex<String>>) -> Result<()> {
    let log = UnixDatagram::bind(path)?;
    log.set_read_timeout(Some(Duration::from_millis(200)))?;
    std::thread::spawn(move || {
        let mut datagram = [0; 8192];
        loop {
            let received = log.recv(&mut datagram);
            let Some(said) = said.upgrade() else {
                return;
            };
            if let Ok(bytes) = received {
                let text = String::from_utf8_lossy(datagram.get(..bytes).unwrap_or_default());
                *said.lock().unwrap() += &format!("{text}\n");
            }
        }
    });
    Ok(())
}

/// A machine whose paths are those of the page: a cluster, and folders that lie over the real ones
/// for the commands only.
struct Machine {
    cluster: Cluster,
    /// What daemons and commands said.
    said: Arc<Mutex<String>>,
}

impl Machine {
    fn new(cluster: Cluster) -> Result<Machine> {
        for folder in ["sbin", "backups", "dev", "checkout/target"] {
            fs::create_dir_all(cluster.root.join(folder))?;
        }
        let built = lab::program(&Program::Ours, "mfsmaster");
        let folder = built.parent().context("no folder of programs")?;
        std::os::unix::fs::symlink(folder, cluster.root.join("checkout/target/release"))?;
        let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
        fs::write(
            cluster.root.join("hosts"),
            format!("{hosts}\n{} mfsmaster\n", lab::MASTER_IP),
        )?;
        let said = Arc::new(Mutex::new(String::new()));
        listen(&cluster.root.join("dev/log"), Arc::downgrade(&said))?;
        Ok(Machine { cluster, said })
    }

    /// Runs the blocks of a name; each has to succeed. What they and the daemons say is kept.
    fn follow(&self, name: &str) -> Result<()> {
        let root = self.cluster.root.display();
        // A private view of the file system; daemons that a block starts keep it.
        let view = format!(
            "mount --make-rprivate /\n\
             for node in null zero random urandom full tty fuse; do\n\
             [ -e /dev/$node ] || continue\n\
             touch {root}/dev/$node; mount --bind /dev/$node {root}/dev/$node\n\
             done\n\
             mount --rbind {root}/dev /dev\n\
             mount --bind {root}/hosts /etc/hosts\n\
             mount --bind {root}/etc /etc/mfs\n\
             mount --bind {root}/master /var/lib/mfs\n\
             mount --bind {root}/backups /var/backups\n\
             mount --bind {root}/sbin /usr/local/sbin\n"
        );
        for block in blocks(name)? {
            let output = run_for(
                BLOCK_LIMIT,
                self.cluster
                    .command("unshare")
                    .args(["--mount", "sh", "-e", "-c"])
                    .arg(format!("{view}\n{block}"))
                    .current_dir(self.cluster.root.join("checkout")),
            )?;
            *self.said.lock().unwrap() += &format!("{}\n{}\n", output.stdout, output.stderr);
            output.success().with_context(|| block.clone())?;
        }
        Ok(())
    }

    /// Nothing that was said so far, on a terminal or to syslog, is a complaint.
    fn assert_content(&self) -> Result<()> {
        let said = std::mem::take(&mut *self.said.lock().unwrap());
        for line in said.lines() {
            let lower = line.to_lowercase();
            ensure!(
                !COMPLAINTS.iter().any(|word| lower.contains(word)),
                "'{line}' in\n{said}"
            );
        }
        Ok(())
    }

    /// Both trees are equal, once the chunkservers have reported.
    fn assert_same(&self, reference: &Path, tree: &Path) -> Result<()> {
        let mut found = Vec::new();
        wait_until("the tree is whole", || {
            found = differences(reference, tree).unwrap_or_else(|error| vec![error.to_string()]);
            found.is_empty()
        })
        .with_context(|| format!("{found:#?}"))
    }

    /// Changes of every kind on the mount, and the same on the copy.
    fn work(&self, round: &str, reference: &Path, tree: &Path) -> Result<()> {
        let script = format!(
            "mkdir -p {round}/a/b; echo {round} > {round}/a/b/file; ln {round}/a/b/file {round}/hard\n\
             ln -s a/b/file {round}/soft; mkfifo {round}/fifo; chmod 640 {round}/a/b/file\n\
             head -c 300000 /dev/zero | tr '\\0' {round} > {round}/big; mv {round}/a {round}/moved\n\
             echo more >> first; rm -rf gone; mkdir gone; echo x > gone/x"
        );
        for folder in [tree, reference] {
            self.cluster.shell(folder, &script)?;
        }
        // Times are the master's.
        let copy = format!("cp -a -T {} {}", tree.display(), reference.display());
        self.cluster.shell(reference, &copy)?;
        Ok(())
    }
}

/// A cluster of the real programs with files, and a copy of them.
fn real_cluster(metalogger: bool) -> Result<(Machine, PathBuf, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        master: Program::Debian,
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    if metalogger {
        // A metalogger takes no `MFSM NEW` over, so the master first has to have saved an image.
        cluster.master("stop")?.success()?;
        cluster.master("start")?.success()?;
        cluster.metalogger("start")?.success()?;
        cluster.wait_for_chunkservers(2)?;
    }
    let mount = cluster.mount("mnt", &[])?;
    let tree = mount.join("tree");
    run(Command::new("cp").args(["-a", "/etc/default"]).arg(&tree))?.success()?;
    let reference = cluster.root.join("reference");
    run(Command::new("cp").arg("-a").arg(&tree).arg(&reference))?.success()?;
    let machine = Machine::new(cluster)?;
    machine.work("real", &reference, &tree)?;
    Ok((machine, reference, tree))
}

#[test]
fn the_master_is_replaced_and_comes_back_as_the_page_says() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (machine, reference, tree) = real_cluster(false)?;
    machine.follow("prepare")?;
    machine.follow("switch")?;
    machine.cluster.wait_for_chunkservers(2)?;
    machine.follow("check")?;
    machine.assert_same(&reference, &tree)?;
    machine.work("ours", &reference, &tree)?;
    machine.follow("back")?;
    machine.cluster.wait_for_chunkservers(2)?;
    machine.assert_same(&reference, &tree)?;
    machine.work("again", &reference, &tree)?;
    machine.assert_same(&reference, &tree)?;
    machine.assert_content()
}

#[test]
fn the_master_comes_back_after_a_crash_as_the_page_says() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (machine, reference, tree) = real_cluster(false)?;
    machine.follow("prepare")?;
    machine.follow("switch")?;
    machine.cluster.wait_for_chunkservers(2)?;
    machine.work("ours", &reference, &tree)?;
    machine.assert_same(&reference, &tree)?;
    machine.cluster.kill_master()?;
    machine.follow("back-after-crash")?;
    machine.cluster.wait_for_chunkservers(2)?;
    machine.assert_same(&reference, &tree)?;
    machine.assert_content()
}

#[test]
fn the_files_of_a_metalogger_are_enough_as_the_page_says() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (machine, reference, tree) = real_cluster(true)?;
    let last = |path: PathBuf| {
        let text = fs::read_to_string(path).ok();
        text.and_then(|text| text.lines().last().map(str::to_owned))
    };
    let (metalogger, master) = (
        machine.cluster.root.join("metalogger"),
        machine.cluster.master_data(),
    );
    wait_until("the metalogger has the last line", || {
        let theirs = last(metalogger.join("changelog_ml.0.mfs"));
        theirs.is_some() && theirs == last(master.join("changelog.0.mfs"))
    })?;
    machine.cluster.metalogger("stop")?.success()?;
    machine.follow("prepare")?;
    machine.cluster.kill_master()?;
    // The disk of the master is gone.
    for entry in fs::read_dir(&master)? {
        fs::remove_file(entry?.path())?;
    }
    fs::rename(&metalogger, machine.cluster.root.join("backups/metalogger"))?;
    machine.follow("metalogger")?;
    machine.cluster.wait_for_chunkservers(2)?;
    machine.assert_same(&reference, &tree)?;
    machine.work("ours", &reference, &tree)?;
    machine.follow("back")?;
    machine.cluster.wait_for_chunkservers(2)?;
    machine.assert_same(&reference, &tree)?;
    machine.assert_content()
}

#[test]
fn every_block_of_the_page_is_run_by_a_test() -> Result<()> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrate.md");
    let page = fs::read_to_string(page)?;
    let tested = [
        "prepare",
        "switch",
        "check",
        "back",
        "back-after-crash",
        "metalogger",
    ];
    for line in page.lines().filter(|line| line.starts_with("```")) {
        let title = line.trim_start_matches('`').trim_start_matches("sh ");
        ensure!(title.is_empty() || tested.contains(&title), "{title}");
    }
    Ok(())
}
