//! The chunk planner.

/// Limits and periods of chunk work (master-behaviour §7.10).
#[derive(Clone, Debug, Default)]
pub struct ChunkSettings {}

/// The planner.
#[derive(Debug, Default)]
pub struct Chunks {}

impl Chunks {
    /// A planner that knows no server yet.
    pub fn new(_settings: &ChunkSettings, _now: crate::core::Now, _seed: u64) -> Chunks {
        Chunks::default()
    }
}
