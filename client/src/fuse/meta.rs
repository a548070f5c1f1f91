//! The metadata mount: trash and sustained files as directories (client-behaviour §5).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use proto::{Attr, Inode, NodeKind};
use rustix::io::Errno;
use tokio::runtime::Handle;

use super::adapter::FuseOptions;
use super::handles::Handles;
use super::kernel::abi::open_out;
use super::kernel::device::Device;
use super::kernel::{
    EntryOut, Header, OpenOut, Operation, Reply, Request, StatfsOut, directory_buffer,
};
use super::serve::Service;
use super::special::{MASTER_INFO, ROOT, Special};
use super::task;
use crate::error::{Error, Result};
use crate::operations::Detached;
use crate::session::Session;

const TRASH: Inode = Inode(0x7fff_fff8);
const UNDEL: Inode = Inode(0x7fff_fff9);
const SUSTAINED: Inode = Inode(0x7fff_fffa);
/// Number of the directory of trash bucket 0; the others follow.
const FIRST_BUCKET: u32 = 0x7fff_0000;
const BUCKETS: u32 = 4096;
/// Longest path that may be written.
const PATH_BYTES_MAX: usize = 1024;
const NAME_MAX: usize = 255;

/// What a number means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    Trash,
    Bucket(u32),
    Undel,
    Sustained,
    MasterInfo,
    File(Inode),
}

impl Place {
    fn of(inode: Inode) -> Place {
        match inode {
            ROOT => Place::Root,
            TRASH => Place::Trash,
            UNDEL => Place::Undel,
            SUSTAINED => Place::Sustained,
            inode if inode == MASTER_INFO.inode => Place::MasterInfo,
            Inode(number) if (FIRST_BUCKET..FIRST_BUCKET + BUCKETS).contains(&number) => {
                Place::Bucket(number - FIRST_BUCKET)
            }
            file => Place::File(file),
        }
    }

    fn inode(self) -> Inode {
        match self {
            Place::Root => ROOT,
            Place::Trash => TRASH,
            Place::Bucket(number) => Inode(FIRST_BUCKET + number),
            Place::Undel => UNDEL,
            Place::Sustained => SUSTAINED,
            Place::MasterInfo => MASTER_INFO.inode,
            Place::File(inode) => inode,
        }
    }

    /// Mode and number of names of a directory.
    fn directory(self) -> Option<(u16, u32)> {
        match self {
            Place::Root => Some((0o555, 4)),
            Place::Trash => Some((0o700, BUCKETS + 3)),
            Place::Bucket(_) => Some((0o700, 3)),
            Place::Undel => Some((0o200, 2)),
            Place::Sustained => Some((0o500, 2)),
            Place::MasterInfo | Place::File(_) => None,
        }
    }
}

/// An entry of a listing.
type Listed = (Vec<u8>, Inode, NodeKind);

/// An open directory or file.
#[derive(Debug)]
enum MetaHandle {
    Directory(tokio::sync::Mutex<Option<Arc<Vec<Listed>>>>),
    File {
        inode: Inode,
        content: Bytes,
        /// What was written; the file had its old content before.
        written: Mutex<Option<Vec<u8>>>,
    },
}

/// Serves a metadata mount.
pub(super) struct Meta {
    session: Arc<Session>,
    special: Special,
    flat: bool,
    entry_timeout: Duration,
    attr_timeout: Duration,
    handles: Handles<MetaHandle>,
}

/// `IIIIIIII|path`.
fn shown_name(file: &Detached) -> Vec<u8> {
    let mut name = format!("{:08X}|", file.inode.0).into_bytes();
    name.extend_from_slice(&file.name);
    name.truncate(NAME_MAX);
    name
}

/// The number before `|` in a name.
fn number_of(name: &[u8]) -> Option<Inode> {
    let (digits, rest) = name.split_first_chunk::<8>()?;
    if rest.first() != Some(&b'|') {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u32::from_str_radix(digits, 16).ok().map(Inode)
}

/// A bucket's directory: three hexadecimal digits.
fn bucket_of(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name)
        .ok()
        .filter(|text| text.len() == 3)?;
    let is_upper = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    u32::from_str_radix(text, 16).ok().filter(|_| is_upper)
}

impl Meta {
    pub(super) fn new(
        session: Arc<Session>,
        options: &FuseOptions,
        special: Special,
        flat: bool,
    ) -> Arc<Meta> {
        Arc::new(Meta {
            session,
            special,
            flat,
            entry_timeout: options.entry_timeout,
            attr_timeout: options.attr_timeout,
            handles: Handles::default(),
        })
    }

