//! Disks and chunkservers that are emptied, serviced, labelled, damaged, added.

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, run, wait_at_most, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FAST: &str = "REPLICATIONS_DELAY_INIT = 1\nCHUNKS_LOOP_MIN_TIME = 60\n";

fn mounted(chunkservers: usize, chunkserver_cfg: &str) -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers,
        master_cfg: FAST.to_owned(),
        chunkserver_cfg: chunkserver_cfg.to_owned(),
        disk_size: "1g".to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(chunkservers)?;
    let mount = cluster.mount("mnt", &[])?;
    Ok((cluster, mount))
}

/// Numbers of the servers that hold a usable copy of a file's first chunk; with `status`, those
/// that `mfsfileinfo` shows so.
fn holders(cluster: &Cluster, file: &Path, status: &str) -> Result<BTreeSet<usize>> {
    let text = run(cluster.command("mfsfileinfo").arg(file))?.success()?;
    Ok((1..=9)
        .filter(|number| {
            let ip = Cluster::chunkserver_ip(*number);
            text.lines().any(|line| {
                line.contains(&format!(" {ip}:")) && line.contains(&format!("status:{status})"))
            })
        })
        .collect())
}

fn valid(cluster: &Cluster, file: &Path) -> Result<BTreeSet<usize>> {
    holders(cluster, file, "VALID")
}

/// The fields of a server in `mfscli -SCS`.
fn server(cluster: &Cluster, number: usize) -> Result<Vec<String>> {
    let text = cluster.mfscli(&["-p", "-s;", "-SCS"])?;
    let ip = format!(";{};", Cluster::chunkserver_ip(number));
    let ip_first = format!(":{};", Cluster::chunkserver_ip(number));
    let line = text
        .lines()
        .find(|line| line.contains(&ip) || line.contains(&ip_first));
    Ok(line
        .with_context(|| text.clone())?
        .split(';')
        .map(str::to_owned)
        .collect())
}

/// Chunk files on a server's disk.
fn chunk_files(cluster: &Cluster, number: usize) -> Result<Vec<PathBuf>> {
    let text = cluster.shell(&cluster.disk(number), "find . -name 'chunk_*'")?;
    Ok(text
        .lines()
        .map(|line| cluster.disk(number).join(line))
        .collect())
}

#[test]
fn a_disk_marked_for_removal_empties() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted(3, "")?;
    let files: Vec<PathBuf> = (0..6)
        .map(|number| mount.join(format!("f{number}")))
        .collect();
    for file in &files {
        fs::write(file, vec![3; 100_000])?;
    }
    let list = cluster.etc("mfshdd1.cfg");
    let line = fs::read_to_string(&list)?;
    fs::write(&list, format!("*{line}"))?;
    cluster.chunkserver(1, "reload")?.success()?;
    wait_until("the disk shows the mark", || {
        cluster
            .mfscli(&["-SHD"])
            .is_ok_and(|text| text.contains("marked for removal"))
    })?;
    wait_until("every chunk has two copies elsewhere", || {
        files
            .iter()
            .all(|file| valid(&cluster, file).is_ok_and(|on| on == BTreeSet::from([2, 3])))
    })?;
    if std::env::var_os("LAB_LONG").is_some() {
        // Said after a whole pass over all chunks that found nothing to do for the disk.
        wait_at_most(Duration::from_secs(200), "the disk is ready", || {
            server(&cluster, 1).is_ok_and(|fields| fields.iter().any(|field| field == "READY"))
        })?;
    }
    cluster.chunkserver(1, "stop")?.success()?;
    for file in &files {
        ensure!(fs::read(file)? == vec![3; 100_000]);
    }
    Ok(())
}

#[test]
fn nothing_is_copied_during_maintenance() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted(3, "")?;
    let file = mount.join("file");
    fs::write(&file, vec![3; 100_000])?;
    wait_until("two copies", || {
        valid(&cluster, &file).is_ok_and(|on| on.len() == 2)
    })?;
    let on = valid(&cluster, &file)?;
    let number = *on.first().context("no copy")?;
    let ip = Cluster::chunkserver_ip(number);
    let said = cluster.mfscli(&[&format!("-CM1/{ip}/9422")])?;
    ensure!(said.contains("maintenance mode"), "{said}");
    ensure!(
        server(&cluster, number)?
            .iter()
            .any(|field| field == "maintenance_on")
    );
    cluster.kill_chunkserver(number)?;
    wait_until("one copy", || {
        valid(&cluster, &file).is_ok_and(|on| on.len() == 1)
    })?;
    std::thread::sleep(Duration::from_secs(8));
    ensure!(
        valid(&cluster, &file)?.len() == 1,
        "copied during maintenance"
    );
    let said = cluster.mfscli(&[&format!("-CM0/{ip}/9422")])?;
    ensure!(said.contains("standard mode"), "{said}");
    wait_until("a second copy after maintenance", || {
        valid(&cluster, &file).is_ok_and(|on| on.len() == 2)
    })?;
    let said = cluster.mfscli(&[&format!("-CRC/{ip}/9422")])?;
    ensure!(said.contains("has been removed"), "{said}");
    ensure!(
        server(&cluster, number).is_err(),
        "removed and still listed"
    );
    // It may come back all the same.
    cluster.chunkserver(number, "start")?;
    cluster.wait_for_chunkservers(3)
}

