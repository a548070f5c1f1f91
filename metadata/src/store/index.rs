//! Where a name is: from directory and name to the edge. Derived, never saved, never copied.

use foldhash::quality::FixedState;
use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash, Hasher};

/// Number of tables. One table with a hundred million names would rehash for seconds; each of these
/// holds some thousands then and takes well below a millisecond.
const SHARDS: usize = 1 << 14;

/// Hashes names.
#[derive(Clone, Debug)]
pub struct NameHasher(FixedState);

impl NameHasher {
    /// Hash of a name in a directory.
    #[inline]
    pub fn hash(&self, parent: u32, name: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        parent.hash(&mut hasher);
        hasher.write(name);
        hasher.finish()
    }
}

/// Edges by directory and name. Keys live in the edge records: callers bring the comparison.
#[derive(Debug)]
pub struct Index {
    shards: Box<[HashTable<u32>]>,
    hasher: NameHasher,
}

impl Index {
    /// An empty index. Whoever knows the seed can make names that collide, so it should be random.
    pub fn new(seed: u64) -> Index {
        Index {
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            hasher: NameHasher(FixedState::with_seed(seed)),
        }
    }

    /// Hash of a name in a directory.
    #[inline]
    pub fn hash(&self, parent: u32, name: &[u8]) -> u64 {
        self.hasher.hash(parent, name)
    }

    /// What hashes the names, apart from the index.
    pub fn hasher(&self) -> NameHasher {
        self.hasher.clone()
    }

    /// The table of a hash; hashbrown uses the lowest bits and the highest seven.
    #[inline]
    fn shard(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    /// The edge of a hash for which `is_it` holds.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.shards[Self::shard(hash)]
            .find(hash, |&edge| is_it(edge))
            .copied()
    }

    /// Adds an edge; `hash_of` gives the hash of those that are there.
    #[inline]
    pub fn insert(&mut self, hash: u64, edge: u32, hash_of: impl Fn(u32) -> u64) {
        self.shards[Self::shard(hash)].insert_unique(hash, edge, |&edge| hash_of(edge));
    }

    /// Removes an edge; `false` when it was not there.
    #[inline]
    pub fn remove(&mut self, hash: u64, edge: u32) -> bool {
        match self.shards[Self::shard(hash)].find_entry(hash, |&other| other == edge) {
            Ok(entry) => {
                entry.remove();
                true
            }
            Err(_) => false,
        }
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.shards.iter().map(HashTable::len).sum()
    }
}
