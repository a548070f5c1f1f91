//! REGISTER (wire-client-master §6). The only messages without msgid at the front.

use std::net::Ipv4Addr;

use super::message::{Message, NulText, trim_nuls};
use crate::ids::{MetaId, SessionId};
use crate::status::Status;
use crate::version::Version;
use crate::wire::{Field, Malformed, Put, Reader};

/// First bytes of every registration of a client.
pub const BLOB: &[u8; 64] = b"DjI1GAQDULI5d2YjA26ypc3ovkhjvhciTQVx3CS4nYgtBoUcsljiVpsErJENHaw0";

/// Answer to a password challenge: MD5( random[0..16] ‖ MD5(password) ‖ random[16..32] ).
pub type Passcode = [u8; 16];

/// Session that a client wants back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// The session.
    pub session: SessionId,
    /// File system that it belonged to; clients before 3.0.11 do not tell.
    pub metaid: Option<MetaId>,
}

/// REGISTER 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register<'a> {
    /// rcode 1: asks for a password challenge. The reply is a [`ChallengeReply`].
    Challenge,
    /// rcode 2: new mount session. The reply is a [`Registered`] with [`SessionReply`].
    NewSession {
        /// Version of the client.
        version: Version,
        /// Mount point, free text for listings, without NULs at the end.
        info: &'a [u8],
        /// Exported directory, without its NUL; empty if the client does not tell.
        path: &'a [u8],
        /// Session to be changed in place instead of making a new one.
        resume: Option<Resume>,
        /// Answer to the challenge.
        passcode: Option<Passcode>,
    },
    /// rcode 3: back to a session after the link broke. The reply is a [`ReconnectReply`].
    Reconnect {
        /// The session.
        session: SessionId,
        /// Version of the client.
        version: Version,
        /// File system that it belonged to.
        metaid: Option<MetaId>,
    },
    /// rcode 4: connection of a tool to the session of its mount. The reply is a [`Registered`].
    Tools {
        /// The session.
        session: SessionId,
        /// Version of the tool.
        version: Version,
    },
    /// rcode 5: new metadata session (trash). The reply is a [`Registered`] with
    /// [`MetaSessionReply`].
    NewMetaSession {
        /// Version of the client.
        version: Version,
        /// Mount point, without NULs at the end.
        info: &'a [u8],
        /// Session to be changed in place.
        resume: Option<Resume>,
        /// Answer to the challenge.
        passcode: Option<Passcode>,
    },
    /// rcode 6: end of a session. Clients from 1.7.29 on get a [`Registered`].
    CloseSession {
        /// The session.
        session: SessionId,
        /// File system that it belongs to.
        metaid: Option<MetaId>,
    },
}

/// Bytes of a session id with a metaid.
const RESUME_LEN: usize = 12;

fn get_path<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    match reader.long_bytes()?.split_last() {
        None => Ok(b""),
        Some((0, path)) => Ok(path),
        Some(_) => Err(Malformed),
    }
}

fn get_metaid(reader: &mut Reader<'_>) -> Result<Option<MetaId>, Malformed> {
    if reader.is_empty() {
        Ok(None)
    } else {
        reader.get().map(Some)
    }
}

/// `[ sessionid:32 [ metaid:64 ] ], [ passcode:16B ]`, told apart by their length.
fn get_tail(reader: &mut Reader<'_>) -> Result<(Option<Resume>, Option<Passcode>), Malformed> {
    const PASSCODE_LEN: usize = size_of::<Passcode>();
    let has_passcode = reader.remaining() >= PASSCODE_LEN;
    let resume = match reader.remaining() - if has_passcode { PASSCODE_LEN } else { 0 } {
        0 => None,
        4 => Some(Resume {
            session: reader.get()?,
            metaid: None,
        }),
        RESUME_LEN => Some(Resume {
            session: reader.get()?,
            metaid: Some(reader.get()?),
        }),
        _ => return Err(Malformed),
    };
    let passcode = if has_passcode {
        Some(reader.array()?)
    } else {
        None
    };
    Ok((resume, passcode))
}

fn put_text(text: &[u8], out: &mut Vec<u8>) {
    NulText(text).put(out);
}

fn put_metaid(metaid: Option<MetaId>, out: &mut Vec<u8>) {
    if let Some(metaid) = metaid {
        out.put(metaid);
    }
}

fn put_tail(resume: &Option<Resume>, passcode: &Option<Passcode>, out: &mut Vec<u8>) {
    if let Some(resume) = resume {
        out.put(resume.session);
        put_metaid(resume.metaid, out);
    }
    if let Some(passcode) = passcode {
        out.put_bytes(passcode);
    }
}

