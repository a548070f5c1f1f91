//! Chunkservers and metaloggers (wire-admin §4.1, §4.8, §4.9).

use crate::chunkserver;
use crate::core::Core;
use crate::links::LinkId;
use metadata::server_table::ServerAddress;
use proto::Status;
use proto::admin::{
    ChunkserverAction, ChunkserverCommand, ChunkserverCommandStatus, ChunkserverForm,
    ChunkserverList, GetChunkservers, MetaloggerEntry, MetaloggerList,
};
use proto::list::List;

/// Every server of the database, connected or not.
pub(super) fn list(core: &mut Core, link: LinkId, request: GetChunkservers) {
    let entries = chunkserver::entries(core);
    let form = ChunkserverForm::of_master(crate::VERSION, request.mode);
    ChunkserverList::encode(entries, form, core.links.out(link));
}

/// A change of what the master thinks of a server.
pub(super) fn command(core: &mut Core, link: LinkId, command: ChunkserverCommand) {
    let address = ServerAddress {
        ip: *command.address.ip(),
        port: command.address.port(),
    };
    let action = command.action.unwrap_or(ChunkserverAction::REMOVE);
    let status = match chunkserver::command(core, action, address) {
        Ok(()) => Status::Ok,
        Err(status) => status,
    };
    ChunkserverCommandStatus {
        status: command.action.map(|_| status),
    }
    .encode(core.links.out(link));
}

/// Metaloggers that are connected.
pub(super) fn metaloggers(core: &mut Core, link: LinkId) {
    let mut buffer = Vec::new();
    let entries = core
        .loggers
        .registered()
        .map(|(logger, version)| MetaloggerEntry {
            version,
            ip: *core.links.peer(logger).ip(),
        });
    let metaloggers = List::write(entries, &mut buffer);
    MetaloggerList { metaloggers }.encode(core.links.out(link));
}
