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

    /// Makes the index of exactly these names, given by hash and edge: each table gets its size at
    /// once. Pairs of edges whose hashes are equal, and whose names may be, are returned.
    pub fn fill(&mut self, names: &[(u64, u32)]) -> Vec<(u32, u32)> {
        let mut ends = vec![0usize; SHARDS + 1];
        for (hash, _) in names {
            ends[Self::shard(*hash) + 1] += 1;
        }
        for shard in 0..SHARDS {
            ends[shard + 1] += ends[shard];
        }
        let mut next = ends.clone();
        let mut grouped = vec![(0u64, 0u32); names.len()];
        for name in names {
            let at = &mut next[Self::shard(name.0)];
            grouped[*at] = *name;
            *at += 1;
        }
        let mut equal = Vec::new();
        for (table, bounds) in self.shards.iter_mut().zip(ends.windows(2)) {
            let names = &mut grouped[bounds[0]..bounds[1]];
            names.sort_unstable();
            let neighbours = names.windows(2);
            equal.extend(
                neighbours
                    .filter(|pair| pair[0].0 == pair[1].0)
                    .map(|pair| (pair[0].1, pair[1].1)),
            );
            *table = HashTable::with_capacity(names.len());
            for &(hash, edge) in names.iter() {
                // There is room for all: nothing is hashed again.
                table.insert_unique(hash, edge, |_| hash);
            }
        }
        equal
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
