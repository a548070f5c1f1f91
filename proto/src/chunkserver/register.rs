//! REGISTER in all its forms (chunkserver §2.4.1).

use std::net::SocketAddrV4;

use super::chunk::ReportedChunk;
use super::report::{Space, SpaceForm};
use super::require;
use crate::frame::put_frame;
use crate::ids::CsId;
use crate::list::List;
use crate::version::Version;
use crate::wire::{Field, Malformed, Put, Reader};

const OLD_BEGIN: u8 = 50;
const OLD_CHUNKS: u8 = 51;
const OLD_END: u8 = 52;
const NEW_BEGIN: u8 = 60;
const NEW_CHUNKS: u8 = 61;
const NEW_END: u8 = 62;
const DISCONNECT: u8 = 63;

/// Bytes of the payload of a new-style BEGIN without digest.
const NEW_BEGIN_LEN: usize = 55;
/// Bytes of the digest of an authenticated BEGIN.
const DIGEST_LEN: usize = 16;

/// A registration packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register<'a> {
    /// Forms 0–4 (before 1.6): everything in one packet. Never answered.
    Complete(Complete<'a>),
    /// The first of several packets.
    Begin(Begin),
    /// A batch of chunks; answered by an ACK of one byte if the server's version is ≥ 2.0.
    Chunks(Style, List<'a, ReportedChunk>),
    /// Form 52: the list is complete, and this is the space.
    OldEnd(Space),
    /// Form 62: the list is complete.
    NewEnd,
    /// Form 63: the server stops in an orderly way; its copies will be back soon.
    Disconnect,
}

/// Numbering of the packets. Masters accept either kind after either BEGIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// 50, 51, 52.
    Old,
    /// 60, 61, 62.
    New,
}

/// The packet that opens a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Version of the server.
    pub version: Version,
    /// Data port; address 0 stands for the address of the peer.
    pub address: SocketAddrV4,
    /// Wanted timeout of the connection in seconds. 0 in the new style: the master chooses.
    pub timeout_s: u16,
    /// What only the new style has; `None` for form 50.
    pub enrolment: Option<Enrolment>,
}

/// What form 60 tells beyond form 50.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Answer to the master's challenge, sent only after one.
    pub digest: Option<[u8; DIGEST_LEN]>,
    /// The number that the server has; 0: none yet.
    pub csid: CsId,
    /// Space; may be all zero because disks have not been measured yet.
    pub space: Space,
}

/// Forms 0–4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Complete<'a> {
    /// Fields that come with the later ones of these forms.
    pub form: CompleteForm,
    /// Data port; address 0 stands for the address of the peer.
    pub address: SocketAddrV4,
    /// Space, in the form that belongs to `form`.
    pub space: Space,
    /// All chunks of the server.
    pub chunks: List<'a, ReportedChunk>,
}

/// Form of a complete registration, with the fields that it added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompleteForm {
    /// Without a form byte: even length, space of 16 bytes.
    F0,
    /// Space of 32 bytes.
    F1,
    /// Space of 40 bytes.
    F2,
    /// With a timeout.
    F3 {
        /// Timeout of the connection in seconds.
        timeout_s: u16,
    },
    /// With version and timeout.
    F4 {
        /// Version of the server.
        version: Version,
        /// Timeout of the connection in seconds.
        timeout_s: u16,
    },
}

