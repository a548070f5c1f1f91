//! Threads that read requests of the kernel and start their work.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::io::Errno;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::adapter::Adapter;
use super::buffer::BufferPool;
use super::kernel::abi::{IN_HEADER_LEN, WRITE_IN_LEN};
use super::kernel::device::Device;
use super::kernel::{Header, Operation, Reply, Request, decode};
use super::stats::Counted;
use super::task;
use crate::error::Result;

/// Data of a WRITE that are at least so large stay in the buffer that they came in.
const KEEP_BUFFER_MIN: usize = 512 << 10;

/// Who answers requests.
pub(super) trait Service: Send + Sync + 'static {
    /// Starts the work of a request.
    fn dispatch(self: &Arc<Self>, request: Request<'_>, device: &Arc<Device>, runtime: &Handle);

    /// Starts a WRITE.
    fn start_write(
        self: &Arc<Self>,
        header: Header,
        place: (u64, u64),
        data: Bytes,
        reply: Reply,
        runtime: &Handle,
    );
}

/// Reads and starts requests until the file system is unmounted.
pub(super) fn serve<S: Service>(
    service: &Arc<S>,
    device: Device,
    buffers: &Arc<BufferPool>,
    runtime: &Handle,
) -> io::Result<()> {
    let _entered = runtime.enter();
    let device = Arc::new(device);
    let mut buffer = buffers.take();
    while let Some(length) = device.read(&mut buffer)? {
        let bytes = &buffer[..length];
        let kept = match decode(bytes) {
            Err(None) => {
                tracing::warn!("malformed request of {length} bytes");
                continue;
            }
            Err(Some(header)) => {
                Reply::new(header.unique, Arc::clone(&device)).error(Errno::INVAL);
                continue;
            }
            Ok(request) => {
                let size = match request.operation {
                    Operation::Write { data, .. } => data.len(),
                    Operation::Destroy => {
                        Reply::new(request.header.unique, Arc::clone(&device)).ok();
                        continue;
                    }
                    _ => 0,
                };
                if size < KEEP_BUFFER_MIN {
                    service.dispatch(request, &device, runtime);
                    None
                } else {
                    Some(request.header)
                }
            }
        };
        if let Some(header) = kept {
            let whole = std::mem::replace(&mut buffer, buffers.take());
            let data = buffers.share(whole, IN_HEADER_LEN + WRITE_IN_LEN..length);
            write_kept(service, header, data, &device, runtime);
        }
    }
    Ok(())
}

