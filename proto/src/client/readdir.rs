//! READDIR (wire-client-master §10.9).

use super::credentials::{Credentials, Gids};
use super::message::{List, Message};
use crate::attr::{Attr, shown};
use crate::ids::Inode;
use crate::kind::NodeKind;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

/// Bits of [`Readdir::flags`].
pub mod readdir_flag {
    /// Entries come with attributes instead of a type.
    pub const WITH_ATTRIBUTES: u8 = 0x01;
    /// Hint that the client caches the attributes.
    pub const ADD_TO_CACHE: u8 = 0x02;
}

/// Which part of a directory a client from 2.0 on wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Most entries in the reply; FFFFFFFF for all.
    pub entries_max: u32,
    /// Number of the first entry: 0 from the start, 1 from `..`.
    pub edge: u64,
}

/// READDIR 428.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readdir<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Directory.
    pub inode: Inode,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Bits of [`readdir_flag`].
    pub flags: u8,
    /// The part; `None` in the old form, which has one group and a reply without edge number.
    pub page: Option<Page>,
}

/// Bytes of flags, number of entries and edge.
const PAGE_LEN: usize = 13;

impl<'a> Message<'a> for Readdir<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let inode = reader.get()?;
        let (caller, flags, page);
        if payload.len() <= 17 {
            let (uid, gids) = (reader.u32()?, Gids::Single(reader.u32()?));
            caller = Credentials { uid, gids };
            flags = if reader.is_empty() { 0 } else { reader.u8()? };
            page = None;
        } else {
            caller = Credentials::get_before(&mut reader, PAGE_LEN)?;
            flags = reader.u8()?;
            page = Some(Page {
                entries_max: reader.u32()?,
                edge: reader.u64()?,
            });
        }
        reader.finish()?;
        Ok(Readdir {
            msgid,
            inode,
            caller,
            flags,
            page,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        out.put(self.inode);
        match self.page {
            Some(page) if client.has_gid_lists() => {
                out.put(self.caller);
                out.put_u8(self.flags);
                out.put_u32(page.entries_max);
                out.put_u64(page.edge);
            }
            _ => {
                self.caller.put_single(out);
                if self.flags != 0 {
                    out.put_u8(self.flags);
                }
            }
        }
    }
}

/// Entry without attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Name in the directory.
    pub name: &'a [u8],
    /// The object.
    pub inode: Inode,
    /// What it is.
    pub kind: NodeKind,
}

impl<'a> Versioned<'a> for Entry<'a> {
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let name = reader.name()?;
        let inode = reader.get()?;
        let byte = reader.u8()?;
        let kind = if client.has_numeric_types() {
            NodeKind::from_number(byte)
        } else {
            NodeKind::from_letter(byte)
        };
        Ok(Entry {
            name,
            inode,
            kind: kind.ok_or(Malformed)?,
        })
    }

    #[inline]
    fn put(self, client: Version, out: &mut Vec<u8>) {
        let kind = shown(self.kind);
        let kind = if client.has_numeric_types() {
            kind.number()
        } else {
            kind.letter()
        };
        out.reserve(self.name.len() + 6);
        out.put_name(self.name);
        let [a, b, c, d] = self.inode.0.to_be_bytes();
        out.put_bytes(&[a, b, c, d, kind]);
    }
}

/// Entry with attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullEntry<'a> {
    /// Name in the directory.
    pub name: &'a [u8],
    /// The object.
    pub inode: Inode,
    /// Its attributes.
    pub attr: Attr,
}

impl<'a> Versioned<'a> for FullEntry<'a> {
    fn get(reader: &mut Reader<'a>, client: Version) -> Result<Self, Malformed> {
        let (name, inode) = (reader.name()?, reader.get()?);
        Ok(FullEntry {
            name,
            inode,
            attr: Attr::get(reader, client)?,
        })
    }

    #[inline]
    fn put(self, client: Version, out: &mut Vec<u8>) {
        out.put_name(self.name);
        out.put(self.inode);
        self.attr.put(client, out);
    }
}

/// READDIR 429, with [`Entry`] or [`FullEntry`] as the request asked.
///
/// A master that walks a directory appends [`put_readdir_head`] and then the entries one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReaddirReply<'a, E: Versioned<'a>> {
    /// Number of the request.
    pub msgid: u32,
    /// Edge number, if the request had one.
    pub edge: Option<u64>,
    /// The entries; `.` and `..` come first.
    pub entries: List<'a, E>,
}

impl<'a, E: Versioned<'a>> ReaddirReply<'a, E> {
    /// Reads the reply to a request with (`paged`) or without an edge number.
    pub fn decode(payload: &'a [u8], client: Version, paged: bool) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let edge = if paged { Some(reader.u64()?) } else { None };
        let entries = List::get_rest(&mut reader, client)?;
        Ok(ReaddirReply {
            msgid,
            edge,
            entries,
        })
    }

    /// Appends the payload.
    pub fn encode(&self, client: Version, out: &mut Vec<u8>) {
        put_readdir_head(out, self.msgid, self.edge);
        self.entries.put(client, out);
    }
}

/// Appends what comes before the entries: `msgid [ nedgeid ]`.
#[inline]
pub fn put_readdir_head(out: &mut Vec<u8>, msgid: u32, edge: Option<u64>) {
    out.put_u32(msgid);
    if let Some(edge) = edge {
        out.put_u64(edge);
    }
}
