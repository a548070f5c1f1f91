//! What a LOOKUP told about a file, for the OPEN or ACCESS that follows (client-behaviour §8.4).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::client::lookup::lookup_flag;
use proto::{Attr, Inode, NodeKind, Status};
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::operations::Found;

/// How long it is believed.
const KEEP: Duration = Duration::from_secs(1);
/// Entries that are kept at most.
const ENTRIES_MAX: usize = 20_000;

/// Process, user and group.
pub(crate) type Identity = (u32, u32, u32);

#[derive(Debug)]
struct Entry {
    found: Found,
    attr: Attr,
    since: Instant,
}

/// Fresh LOOKUPs by object and caller.
#[derive(Debug, Default)]
pub(crate) struct OpenDataCache {
    entries: Mutex<HashMap<Inode, HashMap<Identity, Entry>>>,
}

impl OpenDataCache {
    fn lock(&self) -> MutexGuard<'_, HashMap<Inode, HashMap<Identity, Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the answer to a LOOKUP.
    pub(crate) fn put(&self, identity: Identity, found: Found, attr: Attr) {
        if found.node.attr.kind != NodeKind::File {
            return;
        }
        let now = Instant::now();
        let mut entries = self.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, of_inode| {
                of_inode.retain(|_, entry| now.duration_since(entry.since) < KEEP);
                !of_inode.is_empty()
            });
            if entries.len() >= ENTRIES_MAX {
                entries.clear();
            }
        }
        let of_inode = entries.entry(found.node.inode).or_default();
        if of_inode.len() >= 64 {
            of_inode.clear();
        }
        let since = now;
        of_inode.insert(identity, Entry { found, attr, since });
    }

    /// Takes the answer for an OPEN: it is used once.
    pub(crate) fn take(&self, inode: Inode, identity: Identity) -> Option<(Found, Attr)> {
        let mut entries = self.lock();
        let entry = entries.get_mut(&inode)?.remove(&identity)?;
        (entry.since.elapsed() < KEEP).then_some((entry.found, entry.attr))
    }

    /// Outcome of an access test, if it is known.
    pub(crate) fn access(&self, inode: Inode, identity: Identity, mask: u32) -> Option<Result<()>> {
        let entries = self.lock();
        let entry = entries.get(&inode)?.get(&identity)?;
        if entry.since.elapsed() >= KEEP {
            return None;
        }
        Some(allowed(&entry.found, mask as u8))
    }

    /// Something about the object was changed.
    pub(crate) fn forget(&self, inode: Inode) {
        self.lock().remove(&inode);
    }
}

/// Whether the caller may do what `mask` says (client-behaviour §7.8).
pub(crate) fn allowed(found: &Found, mask: u8) -> Result<()> {
    const WRITE: u8 = 2;
    if mask & WRITE != 0 && found.flags & lookup_flag::READ_ONLY != 0 {
        return Err(Error::Status(Status::Erofs));
    }
    if mask & WRITE != 0 && found.flags & lookup_flag::IMMUTABLE != 0 {
        return Err(Error::Status(Status::Eperm));
    }
    if !found.allows(mask) {
        return Err(Error::Status(Status::Eacces));
    }
    Ok(())
}
