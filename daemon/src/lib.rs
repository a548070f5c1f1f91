//! What every daemon shares: configuration files, the command line, the lock file, becoming a daemon,
//! logging, charts. Knows no connection and no program in particular.
//!
//! A program's `main` is one call of [`start::run`] with its [`cli::Program`], its
//! [`config_table::ConfigTable`] and the function that serves.

pub mod charts;
pub mod cli;
pub mod config;
pub mod config_file;
pub mod config_table;
pub mod config_value;
pub mod errno;
pub mod keys;
pub mod local_time;
pub mod lock;
pub mod log;
pub mod process;
pub mod signals;
pub mod start;
pub mod usage;
pub mod user;
