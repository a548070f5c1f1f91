//! Memory for the names of a file, made by another thread while the inodes are read: half of the time
//! that names take would go to memory that is touched for the first time.

use crate::store::Store;
use crate::store::edge::EdgeRecord;
use crate::store::names::{Names, SparePages};
use crate::store::pages::Pages;
use std::thread::JoinHandle;

/// Fewer names are not worth a thread.
const NAMES_MIN: u32 = 50_000;
/// Bytes of a name's record without the name.
const RECORD_BYTES: u64 = 18;
/// Bytes by which a name is longer in memory, halved: rather too little than too much is made.
const ROUNDING_BYTES: u64 = 1;

/// Pages without records.
#[derive(Debug)]
struct Spare {
    edges: Pages<EdgeRecord, 256>,
    names: SparePages,
    hashes: Vec<(u64, u32)>,
}

/// The work of the other thread.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    thread: Option<JoinHandle<Spare>>,
    /// Bytes of the section of names, when known.
    pub(super) edge_bytes: u64,
}

impl Ahead {
    /// Begins to make room for as many names as there are inodes. Both numbers come from the file, but
    /// neither is larger than the file.
    pub(super) fn begin(&mut self, inodes: u32) {
        if inodes < NAMES_MIN || self.edge_bytes < u64::from(inodes) * RECORD_BYTES {
            return;
        }
        let text_bytes = self.edge_bytes - u64::from(inodes) * (RECORD_BYTES - ROUNDING_BYTES);
        let make = move || {
            let mut edges = Pages::default();
            edges.reach(inodes);
            let names = Names::pages_for(usize::try_from(text_bytes).unwrap_or(0));
            let mut hashes = Vec::with_capacity(inodes as usize + 1);
            // Anything but zeros, which the kernel would give without memory.
            hashes.resize(inodes as usize, (1, 1));
            hashes.clear();
            Spare {
                edges,
                names,
                hashes,
            }
        };
        self.thread = std::thread::Builder::new().spawn(make).ok();
    }

    /// Takes over what was made; gives the room for hashes.
    pub(super) fn take(&mut self, store: &mut Store) -> Vec<(u64, u32)> {
        // Without the thread memory is made when it is needed.
        let spare = self.thread.take().and_then(|thread| thread.join().ok());
        let Some(spare) = spare else {
            return Vec::new();
        };
        store.edges.adopt(spare.edges);
        store.names.adopt(spare.names);
        spare.hashes
    }
}
