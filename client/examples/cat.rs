//! Prints a file of a MooseFS cluster without mounting it: `cat HOST[:PORT] /path/of/file`.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use client::{Caller, DataOptions, FileSystem, Session, SessionOptions};
use proto::Inode;

/// Bytes of one read.
const PIECE: u32 = 1 << 20;

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: cat HOST[:PORT] /path/of/file";
    let master = arguments.next().context(usage)?;
    let path = arguments.next().context(usage)?;
    let (host, port) = master.split_once(':').unwrap_or((&master, "9421"));

    let session = Session::connect(SessionOptions {
        host: host.to_owned(),
        port: port.parse().context(usage)?,
        info: "cat".to_owned(),
        ..SessionOptions::default()
    })
    .await?;
    let caller = Caller::current();
    let mut inode = Inode(1);
    for name in path.split('/').filter(|name| !name.is_empty()) {
        let found = session.lookup(inode, name.as_bytes(), &caller).await;
        inode = found.with_context(|| name.to_owned())?.node.inode;
    }

    let fs = FileSystem::new(session.clone(), DataOptions::default());
    let (file, _) = fs.open(inode, libc::O_RDONLY as u32, &caller).await?;
    let mut offset = 0;
    loop {
        let pieces = file.read_at(offset, PIECE).await?;
        if pieces.is_empty() {
            break;
        }
        for piece in pieces {
            offset += piece.len() as u64;
            std::io::stdout().write_all(&piece)?;
        }
    }
    file.close().await?;
    session.close().await;
    Ok(())
}
