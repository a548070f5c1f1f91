//! The client port, driven through the core without sockets.

mod administration;
mod data;
mod locks;
mod namespace;
mod registration;
mod room;
mod states;
mod versions;
