//! Monitoring messages on the client port (wire-admin §4). Anybody who reaches the port may ask.

pub mod charts;
mod classes;
mod clusters;
mod exports;
mod file_check;
mod quotas;
mod servers;
mod sessions;

use crate::core::Core;
use crate::links::LinkId;
use daemon::usage::ProcessUsage;
use file_check::FileCheckRound;
use proto::admin::{
    ChunkserverCommand, GetChartData, GetChartImage, GetChunkLoop, GetChunkMatrix, GetChunkservers,
    GetExports, GetFileCheck, GetInfo, GetMemoryDetail, GetMetaloggers, GetMissingChunks,
    GetModuleInfo, GetMonotonic, GetQuotas, GetSessions, GetStorageClasses, SessionCommand,
};
use proto::wire::Malformed;

/// The last image that was saved (message 510).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// When, seconds since 1970; 0 = not since the start.
    pub time: u32,
    /// How long it took, milliseconds.
    pub duration_ms: u32,
    /// 0 saved in background, 2 in foreground; other values are failures.
    pub status: u8,
}

/// State that only monitoring needs.
#[derive(Debug, Default)]
pub struct Admin {
    /// The last image.
    pub store: StoreReport,
    /// What the process uses.
    pub usage: ProcessUsage,
    /// Orders to chunkservers in this minute.
    pub minute: charts::Minute,
    charts: charts::ChartRoom,
    file_check: FileCheckRound,
}

/// A monitoring message; whatever no layout allows closes the connection.
pub fn frame(core: &mut Core, link: LinkId, kind: u32, payload: &[u8]) {
    if let Err(Malformed) = answer(core, link, kind, payload) {
        tracing::info!(
            "main master server module: got unknown or wrong message (type:{kind} ; length:{}) from {}",
            payload.len(),
            core.links.peer(link).ip()
        );
        core.links.close(link);
    }
}

fn answer(core: &mut Core, link: LinkId, kind: u32, payload: &[u8]) -> Result<(), Malformed> {
    match kind {
        GetChunkservers::KIND => servers::list(core, link, GetChunkservers::decode(payload)?),
        ChunkserverCommand::KIND => {
            servers::command(core, link, ChunkserverCommand::decode(payload)?);
        }
        GetMetaloggers::KIND => {
            GetMetaloggers::decode(payload)?;
            servers::metaloggers(core, link);
        }
        GetSessions::KIND => sessions::list(core, link, GetSessions::decode(payload)?),
        SessionCommand::KIND => sessions::command(core, link, SessionCommand::decode(payload)?),
        GetExports::KIND => exports::list(core, link, GetExports::decode(payload)?),
        GetQuotas::KIND => {
            GetQuotas::decode(payload)?;
            quotas::list(core, link);
        }
        GetInfo::KIND => {
            GetInfo::decode(payload)?;
            clusters::info(core, link);
        }
        GetChartData::KIND => charts::data(core, link, GetChartData::decode(payload)?),
        GetChartImage::KIND => charts::image(core, link, GetChartImage::decode(payload)?),
        GetMonotonic::KIND => {
            GetMonotonic::decode(payload)?;
            charts::monotonic(core, link);
        }
        GetChunkLoop::KIND => {
            GetChunkLoop::decode(payload)?;
            clusters::chunk_loop(core, link);
        }
        GetChunkMatrix::KIND => clusters::matrix(core, link, GetChunkMatrix::decode(payload)?),
        GetMemoryDetail::KIND => {
            GetMemoryDetail::decode(payload)?;
            clusters::memory(core, link);
        }
        GetModuleInfo::KIND => clusters::module(core, link, GetModuleInfo::decode(payload)?),
        GetFileCheck::KIND => file_check::report(core, link, GetFileCheck::decode(payload)?),
        GetMissingChunks::KIND => {
            file_check::missing(core, link, GetMissingChunks::decode(payload)?);
        }
        // The form byte is one of later versions.
        GetStorageClasses::KIND if payload.is_empty() => {
            classes::list(core, link, GetStorageClasses::decode(payload)?);
        }
        _ => return Err(Malformed),
    }
    Ok(())
}

/// Time passed.
pub fn tick(core: &mut Core) {
    file_check::tick(core);
}
