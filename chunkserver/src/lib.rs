//! mfschunkserver: keeps chunks of 64 MiB as plain files and serves them (chunkserver.md).
//!
//! `store` knows disks, `data_link` and `master_link` know sockets; what can be wrong in
//! interesting ways (registration, write chain, choice of disk, damage, balance) is decided in
//! values.

pub mod admin;
pub mod counters;
pub mod data_link;
pub mod disk_list;
pub mod disk_pool;
pub mod identity;
pub mod limits;
pub mod master_link;
pub mod reports;
pub mod samples;
pub mod server;
pub mod service;
pub mod settings;
pub mod store;
pub mod tool;
