//! /dev/fuse.

use std::fs::File;
use std::io::{self, IoSlice, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use super::abi::{OUT_HEADER_LEN, notify};
use super::cursor::PutNative as _;

/// ioctl that makes a further queue reader of a connection: `_IOR(229, 0, u32)`.
const CLONE: u64 = 0x8004_e500;

/// An open /dev/fuse. Requests are read from it, replies written to it.
#[derive(Debug)]
pub(crate) struct Device {
    file: File,
}

impl Device {
    pub(crate) fn open() -> io::Result<Device> {
        let file = File::options().read(true).write(true).open("/dev/fuse")?;
        Ok(Device { file })
    }

    pub(super) fn from_fd(fd: OwnedFd) -> Device {
        Device { file: fd.into() }
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// A further descriptor of the same connection: its readers have a queue of their own for what
    /// they are working on, so they do not wait for each other.
    pub(crate) fn try_clone(&self) -> io::Result<Device> {
        let clone = Device::open()?;
        let source = self.file.as_raw_fd() as u32;
        // SAFETY: the ioctl reads one 32-bit number at the given address and changes nothing there.
        let code = unsafe { libc::ioctl(clone.file.as_raw_fd(), CLONE as _, &raw const source) };
        if code == 0 {
            Ok(clone)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The next request; `None` when the file system is unmounted.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match (&self.file).read(buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => return Ok(Some(count)),
                Err(error) => match error.raw_os_error() {
                    Some(libc::ENODEV) => return Ok(None),
                    // The request was interrupted before it was read.
                    Some(libc::ENOENT | libc::EINTR | libc::EAGAIN) => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// Sends a reply in one piece. That the request is gone, or everything is, concerns nobody.
    pub(super) fn write(&self, parts: &[IoSlice<'_>]) {
        loop {
            match rustix::io::writev(&self.file, parts) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::NOENT | rustix::io::Errno::NODEV) | Ok(_) => return,
                Err(errno) => {
                    tracing::warn!("can't answer the kernel: {errno}");
                    return;
                }
            }
        }
    }

    /// Tells the kernel to forget attributes and cached pages in a range; length 0: to the end.
    /// May wait for requests in progress: not to be called from where they are answered.
    pub(crate) fn invalidate_inode(&self, inode: u64, offset: i64, length: i64) {
        let mut body = Vec::with_capacity(OUT_HEADER_LEN + 24);
        body.n32((OUT_HEADER_LEN + 24) as u32);
        body.n32(notify::INVAL_INODE as u32);
        body.n64(0);
        body.n64(inode);
        body.n64(offset as u64);
        body.n64(length as u64);
        self.write(&[IoSlice::new(&body)]);
    }
}