    async fn attr(&self, place: Place) -> Result<Attr> {
        if let Some((mode, nlink)) = place.directory() {
            let now = self.session.master_seconds();
            return Ok(Attr {
                flags: 0,
                kind: NodeKind::Directory,
                mode,
                uid: 0,
                gid: 0,
                atime: now,
                mtime: now,
                ctime: now,
                nlink,
                length: 0,
                winattr: 0,
            });
        }
        match place {
            Place::File(inode) => {
                let mut attr = self.session.detached_attributes(inode).await?;
                attr.nlink = 0;
                Ok(attr)
            }
            _ => Ok(MASTER_INFO.attr()),
        }
    }

    async fn entry(&self, place: Place) -> Result<EntryOut> {
        Ok(EntryOut {
            inode: place.inode(),
            attr: self.attr(place).await?,
            entry_timeout: self.entry_timeout,
            attr_timeout: self.attr_timeout,
        })
    }

    async fn lookup(&self, parent: Inode, name: &[u8]) -> Result<EntryOut> {
        let missing = Error::Os(Errno::NOENT);
        let parent = Place::of(parent);
        if parent.directory().is_none() {
            return Err(Error::Os(Errno::NOTDIR));
        }
        let place = match (parent, name) {
            (_, b".") => parent,
            (Place::Bucket(_), b"..") => Place::Trash,
            (_, b"..") => Place::Root,
            (Place::Root, b"trash") => Place::Trash,
            (Place::Root, b"sustained") => Place::Sustained,
            (Place::Root, name) if name == MASTER_INFO.name => Place::MasterInfo,
            (Place::Trash | Place::Bucket(_), b"undel") => Place::Undel,
            (Place::Trash, name) if !self.flat && bucket_of(name).is_some() => {
                Place::Bucket(bucket_of(name).ok_or(missing)?)
            }
            (Place::Trash, _) if !self.flat => return Err(missing),
            (Place::Trash | Place::Bucket(_) | Place::Sustained, name) => {
                Place::File(number_of(name).ok_or(missing)?)
            }
            _ => return Err(missing),
        };
        self.entry(place).await
    }

    async fn list(&self, place: Place) -> Result<Vec<Listed>> {
        let (own, above) = match place {
            Place::Bucket(_) => (TRASH, TRASH),
            Place::Undel => (UNDEL, TRASH),
            place => (place.inode(), ROOT),
        };
        let mut listed: Vec<Listed> = vec![
            (b".".to_vec(), own, NodeKind::Directory),
            (b"..".to_vec(), above, NodeKind::Directory),
        ];
        let mut directory = |name: &[u8], inode| {
            listed.push((name.to_vec(), inode, NodeKind::Directory));
        };
        let files = match place {
            Place::Root => {
                directory(b"trash", TRASH);
                directory(b"sustained", SUSTAINED);
                Vec::new()
            }
            Place::Trash => {
                directory(b"undel", UNDEL);
                if self.flat {
                    self.session.trash(None).await?
                } else {
                    for number in 0..BUCKETS {
                        let name = format!("{number:03X}");
                        directory(name.as_bytes(), Inode(FIRST_BUCKET + number));
                    }
                    Vec::new()
                }
            }
            Place::Bucket(number) => {
                directory(b"undel", UNDEL);
                self.session.trash(Some(number)).await?
            }
            Place::Sustained => self.session.sustained().await?,
            Place::Undel => Vec::new(),
            Place::MasterInfo | Place::File(_) => return Err(Error::Os(Errno::NOTDIR)),
        };
        for file in &files {
            listed.push((shown_name(file), file.inode, NodeKind::File));
        }
        Ok(listed)
    }

    fn opendir(&self, inode: Inode) -> Result<OpenOut> {
        if Place::of(inode).directory().is_none() {
            return Err(Error::Os(Errno::NOTDIR));
        }
        let handle = MetaHandle::Directory(tokio::sync::Mutex::new(None));
        Ok(OpenOut {
            handle: self.handles.insert(handle),
            flags: 0,
        })
    }

    async fn readdir(
        &self,
        header: &Header,
        handle: u64,
        offset: u64,
        size: u32,
    ) -> Result<Vec<u8>> {
        let handle = self.handles.get(handle).ok_or(Error::Os(Errno::BADF))?;
        let MetaHandle::Directory(slot) = &*handle else {
            return Err(Error::Os(Errno::NOTDIR));
        };
        let mut slot = slot.lock().await;
        let listed = match (&*slot, offset) {
            (Some(listed), 1..) => Arc::clone(listed),
            _ => {
                let listed = Arc::new(self.list(Place::of(header.inode)).await?);
                *slot = Some(Arc::clone(&listed));
                listed
            }
        };
        let mut buffer = directory_buffer(size);
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        for (at, (name, inode, kind)) in listed.iter().enumerate().skip(start) {
            if !buffer.push(name, *inode, *kind, at as u64 + 1, None) {
                break;
            }
        }
        Ok(buffer.bytes().to_vec())
    }

