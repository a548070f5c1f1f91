//! Packets: `type:32 length:32 data[length]` (wire-client-master §1.1).
//!
//! Packets are written straight into an output buffer that may hold a whole batch, and cut out of
//! an input buffer without copying.

use crate::status::Status;
use crate::wire::Put;

/// Bytes of type and length before the payload.
pub const HEADER_LEN: usize = 8;

/// Largest `length` that the master accepts from a client (wire-client-master §1.1).
pub const CLIENT_PAYLOAD_MAX: u32 = 50_000_000;

/// Place of a packet that is being written, from [`begin_frame`] to [`end_frame`].
#[derive(Debug)]
#[must_use = "the packet has no length until end_frame"]
pub struct FrameMark {
    start: usize,
}

impl FrameMark {
    /// Takes the unfinished packet out of the buffer again.
    pub fn cancel(self, out: &mut Vec<u8>) {
        out.truncate(self.start);
    }
}

/// Appends a header of type `kind`; the payload follows, then [`end_frame`].
#[inline]
pub fn begin_frame(out: &mut Vec<u8>, kind: u32) -> FrameMark {
    let start = out.len();
    out.put_u64(u64::from(kind) << 32);
    FrameMark { start }
}

/// Writes the length of everything appended since [`begin_frame`] into the header.
///
/// A payload of 4 GiB or more, which no message has, would get a wrong length.
#[inline]
pub fn end_frame(out: &mut [u8], mark: FrameMark) {
    let payload = mark.start + HEADER_LEN;
    debug_assert!(payload <= out.len(), "the buffer was cut inside a packet");
    let length = u32::try_from(out.len().saturating_sub(payload)).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(mark.start + 4..payload) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a packet whose payload `body` writes.
#[inline]
pub fn put_frame(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let mark = begin_frame(out, kind);
    body(out);
    end_frame(out, mark);
}

/// Appends the reply `msgid:32 status:8` of type `kind` (the reply's type, odd).
#[inline]
pub fn put_status(out: &mut Vec<u8>, kind: u32, msgid: u32, status: Status) {
    let mut packet = [0; HEADER_LEN + 5];
    packet[..4].copy_from_slice(&kind.to_be_bytes());
    packet[7] = 5;
    packet[8..12].copy_from_slice(&msgid.to_be_bytes());
    packet[12] = status.wire();
    out.extend_from_slice(&packet);
}

/// A complete packet at the start of an input buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Message type.
    pub kind: u32,
    /// Data of the packet, without the header.
    pub payload: &'a [u8],
    /// Bytes of the input that the packet takes up, header included.
    pub consumed: usize,
}

/// Why no packet can be read from an input any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The announced length exceeds the limit of the connection.
    #[error("packet of type {kind} announces {length} bytes, {limit} are allowed")]
    TooLong {
        /// Message type.
        kind: u32,
        /// Length in the header.
        length: u32,
        /// Largest length that the receiver allows.
        limit: u32,
    },
}

/// Cuts the first packet off `input`.
///
/// `Ok(None)`: the packet is not complete yet. `limit` is the largest payload in bytes; a header
/// that announces more is an error at once, before its payload arrives.
#[inline]
pub fn split_frame(input: &[u8], limit: u32) -> Result<Option<Frame<'_>>, FrameError> {
    let Some((header, rest)) = input.split_first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let header = u64::from_be_bytes(*header);
    let (kind, length) = ((header >> 32) as u32, header as u32);
    if length > limit {
        return Err(FrameError::TooLong {
            kind,
            length,
            limit,
        });
    }
    let length = length as usize;
    Ok(rest.get(..length).map(|payload| Frame {
        kind,
        payload,
        consumed: HEADER_LEN + length,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Frame, FrameError, begin_frame, end_frame, put_frame, put_status, split_frame};
    use crate::status::Status;
    use crate::wire::Put;

    #[test]
    fn packets_are_written_behind_each_other_and_cut_apart_again() {
        let mut out = Vec::new();
        put_frame(&mut out, 11, |out| out.put_u32(7));
        put_status(&mut out, 407, 9, Status::Enoent);
        let mark = begin_frame(&mut out, 1);
        out.put_u8(1);
        mark.cancel(&mut out);
        let mark = begin_frame(&mut out, 0);
        end_frame(&mut out, mark);

        let mut input = &out[..];
        let mut seen = Vec::new();
        while let Some(frame) = split_frame(input, 100).unwrap() {
            seen.push((frame.kind, frame.payload.to_vec()));
            input = &input[frame.consumed..];
        }
        assert_eq!(
            seen,
            [
                (11, vec![0, 0, 0, 7]),
                (407, vec![0, 0, 0, 9, 3]),
                (0, vec![])
            ]
        );
        assert!(input.is_empty());
    }

    #[test]
    fn an_incomplete_packet_waits_and_an_oversized_one_fails_early() {
        let packet = [0, 0, 0, 10, 0, 0, 0, 4, 0, 0, 0, 7, 0xff];
        for length in 0..12 {
            assert_eq!(split_frame(&packet[..length], 4), Ok(None), "{length}");
        }
        assert_eq!(
            split_frame(&packet, 4),
            Ok(Some(Frame {
                kind: 10,
                payload: &packet[8..12],
                consumed: 12
            }))
        );
        assert_eq!(
            split_frame(&packet[..8], 3),
            Err(FrameError::TooLong {
                kind: 10,
                length: 4,
                limit: 3
            })
        );
    }
}
