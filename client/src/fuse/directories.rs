//! OPENDIR, READDIR and what is answered from listings that are open (client-behaviour §7.6, §8.3).

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use proto::{Attr, Inode, Status};
use rustix::io::Errno;

use super::adapter::Adapter;
use super::kernel::{Header, OpenOut, Reply, directory_buffer};
use super::special;
use crate::cache::open_data::Identity;
use crate::error::{Error, Result};
use crate::operations::{Listing, Node};

/// Most bytes of one answer.
const ANSWER_MAX: u32 = 50_000;

/// A listing that a process reads, and where its names are.
#[derive(Debug)]
pub(super) struct OpenListing {
    listing: Listing,
    /// When it was asked for, by the clock of [`OpenDirectories`].
    asked: u64,
    index: OnceLock<Index>,
}

#[derive(Debug)]
struct Index {
    hasher: RandomState,
    /// Positions of entries by hash of the name; the few that share one are looked through.
    names: HashMap<u64, Vec<u64>>,
    inodes: HashMap<Inode, u64>,
}

impl OpenListing {
    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let hasher = RandomState::new();
            let (mut names, mut inodes) = (HashMap::<u64, Vec<u64>>::new(), HashMap::new());
            let mut position = 0;
            for entry in self.listing.from(0) {
                names
                    .entry(hasher.hash_one(entry.name))
                    .or_default()
                    .push(position);
                inodes.entry(entry.inode).or_insert(position);
                position = entry.next;
            }
            Index {
                hasher,
                names,
                inodes,
            }
        })
    }

    fn find(&self, name: &[u8]) -> Option<Node> {
        let index = self.index();
        index
            .names
            .get(&index.hasher.hash_one(name))?
            .iter()
            .find_map(|position| {
                let entry = self.listing.from(*position).next()?;
                let attr = entry.attr?;
                (entry.name == name).then_some(Node {
                    inode: entry.inode,
                    attr,
                })
            })
    }

    fn attr_of(&self, inode: Inode) -> Option<Attr> {
        let position = self.index().inodes.get(&inode)?;
        self.listing.from(*position).next()?.attr
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct DirHandle {
    inode: Inode,
    reader: Identity,
    listing: tokio::sync::Mutex<Option<Arc<OpenListing>>>,
    shown: Mutex<Option<Arc<OpenListing>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Open directories by process, user and group.
type Readers = HashMap<Identity, Vec<Weak<DirHandle>>>;

/// Directories that are open, by reader; and what was changed here since they were listed.
#[derive(Debug, Default)]
pub(super) struct OpenDirectories {
    readers: Mutex<Readers>,
    open: AtomicUsize,
    clock: AtomicU64,
    touched: Mutex<Touched>,
}

#[derive(Debug, Default)]
struct Touched {
    inodes: HashMap<Inode, u64>,
    names: HashMap<(Inode, Box<[u8]>), u64>,
    /// Everything listed before this is old: too much was changed.
    all: u64,
}

/// Changes that are remembered one by one.
const TOUCHED_MAX: usize = 100_000;

impl OpenDirectories {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Attributes of an object were changed here.
    pub(super) fn touch(&self, inode: Inode) {
        if self.open.load(Ordering::Relaxed) > 0 {
            let now = self.now();
            let mut touched = lock(&self.touched);
            touched.make_room(now);
            touched.inodes.insert(inode, now);
        }
    }

    /// A name came or went here.
    pub(super) fn touch_name(&self, parent: Inode, name: &[u8]) {
        if self.open.load(Ordering::Relaxed) > 0 {
            let now = self.now();
            let mut touched = lock(&self.touched);
            touched.make_room(now);
            touched.names.insert((parent, name.into()), now);
        }
    }

    fn of_reader(&self, header: &Header) -> Vec<Arc<DirHandle>> {
        if self.open.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        lock(&self.readers)
            .get(&Adapter::identity(header))
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// A name in a directory that the same process reads.
    pub(super) fn lookup(&self, header: &Header, name: &[u8]) -> Option<Node> {
        for handle in self.of_reader(header) {
            if handle.inode != header.inode {
                continue;
            }
            let shown = lock(&handle.shown).clone();
            let Some(listing) = shown else { continue };
            let Some(node) = listing.find(name) else {
                continue;
            };
            let touched = lock(&self.touched);
            let named = touched.names.get(&(header.inode, name.into()));
            if touched.is_old(node.inode, listing.asked)
                || named.is_some_and(|at| *at > listing.asked)
            {
                continue;
            }
            return Some(node);
        }
        None
    }

    /// Attributes of an object in a directory that the same process reads.
    pub(super) fn attributes(&self, header: &Header) -> Option<Attr> {
        for handle in self.of_reader(header) {
            let shown = lock(&handle.shown).clone();
            let Some(listing) = shown else { continue };
            if let Some(attr) = listing.attr_of(header.inode)
                && !lock(&self.touched).is_old(header.inode, listing.asked)
            {
                return Some(attr);
            }
        }
        None
    }

    fn opened(&self, handle: &Arc<DirHandle>) {
        self.open.fetch_add(1, Ordering::Relaxed);
        lock(&self.readers)
            .entry(handle.reader)
            .or_default()
            .push(Arc::downgrade(handle));
    }

    fn closed(&self, handle: &Arc<DirHandle>) {
        {
            let mut readers = lock(&self.readers);
            if let Some(handles) = readers.get_mut(&handle.reader) {
                handles.retain(|other| !std::ptr::eq(other.as_ptr(), Arc::as_ptr(handle)));
                if handles.is_empty() {
                    readers.remove(&handle.reader);
                }
            }
        }
        if self.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            *lock(&self.touched) = Touched::default();
        }
    }
}

impl Touched {
    fn make_room(&mut self, now: u64) {
        if self.inodes.len() + self.names.len() >= TOUCHED_MAX {
            self.inodes.clear();
            self.names.clear();
            self.all = now;
        }
    }

    fn is_old(&self, inode: Inode, asked: u64) -> bool {
        asked < self.all || self.inodes.get(&inode).is_some_and(|at| *at > asked)
    }
}

impl Adapter {
    pub(super) async fn opendir(&self, header: &Header) -> Result<OpenOut> {
        if special::of_inode(header.inode).is_some() {
            return Err(Error::Os(Errno::NOTDIR));
        }
        let caller = self.caller(header);
        self.session().access(header.inode, 4, &caller).await?;
        let number = self.directories.insert(DirHandle {
            inode: header.inode,
            reader: Adapter::identity(header),
            listing: tokio::sync::Mutex::new(None),
            shown: Mutex::new(None),
        });
        if let Some(handle) = self.directories.get(number) {
            self.open_directories.opened(&handle);
        }
        Ok(OpenOut {
            handle: number,
            flags: 0,
        })
    }

    pub(super) fn releasedir(&self, handle: u64) {
        if let Some(handle) = self.directories.remove(handle) {
            self.open_directories.closed(&handle);
        }
    }

    /// The listing of a handle: a new one at the start, the same one behind it.
    async fn listing(
        &self,
        header: &Header,
        handle: &DirHandle,
        offset: u64,
        plus: bool,
    ) -> Result<Arc<OpenListing>> {
        let mut slot = handle.listing.lock().await;
        if offset > 0
            && let Some(listing) = slot.as_ref()
        {
            return Ok(Arc::clone(listing));
        }
        let asked = self.open_directories.now();
        let caller = self.caller(header);
        let session = self.session();
        let listing = match session.readdir(handle.inode, true, &caller).await {
            Err(Error::Status(Status::Eacces)) if !plus => {
                session.readdir(handle.inode, false, &caller).await?
            }
            outcome => outcome?,
        };
        let listing = Arc::new(OpenListing {
            listing,
            asked,
            index: OnceLock::new(),
        });
        *slot = Some(Arc::clone(&listing));
        if listing.listing.has_attributes() {
            *lock(&handle.shown) = Some(Arc::clone(&listing));
        }
        Ok(listing)
    }

    pub(super) async fn readdir(
        &self,
        header: &Header,
        handle: u64,
        offset: u64,
        size: u32,
        plus: bool,
        reply: Reply,
    ) {
        let Some(handle) = self.directories.get(handle) else {
            return reply.error(Errno::BADF);
        };
        let mark = self.fs.mark();
        let listing = match self.listing(header, &handle, offset, plus).await {
            Ok(listing) => listing,
            Err(error) => return reply.error(error.errno()),
        };
        let mut buffer = directory_buffer(size.min(ANSWER_MAX));
        for entry in listing.listing.from(offset) {
            let inode = if handle.inode == special::ROOT && entry.name == b".." {
                special::ROOT
            } else {
                entry.inode
            };
            let full = match entry.attr {
                Some(attr) if plus => Some(self.seen(mark, Node { inode, attr })),
                _ => None,
            };
            if !buffer.push(entry.name, inode, entry.kind, entry.next, full.as_ref()) {
                break;
            }
        }
        reply.data(buffer.bytes());
    }
}
