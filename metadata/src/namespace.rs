//! The whole state, and how its parts are reached.

/// Every persistent fact about one file system.
#[derive(Debug, Default)]
pub struct Namespace {}
