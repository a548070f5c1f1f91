//! What the client remembers of the master's answers (client-behaviour §8.2). Each cache is
//! bounded.

pub(crate) mod negative;
pub(crate) mod open_data;
pub(crate) mod places;
pub(crate) mod timed;
pub(crate) mod xattr;
