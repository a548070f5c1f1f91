//! A digest of the whole persistent state, by which replicas at one version are compared.
//!
//! Every record counts as a 128-bit hash of what it says, wherever it lies in memory; the digest is
//! made of the sum of all hashes, so its order does not matter. Nothing is counted while the state
//! changes: a [`Digester`] compares two frozen views and steps over everything that they share, on
//! whatever thread. What the service pays is the copy of a page or tree node when it is written
//! first after a view was taken.
//!
//! Left out is what no changelog line carries, and therefore no replica has: counters of sessions
//! and whether they are connected, locks of chunks, requests that wait for locks; and what follows
//! from the rest: statistics of directories, link counts, references of chunks.

mod tree;

use crate::{Namespace, View};
use std::fmt;
use std::str::FromStr;
use xxhash_rust::xxh3::xxh3_128;

/// Digest of a state: equal for equal states at the same version, on every machine. It finds
/// accidents, not forgers: XXH3 is no cryptographic hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 16]);

impl fmt::Display for Digest {
    /// 32 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 32 hexadecimal digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Digest, NoDigest> {
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NoDigest);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| NoDigest)?;
        Ok(Digest(number.to_be_bytes()))
    }
}

/// Kinds of records: equal bytes of different kinds count differently.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Node = 1,
    Edge = 2,
    Slot = 3,
    Chunk = 4,
    Freed = 5,
    Session = 6,
    Class = 7,
    Quota = 8,
    Xattr = 9,
    Acl = 10,
    Open = 11,
    Flock = 12,
    Range = 13,
    Server = 14,
    /// The digest itself.
    Total = 15,
}

/// Whether a record is there now, or was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Old,
    New,
}

/// The sum of the hashes of all records.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    total: u128,
    scratch: Vec<u8>,
}

impl Sum {
    fn hash(&mut self, kind: Kind, parts: &[&[u8]]) -> u128 {
        self.scratch.clear();
        self.scratch.push(kind as u8);
        for part in parts {
            self.scratch.extend_from_slice(part);
        }
        xxh3_128(&self.scratch)
    }

    /// Counts a record in (what is new) or out (what was there). Only the last of its parts may vary
    /// in length.
    pub(crate) fn count(&mut self, side: Side, kind: Kind, parts: &[&[u8]]) {
        let hash = self.hash(kind, parts);
        self.total = match side {
            Side::New => self.total.wrapping_add(hash),
            Side::Old => self.total.wrapping_sub(hash),
        };
    }

    /// Counts what differs between two states of a map; `count` gets each entry that is not the same
    /// in both.
    pub(crate) fn map<K: Ord, V: PartialEq>(
        &mut self,
        old: &imbl::OrdMap<K, V>,
        new: &imbl::OrdMap<K, V>,
        count: impl Fn(&mut Sum, Side, &K, &V),
    ) {
        use imbl::ordmap::DiffItem;
        for item in old.diff(new) {
            match item {
                DiffItem::Add(key, value) => count(self, Side::New, key, value),
                DiffItem::Remove(key, value) => count(self, Side::Old, key, value),
                DiffItem::Update {
                    old: (old_key, old),
                    new: (key, new),
                } => {
                    count(self, Side::Old, old_key, old);
                    count(self, Side::New, key, new);
                }
            }
        }
    }
}

/// Keeps the digest of a state that goes on: each view costs what changed since the one before.
#[derive(Debug)]
pub struct Digester {
    last: View,
    sum: Sum,
}

impl Default for Digester {
    /// Nothing counted yet: the first view is counted as a whole.
    fn default() -> Self {
        Digester {
            last: Namespace::empty(0).freeze(),
            sum: Sum::default(),
        }
    }
}

impl Digester {
    /// The digest of a view. It is kept until the next one, and with it the pages that are changed
    /// meanwhile. Any two views may follow each other; those of one history cost least.
    pub fn digest(&mut self, view: View) -> Digest {
        let (old, sum) = (&self.last, &mut self.sum);
        tree::count_changes(old, &view, sum);
        view.sessions.count_changes(&old.sessions, sum);
        view.classes.count_changes(&old.classes, sum);
        view.quotas.count_changes(&old.quotas, sum);
        view.xattrs.count_changes(&old.xattrs, sum);
        view.acls.count_changes(&old.acls, sum);
        view.open.count_changes(&old.open, sum);
        view.flocks.count_changes(&old.flocks, sum);
        view.posix_locks.count_changes(&old.posix_locks, sum);
        view.servers.count_changes(&old.servers, sum);
        let digest = finish(&view, sum);
        self.last = view;
        digest
    }
}

