//! Files without a name in the tree: trash, sustained files, and numbers of removed inodes.

use crate::access::is_valid_name;
use crate::store::node::{NodeRecord, eattr};
use crate::store::{DETACHED_PATH_BYTES_MAX, Freed, SUSTAINED_BUCKETS, TRASH_BUCKETS};
use crate::tree::NewInode;
use crate::{Caller, Namespace, Tx};
use proto::changelog::Entry;
use proto::{Inode, NodeKind, Status};

/// A detached file in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detached<'a> {
    /// Path from the root of the file system, without leading slash.
    pub path: &'a [u8],
    /// The file.
    pub inode: Inode,
}

/// The path of a file in trash, taken apart.
struct WayBack<'a> {
    directories: Vec<&'a [u8]>,
    name: &'a [u8],
}

impl<'a> WayBack<'a> {
    /// Leading slashes are ignored; 31 unless all parts can be names.
    fn new(path: &'a [u8]) -> Result<WayBack<'a>, Status> {
        let start = path.iter().position(|&byte| byte != b'/');
        let path = start.map_or(&[][..], |start| &path[start..]);
        let mut directories: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        if !directories.iter().all(|part| is_valid_name(part)) {
            return Err(Status::CantCreatePath);
        }
        let name = directories.pop().ok_or(Status::CantCreatePath)?;
        Ok(WayBack { directories, name })
    }
}

/// What emptying a bucket did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Emptied {
    /// Files removed.
    pub freed: u32,
    /// Files that became sustained.
    pub sustained: u32,
    /// XOR of the inodes of both.
    pub xor: u32,
}

/// Inode numbers that became usable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reusable {
    /// Numbers usable from now on.
    pub freed: u32,
    /// Numbers that some session still has open.
    pub sustained: u32,
    /// XOR of both.
    pub xor: u32,
}

