//! Where data lie.

use std::net::SocketAddrV4;
use std::sync::Arc;

use proto::client::chunks::{ChunkReply, ChunkRequest, Location, WriteEnd};
use proto::client::kind;
use proto::{ChunkId, ChunkVersion, Inode, Version};

use crate::error::Result;
use crate::session::Session;

/// A chunkserver that has a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkServer {
    /// Address of its data port.
    pub address: SocketAddrV4,
    /// Its version.
    pub version: Version,
    /// Its labels, bit 0 = A.
    pub labels: u32,
}

/// A chunk of a file and the servers that have it, nearest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// The chunk; [`ChunkId::HOLE`] where the file has none.
    pub chunk: ChunkId,
    /// Its version.
    pub version: ChunkVersion,
    /// The servers. None although there is a chunk: no copy is known yet.
    pub servers: Arc<[ChunkServer]>,
}

impl From<&Location<'_>> for ChunkPlace {
    fn from(location: &Location<'_>) -> ChunkPlace {
        let servers = location.servers.iter().map(|server| ChunkServer {
            address: SocketAddrV4::new(server.ip, server.port),
            version: server.version,
            labels: server.labels,
        });
        ChunkPlace {
            chunk: location.chunk,
            version: location.version,
            servers: servers.collect(),
        }
    }
}

impl Session {
    /// Where to read a chunk of a file, and the file's length (READ_CHUNK). Once: a locked chunk
    /// is an error.
    pub async fn read_chunk(&self, inode: Inode, index: u32) -> Result<(u64, ChunkPlace)> {
        self.chunk(kind::READ_CHUNK, inode, index, 0).await
    }

    /// Where to write a chunk of a file; locks it (WRITE_CHUNK with `chunk_flag`s).
    pub async fn write_chunk(
        &self,
        inode: Inode,
        index: u32,
        flags: u8,
    ) -> Result<(u64, ChunkPlace)> {
        self.chunk(kind::WRITE_CHUNK, inode, index, flags).await
    }

    async fn chunk(
        &self,
        kind: u32,
        inode: Inode,
        index: u32,
        flags: u8,
    ) -> Result<(u64, ChunkPlace)> {
        let flags = self.version().has_chunk_flags().then_some(flags);
        let reply = self
            .ask(kind, |msgid| ChunkRequest {
                msgid,
                inode,
                index,
                flags,
            })
            .await?;
        let body: ChunkReply<'_> = reply.body()?;
        Ok((body.length, ChunkPlace::from(&body.location)))
    }

    /// Ends the write of a chunk: the file has at least `length` bytes; 0 only unlocks
    /// (WRITE_CHUNK_END).
    pub async fn write_chunk_end(
        &self,
        chunk: ChunkId,
        inode: Inode,
        index: u32,
        length: u64,
    ) -> Result<()> {
        let version = self.version();
        self.ask(kind::WRITE_CHUNK_END, |msgid| WriteEnd {
            msgid,
            chunk,
            inode,
            index: version.has_change_pushes().then_some(index),
            length,
            flags: version.has_chunk_flags().then_some(0),
        })
        .await?
        .status()
    }
}