impl<'a> Register<'a> {
    /// Reads a registration. A wrong blob or sub-command is malformed.
    pub fn decode(payload: &'a [u8]) -> Result<Register<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        if reader.array()? != *BLOB {
            return Err(Malformed);
        }
        let register = match reader.u8()? {
            1 => Register::Challenge,
            2 => {
                let version = reader.get()?;
                let info = trim_nuls(reader.long_bytes()?);
                let path = get_path(&mut reader)?;
                let (resume, passcode) = get_tail(&mut reader)?;
                Register::NewSession {
                    version,
                    info,
                    path,
                    resume,
                    passcode,
                }
            }
            3 => Register::Reconnect {
                session: reader.get()?,
                version: reader.get()?,
                metaid: get_metaid(&mut reader)?,
            },
            4 => Register::Tools {
                session: reader.get()?,
                version: reader.get()?,
            },
            5 => {
                let version = reader.get()?;
                let info = trim_nuls(reader.long_bytes()?);
                let (resume, passcode) = get_tail(&mut reader)?;
                Register::NewMetaSession {
                    version,
                    info,
                    resume,
                    passcode,
                }
            }
            6 => Register::CloseSession {
                session: reader.get()?,
                metaid: get_metaid(&mut reader)?,
            },
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(register)
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_bytes(BLOB);
        match self {
            Register::Challenge => out.put_u8(1),
            Register::NewSession {
                version,
                info,
                path,
                resume,
                passcode,
            } => {
                out.put_u8(2);
                out.put(*version);
                put_text(info, out);
                if path.is_empty() {
                    out.put_u32(0);
                } else {
                    put_text(path, out);
                }
                put_tail(resume, passcode, out);
            }
            Register::Reconnect {
                session,
                version,
                metaid,
            } => {
                out.put_u8(3);
                out.put(*session);
                out.put(*version);
                put_metaid(*metaid, out);
            }
            Register::Tools { session, version } => {
                out.put_u8(4);
                out.put(*session);
                out.put(*version);
            }
            Register::NewMetaSession {
                version,
                info,
                resume,
                passcode,
            } => {
                out.put_u8(5);
                out.put(*version);
                put_text(info, out);
                put_tail(resume, passcode, out);
            }
            Register::CloseSession { session, metaid } => {
                out.put_u8(6);
                out.put(*session);
                put_metaid(*metaid, out);
            }
        }
    }

    /// Version that the client announces; `None` where the message has none.
    pub fn version(&self) -> Option<Version> {
        match *self {
            Register::NewSession { version, .. }
            | Register::Reconnect { version, .. }
            | Register::Tools { version, .. }
            | Register::NewMetaSession { version, .. } => Some(version),
            Register::Challenge | Register::CloseSession { .. } => None,
        }
    }
}

/// Bits of [`SessionReply::flags`] (wire-client-master §5.2).
pub mod session_flag {
    /// Every modification fails with 33.
    pub const READ_ONLY: u8 = 0x01;
    /// The session may come back from any address.
    pub const DYNAMIC_IP: u8 = 0x02;
    /// Group permissions count for everybody.
    pub const IGNORE_GID: u8 = 0x04;
    /// May administer quotas, classes and protected attributes.
    pub const ADMIN: u8 = 0x08;
    /// All users but root are mapped to one.
    pub const MAP_ALL: u8 = 0x10;
}

/// REGISTER 401 to a client that asked for a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChallengeReply(pub [u8; 32]);

impl<'a> Message<'a> for ChallengeReply {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        payload
            .try_into()
            .map(ChallengeReply)
            .map_err(|_| Malformed)
    }

    fn encode(&self, _client: Version, out: &mut Vec<u8>) {
        out.put_bytes(&self.0);
    }
}

/// REGISTER 401 to rcode 2, 4, 5 and 6: told apart by length.
///
/// `S` is [`SessionReply`] or [`MetaSessionReply`]; for rcode 4 and 6 only the status comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered<S> {
    /// `status:8`.
    Status(Status),
    /// The leader is elsewhere (wire-client-master §7.4); 0 or the contacted address: not known yet.
    Redirect(Ipv4Addr),
    /// Success.
    Session(S),
}

impl<'a, S: Message<'a>> Message<'a> for Registered<S> {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        match payload.len() {
            1 => reader.get().map(Registered::Status),
            4 => reader.get().map(Registered::Redirect),
            _ => S::decode(payload, client).map(Registered::Session),
        }
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        match self {
            Registered::Status(status) => out.put(*status),
            Registered::Redirect(ip) => out.put(*ip),
            Registered::Session(session) => session.encode(client, out),
        }
    }
}

/// REGISTER 401 to rcode 3. Clients before 3.0.95 are not told the master's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconnectReply {
    /// Outcome, and the version of the master.
    Status(Version, Status),
    /// The leader is elsewhere.
    Redirect(Ipv4Addr),
}

impl<'a> Message<'a> for ReconnectReply {
    fn decode(payload: &'a [u8], _client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let reply = match payload.len() {
            1 => ReconnectReply::Status(Version(0), reader.get()?),
            4 => ReconnectReply::Redirect(reader.get()?),
            _ => ReconnectReply::Status(reader.get()?, reader.get()?),
        };
        reader.finish()?;
        Ok(reply)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        match *self {
            ReconnectReply::Redirect(ip) => out.put(ip),
            ReconnectReply::Status(version, status) => {
                if client.has_reconnect_version() {
                    out.put(version);
                }
                out.put(status);
            }
        }
    }
}

