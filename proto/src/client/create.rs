//! SYMLINK, MKNOD, MKDIR and CREATE (wire-client-master §10.4, §10.5).

use super::credentials::Credentials;
use super::message::{Message, message};
use crate::attr::Attr;
use crate::ids::Inode;
use crate::kind::NodeKind;
use crate::list::Text;
use crate::version::Version;
use crate::wire::Versioned;
use crate::wire::{Malformed, Put, Reader};

message! {
    /// SYMLINK 414. The reply is a [`NodeReply`](super::NodeReply).
    Symlink<'a> {
        /// Directory.
        parent: Inode,
        /// New name.
        name: &'a [u8],
        /// Where the link leads, as sent: see [`trim_nuls`](super::message::trim_nuls).
        target: Text<'a>,
        /// Who asks.
        caller: Credentials<'a>,
    }
}

/// Mode, umask and credentials, which the three messages have in common; before `tail` more bytes.
///
/// The old form (before 2.0) has neither umask nor a list of groups.
#[derive(Clone, Copy)]
struct Permissions<'a> {
    mode: u16,
    umask: u16,
    caller: Credentials<'a>,
}

/// Bytes of mode, uid and gid: what is left for the old form.
const OLD_PERMISSIONS_LEN: usize = 10;

impl<'a> Permissions<'a> {
    #[inline]
    fn get(reader: &mut Reader<'a>, tail: usize) -> Result<Self, Malformed> {
        let is_old = reader.remaining() == OLD_PERMISSIONS_LEN + tail;
        Ok(Permissions {
            mode: reader.u16()?,
            umask: if is_old { 0 } else { reader.u16()? },
            caller: Credentials::get_before(reader, tail)?,
        })
    }

    #[inline]
    fn put(self, client: Version, out: &mut Vec<u8>) {
        out.put_u16(self.mode);
        if client.has_gid_lists() {
            out.put_u16(self.umask);
            out.put(self.caller);
        } else {
            self.caller.put_single(out);
        }
    }
}

/// MKNOD 416: new file, pipe, device or socket. The reply is a [`NodeReply`](super::NodeReply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mknod<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Directory.
    pub parent: Inode,
    /// New name.
    pub name: &'a [u8],
    /// What to make; `None` for a number or letter that names nothing (status 6).
    pub kind: Option<NodeKind>,
    /// Permission bits.
    pub mode: u16,
    /// Bits to take away; 0 from clients before 2.0, which did it themselves.
    pub umask: u16,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Device number, for devices only.
    pub rdev: u32,
}

/// Type bytes above this are letters.
const TYPE_NUMBER_MAX: u8 = 15;

impl<'a> Message<'a> for Mknod<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let parent = reader.get()?;
        let name = reader.name()?;
        let kind = match reader.u8()? {
            number @ 0..=TYPE_NUMBER_MAX => NodeKind::from_number(number),
            letter => NodeKind::from_letter(letter),
        };
        let Permissions {
            mode,
            umask,
            caller,
        } = Permissions::get(&mut reader, 4)?;
        let rdev = reader.u32()?;
        reader.finish()?;
        Ok(Mknod {
            msgid,
            parent,
            name,
            kind,
            mode,
            umask,
            caller,
            rdev,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        let &Mknod {
            msgid,
            parent,
            name,
            kind,
            mode,
            umask,
            caller,
            rdev,
        } = self;
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        out.put_u8(match kind {
            Some(kind) if client.has_numeric_types() => kind.number(),
            Some(kind) => kind.letter(),
            None => 0,
        });
        Permissions {
            mode,
            umask,
            caller,
        }
        .put(client, out);
        out.put_u32(rdev);
    }
}

/// MKDIR 418. The reply is a [`NodeReply`](super::NodeReply).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mkdir<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Directory.
    pub parent: Inode,
    /// New name.
    pub name: &'a [u8],
    /// Permission bits.
    pub mode: u16,
    /// Bits to take away; 0 from clients before 2.0, which did it themselves.
    pub umask: u16,
    /// Who asks.
    pub caller: Credentials<'a>,
    /// Whether the set-group-id bit is inherited. Clients before 1.6.25 do not ask for it.
    pub copy_sgid: bool,
}

impl<'a> Message<'a> for Mkdir<'a> {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let parent = reader.get()?;
        let name = reader.name()?;
        let has_copy_sgid = reader.remaining() > OLD_PERMISSIONS_LEN;
        let Permissions {
            mode,
            umask,
            caller,
        } = Permissions::get(&mut reader, usize::from(has_copy_sgid))?;
        let copy_sgid = has_copy_sgid && reader.get()?;
        reader.finish()?;
        Ok(Mkdir {
            msgid,
            parent,
            name,
            mode,
            umask,
            caller,
            copy_sgid,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        let &Mkdir {
            msgid,
            parent,
            name,
            mode,
            umask,
            caller,
            copy_sgid,
        } = self;
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        Permissions {
            mode,
            umask,
            caller,
        }
        .put(client, out);
        if client.has_copysgid() {
            out.put(copy_sgid);
        }
    }
}

/// CREATE 482: new file, opened for the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Create<'a> {
    /// Number that connects request and reply.
    pub msgid: u32,
    /// Directory.
    pub parent: Inode,
    /// New name.
    pub name: &'a [u8],
    /// Permission bits.
    pub mode: u16,
    /// Bits to take away; 0 in the old form.
    pub umask: u16,
    /// Who asks.
    pub caller: Credentials<'a>,
}

impl<'a> Message<'a> for Create<'a> {
    #[inline]
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let parent = reader.get()?;
        let name = reader.name()?;
        let Permissions {
            mode,
            umask,
            caller,
        } = Permissions::get(&mut reader, 0)?;
        reader.finish()?;
        Ok(Create {
            msgid,
            parent,
            name,
            mode,
            umask,
            caller,
        })
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        let &Create {
            msgid,
            parent,
            name,
            mode,
            umask,
            caller,
        } = self;
        out.put_u32(msgid);
        out.put(parent);
        out.put_name(name);
        Permissions {
            mode,
            umask,
            caller,
        }
        .put(client, out);
    }
}

/// CREATE 483. Clients before 3.0.113 get no flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateReply {
    /// Number of the request.
    pub msgid: u32,
    /// Bits of [`open_flag`](super::open::open_flag).
    pub flags: u8,
    /// The new file.
    pub inode: Inode,
    /// Its attributes.
    pub attr: Attr,
}

impl<'a> Message<'a> for CreateReply {
    #[inline]
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = reader.u32()?;
        let flags = if client.has_open_flags() {
            reader.u8()?
        } else {
            0
        };
        let inode = reader.get()?;
        let attr = Attr::get(&mut reader, client)?;
        reader.finish()?;
        Ok(CreateReply {
            msgid,
            flags,
            inode,
            attr,
        })
    }

    #[inline]
    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        out.put_u32(self.msgid);
        if client.has_open_flags() {
            out.put_u8(self.flags);
        }
        out.put(self.inode);
        self.attr.put(client, out);
    }
}
