//! Reading: buffers of a handle, read-ahead, and the way to the servers (client-behaviour §11).
//!
//! [`ahead`] decides how far to read ahead, [`buffers`] holds what was read or is on its way,
//! [`engine`] fetches.

pub(crate) mod ahead;
pub(crate) mod buffers;
pub(crate) mod engine;
