//! Operations of clients: order of the status checks, effects, changelog lines.

mod attributes;
mod data;
mod names;
mod trash;
mod tree_copies;
mod world;
