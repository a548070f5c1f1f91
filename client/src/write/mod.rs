//! Write-back: data are taken at once and reach the servers in the background
//! (client-behaviour §12).
//!
//! [`queue`] and [`job`] decide, [`engine`] talks. What a file has to write is in
//! [`crate::file`].

pub(crate) mod engine;
pub(crate) mod job;
pub(crate) mod queue;
