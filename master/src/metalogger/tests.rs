//! The room driven by frames.

use super::files::{Files, OpenFile};
use crate::core::{Core, Now};
use crate::links::{LinkId, Port};
use crate::settings::Settings;
use metadata::Namespace;
use proto::MetaVersion;
use proto::frame::split_frame;
use proto::metalogger::{
    DownloadEnd, DownloadFile, DownloadRequest, DownloadStart, MetaChange, Register, ToMetalogger,
};
use proto::version::Version;
use std::net::{Ipv4Addr, SocketAddrV4};

#[derive(Debug)]
struct Memory(Vec<u8>);

impl OpenFile for Memory {
    fn length(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        let offset = offset as usize;
        buffer.copy_from_slice(&self.0[offset..offset + buffer.len()]);
        Ok(())
    }
}

#[derive(Debug)]
struct OneImage;

impl Files for OneImage {
    fn open(&self, file: DownloadFile) -> Option<Box<dyn OpenFile>> {
        (file == DownloadFile::Metadata).then(|| Box::new(Memory(b"image".to_vec())) as _)
    }
}

fn connected() -> (Core, LinkId) {
    let mut core = Core::new(Namespace::default(), Settings::default(), Now::default(), 1);
    core.loggers.set_files(Box::new(OneImage));
    let link = core.accepted(
        Port::Metalogger,
        SocketAddrV4::new(Ipv4Addr::new(172, 21, 21, 80), 5000),
    );
    (core, link)
}

fn send(core: &mut Core, link: LinkId, encode: impl FnOnce(&mut Vec<u8>)) {
    let mut out = Vec::new();
    encode(&mut out);
    let frame = split_frame(&out, u32::MAX).unwrap().unwrap();
    core.frame(link, Port::Metalogger, frame.kind, frame.payload);
}

/// Everything that may leave, as text, and forgets it.
fn received(core: &mut Core, link: LinkId) -> Vec<String> {
    core.links.seal(0, 0);
    core.links.release(0);
    let bytes = core.links.sendable(link).to_vec();
    core.links.sent(link, bytes.len());
    let mut rest = &bytes[..];
    let mut seen = Vec::new();
    while let Some(frame) = split_frame(rest, u32::MAX).unwrap() {
        rest = &rest[frame.consumed..];
        seen.push(
            match ToMetalogger::decode(frame.kind, frame.payload).unwrap() {
                ToMetalogger::MetaChange(MetaChange::Line { version, text }) => {
                    format!("{version}:{}", String::from_utf8_lossy(text.0))
                }
                ToMetalogger::MetaChange(MetaChange::Rotate) => "rotate".to_owned(),
                ToMetalogger::DownloadInfo(info) => format!("length {:?}", info.length),
                ToMetalogger::DownloadData(data) => {
                    assert!(data.is_intact());
                    format!("data {}", String::from_utf8_lossy(data.data.0))
                }
                ToMetalogger::Nop(_) => "nop".to_owned(),
                other => format!("{other:?}"),
            },
        );
    }
    seen
}

fn line(core: &mut Core, version: u64) {
    core.out
        .lines
        .begin(MetaVersion(version))
        .extend_from_slice(b"5|UNLOCK(1)");
    core.out.lines.end();
    super::lines(core);
    core.out.lines.clear();
}

fn register(core: &mut Core, link: LinkId, first_wanted: Option<u64>) {
    let register = Register {
        version: Version(0x0003_00ea),
        timeout_s: 10,
        first_wanted: first_wanted.map(MetaVersion),
    };
    send(core, link, |out| register.encode(out));
}

#[test]
fn lines_go_to_registered_metaloggers_only() {
    let (mut core, link) = connected();
    line(&mut core, 7);
    assert!(received(&mut core, link).is_empty());
    register(&mut core, link, None);
    line(&mut core, 8);
    super::rotated(&mut core);
    assert_eq!(received(&mut core, link), ["8:5|UNLOCK(1)", "rotate"]);
}

#[test]
fn a_metalogger_that_comes_back_gets_what_it_missed_or_only_what_is_new() {
    for (wanted, expected) in [
        (8, vec!["8:5|UNLOCK(1)", "9:5|UNLOCK(1)"]),
        (9, vec!["9:5|UNLOCK(1)"]),
        (10, vec![]),
        (3, vec![]),
        (99, vec![]),
    ] {
        let (mut core, link) = connected();
        for version in 7..10 {
            line(&mut core, version);
        }
        register(&mut core, link, Some(wanted));
        assert_eq!(received(&mut core, link), expected, "from {wanted}");
    }
}

#[test]
fn files_are_read_in_blocks_before_registration_too() {
    let (mut core, link) = connected();
    let start = |file| move |out: &mut Vec<u8>| DownloadStart { file }.encode(out);
    send(&mut core, link, start(DownloadFile::Metadata));
    for (offset, length) in [(0, 3), (3, 2)] {
        send(&mut core, link, |out| {
            DownloadRequest { offset, length }.encode(out);
        });
    }
    send(&mut core, link, |out| DownloadEnd {}.encode(out));
    send(&mut core, link, start(DownloadFile::Changelog0));
    send(&mut core, link, start(DownloadFile::Sessions));
    assert_eq!(
        received(&mut core, link),
        [
            "length Some(5)",
            "data ima",
            "data ge",
            "length Some(0)",
            "length None"
        ]
    );
    assert!(core.links.is_open(link));
}

#[test]
fn what_no_layout_allows_closes_the_connection() {
    type Frame = (u32, &'static [u8]);
    let cases: [(&str, Frame); 5] = [
        ("unknown type", (9999, b"")),
        (
            "registration of a commercial program",
            (50, &[3, 0, 3, 0, 0xea, 0, 10]),
        ),
        ("no such file", (60, &[3])),
        ("block without an open file", (62, &[0; 12])),
        ("wrong length", (64, &[0])),
    ];
    for (what, (kind, payload)) in cases {
        let (mut core, link) = connected();
        core.frame(link, Port::Metalogger, kind, payload);
        assert!(!core.links.is_open(link), "{what}");
    }
    let (mut core, link) = connected();
    send(&mut core, link, |out| {
        DownloadStart {
            file: DownloadFile::Metadata,
        }
        .encode(out);
    });
    send(&mut core, link, |out| {
        DownloadRequest {
            offset: 3,
            length: 3,
        }
        .encode(out);
    });
    assert!(!core.links.is_open(link), "beyond the end");
}

#[test]
fn silence_gets_a_nop_and_then_the_end() {
    let (mut core, link) = connected();
    register(&mut core, link, None);
    for (mono_ms, expected) in [(3_000, vec![]), (3_500, vec!["nop"]), (5_000, vec![])] {
        core.set_now(Now {
            mono_ms,
            ..Now::default()
        });
        super::tick(&mut core);
        assert_eq!(received(&mut core, link), expected, "after {mono_ms} ms");
    }
    core.set_now(Now {
        mono_ms: 10_100,
        ..Now::default()
    });
    super::tick(&mut core);
    assert!(!core.links.is_open(link));
}
