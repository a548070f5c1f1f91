//! Registration and reports over frames (master-behaviour §6.2, chunkserver §2.4).

use super::command;
use crate::core::{Core, Now};
use crate::links::{LinkId, Port};
use crate::settings::Settings;
use metadata::server_table::ServerAddress;
use metadata::{Namespace, Tx};
use proto::admin::{ChunkserverAction, ServerState};
use proto::chunkserver::{
    Begin, ChunkNew, CreateStatus, Enrolment, FromMaster, Labels, MasterAck, Register,
    ReportedChunk, Space, Style, Usage, authentication_digest,
};
use proto::frame::split_frame;
use proto::list::List;
use proto::version::Version;
use proto::{ChunkId, ChunkVersion, CsId, MetaId, Status};
use std::net::{Ipv4Addr, SocketAddrV4};

const START: u32 = 1_700_000_000;

struct Master {
    core: Core,
    /// Bytes of each connection that were looked at.
    seen: std::collections::HashMap<LinkId, usize>,
}

impl Master {
    fn new(settings: Settings) -> Master {
        let mut ns = Namespace::new(1, START).unwrap();
        let mut out = metadata::Outbox::default();
        ns.set_metaid(&mut Tx::new(START, &mut out), MetaId(77));
        let mut master = Master {
            core: Core::new(ns, settings, now(1000), 5),
            seen: Default::default(),
        };
        master.core.tick();
        master
    }

    fn connection(&mut self, last: u8) -> LinkId {
        let peer = SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, last), 40_000);
        self.core.accepted(Port::Chunkserver, peer)
    }

    fn send(&mut self, link: LinkId, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = Vec::new();
        encode(&mut bytes);
        let frame = split_frame(&bytes, u32::MAX).unwrap().unwrap();
        let payload = frame.payload.to_vec();
        self.core
            .frame(link, Port::Chunkserver, frame.kind, &payload);
    }

    /// What the master sent on a connection since the last call: types and payloads.
    fn received(&mut self, link: LinkId) -> Vec<(u32, Vec<u8>)> {
        self.core.links.seal(0, 0);
        self.core.links.release(0);
        let seen = self.seen.entry(link).or_default();
        let mut input = self.core.links.sendable(link).get(*seen..).unwrap_or(&[]);
        let mut frames = Vec::new();
        while let Some(frame) = split_frame(input, u32::MAX).unwrap() {
            frames.push((frame.kind, frame.payload.to_vec()));
            *seen += frame.consumed;
            input = &input[frame.consumed..];
        }
        frames
    }

    fn ack(&mut self, link: LinkId) -> Option<MasterAck> {
        let frames = self.received(link);
        let (kind, payload) = frames.first()?;
        assert_eq!(*kind, MasterAck::KIND);
        Some(MasterAck::decode(payload).unwrap())
    }

    /// The whole registration of a server; its number, or `None` when it is refused.
    fn register(&mut self, link: LinkId, begin: Begin) -> Option<u16> {
        self.send(link, |out| Register::Begin(begin).encode(out));
        let Some(MasterAck::Accepted {
            agreed: Some(agreed),
            ..
        }) = self.ack(link)
        else {
            return None;
        };
        self.send(link, |out| {
            Register::Chunks(Style::New, List::EMPTY).encode(out);
        });
        assert_eq!(self.ack(link), Some(MasterAck::Continue));
        self.send(link, |out| Register::NewEnd.encode(out));
        Some(agreed.csid.0)
    }

    fn lines(&mut self) -> Vec<String> {
        let lines = self
            .core
            .out
            .lines
            .iter()
            .map(|(_, text)| String::from_utf8(text.to_vec()).unwrap())
            .map(|text| text.split_once('|').unwrap().1.to_owned())
            .collect();
        self.core.out.lines.clear();
        lines
    }

    fn advance(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            let next = now(self.core.now.mono_ms + 20);
            self.core.set_now(next);
            self.core.tick();
        }
    }
}

fn now(mono_ms: u64) -> Now {
    Now {
        unix: START + u32::try_from(mono_ms / 1000).unwrap(),
        unix_micros: (u64::from(START) * 1000 + mono_ms) * 1000,
        mono_ms,
    }
}

fn begin(last: u8, port: u16, csid: u16) -> Begin {
    Begin {
        version: Version::CURRENT,
        address: SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, last), port),
        timeout_s: 0,
        enrolment: Some(Enrolment {
            digest: None,
            csid: CsId(csid),
            space: Space::new(Usage::ZERO, Usage::ZERO),
        }),
    }
}

fn address(last: u8, port: u16) -> ServerAddress {
    ServerAddress {
        ip: Ipv4Addr::new(172, 21, 21, last),
        port,
    }
}

