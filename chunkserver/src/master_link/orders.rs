//! What the master orders (chunkserver §2.6, §2.7): each order runs on its own and is answered once.

use crate::data_link::look;
use crate::data_link::replicate::replicate;
use crate::disk_pool::NotRun;
use crate::server::Server;
use crate::store::Store;
use crate::store::disk::Disk;
use proto::chunkserver::{
    ChecksumTable, ChunkBlocks, ChunkChecksum, ChunkChecksumTable, ChunkOp, ChunkOpStatus, Create,
    CreateStatus, Delete, DeleteStatus, Duplicate, DuplicateStatus, DuplicateTruncate,
    DuplicateTruncateStatus, FromMaster, GetChunkBlocks, GetChunkChecksum, GetChunkChecksumTable,
    Replicate, ReplicateSources, ReplicateStatus, SetVersion, SetVersionStatus, Truncate,
    TruncateStatus, checksum_of_table,
};
use proto::{ChunkId, ChunkVersion, Status};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An order that a disk does not begin within this time is answered "try again".
const PATIENCE: Duration = Duration::from_secs(10);
/// … and within this one when the disk hangs.
const PATIENCE_STALLED: Duration = Duration::from_secs(2);
/// A chunk that was not made within this time is made on another server.
const CREATE_PATIENCE: Duration = Duration::from_secs(3);
/// "As it is" as a length of the general command.
const SAME_LENGTH: u32 = u32::MAX;

/// An order, free of the packet it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make an empty chunk.
    Create(Create),
    /// Remove a copy.
    Delete(Delete),
    /// Copy a chunk.
    Duplicate(Duplicate),
    /// Change the version.
    SetVersion(SetVersion),
    /// Fetch a copy from this server; `None`: a form that is not served.
    Replicate(ChunkId, ChunkVersion, Option<SocketAddrV4>),
    /// The general command.
    ChunkOp(ChunkOp),
    /// Change version and length.
    Truncate(Truncate),
    /// Copy a chunk with another length.
    DuplicateTruncate(DuplicateTruncate),
    /// Count blocks.
    Blocks(GetChunkBlocks),
    /// Checksum of the CRCs.
    Checksum(GetChunkChecksum),
    /// The CRCs.
    Table(GetChunkChecksumTable),
}

impl Order {
    /// The order in a packet; `None` for packets that are none.
    pub fn of(message: &FromMaster<'_>) -> Option<Order> {
        Some(match *message {
            FromMaster::Create(order) => Order::Create(order),
            FromMaster::Delete(order) => Order::Delete(order),
            FromMaster::Duplicate(order) => Order::Duplicate(order),
            FromMaster::SetVersion(order) => Order::SetVersion(order),
            FromMaster::Replicate(Replicate {
                chunk,
                version,
                sources,
            }) => Order::Replicate(
                chunk,
                version,
                match sources {
                    ReplicateSources::One(address) => Some(address),
                    ReplicateSources::Xor(_) | ReplicateSources::Masked { .. } => None,
                },
            ),
            FromMaster::ChunkOp(order) => Order::ChunkOp(order),
            FromMaster::Truncate(order) => Order::Truncate(order),
            FromMaster::DuplicateTruncate(order) => Order::DuplicateTruncate(order),
            FromMaster::GetChunkBlocks(order) => Order::Blocks(order),
            FromMaster::GetChunkChecksum(order) => Order::Checksum(order),
            FromMaster::GetChunkChecksumTable(order) => Order::Table(order),
            _ => return None,
        })
    }
}

/// What the general command means (chunkserver §2.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Delete,
    Create,
    Test,
    SetVersion,
    Duplicate,
    Truncate,
    DuplicateTruncate,
    Nothing,
}

fn meaning(op: ChunkOp) -> Meaning {
    let copy = op.copy_chunk.0 != 0;
    match (op.new_version.0, op.length) {
        (0, 0) => Meaning::Delete,
        (0, 1) => Meaning::Create,
        (0, 2) => Meaning::Test,
        (0, _) => Meaning::Nothing,
        (_, SAME_LENGTH) if copy => Meaning::Duplicate,
        (_, SAME_LENGTH) => Meaning::SetVersion,
        (_, _) if copy => Meaning::DuplicateTruncate,
        (_, _) => Meaning::Truncate,
    }
}

