//! Master and metalogger on port 9419: the stream of changelog lines and the download of files
//! (metadata-and-changelog §4).

use crate::common::{ConfigValue, GetConfig, GetVersion, Nop};
use crate::frame::put_frame;
use crate::ids::MetaVersion;
use crate::list::Rest;
use crate::message::{direction, messages};
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

/// Largest payload of the connection in bytes, either direction.
pub const PAYLOAD_MAX: u32 = 1_500_000;
/// Most bytes that original metaloggers ask for in one [`DownloadRequest`].
pub const DOWNLOAD_BLOCK_MAX: u32 = 1_000_000;
/// Least timeout that a master uses, in seconds.
pub const TIMEOUT_S_MIN: u16 = 3;
/// Timeout of a connection that has not agreed upon another, in seconds.
pub const TIMEOUT_S_DEFAULT: u16 = 10;

const RVER_STREAM: u8 = 1;
const RVER_FROM: u8 = 2;
const LINE: u8 = 0xff;
const ROTATE: u8 = 0x55;
const CANNOT_OPEN: u8 = 0xff;

messages! {
    /// Answer to the registration; only from 4.x masters to 4.x metaloggers.
    MasterAck = 52 {
        /// Type of the answer.
        kind: u8,
        /// Version of the master.
        version: Version,
    }

    /// Asks for a block of the open file.
    DownloadRequest = 62 {
        /// First byte.
        offset: u64,
        /// Number of bytes.
        length: u32,
    }

    /// Closes the open file. Not answered.
    DownloadEnd = 64 {}
}

direction! {
    /// What a metalogger sends.
    FromMetalogger<'a> {
        /// Sign of life.
        Nop,
        /// Answered before registration too.
        GetVersion,
        /// Answered before registration too.
        GetConfig<'a>,
        /// Wants the stream.
        Register,
        /// Opens a file.
        DownloadStart,
        /// Wants a block.
        DownloadRequest,
        /// Closes the file.
        DownloadEnd,
    }
}

direction! {
    /// What a master sends to a metalogger. The reply to GET_VERSION needs the request to be read.
    ToMetalogger<'a> {
        /// Sign of life.
        Nop,
        /// Value of the configuration.
        ConfigValue<'a>,
        /// A line of the changelog, or the order to rotate.
        MetaChange<'a>,
        /// Answer to the registration (4.x).
        MasterAck,
        /// Answer to [`DownloadStart`].
        DownloadInfo,
        /// Answer to [`DownloadRequest`].
        DownloadData<'a>,
    }
}

/// Starts the stream. Versions 3 and 4 of the packet belong to commercial programs and close the
/// connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Version of the metalogger.
    pub version: Version,
    /// Seconds after which each side may take the other for dead.
    pub timeout_s: u16,
    /// First line that the metalogger lacks; `None`: new lines only. A master that has not kept
    /// the line sends new ones only, without telling.
    pub first_wanted: Option<MetaVersion>,
}

impl Register {
    /// Message type.
    pub const KIND: u32 = 50;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<Register, Malformed> {
        let mut reader = Reader::new(payload);
        let rver = reader.u8()?;
        let register = Register {
            version: reader.get()?,
            timeout_s: reader.u16()?,
            first_wanted: match rver {
                RVER_STREAM => None,
                RVER_FROM => Some(reader.get()?),
                _ => return Err(Malformed),
            },
        };
        reader.finish()?;
        Ok(register)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u8(match self.first_wanted {
                None => RVER_STREAM,
                Some(_) => RVER_FROM,
            });
            out.put(self.version);
            out.put_u16(self.timeout_s);
            if let Some(first_wanted) = self.first_wanted {
                out.put(first_wanted);
            }
        });
    }
}

/// An event of the changelog, in the order of its making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetaChange<'a> {
    /// A line.
    Line {
        /// Number of the line; ascends by 1.
        version: MetaVersion,
        /// `timestamp|OPERATION(…)…`, without line end or terminator.
        text: Rest<'a>,
    },
    /// Rotate the changelogs.
    Rotate,
}

