//! Packets of port 9421 (wire-client-master).

#![allow(clippy::unwrap_used, reason = "in tests a failure is a panic")]

#[path = "support/allocation.rs"]
mod allocation;
#[path = "support/bytes.rs"]
mod bytes;
#[path = "support/client.rs"]
mod codec;
#[path = "support/mutation.rs"]
mod mutation;

use std::fmt::Write;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use codec::{Exchange, exchanges, recode};
use expect_test::expect_file;
use mutation::{Random, mutate};
use proto::Version;

/// Captured from the real master (wire-client-master §25).
const CAPTURED: &str = include_str!("vectors/client.txt");
/// Examples of the other sections, and forms that no capture has.
const SECTIONS: &str = include_str!("vectors/client-sections.txt");

/// What the fuzzer starts from: at most 256, since one byte of its input chooses.
static CORPUS: LazyLock<Vec<Exchange>> =
    LazyLock::new(|| exchanges(CAPTURED).chain(exchanges(SECTIONS)).collect());

/// Clients on both sides of every gate.
const CLIENTS: [Version; 12] = [
    Version::new(1, 6, 0),
    Version::new(1, 6, 21),
    Version::new(1, 6, 27),
    Version::new(1, 7, 32),
    Version::new(2, 0, 91),
    Version::new(3, 0, 9),
    Version::new(3, 0, 39),
    Version::new(3, 0, 74),
    Version::new(3, 0, 92),
    Version::new(3, 0, 112),
    Version::CURRENT,
    Version::new(4, 59, 2),
];

#[test]
fn packets_of_real_programs_read_and_write_back() {
    let mut decoded = String::new();
    for exchange in exchanges(CAPTURED).chain(exchanges(SECTIONS)) {
        let label = &exchange.label;
        writeln!(decoded, "# {label}").unwrap();
        for (kind, payload) in exchange.packets() {
            let mut out = Vec::new();
            let value = recode(kind, payload, exchange.client, exchange.request(), &mut out)
                .unwrap_or_else(|error| panic!("{label}: type {kind}: {error}"));
            assert_eq!(out, payload, "{label}: type {kind}: {value:?}");
            writeln!(decoded, "{kind} {value:?}").unwrap();
        }
    }
    expect_file!["vectors/client.decoded.txt"].assert_eq(&decoded);
}

#[test]
fn every_message_has_a_vector() {
    let seen: Vec<u32> = exchanges(CAPTURED)
        .chain(exchanges(SECTIONS))
        .flat_map(|exchange| exchange.packets().map(|(kind, _)| kind).collect::<Vec<_>>())
        .collect();
    let missing: Vec<u32> = codec::KINDS
        .iter()
        .copied()
        .filter(|kind| !seen.contains(kind))
        .collect();
    assert_eq!(missing, []);
}

/// Entry for a fuzzer: `data` is the number of a client version, of a vector, and its new payload.
///
/// Nothing may panic; decoding takes no memory; what is accepted encodes to something that decodes
/// and encodes to itself. Says whether it was accepted.
fn fuzz_client(data: &[u8]) -> bool {
    let [client, place, which, payload @ ..] = data else {
        return false;
    };
    let client = CLIENTS[usize::from(*client) % CLIENTS.len()];
    let exchange = &CORPUS[usize::from(*place) % CORPUS.len()];
    let packets: Vec<_> = exchange.packets().collect();
    let kind = packets[usize::from(*which) % packets.len()].0;

    let mut out = Vec::with_capacity(2 * payload.len() + 256);
    let before = allocation::allocated();
    let first = recode(kind, payload, client, exchange.request(), &mut out).is_ok();
    let taken = allocation::allocated() - before;
    assert!(
        taken <= 16 * payload.len() + 4096,
        "{kind} took {taken} bytes for {payload:02x?}"
    );
    if first {
        let mut again = Vec::new();
        recode(kind, &out, client, exchange.request(), &mut again).unwrap_or_else(|_| {
            panic!("{kind} of {client} refuses what it wrote: {payload:02x?} {out:02x?}")
        });
        assert_eq!(out, again, "{kind} of {client} for {payload:02x?}");
    }
    first
}

