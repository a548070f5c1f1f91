//! Moving files of the data directory, and writing a state into it.

use super::disk::{Disk, DiskFile, SteadyFile, ignore_missing};
use super::{Step, TEMPORARY, rotation};
use std::io;

/// Makes movements one after the other and waits until the directory is on stable storage.
pub fn execute(disk: &impl Disk, steps: &[Step]) -> io::Result<()> {
    for step in steps {
        match step {
            Step::Rename { from, to } => ignore_missing(disk.rename(from, to))?,
            Step::Remove(name) => ignore_missing(disk.remove(name))?,
            Step::Cut { name, bytes } => {
                let file = disk.create(name)?;
                file.set_length(*bytes)?;
                file.sync()?;
            }
        }
    }
    disk.sync_names()
}

/// Writes a state, syncs it, and only then moves it to its place as the newest backup, keeping `keep`
/// older ones. On an error the older states are untouched and the half one is removed.
pub fn save<D: Disk, T>(
    disk: &D,
    keep: u32,
    write: impl FnOnce(SteadyFile<'_, D::File>) -> io::Result<T>,
) -> io::Result<T> {
    match write_synced(disk, TEMPORARY, write) {
        Ok(value) => {
            execute(disk, &rotation::after_dump(keep))?;
            Ok(value)
        }
        Err(error) => {
            // The first error is the one that matters.
            let _ = disk.remove(TEMPORARY);
            Err(error)
        }
    }
}

fn write_synced<D: Disk, T>(
    disk: &D,
    name: &str,
    write: impl FnOnce(SteadyFile<'_, D::File>) -> io::Result<T>,
) -> io::Result<T> {
    // A name that is left from a crash gets a file of its own: nothing of the old one shows.
    ignore_missing(disk.remove(name))?;
    let file = disk.create(name)?;
    let value = write(SteadyFile::new(&file))?;
    file.sync()?;
    Ok(value)
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
