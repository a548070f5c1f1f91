//! The lock file `DATA_PATH/.NAME.lock`: one process serves a data directory, and its number is found
//! through the lock (tools-and-cli §12.3). A POSIX write lock on the whole file, so that these
//! programs and MooseFS's respect and find each other.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::{Flock, FlockType, Pid, fcntl_getlk};

/// Where a program's lock is.
pub fn path(data_path: &Path, program: &str) -> PathBuf {
    data_path.join(format!(".{program}.lock"))
}

/// The held lock. It ends with this value, with the process, and, by POSIX's rule, whenever the
/// process closes *any* descriptor of the file: nothing else may open it.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock was not taken.
#[derive(Debug)]
pub enum LockError {
    /// Another process has it.
    Held,
    /// The file cannot be created or locked.
    Io(io::Error),
}

impl Lock {
    /// Takes the lock at once or not at all, and writes the number of this process into the file.
    /// The file stays when the lock ends.
    pub fn acquire(path: &Path) -> Result<Lock, LockError> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(LockError::Io)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
                return Err(LockError::Held);
            }
            Err(errno) => return Err(LockError::Io(errno.into())),
        }
        file.set_len(0).map_err(LockError::Io)?;
        writeln!(file, "{}", std::process::id()).map_err(LockError::Io)?;
        Ok(Lock { _file: file })
    }
}

/// The process that holds the lock, if any. The kernel says it; the file's content is not trusted. A
/// missing file is not locked.
pub fn owner(path: &Path) -> io::Result<Option<Pid>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let lock = fcntl_getlk(&file, &Flock::from(FlockType::WriteLock))?;
    match lock {
        None => Ok(None),
        Some(Flock { pid: Some(pid), .. }) => Ok(Some(pid)),
        Some(Flock { pid: None, .. }) => Err(io::Error::other(
            "the lock is held by a process that is not visible from here",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_created_with_the_number_and_nobody_else_owns_it() {
        let dir = std::env::temp_dir().join(format!("daemon-lock-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = path(&dir, "mfsmaster");
        assert!(path.ends_with(".mfsmaster.lock"));
        assert_eq!(owner(&path).unwrap(), None);

        std::fs::write(&path, "a longer number of an older process 123456\n").unwrap();
        let lock = Lock::acquire(&path).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("{}\n", std::process::id())
        );
        drop(lock);
        assert!(path.exists(), "the file stays");
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error_of_the_system() {
        let path = Path::new("/nonexistent/.mfsmaster.lock");
        assert!(matches!(Lock::acquire(path), Err(LockError::Io(_))));
        assert_eq!(owner(path).unwrap(), None);
    }
}
