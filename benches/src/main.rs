//! Ours and MooseFS's master in one interleaved run, as ratios, with CPU time.

mod archive;
mod data;
mod load;
mod memory;
mod mounts;
mod request;
mod rows;
mod save;
mod table;
mod target;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use lab::Program;
use std::time::Duration;
use target::Target;

#[derive(Parser)]
#[command(about, name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Rate and CPU of each operation at 1, 8 and 64 connections with 1 and 16 requests in flight.
    Rows {
        /// Interleaved rounds; the medians are reported.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Seconds of each measurement.
        #[arg(long, default_value_t = 0.7)]
        seconds: f64,
        /// Only these operations, separated by commas.
        #[arg(long)]
        only: Option<String>,
        /// Only these shapes, as `CONNECTIONSxWINDOW`, separated by commas.
        #[arg(long)]
        shapes: Option<String>,
        /// `CHANGELOG_SAVE_MODE` of our master; the real one runs with its default, 0.
        #[arg(long, default_value_t = 0)]
        save_mode: u8,
        /// Give the load generator a processor of its own and the others to the master.
        #[arg(long)]
        pinned: bool,
        /// Leave the real master out.
        #[arg(long)]
        ours_only: bool,
    },
    /// Memory after growing and after loading, image size, load and save times.
    Memory {
        /// Files to create, in millions.
        #[arg(long, default_value_t = 1)]
        millions: u32,
        /// Leave the real master out.
        #[arg(long)]
        ours_only: bool,
    },
    /// Unpack, list and remove an archive of small files through a mount.
    Archive {
        /// Files in it.
        #[arg(long, default_value_t = 10_000)]
        files: u32,
        /// Leave the real master out.
        #[arg(long)]
        ours_only: bool,
    },
    /// Chunkservers: reading, writing, chains, random access, alone and through a mount.
    Data {
        /// Interleaved rounds; the medians are reported.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Volume of each sequential step, MiB.
        #[arg(long, default_value_t = 512)]
        mebibytes: u32,
        /// Keep the chunks on the system's disk instead of in memory.
        #[arg(long)]
        on_disk: bool,
    },
    /// Every table of docs/performance.md: about 12 minutes, with --large about 20.
    All {
        /// With 10 million files, too: needs 4 GB of memory and 6 GB of disk.
        #[arg(long)]
        large: bool,
    },
    /// Our mfsmount and MooseFS's on the same cluster of MooseFS's servers.
    Mounts {
        /// Interleaved rounds; the medians are reported.
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// Files of the metadata rows.
        #[arg(long, default_value_t = 4000)]
        files: u32,
        /// MiB of the data rows.
        #[arg(long, default_value_t = 512)]
        mib: u32,
        /// Entries of the large directory.
        #[arg(long, default_value_t = 50_000)]
        entries: u32,
    },
    /// Reply times under a paced load while the image of the full hour is written.
    Save {
        /// Files to create, in millions.
        #[arg(long, default_value_t = 1)]
        millions: u32,
        /// Nothing is changed meanwhile: what the save itself takes of memory.
        #[arg(long)]
        quiet: bool,
        /// Leave the real master out.
        #[arg(long)]
        ours_only: bool,
    },
}

fn main() -> Result<()> {
    if let Some(why) = lab::missing() {
        bail!("{why}");
    }
    match Arguments::parse().what {
        What::Rows {
            rounds,
            seconds,
            only,
            shapes,
            save_mode,
            pinned,
            ours_only,
        } => table::report(&table::Plan {
            rounds,
            time: Duration::from_secs_f64(seconds),
            only,
            shapes,
            save_mode,
            pinned,
            ours_only,
        }),
        What::Memory {
            millions,
            ours_only,
        } => memory::report(millions, ours_only),
        What::Archive { files, ours_only } => archive::report(files, ours_only),
        What::Data {
            rounds,
            mebibytes,
            on_disk,
        } => data::report(rounds, mebibytes, on_disk),
        What::Mounts {
            rounds,
            files,
            mib,
            entries,
        } => mounts::report(&mounts::Plan {
            rounds,
            files,
            mib,
            entries,
        }),
        What::Save {
            millions,
            quiet,
            ours_only,
        } => save::report(millions, quiet, ours_only),
        What::All { large } => everything(large),
    }
}

/// Every table of docs/performance.md, in its order.
fn everything(large: bool) -> Result<()> {
    let rows = |save_mode, ours_only| table::Plan {
        rounds: if ours_only { 1 } else { 5 },
        time: Duration::from_millis(400),
        only: None,
        shapes: None,
        save_mode,
        pinned: !ours_only,
        ours_only,
    };
    table::report(&rows(0, false))?;
    table::report(&rows(2, true))?;
    archive::report(10_000, false)?;
    for millions in [1, 3] {
        memory::report(millions, false)?;
    }
    save::report(1, false, false)?;
    save::report(3, true, true)?;
    if large {
        memory::report(10, false)?;
        save::report(10, false, true)?;
    }
    Ok(())
}

/// The masters of a run: MooseFS's first, unless it is left out.
pub(crate) fn targets(cfg: &str, ours_only: bool) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    if !ours_only {
        targets.push(Target::start("MooseFS", Program::Debian, "")?);
    }
    targets.push(Target::start("ours", Program::master_from_env(), cfg)?);
    Ok(targets)
}
