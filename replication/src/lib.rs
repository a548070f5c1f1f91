//! The replicated log: log store, peer links, snapshots, membership.
