//! Ours and MooseFS's master in one interleaved run, as ratios, with CPU time.

mod load;
mod memory;
mod request;
mod rows;
mod save;
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
        /// `CHANGELOG_SAVE_MODE` of our master; the real one runs with its default, 0.
        #[arg(long, default_value_t = 0)]
        save_mode: u8,
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
    /// Reply times under a paced load while the image of the full hour is written.
    Save {
        /// Files to create, in millions.
        #[arg(long, default_value_t = 1)]
        millions: u32,
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
            save_mode,
            ours_only,
        } => measure_rows(
            rounds,
            Duration::from_secs_f64(seconds),
            only,
            save_mode,
            ours_only,
        ),
        What::Memory {
            millions,
            ours_only,
        } => memory::report(millions, ours_only),
        What::Save {
            millions,
            ours_only,
        } => save::report(millions, ours_only),
    }
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

fn measure_rows(
    rounds: u32,
    time: Duration,
    only: Option<String>,
    save_mode: u8,
    ours_only: bool,
) -> Result<()> {
    let targets = targets(&format!("CHANGELOG_SAVE_MODE = {save_mode}\n"), ours_only)?;
    let mut trees = Vec::new();
    for target in &targets {
        trees.push(rows::Tree::build(target)?);
    }
    println!(
        "| operation | conns | window | master | ops/s | µs CPU/op | p50 µs | p99 µs | longest ms | rate ratio | CPU ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let wanted = |operation: &str| {
        only.as_ref()
            .is_none_or(|list| list.split(',').any(|name| name == operation))
    };
    for operation in rows::OPERATIONS
        .into_iter()
        .filter(|operation| wanted(operation))
    {
        for shape in rows::SHAPES {
            let mut samples = vec![Vec::new(); targets.len()];
            for _ in 0..rounds {
                for (index, target) in targets.iter().enumerate() {
                    samples[index].push(trees[index].measure(target, operation, shape, time)?);
                }
            }
            let first = rows::median(&samples[0]);
            for (target, samples) in targets.iter().zip(&samples) {
                let row = rows::median(samples);
                println!(
                    "| {operation} | {} | {} | {} | {:.1}k | {:.2} | {} | {} | {:.1} | {:.2} | {:.2} |",
                    shape.connections,
                    shape.window,
                    target.name,
                    row.rate / 1e3,
                    row.cpu_micros,
                    row.p50_micros,
                    row.p99_micros,
                    row.longest_micros as f64 / 1e3,
                    row.rate / first.rate,
                    row.cpu_micros / first.cpu_micros,
                );
            }
        }
    }
    Ok(())
}
