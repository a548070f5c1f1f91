//! The replicated master: one of several that agree on every change before it is answered.
//!
//! The replication runs in threads of its own; this room connects it with the one thread that owns
//! the state. Nothing here decides who leads.

mod command;
mod control;
mod follower;
mod guardian;
mod settings;
mod standing;
mod status;
mod tracker;
mod vip;

pub use command::run as command;
pub use follower::{Follower, Opened, open};
pub use guardian::Guardian;
pub use settings::HaSettings;
pub use standing::Standing;
pub use tracker::{Outcome, Tracker};