    async fn open(&self, inode: Inode) -> Result<OpenOut> {
        let (content, flags) = match Place::of(inode) {
            Place::MasterInfo => (
                Bytes::from(self.special.master_info(&self.session).encode()),
                open_out::KEEP_CACHE,
            ),
            Place::File(inode) => {
                let mut path = self.session.trash_path(inode).await?.to_vec();
                path.push(b'\n');
                (Bytes::from(path), open_out::DIRECT_IO)
            }
            _ => return Err(Error::Os(Errno::ISDIR)),
        };
        let handle = self.handles.insert(MetaHandle::File {
            inode,
            content,
            written: Mutex::new(None),
        });
        Ok(OpenOut { handle, flags })
    }

    fn read(&self, handle: u64, offset: u64, size: u32) -> Result<Bytes> {
        let handle = self.handles.get(handle).ok_or(Error::Os(Errno::BADF))?;
        let MetaHandle::File { content, .. } = &*handle else {
            return Err(Error::Os(Errno::ISDIR));
        };
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let to = from.saturating_add(size as usize).min(content.len());
        Ok(content.slice(from..to))
    }

    fn write(&self, handle: u64, offset: u64, data: &[u8]) -> Result<u32> {
        let handle = self.handles.get(handle).ok_or(Error::Os(Errno::BADF))?;
        let MetaHandle::File { inode, written, .. } = &*handle else {
            return Err(Error::Os(Errno::ISDIR));
        };
        if Place::of(*inode) == Place::MasterInfo {
            return Err(Error::Os(Errno::ACCESS));
        }
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = from.saturating_add(data.len());
        if end > PATH_BYTES_MAX {
            return Err(Error::Os(Errno::INVAL));
        }
        let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
        let path = written.get_or_insert_default();
        if path.len() < end {
            path.resize(end, 0);
        }
        path[from..end].copy_from_slice(data);
        Ok(data.len() as u32)
    }

    /// The path that was written counts from now on; its errors have no way back.
    async fn release(&self, handle: u64) {
        let Some(handle) = self.handles.remove(handle) else {
            return;
        };
        let MetaHandle::File { inode, written, .. } = &*handle else {
            return;
        };
        let path = written
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(path) = path {
            let path = path.strip_suffix(b"\n").unwrap_or(&path);
            if let Err(error) = self.session.set_trash_path(*inode, path).await {
                tracing::warn!("path of file {} in trash: {error}", inode.0);
            }
        }
    }

    async fn unlink(&self, parent: Inode, name: &[u8]) -> Result<()> {
        match (Place::of(parent), number_of(name)) {
            (Place::Trash | Place::Bucket(_), Some(inode)) => self.session.purge(inode).await,
            _ => Err(Error::Os(Errno::ACCESS)),
        }
    }

    async fn rename(&self, parent: Inode, name: &[u8], new_parent: Inode) -> Result<()> {
        let is_undel = Place::of(new_parent) == Place::Undel;
        match (Place::of(parent), number_of(name)) {
            (Place::Trash | Place::Bucket(_), Some(inode)) if is_undel => {
                self.session.undelete(inode).await
            }
            _ => Err(Error::Os(Errno::ACCESS)),
        }
    }

    async fn statfs(&self) -> Result<StatfsOut> {
        const BLOCK: u64 = 65536;
        let sizes = self.session.statfs().await?;
        let sustained = sizes.sustained / BLOCK;
        Ok(StatfsOut {
            blocks: sizes.trash / BLOCK + sustained,
            free: sustained,
            available: sustained,
            files: 0,
            files_free: 0,
        })
    }