/// Range of goals and trash times that a session may set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Smallest goal.
    pub goal_min: u8,
    /// Largest goal.
    pub goal_max: u8,
    /// Shortest trash time in seconds.
    pub trash_time_min: u32,
    /// Longest trash time in seconds.
    pub trash_time_max: u32,
}

impl<'a> Field<'a> for Limits {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        Ok(Limits {
            goal_min: reader.u8()?,
            goal_max: reader.u8()?,
            trash_time_min: reader.u32()?,
            trash_time_max: reader.u32()?,
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_u8(self.goal_min);
        out.put_u8(self.goal_max);
        out.put_u32(self.trash_time_min);
        out.put_u32(self.trash_time_max);
    }
}

/// A new or changed mount session. Old clients are told less: see the gates of [`Version`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionReply {
    /// Version of the master.
    pub version: Version,
    /// The session.
    pub session: SessionId,
    /// The file system.
    pub metaid: MetaId,
    /// Bits of [`session_flag`].
    pub flags: u8,
    /// Bits that are taken from every mode.
    pub umask: u16,
    /// User that root becomes.
    pub root_uid: u32,
    /// Group that root's first group becomes.
    pub root_gid: u32,
    /// User that the others become, with [`session_flag::MAP_ALL`].
    pub map_all_uid: u32,
    /// Group that the others' first group becomes.
    pub map_all_gid: u32,
    /// Goals and trash times.
    pub limits: Limits,
    /// Forbidden operations (wire-client-master §5.4).
    pub disables: u32,
}

/// Only release that has the field of the master's version but is sent 0.
const BLANK_VERSION: Version = Version::new(1, 6, 21);

fn master_version_for(client: Version, version: Version) -> Version {
    if client == BLANK_VERSION {
        Version(0)
    } else {
        version
    }
}

impl<'a> Message<'a> for SessionReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let mut reply = SessionReply::default();
        if client.has_attributes_in_rename() {
            reply.version = reader.get()?;
        }
        reply.session = reader.get()?;
        if client.has_metaid() {
            reply.metaid = reader.get()?;
        }
        reply.flags = reader.u8()?;
        if client.has_umask_in_registration() {
            reply.umask = reader.u16()?;
        }
        reply.root_uid = reader.u32()?;
        reply.root_gid = reader.u32()?;
        if client.has_mapall_in_registration() {
            reply.map_all_uid = reader.u32()?;
            reply.map_all_gid = reader.u32()?;
        }
        if client.has_limits_in_registration() {
            reply.limits = reader.get()?;
        }
        if client.has_disables() {
            reply.disables = reader.u32()?;
        }
        reader.finish()?;
        Ok(reply)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        if client.has_attributes_in_rename() {
            out.put(master_version_for(client, self.version));
        }
        out.put(self.session);
        if client.has_metaid() {
            out.put(self.metaid);
        }
        out.put_u8(self.flags);
        if client.has_umask_in_registration() {
            out.put_u16(self.umask);
        }
        out.put_u32(self.root_uid);
        out.put_u32(self.root_gid);
        if client.has_mapall_in_registration() {
            out.put_u32(self.map_all_uid);
            out.put_u32(self.map_all_gid);
        }
        if client.has_limits_in_registration() {
            out.put(self.limits);
        }
        if client.has_disables() {
            out.put_u32(self.disables);
        }
    }
}

/// A new or changed metadata session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MetaSessionReply {
    /// Version of the master.
    pub version: Version,
    /// The session.
    pub session: SessionId,
    /// The file system.
    pub metaid: MetaId,
    /// Bits of [`session_flag`].
    pub flags: u8,
    /// Goals and trash times.
    pub limits: Limits,
}

impl<'a> Message<'a> for MetaSessionReply {
    fn decode(payload: &'a [u8], client: Version) -> Result<Self, Malformed> {
        let mut reader = Reader::new(payload);
        let mut reply = MetaSessionReply::default();
        if client.has_attributes_in_rename() {
            reply.version = reader.get()?;
        }
        reply.session = reader.get()?;
        if client.has_metaid() {
            reply.metaid = reader.get()?;
        }
        reply.flags = reader.u8()?;
        if client.has_limits_in_registration() {
            reply.limits = reader.get()?;
        }
        reader.finish()?;
        Ok(reply)
    }

    fn encode(&self, client: Version, out: &mut Vec<u8>) {
        if client.has_attributes_in_rename() {
            out.put(master_version_for(client, self.version));
        }
        out.put(self.session);
        if client.has_metaid() {
            out.put(self.metaid);
        }
        out.put_u8(self.flags);
        if client.has_limits_in_registration() {
            out.put(self.limits);
        }
    }
}
