//! Replies to the kernel.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Duration;

use proto::{Attr, Inode, NodeKind};
use rustix::io::Errno;

use super::abi::{ENTRY_LEN, OUT_HEADER_LEN};
use super::cursor::PutNative as _;
use super::device::Device;

/// Block size that stat shows.
const BLOCK_SIZE: u32 = 65536;

/// The way back to the kernel for one request. Dropped without an answer it answers EIO, so that
/// no process hangs on an error of ours.
#[derive(Debug)]
pub(crate) struct Reply {
    unique: u64,
    device: Option<Arc<Device>>,
}

/// A name with its object, and how long both may be believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntryOut {
    pub(crate) inode: Inode,
    pub(crate) attr: Attr,
    pub(crate) entry_timeout: Duration,
    pub(crate) attr_timeout: Duration,
}

/// A file that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenOut {
    pub(crate) handle: u64,
    /// Bits of `abi::open_out`.
    pub(crate) flags: u32,
}

/// Answer to statfs, in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StatfsOut {
    pub(crate) blocks: u64,
    pub(crate) free: u64,
    pub(crate) available: u64,
    pub(crate) files: u64,
    pub(crate) files_free: u64,
}

impl Reply {
    pub(crate) fn new(unique: u64, device: Arc<Device>) -> Reply {
        Reply {
            unique,
            device: Some(device),
        }
    }

