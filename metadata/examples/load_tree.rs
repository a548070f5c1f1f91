//! Measures what an empty file costs: memory, creation, lookup, freezing.
//!
//! `cargo run --release -p metadata --example load_tree -- FILES`

use metadata::create::NewNode;
use metadata::{Caller, Namespace, Outbox, Tx};
use proto::{Inode, NodeKind, Status};
use std::time::Instant;

const FILES_PER_DIRECTORY: u32 = 1000;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse().ok());
    pages.unwrap_or(0) * 4096
}

/// Nanoseconds that this process was on a processor.
fn cpu_ns() -> u64 {
    let status = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = status.split(' ').next();
    first.and_then(|field| field.parse().ok()).unwrap_or(0)
}

fn node(kind: NodeKind) -> NewNode {
    NewNode {
        kind,
        mode: 0o644,
        umask: 0o022,
        rdev: 0,
        copy_sgid: false,
    }
}

fn main() -> Result<(), Status> {
    let files: u32 = std::env::args()
        .nth(1)
        .and_then(|argument| argument.parse().ok())
        .unwrap_or(1_000_000);
    let who = Caller::MASTER;
    let mut out = Outbox::default();
    let mut ns = Namespace::new(1, 1)?;
    let base = resident_bytes();
    let mut directories = Vec::new();
    let mut slowest = std::time::Duration::ZERO;
    let start = cpu_ns();
    for number in 0..files {
        let mut tx = Tx::new(2 + number / 100_000, &mut out);
        if number % FILES_PER_DIRECTORY == 0 {
            let name = format!("dir{number:07}");
            let mut parent = Inode::ROOT;
            for level in 0..3 {
                let name = format!("{name}.{level}");
                parent = ns.mknod(
                    &mut tx,
                    &who,
                    parent,
                    name.as_bytes(),
                    node(NodeKind::Directory),
                )?;
            }
            directories.push(parent);
        }
        let parent = directories[directories.len() - 1];
        let mut name = *b"file000000";
        for (place, digit) in name[4..].iter_mut().rev().zip(0..6) {
            *place = b'0' + (number % FILES_PER_DIRECTORY / 10u32.pow(digit) % 10) as u8;
        }
        let one = Instant::now();
        ns.mknod(&mut tx, &who, parent, &name, node(NodeKind::File))?;
        slowest = slowest.max(one.elapsed());
        out.lines.clear();
        out.events.clear();
    }
    let elapsed = cpu_ns() - start;
    println!(
        "create: {} ns each, slowest {:?}, {} bytes each",
        elapsed / u64::from(files),
        slowest,
        (resident_bytes() - base) / u64::from(files)
    );
    let start = cpu_ns();
    let mut found = 0u64;
    let mut seed = 1u64;
    const LOOKUPS: u64 = 2_000_000;
    for _ in 0..LOOKUPS {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let parent = directories[(seed >> 33) as usize % directories.len()];
        let mut name = *b"file000000";
        let number = (seed >> 20) as u32 % FILES_PER_DIRECTORY;
        for (place, digit) in name[4..].iter_mut().rev().zip(0..6) {
            *place = b'0' + (number / 10u32.pow(digit) % 10) as u8;
        }
        found += u64::from(ns.lookup(&who, parent, &name)?.inode.0);
    }
    println!("lookup: {} ns each ({found})", (cpu_ns() - start) / LOOKUPS);
    let start = Instant::now();
    let view = ns.freeze();
    println!("freeze: {:?}", start.elapsed());
    let start = Instant::now();
    let mut tx = Tx::new(9, &mut out);
    ns.mknod(&mut tx, &who, Inode::ROOT, b"after", node(NodeKind::File))?;
    println!("first change after it: {:?}", start.elapsed());
    drop(view);
    Ok(())
}
