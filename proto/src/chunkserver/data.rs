//! Reading and writing on the data port (chunkserver §3.2–§3.4).
//!
//! Layouts only: what is in range is the server's business, since each violation has a status.

use std::net::SocketAddrV4;

use super::require;
use crate::frame::{HEADER_LEN, put_frame};
use crate::ids::{ChunkId, ChunkVersion};
use crate::list::{List, Rest};
use crate::message::{messages, records};
use crate::status::Status;
use crate::wire::{Field, Malformed, Put, Reader};

/// What the sender of READ or WRITE promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// No protocol byte: no NOPs during the request, no WRITE_FINISH, connection not used again.
    Plain,
    /// Protocol byte 1: tolerates NOPs, sends WRITE_FINISH, uses connections again. Only if all
    /// servers have [`server_takes_protocol_byte`](crate::Version::server_takes_protocol_byte).
    Reusing,
}

/// Value of the protocol byte.
const REUSING: u8 = 1;

messages! {
    /// End of a read.
    ReadStatus = 201 {
        /// Chunk.
        chunk: ChunkId,
        /// Outcome.
        status: Status,
    }

    /// Outcome of opening the chain (`write_id` 0), or of one [`WriteData`].
    WriteStatus = 211 {
        /// Chunk.
        chunk: ChunkId,
        /// Which write.
        write_id: u32,
        /// Outcome.
        status: Status,
    }

    /// End of the writes, after all statuses have come. Not answered.
    WriteFinish = 213 {
        /// Chunk.
        chunk: ChunkId,
        /// Version as in WRITE.
        version: ChunkVersion,
    }
}

records! {
    /// READ_DATA without its data.
    ReadDataHeader[20] {
        /// Chunk.
        chunk: ChunkId,
        /// Block of the chunk, 0–1023.
        block: u16,
        /// First byte inside the block.
        offset: u16,
        /// Number of bytes; the piece lies inside one block.
        size: u32,
        /// CRC-32 of the data.
        crc: u32,
    }

    /// WRITE_DATA without its data, as it is known before the data arrive.
    WriteDataHeader[24] {
        /// Chunk.
        chunk: ChunkId,
        /// Chosen by the client, from 1, once within the WRITE.
        write_id: u32,
        /// Block of the chunk, 0–1023.
        block: u16,
        /// First byte inside the block.
        offset: u16,
        /// Number of bytes; 0 only extends the chunk to include the block.
        size: u32,
        /// CRC-32 of the data.
        crc: u32,
    }
}

/// Read a range of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// What the client promises.
    pub protocol: Protocol,
    /// Chunk.
    pub chunk: ChunkId,
    /// Version; 0: any.
    pub version: ChunkVersion,
    /// First byte inside the chunk.
    pub offset: u32,
    /// Number of bytes.
    pub size: u32,
}

impl Read {
    /// Message type.
    pub const KIND: u32 = 200;

    /// Reads the payload of a packet of this type. As in 4.x, any protocol byte but 0 is taken.
    pub fn decode(payload: &[u8]) -> Result<Read, Malformed> {
        let mut reader = Reader::new(payload);
        let protocol = match payload.len() {
            21 => {
                require(reader.u8()? != 0)?;
                Protocol::Reusing
            }
            _ => Protocol::Plain,
        };
        let read = Read {
            protocol,
            chunk: reader.get()?,
            version: reader.get()?,
            offset: reader.u32()?,
            size: reader.u32()?,
        };
        reader.finish()?;
        Ok(read)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            put_protocol(self.protocol, out);
            out.put(self.chunk);
            out.put(self.version);
            out.put_u32(self.offset);
            out.put_u32(self.size);
        });
    }
}

/// A piece of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadData<'a> {
    /// What and where.
    pub header: ReadDataHeader,
    /// `header.size` bytes.
    pub data: Rest<'a>,
}

impl<'a> ReadData<'a> {
    /// Message type.
    pub const KIND: u32 = 202;

    /// Reads the payload of a packet of this type. The CRC is not compared.
    pub fn decode(payload: &'a [u8]) -> Result<ReadData<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let header = ReadDataHeader::get(&mut reader)?;
        let data: Rest<'_> = reader.get()?;
        require(data.0.len() as u64 == u64::from(header.size))?;
        Ok(ReadData { header, data })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert_eq!(self.data.0.len() as u64, u64::from(self.header.size));
        self.header.encode(out);
        out.put(self.data);
    }
}

impl ReadDataHeader {
    /// Appends the header of the packet and everything before the data, which the caller sends
    /// from elsewhere.
    pub fn encode(self, out: &mut Vec<u8>) {
        put_head(out, ReadData::KIND, self, self.size);
    }
}

/// Open a chain for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write<'a> {
    /// What the client promises.
    pub protocol: Protocol,
    /// Chunk.
    pub chunk: ChunkId,
    /// Version; 0: any.
    pub version: ChunkVersion,
    /// Data ports of the servers behind the receiver, nearest first.
    pub chain: List<'a, SocketAddrV4>,
}

impl<'a> Write<'a> {
    /// Message type.
    pub const KIND: u32 = 210;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<Write<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let protocol = match payload.len().is_multiple_of(2) {
            true => Protocol::Plain,
            false => {
                require(reader.u8()? == REUSING)?;
                Protocol::Reusing
            }
        };
        Ok(Write {
            protocol,
            chunk: reader.get()?,
            version: reader.get()?,
            chain: reader.get()?,
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            put_protocol(self.protocol, out);
            out.put(self.chunk);
            out.put(self.version);
            out.put(self.chain);
        });
    }

    /// The next server and the packet for it; `None` at the end of the chain.
    pub fn forward(&self) -> Option<(SocketAddrV4, Write<'a>)> {
        let (successor, chain) = self.chain.split_first()?;
        Some((successor, Write { chain, ..*self }))
    }
}

/// Write a piece of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteData<'a> {
    /// What and where.
    pub header: WriteDataHeader,
    /// `header.size` bytes.
    pub data: Rest<'a>,
}

impl<'a> WriteData<'a> {
    /// Message type.
    pub const KIND: u32 = 212;

    /// Reads the payload of a packet of this type. The CRC is not compared.
    pub fn decode(payload: &'a [u8]) -> Result<WriteData<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let header = WriteDataHeader::get(&mut reader)?;
        let data: Rest<'_> = reader.get()?;
        require(data.0.len() as u64 == u64::from(header.size))?;
        Ok(WriteData { header, data })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert_eq!(self.data.0.len() as u64, u64::from(self.header.size));
        self.header.encode(out);
        out.put(self.data);
    }
}

impl WriteDataHeader {
    /// Appends the header of the packet and everything before the data, which the caller sends
    /// from elsewhere.
    pub fn encode(self, out: &mut Vec<u8>) {
        put_head(out, WriteData::KIND, self, self.size);
    }
}

fn put_protocol(protocol: Protocol, out: &mut Vec<u8>) {
    match protocol {
        Protocol::Plain => {}
        Protocol::Reusing => out.put_u8(REUSING),
    }
}

/// A packet of type `kind` up to its `size` bytes of data.
fn put_head<'a, T: Field<'a>>(out: &mut Vec<u8>, kind: u32, head: T, size: u32) {
    let start = out.len();
    out.put_u32(kind);
    out.put_u32(0);
    out.put(head);
    let length = ((out.len() - start - HEADER_LEN) as u32).saturating_add(size);
    out[start + 4..start + HEADER_LEN].copy_from_slice(&length.to_be_bytes());
}
