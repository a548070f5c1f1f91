//! The main job, shown on this machine: a cluster with our master, a mount, a tree copied in and
//! back, and what the operators' tools see. `--keep` leaves it running.

use anyhow::{Context, Result, bail};
use lab::{Cluster, ClusterOptions, differences, run, run_for};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Directories of which the first that exists is copied.
const SAMPLES: [&str; 3] = ["/usr/share/doc", "/usr/share/common-licenses", "/etc"];

fn main() -> Result<()> {
    let keep = std::env::args().any(|argument| argument == "--keep");
    if let Some(why) = lab::missing() {
        bail!("{why}");
    }
    println!("starting a master, three chunkservers and a metalogger in a network of their own");
    let mut cluster = Cluster::start(ClusterOptions {
        metalogger: true,
        metalogger_program: lab::Program::Ours,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(3)?;
    let mount = cluster.mount("mnt", &[])?;
    println!("mounted on {}", mount.display());

    let source = SAMPLES
        .iter()
        .map(Path::new)
        .find(|path| path.is_dir())
        .context("no directory to copy")?;
    let target = mount.join("copy");
    let began = Instant::now();
    run_for(
        Duration::from_secs(600),
        Command::new("cp").arg("-a").arg(source).arg(&target),
    )?
    .success()?;
    println!("copied {} in, {:.1?}", source.display(), began.elapsed());

    let again = cluster.mount("again", &["-o", "ro"])?;
    let began = Instant::now();
    let found = differences(source, &again.join("copy"))?;
    for difference in found.iter().take(20) {
        println!("  {difference}");
    }
    if !found.is_empty() {
        bail!(
            "{} differences between the original and the copy",
            found.len()
        );
    }
    println!(
        "read back through a second mount and equal, {:.1?}",
        began.elapsed()
    );
    cluster.unmount(&again)?;

    println!("\n$ mfsdirinfo {}", target.display());
    print!(
        "{}",
        run(cluster.command("mfsdirinfo").arg(&target))?.success()?
    );
    let sections = ["-SIN", "-SCS", "-SMS"];
    println!("\n$ mfscli {}", sections.join(" "));
    print!("{}", cluster.mfscli(&sections)?);
    if keep {
        cluster.keep();
        println!(
            "\nThe file system is yours at {}\n\
             tools run in its network: nsenter --net=/run/netns/{} mfscli -SIN -H {}\n\
             take it down: cargo xtask down",
            mount.display(),
            cluster.namespace.name(),
            lab::MASTER_IP
        );
    } else {
        cluster.unmount(&mount)?;
        println!("\neverything is taken down again; --keep would leave it to play with");
    }
    Ok(())
}
