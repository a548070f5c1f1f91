//! What all requests share: the file system, options, caches, open handles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proto::attr::flag;
use proto::{Attr, Inode, NodeKind};
use tokio::sync::Notify;

use super::directories::{DirHandle, OpenDirectories};
use super::files::FileHandle;
use super::groups::Groups;
use super::handles::Handles;
use super::kernel::{EntryOut, Header};
use super::oplog::OpLog;
use super::special::Special;
use super::stats::Stats;
use crate::cache::negative::Negative;
use crate::cache::open_data::OpenDataCache;
use crate::cache::timed::Timed;
use crate::cache::xattr::XattrCache;
use crate::caller::Caller;
use crate::file_system::{FileSystem, Mark};
use crate::operations::Node;
use crate::session::Session;
use bytes::Bytes;

/// When pages of earlier opens are kept (client-behaviour §7.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheMode {
    /// The master decides.
    #[default]
    Auto,
    /// Always.
    Yes,
    /// Never.
    No,
    /// No pages at all.
    Direct,
}

/// How the file system appears to the kernel.
#[derive(Clone, Debug)]
pub struct FuseOptions {
    /// How long attributes are believed.
    pub attr_timeout: Duration,
    /// How long names of other objects than directories are believed.
    pub entry_timeout: Duration,
    /// How long names of directories are believed.
    pub dir_entry_timeout: Duration,
    /// How long a missing name stays missing.
    pub negative_timeout: Duration,
    /// How long targets of symbolic links are believed.
    pub symlink_timeout: Duration,
    /// How long extended attributes are believed.
    pub xattr_timeout: Duration,
    /// How long the groups of a process are believed.
    pub groups_timeout: Duration,
    /// When pages are kept.
    pub cache_mode: CacheMode,
    /// New directories inherit the set-group-id bit.
    pub mkdir_copy_sgid: bool,
    /// How chown clears set-user-id and set-group-id bits.
    pub sugid_clear: u8,
    /// No extended attributes.
    pub no_xattrs: bool,
    /// fcntl locks stay in the machine.
    pub no_posix_locks: bool,
    /// flock locks stay in the machine.
    pub no_bsd_locks: bool,
    /// Threads that read requests.
    pub threads: usize,
    /// Read-ahead of the kernel, KiB.
    pub kernel_read_ahead_kib: u32,
}

impl Default for FuseOptions {
    fn default() -> Self {
        FuseOptions {
            attr_timeout: Duration::from_secs(1),
            entry_timeout: Duration::ZERO,
            dir_entry_timeout: Duration::from_secs(1),
            negative_timeout: Duration::ZERO,
            symlink_timeout: Duration::from_secs(300),
            xattr_timeout: Duration::from_secs(30),
            groups_timeout: Duration::from_secs(300),
            cache_mode: CacheMode::Auto,
            mkdir_copy_sgid: true,
            sugid_clear: 4,
            no_xattrs: false,
            no_posix_locks: false,
            no_bsd_locks: false,
            threads: 2,
            kernel_read_ahead_kib: 1024,
        }
    }
}

/// Serves the kernel's requests.
pub(super) struct Adapter {
    pub(super) fs: Arc<FileSystem>,
    pub(super) options: FuseOptions,
    pub(super) groups: Groups,
    pub(super) files: Handles<FileHandle>,
    pub(super) directories: Handles<DirHandle>,
    pub(super) open_directories: OpenDirectories,
    pub(super) negative: Negative,
    pub(super) symlinks: Timed<Inode, Bytes>,
    pub(super) xattrs: XattrCache,
    pub(super) open_data: OpenDataCache,
    pub(super) special: Special,
    pub(super) stats: Stats,
    pub(super) oplog: OpLog,
    /// Lock requests that can be interrupted, by the number of the kernel's request.
    pub(super) waiting: Mutex<HashMap<u64, Arc<Notify>>>,
    lock_request: AtomicU32,
}

impl Adapter {
    pub(super) fn new(fs: Arc<FileSystem>, options: FuseOptions, special: Special) -> Arc<Adapter> {
        Arc::new(Adapter {
            groups: Groups::new(options.groups_timeout),
            files: Handles::default(),
            directories: Handles::default(),
            open_directories: OpenDirectories::default(),
            negative: Negative::new(options.negative_timeout),
            symlinks: Timed::new(options.symlink_timeout),
            xattrs: XattrCache::new(options.xattr_timeout),
            open_data: OpenDataCache::default(),
            special,
            stats: Stats::default(),
            oplog: OpLog::default(),
            waiting: Mutex::default(),
            lock_request: AtomicU32::new(0),
            fs,
            options,
        })
    }

    pub(super) fn session(&self) -> &Arc<Session> {
        self.fs.session()
    }

    pub(super) fn caller(&self, header: &Header) -> Caller {
        self.groups
            .caller(self.session(), header.uid, header.gid, header.pid)
    }

    /// Number for the next lock request.
    pub(super) fn next_lock_request(&self) -> u32 {
        loop {
            let number = self
                .lock_request
                .fetch_add(1, Ordering::Relaxed)
                .wrapping_add(1);
            if number != 0 {
                return number;
            }
        }
    }

    pub(super) fn attr_timeout(&self, attr: &Attr) -> Duration {
        if attr.flags & flag::NO_ATTRIBUTE_CACHE != 0 {
            Duration::ZERO
        } else {
            self.options.attr_timeout
        }
    }

    /// A node as the kernel gets it.
    pub(super) fn entry(&self, node: &Node) -> EntryOut {
        let entry_timeout = if node.attr.flags & flag::NO_ENTRY_CACHE != 0 {
            Duration::ZERO
        } else if node.attr.kind == NodeKind::Directory {
            self.options.dir_entry_timeout
        } else {
            self.options.entry_timeout
        };
        EntryOut {
            inode: node.inode,
            attr: node.attr,
            entry_timeout,
            attr_timeout: self.attr_timeout(&node.attr),
        }
    }

    /// A node from an answer of the master, with what only this client knows.
    pub(super) fn seen(&self, mark: Mark, mut node: Node) -> EntryOut {
        self.fs.see(mark, node.inode, &mut node.attr);
        self.entry(&node)
    }

    /// Who makes a request, for caches that belong to one process.
    pub(super) fn identity(header: &Header) -> (u32, u32, u32) {
        (header.pid, header.uid, header.gid)
    }

    /// A name came into being here.
    pub(super) fn name_appeared(&self, parent: Inode, name: &[u8]) {
        self.negative.forget(parent, name);
        self.open_directories.touch_name(parent, name);
        self.open_directories.touch(parent);
    }

    /// A name went away here.
    pub(super) fn name_vanished(&self, parent: Inode, name: &[u8]) {
        self.negative.add(parent, name);
        self.open_directories.touch_name(parent, name);
        self.open_directories.touch(parent);
    }

    /// Attributes of an object were changed here.
    pub(super) fn attributes_changed(&self, inode: Inode) {
        self.open_directories.touch(inode);
        self.open_data.forget(inode);
    }
}
