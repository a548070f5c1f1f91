//! What a chunkserver reports on its own: space, load, labels, found, lost and damaged copies
//! (chunkserver §2.2, §2.5).

use super::chunk::{ReportedChunk, Usage};
use crate::frame::put_frame;
use crate::ids::ChunkId;
use crate::list::List;
use crate::message::messages;
use crate::version::Version;
use crate::wire::{Malformed, Put, Reader};

messages! {
    /// Copies that gave an IO or CRC error, or whose file is gone or has an impossible size.
    ChunkDamaged<'a> = 102 {
        /// Chunks.
        chunks: List<'a, ChunkId>,
    }

    /// Copies that are not here any more, or never were.
    ChunkLost<'a> = 105 {
        /// Chunks.
        chunks: List<'a, ChunkId>,
    }

    /// One disk or CRC error.
    ErrorOccurred = 106 {}

    /// Copies found by a scan, or whose disk got or lost the removal mark. May repeat what the
    /// registration said.
    ChunkNew<'a> = 107 {
        /// Copies.
        chunks: List<'a, ReportedChunk>,
    }

    /// Labels of the server. Only to masters with [`Version::master_takes_labels`].
    Labels = 109 {
        /// Bit 0 is A, bit 25 is Z.
        mask: u32,
    }

    /// Chunks that a command or a client named and that are not here; older servers and masters
    /// use [`ChunkLost`]. Only to masters with [`Version::master_takes_transfer_state`].
    ChunkDoesNotExist<'a> = 96 {
        /// Chunks.
        chunks: List<'a, ChunkId>,
    }
}

/// Fields that a space report has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpaceForm {
    /// 16 bytes: used and total.
    Regular,
    /// 32 bytes: used and total, also for disks marked for removal.
    WithMarked,
    /// 40 bytes: with the numbers of chunks. All that is sent since 1.6.
    Full,
}

/// SPACE, and the same fields inside REGISTER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Fields that are transmitted; the others are 0.
    pub form: SpaceForm,
    /// Disks not marked for removal.
    pub regular: Usage,
    /// Disks marked for removal.
    pub marked: Usage,
}

impl Space {
    /// Message type.
    pub const KIND: u32 = 101;

    /// The report of 40 bytes.
    pub fn new(regular: Usage, marked: Usage) -> Space {
        Space {
            form: SpaceForm::Full,
            regular,
            marked,
        }
    }

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<Space, Malformed> {
        let form = match payload.len() {
            16 => SpaceForm::Regular,
            32 => SpaceForm::WithMarked,
            40 => SpaceForm::Full,
            _ => return Err(Malformed),
        };
        Space::get(&mut Reader::new(payload), form)
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| self.put(out));
    }

    pub(super) fn get(reader: &mut Reader<'_>, form: SpaceForm) -> Result<Space, Malformed> {
        let bytes = |reader: &mut Reader<'_>| -> Result<Usage, Malformed> {
            Ok(Usage {
                used: reader.u64()?,
                total: reader.u64()?,
                chunks: 0,
            })
        };
        let (regular, marked) = match form {
            SpaceForm::Regular => (bytes(reader)?, Usage::ZERO),
            SpaceForm::WithMarked => (bytes(reader)?, bytes(reader)?),
            SpaceForm::Full => (reader.get()?, reader.get()?),
        };
        Ok(Space {
            form,
            regular,
            marked,
        })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let bytes = |usage: Usage, out: &mut Vec<u8>| {
            out.put_u64(usage.used);
            out.put_u64(usage.total);
        };
        match self.form {
            SpaceForm::Regular => bytes(self.regular, out),
            SpaceForm::WithMarked => {
                bytes(self.regular, out);
                bytes(self.marked, out);
            }
            SpaceForm::Full => {
                out.put(self.regular);
                out.put(self.marked);
            }
        }
    }
}