/// A WRITE whose data are not copied: `data` starts behind the request's fields, which are read
/// from the bytes before it.
fn write_kept<S: Service>(
    service: &Arc<S>,
    header: Header,
    (head, data): (Bytes, Bytes),
    device: &Arc<Device>,
    runtime: &Handle,
) {
    let number = |at: usize| {
        head.get(IN_HEADER_LEN + at..IN_HEADER_LEN + at + 8)
            .and_then(|bytes| bytes.first_chunk::<8>())
            .map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    let (handle, offset) = (number(0), number(8));
    let reply = Reply::new(header.unique, Arc::clone(device));
    service.start_write(header, (handle, offset), data, reply, runtime);
}

fn write(
    adapter: &Arc<Adapter>,
    header: Header,
    handle: u64,
    offset: u64,
    data: Bytes,
    reply: Reply,
    runtime: &Handle,
) {
    let me = Arc::clone(adapter);
    task::run(runtime, async move {
        let started = Instant::now();
        let outcome = me.write(&header, handle, offset, data).await;
        me.finish(&header, Counted::Write, started, &outcome);
        match outcome {
            Ok(size) => reply.written(size),
            Err(error) => reply.error(error.errno()),
        }
    });
}

impl Adapter {
    /// Counts a finished operation and logs it if somebody reads the log.
    fn finish<T>(&self, header: &Header, what: Counted, started: Instant, outcome: &Result<T>) {
        self.stats.count(what, started.elapsed());
        if self.oplog.is_read() {
            let outcome = match outcome {
                Ok(_) => "OK".to_owned(),
                Err(error) => error.errno().to_string(),
            };
            self.oplog.add(&format!(
                "uid:{} gid:{} pid:{} cmd:{} ({}): {outcome}",
                header.uid,
                header.gid,
                header.pid,
                format!("{what:?}").to_lowercase(),
                header.inode,
            ));
        }
    }
}

/// Runs `$work` and sends its outcome by `$send`.
macro_rules! answer {
    ($adapter:ident, $header:ident, $reply:ident, $runtime:ident, $what:ident,
     |$me:ident| $work:expr, |$out:ident, $value:pat_param| $send:expr) => {{
        let $me = Arc::clone($adapter);
        task::run($runtime, async move {
            let started = Instant::now();
            let outcome = $work.await;
            $me.finish(&$header, Counted::$what, started, &outcome);
            match outcome {
                Ok($value) => {
                    let $out = $reply;
                    $send
                }
                Err(error) => $reply.error(error.errno()),
            }
        });
    }};
}

impl Service for Adapter {
    fn dispatch(self: &Arc<Self>, request: Request<'_>, device: &Arc<Device>, runtime: &Handle) {
        dispatch(self, request, device, runtime);
    }

    fn start_write(
        self: &Arc<Self>,
        header: Header,
        (handle, offset): (u64, u64),
        data: Bytes,
        reply: Reply,
        runtime: &Handle,
    ) {
        write(self, header, handle, offset, data, reply, runtime);
    }
}

fn dispatch(adapter: &Arc<Adapter>, request: Request<'_>, device: &Arc<Device>, runtime: &Handle) {
    let header = request.header;
    let reply = Reply::new(header.unique, Arc::clone(device));
    match request.operation {
        Operation::Lookup { name } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Lookup,
                |me| me.lookup(&header, &name),
                |out, entry| out.entry(&entry)
            );
        }
        Operation::Getattr { handle } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Getattr,
                |me| me.getattr(&header, handle),
                |out, (attr, timeout)| out.attr(header.inode, &attr, timeout)
            );
        }
        Operation::Setattr(change) => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Setattr,
                |me| me.setattr(&header, &change),
                |out, (attr, timeout)| out.attr(header.inode, &attr, timeout)
            );
        }
        Operation::Readlink => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Readlink,
                |me| me.readlink(&header),
                |out, target| out.data(&target)
            );
        }
        Operation::Symlink { name, target } => {
            let (name, target) = (name.to_vec(), target.to_vec());
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Symlink,
                |me| me.symlink(&header, &name, &target),
                |out, entry| out.entry(&entry)
            );
        }
        Operation::Mknod {
            name,
            mode,
            rdev,
            umask,
        } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Mknod,
                |me| me.mknod(&header, &name, mode, rdev, umask),
                |out, entry| out.entry(&entry)
            );
        }
        Operation::Mkdir { name, mode, umask } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Mkdir,
                |me| me.mkdir(&header, &name, mode, umask),
                |out, entry| out.entry(&entry)
            );
        }
        Operation::Unlink { name } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Unlink,
                |me| me.unlink(&header, &name),
                |out, ()| out.ok()
            );
        }
        Operation::Rmdir { name } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Rmdir,
                |me| me.rmdir(&header, &name),
                |out, ()| out.ok()
            );
        }
        Operation::Rename {
            name,
            new_parent,
            new_name,
            flags,
        } => {
            let (name, new_name) = (name.to_vec(), new_name.to_vec());
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Rename,
                |me| me.rename(&header, &name, new_parent, &new_name, flags),
                |out, ()| out.ok()
            );
        }
        Operation::Link { inode, new_name } => {
            let new_name = new_name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Link,
                |me| me.link(&header, inode, &new_name),
                |out, entry| out.entry(&entry)
            );
        }
        Operation::Open { flags } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Open,
                |me| me.open(&header, flags),
                |out, open| out.opened(open)
            );
        }
        Operation::Create {
            name,
            flags,
            mode,
            umask,
        } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Create,
                |me| me.create(&header, &name, flags, mode, umask),
                |out, (entry, open)| out.created(&entry, open)
            );
        }
        Operation::Read {
            handle,
            offset,
            size,
        } => {
            let me = Arc::clone(adapter);
            task::run(runtime, async move {
                let started = Instant::now();
                me.read(handle, offset, size, reply).await;
                me.finish(&header, Counted::Read, started, &Ok(()));
            });
        }
        Operation::Write {
            handle,
            offset,
            data,
        } => {
            let data = Bytes::copy_from_slice(data);
            write(adapter, header, handle, offset, data, reply, runtime);
        }
        Operation::Flush { handle, owner } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Flush,
                |me| me.flush(handle, owner),
                |out, ()| out.ok()
            );
        }
        Operation::Release {
            handle,
            flock_owner,
        } => {
            let me = Arc::clone(adapter);
            task::run(runtime, async move {
                let started = Instant::now();
                me.release(handle, flock_owner, reply).await;
                me.finish(&header, Counted::Release, started, &Ok(()));
            });
        }
        Operation::Fsync { handle } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Fsync,
                |me| me.fsync(handle),
                |out, ()| out.ok()
            );
        }
        Operation::Opendir { flags: _ } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Opendir,
                |me| me.opendir(&header),
                |out, open| out.opened(open)
            );
        }
        Operation::Readdir {
            handle,
            offset,
            size,
            plus,
        } => {
            let me = Arc::clone(adapter);
            let what = if plus {
                Counted::Readdirplus
            } else {
                Counted::Readdir
            };
            task::run(runtime, async move {
                let started = Instant::now();
                me.readdir(&header, handle, offset, size, plus, reply).await;
                me.finish(&header, what, started, &Ok(()));
            });
        }
        Operation::Releasedir { handle } => {
            let started = Instant::now();
            adapter.releasedir(handle);
            reply.ok();
            adapter.finish(&header, Counted::Releasedir, started, &Ok(()));
        }
        Operation::Statfs => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Statfs,
                |me| me.statfs(),
                |out, sizes| out.statfs(&sizes)
            );
        }
        Operation::Setxattr { name, value, flags } => {
            let (name, value) = (name.to_vec(), value.to_vec());
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Setxattr,
                |me| me.setxattr(&header, &name, &value, flags),
                |out, ()| out.ok()
            );
        }
        Operation::Getxattr { name, size } => {
            let name = name.to_vec();
            let me = Arc::clone(adapter);
            task::run(runtime, async move {
                let started = Instant::now();
                me.getxattr(&header, &name, size, reply).await;
                me.finish(&header, Counted::Getxattr, started, &Ok(()));
            });
        }
        Operation::Listxattr { size } => {
            let me = Arc::clone(adapter);
            task::run(runtime, async move {
                let started = Instant::now();
                me.listxattr(&header, size, reply).await;
                me.finish(&header, Counted::Listxattr, started, &Ok(()));
            });
        }
        Operation::Removexattr { name } => {
            let name = name.to_vec();
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Removexattr,
                |me| me.removexattr(&header, &name),
                |out, ()| out.ok()
            );
        }
        Operation::Access { mask } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Access,
                |me| me.access(&header, mask),
                |out, ()| out.ok()
            );
        }
        Operation::Getlk(lock) => {
            let me = Arc::clone(adapter);
            task::run(runtime, async move {
                let started = Instant::now();
                me.getlk(&header, &lock, reply).await;
                me.finish(&header, Counted::Getlk, started, &Ok(()));
            });
        }
        Operation::Setlk { lock, wait } => {
            let me = Arc::clone(adapter);
            let what = if lock.is_flock {
                Counted::Flock
            } else {
                Counted::Setlk
            };
            task::run(runtime, async move {
                let started = Instant::now();
                let outcome = me.setlk(&header, &lock, wait).await;
                me.finish(&header, what, started, &outcome);
                match outcome {
                    Ok(()) => reply.ok(),
                    Err(error) => reply.error(error.errno()),
                }
            });
        }
        Operation::Interrupt { unique } => {
            reply.none();
            let me = Arc::clone(adapter);
            task::run(runtime, async move { me.interrupt(unique).await });
        }
        Operation::Forget => reply.none(),
        Operation::Fallocate {
            handle,
            offset,
            length,
            mode,
        } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Fallocate,
                |me| me.fallocate(&header, handle, offset, length, mode),
                |out, ()| out.ok()
            );
        }
        Operation::Lseek {
            handle,
            offset,
            whence,
        } => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                Lseek,
                |me| me.lseek(&header, handle, offset, whence),
                |out, at| out.offset(at)
            );
        }
        Operation::CopyFileRange(range) => {
            answer!(
                adapter,
                header,
                reply,
                runtime,
                CopyFileRange,
                |me| me.copy_file_range(&header, &range),
                |out, size| out.written(size)
            );
        }
        Operation::Destroy | Operation::Unknown => reply.error(Errno::NOSYS),
    }
}
