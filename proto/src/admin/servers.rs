//! Chunkservers and metaloggers as the master lists them, and the command that changes them
//! (wire-admin §4.1, §4.8, §4.9).

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::frame::put_frame;
use crate::ids::CsId;
use crate::message::{forms, lists, messages, records};
use crate::status::Status;
use crate::version::Version;
use crate::wire::{Field, Malformed, Put, Reader};

use super::request::optional_byte;
use crate::chunkserver::Usage;

/// Asks for the list of chunkservers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetChunkservers {
    /// Only to masters ≥ 4.35; 3.0.117 closes on it.
    pub mode: Option<u8>,
}

optional_byte! { GetChunkservers = 500 { mode } }

lists! {
    /// Answer to [`GetChunkservers`]; the order has no meaning.
    ChunkserverList = 501 of ChunkserverEntry by ChunkserverForm;
}

/// Fields of a [`ChunkserverEntry`], by the master's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChunkserverForm {
    /// 54 bytes: 1.5.13 – 1.6.27.
    Errors,
    /// 62 bytes: load and grace time, 1.6.28.
    Load,
    /// 64 bytes: csid, 1.7.25.
    Csid,
    /// 68 bytes: labels, 2.1.0.
    Labels,
    /// 69 bytes: state of disks marked for removal, 3.0.38.
    Removal,
    /// 73 bytes: address before mapping, 4.26.
    OriginalIp,
    /// 77 bytes: maintenance timeout, 4.35 with a mode above 0.
    Maintenance,
}

impl ChunkserverForm {
    /// Form of a master's answer to a request with this mode.
    pub fn of_master(master: Version, mode: Option<u8>) -> ChunkserverForm {
        let since = |major, middle, minor| master >= Version::new(major, middle, minor);
        if since(4, 35, 0) && mode.is_some_and(|mode| mode > 0) {
            ChunkserverForm::Maintenance
        } else if since(4, 26, 0) {
            ChunkserverForm::OriginalIp
        } else if since(3, 0, 38) {
            ChunkserverForm::Removal
        } else if since(2, 1, 0) {
            ChunkserverForm::Labels
        } else if since(1, 7, 25) {
            ChunkserverForm::Csid
        } else if since(1, 6, 28) {
            ChunkserverForm::Load
        } else {
            ChunkserverForm::Errors
        }
    }

    fn has_load(self) -> bool {
        self >= ChunkserverForm::Load
    }

    fn has_csid(self) -> bool {
        self >= ChunkserverForm::Csid
    }

    fn has_labels(self) -> bool {
        self >= ChunkserverForm::Labels
    }

    fn has_removal(self) -> bool {
        self >= ChunkserverForm::Removal
    }

    fn has_original_ip(self) -> bool {
        self >= ChunkserverForm::OriginalIp
    }

    fn has_maintenance(self) -> bool {
        self >= ChunkserverForm::Maintenance
    }
}

/// The first word of an entry: flags in the top byte, the low 24 bits of the version below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerState {
    /// See the constants of this type.
    pub flags: u8,
    /// Version of the server, below 256.0.0; 0 when it is disconnected.
    pub version: Version,
}

impl ServerState {
    /// The server is not connected.
    pub const DISCONNECTED: u8 = 1;
    /// Maintenance mode is on.
    pub const MAINTENANCE: u8 = 2;
    /// The maintenance mode is the temporary one of a server that stopped in an orderly way.
    pub const TEMPORARY: u8 = 4;
}

impl<'a> Field<'a> for ServerState {
    fn get(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let word = reader.u32()?;
        Ok(ServerState {
            flags: (word >> 24) as u8,
            version: Version(word & 0x00ff_ffff),
        })
    }

    fn put(self, out: &mut Vec<u8>) {
        out.put_u32(u32::from(self.flags) << 24 | self.version.0 & 0x00ff_ffff);
    }
}

