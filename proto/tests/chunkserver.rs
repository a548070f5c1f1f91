//! Packets of ports 9420 and 9422 (chunkserver §2, §3, §8).

mod support;

use expect_test::expect_file;
use proto::chunkserver::{DataReply, DataRequest, FromChunkserver, FromMaster};
use support::{Codecs, check_vectors, fuzz};

const VECTORS: &str = include_str!("vectors/chunkserver.txt");

const CODECS: Codecs = &[
    ("server>", codec!(FromChunkserver: direction)),
    ("master>", codec!(FromMaster: direction)),
    ("data>", codec!(DataRequest: direction)),
    ("data<", codec!(DataReply: direction)),
];

#[test]
fn packets_of_real_programs_read_and_write_back() {
    expect_file!["vectors/chunkserver.decoded.txt"].assert_eq(&check_vectors(VECTORS, CODECS));
}

#[test]
fn damaged_packets_do_no_harm() {
    fuzz(VECTORS, CODECS);
}

/// The CRCs in the vectors are those of their data.
#[test]
fn data_packets_carry_the_crc_of_their_data() {
    let data: Vec<u8> = (0..8).flat_map(|_| 0..=255).chain(*b"END").collect();
    for (data, crc) in [
        (&data[..], 0x4cb1_c90d),
        (&[0; 36], 0x6ab6_b2d5),
        (&[0; 64], 0x758d_6336),
        (b"setver", 0x7f06_8a2a),
        (b"hello", 0x3610_a686),
        (b"dup", 0xb2d2_4661),
        (b"123456789", 0xcbf4_3926),
        (b"", 0),
        (&[0; 65536], 0xd797_8eeb),
        (&[1; 65536], 0x67ec_287e),
        (&[5; 65536], 0xcb91_b8e9),
    ] {
        assert_eq!(crc32fast::hash(data), crc);
    }
}
