//! Chunk lists of files: which chunk record lies in which slot.
//!
//! A list never ends with a hole. The word kept in the inode is 0 for an empty list, the chunk record
//! itself when it is the only one and lies in slot 0, and else a list record with [`LISTED`] set.

use super::pages::{Reusable, Slab};
use std::sync::Arc;

/// Set in the inode's word when it is a list record.
const LISTED: u32 = 1 << 31;
/// A list that would have more slots than this and mostly holes is kept by slot numbers.
const DENSE_SLOTS: usize = 1 << 12;

/// The list of one file with more than one slot.
#[derive(Clone, Debug)]
enum SlotList {
    /// Not in use; the next one that is not.
    Free(u32),
    /// Every slot, holes as 0, and how many are none.
    Dense { slots: Arc<Vec<u32>>, used: u32 },
    /// Slots that are no holes: a file written far behind its other data costs what it holds.
    Sparse(imbl::OrdMap<u32, u32>),
}

impl Default for SlotList {
    fn default() -> Self {
        SlotList::Free(0)
    }
}

impl Reusable for SlotList {
    fn next_free(&self) -> u32 {
        match self {
            SlotList::Free(next) => *next,
            SlotList::Dense { .. } | SlotList::Sparse(_) => 0,
        }
    }

    fn set_free(&mut self, next: u32) {
        *self = SlotList::Free(next);
    }
}

impl SlotList {
    fn len(&self) -> u32 {
        match self {
            SlotList::Free(_) => 0,
            SlotList::Dense { slots, .. } => slots.len() as u32,
            SlotList::Sparse(map) => map.get_max().map_or(0, |(index, _)| index + 1),
        }
    }

    fn get(&self, index: u32) -> u32 {
        match self {
            SlotList::Free(_) => 0,
            SlotList::Dense { slots, .. } => slots.get(index as usize).copied().unwrap_or(0),
            SlotList::Sparse(map) => map.get(&index).copied().unwrap_or(0),
        }
    }

    fn used(&self) -> u32 {
        match self {
            SlotList::Free(_) => 0,
            SlotList::Dense { used, .. } => *used,
            SlotList::Sparse(map) => map.len() as u32,
        }
    }

    fn truncate(&mut self, len: u32) {
        match self {
            SlotList::Free(_) => {}
            SlotList::Dense { slots, used } => {
                let slots = Arc::make_mut(slots);
                slots.truncate(len as usize);
                while slots.last() == Some(&0) {
                    slots.pop();
                }
                slots.shrink_to_fit();
                *used = slots.iter().filter(|chunk| **chunk != 0).count() as u32;
            }
            SlotList::Sparse(map) => *map = map.split(&len).0,
        }
    }

    fn set(&mut self, index: u32, chunk: u32) {
        let at = index as usize;
        if let SlotList::Dense { slots, used } = self
            && chunk != 0
            && at >= DENSE_SLOTS
            && at / 4 > *used as usize + slots.len() / 2
        {
            let known = slots.iter().enumerate().filter(|(_, chunk)| **chunk != 0);
            *self = SlotList::Sparse(known.map(|(index, chunk)| (index as u32, *chunk)).collect());
        }
        match self {
            SlotList::Free(_) => {}
            SlotList::Dense { slots, used } => {
                let slots = Arc::make_mut(slots);
                if at >= slots.len() {
                    slots.resize(at + 1, 0);
                }
                let old = std::mem::replace(&mut slots[at], chunk);
                *used = *used + u32::from(chunk != 0) - u32::from(old != 0);
                while slots.last() == Some(&0) {
                    slots.pop();
                }
            }
            SlotList::Sparse(map) if chunk == 0 => {
                map.remove(&index);
            }
            SlotList::Sparse(map) => {
                map.insert(index, chunk);
            }
        }
    }
}

/// The lists of all files. A clone shares everything with the original.
#[derive(Clone, Debug, Default)]
pub struct SlotLists {
    lists: Slab<SlotList, 256>,
}

impl SlotLists {
    fn list(&self, word: u32) -> Option<&SlotList> {
        if word & LISTED == 0 {
            return None;
        }
        self.lists.get(word & !LISTED)
    }

    /// Number of slots.
    #[inline]
    pub fn len(&self, word: u32) -> u32 {
        match self.list(word) {
            Some(list) => list.len(),
            None => u32::from(word != 0),
        }
    }

    /// Number of slots that are no holes.
    #[inline]
    pub fn used(&self, word: u32) -> u32 {
        match self.list(word) {
            Some(list) => list.used(),
            None => u32::from(word != 0),
        }
    }

    /// The chunk record in a slot; 0 for a hole and behind the end.
    #[inline]
    pub fn get(&self, word: u32, index: u32) -> u32 {
        match self.list(word) {
            Some(list) => list.get(index),
            None if index == 0 => word,
            None => 0,
        }
    }