impl<'a> MetaChange<'a> {
    /// Message type.
    pub const KIND: u32 = 51;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<MetaChange<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        match reader.u8()? {
            LINE => {
                let version = reader.get()?;
                let (&terminator, text) = reader.rest().split_last().ok_or(Malformed)?;
                if terminator != 0 {
                    return Err(Malformed);
                }
                Ok(MetaChange::Line {
                    version,
                    text: Rest(text),
                })
            }
            ROTATE => {
                reader.finish()?;
                Ok(MetaChange::Rotate)
            }
            _ => Err(Malformed),
        }
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| match *self {
            MetaChange::Line { version, text } => {
                out.put_u8(LINE);
                out.put(version);
                out.put(text);
                out.put_u8(0);
            }
            MetaChange::Rotate => out.put_u8(ROTATE),
        });
    }
}

/// A file that a master gives away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadFile {
    /// `metadata.mfs.back`; opens the two changelogs at the same moment.
    Metadata,
    /// `sessions.mfs`; 1.6 only, later masters answer that they cannot open it.
    Sessions,
    /// `changelog.0.mfs`.
    Changelog0,
    /// `changelog.1.mfs`.
    Changelog1,
}

/// Opens a file for download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadStart {
    /// Which.
    pub file: DownloadFile,
}

impl DownloadStart {
    /// Message type.
    pub const KIND: u32 = 60;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<DownloadStart, Malformed> {
        let file = match payload {
            [1] => DownloadFile::Metadata,
            [2] => DownloadFile::Sessions,
            [11] => DownloadFile::Changelog0,
            [12] => DownloadFile::Changelog1,
            _ => return Err(Malformed),
        };
        Ok(DownloadStart { file })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u8(match self.file {
                DownloadFile::Metadata => 1,
                DownloadFile::Sessions => 2,
                DownloadFile::Changelog0 => 11,
                DownloadFile::Changelog1 => 12,
            });
        });
    }
}

/// Answer to [`DownloadStart`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadInfo {
    /// Length of the file in bytes; `None`: it cannot be opened.
    pub length: Option<u64>,
}

impl DownloadInfo {
    /// Message type.
    pub const KIND: u32 = 61;

    /// Reads the payload of a packet of this type. Any status byte says "cannot open".
    pub fn decode(payload: &[u8]) -> Result<DownloadInfo, Malformed> {
        let mut reader = Reader::new(payload);
        let length = match payload.len() {
            1 => {
                reader.u8()?;
                None
            }
            _ => Some(reader.u64()?),
        };
        reader.finish()?;
        Ok(DownloadInfo { length })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| match self.length {
            Some(length) => out.put_u64(length),
            None => out.put_u8(CANNOT_OPEN),
        });
    }
}

/// A block of the open file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadData<'a> {
    /// First byte.
    pub offset: u64,
    /// CRC-32 of the data.
    pub crc: u32,
    /// The bytes.
    pub data: Rest<'a>,
}

impl<'a> DownloadData<'a> {
    /// Message type.
    pub const KIND: u32 = 63;

    /// A block with its CRC.
    pub fn new(offset: u64, data: &'a [u8]) -> DownloadData<'a> {
        DownloadData {
            offset,
            crc: crc32fast::hash(data),
            data: Rest(data),
        }
    }

    /// Whether the data are what was sent.
    pub fn is_intact(&self) -> bool {
        crc32fast::hash(self.data.0) == self.crc
    }

    /// Reads the payload of a packet of this type. The CRC is not compared.
    pub fn decode(payload: &'a [u8]) -> Result<DownloadData<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let offset = reader.u64()?;
        let length = reader.u32()?;
        let crc = reader.u32()?;
        let data: Rest<'_> = reader.get()?;
        if data.0.len() as u64 != u64::from(length) {
            return Err(Malformed);
        }
        Ok(DownloadData { offset, crc, data })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            out.put_u64(self.offset);
            out.put_u32(u32::try_from(self.data.0.len()).unwrap_or(u32::MAX));
            out.put_u32(self.crc);
            out.put(self.data);
        });
    }
}
