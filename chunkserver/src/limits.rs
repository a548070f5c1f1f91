//! Limits of the whole server; those of a connection or a disk stand where they apply.

/// Connections to the data port; further ones are closed at once.
pub const CONNECTIONS_MAX: usize = 30_000;

/// Descriptors that the process asks for.
pub const DESCRIPTORS: u64 = 65_536;

/// Descriptors that are assumed when the system does not tell.
const DESCRIPTORS_DEFAULT: u64 = 1024;

/// Open chunk files: two thirds of what the connections leave.
pub fn open_files_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.unwrap_or(DESCRIPTORS_DEFAULT);
    let left = limit.saturating_sub(CONNECTIONS_MAX as u64).max(limit / 2);
    usize::try_from(left * 2 / 3).unwrap_or(usize::MAX)
}
