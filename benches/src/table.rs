//! The table of operations: which rows are measured, how often, and how they are printed.

use crate::rows::{OPERATIONS, SHAPES, Sample, Tree, median};
use anyhow::Result;
use std::time::Duration;

/// What is measured.
#[derive(Debug)]
pub struct Plan {
    /// Interleaved rounds; the medians are reported.
    pub rounds: u32,
    /// Time of each measurement.
    pub time: Duration,
    /// Only these operations, separated by commas.
    pub only: Option<String>,
    /// Only these shapes, as `CONNECTIONSxWINDOW`, separated by commas.
    pub shapes: Option<String>,
    /// `CHANGELOG_SAVE_MODE` of our master.
    pub save_mode: u8,
    /// Whether load generator and master have processors of their own.
    pub pinned: bool,
    /// Leave the real master out.
    pub ours_only: bool,
}

fn wanted(list: Option<&String>, name: &str) -> bool {
    list.is_none_or(|list| list.split(',').any(|listed| listed == name))
}

/// Measures all rows and prints them as they are done.
pub fn report(plan: &Plan) -> Result<()> {
    let cfg = format!("CHANGELOG_SAVE_MODE = {}\n", plan.save_mode);
    let mut targets = crate::targets(&cfg, plan.ours_only)?;
    if plan.pinned {
        for target in &mut targets {
            target.pin()?;
        }
    }
    let mut trees = Vec::new();
    for target in &targets {
        trees.push(Tree::build(target)?);
    }
    println!(
        "| operation | conns | window | master | ops/s | µs CPU/op | p50 µs | p99 µs | longest ms | rate ratio | CPU ratio |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for operation in OPERATIONS
        .into_iter()
        .filter(|operation| wanted(plan.only.as_ref(), operation))
    {
        for shape in SHAPES {
            let name = format!("{}x{}", shape.connections, shape.window);
            if !wanted(plan.shapes.as_ref(), &name) {
                continue;
            }
            let mut samples = vec![Vec::new(); targets.len()];
            for _ in 0..plan.rounds {
                for (index, target) in targets.iter().enumerate() {
                    samples[index].push(trees[index].measure(target, operation, shape, plan.time)?);
                }
            }
            let medians: Vec<Sample> = samples.iter().map(|samples| median(samples)).collect();
            for (target, row) in targets.iter().zip(&medians) {
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
                    row.rate / medians[0].rate,
                    row.cpu_micros / medians[0].cpu_micros,
                );
            }
        }
    }
    Ok(())
}