    fn send(&mut self, error: i32, parts: &[IoSlice<'_>]) {
        let Some(device) = self.device.take() else {
            return;
        };
        let length = OUT_HEADER_LEN + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut header = [0; OUT_HEADER_LEN];
        header[..4].copy_from_slice(&(length as u32).to_ne_bytes());
        header[4..8].copy_from_slice(&(-error).to_ne_bytes());
        header[8..].copy_from_slice(&self.unique.to_ne_bytes());
        match parts {
            [] => device.write(&[IoSlice::new(&header)]),
            [one] => device.write(&[IoSlice::new(&header), *one]),
            _ => {
                let mut all = Vec::with_capacity(parts.len() + 1);
                all.push(IoSlice::new(&header));
                all.extend_from_slice(parts);
                device.write(&all);
            }
        }
    }

    /// A request that gets no answer.
    pub(crate) fn none(mut self) {
        self.device = None;
    }

    /// Failure.
    pub(crate) fn error(mut self, errno: Errno) {
        self.send(errno.raw_os_error(), &[]);
    }

    /// Success without values.
    pub(crate) fn ok(mut self) {
        self.send(0, &[]);
    }

    /// Bytes.
    pub(crate) fn data(mut self, bytes: &[u8]) {
        self.send(0, &[IoSlice::new(bytes)]);
    }

    /// Bytes in pieces.
    pub(crate) fn pieces(mut self, pieces: &[IoSlice<'_>]) {
        self.send(0, pieces);
    }

    /// A structure of `length` bytes that `fill` writes.
    pub(super) fn structure(mut self, length: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::with_capacity(length);
        fill(&mut out);
        debug_assert_eq!(out.len(), length, "size of a structure");
        self.send(0, &[IoSlice::new(&out)]);
    }

    pub(crate) fn entry(self, entry: &EntryOut) {
        self.structure(ENTRY_LEN, |out| put_entry(out, entry));
    }

    pub(crate) fn attr(self, inode: Inode, attr: &Attr, timeout: Duration) {
        self.structure(104, |out| {
            out.n64(timeout.as_secs());
            out.n32(timeout.subsec_nanos());
            out.n32(0);
            put_attr(out, inode, attr);
        });
    }

    pub(crate) fn opened(self, open: OpenOut) {
        self.structure(16, |out| put_open(out, open));
    }

    pub(crate) fn created(self, entry: &EntryOut, open: OpenOut) {
        self.structure(ENTRY_LEN + 16, |out| {
            put_entry(out, entry);
            put_open(out, open);
        });
    }

    pub(crate) fn written(self, size: u32) {
        self.structure(8, |out| {
            out.n32(size);
            out.n32(0);
        });
    }

    /// Size of a value that was only asked for.
    pub(crate) fn xattr_size(self, size: u32) {
        self.written(size);
    }

    pub(crate) fn offset(self, offset: u64) {
        self.structure(8, |out| out.n64(offset));
    }

    pub(crate) fn statfs(self, sizes: &StatfsOut) {
        self.structure(80, |out| {
            for value in [
                sizes.blocks,
                sizes.free,
                sizes.available,
                sizes.files,
                sizes.files_free,
            ] {
                out.n64(value);
            }
            out.n32(BLOCK_SIZE);
            out.n32(255);
            out.n32(BLOCK_SIZE);
            out.resize(80, 0);
        });
    }

    /// A lock that is in the way, ends inclusive; F_UNLCK: none is.
    pub(crate) fn lock(self, start: u64, end: u64, kind: u32, pid: u32) {
        self.structure(24, |out| {
            out.n64(start);
            out.n64(end);
            out.n32(kind);
            out.n32(pid);
        });
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.send(libc::EIO, &[]);
    }
}

/// Type and permissions as st_mode has them.
pub(crate) fn st_mode(attr: &Attr) -> u32 {
    let format = match attr.kind {
        NodeKind::Directory => libc::S_IFDIR,
        NodeKind::Symlink => libc::S_IFLNK,
        NodeKind::Fifo => libc::S_IFIFO,
        NodeKind::BlockDevice => libc::S_IFBLK,
        NodeKind::CharDevice => libc::S_IFCHR,
        NodeKind::Socket => libc::S_IFSOCK,
        NodeKind::File | NodeKind::Trash | NodeKind::Sustained => libc::S_IFREG,
    };
    format | u32::from(attr.mode)
}

fn put_attr(out: &mut Vec<u8>, inode: Inode, attr: &Attr) {
    let has_length = matches!(
        attr.kind,
        NodeKind::File
            | NodeKind::Directory
            | NodeKind::Symlink
            | NodeKind::Trash
            | NodeKind::Sustained
    );
    let size = if has_length { attr.length } else { 0 };
    let rdev = if attr.kind.is_device() {
        attr.rdev()
    } else {
        0
    };
    out.n64(u64::from(inode.0));
    out.n64(size);
    out.n64(size.div_ceil(512));
    for seconds in [attr.atime, attr.mtime, attr.ctime] {
        out.n64(u64::from(seconds));
    }
    for _ in 0..3 {
        out.n32(0);
    }
    out.n32(st_mode(attr));
    out.n32(attr.nlink);
    out.n32(attr.uid);
    out.n32(attr.gid);
    out.n32(rdev);
    out.n32(BLOCK_SIZE);
    out.n32(0);
}

fn put_entry(out: &mut Vec<u8>, entry: &EntryOut) {
    out.n64(u64::from(entry.inode.0));
    out.n64(1);
    out.n64(entry.entry_timeout.as_secs());
    out.n64(entry.attr_timeout.as_secs());
    out.n32(entry.entry_timeout.subsec_nanos());
    out.n32(entry.attr_timeout.subsec_nanos());
    put_attr(out, entry.inode, &entry.attr);
}

fn put_open(out: &mut Vec<u8>, open: OpenOut) {
    out.n64(open.handle);
    out.n32(open.flags);
    out.n32(0);
}

/// Entries of a directory, up to the size that the kernel asked for.
#[derive(Debug)]
pub(crate) struct DirectoryBuffer {
    bytes: Vec<u8>,
    size: usize,
}

/// An empty buffer for `size` bytes of entries.
pub(crate) fn directory_buffer(size: u32) -> DirectoryBuffer {
    DirectoryBuffer {
        bytes: Vec::with_capacity(size as usize),
        size: size as usize,
    }
}

impl DirectoryBuffer {
    /// Appends an entry unless it does not fit; `next` is the position of the one behind it. With
    /// `entry` the answer to READDIRPLUS.
    pub(crate) fn push(
        &mut self,
        name: &[u8],
        inode: Inode,
        kind: NodeKind,
        next: u64,
        entry: Option<&EntryOut>,
    ) -> bool {
        let head = if entry.is_some() { ENTRY_LEN } else { 0 };
        let length = (head + 24 + name.len()).next_multiple_of(8);
        if self.bytes.len() + length > self.size {
            return false;
        }
        let end = self.bytes.len() + length;
        if let Some(entry) = entry {
            put_entry(&mut self.bytes, entry);
        }
        let kind = match kind {
            NodeKind::Directory => libc::DT_DIR,
            NodeKind::Symlink => libc::DT_LNK,
            NodeKind::Fifo => libc::DT_FIFO,
            NodeKind::BlockDevice => libc::DT_BLK,
            NodeKind::CharDevice => libc::DT_CHR,
            NodeKind::Socket => libc::DT_SOCK,
            NodeKind::File | NodeKind::Trash | NodeKind::Sustained => libc::DT_REG,
        };
        self.bytes.n64(u64::from(inode.0));
        self.bytes.n64(next);
        self.bytes.n32(name.len() as u32);
        self.bytes.n32(u32::from(kind));
        self.bytes.extend_from_slice(name);
        self.bytes.resize(end, 0);
        true
    }

    /// What was collected.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
