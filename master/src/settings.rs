//! What `mfsmaster.cfg` says, as values that the rooms use.

use crate::chunks::ChunkSettings;

/// Settings of the master, except those of the process (daemon crate).
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Chunk management.
    pub chunks: ChunkSettings,
}
