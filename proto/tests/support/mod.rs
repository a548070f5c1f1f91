//! Vectors of the specification as tests, and mutations of them as a fuzz test.
//!
//! A vector file has a line for each packet: the name of its codec, then the bytes in hexadecimal.
//! `00*36` repeats a byte, `ramp*8` repeats the bytes 00…ff, `"text"` stands for itself, `#`
//! starts a comment.

#![allow(clippy::unwrap_used, reason = "in tests a failure is a panic")]

mod allocation;
mod bytes;
mod mutation;

use std::fmt::{Debug, Write};
use std::time::{Duration, Instant};

use proto::frame::split_frame;
use proto::wire::Malformed;

use allocation::allocated;
use bytes::parse_bytes;
use mutation::{Random, mutate};

/// Decodes a payload, appends the encoded packet, and returns what was decoded.
pub type Codec = for<'a> fn(u32, &'a [u8], &mut Vec<u8>) -> Result<Box<dyn Debug + 'a>, Malformed>;

/// Codecs by the names that the vectors use.
pub type Codecs = &'static [(&'static str, Codec)];

/// A codec of messages with `decode(payload)` and `encode(out)`, given a type and what else
/// `decode` and `encode` take.
#[macro_export]
macro_rules! codec {
    ($type:ident) => {
        |kind, payload, out| {
            assert_eq!(
                kind,
                $type::KIND,
                "the line has another type than its codec"
            );
            let message = $type::decode(payload)?;
            message.encode(out);
            Ok(Box::new(message))
        }
    };
    ($type:ident: direction) => {
        |kind, payload, out| {
            let message = $type::decode(kind, payload)?;
            assert_eq!(message.kind(), kind);
            message.encode(out);
            Ok(Box::new(message))
        }
    };
    ($type:ident, to $request:expr) => {
        |kind, payload, out| {
            assert_eq!(
                kind,
                $type::KIND,
                "the line has another type than its codec"
            );
            let message = $type::decode(payload, $request)?;
            message.encode(out);
            Ok(Box::new(message))
        }
    };
    ($type:ident, form $form:expr) => {
        |kind, payload, out| {
            assert_eq!(
                kind,
                $type::KIND,
                "the line has another type than its codec"
            );
            let message = $type::decode(payload, $form)?;
            message.encode($form, out);
            Ok(Box::new(message))
        }
    };
    ($type:ident, tells form) => {
        |kind, payload, out| {
            assert_eq!(
                kind,
                $type::KIND,
                "the line has another type than its codec"
            );
            let (message, form) = $type::decode(payload)?;
            message.encode(form, out);
            Ok(Box::new((form, message)))
        }
    };
    ($type:ident, sessions $form:expr) => {
        |kind, payload, out| {
            assert_eq!(
                kind,
                $type::KIND,
                "the line has another type than its codec"
            );
            let list = $type::decode(payload, $form)?;
            $type::encode(list.counters, list.sessions.iter().copied(), $form, out);
            Ok(Box::new(list))
        }
    };
    ($type:ident, list of $form:expr) => {
        |kind, payload, out| {
            assert_eq!(
                kind,
                $type::KIND,
                "the line has another type than its codec"
            );
            let entries = $type::decode(payload, $form)?;
            $type::encode(entries.iter().copied(), $form, out);
            Ok(Box::new(entries))
        }
    };
}

struct Vector {
    line: usize,
    codec: Codec,
    packet: Vec<u8>,
}

impl Vector {
    fn kind(&self) -> u32 {
        u32::from_be_bytes([
            self.packet[0],
            self.packet[1],
            self.packet[2],
            self.packet[3],
        ])
    }
}

fn parse(text: &str, codecs: Codecs) -> Vec<Vector> {
    let mut vectors = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap().trim();
        if line.is_empty() {
            continue;
        }
        let (name, bytes) = line.split_once(' ').unwrap();
        let codec = codecs
            .iter()
            .find_map(|(codec, function)| (*codec == name).then_some(*function))
            .unwrap_or_else(|| panic!("line {}: no codec {name}", index + 1));
        vectors.push(Vector {
            line: index + 1,
            codec,
            packet: parse_bytes(bytes),
        });
    }
    vectors
}

/// Decodes every vector, checks that encoding gives it back, and returns what was decoded, a line
/// for each, for a snapshot.
pub fn check_vectors(text: &str, codecs: Codecs) -> String {
    let mut decoded = String::new();
    for vector in parse(text, codecs) {
        let frame = split_frame(&vector.packet, u32::MAX)
            .unwrap()
            .unwrap_or_else(|| panic!("line {}: the packet is longer than its bytes", vector.line));
        assert_eq!(frame.consumed, vector.packet.len(), "line {}", vector.line);
        let mut out = vec![0xee];
        let value = (vector.codec)(frame.kind, frame.payload, &mut out)
            .unwrap_or_else(|_| panic!("line {} is malformed", vector.line));
        assert_eq!(out[1..], vector.packet, "line {}: {value:?}", vector.line);
        let mut text = format!("{value:?}");
        if text.len() > 1200 {
            text.truncate(1200);
            text.push('…');
        }
        writeln!(decoded, "{text}").unwrap();
    }
    decoded
}

/// Feeds mutated vectors to their codecs for a short time. Nothing may panic; decoding must not
/// take memory out of proportion to the packet; what is accepted must encode to something that
/// decodes to the same.
pub fn fuzz(text: &str, codecs: Codecs) {
    let vectors = parse(text, codecs);
    let mut random = Random::new();
    let end = Instant::now() + Duration::from_millis(400);
    let (mut rounds, mut accepted) = (0u64, 0u64);
    let mut out = Vec::new();
    while rounds < 200_000 && Instant::now() < end {
        for vector in vectors.iter().filter(|vector| vector.packet.len() < 10_000) {
            let mut payload = vector.packet[8..].to_vec();
            for _ in 0..=random.below(3) {
                mutate(&mut payload, &mut random);
            }
            out.clear();
            // Encoding may take what decoding may; room for it is not counted.
            out.reserve(2 * payload.len() + 64);
            let before = allocated();
            let result = (vector.codec)(vector.kind(), &payload, &mut out);
            let allocated = allocated() - before;
            assert!(
                allocated <= 64 * payload.len() + 8192,
                "line {}: {allocated} bytes for a payload of {}: {payload:02x?}",
                vector.line,
                payload.len()
            );
            rounds += 1;
            if let Ok(value) = result {
                accepted += 1;
                let mut again = Vec::new();
                let second = (vector.codec)(vector.kind(), &out[8..], &mut again)
                    .unwrap_or_else(|_| panic!("line {}: {value:?}", vector.line));
                assert_eq!(out, again, "line {}: {second:?}", vector.line);
            }
        }
    }
    assert!(
        accepted > rounds / 100,
        "{accepted} of {rounds} were accepted"
    );
}
