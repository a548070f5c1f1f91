//! Monitoring on the data port (wire-admin §3, §5, §6).

use crate::counters::NO_WORK;
use crate::data_link::Closed;
use crate::server::Server;
use crate::store::disk::{Disk, DiskState};
use proto::admin::{
    DiskEntry, DiskList, GetChartData, GetChartImage, GetDisks, GetModuleInfo, GetMonotonic,
    ModuleInfo, ModuleKind, Monotonic, disk_flags,
};
use proto::chunkserver::Usage;
use proto::common::{ConfigValue, GetConfig, GetVersion, VersionReply};
use proto::list::{List, Rest};
use proto::{ChunkId, Version};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

/// Version as people read it, with the suffix of the package.
const VERSION_TEXT: &[u8] = b"3.0.117-1";
/// Longest value that GET_CONFIG returns.
const VALUE_MAX: usize = 255;

/// Appends the answer to a request; an unknown or malformed one closes the connection.
pub fn answer(server: &Server, kind: u32, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Closed> {
    match kind {
        GetVersion::KIND => {
            let GetVersion { msgid } = GetVersion::decode(payload)?;
            VersionReply {
                msgid,
                version: Version::CURRENT,
                text: Rest(VERSION_TEXT),
            }
            .encode(out);
        }
        GetConfig::KIND => {
            let request = GetConfig::decode(payload)?;
            let settings = server.settings();
            let value = settings.written(request.option).as_bytes();
            ConfigValue {
                msgid: request.msgid,
                value: &value[..value.len().min(VALUE_MAX)],
            }
            .encode(out);
        }
        GetModuleInfo::KIND => {
            if GetModuleInfo::decode(payload)?.msgid.is_some() {
                return Err(Closed);
            }
            module_info(server).encode(out);
        }
        GetMonotonic::KIND => {
            GetMonotonic::decode(payload)?;
            monotonic(server, out);
        }
        GetChartImage::KIND => {
            let request = GetChartImage::decode(payload)?;
            server.charts.lock().put_image(request, out);
        }
        GetChartData::KIND => {
            let request = GetChartData::decode(payload)?;
            server.charts.lock().put_data(request, out);
        }
        GetDisks::KIND => {
            GetDisks::decode(payload)?;
            disks(server, out);
        }
        _ => return Err(Closed),
    }
    Ok(())
}

fn module_info(server: &Server) -> ModuleInfo {
    let identity = *server.identity.lock();
    let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    ModuleInfo {
        msgid: None,
        module: ModuleKind::CHUNKSERVER,
        version: Version::CURRENT,
        csid: identity.csid,
        metaid: identity.metaid,
        leader: server.leader.lock().unwrap_or(nobody),
    }
}

/// A disk as it is listed, without its path and statistics.
fn entry<'a>(disk: &Disk, path: &'a [u8]) -> DiskEntry<'a> {
    let mut flags = 0;
    if disk.marks().removal {
        flags |= disk_flags::MARKED_FOR_REMOVAL;
    }
    let space = disk.space();
    let mut usage = Usage {
        used: space.total.saturating_sub(space.free),
        total: space.total,
        chunks: disk.chunks(),
    };
    match disk.state() {
        DiskState::Scanning => {
            flags |= disk_flags::SCANNED;
            usage.used = disk.progress().into();
            usage.total = 0;
        }
        DiskState::Damaged => flags |= disk_flags::DAMAGED,
        DiskState::Working | DiskState::Removed => {}
    }
    let last = disk.errors.lock().last();
    DiskEntry {
        path,
        flags,
        error_chunk: last.map_or(ChunkId(0), |error| error.chunk),
        error_time: last.map_or(0, |error| error.time),
        usage,
    }
}

/// The last line of the file comes first.
fn listed(server: &Server) -> Vec<(Arc<Disk>, Vec<u8>)> {
    let disks = server.store.disks();
    let with_path = |disk: Arc<Disk>| {
        let path = disk.wire_path();
        (disk, path)
    };
    disks.into_iter().rev().map(with_path).collect()
}

fn disks(server: &Server, out: &mut Vec<u8>) {
    let listed = listed(server);
    let mut invalid: Vec<Vec<u8>> = server.invalid_disks.lock().clone();
    invalid.reverse();
    let mut buffers: Vec<Vec<u8>> = listed.iter().map(|_| Vec::new()).collect();
    let mut none = Vec::new();
    let no_work = List::write([NO_WORK; 3], &mut none);
    let mut disks: Vec<proto::admin::Disk<'_>> = invalid
        .iter()
        .map(|path| proto::admin::Disk {
            entry: DiskEntry {
                path,
                flags: disk_flags::INVALID | disk_flags::DAMAGED,
                error_chunk: ChunkId(0),
                error_time: 0,
                usage: Usage::ZERO,
            },
            stats: no_work,
        })
        .collect();
    disks.extend(
        listed
            .iter()
            .zip(&mut buffers)
            .map(|((disk, path), buffer)| proto::admin::Disk {
                entry: entry(disk, path),
                stats: List::write(disk.work.lock().periods(), buffer),
            }),
    );
    DiskList { disks }.encode(out);
}

fn monotonic(server: &Server, out: &mut Vec<u8>) {
    let listed = listed(server);
    let mut buffers: Vec<Vec<u8>> = listed.iter().map(|_| Vec::new()).collect();
    let disks = listed
        .iter()
        .zip(&mut buffers)
        .map(|((disk, path), buffer)| proto::admin::Disk {
            entry: entry(disk, path),
            stats: List::write([disk.work.lock().total()], buffer),
        })
        .collect();
    let mut counters = Vec::new();
    let charts = server.charts.lock();
    Monotonic {
        counters: charts.totals(&mut counters),
        disks: Some(disks),
    }
    .encode(out);
}
