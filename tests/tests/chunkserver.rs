//! Our chunkserver under either master and beside either kind of chunkserver: files, chains of
//! mixed kinds, disks handed over, damage, kills, disks that fail.

use anyhow::{Context, Result, ensure};
use lab::{Chunkservers, Cluster, ClusterOptions, Program, run, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that differ from place to place.
fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

fn cluster(master: Program, programs: Chunkservers, count: usize, cfg: &str) -> Result<Cluster> {
    let cluster = Cluster::start(ClusterOptions {
        master,
        chunkservers: count,
        chunkserver_programs: programs,
        disk_size: "1g".to_owned(),
        master_cfg: "REPLICATIONS_DELAY_INIT = 1\nCHUNKS_LOOP_MIN_TIME = 60\n".to_owned(),
        chunkserver_cfg: cfg.to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(count)?;
    Ok(cluster)
}

/// Chunk files of a server.
fn chunk_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(chunk_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "mfs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What the reference checker of the packages says about all chunk files of a server.
fn check_files(folder: &Path) -> Result<()> {
    for path in chunk_files(folder) {
        let output = run(Command::new("/usr/sbin/mfschunktool").arg("-x").arg(&path))?;
        ensure!(
            output.code == 0,
            "{}: {}{}",
            path.display(),
            output.stdout,
            output.stderr
        );
    }
    Ok(())
}

fn copies(cluster: &Cluster, file: &Path) -> Result<usize> {
    let text = run(cluster.command("mfsfileinfo").arg(file))?.success()?;
    Ok(text.matches("status:VALID").count())
}

/// Files of several shapes, in folders with goal 1 and 2: written, changed in the middle, cut,
/// extended, copied by reference; their expected contents.
fn use_files(cluster: &Cluster, mount: &Path, seed: u32) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for goal in ["1", "2"] {
        let folder = mount.join(format!("goal{goal}-{seed}"));
        fs::create_dir(&folder)?;
        run(cluster
            .command("mfssetgoal")
            .args(["-r", goal])
            .arg(&folder))?
        .success()?;
        for (number, len) in [0, 1, 5000, 65_536, 200_001, 3_000_000]
            .into_iter()
            .enumerate()
        {
            let path = folder.join(format!("f{number}"));
            let mut content = pattern(seed + number as u32, len);
            fs::write(&path, &content)?;
            if len > 5000 {
                use std::os::unix::fs::FileExt;
                let patch = pattern(seed + 99, 3000);
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.write_all_at(&patch, (len / 2) as u64)?;
                content[len / 2..len / 2 + patch.len()].copy_from_slice(&patch);
                file.sync_all()?;
            }
            if len == 200_001 {
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.set_len(100_003)?;
                file.set_len(150_000)?;
                content.truncate(100_003);
                content.resize(150_000, 0);
            }
            if len == 3_000_000 {
                let copy = folder.join("snapshot");
                run(cluster.command("mfsmakesnapshot").arg(&path).arg(&copy))?.success()?;
                files.push((copy, content.clone()));
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.set_len(1_234_567)?;
                content.truncate(1_234_567);
            }
            files.push((path, content));
        }
    }
    Ok(files)
}

fn compare(files: &[(PathBuf, Vec<u8>)]) -> Result<()> {
    for (path, content) in files {
        let read = fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(read.len() == content.len(), "{}: length", path.display());
        ensure!(read == *content, "{}: content", path.display());
    }
    Ok(())
}

/// The same files through another mount, which has nothing in its cache.
fn compare_fresh(
    cluster: &mut Cluster,
    name: &str,
    mount: &Path,
    files: &[(PathBuf, Vec<u8>)],
) -> Result<()> {
    let fresh = cluster.mount(name, &[])?;
    for (path, content) in files {
        let path = fresh.join(path.strip_prefix(mount)?);
        let read = fs::read(&path).with_context(|| path.display().to_string())?;
        ensure!(read == *content, "{}: content", path.display());
    }
    cluster.unmount(&fresh)
}

fn files_through(master: Program, programs: Chunkservers) -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(master, programs, 3, "")?;
    let mount = cluster.mount("mnt", &[])?;
    let files = use_files(&cluster, &mount, 1)?;
    compare(&files)?;
    compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    wait_until("every file of goal 2 has its copies", || {
        files
            .iter()
            .filter(|(path, content)| {
                !content.is_empty() && path.starts_with(mount.join("goal2-1"))
            })
            .all(|(path, content)| {
                let chunks = content.len().div_ceil(64 << 20);
                copies(&cluster, path).is_ok_and(|count| count == 2 * chunks)
            })
    })?;
    for number in 1..=3 {
        cluster.chunkserver(number, "stop")?.success()?;
        check_files(&cluster.disk(number))?;
        cluster.chunkserver(number, "start")?;
    }
    cluster.wait_for_chunkservers(3)?;
    compare_fresh(&mut cluster, "again", &mount, &files)
}

#[test]
fn files_with_our_master_and_ours() -> Result<()> {
    files_through(Program::Ours, Chunkservers::Ours)
}

#[test]
fn files_with_our_master_and_both_kinds() -> Result<()> {
    files_through(Program::Ours, Chunkservers::Mixed)
}

#[test]
fn files_with_the_real_master_and_ours() -> Result<()> {
    files_through(Program::Debian, Chunkservers::Ours)
}

#[test]
fn files_with_the_real_master_and_both_kinds() -> Result<()> {
    files_through(Program::Debian, Chunkservers::Mixed)
}