/// Carries an order out; the answer as a packet.
pub async fn execute(server: Arc<Server>, order: Order) -> Vec<u8> {
    let mut out = Vec::new();
    match order {
        Order::Create(Create { chunk, version }) => {
            let status = status_of(create(&server, chunk, version).await);
            CreateStatus { chunk, status }.encode(&mut out);
        }
        Order::Delete(Delete { chunk, version }) => {
            let status = status_of(delete(&server, chunk, version).await);
            DeleteStatus { chunk, status }.encode(&mut out);
        }
        Order::Duplicate(order) => {
            let new = (order.new_chunk, order.new_version);
            let old = (order.old_chunk, order.old_version);
            let status = status_of(duplicate(&server, new, old, None).await);
            let chunk = order.new_chunk;
            DuplicateStatus { chunk, status }.encode(&mut out);
        }
        Order::SetVersion(order) => {
            let SetVersion {
                chunk,
                new_version,
                old_version,
            } = order;
            let status = status_of(set_version(&server, chunk, new_version, old_version).await);
            SetVersionStatus { chunk, status }.encode(&mut out);
        }
        Order::Replicate(chunk, version, source) => {
            let replicated = match source {
                Some(source) => replicate(&server, chunk, version, source).await,
                None => Err(Status::Io),
            };
            if replicated.is_ok() {
                server.counters.replications.add(1);
            }
            let status = status_of(replicated);
            ReplicateStatus {
                chunk,
                version,
                status,
            }
            .encode(&mut out);
        }
        Order::Truncate(order) => {
            let Truncate {
                chunk,
                length,
                new_version,
                old_version,
            } = order;
            let truncated = truncate(&server, chunk, new_version, old_version, length).await;
            let status = status_of(truncated);
            TruncateStatus { chunk, status }.encode(&mut out);
        }
        Order::DuplicateTruncate(order) => {
            let new = (order.new_chunk, order.new_version);
            let old = (order.old_chunk, order.old_version);
            let status = status_of(duplicate(&server, new, old, Some(order.length)).await);
            let chunk = order.new_chunk;
            DuplicateTruncateStatus { chunk, status }.encode(&mut out);
        }
        Order::ChunkOp(op) => {
            let status = status_of(general(&server, op).await);
            ChunkOpStatus {
                chunk: op.chunk,
                version: op.version,
                new_version: op.new_version,
                copy_chunk: op.copy_chunk,
                copy_version: op.copy_version,
                length: op.length,
                status,
            }
            .encode(&mut out);
        }
        Order::Blocks(GetChunkBlocks { chunk, version }) => {
            let (blocks, status) = match look(&server, chunk, version).await {
                Ok((blocks, _)) => (blocks, Status::Ok),
                Err(status) => (0, status),
            };
            ChunkBlocks {
                chunk,
                version,
                blocks,
                status,
            }
            .encode(&mut out);
        }
        Order::Checksum(GetChunkChecksum { chunk, version }) => {
            let looked = look(&server, chunk, version).await;
            let result = looked.map(|(_, table)| checksum_of_table(ChecksumTable(&table)));
            ChunkChecksum {
                chunk,
                version,
                result,
            }
            .encode(&mut out);
        }
        Order::Table(GetChunkChecksumTable { chunk, version }) => {
            let looked = look(&server, chunk, version).await;
            let result = match &looked {
                Ok((_, table)) => Ok(ChecksumTable(table)),
                Err(status) => Err(*status),
            };
            ChunkChecksumTable {
                chunk,
                version,
                result,
            }
            .encode(&mut out);
        }
    }
    out
}

fn status_of(result: Result<(), Status>) -> Status {
    match result {
        Ok(()) => Status::Ok,
        Err(status) => status,
    }
}

/// Runs a job on the threads of a disk; "try again" when it does not get to it.
async fn on_disk(
    server: &Arc<Server>,
    disk: &Arc<Disk>,
    job: impl FnOnce(&Store) -> Result<(), Status> + Send + 'static,
) -> Result<(), Status> {
    let store = Arc::clone(&server.store);
    let limit = match disk.pool.is_stalled(Instant::now()) {
        true => PATIENCE_STALLED,
        false => PATIENCE,
    };
    match disk.pool.run_within(limit, move || job(&store)).await {
        Ok(result) => result,
        Err(NotRun::Full(_) | NotRun::TooLate) => Err(Status::NotDone),
    }
}

async fn create(server: &Arc<Server>, chunk: ChunkId, version: ChunkVersion) -> Result<(), Status> {
    if server.store.has(chunk) {
        return Err(Status::ChunkExist);
    }
    let disk = server.store.choose()?;
    let (task, on) = (Arc::clone(server), Arc::clone(&disk));
    let mut made = Box::pin(async move {
        let store = Arc::clone(&task.store);
        let made = disk
            .pool
            .run(move || store.create(&on, chunk, version))
            .await;
        made.unwrap_or(Err(Status::NotDone)).map(|_| ())
    });
    match tokio::time::timeout(CREATE_PATIENCE, &mut made).await {
        Ok(result) => {
            if result.is_ok() {
                server.counters.creations.add(1);
            }
            result
        }
        Err(_) => {
            // The disk hangs. The master goes on without it: what comes late is taken back.
            let server = Arc::clone(server);
            tokio::spawn(async move {
                if made.await.is_ok() {
                    // A copy that stays is one that the master does not know: it removes it.
                    let _ = delete(&server, chunk, version).await;
                }
            });
            Err(Status::NotDone)
        }
    }
}