impl<'a> Register<'a> {
    /// Message type.
    pub const KIND: u32 = 100;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<Register<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        if payload.len().is_multiple_of(2) {
            return Complete::get(&mut reader, 0).map(Register::Complete);
        }
        let register = match reader.u8()? {
            rver @ 1..=4 => Register::Complete(Complete::get(&mut reader, rver)?),
            OLD_BEGIN => Register::Begin(Begin::get(&mut reader, None)?),
            OLD_CHUNKS => Register::Chunks(Style::Old, reader.get()?),
            OLD_END => Register::OldEnd(Space::get(&mut reader, SpaceForm::Full)?),
            NEW_BEGIN => {
                let digest = match payload.len() {
                    NEW_BEGIN_LEN => None,
                    _ => Some(reader.array()?),
                };
                Register::Begin(Begin::get(&mut reader, Some(digest))?)
            }
            NEW_CHUNKS => Register::Chunks(Style::New, reader.get()?),
            NEW_END => Register::NewEnd,
            DISCONNECT => Register::Disconnect,
            _ => return Err(Malformed),
        };
        reader.finish()?;
        Ok(register)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| match *self {
            Register::Complete(complete) => complete.put(out),
            Register::Begin(begin) => begin.put(out),
            Register::Chunks(style, chunks) => {
                out.put_u8(match style {
                    Style::Old => OLD_CHUNKS,
                    Style::New => NEW_CHUNKS,
                });
                out.put(chunks);
            }
            Register::OldEnd(space) => {
                out.put_u8(OLD_END);
                debug_assert_eq!(space.form, SpaceForm::Full);
                space.put(out);
            }
            Register::NewEnd => out.put_u8(NEW_END),
            Register::Disconnect => out.put_u8(DISCONNECT),
        });
    }
}

impl Begin {
    /// Style of the packet, and of those that follow it.
    pub fn style(&self) -> Style {
        match self.enrolment {
            None => Style::Old,
            Some(_) => Style::New,
        }
    }

    /// `digest` is `None` for form 50, else what stood before the version.
    fn get(
        reader: &mut Reader<'_>,
        digest: Option<Option<[u8; DIGEST_LEN]>>,
    ) -> Result<Begin, Malformed> {
        Ok(Begin {
            version: reader.get()?,
            address: reader.get()?,
            timeout_s: reader.u16()?,
            enrolment: match digest {
                None => None,
                Some(digest) => Some(Enrolment {
                    digest,
                    csid: reader.get()?,
                    space: Space::get(reader, SpaceForm::Full)?,
                }),
            },
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        match self.enrolment {
            None => out.put_u8(OLD_BEGIN),
            Some(_) => out.put_u8(NEW_BEGIN),
        }
        if let Some(digest) = self.enrolment.and_then(|enrolment| enrolment.digest) {
            out.put(digest);
        }
        out.put(self.version);
        out.put(self.address);
        out.put_u16(self.timeout_s);
        if let Some(enrolment) = self.enrolment {
            out.put(enrolment.csid);
            debug_assert_eq!(enrolment.space.form, SpaceForm::Full);
            enrolment.space.put(out);
        }
    }
}

impl CompleteForm {
    fn space_form(self) -> SpaceForm {
        match self {
            CompleteForm::F0 => SpaceForm::Regular,
            CompleteForm::F1 => SpaceForm::WithMarked,
            CompleteForm::F2 | CompleteForm::F3 { .. } | CompleteForm::F4 { .. } => SpaceForm::Full,
        }
    }
}

impl<'a> Complete<'a> {
    fn get(reader: &mut Reader<'a>, rver: u8) -> Result<Complete<'a>, Malformed> {
        let version = match rver {
            4 => reader.get()?,
            _ => Version::default(),
        };
        let address = reader.get()?;
        let timeout_s = match rver {
            3 | 4 => reader.u16()?,
            _ => 0,
        };
        let form = match rver {
            0 => CompleteForm::F0,
            1 => CompleteForm::F1,
            2 => CompleteForm::F2,
            3 => CompleteForm::F3 { timeout_s },
            4 => CompleteForm::F4 { version, timeout_s },
            _ => return Err(Malformed),
        };
        let space = Space::get(reader, form.space_form())?;
        let chunks = List::get(reader)?;
        require(reader.is_empty())?;
        Ok(Complete {
            form,
            address,
            space,
            chunks,
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        match self.form {
            CompleteForm::F0 => out.put(self.address),
            CompleteForm::F1 => {
                out.put_u8(1);
                out.put(self.address);
            }
            CompleteForm::F2 => {
                out.put_u8(2);
                out.put(self.address);
            }
            CompleteForm::F3 { timeout_s } => {
                out.put_u8(3);
                out.put(self.address);
                out.put_u16(timeout_s);
            }
            CompleteForm::F4 { version, timeout_s } => {
                out.put_u8(4);
                out.put(version);
                out.put(self.address);
                out.put_u16(timeout_s);
            }
        }
        debug_assert_eq!(self.space.form, self.form.space_form());
        self.space.put(out);
        out.put(self.chunks);
    }
}
