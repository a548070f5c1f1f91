//! The database of chunkservers: who was ever registered, under which number, and who is in
//! maintenance (master-behaviour §6.1). Connections, labels and load are the shell's knowledge.

mod changes;

use crate::digest::{Kind, Sum};
use proto::Status;
use std::net::Ipv4Addr;

/// Address under which a chunkserver announces itself; it identifies the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerAddress {
    /// As announced, not the peer of the connection.
    pub ip: Ipv4Addr,
    /// Port for clients and other chunkservers.
    pub port: u16,
}

/// Maintenance state of a chunkserver (master-behaviour §6.6), as its number in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Maintenance {
    /// Normal service.
    #[default]
    Off = 0,
    /// Switched on by command.
    On = 1,
    /// The server announced a planned stop.
    Temporary = 2,
}

impl Maintenance {
    /// The state of a number in an image.
    pub fn from_number(number: u8) -> Option<Maintenance> {
        match number {
            0 => Some(Maintenance::Off),
            1 => Some(Maintenance::On),
            2 => Some(Maintenance::Temporary),
            _ => None,
        }
    }
}

/// One chunkserver that the master knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerRecord {
    /// Its number, 1..=65535; 0 when it has none.
    pub csid: u16,
    /// Maintenance state.
    pub maintenance: Maintenance,
    /// Second at which maintenance ends by itself; 0 never.
    pub maintenance_until: u32,
}

/// One change of the database: the operations of CSDBOP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerChange {
    /// 0: a new server with this number (0: none yet).
    Add(u16),
    /// 1: forgotten.
    Remove,
    /// 2: the server of this number has this address now. Another one there is forgotten.
    Move(u16),
    /// 3: it has this number now.
    SetId(u16),
    /// 4: maintenance until this second (0: until it is switched off).
    MaintenanceOn(u32),
    /// 5: maintenance off.
    MaintenanceOff,
    /// 6: temporary maintenance until this second.
    TemporaryMaintenance(u32),
}

/// All known chunkservers. A clone shares everything with the original.
#[derive(Clone, Debug, Default)]
pub struct ServerTable {
    by_address: imbl::OrdMap<ServerAddress, ServerRecord>,
}

impl ServerTable {
    /// Counts what differs from an older state, see [`crate::digest`].
    pub(crate) fn count_changes(&self, old: &ServerTable, sum: &mut Sum) {
        let (old, new) = (&old.by_address, &self.by_address);
        sum.map(old, new, |sum, side, address, record| {
            let parts = [
                &address.ip.octets()[..],
                &address.port.to_be_bytes(),
                &record.csid.to_be_bytes(),
                &[record.maintenance as u8],
                &record.maintenance_until.to_be_bytes(),
            ];
            sum.count(side, Kind::Server, &parts);
        });
    }

    /// The record of an address.
    pub fn get(&self, address: ServerAddress) -> Option<ServerRecord> {
        self.by_address.get(&address).copied()
    }

    /// The server of a number; 0 is nobody's.
    pub fn find(&self, csid: u16) -> Option<(ServerAddress, ServerRecord)> {
        self.iter()
            .find(|(_, record)| csid != 0 && record.csid == csid)
    }

    /// The lowest number that nobody has; `None` when all 65535 are taken.
    pub fn free_csid(&self) -> Option<u16> {
        let mut taken: Vec<u16> = self.iter().map(|(_, record)| record.csid).collect();
        taken.sort_unstable();
        let mut free = 1u16;
        for csid in taken {
            if csid == free {
                free = free.checked_add(1)?;
            }
        }
        Some(free)
    }

    /// All records, ascending by address.
    pub fn iter(&self) -> impl Iterator<Item = (ServerAddress, ServerRecord)> {
        self.by_address
            .iter()
            .map(|(address, record)| (*address, *record))
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Takes a record over as an image has it; `false` when the address or the number is taken.
    pub fn load(&mut self, address: ServerAddress, record: ServerRecord) -> bool {
        if self.by_address.contains_key(&address) || self.find(record.csid).is_some() {
            return false;
        }
        self.by_address.insert(address, record);
        true
    }

    /// Carries out one change.
    ///
    /// # Errors
    /// [`Status::Mismatch`] when the server exists and must not, or must and does not, or when the
    /// number is taken or none.
    pub fn apply(&mut self, address: ServerAddress, change: ServerChange) -> Result<(), Status> {
        match change {
            ServerChange::Add(csid) => {
                let record = ServerRecord {
                    csid,
                    ..ServerRecord::default()
                };
                if self.load(address, record) {
                    Ok(())
                } else {
                    Err(Status::Mismatch)
                }
            }
            ServerChange::Remove => match self.by_address.remove(&address) {
                Some(_) => Ok(()),
                None => Err(Status::Mismatch),
            },
            ServerChange::Move(csid) => {
                let (old, record) = self.find(csid).ok_or(Status::Mismatch)?;
                self.by_address.remove(&old);
                self.by_address.insert(address, record);
                Ok(())
            }
            ServerChange::SetId(csid) => {
                if csid == 0 || self.find(csid).is_some() {
                    return Err(Status::Mismatch);
                }
                self.record(address)?.csid = csid;
                Ok(())
            }
            ServerChange::MaintenanceOn(until) => self.maintain(address, Maintenance::On, until),
            ServerChange::MaintenanceOff => self.maintain(address, Maintenance::Off, 0),
            ServerChange::TemporaryMaintenance(until) => {
                self.maintain(address, Maintenance::Temporary, until)
            }
        }
    }

    fn record(&mut self, address: ServerAddress) -> Result<&mut ServerRecord, Status> {
        self.by_address.get_mut(&address).ok_or(Status::Mismatch)
    }

    fn maintain(
        &mut self,
        address: ServerAddress,
        state: Maintenance,
        until: u32,
    ) -> Result<(), Status> {
        let record = self.record(address)?;
        record.maintenance = state;
        record.maintenance_until = until;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
