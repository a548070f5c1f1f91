//! The tables of configuration keys, one file a program, and the rows they share.

pub mod chunkserver;
pub mod common;
pub mod master;
pub mod metalogger;