#[test]
fn a_new_server_gets_the_lowest_number_and_the_identity_of_the_file_system() {
    let mut master = Master::new(Settings::default());
    let link = master.connection(78);
    master.send(link, |out| {
        Register::Begin(begin(78, 9422, 0)).encode(out);
    });
    let frames = master.received(link);
    assert_eq!(
        frames,
        [(
            104,
            [
                &[0][..],
                &0x0003_00eau32.to_be_bytes(),
                &[0, 10, 0, 1],
                &77u64.to_be_bytes()
            ]
            .concat()
        )]
    );
    assert_eq!(
        master.lines(),
        ["CSDBOP(0,2887062862,9422,0)", "CSDBOP(3,2887062862,9422,1)"]
    );
    assert_eq!(master.core.chunks.progress(), 2, "registering");
    master.send(link, |out| Register::NewEnd.encode(out));
    assert_eq!(master.core.chunks.progress(), 0);
}

#[test]
fn identity_at_registration() {
    let mut master = Master::new(Settings::default());
    let first = master.connection(71);
    assert_eq!(master.register(first, begin(71, 9422, 0)), Some(1));
    let second = master.connection(72);
    assert_eq!(master.register(second, begin(72, 9422, 0)), Some(2));
    master.lines();

    // Address of a connected server: refused.
    let twin = master.connection(71);
    assert_eq!(master.register(twin, begin(71, 9422, 1)), None);
    assert!(master.core.links.is_closing(twin));
    // Number of a connected server under another address: a new number.
    let thief = master.connection(73);
    assert_eq!(master.register(thief, begin(73, 9422, 1)), Some(3));
    assert_eq!(
        master.lines(),
        ["CSDBOP(0,2887062857,9422,0)", "CSDBOP(3,2887062857,9422,3)"]
    );
    // Known and away, without a number: the same again.
    master.core.closed(second, Port::Chunkserver);
    let again = master.connection(72);
    assert_eq!(master.register(again, begin(72, 9422, 0)), Some(2));
    assert_eq!(master.lines(), Vec::<String>::new());
    // Known number, other address: it has moved.
    master.core.closed(again, Port::Chunkserver);
    let moved = master.connection(74);
    assert_eq!(master.register(moved, begin(74, 9423, 2)), Some(2));
    assert_eq!(master.lines(), ["CSDBOP(2,2887062858,9423,2)"]);
    // An unknown number that nobody has is kept.
    let foreign = master.connection(75);
    assert_eq!(master.register(foreign, begin(75, 9422, 40)), Some(40));
    assert_eq!(master.lines(), ["CSDBOP(0,2887062859,9422,40)"]);
}

#[test]
fn registrations_that_are_refused() {
    let loopback = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 3), 9422);
    for (what, refused, begin) in [
        (
            "localhost",
            true,
            Begin {
                address: loopback,
                ..begin(71, 9422, 0)
            },
        ),
        (
            "short timeout",
            true,
            Begin {
                timeout_s: 9,
                ..begin(71, 9422, 0)
            },
        ),
        (
            "timeout",
            false,
            Begin {
                timeout_s: 10,
                ..begin(71, 9422, 0)
            },
        ),
        (
            "old style without timeout",
            true,
            Begin {
                enrolment: None,
                ..begin(71, 9422, 0)
            },
        ),
    ] {
        let mut master = Master::new(Settings::default());
        let link = master.connection(71);
        master.send(link, |out| Register::Begin(begin).encode(out));
        assert_eq!(master.core.links.is_closing(link), refused, "{what}");
    }
}

#[test]
fn old_servers_are_known_by_their_address_only() {
    let mut master = Master::new(Settings::default());
    let link = master.connection(76);
    let old = Begin {
        version: Version::new(1, 6, 27),
        address: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 9422),
        timeout_s: 60,
        enrolment: None,
    };
    master.send(link, |out| Register::Begin(old).encode(out));
    let mut buffer = Vec::new();
    let copies = [ReportedChunk {
        chunk: ChunkId(9),
        version: ChunkVersion(1),
        marked_for_removal: false,
    }];
    master.send(link, |out| {
        Register::Chunks(Style::Old, List::write(copies, &mut buffer)).encode(out);
    });
    let space = Space::new(Usage::ZERO, Usage::ZERO);
    master.send(link, |out| Register::OldEnd(space).encode(out));
    assert_eq!(
        master.received(link),
        [],
        "such a server closes on an answer"
    );
    let held_to = master.core.now.unix + 604_800;
    assert_eq!(
        master.lines(),
        [
            "CSDBOP(0,2887062860,9422,0)".to_owned(),
            format!("CHUNKADD(9,1,{held_to})")
        ]
    );
    assert!(master.core.servers.is_connected(address(76, 9422)));
}

#[test]
fn the_secret_is_asked_for() {
    let mut settings = Settings::default();
    settings.auth_code = b"secret".to_vec();
    for (code, accepted) in [(&b"secret"[..], true), (b"wrong", false)] {
        let mut master = Master::new(settings.clone());
        let link = master.connection(71);
        let first = begin(71, 9422, 0);
        master.send(link, |out| Register::Begin(first).encode(out));
        let Some(MasterAck::Authenticate { challenge }) = master.ack(link) else {
            panic!("no challenge");
        };
        let digest = authentication_digest(&challenge, code);
        let proof = Begin {
            enrolment: first.enrolment.map(|enrolment| Enrolment {
                digest: Some(digest),
                ..enrolment
            }),
            ..first
        };
        assert_eq!(master.register(link, proof).is_some(), accepted);
        assert_eq!(master.core.links.is_closing(link), !accepted);
    }
}

