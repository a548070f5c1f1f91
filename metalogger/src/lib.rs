//! mfsmetalogger and mfsmetarestore: a copy of the changelog on another machine, and what is made of
//! it.
//!
//! The core of the metalogger ([`follower`], [`download`]) takes packets and times and answers with
//! [`effect`]s; [`disk`] and [`service`] carry them out.

pub mod disk;
pub mod download;
pub mod effect;
pub mod follower;
pub mod restore;
pub mod service;
pub mod settings;
