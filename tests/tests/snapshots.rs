//! Snapshots: copies that share their data until somebody writes.

use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, differences, run};
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

fn mounted() -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    Ok((cluster, mount))
}

const TREE: &str = "mkdir -p t/s/e; for f in a b s/c; do head -c 300000 /dev/urandom > t/$f; done; \
                    chmod 640 t/a; chown 5:6 t/b; ln -s a t/l; mkfifo t/p; ln t/a t/s/hard; touch t/empty; \
                    truncate -s 200M t/sparse; touch -d '2020-02-02 02:02:02' t/a t/s";

#[test]
fn a_tree_and_its_snapshot_part_ways() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    cluster.shell(&mount, TREE)?;
    let reference = cluster.root.join("reference");
    cluster.shell(&mount, &format!("cp -a --sparse=always t {reference:?}"))?;
    cluster.shell(&mount, "mfsmakesnapshot -p t snap")?;
    let found = differences(&reference, &mount.join("snap"))?;
    ensure!(found.is_empty(), "snapshot: {found:#?}");
    let chunks = cluster.shell(
        &mount,
        "mfsdirinfo -c t; mfsfileinfo t/a snap/a | grep 'chunk 0' | sort -u | wc -l",
    )?;
    ensure!(
        chunks == "4\tt\n1\n" || chunks.ends_with("\n1\n"),
        "{chunks}"
    );

    // Writes to the snapshot do not reach the original, nor the other way round.
    let snap = fs::OpenOptions::new()
        .write(true)
        .open(mount.join("snap/a"))?;
    snap.write_all_at(b"snapshot", 1000)?;
    snap.sync_all()?;
    drop(snap);
    let original = fs::OpenOptions::new().write(true).open(mount.join("t/b"))?;
    original.write_all_at(b"original", 1000)?;
    original.sync_all()?;
    drop(original);
    fs::OpenOptions::new()
        .write(true)
        .open(mount.join("t/s/c"))?
        .set_len(1000)?;
    fs::remove_file(mount.join("t/empty"))?;

    let fresh = cluster.mount("fresh", &[])?;
    let mut a = fs::read(reference.join("a"))?;
    ensure!(fs::read(fresh.join("t/a"))? == a);
    a[1000..1008].copy_from_slice(b"snapshot");
    ensure!(fs::read(fresh.join("snap/a"))? == a);
    ensure!(
        fs::read(fresh.join("snap/s/hard"))? == a,
        "hard links stay together"
    );
    let mut b = fs::read(reference.join("b"))?;
    ensure!(fs::read(fresh.join("snap/b"))? == b);
    b[1000..1008].copy_from_slice(b"original");
    ensure!(fs::read(fresh.join("t/b"))? == b);
    let c = fs::read(reference.join("s/c"))?;
    ensure!(fs::read(fresh.join("snap/s/c"))? == c);
    ensure!(fs::read(fresh.join("t/s/c"))? == c[..1000]);
    ensure!(fresh.join("snap/empty").exists());

    // It outlasts a restart of the master.
    cluster.kill_master()?;
    cluster.master("start -a")?.success()?;
    cluster.wait_for_chunkservers(2)?;
    let after = cluster.mount("after", &[])?;
    ensure!(fs::read(after.join("snap/a"))? == a);
    ensure!(fs::read(after.join("t/b"))? == b);
    Ok(())
}

#[test]
fn the_tool_says_what_it_always_says() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    cluster.shell(&mount, TREE)?;
    for (call, code) in [
        ("mfsmakesnapshot t/a one", 0),
        ("mfsmakesnapshot t/a one", 255),
        ("mfsmakesnapshot -o t/b one", 0),
        ("cmp t/b one", 0),
        ("mkdir dir; mfsmakesnapshot t/a t/b t/s dir", 0),
        ("cmp t/a dir/a && diff -r t/s dir/s", 0),
        ("mfsmakesnapshot t/a t/b nodir", 255),
        ("mfsmakesnapshot t t/inside", 255),
        ("mfsmakesnapshot t again; mfsmakesnapshot t/ again2", 0),
        ("mfsmakesnapshot -o t again; test -e again/t/a", 0),
        ("mfsrmsnapshot t/a", 1),
        ("mfsrmsnapshot one", 0),
        ("test -e one", 1),
        ("echo new > again/new; mfsrmsnapshot again", 1),
        ("mfsrmsnapshot -f again; test \"$(ls again)\" = new", 0),
        ("mfsrmsnapshot again2", 0),
        // The kernel remembers names of directories for a second.
        ("sleep 1.5; test -e again2", 1),
        ("mfsgeteattr dir/a | grep -q snapshot", 0),
        (
            "umask 077; mfsmakesnapshot -c t/b mine; test \"$(stat -c %u:%g:%a mine)\" = 0:0:600",
            0,
        ),
    ] {
        let output = run(cluster.command("sh").args(["-c", call]).current_dir(&mount))?;
        ensure!(output.code == code, "{call}: {output:?}");
    }
    Ok(())
}

#[test]
fn chunks_are_appended() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    cluster.shell(
        &mount,
        "printf one > a; printf two > b; mfsappendchunks joined a b a",
    )?;
    let length = cluster.shell(&mount, "stat -c %s joined")?;
    ensure!(length == "134217731\n", "{length}");
    let file = fs::File::open(mount.join("joined"))?;
    for (at, text) in [(0, b"one"), (1 << 26, b"two"), (1 << 27, b"one")] {
        let mut found = [0; 3];
        file.read_exact_at(&mut found, at)?;
        ensure!(&found == text, "at {at}: {found:?}");
    }
    cluster.shell(
        &mount,
        "printf ONE | dd of=joined conv=notrunc status=none; test \"$(cat a)\" = one",
    )?;
    cluster.shell(
        &mount,
        "mfsappendchunks -s 1:2 part joined; test \"$(head -c 3 part)\" = two",
    )?;
    Ok(())
}