    /// Slots that are no holes, ascending, from a slot on.
    pub fn used_from(&self, word: u32, from: u32) -> impl Iterator<Item = (u32, u32)> {
        let list = self.list(word);
        let single = (list.is_none() && word != 0 && from == 0).then_some((0, word));
        let dense = match list {
            Some(SlotList::Dense { slots, .. }) => slots.get(from as usize..).unwrap_or_default(),
            _ => &[],
        };
        let sparse = match list {
            Some(SlotList::Sparse(map)) => Some(map.range(from..)),
            _ => None,
        };
        let dense = (from..=u32::MAX)
            .zip(dense)
            .filter(|(_, chunk)| **chunk != 0);
        let sparse = sparse.into_iter().flatten();
        single
            .into_iter()
            .chain(dense.map(|(index, chunk)| (index, *chunk)))
            .chain(sparse.map(|(index, chunk)| (*index, *chunk)))
    }

    /// Whether a list is the very one that `old` has under the same word: nobody has written to it.
    /// A chunk that is its inode's only one has no list.
    pub(crate) fn shares(&self, old: &SlotLists, word: u32) -> bool {
        match (self.list(word), old.list(word)) {
            (
                Some(SlotList::Dense { slots, .. }),
                Some(SlotList::Dense {
                    slots: old_slots, ..
                }),
            ) => Arc::ptr_eq(slots, old_slots),
            (Some(SlotList::Sparse(map)), Some(SlotList::Sparse(old))) => map.ptr_eq(old),
            _ => false,
        }
    }

    /// Puts a chunk record (or 0, a hole) into a slot; the inode's new word, or `None` when there is
    /// no room for a list.
    pub fn set(&mut self, word: u32, index: u32, chunk: u32) -> Option<u32> {
        if word & LISTED == 0 {
            if index == 0 {
                return Some(chunk);
            }
            if chunk == 0 {
                return Some(word);
            }
            let mut list = SlotList::Dense {
                slots: Arc::new(Vec::new()),
                used: 0,
            };
            if word != 0 {
                list.set(0, word);
            }
            list.set(index, chunk);
            return Some(self.lists.insert(list)? | LISTED);
        }
        let list = self.lists.get_mut(word & !LISTED)?;
        list.set(index, chunk);
        Some(self.shrunk(word))
    }

    /// Forgets all slots from one above 0 on; the inode's new word.
    pub fn truncate(&mut self, word: u32, from: u32) -> u32 {
        let Some(list) = self
            .lists
            .get_mut(word & !LISTED)
            .filter(|_| word & LISTED != 0)
        else {
            return word;
        };
        list.truncate(from);
        self.shrunk(word)
    }

    /// The word for a list that may have become short.
    fn shrunk(&mut self, word: u32) -> u32 {
        let Some(list) = self.lists.get(word & !LISTED) else {
            return 0;
        };
        if list.len() > 1 {
            return word;
        }
        let first = list.get(0);
        self.lists.remove(word & !LISTED);
        first
    }

    /// Gives the room of a list back.
    pub fn remove(&mut self, word: u32) {
        if word & LISTED != 0 {
            self.lists.remove(word & !LISTED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SlotLists;
    use std::collections::BTreeMap;

    fn check(steps: &[(u32, u32)]) {
        let mut lists = SlotLists::default();
        let mut word = 0;
        let mut model = BTreeMap::new();
        for &(index, chunk) in steps {
            word = lists.set(word, index, chunk).expect("room");
            if chunk == 0 {
                model.remove(&index);
            } else {
                model.insert(index, chunk);
            }
            let expected: Vec<_> = model.iter().map(|(i, c)| (*i, *c)).collect();
            let found: Vec<_> = lists.used_from(word, 0).collect();
            assert_eq!(found, expected, "{steps:?}");
            assert_eq!(lists.used(word) as usize, model.len());
            assert_eq!(
                lists.len(word),
                model.last_key_value().map_or(0, |(i, _)| i + 1)
            );
            assert_eq!(lists.get(word, index), chunk);
            let tail: Vec<_> = lists.used_from(word, index).collect();
            let expected: Vec<_> = model.range(index..).map(|(i, c)| (*i, *c)).collect();
            assert_eq!(tail, expected);
        }
        for index in model.into_keys().collect::<Vec<_>>() {
            word = lists.set(word, index, 0).expect("room");
        }
        assert_eq!(word, 0);
        assert_eq!(lists.lists.count(), 0, "no list is left");
    }

    #[test]
    fn lists_are_what_was_put_into_them() {
        for steps in [
            &[(0, 5)][..],
            &[(0, 5), (0, 6), (0, 0)],
            &[(1, 5), (0, 6), (1, 0), (0, 0)],
            &[(0, 5), (3, 6), (3, 0)],
            &[(0, 1), (7, 2), (3, 0), (9000, 3), (2, 4), (9000, 0)],
            &[(0x7FFF_FFFF, 1), (0, 2), (5, 0), (0x7FFF_FFFF, 0)],
            &[(4, 0)],
        ] {
            check(steps);
        }
    }
}
