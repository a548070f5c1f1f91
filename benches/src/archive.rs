//! The commonest heavy work through a mount: an archive of small files is unpacked, read and removed.

use crate::target::cpu_of;
use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, Program, run_for};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// Every so many files has content.
const FILES_PER_FULL: u32 = 10;
/// Bytes of content.
const CONTENT_BYTES: u32 = 100;
/// Files in a directory.
const FILES_PER_DIRECTORY: u32 = 500;
/// A step that takes longer is given up.
const STEP_MAX: Duration = Duration::from_secs(900);

/// The masters of a run, their names and configuration.
fn masters(ours_only: bool) -> Vec<(&'static str, Program, &'static str)> {
    let mut masters = vec![
        ("ours, mode 0", Program::Ours, "CHANGELOG_SAVE_MODE = 0\n"),
        ("ours, durable", Program::Ours, "CHANGELOG_SAVE_MODE = 2\n"),
    ];
    if !ours_only {
        masters.insert(0, ("MooseFS", Program::Debian, ""));
    }
    masters
}

/// Unpacks an archive of `files` files on each master and prints a table.
pub fn report(files: u32, ours_only: bool) -> Result<()> {
    println!("| {files} small files | unpack s | list s | remove s | master CPU s |");
    println!("|---|---|---|---|---|");
    for (name, master, cfg) in masters(ours_only) {
        let mut cluster = Cluster::start(ClusterOptions {
            master,
            chunkservers: 2,
            master_cfg: cfg.to_owned(),
            ..ClusterOptions::default()
        })?;
        cluster.wait_for_chunkservers(2)?;
        let mount = cluster.mount("mnt", &[])?;
        let archive = cluster.root.join("many.tar");
        fs::write(&archive, tar(files))?;
        let master_cpu = || {
            cpu_of(cluster.namespace.pids().into_iter().filter(|pid| {
                fs::read_to_string(format!("/proc/{pid}/comm"))
                    .is_ok_and(|name| name.starts_with("mfsmaster"))
            }))
        };
        let before = master_cpu();
        let step = |program: &str, arguments: &[&str]| -> Result<f64> {
            let began = Instant::now();
            let mut command = Command::new(program);
            command.args(arguments).current_dir(&mount);
            run_for(STEP_MAX, &mut command)?.success()?;
            Ok(began.elapsed().as_secs_f64())
        };
        let unpack = step("tar", &["xf", &archive.display().to_string()])?;
        let list = step("ls", &["-lR"])?;
        let remove = step("rm", &["-rf", "archive"])?;
        ensure!(fs::read_dir(&mount)?.next().is_none(), "files are left");
        let cpu = master_cpu().saturating_sub(before).as_secs_f64();
        println!("| {name} | {unpack:.1} | {list:.1} | {remove:.1} | {cpu:.2} |");
    }
    Ok(())
}

/// An archive in the ustar format.
fn tar(files: u32) -> Vec<u8> {
    let mut out = Vec::new();
    for number in 0..files {
        let full = number % FILES_PER_FULL == 0;
        let size = if full { CONTENT_BYTES } else { 0 };
        let path = format!("archive/d{}/f{number}", number / FILES_PER_DIRECTORY);
        let mut header = [0; 512];
        let mut put = |at: usize, text: &str| {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        put(0, &path);
        put(100, "0000644\x000000000\x000000000\0");
        put(124, &format!("{size:011o}\x0014000000000\0"));
        put(148, "        0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        header[148..148 + sum.len()].copy_from_slice(sum.as_bytes());
        out.extend_from_slice(&header);
        if full {
            out.extend_from_slice(&[b'c'; 512][..CONTENT_BYTES as usize]);
            out.resize(out.len().next_multiple_of(512), 0);
        }
    }
    out.resize(out.len() + 1024, 0);
    out
}
