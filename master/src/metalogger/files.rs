//! Files that metaloggers download, as the room sees them.

use proto::metalogger::DownloadFile;
use std::fmt::Debug;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A file that is open for download. It stays what it was when it was opened, also when the master
/// puts another one in its place.
pub trait OpenFile: Debug {
    /// Length in bytes.
    fn length(&self) -> u64;
    /// Fills `buffer` from `offset`.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// Where the files are.
pub trait Files: Debug {
    /// Opens a file; `None` when it cannot be opened.
    fn open(&self, file: DownloadFile) -> Option<Box<dyn OpenFile>>;
}

/// The data directory of the master.
#[derive(Debug)]
pub struct DataDirectory(pub PathBuf);

#[derive(Debug)]
struct DiskFile {
    file: std::fs::File,
    length: u64,
}

impl OpenFile for DiskFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

impl Files for DataDirectory {
    fn open(&self, file: DownloadFile) -> Option<Box<dyn OpenFile>> {
        let name = match file {
            DownloadFile::Metadata => "metadata.mfs.back",
            DownloadFile::Changelog0 => "changelog.0.mfs",
            DownloadFile::Changelog1 => "changelog.1.mfs",
            // Only masters of 1.6 had one.
            DownloadFile::Sessions => return None,
        };
        let file = std::fs::File::open(self.0.join(name)).ok()?;
        let length = file.metadata().ok()?.len();
        Some(Box::new(DiskFile { file, length }))
    }
}
