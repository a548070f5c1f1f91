//! READ: the conversation with one server (client-behaviour §11.4, chunkserver §3.3).

use std::io;

use bytes::{Buf as _, Bytes};
use proto::chunkserver::{DATA_PAYLOAD_MAX, Protocol, Read, ReadData, ReadStatus};
use proto::frame::{HEADER_LEN, split_frame};
use proto::{ChunkId, ChunkVersion, Status};
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Failure, NOP_AFTER, SILENCE_MAX};

/// Message of the keepalive in either direction.
const NOP: u32 = 0;
const NOP_PACKET: [u8; 8] = [0; 8];
/// Bytes of READ_DATA before its data, header of the packet included.
const DATA_HEAD: usize = HEADER_LEN + 20;
/// Most memory that one read(2) fills: several packets, cut apart without copying.
const READ_BYTES_MAX: usize = 1 << 20;

/// A range of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadRequest {
    pub(crate) chunk: ChunkId,
    pub(crate) version: ChunkVersion,
    pub(crate) offset: u32,
    pub(crate) size: u32,
    pub(crate) protocol: Protocol,
}

/// Reads a range; `take` gets its bytes piece by piece in ascending order, each checked. After
/// success the connection can be used again.
pub(crate) async fn read(
    connection: &mut Connection,
    request: &ReadRequest,
    mut take: impl FnMut(Bytes),
) -> Result<(), Failure> {
    let mut packet = Vec::with_capacity(32);
    Read {
        protocol: request.protocol,
        chunk: request.chunk,
        version: request.version,
        offset: request.offset,
        size: request.size,
    }
    .encode(&mut packet);
    connection.write_all(&packet).await?;
    let mut state = Progress {
        request: *request,
        received: 0,
    };
    let mut sent_at = Instant::now();
    let mut heard_at = sent_at;
    loop {
        while let Some(step) = state.next_packet(connection)? {
            match step {
                Step::Data(bytes) => take(bytes),
                Step::Done => return Ok(()),
                Step::Nop => {}
            }
        }
        let missing = request.size as usize - state.received as usize;
        let wanted = (missing + missing.div_ceil(65536) * DATA_HEAD + 64).min(READ_BYTES_MAX);
        connection
            .input
            .reserve(wanted.saturating_sub(connection.input.len()).max(4096));
        loop {
            match connection.stream.try_read_buf(&mut connection.input) {
                Ok(0) => return Err(Failure::Lost),
                Ok(_) => break heard_at = Instant::now(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Failure::Lost),
            }
            let nop_at = sent_at + NOP_AFTER;
            let silent_at = heard_at + SILENCE_MAX;
            let wake_at = if request.protocol == Protocol::Reusing {
                nop_at.min(silent_at)
            } else {
                silent_at
            };
            match timeout_at(wake_at, connection.stream.readable()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Failure::Lost),
                Err(_) if Instant::now() >= silent_at => return Err(Failure::Silence),
                Err(_) => {
                    connection.write_all(&NOP_PACKET).await?;
                    sent_at = Instant::now();
                }
            }
        }
    }
}

struct Progress {
    request: ReadRequest,
    received: u32,
}

enum Step {
    Data(Bytes),
    Done,
    Nop,
}

impl Progress {
    fn next_packet(&mut self, connection: &mut Connection) -> Result<Option<Step>, Failure> {
        let malformed = |_| Failure::Malformed;
        let frame =
            split_frame(&connection.input, DATA_PAYLOAD_MAX).map_err(|_| Failure::Malformed)?;
        let Some(frame) = frame else {
            return Ok(None);
        };
        let consumed = frame.consumed;
        let step = match frame.kind {
            NOP => Step::Nop,
            ReadStatus::KIND => {
                let status = ReadStatus::decode(frame.payload).map_err(malformed)?;
                match status.status {
                    _ if status.chunk != self.request.chunk => return Err(Failure::Malformed),
                    Status::Ok if self.received == self.request.size => Step::Done,
                    Status::Ok => return Err(Failure::Malformed),
                    status => return Err(Failure::Status(status)),
                }
            }
            ReadData::KIND => {
                let data = ReadData::decode(frame.payload).map_err(malformed)?;
                let header = data.header;
                let at = u32::from(header.block) * 65536 + u32::from(header.offset);
                let is_next = header.chunk == self.request.chunk
                    && at == self.request.offset + self.received
                    && header.size > 0
                    && header.size <= self.request.size - self.received;
                if !is_next {
                    return Err(Failure::Malformed);
                }
                if crc32fast::hash(data.data.0) != header.crc {
                    return Err(Failure::Crc);
                }
                self.received += header.size;
                let mut packet = connection.input.split_to(consumed).freeze();
                packet.advance(DATA_HEAD);
                return Ok(Some(Step::Data(packet)));
            }
            _ => return Err(Failure::Malformed),
        };
        connection.input.advance(consumed);
        Ok(Some(step))
    }
}
