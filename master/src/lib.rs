//! The master: a pure core that takes frames and ticks, and the shell around it.

pub mod admin;
pub mod chunks;
pub mod chunkserver;
pub mod client;
pub mod core;
pub mod journal;
pub mod links;
pub mod metalogger;
pub mod settings;
pub mod shell;
