//! POSIX suites through a mount: what passes on the real master passes here.
//!
//! Slow, so only with `LAB_LONG`, and only those suites that are installed:
//! `cargo install pjdfstest@0.2.2 fsx@0.3.2`, Debian package `stress-ng`.

use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, Output, run, run_for};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Tests of pjdfstest that the real master and mount fail: times are whole seconds on the wire,
/// so nothing grows within a second, and end in 2106.
const EXPECTED_FAILURES: &[&str] = &[
    "chmod::update_ctime",
    "ftruncate::update_ctime_success",
    "link::changed_ctime_success",
    "mkdir::changed_time_fields_success",
    "mkfifo::changed_time_fields_success",
    "mknod::changed_time_fields_success",
    "mknod::changed_times_success",
    "open::changed_time_fields_success",
    "open::open_trunc",
    "posix_fallocate::update_ctime_success",
    "rename::changed_ctime_success",
    "rename::to_multiply_linked",
    "rmdir::changed_time_parent_success",
    "symlink::changed_parent_time_success",
    "truncate::update_ctime_success",
    "unlink::update_ctime_success",
    "unlink::update_mtime_ctime_success_folder",
    "utimensat::subsecond",
    "utimensat::y2038",
];

/// A mounted cluster, where the test is to run and the suite is there.
fn mounted(program: &str) -> Result<Option<(Cluster, PathBuf)>> {
    if std::env::var_os("LAB_LONG").is_none() || !lab::ready() {
        return Ok(None);
    }
    if run(std::process::Command::new("which").arg(program))?.code != 0 {
        eprintln!("left out: {program} is not installed");
        return Ok(None);
    }
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &["-o", "mfsdev,mfssuid"])?;
    Ok(Some((cluster, mount)))
}

fn run_long(cluster: &Cluster, mount: &PathBuf, script: &str) -> Result<Output> {
    run_for(
        Duration::from_secs(900),
        cluster
            .command("sh")
            .args(["-e", "-c", script])
            .current_dir(mount),
    )
}

#[test]
fn pjdfstest_fails_nowhere_else() -> Result<()> {
    let Some((cluster, mount)) = mounted("pjdfstest")? else {
        return Ok(());
    };
    let config = cluster.root.join("pjdfstest.toml");
    fs::write(
        &config,
        "[features]\nposix_fallocate = {}\n[settings]\nnaptime = 0.001\nallow_remount = false\n\
         [dummy_auth]\nentries = [[\"nobody\", \"nogroup\"], [\"daemon\", \"daemon\"]]\n",
    )?;
    let output = run_long(&cluster, &mount, &format!("pjdfstest -c {config:?} -p ."))?;
    let failed: Vec<&str> = output
        .stdout
        .lines()
        .filter(|line| line.trim_end().ends_with("FAILED"))
        .collect();
    let unexpected: Vec<_> = failed
        .iter()
        .filter(|line| !EXPECTED_FAILURES.iter().any(|name| line.contains(name)))
        .collect();
    ensure!(output.stdout.contains("passed"), "{output:?}");
    ensure!(unexpected.is_empty(), "{unexpected:#?}");
    Ok(())
}

#[test]
fn fsx_reads_what_it_wrote() -> Result<()> {
    let Some((cluster, mount)) = mounted("fsx")? else {
        return Ok(());
    };
    for seed in [1, 2, 3] {
        let output = run_long(
            &cluster,
            &mount,
            &format!("fsx -q -S {seed} -N 2000 file{seed}"),
        )?;
        ensure!(output.code == 0, "seed {seed}: {output:?}");
    }
    Ok(())
}

#[test]
fn stressors_of_file_systems_pass() -> Result<()> {
    let Some((cluster, mount)) = mounted("stress-ng")? else {
        return Ok(());
    };
    for stressor in [
        "chdir",
        "chmod",
        "chown",
        "copy-file",
        "dentry",
        "dir",
        "dirdeep",
        "dirmany",
        "dup",
        "fcntl",
        "fiemap",
        "file-ioctl",
        "filename",
        "flock",
        "fpunch",
        "fstat",
        "getdent",
        "hdd",
        "iomix",
        "lease",
        "link",
        "locka",
        "lockf",
        "lockofd",
        "mknod",
        "open",
        "readahead",
        "rename",
        "seek",
        "symlink",
        "sync-file",
        "touch",
        "utime",
        "verity",
        "xattr",
    ] {
        let script = format!(
            "stress-ng --{stressor} 2 --timeout 3s --verify --temp-path . --quiet --oomable"
        );
        let output = run_long(&cluster, &mount, &script)?;
        // 3 and 4: not supported here.
        ensure!([0, 3, 4].contains(&output.code), "{stressor}: {output:?}");
    }
    Ok(())
}
