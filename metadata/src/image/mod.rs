//! The state as a metadata file, and back (metadata-and-changelog §1).
//!
//! Layouts of records are in [`proto::image`]; here is what they mean together: dependencies of
//! sections, checks, derived values.

mod checksums;
mod fingerprint;
pub mod load;
mod problem;
mod save;

pub use checksums::{Checked, check_against};
pub use fingerprint::Fingerprints;
pub use load::{LoadOptions, Loaded, load};
pub use problem::{LoadError, Place, Problem, Remedy, Repair, Source};
pub use save::{Saved, save, save_stream};
