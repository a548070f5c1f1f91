//! What kind of daemon answers, and its memory (wire-admin §3.3, §4.12).

use std::net::SocketAddrV4;

use crate::common::optional_msgid;
use crate::frame::put_frame;
use crate::ids::{CsId, MetaId};
use crate::list::List;
use crate::message::{messages, records};
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// Asks what answers. A chunkserver closes on a message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetModuleInfo {
    /// Returned in the reply when present.
    pub msgid: Option<u32>,
}

impl GetModuleInfo {
    /// Message type.
    pub const KIND: u32 = 530;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<GetModuleInfo, Malformed> {
        optional_msgid(payload).map(|msgid| GetModuleInfo { msgid })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
        });
    }
}

/// Kind of a daemon. Unknown numbers are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleKind(pub u8);

impl ModuleKind {
    /// Master.
    pub const MASTER: ModuleKind = ModuleKind(1);
    /// Chunkserver.
    pub const CHUNKSERVER: ModuleKind = ModuleKind(2);
}

/// Answer to [`GetModuleInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModuleInfo {
    /// From the request.
    pub msgid: Option<u32>,
    /// Kind of the daemon.
    pub module: ModuleKind,
    /// Its version.
    pub version: Version,
    /// Number of a chunkserver; 0 for a master, or when there is none yet.
    pub csid: CsId,
    /// Identity of the metadata; 0: unknown.
    pub metaid: MetaId,
    /// Chunkserver: the master that it is connected to, with the port for chunkservers. 0 without
    /// one, and for a community master.
    pub leader: SocketAddrV4,
}

impl ModuleInfo {
    /// Message type.
    pub const KIND: u32 = 531;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<ModuleInfo, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = match payload.len() {
            25 => Some(reader.u32()?),
            _ => None,
        };
        let info = ModuleInfo {
            msgid,
            module: ModuleKind(reader.u8()?),
            version: reader.get()?,
            csid: reader.get()?,
            metaid: reader.get()?,
            leader: reader.get()?,
        };
        reader.finish()?;
        Ok(info)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
            out.put_u8(self.module.0);
            out.put(self.version);
            out.put(self.csid);
            out.put(self.metaid);
            out.put(self.leader);
        });
    }
}

messages! {
    /// Asks for the memory of the master by kind of object.
    GetMemoryDetail = 528 {}

    /// Answer to [`GetMemoryDetail`]; the place in the list is the kind ([`MEMORY_KINDS`]).
    MemoryDetail<'a> = 529 {
        /// One for each kind.
        areas: List<'a, MemoryArea>,
    }
}

/// Kinds of objects in the order of [`MemoryDetail`].
pub const MEMORY_KINDS: [&str; 11] = [
    "chunk hash",
    "chunks",
    "chunkserver lists",
    "edge hash",
    "edges",
    "node hash",
    "nodes",
    "deleted nodes",
    "chunk tables",
    "symlinks",
    "quota",
];

records! {
    /// Memory of one kind of object.
    MemoryArea[16] {
        /// Bytes taken from the system.
        allocated: u64,
        /// Bytes in use.
        used: u64,
    }
}
