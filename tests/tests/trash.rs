//! Deleted files: the trash through the metadata mount, and files that are deleted while open.

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, wait_until};
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A cluster with a data mount and a metadata mount.
fn mounted() -> Result<(Cluster, PathBuf, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    let meta = cluster.mount("meta", &["-m", "-o", "mfsflattrash"])?;
    Ok((cluster, mount, meta))
}

/// Names in a directory without `undel`, sorted.
fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .with_context(|| directory.display().to_string())?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    names.retain(|name| name != "undel");
    names.sort();
    Ok(names)
}

/// The one name that ends with `|PATH`, where slashes read as `|`.
fn entry(directory: &Path, path: &str) -> Result<PathBuf> {
    let names = names(directory)?;
    let end = format!("|{}", path.replace('/', "|"));
    names
        .iter()
        .find(|name| name.ends_with(&end))
        .map(|name| directory.join(name))
        .with_context(|| format!("no {path} in {names:?}"))
}

#[test]
fn a_deleted_file_is_listed_renamed_brought_back_or_purged() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount, meta) = mounted()?;
    let trash = meta.join("trash");
    cluster.shell(
        &mount,
        "mkdir -p d/e; for f in a b c; do echo content of $f > d/e/$f; chmod 640 d/e/$f; chown 12:34 d/e/$f; \
         done; mfssettrashtime 3600 d/e/a d/e/b d/e/c; rm -r d",
    )?;
    ensure!(names(&trash)?.len() == 3, "{:?}", names(&trash)?);

    let a = entry(&trash, "d/e/a")?;
    ensure!(fs::read_to_string(&a)? == "d/e/a\n");
    let stat = cluster.shell(&trash, "stat -c '%a %u %g %s %h' *e?a")?;
    ensure!(stat == "640 12 34 13 0\n", "{stat}");

    // Comes back where it was: the directories are made again.
    fs::rename(&a, trash.join("undel/a"))?;
    ensure!(fs::read_to_string(mount.join("d/e/a"))? == "content of a\n");

    // Comes back where the changed path says.
    let b = entry(&trash, "d/e/b")?;
    fs::write(&b, "other/place/b2")?;
    let b = entry(&trash, "other/place/b2")?;
    ensure!(fs::read_to_string(&b)? == "other/place/b2\n");
    fs::rename(&b, trash.join("undel/x"))?;
    ensure!(fs::read_to_string(mount.join("other/place/b2"))? == "content of b\n");

    fs::remove_file(entry(&trash, "d/e/c")?)?;
    ensure!(names(&trash)?.is_empty());
    Ok(())
}

#[test]
fn what_the_trash_refuses() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount, meta) = mounted()?;
    let trash = meta.join("trash");
    cluster.shell(&mount, "echo old > f; rm f; echo new > f")?;
    let entry = entry(&trash, "f")?;
    let taken = fs::rename(&entry, trash.join("undel/f")).map_err(|error| error.raw_os_error());
    ensure!(taken == Err(Some(17)), "undelete over a file: {taken:?}");
    ensure!(fs::read_to_string(mount.join("f"))? == "new\n");
    ensure!(fs::rename(&entry, trash.join("g")).is_err());
    ensure!(fs::File::create(trash.join("g")).is_err());
    ensure!(fs::create_dir(trash.join("g")).is_err());
    // With an empty path or one that points outside nothing comes back.
    fs::write(&entry, "../f")?;
    let outside = fs::rename(&entry, trash.join("undel/f"));
    ensure!(outside.is_err(), "undelete to ../f");

    // Buckets: the lower twelve bits of the inode.
    let buckets = cluster.mount("buckets", &["-m"])?;
    let listed = fs::read_dir(buckets.join("trash"))?.count();
    ensure!(listed == 4097, "{listed} entries in trash");
    let name = names(&trash)?.remove(0);
    let bucket = &name[5..8];
    ensure!(names(&buckets.join("trash").join(bucket))? == [name]);
    Ok(())
}

#[test]
fn trash_time_zero_and_snapshots_of_time() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount, meta) = mounted()?;
    let trash = meta.join("trash");
    cluster.shell(&mount, "echo x > f; mfssettrashtime 0 f; rm f")?;
    ensure!(names(&trash)?.is_empty());
    // A hard link keeps the file out of the trash; overwriting by rename puts the old one in.
    cluster.shell(
        &mount,
        "echo x > f; ln f g; rm f; echo y > h; mv h g; mkdir d; echo z > d/i",
    )?;
    ensure!(names(&trash)?.len() == 1, "{:?}", names(&trash)?);
    entry(&trash, "g")?;
    // Neither links nor empty directories nor special files come to the trash.
    cluster.shell(&mount, "ln -s a l; mkfifo p; rm l p; rm -r d")?;
    ensure!(names(&trash)?.len() == 2, "{:?}", names(&trash)?);
    let usage = cluster.shell(&meta, "stat -f -c '%s %b' .")?;
    ensure!(!usage.starts_with("0 "), "{usage}");
    let info = cluster.mfscli(&["-SIG"])?;
    ensure!(info.contains("trash"), "{info}");
    Ok(())
}

#[test]
fn an_open_file_outlives_its_name() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount, meta) = mounted()?;
    let (trash, sustained) = (meta.join("trash"), meta.join("sustained"));
    cluster.shell(&mount, "mfssettrashtime 0 .")?;
    let path = mount.join("open");
    fs::write(&path, "first")?;
    let mut file = fs::OpenOptions::new().read(true).append(true).open(&path)?;
    fs::remove_file(&path)?;
    ensure!(names(&trash)?.is_empty());
    let kept = names(&sustained)?;
    ensure!(
        kept.len() == 1 && kept[0].ends_with("|open"),
        "sustained: {kept:?}"
    );
    file.write_all(b" second")?;
    file.sync_all()?;
    let mut text = String::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_string(&mut text)?;
    ensure!(text == "first second", "{text}");
    ensure!(fs::remove_file(sustained.join(&kept[0])).is_err());
    drop(file);
    Ok(())
}

#[test]
fn data_of_an_open_file_survive_a_purge() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount, meta) = mounted()?;
    let (trash, sustained) = (meta.join("trash"), meta.join("sustained"));
    cluster.shell(&mount, "echo content > f; mfssettrashtime 3600 f")?;
    let mut file = fs::File::open(mount.join("f"))?;
    fs::remove_file(mount.join("f"))?;
    fs::remove_file(entry(&trash, "f")?)?;
    ensure!(names(&sustained)?.len() == 1);
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    ensure!(text == "content\n", "{text}");
    Ok(())
}

#[test]
fn trash_survives_a_restart_and_space_comes_back_after_a_purge() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount, meta) = mounted()?;
    let trash = meta.join("trash");
    cluster.shell(
        &mount,
        "head -c 3000000 /dev/zero > f; mfssettrashtime 3600 f; rm f",
    )?;
    cluster.kill_master()?;
    cluster.master("start -a")?.success()?;
    let path = entry(&trash, "f")?;
    let chunks = || -> usize {
        let text = cluster
            .shell(&cluster.root, "find disk1 disk2 -name 'chunk_*' | wc -l")
            .unwrap_or_default();
        text.trim().parse().unwrap_or(usize::MAX)
    };
    ensure!(chunks() == 2, "{} chunks on disk", chunks());
    fs::remove_file(path)?;
    ensure!(names(&trash)?.is_empty());
    if std::env::var_os("LAB_LONG").is_some() {
        // Chunks without a file go with the next loop over all chunks.
        wait_until("the chunks are gone from the disks", || chunks() == 0)?;
    }
    Ok(())
}
