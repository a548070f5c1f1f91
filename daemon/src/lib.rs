//! What every daemon shares: configuration files, the command line, the lock file, becoming a daemon,
//! logging. Knows no protocol and no program in particular.

pub mod config;
pub mod config_file;
pub mod config_table;
pub mod config_value;
pub mod keys;
