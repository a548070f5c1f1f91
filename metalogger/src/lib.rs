//! mfsmetalogger, mfsmetarestore, mfsmetadump: a copy of the changelog on another machine, what is made
//! of it, and what is in it.
//!
//! The core of the metalogger ([`follower`], [`download`]) takes packets and times and answers with
//! [`effect`]s; [`disk`] and [`service`] carry them out.

pub mod disk;
pub mod download;
pub mod effect;
pub mod follower;
pub mod metadump;
pub mod progress;
pub mod restore;
pub mod service;
pub mod settings;
