//! Where a name is: from directory and name to the edge. Derived, never saved, never copied.
//!
//! An entry holds half of the hash beside the edge: nearly every probe that reads an edge finds the
//! right one, a search reads one cache line, and a table that grows reads nothing but itself.

use foldhash::quality::FixedState;
use std::hash::{BuildHasher, Hash, Hasher};

/// Number of tables. One table with a hundred million names would be copied for a second when it
/// grows; each of these holds a hundred thousand then and takes about a millisecond.
const SHARDS: usize = 1 << 10;
/// Entries of a table that holds its first name.
const ENTRIES_MIN: usize = 8;

/// Edges by directory and name. Keys live in the edge records: callers bring the comparison.
#[derive(Debug)]
pub struct Index {
    shards: Box<[Table]>,
    hasher: FixedState,
}

impl Index {
    /// An empty index. Whoever knows the seed can make names that collide, so it should be random.
    pub fn new(seed: u64) -> Index {
        Index {
            shards: (0..SHARDS).map(|_| Table::default()).collect(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Hash of a name in a directory.
    #[inline]
    pub fn hash(&self, parent: u32, name: &[u8]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        parent.hash(&mut hasher);
        hasher.write(name);
        hasher.finish()
    }

    /// The table of a hash, which uses the lower half.
    #[inline]
    fn shard(hash: u64) -> usize {
        (hash >> 32) as usize % SHARDS
    }

    /// The edge of a hash for which `is_it` holds.
    #[inline]
    pub fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let table = &self.shards[Self::shard(hash)];
        table
            .candidates(hash as u32)
            .map(|(_, edge)| edge)
            .find(|&edge| is_it(edge))
    }

    /// Adds an edge, which is never 0.
    #[inline]
    pub fn insert(&mut self, hash: u64, edge: u32) {
        let table = &mut self.shards[Self::shard(hash)];
        table.reserve(1);
        table.insert(hash as u32, edge);
    }

    /// Makes the index of exactly these names, given by hash and edge: each table gets its size at
    /// once, on all processors. Pairs of edges whose names may be equal are returned.
    pub fn fill(&mut self, names: &[(u64, u32)]) -> Vec<(u32, u32)> {
        let mut ends = vec![0usize; SHARDS + 1];
        for (hash, _) in names {
            ends[Self::shard(*hash) + 1] += 1;
        }
        for shard in 0..SHARDS {
            ends[shard + 1] += ends[shard];
        }
        let mut next = ends.clone();
        let mut grouped = vec![(0u32, 0u32); names.len()];
        for &(hash, edge) in names {
            let at = &mut next[Self::shard(hash)];
            grouped[*at] = (hash as u32, edge);
            *at += 1;
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let part = SHARDS.div_ceil(threads);
        let names = &grouped[..];
        std::thread::scope(|scope| {
            let parts: Vec<_> = (self.shards.chunks_mut(part))
                .zip(ends.chunks(part))
                .zip(ends[1..].chunks(part))
                .map(|((tables, starts), ends)| {
                    scope.spawn(move || {
                        let bounds = starts.iter().zip(ends);
                        let filled = tables.iter_mut().zip(bounds);
                        filled
                            .flat_map(|(table, (&start, &end))| table.fill(&names[start..end]))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            let equal = parts.into_iter().map(|part| match part.join() {
                Ok(equal) => equal,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            equal.flatten().collect()
        })
    }

    /// Removes an edge; `false` when it was not there.
    #[inline]
    pub fn remove(&mut self, hash: u64, edge: u32) -> bool {
        let table = &mut self.shards[Self::shard(hash)];
        let place = table
            .candidates(hash as u32)
            .find(|&(_, other)| other == edge);
        match place {
            Some((place, _)) => {
                table.remove(place);
                true
            }
            None => false,
        }
    }

    /// Number of edges.
    pub fn count(&self) -> usize {
        self.shards.iter().map(|table| table.len).sum()
    }
}

/// A hash table with linear probing. An entry is the hash above the edge; 0 is an empty place, and
/// there always is one.
#[derive(Debug, Default)]
struct Table {
    entries: Box<[u64]>,
    len: usize,
}

impl Table {
    /// Where the search for a hash begins.
    #[inline]
    fn home(&self, hash: u32) -> usize {
        hash as usize & self.mask()
    }

    /// To be used only when there are entries.
    #[inline]
    fn mask(&self) -> usize {
        self.entries.len().wrapping_sub(1)
    }

    /// Places and edges of the entries with a hash.
    #[inline]
    fn candidates(&self, hash: u32) -> impl Iterator<Item = (usize, u32)> + '_ {
        let mut place = self.home(hash);
        std::iter::from_fn(move || {
            loop {
                let entry = *self.entries.get(place)?;
                if entry == 0 {
                    return None;
                }
                let at = place;
                place = (place + 1) & self.mask();
                if (entry >> 32) as u32 == hash {
                    return Some((at, entry as u32));
                }
            }
        })
    }

    /// Makes the table of exactly these; returns edges with the same hash in pairs.
    fn fill(&mut self, names: &[(u32, u32)]) -> Vec<(u32, u32)> {
        *self = Table::default();
        self.reserve(names.len());
        let mut equal = Vec::new();
        for &(hash, edge) in names {
            equal.extend(self.candidates(hash).map(|(_, earlier)| (earlier, edge)));
            self.insert(hash, edge);
        }
        equal
    }

    /// Makes room for `more` entries.
    #[inline]
    fn reserve(&mut self, more: usize) {
        // At three quarters a search that fails reads eight entries, one cache line.
        if (self.len + more) * 4 > self.entries.len() * 3 {
            self.grow(self.len + more);
        }
    }

    #[cold]
    fn grow(&mut self, len: usize) {
        let size = (len * 4 / 3 + 1).next_power_of_two().max(ENTRIES_MIN);
        let old = std::mem::replace(&mut self.entries, vec![0; size].into_boxed_slice());
        self.len = 0;
        for entry in old.into_iter().filter(|entry| *entry != 0) {
            self.insert((entry >> 32) as u32, entry as u32);
        }
    }

    /// Adds an entry for which there is room.
    #[inline]
    fn insert(&mut self, hash: u32, edge: u32) {
        debug_assert_ne!(edge, 0, "no edge has this index");
        let mut place = self.home(hash);
        while self.entries[place] != 0 {
            place = (place + 1) & self.mask();
        }
        self.entries[place] = u64::from(hash) << 32 | u64::from(edge);
        self.len += 1;
    }

    /// Empties a place, moving up the entries behind it whose searches would end there.
    fn remove(&mut self, place: usize) {
        let mut hole = place;
        let mut next = place;
        loop {
            next = (next + 1) & self.mask();
            let entry = self.entries[next];
            if entry == 0 {
                break;
            }
            let home = self.home((entry >> 32) as u32);
            let from_home = next.wrapping_sub(home) & self.mask();
            let from_hole = next.wrapping_sub(hole) & self.mask();
            if from_home >= from_hole {
                self.entries[hole] = entry;
                hole = next;
            }
        }
        self.entries[hole] = 0;
        self.len -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{Index, SHARDS};
    use std::collections::HashMap;

    /// A hash in one shard whose home is one of a few places, so that searches run into each other.
    fn crowded(number: u32) -> u64 {
        u64::from(number % 23) * 3
    }

    #[test]
    fn any_order_of_insertions_and_removals_finds_what_is_there() {
        let mut index = Index::new(1);
        let mut known = HashMap::new();
        let mut state = 1u32;
        for _ in 0..20_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let edge = 1 + (state >> 16) % 90;
            let hash = crowded(edge);
            if known.remove(&edge).is_some() {
                assert!(index.remove(hash, edge));
            } else {
                index.insert(hash, edge);
                known.insert(edge, hash);
            }
            assert_eq!(index.count(), known.len());
            for edge in 1..=90 {
                let found = index.find(crowded(edge), |other| other == edge);
                assert_eq!(found.is_some(), known.contains_key(&edge), "edge {edge}");
            }
        }
    }

    #[test]
    fn filling_finds_every_name_and_reports_those_that_may_be_equal() {
        let mut index = Index::new(2);
        let names: Vec<(u64, u32)> = (1..5000u32)
            .map(|edge| (index.hash(edge / 10, &edge.to_be_bytes()), edge))
            .collect();
        assert_eq!(index.fill(&names), []);
        assert_eq!(index.count(), names.len());
        for &(hash, edge) in &names {
            assert_eq!(index.find(hash, |other| other == edge), Some(edge));
        }
        let shards = SHARDS as u64;
        let same = [
            (5, 1),
            (7, 2),
            (5, 3),
            (5 + (shards << 32), 4),
            (5 + (1 << 32), 5),
        ];
        assert_eq!(index.fill(&same), [(1, 3), (1, 4), (3, 4)]);
    }
}
