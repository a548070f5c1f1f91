//! The requests that the load generator sends, as a 3.0.117 mount would.

use anyhow::{Context, Result, bail};
use proto::frame::put_frame;
use proto::wire::Put;
use proto::{Inode, Status};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Appends one request.
pub trait Maker {
    /// The request number `number` of connection `connection`.
    fn make(&mut self, out: &mut Vec<u8>, msgid: u32, connection: usize, number: u64);
}

impl<F: FnMut(&mut Vec<u8>, u32, usize, u64)> Maker for F {
    fn make(&mut self, out: &mut Vec<u8>, msgid: u32, connection: usize, number: u64) {
        self(out, msgid, connection, number);
    }
}

/// What a packet from the master is to a load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A keep-alive or a push: nobody asked.
    Push,
    /// A reply with success.
    Answered,
    /// A reply with an error status.
    Refused,
}

/// Looks at a packet from the master.
pub fn classify(kind: u32, payload: &[u8]) -> Kind {
    match kind {
        0 | 702 | 703 | 706 => Kind::Push,
        _ if payload.len() == 5 && payload[4] != Status::Ok.wire() => Kind::Refused,
        _ => Kind::Answered,
    }
}

const BLOB: &[u8; 64] = b"DjI1GAQDULI5d2YjA26ypc3ovkhjvhciTQVx3CS4nYgtBoUcsljiVpsErJENHaw0";
const VERSION: u32 = 0x0003_00EA;

/// Registers a new session on a connection.
pub fn register(stream: &mut TcpStream) -> Result<()> {
    let mut out = Vec::new();
    put_frame(&mut out, 400, |out| {
        out.put_bytes(BLOB);
        out.put_u8(2);
        out.put_u32(VERSION);
        out.put_long_bytes(b"/bench\0");
        out.put_long_bytes(b"/\0");
    });
    stream.write_all(&out)?;
    let reply = read_packet(stream)?;
    if reply.1.len() < 13 {
        bail!("registration refused: {reply:?}");
    }
    Ok(())
}

/// Sends one request and waits for its reply's payload, which has to be a success.
pub fn ask(stream: &mut TcpStream, packet: &[u8]) -> Result<Vec<u8>> {
    stream.write_all(packet)?;
    receive(stream)
}

/// Sends `count` requests at once and waits for their replies, which have to be successes. Requests
/// and replies have to fit into the kernel's buffers.
pub fn ask_all(stream: &mut TcpStream, packets: &[u8], count: usize) -> Result<Vec<Vec<u8>>> {
    stream.write_all(packets)?;
    (0..count).map(|_| receive(stream)).collect()
}

fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    loop {
        let (kind, payload) = read_packet(stream)?;
        match classify(kind, &payload) {
            Kind::Push => {}
            Kind::Answered => return Ok(payload),
            Kind::Refused => bail!(
                "refused: {}",
                Status::from_wire(payload[4]).map_or("unknown", Status::text)
            ),
        }
    }
}

fn read_packet(stream: &mut TcpStream) -> Result<(u32, Vec<u8>)> {
    let mut header = [0; 8];
    stream
        .read_exact(&mut header)
        .context("the master closed the connection")?;
    let [a, b, c, d, e, f, g, h] = header;
    let kind = u32::from_be_bytes([a, b, c, d]);
    let length = u32::from_be_bytes([e, f, g, h]);
    let mut payload = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut payload)?;
    Ok((kind, payload))
}

fn root(out: &mut Vec<u8>) {
    out.put_u32(0);
    out.put_u32(1);
    out.put_u32(0);
}

/// LOOKUP 406.
pub fn lookup(out: &mut Vec<u8>, msgid: u32, parent: Inode, name: &[u8]) {
    put_frame(out, 406, |out| {
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        root(out);
    });
}

/// GETATTR 408.
pub fn getattr(out: &mut Vec<u8>, msgid: u32, inode: Inode) {
    put_frame(out, 408, |out| {
        out.put_u32(msgid);
        out.put(inode);
        out.put_u8(0);
        out.put_u32(0);
        out.put_u32(0);
    });
}

/// SETATTR 410 of the mode.
pub fn set_mode(out: &mut Vec<u8>, msgid: u32, inode: Inode, mode: u16) {
    put_frame(out, 410, |out| {
        out.put_u32(msgid);
        out.put(inode);
        out.put_u8(0);
        root(out);
        out.put_u8(2);
        out.put_u16(mode);
        for _ in 0..4 {
            out.put_u32(0);
        }
        out.put_u8(0);
        out.put_u8(4);
    });
}

/// CREATE 482.
pub fn create(out: &mut Vec<u8>, msgid: u32, parent: Inode, name: &[u8]) {
    put_frame(out, 482, |out| {
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        out.put_u16(0o644);
        out.put_u16(0o022);
        root(out);
    });
}

/// MKNOD 416 of a file.
pub fn mknod(out: &mut Vec<u8>, msgid: u32, parent: Inode, name: &[u8]) {
    put_frame(out, 416, |out| {
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        out.put_u8(1);
        out.put_u16(0o644);
        out.put_u16(0o022);
        root(out);
        out.put_u32(0);
    });
}

/// MKDIR 418.
pub fn mkdir(out: &mut Vec<u8>, msgid: u32, parent: Inode, name: &[u8]) {
    put_frame(out, 418, |out| {
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        out.put_u16(0o755);
        out.put_u16(0o022);
        root(out);
        out.put_u8(0);
    });
}

/// UNLINK 420.
pub fn unlink(out: &mut Vec<u8>, msgid: u32, parent: Inode, name: &[u8]) {
    put_frame(out, 420, |out| {
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        root(out);
    });
}

/// RENAME 424 inside one directory.
pub fn rename(out: &mut Vec<u8>, msgid: u32, parent: Inode, from: &[u8], to: &[u8]) {
    put_frame(out, 424, |out| {
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(from);
        out.put(parent);
        out.put_name(to);
        root(out);
    });
}

/// READDIR 428 of everything, without attributes.
pub fn readdir(out: &mut Vec<u8>, msgid: u32, inode: Inode) {
    put_frame(out, 428, |out| {
        out.put_u32(msgid);
        out.put(inode);
        root(out);
        out.put_u8(0);
        out.put_u32(u32::MAX);
        out.put_u64(0);
    });
}
