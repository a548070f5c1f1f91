//! Packets of port 9419 (metadata-and-changelog §4).

mod support;

use expect_test::expect_file;
use proto::common::{GetVersion, VersionReply};
use proto::metalogger::{DownloadData, FromMetalogger, ToMetalogger};
use support::{Codecs, check_vectors, fuzz};

const VECTORS: &str = include_str!("vectors/metalogger.txt");

const CODECS: Codecs = &[
    ("logger>", codec!(FromMetalogger: direction)),
    ("master>", codec!(ToMetalogger: direction)),
    (
        "version<",
        codec!(VersionReply, to GetVersion { msgid: None }),
    ),
];

#[test]
fn packets_of_real_programs_read_and_write_back() {
    expect_file!["vectors/metalogger.decoded.txt"].assert_eq(&check_vectors(VECTORS, CODECS));
}

#[test]
fn damaged_packets_do_no_harm() {
    fuzz(VECTORS, CODECS);
}

#[test]
fn commercial_registrations_and_unknown_files_close() {
    for (kind, payload) in [
        (50, &b"\x03\0\x03\0\xea\0\x0a\0\0\0\0\0\0\0\0"[..]),
        (50, b"\x04\0\x03\0\xea\0\x0a"),
        (50, b"\x01\0\x03\0\xea\0\x0a\0"),
        (60, b"\x03"),
        (60, b""),
        (99, b""),
    ] {
        assert!(FromMetalogger::decode(kind, payload).is_err(), "{kind}");
    }
}

#[test]
fn a_block_knows_whether_it_is_intact() {
    let mut block = DownloadData::new(0, b"MFSM 2.0");
    assert!(block.is_intact());
    block.crc ^= 1;
    assert!(!block.is_intact());
}
