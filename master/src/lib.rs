//! The master: a pure core that takes frames and ticks, and the shell around it.

pub mod address_range;
pub mod admin;
pub mod chunks;
pub mod chunkserver;
pub mod client;
pub mod core;
pub mod exports;
pub mod journal;
pub mod links;
pub mod metalogger;
pub mod periodic;
pub mod settings;
pub mod shell;
pub mod topology;
