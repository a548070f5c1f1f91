//! Copies of chunks: servers that die, goals that change, disks that are emptied.

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, run, wait_until};
use std::fs;
use std::io::Write;
use std::path::Path;

/// A chunk loop that comes round within the patience of a test.
const FAST_LOOP: &str = "REPLICATIONS_DELAY_INIT = 1\nCHUNKS_LOOP_MIN_TIME = 60\n";

fn cluster(chunkservers: usize) -> Result<Cluster> {
    let cluster = Cluster::start(ClusterOptions {
        chunkservers,
        master_cfg: FAST_LOOP.to_owned(),
        disk_size: "1g".to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(chunkservers)?;
    Ok(cluster)
}

/// Lines of `mfsfileinfo` that name a usable copy.
fn copies(cluster: &Cluster, file: &Path) -> Result<usize> {
    let text = run(cluster.command("mfsfileinfo").arg(file))?.success()?;
    Ok(text
        .lines()
        .filter(|line| line.contains("copy ") && line.contains("status:VALID"))
        .count())
}

fn set_goal(cluster: &Cluster, goal: &str, path: &Path) -> Result<()> {
    run(cluster.command("mfssetgoal").args(["-r", goal]).arg(path))?.success()?;
    Ok(())
}

#[test]
fn a_server_dies_under_a_writer_and_nobody_notices() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(4)?;
    let mount = cluster.mount("mnt", &[])?;
    let block: Vec<u8> = (0..1 << 16).map(|at: u32| (at % 251) as u8).collect();
    let mut files = Vec::new();
    for number in 0..40 {
        let path = mount.join(format!("f{number}"));
        let mut file = fs::File::create(&path)?;
        for _ in 0..16 {
            file.write_all(&block)
                .context("write during the loss of a server")?;
        }
        if number == 15 {
            cluster.kill_chunkserver(2)?;
        }
        file.sync_all()
            .context("fsync during the loss of a server")?;
        files.push(path);
    }
    for path in &files {
        let content = fs::read(path)?;
        ensure!(content.len() == 16 * block.len());
        ensure!(content.chunks(block.len()).all(|chunk| chunk == block));
    }
    wait_until("every chunk has its two copies again", || {
        files
            .iter()
            .all(|path| copies(&cluster, path).is_ok_and(|count| count == 2))
    })
}

#[test]
fn goals_take_effect_upwards_and_downwards() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(3)?;
    let mount = cluster.mount("mnt", &[])?;
    let file = mount.join("file");
    fs::write(&file, vec![7; 300_000])?;
    for goal in [3, 1, 2] {
        set_goal(&cluster, &goal.to_string(), &file)?;
        wait_until(&format!("{goal} copies"), || {
            copies(&cluster, &file).is_ok_and(|count| count == goal)
        })?;
        ensure!(fs::read(&file)? == vec![7; 300_000]);
    }
    Ok(())
}

#[test]
fn with_all_copies_gone_reads_fail_and_fileinfo_says_so() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(1)?;
    let mount = cluster.mount("mnt", &[])?;
    let file = mount.join("file");
    fs::write(&file, "data")?;
    wait_until("the copy is known", || {
        copies(&cluster, &file).is_ok_and(|count| count == 1)
    })?;
    cluster.chunkserver(1, "stop")?.success()?;
    let text = run(cluster.command("mfsfileinfo").arg(&file))?.success()?;
    ensure!(text.contains("no valid copies"), "{text}");
    let again = cluster.mount("again", &["-o", "mfsioretries=2"])?;
    ensure!(fs::read(again.join("file")).is_err(), "read without a copy");
    cluster.chunkserver(1, "start")?.success()?;
    wait_until("the data are back", || {
        fs::read(again.join("file")).is_ok_and(|content| content == b"data")
    })
}
