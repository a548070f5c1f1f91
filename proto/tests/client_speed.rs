//! Time to read a request and write its reply, for the messages that a busy master sees most.
//!
//! `cargo test --release -p proto --test client_speed -- --ignored --nocapture`

#![allow(clippy::unwrap_used, reason = "in tests a failure is a panic")]

use std::hint::black_box;
use std::time::Instant;

use proto::client::attributes::{Getattr, Setattr, set};
use proto::client::chunks::{Location, Server};
use proto::client::create::{Create, CreateReply};
use proto::client::lookup::{Lookup, LookupReply};
use proto::client::remove::{Remove, RemoveReply};
use proto::client::{AttrReply, Credentials, Gids, List, Message, kind};
use proto::frame::{CLIENT_PAYLOAD_MAX, put_frame, split_frame};
use proto::{Attr, ChunkId, ChunkVersion, Inode, NodeKind, Version};

const CLIENT: Version = Version::CURRENT;
const BATCH: usize = 1000;
const ROUNDS: u32 = 200;

const ATTR: Attr = Attr {
    flags: 0x0c,
    kind: NodeKind::File,
    mode: 0o644,
    uid: 1000,
    gid: 1000,
    atime: 1_795_400_794,
    mtime: 1_795_400_794,
    ctime: 1_795_400_794,
    nlink: 1,
    length: 100,
    winattr: 0,
};

const SERVERS: [Server; 2] = [Server {
    ip: std::net::Ipv4Addr::LOCALHOST,
    port: 9422,
    version: CLIENT,
    labels: 0,
}; 2];

/// Nanoseconds for one request: the best of many batches.
fn measure(request: &dyn Fn(&mut Vec<u8>), answer: &dyn Fn(&[u8], &mut Vec<u8>)) -> u128 {
    let mut input = Vec::new();
    for _ in 0..BATCH {
        put_frame(&mut input, kind::LOOKUP, request);
    }
    let mut out = Vec::with_capacity(BATCH * 256);
    (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            out.clear();
            let mut rest = &input[..];
            while let Some(frame) = split_frame(rest, CLIENT_PAYLOAD_MAX).unwrap() {
                answer(frame.payload, &mut out);
                rest = &rest[frame.consumed..];
            }
            black_box(&out);
            start.elapsed().as_nanos() / BATCH as u128
        })
        .min()
        .unwrap()
}

/// Reads a message and writes another, in a packet of its own.
macro_rules! pair {
    ($request:expr, $type:ty, $kind:expr, $reply:expr) => {
        measure(&|out| $request.encode(CLIENT, out), &|payload, out| {
            let request = black_box(<$type>::decode(black_box(payload), CLIENT).unwrap());
            let reply = black_box($reply(request.msgid));
            put_frame(out, kind::reply($kind), |out| reply.encode(CLIENT, out));
        })
    };
}

#[test]
#[ignore = "measures time; meaningful in release builds only"]
fn reading_and_answering_is_far_below_a_microsecond() {
    let caller = Credentials {
        uid: 1000,
        gids: Gids::listed(&[1000, 4, 24, 27]),
    };
    let (parent, name, inode) = (Inode(14), &b"some-file.txt"[..], Inode(15));
    let attr = ATTR;
    let lookup = Lookup {
        msgid: 1,
        parent,
        name,
        caller,
    };
    let chunk = Location {
        chunk: ChunkId(4),
        version: ChunkVersion(1),
        servers: List::Values(&SERVERS),
    };
    let times = [
        (
            "lookup",
            pair!(lookup, Lookup, kind::LOOKUP, |msgid| LookupReply {
                msgid,
                inode,
                attr,
                flags: 0xff,
                chunk: None
            }),
        ),
        (
            "lookup, one chunk",
            pair!(lookup, Lookup, kind::LOOKUP, |msgid| LookupReply {
                msgid,
                inode,
                attr,
                flags: 0xff,
                chunk: Some(chunk)
            }),
        ),
        (
            "getattr",
            pair!(
                Getattr {
                    msgid: 1,
                    inode,
                    opened: false,
                    caller: Some((0, 0))
                },
                Getattr,
                kind::GETATTR,
                |msgid| AttrReply { msgid, attr }
            ),
        ),
        (
            "setattr",
            pair!(
                Setattr {
                    msgid: 1,
                    inode,
                    opened: false,
                    caller,
                    mask: set::MODE,
                    mode: 0o600,
                    uid: 0,
                    gid: 0,
                    atime: 0,
                    mtime: 0,
                    winattr: 0,
                    sugid_clear: 4
                },
                Setattr,
                kind::SETATTR,
                |msgid| AttrReply { msgid, attr }
            ),
        ),
        (
            "create",
            pair!(
                Create {
                    msgid: 1,
                    parent,
                    name,
                    mode: 0o644,
                    umask: 0o22,
                    caller
                },
                Create,
                kind::CREATE,
                |msgid| CreateReply {
                    msgid,
                    flags: 0,
                    inode,
                    attr
                }
            ),
        ),
        (
            "unlink",
            pair!(
                Remove {
                    msgid: 1,
                    parent,
                    name,
                    caller
                },
                Remove,
                kind::UNLINK,
                |msgid| RemoveReply { msgid, inode }
            ),
        ),
    ];
    for (name, nanoseconds) in times {
        println!("{name:20} {nanoseconds} ns");
    }
    for (name, nanoseconds) in times {
        assert!(nanoseconds < 100, "{name}: {nanoseconds} ns");
    }
}
