//! The planner against simulated chunkservers.

mod background;
mod operations;
mod placement;
mod reports;
mod simulation;
mod world;
