//! Memory per file after growing and after loading, load and save times.

use crate::load::{End, Load};
use crate::request;
use crate::target::Target;
use anyhow::{Context, Result, ensure};
use proto::Inode;
use std::net::{SocketAddr, TcpStream};

/// Connections that create.
const CONNECTIONS: usize = 8;
/// Requests in flight on each.
const WINDOW: usize = 32;
/// Files in a directory.
const FILES: u64 = 1000;

/// Grows each master to `millions` of files, stops it, loads it again and prints a table.
pub fn report(millions: u32, ours_only: bool) -> Result<()> {
    println!(
        "| {millions} M files | MB empty | MB grown | bytes/file | stop s | image MB | load s | MB loaded | bytes/file | restart after kill s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let files = f64::from(millions) * 1e6;
    for target in crate::targets("CHANGELOG_SAVE_MODE = 0\n", ours_only)? {
        let empty = target.resident();
        grow(&target, u64::from(millions) * 1_000_000)?;
        let grown = target.resident();
        let stop = target.stop()?;
        let image = target.file_size("metadata.mfs");
        let load = target.start_again("start")?;
        let loaded = target.resident();
        target.kill()?;
        let restart = target.start_again("start -a")?;
        let per_file = |resident: u64| (resident as f64 - empty as f64) / files;
        println!(
            "| {} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} | {:.2} | {:.0} | {:.0} | {:.2} |",
            target.name,
            empty as f64 / 1e6,
            grown as f64 / 1e6,
            per_file(grown),
            stop.as_secs_f64(),
            image as f64 / 1e6,
            load.as_secs_f64(),
            loaded as f64 / 1e6,
            per_file(loaded),
            restart.as_secs_f64(),
        );
    }
    Ok(())
}

/// Makes files in directories of a thousand; directories have the lowest inode numbers.
pub fn grow(target: &Target, files: u64) -> Result<()> {
    target.inside(|address| {
        let directories = make_directories(address, files / FILES)?;
        let mut load = Load::connect(address, CONNECTIONS)?;
        let each = files / CONNECTIONS as u64;
        let outcome = load.run(
            WINDOW,
            End::Each(each),
            &mut |out: &mut Vec<u8>, msgid, c, n| {
                let number = c as u64 * each + n;
                let parent = directories[(number / FILES) as usize % directories.len()];
                request::mknod(out, msgid, parent, format!("f{number:09}").as_bytes());
            },
        )?;
        ensure!(
            outcome.refused == 0,
            "{} creates were refused",
            outcome.refused
        );
        Ok(())
    })
}

fn make_directories(address: SocketAddr, count: u64) -> Result<Vec<Inode>> {
    let mut stream = TcpStream::connect(address)?;
    request::register(&mut stream)?;
    let mut made = Vec::new();
    for number in 0..count {
        let mut out = Vec::new();
        request::mkdir(&mut out, 1, Inode::ROOT, format!("d{number:06}").as_bytes());
        let reply = request::ask(&mut stream, &out)?;
        let inode: [u8; 4] = reply.get(4..8).context("short reply")?.try_into()?;
        made.push(Inode(u32::from_be_bytes(inode)));
    }
    Ok(made)
}
