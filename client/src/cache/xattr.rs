//! Extended attributes and their absence, per caller (client-behaviour §8.2).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use proto::Inode;
use tokio::time::Instant;

/// Largest value that is kept.
const VALUE_BYTES_MAX: usize = 4096;
/// Values that are kept at most.
const VALUES_MAX: usize = 400_000;
/// Values of one object that are kept at most.
const VALUES_OF_INODE_MAX: usize = 64;

#[derive(Debug)]
struct Item {
    uid: u32,
    gid: u32,
    /// Empty: the list of names.
    name: Box<[u8]>,
    /// `None`: there is no such attribute.
    value: Option<Bytes>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Inner {
    objects: HashMap<Inode, Vec<Item>>,
    count: usize,
}

/// Values by object. Without a time it keeps nothing.
#[derive(Debug)]
pub(crate) struct XattrCache {
    keep: Duration,
    inner: Mutex<Inner>,
}

impl XattrCache {
    pub(crate) fn new(keep: Duration) -> XattrCache {
        XattrCache {
            keep,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: not known. `Some(None)`: known to be missing.
    pub(crate) fn get(
        &self,
        inode: Inode,
        uid: u32,
        gid: u32,
        name: &[u8],
    ) -> Option<Option<Bytes>> {
        let inner = self.lock();
        let item = inner
            .objects
            .get(&inode)?
            .iter()
            .find(|item| item.uid == uid && item.gid == gid && *item.name == *name)?;
        (item.since.elapsed() < self.keep).then(|| item.value.clone())
    }

    pub(crate) fn put(&self, inode: Inode, uid: u32, gid: u32, name: &[u8], value: Option<&[u8]>) {
        let is_large = value.is_some_and(|value| value.len() > VALUE_BYTES_MAX);
        if self.keep.is_zero() || is_large {
            return;
        }
        let now = Instant::now();
        let mut inner = self.lock();
        inner.make_room(now, self.keep);
        let items = inner.objects.entry(inode).or_default();
        let before = items.len();
        items.retain(|item| {
            let is_same = item.uid == uid && item.gid == gid && *item.name == *name;
            !is_same && now.duration_since(item.since) < self.keep
        });
        if items.len() >= VALUES_OF_INODE_MAX {
            items.clear();
        }
        items.push(Item {
            uid,
            gid,
            name: name.into(),
            value: value.map(Bytes::copy_from_slice),
            since: now,
        });
        let after = items.len();
        inner.count = inner.count + after - before;
    }

    /// An attribute was changed, and with it perhaps the list of names.
    pub(crate) fn forget(&self, inode: Inode, name: &[u8]) {
        let mut inner = self.lock();
        let Some(items) = inner.objects.get_mut(&inode) else {
            return;
        };
        let before = items.len();
        items.retain(|item| *item.name != *name && !item.name.is_empty());
        let after = items.len();
        if after == 0 {
            inner.objects.remove(&inode);
        }
        inner.count = inner.count + after - before;
    }

    /// The mode was changed: the access ACL follows it.
    pub(crate) fn forget_acl(&self, inode: Inode) {
        self.forget(inode, b"system.posix_acl_access");
    }

    /// The number may belong to another object soon.
    pub(crate) fn forget_inode(&self, inode: Inode) {
        let mut inner = self.lock();
        if let Some(items) = inner.objects.remove(&inode) {
            inner.count -= items.len();
        }
    }
}

impl Inner {
    fn make_room(&mut self, now: Instant, keep: Duration) {
        if self.count < VALUES_MAX {
            return;
        }
        self.objects.retain(|_, items| {
            items.retain(|item| now.duration_since(item.since) < keep);
            !items.is_empty()
        });
        self.count = self.objects.values().map(Vec::len).sum();
        if self.count >= VALUES_MAX {
            self.objects.clear();
            self.count = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn values_belong_to_a_caller_and_end() {
        let cache = XattrCache::new(Duration::from_secs(30));
        let inode = Inode(7);
        cache.put(inode, 0, 0, b"user.a", Some(b"1"));
        cache.put(inode, 0, 0, b"user.b", None);
        cache.put(inode, 5, 5, b"", Some(b"user.a\0"));
        assert_eq!(cache.get(inode, 0, 0, b"user.a"), Some(Some("1".into())));
        assert_eq!(cache.get(inode, 0, 0, b"user.b"), Some(None));
        assert_eq!(cache.get(inode, 5, 5, b"user.a"), None);
        cache.forget(inode, b"user.a");
        assert_eq!(cache.get(inode, 0, 0, b"user.a"), None);
        assert_eq!(cache.get(inode, 5, 5, b""), None, "the list is old, too");
        assert_eq!(cache.lock().count, 1);
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(cache.get(inode, 0, 0, b"user.b"), None);
        cache.put(inode, 0, 0, b"user.b", None);
        assert_eq!(cache.lock().count, 1);
        cache.forget_inode(inode);
        assert_eq!(cache.lock().count, 0);
    }
}
