//! Changes of the chunkserver database, with their lines.

use super::{Maintenance, ServerAddress, ServerChange, ServerTable};
use crate::namespace::Namespace;
use crate::tx::Tx;
use proto::Status;
use proto::changelog::{self, Entry};

impl ServerChange {
    fn entry(self) -> (changelog::ServerChange, u32) {
        match self {
            ServerChange::Add(csid) => (changelog::ServerChange::Add, csid.into()),
            ServerChange::Remove => (changelog::ServerChange::Remove, 0),
            ServerChange::Move(csid) => (changelog::ServerChange::NewAddress, csid.into()),
            ServerChange::SetId(csid) => (changelog::ServerChange::SetId, csid.into()),
            ServerChange::MaintenanceOn(until) => (changelog::ServerChange::MaintenanceOn, until),
            ServerChange::MaintenanceOff => (changelog::ServerChange::MaintenanceOff, 0),
            ServerChange::TemporaryMaintenance(until) => {
                (changelog::ServerChange::MaintenanceTemporary, until)
            }
        }
    }

    /// The change that a line carries; `None` when its argument is out of range.
    pub fn from_entry(change: changelog::ServerChange, argument: u32) -> Option<ServerChange> {
        let csid = u16::try_from(argument).ok();
        Some(match change {
            changelog::ServerChange::Add => ServerChange::Add(csid?),
            changelog::ServerChange::Remove => ServerChange::Remove,
            changelog::ServerChange::NewAddress => ServerChange::Move(csid?),
            changelog::ServerChange::SetId => ServerChange::SetId(csid?),
            changelog::ServerChange::MaintenanceOn => ServerChange::MaintenanceOn(argument),
            changelog::ServerChange::MaintenanceOff => ServerChange::MaintenanceOff,
            changelog::ServerChange::MaintenanceTemporary => {
                ServerChange::TemporaryMaintenance(argument)
            }
        })
    }
}

impl Namespace {
    /// All chunkservers that are known.
    pub fn servers(&self) -> &ServerTable {
        &self.servers
    }

    /// Carries out one change of the database. What is so already is no change and has no line:
    /// 3.0.117 stops at a line that gives a server the number it has. Neither does it forget a server
    /// whose address another one takes, so that is written out.
    ///
    /// # Errors
    /// As [`ServerTable::apply`].
    pub fn server_change(
        &mut self,
        tx: &mut Tx<'_>,
        address: ServerAddress,
        change: ServerChange,
    ) -> Result<(), Status> {
        let present = self.servers.get(address);
        match change {
            ServerChange::SetId(csid) | ServerChange::Move(csid)
                if csid != 0 && present.is_some_and(|record| record.csid == csid) =>
            {
                return Ok(());
            }
            ServerChange::Move(csid) if present.is_some() && self.servers.find(csid).is_some() => {
                self.log_server_change(tx, address, ServerChange::Remove)?;
            }
            _ => {}
        }
        self.log_server_change(tx, address, change)
    }

    fn log_server_change(
        &mut self,
        tx: &mut Tx<'_>,
        address: ServerAddress,
        change: ServerChange,
    ) -> Result<(), Status> {
        self.apply_server_change(address, change)?;
        let (change, argument) = change.entry();
        let entry = Entry::ServerTable {
            change,
            ip: address.ip.into(),
            port: address.port,
            argument,
        };
        self.log(tx, &entry);
        Ok(())
    }

    pub(crate) fn apply_server_change(
        &mut self,
        address: ServerAddress,
        change: ServerChange,
    ) -> Result<(), Status> {
        self.servers.apply(address, change)
    }

    /// Ends the maintenance of every server whose time is over; to be called each second.
    pub fn servers_end_maintenance(&mut self, tx: &mut Tx<'_>) {
        let ended: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, record)| {
                record.maintenance != Maintenance::Off
                    && record.maintenance_until != 0
                    && record.maintenance_until < tx.now
            })
            .map(|(address, _)| address)
            .collect();
        for address in ended {
            // The record was found a moment ago, so the change cannot fail.
            let _ = self.server_change(tx, address, ServerChange::MaintenanceOff);
        }
    }
}
