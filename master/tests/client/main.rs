//! The client port, driven through the core without sockets.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod administration;
mod data;
mod locks;
mod namespace;
mod registration;
mod room;
mod states;
mod versions;
