//! Inodes, names, trash and freed numbers: the tree as records in pages.

/// The tree.
#[derive(Debug, Default, Clone)]
pub struct Store {}
