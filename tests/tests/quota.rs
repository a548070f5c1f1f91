//! Quotas of directories, as a mount meets them.

use anyhow::{Result, bail, ensure};
use lab::{Cluster, ClusterOptions, run, wait_until};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Disk quota exceeded.
const EDQUOT: i32 = 122;

fn mounted() -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    fs::create_dir(mount.join("d"))?;
    Ok((cluster, mount))
}

/// Writes a file and makes sure that it reached the chunkservers: 0 or the error number.
fn write(path: &Path, length: usize) -> Result<i32> {
    let outcome = fs::File::create(path).and_then(|mut file| {
        file.write_all(&vec![1; length])?;
        file.sync_all()
    });
    number(outcome)
}

fn number(outcome: std::io::Result<()>) -> Result<i32> {
    match outcome.map_err(|error| error.raw_os_error()) {
        Ok(()) => Ok(0),
        Err(Some(code)) => Ok(code),
        Err(None) => bail!("not from the system"),
    }
}

#[test]
fn hard_limits() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    let d = mount.join("d");
    // Inodes: the directory itself does not count.
    cluster.shell(&mount, "mfssetquota -I 3 d")?;
    for (name, code) in [("a", 0), ("b", 0), ("c", 0), ("e", EDQUOT)] {
        ensure!(write(&d.join(name), 0)? == code, "{name}");
    }
    ensure!(number(fs::create_dir(d.join("sub")))? == EDQUOT);
    ensure!(number(std::os::unix::fs::symlink("x", d.join("l")))? == EDQUOT);
    ensure!(number(fs::hard_link(d.join("a"), d.join("h")))? == EDQUOT);
    fs::write(mount.join("outside"), "x")?;
    ensure!(number(fs::rename(mount.join("outside"), d.join("in")))? == EDQUOT);
    fs::remove_file(d.join("a"))?;
    ensure!(write(&d.join("e"), 0)? == 0);
    cluster.shell(&mount, "mfsdelquota -I d")?;
    ensure!(write(&d.join("f"), 0)? == 0);

    // Length.
    cluster.shell(&mount, "mfssetquota -L 100000 d")?;
    ensure!(write(&d.join("l1"), 90_000)? == 0);
    ensure!(
        number(
            fs::OpenOptions::new()
                .write(true)
                .open(d.join("e"))?
                .set_len(20_000)
        )? == EDQUOT
    );
    cluster.shell(&mount, "mfsdelquota -L d")?;

    // Size on disk: a new chunk has to have room to grow to its full size.
    cluster.shell(&mount, "rm d/*; mfssetquota -S 80Mi d")?;
    let codes: Vec<i32> = (0..12)
        .map(|number| write(&d.join(format!("s{number}")), 2_000_000))
        .collect::<Result<_>>()?;
    let written = codes.iter().take_while(|code| **code == 0).count();
    ensure!((7..=9).contains(&written), "{codes:?}");
    ensure!(
        codes[written..].iter().all(|code| *code == EDQUOT),
        "{codes:?}"
    );
    Ok(())
}

#[test]
fn a_soft_limit_becomes_hard_after_the_grace_period() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    let d = mount.join("d");
    cluster.shell(&mount, "mfssetquota -p 3s -i 2 d")?;
    for name in ["a", "b", "c"] {
        ensure!(write(&d.join(name), 0)? == 0, "{name}");
    }
    let listed = cluster.mfscli(&["-SQU"])?;
    ensure!(listed.contains("/d"), "{listed}");
    let mut next = 0;
    wait_until("the soft limit is enforced", || {
        next += 1;
        std::thread::sleep(std::time::Duration::from_millis(200));
        write(&d.join(format!("n{next}")), 0).is_ok_and(|code| code == EDQUOT)
    })?;
    cluster.shell(&mount, "rm d/*; echo x > d/x")?;
    ensure!(fs::read(d.join("x"))? == b"x\n");
    Ok(())
}

#[test]
fn df_shows_the_quota() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    cluster.shell(
        &mount,
        "mfssetquota -S 256Mi d; head -c 1000000 /dev/zero > d/f",
    )?;
    let sub = cluster.mount("sub", &["-S", "/d"])?;
    wait_until("df of the subdirectory is its quota", || {
        cluster
            .shell(&sub, "df -B1 --output=size . | tail -1")
            .is_ok_and(|text| text.trim() == "268435456")
    })?;
    let used = cluster.shell(&sub, "df -B1 --output=used . | tail -1")?;
    let used: u64 = used.trim().parse()?;
    ensure!((1_000_000..2_000_000).contains(&used), "used {used}");
    let whole = cluster.shell(&mount, "df -B1 --output=size . | tail -1")?;
    ensure!(whole.trim().parse::<u64>()? > 1 << 30, "{whole}");
    Ok(())
}

#[test]
fn who_may_set_quotas() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    fs::write(
        cluster.etc("mfsexports.cfg"),
        "* / rw,alldirs,maproot=0:0\n",
    )?;
    cluster.master("reload")?.success()?;
    let plain = cluster.mount("plain", &[])?;
    let output = run(cluster
        .command("mfssetquota")
        .args(["-I", "4", "d"])
        .current_dir(&plain))?;
    ensure!(output.code == 1, "{output:?}");
    ensure!(
        output.stdout.contains("Operation not permitted"),
        "{output:?}"
    );
    ensure!(write(&mount.join("d/f"), 10)? == 0);
    Ok(())
}
