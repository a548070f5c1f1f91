//! Which inode numbers are taken. Derived, never saved.

/// Numbers of one word of the lower level.
const WORD: usize = u64::BITS as usize;
/// Words of one block; blocks are allocated as the numbers grow.
const BLOCK: usize = 1 << 12;

/// Highest number that is given: those above belong to the mounts.
pub const INODE_MAX: u32 = 0x7FFE_FFFF;

/// One bit for each number, and one bit for each full word above it, so that the lowest free number
/// is found by reading a few kilobytes at worst.
#[derive(Debug)]
pub struct InodeMap {
    /// Absent while all its numbers are free.
    blocks: Vec<Option<Box<[u64; BLOCK]>>>,
    full: Vec<u64>,
    /// Every word of `full` below is all ones.
    first: usize,
}

impl Default for InodeMap {
    /// All free but 0.
    fn default() -> Self {
        let mut map = InodeMap {
            blocks: Vec::new(),
            full: Vec::new(),
            first: 0,
        };
        map.take(0);
        map
    }
}

impl InodeMap {
    /// Marks a number as taken.
    pub fn take(&mut self, inode: u32) {
        let word = inode as usize / WORD;
        if word / BLOCK >= self.blocks.len() {
            self.blocks.resize(word / BLOCK + 1, None);
            self.full.resize(self.blocks.len() * BLOCK / WORD, 0);
        }
        let block = self.blocks[word / BLOCK].get_or_insert_with(|| Box::new([0; BLOCK]));
        let bits = &mut block[word % BLOCK];
        *bits |= 1 << (inode as usize % WORD);
        if *bits == u64::MAX {
            self.full[word / WORD] |= 1 << (word % WORD);
        }
    }

    /// Marks a number as free.
    pub fn free(&mut self, inode: u32) {
        let word = inode as usize / WORD;
        if let Some(Some(block)) = self.blocks.get_mut(word / BLOCK) {
            block[word % BLOCK] &= !(1 << (inode as usize % WORD));
            self.full[word / WORD] &= !(1 << (word % WORD));
            self.first = self.first.min(word / WORD);
        }
    }

    fn block(&self, word: usize) -> Option<&[u64; BLOCK]> {
        self.blocks.get(word / BLOCK)?.as_deref()
    }

    /// Whether a number is taken.
    pub fn is_taken(&self, inode: u32) -> bool {
        let word = inode as usize / WORD;
        self.block(word)
            .is_some_and(|block| block[word % BLOCK] & 1 << (inode as usize % WORD) != 0)
    }

    /// Takes the lowest free number; `None` when there is none.
    pub fn take_lowest(&mut self) -> Option<u32> {
        while self.full.get(self.first) == Some(&u64::MAX) {
            self.first += 1;
        }
        let word = self.first * WORD
            + self
                .full
                .get(self.first)
                .map_or(0, |full| full.trailing_ones() as usize);
        let bit = self
            .block(word)
            .map_or(0, |block| block[word % BLOCK].trailing_ones() as usize);
        let inode = u32::try_from(word * WORD + bit).ok()?;
        if inode > INODE_MAX {
            return None;
        }
        self.take(inode);
        Some(inode)
    }
}

#[cfg(test)]
mod tests {
    use super::InodeMap;

    #[test]
    fn the_lowest_free_number_is_given() {
        let mut map = InodeMap::default();
        for expected in 1..300_000 {
            assert_eq!(map.take_lowest(), Some(expected));
        }
        for freed in [270_000, 5, 4095, 262_144] {
            map.free(freed);
            assert!(!map.is_taken(freed));
        }
        let given: Vec<_> = (0..5).filter_map(|_| map.take_lowest()).collect();
        assert_eq!(given, [5, 4095, 262_144, 270_000, 300_000]);
        map.take(9_000_000);
        assert_eq!(map.take_lowest(), Some(300_001));
    }
}