forms! {
    /// A chunkserver that the master knows. A disconnected one has counters of 0.
    ChunkserverEntry by ChunkserverForm {
        /// Flags and version.
        state: ServerState,
        /// Address before the master's mapping.
        original_ip: Ipv4Addr where has_original_ip else Ipv4Addr::UNSPECIFIED,
        /// Data port as clients reach it.
        address: SocketAddrV4,
        /// Permanent number.
        csid: CsId where has_csid else CsId(0),
        /// Disks not marked for removal.
        regular: Usage,
        /// Disks marked for removal.
        marked: Usage,
        /// IO error reports since the server connected.
        errors: u32,
        /// Queue length that the server reported last.
        load: u32 where has_load else 0,
        /// 0 normal; below 0x8000_0000 seconds of the overload grace period that are left;
        /// [`INTERNAL_REBALANCE`]; [`HEAVY_LOAD`].
        grace: u32 where has_load else 0,
        /// Labels, bit 0 is A.
        labels: u32 where has_labels else 0,
        /// Can the marked disks go: 1 not ready, 2 ready, other values not known yet.
        removal: u8 where has_removal else 0,
        /// Seconds until the maintenance mode ends.
        maintenance_s: u32 where has_maintenance else 0,
    }
}

/// `grace` of a server that moves chunks between its disks.
pub const INTERNAL_REBALANCE: u32 = 0x8000_0000;
/// `grace` of a server that reports heavy load itself.
pub const HEAVY_LOAD: u32 = 0xc000_0000;

messages! {
    /// Asks for the list of metaloggers.
    GetMetaloggers = 522 {}

    /// Answer to [`GetMetaloggers`]: the connected ones.
    MetaloggerList<'a> = 523 {
        /// Metaloggers.
        metaloggers: crate::list::List<'a, MetaloggerEntry>,
    }
}

records! {
    /// A metalogger that is connected.
    MetaloggerEntry[8] {
        /// Version.
        version: Version,
        /// Address.
        ip: Ipv4Addr,
    }
}

/// Changes what the master thinks of a chunkserver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkserverCommand {
    /// What to do; `None` in the old form, which removes.
    pub action: Option<ChunkserverAction>,
    /// Data port as in the list.
    pub address: SocketAddrV4,
}

/// What a [`ChunkserverCommand`] does. Unknown numbers are answered with 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkserverAction(pub u8);

impl ChunkserverAction {
    /// Forget a disconnected server. 41 unknown server, 42 it is connected.
    pub const REMOVE: ChunkserverAction = ChunkserverAction(0);
    /// End an overload grace period.
    pub const BACK_TO_WORK: ChunkserverAction = ChunkserverAction(1);
    /// Take its chunks for present when it is away.
    pub const MAINTENANCE_ON: ChunkserverAction = ChunkserverAction(2);
    /// End of the maintenance mode.
    pub const MAINTENANCE_OFF: ChunkserverAction = ChunkserverAction(3);
    /// Temporary removal; commercial edition, 6 from the others.
    pub const TEMPORARY_REMOVE: ChunkserverAction = ChunkserverAction(4);
}

impl ChunkserverCommand {
    /// Message type.
    pub const KIND: u32 = 524;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<ChunkserverCommand, Malformed> {
        let mut reader = Reader::new(payload);
        let action = match payload.len() {
            6 => None,
            _ => Some(ChunkserverAction(reader.u8()?)),
        };
        let address = reader.get()?;
        reader.finish()?;
        Ok(ChunkserverCommand { action, address })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(action) = self.action {
                out.put_u8(action.0);
            }
            out.put(self.address);
        });
    }
}

/// Answer to [`ChunkserverCommand`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkserverCommandStatus {
    /// Outcome; `None` to the old form.
    pub status: Option<Status>,
}

impl ChunkserverCommandStatus {
    /// Message type.
    pub const KIND: u32 = 525;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<ChunkserverCommandStatus, Malformed> {
        let mut reader = Reader::new(payload);
        let status = match reader.is_empty() {
            true => None,
            false => Some(reader.get()?),
        };
        reader.finish()?;
        Ok(ChunkserverCommandStatus { status })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| {
            if let Some(status) = self.status {
                out.put(status);
            }
        });
    }
}
