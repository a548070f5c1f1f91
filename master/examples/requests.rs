//! What single requests cost without sockets: nanoseconds of processor time for each message that
//! goes through the core, decoding and encoding included.
//!
//! `cargo run --release -p master --example requests`

use master::core::{Core, Now};
use master::exports;
use master::links::{LinkId, Port};
use master::settings::Settings;
use metadata::Namespace;
use proto::client::create::Create;
use proto::client::lookup::Lookup;
use proto::client::register::Register;
use proto::client::{Credentials, Gids, InodeRequest, Message, kind};
use proto::version::Version;
use proto::{ChunkId, Inode};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Instant;

const FILES: u32 = 200_000;
const ROUNDS: u32 = 2_000_000;

struct NoNames;

impl exports::Names for NoNames {
    fn user(&self, _name: &str) -> Option<(u32, u32)> {
        None
    }
    fn group_of(&self, _uid: u32) -> Option<u32> {
        None
    }
    fn group(&self, _name: &str) -> Option<u32> {
        None
    }
}

/// Sends `count` messages in batches of 16 and tells what one costs.
fn measure(
    core: &mut Core,
    link: LinkId,
    what: &str,
    kind: u32,
    count: u32,
    mut payload: impl FnMut(u32, &mut Vec<u8>),
) {
    let mut buffer = Vec::new();
    let started = Instant::now();
    for number in 0..count {
        buffer.clear();
        payload(number, &mut buffer);
        core.frame(link, Port::Client, kind, &buffer);
        if number % 16 == 15 {
            core.links.seal(0, 0);
            core.links.release(0);
            let length = core.links.sendable(link).len();
            core.links.sent(link, length);
            core.out.lines.clear();
        }
    }
    let nanoseconds = started.elapsed().as_nanos() / u128::from(count);
    println!("{what:12} {nanoseconds:5} ns");
}

fn main() {
    let now = Now {
        unix: 1_800_000_000,
        unix_micros: 1_800_000_000_000_000,
        mono_ms: 0,
    };
    let Ok(namespace) = Namespace::new(1, now.unix) else {
        return;
    };
    let mut core = Core::new(namespace, Settings::default(), now, 1);
    let exports = exports::parse(b"* / rw,alldirs,admin,maproot=0:0\n", &NoNames);
    master::client::set_exports(&mut core, exports.entries);
    let peer = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1);
    let link = core.accepted(Port::Client, peer);
    let mut registration = Vec::new();
    Register::NewSession {
        version: Version::CURRENT,
        info: b"/mnt",
        path: b"/",
        resume: None,
        passcode: None,
    }
    .encode(&mut registration);
    core.frame(link, Port::Client, kind::REGISTER, &registration);

    let caller = Credentials {
        uid: 0,
        gids: Gids::listed(&[0]),
    };
    let name = |number: u32| format!("file{number:06}");
    measure(
        &mut core,
        link,
        "CREATE",
        kind::CREATE,
        FILES,
        |number, out| {
            let name = name(number);
            let create = Create {
                msgid: number,
                parent: Inode::ROOT,
                name: name.as_bytes(),
                mode: 0o644,
                umask: 0,
                caller,
            };
            create.encode(Version::CURRENT, out);
        },
    );
    let spread = |number: u32| number.wrapping_mul(2_654_435_761) % FILES;
    measure(
        &mut core,
        link,
        "LOOKUP",
        kind::LOOKUP,
        ROUNDS,
        |number, out| {
            let name = name(spread(number));
            let lookup = Lookup {
                msgid: number,
                parent: Inode::ROOT,
                name: name.as_bytes(),
                caller,
            };
            lookup.encode(Version::CURRENT, out);
        },
    );
    measure(
        &mut core,
        link,
        "GETATTR",
        kind::GETATTR,
        ROUNDS,
        |number, out| {
            let getattr = InodeRequest {
                msgid: number,
                inode: Inode(2 + spread(number)),
            };
            getattr.encode(Version::CURRENT, out);
        },
    );
    assert_eq!(core.ns.file_chunk(Inode(2), 0), ChunkId::HOLE);
}