impl Namespace {
    fn detached(&self, first: u32) -> impl Iterator<Item = Detached<'_>> {
        self.store.entries_from(first).map(|(_, edge)| Detached {
            path: self.store.name(edge),
            inode: Inode(edge.child),
        })
    }

    /// Files in one bucket of the trash (inode modulo 4096), or in all, newest first in a bucket.
    pub fn trash_list(&self, bucket: Option<u32>) -> impl Iterator<Item = Detached<'_>> {
        let bucket = bucket
            .map(|bucket| bucket as usize)
            .filter(|&bucket| bucket < TRASH_BUCKETS);
        let buckets = match bucket {
            Some(bucket) => &self.store.trash[bucket..=bucket],
            None => &self.store.trash[..],
        };
        buckets.iter().flat_map(|&first| self.detached(first))
    }

    /// Sustained files.
    pub fn sustained_list(&self) -> impl Iterator<Item = Detached<'_>> {
        let buckets = self.store.sustained.iter();
        buckets.flat_map(|&first| self.detached(first))
    }

    /// 1 unless the caller's session is one for trash and sustained files.
    fn check_meta(&self, who: &Caller) -> Result<(), Status> {
        if who.root == Inode(0) {
            Ok(())
        } else {
            Err(Status::Eperm)
        }
    }

    fn trash_or(&self, inode: Inode) -> Result<&NodeRecord, Status> {
        let node = self.node_or(inode)?;
        if node.is(NodeKind::Trash) {
            Ok(node)
        } else {
            Err(Status::Enoent)
        }
    }

    /// GETTRASHPATH (wire-client-master §17).
    ///
    /// # Errors
    /// 3 not in trash.
    pub fn trash_path(&self, inode: Inode) -> Result<&[u8], Status> {
        let node = self.trash_or(inode)?;
        let edge = self.store.edges.get(node.names).ok_or(Status::Enoent)?;
        Ok(self.store.name(edge))
    }

    /// SETTRASHPATH (§17).
    ///
    /// # Errors
    /// In this order: 1 no metadata session, 33 read-only, 6 bad path, 3 not in trash.
    pub fn set_trash_path(
        &mut self,
        tx: &mut Tx,
        who: &Caller,
        inode: Inode,
        path: &[u8],
    ) -> Result<(), Status> {
        self.check_meta(who)?;
        who.writes()?;
        self.apply_set_path(inode, path)?;
        self.log(
            tx,
            &Entry::SetPath {
                inode,
                path: path.into(),
            },
        );
        Ok(())
    }

    /// Replays SETPATH.
    pub(crate) fn apply_set_path(&mut self, inode: Inode, path: &[u8]) -> Result<(), Status> {
        if !(1..=DETACHED_PATH_BYTES_MAX).contains(&path.len()) || path.contains(&0) {
            return Err(Status::Einval);
        }
        self.trash_or(inode)?;
        self.unname_detached(inode);
        self.name_detached(inode, path)
    }

    /// UNDEL (§17): the file returns to where its path says; missing directories are made.
    ///
    /// # Errors
    /// In this order: 1 no metadata session, 33 read-only, 3 not in trash, 31 impossible path, 5 name
    /// exists, 34 a quota on the way is exceeded, 1 immutable directory.
    pub fn undel(&mut self, tx: &mut Tx, who: &Caller, inode: Inode) -> Result<(), Status> {
        self.check_meta(who)?;
        who.writes()?;
        self.check_way_back(&WayBack::new(self.trash_path(inode)?)?)?;
        self.apply_undel(tx, inode)?;
        self.log(tx, &Entry::Undelete { inode });
        Ok(())
    }

    /// Replays UNDEL.
    pub(crate) fn apply_undel(&mut self, tx: &mut Tx, inode: Inode) -> Result<(), Status> {
        let path = self.trash_path(inode)?.to_vec();
        let way = WayBack::new(&path)?;
        let (mut parent, missing) = self.check_way_back(&way)?;
        for directory in missing {
            let new = NewInode {
                kind: NodeKind::Directory,
                mode: 0o755,
                umask: 0,
                uid: 0,
                gid: 0,
            };
            let made = self.new_inode(tx.now, parent, new)?;
            self.attach(tx.now, parent, directory, made)?;
            parent = made;
        }
        self.unname_detached(inode);
        self.change_kind(inode, NodeKind::File);
        self.attach(tx.now, parent, way.name, inode)
    }

    /// The last directory of a path that exists, and the names behind it that have to be made.
    fn check_way_back<'a>(&self, way: &'a WayBack<'a>) -> Result<(Inode, &'a [&'a [u8]]), Status> {
        let mut parent = Inode::ROOT;
        let mut missing = &way.directories[..];
        loop {
            // Neither hard limits nor what the file adds count here, in 3.0.117 and its replay.
            if self.quotas.get(parent).is_some_and(|quota| quota.exceeded) {
                return Err(Status::Quota);
            }
            if self.node_or(parent)?.has(eattr::IMMUTABLE) {
                return Err(Status::Eperm);
            }
            let Some((next, rest)) = missing.split_first() else {
                break;
            };
            let Some(child) = self.child(parent, next) else {
                return Ok((parent, missing));
            };
            if !self.node_or(child)?.is_dir() {
                return Err(Status::CantCreatePath);
            }
            parent = child;
            missing = rest;
        }
        if self.find(parent, way.name).is_some() {
            return Err(Status::Eexist);
        }
        Ok((parent, missing))
    }

    /// PURGE (§17).
    ///
    /// # Errors
    /// In this order: 1 no metadata session, 33 read-only, 3 not in trash.
    pub fn purge(&mut self, tx: &mut Tx, who: &Caller, inode: Inode) -> Result<(), Status> {
        self.check_meta(who)?;
        who.writes()?;
        self.apply_purge(tx, inode)?;
        self.log(tx, &Entry::Purge { inode });
        Ok(())
    }

    /// Replays PURGE.
    pub(crate) fn apply_purge(&mut self, tx: &mut Tx, inode: Inode) -> Result<(), Status> {
        self.trash_or(inode)?;
        self.purge_file(tx, inode);
        Ok(())
    }

    /// Takes a file out of the trash; whether it lives on because it is open.
    fn purge_file(&mut self, tx: &mut Tx, inode: Inode) -> bool {
        let sustained = self.open.is_open(inode);
        if sustained {
            self.sustain_trash(inode);
        } else {
            self.remove_inode(tx, inode);
        }
        sustained
    }

    /// Empties one of the 4096 buckets of the trash; writes a line if anything was to do.
    pub fn empty_trash(&mut self, tx: &mut Tx, bucket: u32) {
        let emptied = self.apply_empty_trash(tx, Some(bucket));
        if emptied.freed + emptied.sustained > 0 {
            self.log(
                tx,
                &Entry::EmptyTrash {
                    bucket: Some(bucket),
                    freed: emptied.freed,
                    sustained: emptied.sustained,
                    xor: Some(emptied.xor),
                },
            );
        }
    }

    /// Replays EMPTYTRASH: of one bucket, or of all.
    pub(crate) fn apply_empty_trash(&mut self, tx: &mut Tx, bucket: Option<u32>) -> Emptied {
        let now = tx.now;
        let is_expired = |inode: Inode, node: &NodeRecord| {
            let last = node.atime.max(node.mtime).max(node.ctime);
            u64::from(last) + u64::from(self.trash_seconds(inode, node)) < u64::from(now)
        };
        let buckets = match bucket {
            Some(bucket) => &self.store.trash[bucket as usize % TRASH_BUCKETS..][..1],
            None => &self.store.trash[..],
        };
        let due: Vec<Inode> = buckets
            .iter()
            .flat_map(|&first| self.store.entries_from(first))
            .map(|(_, edge)| Inode(edge.child))
            .filter(|&inode| {
                let node = self.store.node(inode);
                node.is_some_and(|node| is_expired(inode, node))
            })
            .collect();
        let mut emptied = Emptied::default();
        for inode in due {
            emptied.xor ^= inode.0;
            if self.purge_file(tx, inode) {
                emptied.sustained += 1;
            } else {
                emptied.freed += 1;
            }
        }
        emptied
    }

    /// Empties one of the 256 buckets of sustained files; writes a line if anything was to do.
    pub fn empty_sustained(&mut self, tx: &mut Tx, bucket: u32) {
        let emptied = self.apply_empty_sustained(tx, Some(bucket));
        if emptied.freed > 0 {
            self.log(
                tx,
                &Entry::EmptySustained {
                    bucket: Some(bucket),
                    freed: emptied.freed,
                    xor: Some(emptied.xor),
                },
            );
        }
    }

    /// Replays EMPTYSUSTAINED: of one bucket, or of all.
    pub(crate) fn apply_empty_sustained(&mut self, tx: &mut Tx, bucket: Option<u32>) -> Emptied {
        let buckets = match bucket {
            Some(bucket) => &self.store.sustained[bucket as usize % SUSTAINED_BUCKETS..][..1],
            None => &self.store.sustained[..],
        };
        let due: Vec<Inode> = buckets
            .iter()
            .flat_map(|&first| self.store.entries_from(first))
            .map(|(_, edge)| Inode(edge.child))
            .filter(|&inode| !self.open.is_open(inode))
            .collect();
        let mut emptied = Emptied::default();
        for inode in due {
            emptied.xor ^= inode.0;
            emptied.freed += 1;
            self.remove_inode(tx, inode);
        }
        emptied
    }

    /// Makes numbers usable that were freed more than `delay` seconds ago; writes a line if there
    /// were any.
    pub fn free_inodes(&mut self, tx: &mut Tx, delay: u32) {
        let reusable = self.apply_free_inodes(tx, delay);
        if reusable.freed + reusable.sustained > 0 {
            self.log(
                tx,
                &Entry::FreeInodes {
                    delay,
                    freed: reusable.freed,
                    sustained: Some(reusable.sustained),
                    xor: Some(reusable.xor),
                },
            );
        }
    }

    /// Replays FREEINODES.
    pub(crate) fn apply_free_inodes(&mut self, tx: &mut Tx, delay: u32) -> Reusable {
        let mut reusable = Reusable::default();
        let now = tx.now;
        if self
            .store
            .freed
            .back()
            .is_some_and(|newest| newest.since > now)
        {
            for freed in self.store.freed.iter_mut() {
                freed.since = freed.since.min(now);
            }
        }
        let mut open = Vec::new();
        while let Some(&Freed { inode, since }) = self.store.freed.front() {
            if u64::from(since) + u64::from(delay) >= u64::from(now) {
                break;
            }
            self.store.freed.pop_front();
            reusable.xor ^= inode.0;
            if self.open.is_open(inode) {
                reusable.sustained += 1;
                open.push(Freed { inode, since: now });
            } else {
                reusable.freed += 1;
                self.used.free(inode.0);
            }
        }
        self.store.freed.extend(open);
        reusable
    }
}
