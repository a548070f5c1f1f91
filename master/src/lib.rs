//! The master: a pure core that takes frames and ticks, and the shell around it.

pub mod address_range;
pub mod admin;
pub mod chunks;
pub mod chunkserver;
pub mod client;
pub mod companions;
pub mod core;
pub mod datadir;
pub mod exports;
pub mod ha;
pub mod journal;
pub mod lingering;
pub mod links;
pub mod metalogger;
pub mod periodic;
pub mod replay;
pub mod saver;
pub mod service;
pub mod settings;
pub mod shell;
pub mod startup_lines;
pub mod storage;
pub mod topology;

use proto::version::Version;

/// Version that the master announces: the MooseFS release whose behaviour it has.
pub const VERSION: Version = Version::CURRENT;
/// The same for people, with MooseFS's package suffix.
pub const VERSION_TEXT: &str = "3.0.117-1";