#[test]
fn an_announced_end_is_maintenance_and_a_lost_connection_is_not() {
    let mut master = Master::new(Settings::default());
    let link = master.connection(71);
    master.register(link, begin(71, 9422, 0));
    master.lines();
    master.send(link, |out| Register::Disconnect.encode(out));
    let until = master.core.now.unix + 1800;
    assert_eq!(
        master.lines(),
        [format!("CSDBOP(6,2887062855,9422,{until})")]
    );
    let flags = super::entries(&master.core)[0].state.flags;
    assert_eq!(
        flags,
        ServerState::DISCONNECTED | ServerState::MAINTENANCE | ServerState::TEMPORARY
    );
    master.core.closed(link, Port::Chunkserver);
    let link = master.connection(71);
    master.register(link, begin(71, 9422, 1));
    assert_eq!(master.lines(), ["CSDBOP(5,2887062855,9422,0)"]);
    master.core.closed(link, Port::Chunkserver);
    assert_eq!(master.lines(), Vec::<String>::new());
    let flags = super::entries(&master.core)[0].state.flags;
    assert_eq!(flags, ServerState::DISCONNECTED);
}

#[test]
fn commands_about_servers() {
    let mut master = Master::new(Settings::default());
    let link = master.connection(71);
    master.register(link, begin(71, 9422, 0));
    master.lines();
    let order = |master: &mut Master, action, last| {
        let result = command(&mut master.core, action, address(last, 9422));
        (result, master.lines())
    };
    use ChunkserverAction as Do;
    for (action, last, result, line) in [
        (Do::REMOVE, 99, Err(Status::NotFound), None),
        (Do::REMOVE, 71, Err(Status::Active), None),
        (Do::BACK_TO_WORK, 71, Ok(()), None),
        (
            Do::MAINTENANCE_ON,
            71,
            Ok(()),
            Some("CSDBOP(4,2887062855,9422,0)"),
        ),
        (Do::MAINTENANCE_ON, 71, Ok(()), None),
        (
            Do::MAINTENANCE_OFF,
            71,
            Ok(()),
            Some("CSDBOP(5,2887062855,9422,0)"),
        ),
        (Do::TEMPORARY_REMOVE, 71, Err(Status::Einval), None),
    ] {
        let expected = line.map(str::to_owned).into_iter().collect();
        assert_eq!(
            order(&mut master, action, last),
            (result, expected),
            "{action:?}"
        );
    }
    master.core.closed(link, Port::Chunkserver);
    assert_eq!(
        order(&mut master, Do::REMOVE, 71),
        (Ok(()), vec!["CSDBOP(1,2887062855,9422,0)".to_owned()])
    );
}

#[test]
fn silence_ends_a_connection_and_the_master_is_not_silent() {
    let mut master = Master::new(Settings::default());
    let unregistered = master.connection(70);
    let link = master.connection(71);
    master.register(link, begin(71, 9422, 0));
    master.received(link);
    for _ in 0..4 {
        master.advance(3_000);
        master.core.links.heard(link);
    }
    assert!(master.core.links.is_closing(unregistered));
    assert!(master.core.links.is_open(link));
    let nops = master.received(link);
    assert!(
        nops.len() >= 3 && nops.iter().all(|(kind, _)| *kind == 0),
        "{nops:?}"
    );
    master.advance(10_500);
    assert!(master.core.links.is_closing(link));
    assert!(!master.core.servers.is_connected(address(71, 9422)));
}

#[test]
fn what_does_not_belong_here_closes_the_connection() {
    let mut master = Master::new(Settings::default());
    // Before the registration.
    let link = master.connection(71);
    master.send(link, |out| Labels { mask: 5 }.encode(out));
    assert!(master.core.links.is_closing(link));
    // Unknown types and wrong lengths.
    for (kind, payload) in [
        (4242, &[][..]),
        (110, &[0; 12]),
        (101, &[0; 17]),
        (251, &[0; 15]),
    ] {
        let link = master.connection(72);
        assert!(master.register(link, begin(72, 9422, 0)).is_some());
        master.core.frame(link, Port::Chunkserver, kind, payload);
        assert!(master.core.links.is_closing(link), "{kind}");
        master.core.closed(link, Port::Chunkserver);
    }
    // Reports about things that nobody knows do no harm.
    let link = master.connection(73);
    master.register(link, begin(73, 9422, 0));
    let status = CreateStatus {
        chunk: ChunkId(5),
        status: Status::Io,
    };
    master.send(link, |out| status.encode(out));
    master.send(link, |out| {
        ChunkNew {
            chunks: List::EMPTY,
        }
        .encode(out);
    });
    assert!(master.core.links.is_open(link));
    for (kind, payload) in master.received(link) {
        FromMaster::decode(kind, &payload).unwrap();
    }
}
