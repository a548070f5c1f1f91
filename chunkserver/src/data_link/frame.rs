//! Packets on sockets: whole packets in, pieces out, without copies (chunkserver §1.1).

use parking_lot::Mutex;
use proto::frame::HEADER_LEN;
use std::io::{self, IoSlice, IoSliceMut};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Buffers that are kept for the next packets.
const SPARE_MAX: usize = 256;
/// Payloads that are smaller get a buffer of their own.
const POOLED_MIN: usize = 4096;
/// Bytes of a pooled buffer: a block and what stands before it.
const POOLED_LEN: usize = 65_536 + 64;
/// A peer that does not take a packet within this time is given up.
pub const SEND_LIMIT: Duration = Duration::from_secs(5);

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A packet that has arrived.
#[derive(Debug)]
pub struct Frame {
    /// Message type.
    pub kind: u32,
    buffer: Vec<u8>,
    len: usize,
}

impl Frame {
    fn new(kind: u32, len: usize) -> Frame {
        let pooled = (POOLED_MIN..=POOLED_LEN).contains(&len);
        let spare = if pooled { SPARE.lock().pop() } else { None };
        let buffer = spare.unwrap_or_else(|| vec![0; if pooled { POOLED_LEN } else { len }]);
        Frame { kind, buffer, len }
    }

    /// Data of the packet, without the header.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if self.buffer.len() == POOLED_LEN {
            let mut spare = SPARE.lock();
            if spare.len() < SPARE_MAX {
                spare.push(std::mem::take(&mut self.buffer));
            }
        }
    }
}

/// Reads packets from a socket. Dropping a call in the middle loses nothing.
#[derive(Debug)]
pub struct FrameReader {
    payload_max: u32,
    head: [u8; HEADER_LEN],
    head_len: usize,
    /// The packet that is arriving, and how much of it is there.
    arriving: Option<(Frame, usize)>,
}

impl FrameReader {
    /// A reader that refuses larger payloads.
    pub fn new(payload_max: u32) -> FrameReader {
        FrameReader {
            payload_max,
            head: [0; HEADER_LEN],
            head_len: 0,
            arriving: None,
        }
    }

    /// The next packet; `None` when the peer has closed between two packets.
    pub async fn next(&mut self, stream: &TcpStream) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.complete()? {
                return Ok(Some(frame));
            }
            match self.fill(stream) {
                Ok(0) if self.head_len == 0 && self.arriving.is_none() => return Ok(None),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.readable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The packet that is complete, if one is.
    fn complete(&mut self) -> io::Result<Option<Frame>> {
        if self.arriving.is_none() && self.head_len == HEADER_LEN {
            let header = u64::from_be_bytes(self.head);
            let (kind, len) = ((header >> 32) as u32, header as u32);
            if len > self.payload_max {
                return Err(io::Error::other(format!(
                    "packet of type {kind} announces {len} bytes, {} are allowed",
                    self.payload_max
                )));
            }
            self.head_len = 0;
            self.arriving = Some((Frame::new(kind, len as usize), 0));
        }
        match self.arriving.take() {
            Some((frame, filled)) if filled == frame.len => Ok(Some(frame)),
            other => {
                self.arriving = other;
                Ok(None)
            }
        }
    }

    /// One system call: the rest of the packet together with the header of the next one.
    fn fill(&mut self, stream: &TcpStream) -> io::Result<usize> {
        let Some((frame, filled)) = &mut self.arriving else {
            let count = stream.try_read(&mut self.head[self.head_len..])?;
            self.head_len += count;
            return Ok(count);
        };
        let wanted = frame.len - *filled;
        let mut parts = [
            IoSliceMut::new(&mut frame.buffer[*filled..frame.len]),
            IoSliceMut::new(&mut self.head),
        ];
        let count = stream.try_read_vectored(&mut parts)?;
        *filled += count.min(wanted);
        self.head_len = count.saturating_sub(wanted);
        Ok(count)
    }
}

/// Sends bytes; fails when the peer does not take them in time.
pub async fn send(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    send_parts(stream, &mut [IoSlice::new(bytes)]).await
}

/// Sends several pieces behind each other; fails when the peer does not take them in time.
pub async fn send_parts(stream: &TcpStream, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match stream.try_write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut parts, count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                timeout(SEND_LIMIT, stream.writable()).await??;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
