//! State of a cluster and of its master (wire-admin §4.3).

use std::net::Ipv4Addr;

use crate::frame::put_frame;
use crate::ids::MetaVersion;
use crate::message::{forms, messages};
use crate::version::Version;
use crate::wire::{Malformed, Reader};

messages! {
    /// Asks for the state of the cluster.
    GetInfo = 510 {}
}

/// Fields of [`Info`]; told by the length of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InfoForm {
    /// 68 bytes: 1.5.13.
    Basic,
    /// 76 bytes: memory, 1.6.27.
    Memory,
    /// 101 bytes: CPU and last store, 1.7.
    Store,
    /// 121 bytes: state of a replicated master, 2.0.
    State,
    /// 129 bytes: checksum of the exports, 3.0.32.
    Exports,
    /// 137 bytes: free space.
    FreeSpace,
    /// 149 bytes: clock and last change, 3.0.117.
    Clock,
}

impl InfoForm {
    const ALL: [(usize, InfoForm); 7] = [
        (68, InfoForm::Basic),
        (76, InfoForm::Memory),
        (101, InfoForm::Store),
        (121, InfoForm::State),
        (129, InfoForm::Exports),
        (137, InfoForm::FreeSpace),
        (149, InfoForm::Clock),
    ];

    /// Form of a payload.
    fn of_length(length: usize) -> Result<InfoForm, Malformed> {
        InfoForm::ALL
            .iter()
            .find_map(|(bytes, form)| (*bytes == length).then_some(*form))
            .ok_or(Malformed)
    }

    fn has_memory(self) -> bool {
        self >= InfoForm::Memory
    }

    fn has_store(self) -> bool {
        self >= InfoForm::Store
    }

    fn has_state(self) -> bool {
        self >= InfoForm::State
    }

    fn has_exports(self) -> bool {
        self >= InfoForm::Exports
    }

    fn has_free_space(self) -> bool {
        self >= InfoForm::FreeSpace
    }

    fn has_clock(self) -> bool {
        self >= InfoForm::Clock
    }
}

/// Role of a master. Unknown numbers are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterState(pub u8);

impl MasterState {
    /// Has no metadata of its own.
    pub const DUMMY: MasterState = MasterState(0);
    /// Serves.
    pub const LEADER: MasterState = MasterState(1);
    /// Stands for election.
    pub const ELECT: MasterState = MasterState(2);
    /// Follows a leader.
    pub const FOLLOWER: MasterState = MasterState(3);
    /// Takes over.
    pub const USURPER: MasterState = MasterState(4);
    /// There are no roles: community edition.
    pub const NONE: MasterState = MasterState(0xff);
}

forms! {
    /// Answer to [`GetInfo`].
    Info by InfoForm {
        /// Version of the master.
        version: Version,
        /// Resident memory of the master in bytes.
        memory: u64 where has_memory else 0,
        /// System CPU of the last sampled minute; 10⁹ is one core.
        system_cpu: u64 where has_store else 0,
        /// User CPU of the last sampled minute; 10⁹ is one core.
        user_cpu: u64 where has_store else 0,
        /// Sum of the chunkservers' disks in bytes.
        total_space: u64,
        /// Bytes that clients can use.
        available_space: u64,
        /// Free bytes, reserve included.
        free_space: u64 where has_free_space else 0,
        /// Length of all files in trash in bytes.
        trash_space: u64,
        /// Number of files in trash.
        trash_files: u32,
        /// Length of all files deleted but open in bytes.
        sustained_space: u64,
        /// Number of files deleted but open.
        sustained_files: u32,
        /// Number of inodes.
        inodes: u32,
        /// Number of directories.
        directories: u32,
        /// Number of files, those in trash and deleted but open included.
        files: u32,
        /// Number of chunks.
        chunks: u32,
        /// Number of valid copies.
        copies: u32,
        /// Number of valid copies on disks not marked for removal.
        regular_copies: u32,
        /// Time of the last metadata save; 0: none since the start.
        store_time: u32 where has_store else 0,
        /// How long it took in milliseconds; before 2.0.14 in seconds.
        store_duration: u32 where has_store else 0,
        /// 0 saved in background, 1 downloaded from elsewhere, 2 saved in foreground.
        store_status: u8 where has_store else 0,
        /// Role.
        state: u8 where has_state else MasterState::NONE.0,
        /// Role that is being entered.
        next_state: u8 where has_state else MasterState::NONE.0,
        /// 0: on the way to `next_state`.
        stable: u8 where has_state else MasterState::NONE.0,
        /// 1: metadata are in step with the leader's.
        synchronised: u8 where has_state else MasterState::NONE.0,
        /// Address of the leader; 0 in the community edition.
        leader: Ipv4Addr where has_state else Ipv4Addr::UNSPECIFIED,
        /// Time of the last change of the role; 0 in the community edition.
        state_change_time: u32 where has_state else 0,
        /// Number of the last change.
        meta_version: MetaVersion where has_state else MetaVersion(0),
        /// Equal on masters with equal exports (wire-admin §4.3.1).
        exports_checksum: u64 where has_exports else 0,
        /// Clock of the master in microseconds.
        local_time_us: u64 where has_clock else 0,
        /// Time stamp of the last change that a follower applied; 0 in the community edition.
        changelog_time: u32 where has_clock else 0,
    }
}

impl Info {
    /// Message type.
    pub const KIND: u32 = 511;

    /// Reads the payload of a packet of this type, and tells its form. Those of 4.x are not known.
    pub fn decode(payload: &[u8]) -> Result<(Info, InfoForm), Malformed> {
        let form = InfoForm::of_length(payload.len())?;
        let mut reader = Reader::new(payload);
        let info = Info::get(&mut reader, form)?;
        reader.finish()?;
        Ok((info, form))
    }

    /// Appends the packet, header included.
    pub fn encode(&self, form: InfoForm, out: &mut Vec<u8>) {
        put_frame(out, Self::KIND, |out| self.put(out, form));
    }
}
