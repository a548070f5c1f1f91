//! Chunk records of the metadata, in the form in which the planner looks at them.

use metadata::Namespace;
use metadata::chunk_table::{ChunkIndex, ChunkRecord};
use metadata::storage_class::{LabelList, LabelMode};
use proto::{ChunkId, ClassId};
use std::fmt;

/// A chunk at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Chunk {
    /// Its place in the tables.
    pub index: u32,
    /// Its record.
    pub record: ChunkRecord,
}

impl Chunk {
    /// The chunk of a number.
    pub fn find(ns: &Namespace, id: ChunkId) -> Option<Chunk> {
        let (index, record) = ns.chunk(id)?;
        Some(Chunk {
            index: index.0,
            record: *record,
        })
    }

    /// The chunk at a place.
    pub fn at(ns: &Namespace, index: u32) -> Option<Chunk> {
        let record = *ns.chunk_at(ChunkIndex(index))?;
        Some(Chunk { index, record })
    }

    /// Its number.
    pub fn id(&self) -> ChunkId {
        self.record.id
    }

    /// Whether it is locked in this second.
    pub fn is_locked(&self, now: u32) -> bool {
        self.record.locked_to >= now
    }

    /// Whether files refer to it.
    pub fn is_referenced(&self) -> bool {
        self.record.references != 0
    }
}

/// As log lines name a chunk: sixteen digits of the number, eight of the version.
impl fmt::Display for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016X}_{:08X}", self.record.id.0, self.record.version.0)
    }
}

/// Where copies should be.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// One expression for each copy.
    pub labels: LabelList,
    /// How strictly they bind.
    pub mode: LabelMode,
}

impl Want {
    /// What a chunk wants now; `None` when nothing refers to it.
    pub fn of(ns: &Namespace, record: &ChunkRecord) -> Option<Want> {
        let placement = ns.placement(record)?;
        Some(Want {
            labels: *placement.labels,
            mode: placement.mode,
        })
    }

    /// What a new chunk of a class wants.
    pub fn at_creation(ns: &Namespace, class: ClassId) -> Option<Want> {
        let rules = &ns.classes().get(class)?.rules;
        Some(Want {
            labels: rules.create,
            mode: rules.mode,
        })
    }

    /// Number of copies.
    pub fn copies(&self) -> usize {
        usize::from(self.labels.copies())
    }
}