async fn delete(server: &Arc<Server>, chunk: ChunkId, version: ChunkVersion) -> Result<(), Status> {
    let disk = server.store.disk_of(chunk)?;
    on_disk(server, &disk, move |store| store.delete(chunk, version)).await?;
    server.counters.deletions.add(1);
    Ok(())
}

async fn set_version(
    server: &Arc<Server>,
    chunk: ChunkId,
    new: ChunkVersion,
    old: ChunkVersion,
) -> Result<(), Status> {
    let disk = server.store.disk_of(chunk)?;
    on_disk(server, &disk, move |store| {
        store.set_version(chunk, new, old)
    })
    .await?;
    server.counters.versions.add(1);
    Ok(())
}

async fn truncate(
    server: &Arc<Server>,
    chunk: ChunkId,
    new: ChunkVersion,
    old: ChunkVersion,
    length: u32,
) -> Result<(), Status> {
    let disk = server.store.disk_of(chunk)?;
    on_disk(server, &disk, move |store| {
        store.truncate(chunk, new, old, length)
    })
    .await?;
    server.counters.truncations.add(1);
    Ok(())
}

async fn duplicate(
    server: &Arc<Server>,
    new: (ChunkId, ChunkVersion),
    old: (ChunkId, ChunkVersion),
    length: Option<u32>,
) -> Result<(), Status> {
    if server.store.has(new.0) {
        return Err(Status::ChunkExist);
    }
    let source = server.store.disk_of(old.0)?;
    // The source's own disk if it has room: copying there can share blocks.
    let target = match server.store.takes_chunks(&source) {
        true => Arc::clone(&source),
        false => server.store.choose()?,
    };
    let on = Arc::clone(&target);
    on_disk(server, &source, move |store| {
        store.duplicate(&on, new, old, length)
    })
    .await?;
    match length {
        None => server.counters.duplications.add(1),
        Some(_) => server.counters.duplicate_truncations.add(1),
    }
    Ok(())
}

async fn general(server: &Arc<Server>, op: ChunkOp) -> Result<(), Status> {
    let (chunk, old, new) = (op.chunk, op.version, op.new_version);
    let copy = (op.copy_chunk, op.copy_version);
    match meaning(op) {
        Meaning::Delete => delete(server, chunk, old).await,
        Meaning::Create => create(server, chunk, old).await,
        Meaning::Test => {
            let disk = server.store.disk_of(chunk)?;
            on_disk(server, &disk, move |store| store.test(chunk, old)).await
        }
        Meaning::SetVersion => set_version(server, chunk, new, old).await,
        Meaning::Duplicate => duplicate(server, (copy.0, copy.1), (chunk, old), None).await,
        Meaning::Truncate => truncate(server, chunk, new, old, op.length).await,
        Meaning::DuplicateTruncate => {
            duplicate(server, (copy.0, copy.1), (chunk, old), Some(op.length)).await
        }
        Meaning::Nothing => Err(Status::Einval),
    }
}

#[cfg(test)]
mod tests {
    use super::{Meaning, SAME_LENGTH, meaning};
    use proto::chunkserver::ChunkOp;
    use proto::{ChunkId, ChunkVersion};

    #[test]
    fn the_general_command_is_told_by_version_length_and_copy() {
        for (new_version, copy, length, expected) in [
            (0, 0, 0, Meaning::Delete),
            (0, 0, 1, Meaning::Create),
            (0, 0, 2, Meaning::Test),
            (0, 0, 3, Meaning::Nothing),
            (2, 0, SAME_LENGTH, Meaning::SetVersion),
            (2, 9, SAME_LENGTH, Meaning::Duplicate),
            (2, 0, 100, Meaning::Truncate),
            (2, 9, 100, Meaning::DuplicateTruncate),
        ] {
            let op = ChunkOp {
                chunk: ChunkId(1),
                version: ChunkVersion(1),
                new_version: ChunkVersion(new_version),
                copy_chunk: ChunkId(copy),
                copy_version: ChunkVersion(1),
                length,
            };
            assert_eq!(meaning(op), expected);
        }
    }
}
