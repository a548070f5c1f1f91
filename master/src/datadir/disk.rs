//! The disk below the data directory: everything that the master keeps there goes through [`Disk`], so
//! that the same code runs on a simulated disk, which crashes and fails at every call.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt, OpenOptionsExt as _};
use std::path::PathBuf;

/// What is written of an image before it is brought to the disk.
const STEP_BYTES: u64 = 2 << 20;
/// Mode of every file here.
const MODE: u32 = 0o640;

/// An open file.
pub trait DiskFile: Send + Debug + Sized {
    /// Length, bytes.
    fn length(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Shortens the file.
    fn set_length(&self, bytes: u64) -> io::Result<()>;
    /// Returns when everything written is on stable storage.
    ///
    /// # Errors
    /// What was written since the last success may be lost, also when a later call succeeds: the
    /// kernel reports a failure once and takes the pages for clean.
    fn sync(&self) -> io::Result<()>;
    /// Returns when the contents from `start` to `end` have been written to the disk. They are durable
    /// only after [`DiskFile::sync`], which has less to do then.
    ///
    /// # Errors
    /// As of [`DiskFile::sync`].
    fn write_out(&self, start: u64, end: u64) -> io::Result<()>;
    /// Another handle of the file.
    fn again(&self) -> io::Result<Self>;
}

/// A directory with its files. New names, renames and removals are durable after
/// [`Disk::sync_names`].
pub trait Disk: Clone + Send + Debug + 'static {
    /// Its files.
    type File: DiskFile + 'static;
    /// The bytes of a whole file.
    type Bytes: AsRef<[u8]> + Sync;

    /// Names of all regular files.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Opens a file to read it.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Opens a file to write it, and makes it when it is missing.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// A whole file.
    fn bytes(&self, name: &str) -> io::Result<Self::Bytes>;
    /// Brings the bytes of a file in ahead of their reader, where that is of use.
    fn read_ahead(_bytes: &Self::Bytes) {}
    /// Gives a file another name; what has that name is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Returns when all names are on stable storage.
    fn sync_names(&self) -> io::Result<()>;
    /// A name as people look for it.
    fn shown(&self, name: &str) -> String;
}

/// Not being there is as good.
pub fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// A real directory. A name may also be a whole path.
#[derive(Clone, Debug)]
pub struct Directory(pub PathBuf);

impl Disk for Directory {
    type File = File;
    type Bytes = Mapped;

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && entry.file_type()?.is_file()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.0.join(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(MODE)
            .open(self.0.join(name))
    }

    fn bytes(&self, name: &str) -> io::Result<Mapped> {
        let file = self.open(name)?;
        if file.metadata()?.len() == 0 {
            // There is no mapping of nothing.
            return Ok(Mapped(None));
        }
        // SAFETY: the file is the master's own, under the lock of the data directory.
        let map = unsafe { memmap2::Mmap::map(&file)? };
        Ok(Mapped(Some(map)))
    }

    fn read_ahead(bytes: &Mapped) {
        // Older kernels bring it in as it is read.
        if let Some(map) = &bytes.0
            && let Err(error) = map.advise(memmap2::Advice::PopulateRead)
        {
            tracing::debug!("reading ahead: {error}");
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    fn shown(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

/// A file in memory as far as it has been looked at.
#[derive(Debug)]
pub struct Mapped(Option<memmap2::Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl DiskFile for File {
    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn set_length(&self, bytes: u64) -> io::Result<()> {
        self.set_len(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn write_out(&self, start: u64, end: u64) -> io::Result<()> {
        let number = |bytes| {
            libc::off64_t::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
        };
        let (start, length) = (number(start)?, number(end.saturating_sub(start))?);
        let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE
            | libc::SYNC_FILE_RANGE_WRITE
            | libc::SYNC_FILE_RANGE_WAIT_AFTER;
        // SAFETY: the descriptor is open as long as the file is; no memory is passed.
        if unsafe { libc::sync_file_range(self.as_raw_fd(), start, length, flags) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // This file system cannot do it; the sync at the end does it all.
            Some(libc::EINVAL | libc::ENOSYS | libc::ESPIPE | libc::EOPNOTSUPP) => Ok(()),
            _ => Err(error),
        }
    }

    fn again(&self) -> io::Result<File> {
        self.try_clone()
    }
}

/// A file that goes to the disk as it is written: one long sync at its end would hold up everything
/// else that the disk is asked for, the changelog first. A sync for each step would make the file
/// system commit its journal each time, and a commit holds up whoever appends to another file.
#[derive(Debug)]
pub struct SteadyFile<'a, F> {
    file: &'a F,
    at: u64,
    /// Everything before has been written to the disk.
    steady: u64,
}

impl<'a, F: DiskFile> SteadyFile<'a, F> {
    /// A file that is written from its beginning.
    pub fn new(file: &'a F) -> Self {
        SteadyFile {
            file,
            at: 0,
            steady: 0,
        }
    }
}

impl<F: DiskFile> Write for SteadyFile<'_, F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        if self.at >= self.steady + STEP_BYTES {
            self.file.write_out(self.steady, self.at)?;
            self.steady = self.at;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<F: DiskFile> Seek for SteadyFile<'_, F> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.length()?, by),
        };
        let outside = || io::Error::from(io::ErrorKind::InvalidInput);
        self.at = from.checked_add_signed(by).ok_or_else(outside)?;
        Ok(self.at)
    }
}