#[test]
fn damaged_packets_do_no_harm() {
    let mut random = Random::new();
    let end = Instant::now() + Duration::from_secs(2);
    let (mut rounds, mut accepted) = (0u64, 0u64);
    while rounds < 1_000_000 && Instant::now() < end {
        for place in 0..CORPUS.len() {
            let packets: Vec<_> = CORPUS[place].packets().collect();
            let which = random.below(packets.len());
            let mut payload = packets[which].1.to_vec();
            if random.below(16) == 0 {
                payload = (0..random.below(80))
                    .map(|_| random.below(256) as u8)
                    .collect();
            }
            for _ in 0..random.below(4) {
                mutate(&mut payload, &mut random);
            }
            let mut data = vec![random.below(CLIENTS.len()) as u8, place as u8, which as u8];
            data.extend(payload);
            rounds += 1;
            accepted += u64::from(fuzz_client(&data));
        }
    }
    assert!(
        accepted > rounds / 10,
        "{accepted} of {rounds} were accepted"
    );
}

#[test]
fn replies_differ_by_the_version_of_the_client() {
    // Sizes that wire-client-master §8.1 and §20.2 give, for the reply of the newest client.
    for (label, sizes) in [
        (
            "3.0.117 LOOKUP, empty file",
            &[("1.6.27", 0x2b), ("3.0.39", 0x2b), ("3.0.40", 0x2d)][..],
        ),
        ("3.0.117 CREATE", &[("3.0.112", 0x2c), ("3.0.92", 0x2b)]),
        (
            "3.0.117 UNLINK",
            &[("3.0.106", 5), ("3.0.107", 8), ("4.17.0", 5), ("4.18.0", 8)],
        ),
        ("3.0.117 RENAME", &[("1.6.20", 5), ("1.6.21", 0x2b)]),
        (
            "3.0.117 OPEN read/write",
            &[("1.6.8", 5), ("1.6.9", 0x27), ("3.0.112", 0x28)],
        ),
        (
            "3.0.117 TRUNCATE, shrinking a chunk",
            &[("3.0.112", 0x28), ("4.0.0", 0x30)],
        ),
        (
            "3.0.117 STATFS",
            &[
                ("3.0.101", 0x28),
                ("3.0.102", 0x30),
                ("4.8.0", 0x28),
                ("4.9.0", 0x30),
            ],
        ),
        (
            "3.0.117 QUOTACONTROL get",
            &[("3.0.8", 0x59), ("3.0.9", 0x5d)],
        ),
        (
            "3.0.117 CHECK counters",
            &[("1.6.22", 7), ("1.6.23", 0x30), ("3.0.30", 0x34)],
        ),
        (
            "3.0.117 GETSCLASS, named class",
            &[("3.0.74", 6), ("3.0.75", 15)],
        ),
        (
            "3.0.117 READ_CHUNK",
            &[("1.7.31", 0x24), ("3.0.9", 0x2d), ("3.0.10", 0x35)],
        ),
        ("3.0.117 REGISTER 3", &[("3.0.94", 1), ("3.0.95", 5)]),
        (
            "3.0.117 REGISTER 2",
            &[
                ("1.6.0", 13),
                ("1.6.1", 21),
                ("1.6.21", 25),
                ("1.6.26", 35),
                ("3.0.11", 43),
                ("3.0.72", 45),
                ("3.0.112", 49),
            ],
        ),
        (
            "3.0.117 REGISTER 5",
            &[("1.6.20", 5), ("1.6.21", 9), ("1.6.26", 19), ("3.0.11", 27)],
        ),
    ] {
        let exchange = exchanges(CAPTURED)
            .find(|each| each.label == label)
            .unwrap();
        let (kind, payload) = exchange.packets().nth(1).unwrap();
        for (client, size) in sizes {
            let mut out = Vec::new();
            codec::translate(
                kind,
                payload,
                exchange.request(),
                exchange.client,
                client.parse().unwrap(),
                &mut out,
            )
            .unwrap();
            assert_eq!(out.len(), *size, "{label} for {client}");
        }
    }
}
