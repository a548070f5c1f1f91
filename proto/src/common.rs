//! Messages that every daemon understands on every port (wire-admin §3, chunkserver §1.5).
//!
//! The NOP of the client port has four bytes of data and lives with the client messages.

use crate::frame::put_frame;
use crate::list::Rest;
use crate::message::messages;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

messages! {
    /// Sign of life of the 9419, 9420 and 9422 connections.
    Nop = 0 {}

    /// "Your message type is unknown here." Ignored by every receiver, never sent by 3.0.117.
    UnknownCommand<'a> = 1 {
        /// Undefined between versions.
        body: Rest<'a>,
    }

    /// "The length of your message is wrong." Ignored by every receiver, never sent by 3.0.117.
    BadCommandSize<'a> = 2 {
        /// Undefined between versions.
        body: Rest<'a>,
    }

    /// Asks for a value of the configuration file.
    GetConfig<'a> = 80 {
        /// Returned in the reply.
        msgid: u32,
        /// Name of the option, such as `DATA_PATH`.
        option: &'a [u8],
    }

    /// Answer to [`GetConfig`].
    ConfigValue<'a> = 81 {
        /// From the request.
        msgid: u32,
        /// Text in the file, cut to 255 bytes; empty when the option is not set there.
        value: &'a [u8],
    }
}

/// Asks for the program's version. Absent in 1.6.27.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetVersion {
    /// Returned in the reply when present.
    pub msgid: Option<u32>,
}

impl GetVersion {
    /// Message type.
    pub const KIND: u32 = 10;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<GetVersion, Malformed> {
        optional_msgid(payload).map(|msgid| GetVersion { msgid })
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

/// Answer to [`GetVersion`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionReply<'a> {
    /// From the request; absent when it was absent there.
    pub msgid: Option<u32>,
    /// Version word.
    pub version: Version,
    /// Printable version with the package's suffix, such as `3.0.117-1`.
    pub text: Rest<'a>,
}

impl<'a> VersionReply<'a> {
    /// Message type.
    pub const KIND: u32 = 11;

    /// Reads the payload; `request` is what was asked, since the reply itself does not tell
    /// whether it starts with a msgid.
    pub fn decode(payload: &'a [u8], request: GetVersion) -> Result<VersionReply<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let msgid = request.msgid.map(|_| reader.u32()).transpose()?;
        Ok(VersionReply {
            msgid,
            version: reader.get()?,
            text: reader.get()?,
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(msgid) = self.msgid {
                out.put_u32(msgid);
            }
            out.put(self.version);
            out.put(self.text);
        });
    }
}

/// A payload that is empty or one msgid.
pub(crate) fn optional_msgid(payload: &[u8]) -> Result<Option<u32>, Malformed> {
    if payload.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader::new(payload);
    let msgid = reader.u32()?;
    reader.finish()?;
    Ok(Some(msgid))
}