/// The sum together with the numbers of which there is one each.
fn finish(view: &View, sum: &mut Sum) -> Digest {
    let total = sum.total.to_be_bytes();
    let hash = sum.hash(
        Kind::Total,
        &[
            &total,
            &view.version.0.to_be_bytes(),
            &view.metaid.0.to_be_bytes(),
            &view.store.next_edge_id.to_be_bytes(),
            &view.store.max_inode.to_be_bytes(),
            &view.next_chunk_id.0.to_be_bytes(),
            &view.sessions.next_id().0.to_be_bytes(),
        ],
    );
    Digest(hash.to_be_bytes())
}

impl View {
    /// The digest of this state, counted as a whole: about 0.1 µs for each file.
    pub fn digest(&self) -> Digest {
        Digester::default().digest(self.clone())
    }
}

impl Namespace {
    /// The digest of the present state, counted as a whole; see [`Digester`] for one that is kept.
    pub fn digest(&self) -> Digest {
        self.freeze().digest()
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, Digester};
    use crate::create::NewNode;
    use crate::{Caller, Namespace, Outbox, Tx};
    use proto::{ChunkVersion, Inode, NodeKind};

    #[test]
    fn a_digest_is_read_as_it_is_shown() {
        let digest = Digest([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 0xFF]);
        assert_eq!(digest.to_string(), "000102030405060708090a0b0c0d0eff");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        for wrong in ["", "0001", "+00102030405060708090a0b0c0d0eff"] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    /// The digest is part of a format: logs keep it, and replicas of different releases compare it.
    #[test]
    fn the_digest_of_a_state_stays_what_it_was() {
        let mut ns = Namespace::new(7, 1000).unwrap();
        let empty = ns.digest().to_string();
        let mut out = Outbox::default();
        let new = NewNode {
            kind: NodeKind::Directory,
            mode: 0o755,
            umask: 0,
            rdev: 0,
            copy_sgid: false,
        };
        let mut tx = Tx::new(1001, &mut out);
        ns.mknod(&mut tx, &Caller::MASTER, Inode::ROOT, b"d", new)
            .unwrap();
        expect_test::expect![[r#"
            cd3f1118c89f5bd35c9fa2ef04386b37
            d542c39cf49c133c685c40e430a3a529
        "#]]
        .assert_eq(&format!("{empty}\n{}\n", ns.digest()));
    }

    /// What a kept digest could miss: changes that leave a record, or the place of one, as it was.
    #[test]
    fn changes_below_a_record_are_seen() {
        let who = &Caller::MASTER;
        let mut ns = Namespace::new(7, 1000).unwrap();
        let mut out = Outbox::default();
        let mut tx = Tx::new(1000, &mut out);
        let file = ns
            .create(&mut tx, who, Inode::ROOT, b"file", 0o644, 0)
            .unwrap();
        let mut digester = Digester::default();
        let mut seen = Vec::new();
        let mut check = |ns: &Namespace, what: &str| {
            let digest = digester.digest(ns.freeze());
            assert_eq!(digest, ns.digest(), "{what}");
            assert!(!seen.contains(&digest), "{what} changed nothing");
            seen.push(digest);
        };
        check(&ns, "a file");
        for index in [0, 1, 3, 9000, 2] {
            ns.write_chunk(&mut tx, file, index, false, false).unwrap();
            check(&ns, "a chunk");
        }
        for index in [2, 9000] {
            ns.repair_slot(&mut tx, file, index, ChunkVersion(0))
                .unwrap();
            check(&ns, "a hole");
        }
        // The names are equally long, so the new one lies where the old one was.
        for (from, to) in [("file", "elif"), ("elif", "file")] {
            let (from, to, root) = (from.as_bytes(), to.as_bytes(), Inode::ROOT);
            ns.rename(&mut tx, who, root, from, root, to).unwrap();
            check(&ns, "another name");
        }
        for target in ["one", "two"] {
            let link = ns
                .symlink(&mut tx, who, Inode::ROOT, b"link", target.as_bytes())
                .unwrap();
            check(&ns, "a symlink");
            ns.unlink(&mut tx, who, Inode::ROOT, b"link").unwrap();
            check(&ns, "no symlink");
            ns.apply_free_inodes(&mut Tx::new(90_000, &mut Outbox::default()), 60);
            check(&ns, "its number is free");
            assert_eq!(link, Inode(3));
        }
    }

    #[test]
    fn views_of_different_histories_may_follow_each_other() {
        let one = Namespace::new(1, 5).unwrap();
        let other = Namespace::new(2, 6).unwrap();
        let mut digester = Digester::default();
        for ns in [&one, &other, &one, &one, &other] {
            assert_eq!(digester.digest(ns.freeze()), ns.digest());
        }
        assert_ne!(one.digest(), other.digest());
    }
}