    async fn answer(&self, header: Header, request: Owned, reply: Reply) {
        let fail = |reply: Reply, error: Error| reply.error(error.errno());
        match request {
            Owned::Lookup(name) => match self.lookup(header.inode, &name).await {
                Ok(entry) => reply.entry(&entry),
                Err(error) => fail(reply, error),
            },
            Owned::Attributes => match self.attr(Place::of(header.inode)).await {
                Ok(attr) => reply.attr(header.inode, &attr, self.attr_timeout),
                Err(error) => fail(reply, error),
            },
            Owned::Opendir => match self.opendir(header.inode) {
                Ok(open) => reply.opened(open),
                Err(error) => fail(reply, error),
            },
            Owned::Readdir(handle, offset, size) => {
                match self.readdir(&header, handle, offset, size).await {
                    Ok(bytes) => reply.data(&bytes),
                    Err(error) => fail(reply, error),
                }
            }
            Owned::Open => match self.open(header.inode).await {
                Ok(open) => reply.opened(open),
                Err(error) => fail(reply, error),
            },
            Owned::Read(handle, offset, size) => match self.read(handle, offset, size) {
                Ok(bytes) => reply.data(&bytes),
                Err(error) => fail(reply, error),
            },
            Owned::Release(handle) => {
                self.release(handle).await;
                reply.ok();
            }
            Owned::Unlink(name) => match self.unlink(header.inode, &name).await {
                Ok(()) => reply.ok(),
                Err(error) => fail(reply, error),
            },
            Owned::Rename(name, new_parent) => {
                match self.rename(header.inode, &name, new_parent).await {
                    Ok(()) => reply.ok(),
                    Err(error) => fail(reply, error),
                }
            }
            Owned::Statfs => match self.statfs().await {
                Ok(sizes) => reply.statfs(&sizes),
                Err(error) => fail(reply, error),
            },
        }
    }
}

/// Requests that need time, without a borrow of the buffer that they came in.
enum Owned {
    Lookup(Vec<u8>),
    Attributes,
    Opendir,
    Readdir(u64, u64, u32),
    Open,
    Read(u64, u64, u32),
    Release(u64),
    Unlink(Vec<u8>),
    Rename(Vec<u8>, Inode),
    Statfs,
}

impl Service for Meta {
    fn dispatch(self: &Arc<Self>, request: Request<'_>, device: &Arc<Device>, runtime: &Handle) {
        let header = request.header;
        let reply = Reply::new(header.unique, Arc::clone(device));
        let owned = match request.operation {
            Operation::Lookup { name } => Owned::Lookup(name.to_vec()),
            // A change of attributes is taken and has no effect.
            Operation::Getattr { .. } | Operation::Setattr(_) => Owned::Attributes,
            Operation::Opendir { .. } => Owned::Opendir,
            Operation::Readdir {
                handle,
                offset,
                size,
                ..
            } => Owned::Readdir(handle, offset, size),
            Operation::Open { .. } => Owned::Open,
            Operation::Read {
                handle,
                offset,
                size,
            } => Owned::Read(handle, offset, size),
            Operation::Write {
                handle,
                offset,
                data,
            } => {
                return match self.write(handle, offset, data) {
                    Ok(size) => reply.written(size),
                    Err(error) => reply.error(error.errno()),
                };
            }
            Operation::Release { handle, .. } | Operation::Releasedir { handle } => {
                Owned::Release(handle)
            }
            Operation::Unlink { name } => Owned::Unlink(name.to_vec()),
            Operation::Rename {
                name, new_parent, ..
            } => Owned::Rename(name.to_vec(), new_parent),
            Operation::Statfs => Owned::Statfs,
            Operation::Forget | Operation::Interrupt { .. } => return reply.none(),
            _ => return reply.error(Errno::NOSYS),
        };
        let me = Arc::clone(self);
        task::run(
            runtime,
            async move { me.answer(header, owned, reply).await },
        );
    }

    fn start_write(
        self: &Arc<Self>,
        _header: Header,
        (handle, offset): (u64, u64),
        data: Bytes,
        reply: Reply,
        _runtime: &Handle,
    ) {
        match self.write(handle, offset, &data) {
            Ok(size) => reply.written(size),
            Err(error) => reply.error(error.errno()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_the_number() {
        let file = Detached {
            name: b"dir|file".to_vec(),
            inode: Inode(0x2d),
        };
        assert_eq!(shown_name(&file), b"0000002D|dir|file");
        assert_eq!(number_of(b"0000002D|dir|file"), Some(Inode(0x2d)));
        for name in [&b"0000002D"[..], b"2D|x", b"0000002G|x", b""] {
            assert_eq!(number_of(name), None);
        }
        assert_eq!(bucket_of(b"0FF"), Some(255));
        for name in [&b"0ff"[..], b"FF", b"0FFF", b"+FF"] {
            assert_eq!(bucket_of(name), None);
        }
        for place in [
            Place::Root,
            Place::Bucket(4095),
            Place::File(Inode(7)),
            Place::Undel,
        ] {
            assert_eq!(Place::of(place.inode()), place);
        }
    }
}
