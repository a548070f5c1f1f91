//! Shows a file system to the kernel.

mod acl;
mod adapter;
mod attributes;
mod buffer;
mod directories;
mod files;
mod groups;
mod handles;
mod kernel;
mod locks;
mod meta;
mod names;
mod oplog;
mod ranges;
mod serve;
mod special;
mod stats;
mod task;
mod xattr;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::Handle;

use crate::file_system::FileSystem;
use crate::session::Session;
use adapter::Adapter;
use buffer::BufferPool;
use kernel::Init;
use kernel::device::Device;
use kernel::mount::Mount;

pub use adapter::{CacheMode, FuseOptions};
pub use kernel::mount::{MountOptions, is_generic};
pub use special::Special;

/// A mounted file system.
#[derive(Debug)]
pub struct Mounted {
    mount: Mount,
    threads: Mutex<Vec<JoinHandle<io::Result<()>>>>,
}

/// Changes that the kernel is told of, one after the other: telling may have to wait.
const CHANGES_MAX: usize = 10_000;

/// Mounts a file system at a directory and serves it in threads of its own. Returns when the
/// kernel can use it.
pub fn mount(
    fs: &Arc<FileSystem>,
    point: &Path,
    mount_options: &MountOptions,
    options: FuseOptions,
    special: Special,
) -> io::Result<Mounted> {
    let (device, mount) = kernel::mount::mount(point, mount_options)?;
    let device = Arc::new(device);
    let init = Init {
        posix_locks: !options.no_posix_locks,
        bsd_locks: !options.no_bsd_locks,
        readdirplus: true,
    };
    if let Err(error) = init.handshake(&device) {
        mount.unmount();
        return Err(error);
    }
    tell_changes(fs, &device);
    let (count, read_ahead_kib) = (options.threads, options.kernel_read_ahead_kib);
    let adapter = Adapter::new(Arc::clone(fs), options, special);
    let threads = start_threads(&adapter, &device, count)?;
    if read_ahead_kib > 0 {
        mount.raise_read_ahead(read_ahead_kib);
    }
    Ok(Mounted {
        mount,
        threads: Mutex::new(threads),
    })
}

/// Mounts the trash of a metadata session at a directory (client-behaviour §5). `flat`: the trash
/// is one directory.
pub fn mount_meta(
    session: &Arc<Session>,
    point: &Path,
    mount_options: &MountOptions,
    options: &FuseOptions,
    special: Special,
    flat: bool,
) -> io::Result<Mounted> {
    let (device, mount) = kernel::mount::mount(point, mount_options)?;
    let device = Arc::new(device);
    let init = Init {
        posix_locks: false,
        bsd_locks: false,
        readdirplus: false,
    };
    if let Err(error) = init.handshake(&device) {
        mount.unmount();
        return Err(error);
    }
    let service = meta::Meta::new(Arc::clone(session), options, special, flat);
    let threads = start_threads(&service, &device, options.threads)?;
    Ok(Mounted {
        mount,
        threads: Mutex::new(threads),
    })
}

/// Threads that read requests, each with a descriptor of its own.
fn start_threads<S: serve::Service>(
    service: &Arc<S>,
    device: &Arc<Device>,
    count: usize,
) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    let buffers = Arc::new(BufferPool::default());
    (0..count.max(1))
        .map(|number| {
            let device = device.try_clone()?;
            let (service, buffers) = (Arc::clone(service), Arc::clone(&buffers));
            let runtime = Handle::current();
            std::thread::Builder::new()
                .name(format!("fuse-{number}"))
                .spawn(move || serve::serve(&service, device, &buffers, &runtime))
        })
        .collect()
}

/// A thread tells the kernel what other sessions changed.
fn tell_changes(fs: &Arc<FileSystem>, device: &Arc<Device>) {
    let (sender, receiver) = std::sync::mpsc::sync_channel(CHANGES_MAX);
    let device = Arc::clone(device);
    let spawned = std::thread::Builder::new()
        .name("invalidate".to_owned())
        .spawn(move || {
            while let Ok((inode, from, size)) = receiver.recv() {
                let (from, size): (u64, u64) = (from, size);
                device.invalidate_inode(inode, from as i64, size as i64);
            }
        });
    match spawned {
        Ok(_) => fs.on_change(move |inode, from, size| {
            // When the kernel is so far behind, timeouts have to do.
            let _ = sender.try_send((u64::from(inode.0), from, size));
        }),
        Err(error) => tracing::warn!("changes of others are seen late: {error}"),
    }
}

impl Mounted {
    /// Where it is mounted.
    pub fn point(&self) -> PathBuf {
        self.mount.point().to_owned()
    }

    /// Detaches the file system; the threads end when nobody uses it any more.
    pub fn unmount(&self) {
        self.mount.unmount();
    }

    /// Waits until it is unmounted. Blocks.
    pub fn wait(&self) -> io::Result<()> {
        let mut outcome = Ok(());
        let threads: Vec<_> = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
            .collect();
        for thread in threads {
            if let Ok(Err(error)) = thread.join() {
                outcome = Err(error);
            }
        }
        outcome
    }
}