/// Condition of a server's worker pool ("hlstatus"). Unknown numbers are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoadState(pub u8);

impl LoadState {
    /// Never reported.
    pub const UNKNOWN: LoadState = LoadState(0);
    /// Normal.
    pub const NORMAL: LoadState = LoadState(1);
    /// More than three quarters of the workers are busy.
    pub const OVERLOADED: LoadState = LoadState(2);
    /// Chunks move between the server's own disks, low speed.
    pub const REBALANCE: LoadState = LoadState(3);
    /// Grace period after overload; inside the master only.
    pub const GRACE: LoadState = LoadState(4);
    /// Chunks move between the server's own disks, high speed (4.37).
    pub const FAST_REBALANCE: LoadState = LoadState(5);

    /// The state as a master of this version understands it.
    pub fn for_master(self, master: Version) -> LoadState {
        let known = match self {
            LoadState::REBALANCE => master.master_knows_rebalance(),
            LoadState::FAST_REBALANCE => master.master_knows_fast_rebalance(),
            _ => true,
        };
        if known { self } else { LoadState::OVERLOADED }
    }
}

/// CURRENT_LOAD in its three forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentLoad {
    /// Jobs running and queued in the worker pool.
    pub load: u32,
    /// Only to masters with [`Version::master_takes_load_state`].
    pub state: Option<LoadState>,
    /// Lists still being sent: 1 LOST, 2 NEW. Only together with `state`, to masters with
    /// [`Version::master_takes_transfer_state`].
    pub transferring: Option<u8>,
}

impl CurrentLoad {
    /// Message type.
    pub const KIND: u32 = 103;

    /// The form that a master understands; `None` for masters that close on CURRENT_LOAD.
    pub fn for_master(
        master: Version,
        load: u32,
        state: LoadState,
        transferring: u8,
    ) -> Option<CurrentLoad> {
        master.master_takes_load().then(|| CurrentLoad {
            load,
            state: master
                .master_takes_load_state()
                .then(|| state.for_master(master)),
            transferring: master.master_takes_transfer_state().then_some(transferring),
        })
    }

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &[u8]) -> Result<CurrentLoad, Malformed> {
        let mut reader = Reader::new(payload);
        let load = reader.u32()?;
        let state = match reader.is_empty() {
            true => None,
            false => Some(LoadState(reader.u8()?)),
        };
        let transferring = match reader.is_empty() {
            true => None,
            false => Some(reader.u8()?),
        };
        reader.finish()?;
        Ok(CurrentLoad {
            load,
            state,
            transferring,
        })
    }

    /// Appends the packet, header included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.state.is_some() || self.transferring.is_none());
        put_frame(out, Self::KIND, |out| {
            out.put_u32(self.load);
            if let Some(state) = self.state {
                out.put_u8(state.0);
                if let Some(transferring) = self.transferring {
                    out.put_u8(transferring);
                }
            }
        });
    }
}

/// A line for the master's log; only between 4.x programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syslog<'a> {
    /// Priority as in syslog(3).
    pub priority: u8,
    /// Text, at most 65535 bytes.
    pub text: &'a [u8],
}

impl<'a> Syslog<'a> {
    /// Message type.
    pub const KIND: u32 = 71;

    /// Reads the payload of a packet of this type.
    pub fn decode(payload: &'a [u8]) -> Result<Syslog<'a>, Malformed> {
        let mut reader = Reader::new(payload);
        let priority = reader.u8()?;
        let length = reader.u16()?;
        let text = reader.bytes(usize::from(length))?;
        reader.finish()?;
        Ok(Syslog { priority, text })
    }

    /// Appends the packet, header included; longer text is cut.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.text.len()).unwrap_or(u16::MAX);
        put_frame(out, Self::KIND, |out| {
            out.put_u8(self.priority);
            out.put_u16(length);
            out.put_bytes(&self.text[..usize::from(length)]);
        });
    }
}
