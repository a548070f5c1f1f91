//! The leader dies, hangs, is cut off or leaves, while a real mount creates files: nothing
//! acknowledged is missing, nothing fails, the mount waits for a moment. `LAB_LONG` makes twenty
//! rounds of each.

use anyhow::{Context, Result, ensure};
use lab::{Cut, Program, ReplicatedCluster};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Time before and after the event in which files are created.
const BEFORE: Duration = Duration::from_millis(700);
const AFTER: Duration = Duration::from_secs(2);
/// Longest pause that is accepted on a busy machine.
const PAUSE_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
enum Loss {
    Handover,
    Killed,
    Hung,
    CutOff,
}

#[test]
fn a_mount_keeps_working_when_the_leader_is_lost() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let rounds = if std::env::var_os("LAB_LONG").is_some() {
        20
    } else {
        1
    };
    let mut cluster = ReplicatedCluster::start("")?;
    cluster.start_chunkserver(&Program::Debian)?;
    let mount = cluster.mount("mnt")?;
    for loss in [Loss::Handover, Loss::Killed, Loss::Hung, Loss::CutOff] {
        let mut pauses = Vec::new();
        for round in 0..rounds {
            let directory = mount.join(format!("{loss:?}{round}"));
            let pause = one_round(&cluster, &directory, loss)
                .with_context(|| format!("{loss:?}, round {round}\n{}", cluster.status()))?;
            pauses.push(pause);
        }
        pauses.sort();
        println!("{loss:?}: longest pauses of a create loop {pauses:?}");
    }
    data_are_there(&cluster, &mount)
}

fn one_round(cluster: &ReplicatedCluster, directory: &Path, loss: Loss) -> Result<Duration> {
    cluster.wait_until_complete()?;
    let leader = cluster.wait_for_leader(None)?;
    fs::create_dir(directory)?;
    let stop = AtomicBool::new(false);
    let (created, pause) = std::thread::scope(|scope| -> Result<_> {
        let worker = scope.spawn(|| create(directory, &stop));
        std::thread::sleep(BEFORE);
        let changed = change_leader(cluster, leader, loss);
        std::thread::sleep(AFTER);
        stop.store(true, Ordering::Relaxed);
        let created = worker.join().map_err(|_| anyhow::anyhow!("the worker"))?;
        changed?;
        created
    })?;
    match loss {
        Loss::Handover => {}
        Loss::Killed => {
            cluster.master(leader, "start")?.success()?;
        }
        Loss::Hung => cluster.signal(leader, Signal::CONT)?,
        Loss::CutOff => cluster.cut(leader, Cut::Healed)?,
    }
    let there: BTreeSet<String> = fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    let expected: BTreeSet<String> = (0..created).map(|number| number.to_string()).collect();
    ensure!(
        there == expected,
        "of {created} files {} are there",
        there.len()
    );
    ensure!(pause < PAUSE_MAX, "a pause of {pause:?}");
    Ok(pause)
}

fn change_leader(cluster: &ReplicatedCluster, leader: usize, loss: Loss) -> Result<()> {
    match loss {
        Loss::Handover => {
            cluster.master(leader, "ha handover")?.success()?;
        }
        Loss::Killed => cluster.signal(leader, Signal::KILL)?,
        Loss::Hung => cluster.signal(leader, Signal::STOP)?,
        Loss::CutOff => cluster.cut(leader, Cut::Silent)?,
    }
    if matches!(loss, Loss::Hung) {
        // It answers no question of ours either.
        std::thread::sleep(Duration::from_secs(3));
        return Ok(());
    }
    cluster.wait_for_leader(Some(leader)).map(drop)
}

/// Creates files until it is told to stop; how many, and the longest time that one of them took.
fn create(directory: &Path, stop: &AtomicBool) -> Result<(u64, Duration)> {
    let mut pause = Duration::ZERO;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return Ok((number, pause));
        }
        let began = Instant::now();
        let path = directory.join(number.to_string());
        fs::File::create_new(&path).with_context(|| path.display().to_string())?;
        pause = pause.max(began.elapsed());
    }
    Ok((0, pause))
}

/// File data pass the new leader too.
fn data_are_there(cluster: &ReplicatedCluster, mount: &Path) -> Result<()> {
    let content = vec![7_u8; 300_000];
    let path: PathBuf = mount.join("data");
    fs::File::create(&path)?.write_all(&content)?;
    let leader = cluster.wait_for_leader(None)?;
    cluster.wait_until_complete()?;
    cluster.master(leader, "ha handover")?.success()?;
    cluster.wait_for_leader(Some(leader))?;
    ensure!(fs::read(&path)? == content, "other data");
    Ok(())
}