#[test]
fn a_clean_stop_is_a_short_maintenance() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted(2, "")?;
    fs::write(mount.join("file"), "x")?;
    cluster.chunkserver(1, "stop")?.success()?;
    let mut fields = Vec::new();
    wait_until("the server shows as disconnected", || {
        fields = server(&cluster, 1).unwrap_or_default();
        fields.len() == 5 || fields.len() == 4
    })?;
    ensure!(
        fields.iter().any(|field| field == "maintenance_temp_on"),
        "{fields:?}"
    );
    cluster.chunkserver(1, "start")?;
    cluster.wait_for_chunkservers(2)?;
    ensure!(
        server(&cluster, 1)?
            .iter()
            .any(|field| field == "maintenance_off")
    );
    ensure!(valid(&cluster, &mount.join("file"))?.len() == 2);
    Ok(())
}

#[test]
fn labels_decide_where_chunks_are() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted(4, "")?;
    for (number, labels) in [(1, "A"), (2, "A,B"), (3, "B"), (4, "C")] {
        let path = cluster.etc(&format!("mfschunkserver{number}.cfg"));
        let text = fs::read_to_string(&path)?;
        fs::write(&path, format!("{text}LABELS = {labels}\n"))?;
        cluster.chunkserver(number, "reload")?.success()?;
    }
    wait_until("the labels are known", || {
        server(&cluster, 2).is_ok_and(|fields| fields.iter().any(|field| field == "A,B"))
            && server(&cluster, 4).is_ok_and(|fields| fields.iter().any(|field| field == "C"))
    })?;
    cluster.shell(
        &mount,
        "mfsscadmin create A,A aa; mfsscadmin create C,B cb; mfsscadmin create -C A -K B,B later; \
         mkdir aa cb later; for c in aa cb later; do mfssetsclass $c $c; done; \
         for n in 1 2 3 4; do for c in aa cb later; do echo $n > $c/$n; done; done",
    )?;
    let all = |class: &str, allowed: &[BTreeSet<usize>]| -> Result<()> {
        wait_until(&format!("files of {class} are on {allowed:?}"), || {
            (1..=4).all(|number| {
                valid(&cluster, &mount.join(format!("{class}/{number}")))
                    .is_ok_and(|on| allowed.contains(&on))
            })
        })
    };
    all("aa", &[BTreeSet::from([1, 2])])?;
    all("cb", &[BTreeSet::from([2, 4]), BTreeSet::from([3, 4])])?;
    all("later", &[BTreeSet::from([2, 3])])?;
    cluster.shell(&mount, "mfssetsclass -r later aa; mfssetsclass -r aa cb")?;
    all("aa", &[BTreeSet::from([2, 3])])?;
    all("cb", &[BTreeSet::from([1, 2])])?;
    let listed = cluster.shell(&mount, "mfsscadmin list -l; mfsgetsclass aa/1")?;
    ensure!(listed.contains("later : 1->2"), "{listed}");
    Ok(())
}

#[test]
fn a_damaged_copy_is_not_read_and_is_replaced() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted(3, "HDD_TEST_FREQ = 1\n")?;
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 253) as u8).collect();
    let file = mount.join("file");
    fs::write(&file, &content)?;
    wait_until("two copies", || {
        valid(&cluster, &file).is_ok_and(|on| on.len() == 2)
    })?;
    let on = valid(&cluster, &file)?;
    let number = *on.first().context("no copy")?;
    let chunk = chunk_files(&cluster, number)?.remove(0);
    let mut bytes = fs::read(&chunk)?;
    let end = bytes.len() - 70_000;
    bytes[end..].fill(0x55);
    cluster.chunkserver(number, "stop")?.success()?;
    fs::write(&chunk, bytes)?;
    cluster.chunkserver(number, "start")?;
    cluster.wait_for_chunkservers(3)?;
    for round in 0..6 {
        let fresh = cluster.mount(&format!("fresh{round}"), &[])?;
        ensure!(fs::read(fresh.join("file"))? == content, "round {round}");
    }
    wait_until("two good copies again", || {
        cluster
            .shell(&mount, "mfsfileinfo -c file")
            .is_ok_and(|text| {
                text.matches("status:VALID").count() == 2
                    && !text.contains("different")
                    && !text.contains("can't get")
            })
    })
}

#[test]
fn a_new_server_takes_its_share() -> Result<()> {
    if !lab::ready() || std::env::var_os("LAB_LONG").is_none() {
        return Ok(());
    }
    let (cluster, mount) = mounted(3, "")?;
    cluster.chunkserver(3, "stop")?.success()?;
    for number in 0..40 {
        fs::write(mount.join(format!("f{number}")), vec![1; 8_000_000])?;
    }
    cluster.chunkserver(3, "start")?;
    wait_until("chunks move to the empty server", || {
        chunk_files(&cluster, 3).is_ok_and(|found| found.len() >= 5)
    })
}
