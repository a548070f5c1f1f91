//! Bytes of names, trash paths and symlink targets, packed into pages.

use super::pages::{Cursor, Pages};

/// Bytes of one unit; offsets count units.
const UNIT: usize = 4;
/// Units of one page; the longest text (a symlink target of 4096 bytes) fits several times.
const PAGE: usize = 4096;
/// Units of the longest text.
const UNITS_MAX: usize = 1024;

/// Longest text, bytes.
pub const TEXT_BYTES_MAX: usize = UNITS_MAX * UNIT;

/// Where a text lies, in units; 0 when it is empty.
pub type Offset = u32;

/// Texts of 1 to 4096 bytes that cost their bytes and nothing else; their lengths are kept by whoever
/// refers to them. Freed room is chained by its size and used again for texts of that size, or cut
/// for smaller ones when nothing else is left. A clone shares all pages.
#[derive(Clone, Debug)]
pub struct Names {
    pages: Pages<[u8; UNIT], PAGE>,
    /// First free run of each size; the first unit of a run holds the next one.
    free: Box<[Offset; UNITS_MAX + 1]>,
    /// Which sizes have a free run.
    sizes: [u64; UNITS_MAX / 64 + 1],
    /// First unit never used.
    bound: u32,
}

/// Texts that are stored one after the other and written a page at a time: to look up the page of
/// each costs more than to copy it. Until [`Batch::flush`] nothing else may be stored.
#[derive(Debug, Default)]
pub struct Batch(Vec<[u8; UNIT]>);

impl Batch {
    /// See [`Names::insert`].
    #[inline]
    pub fn insert(&mut self, names: &mut Names, text: &[u8]) -> Option<Offset> {
        let units = units(text.len());
        let offset = names.bound.checked_add(self.0.len() as u32)?;
        let place = offset as usize % PAGE;
        if place == 0 {
            self.flush(names)?;
        }
        if units == 0 || units > PAGE - place {
            self.flush(names)?;
            return names.insert(text);
        }
        let (whole, rest) = text.as_chunks::<UNIT>();
        self.0.extend_from_slice(whole);
        if !rest.is_empty() {
            let mut last = [0; UNIT];
            last[..rest.len()].copy_from_slice(rest);
            self.0.push(last);
        }
        Some(offset)
    }

    /// Writes what has been collected.
    pub fn flush(&mut self, names: &mut Names) -> Option<()> {
        if !self.0.is_empty() {
            let start = names.extend(self.0.len())?;
            let room = names.pages.run_mut(start, self.0.len());
            room.copy_from_slice(&self.0);
            self.0.clear();
        }
        Some(())
    }
}

/// Pages without texts.
#[derive(Debug)]
pub struct SparePages(Pages<[u8; UNIT], PAGE>);

/// See [`Names::cursor`].
#[derive(Debug)]
pub struct NamesCursor<'a>(Cursor<'a, [u8; UNIT], PAGE>);

impl<'a> NamesCursor<'a> {
    /// See [`Names::get`].
    #[inline]
    pub fn get(&mut self, offset: Offset, bytes: usize) -> &'a [u8] {
        let run = self.0.run(offset, units(bytes)).as_flattened();
        run.get(..bytes).unwrap_or_default()
    }
}

impl Default for Names {
    fn default() -> Self {
        Names {
            pages: Pages::default(),
            free: Box::new([0; UNITS_MAX + 1]),
            sizes: [0; UNITS_MAX / 64 + 1],
            bound: 1,
        }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

impl Names {
    /// Stores a text of at most [`TEXT_BYTES_MAX`] bytes; `None` when it is longer or the room (16 GiB)
    /// is used up.
    #[inline]
    pub fn insert(&mut self, text: &[u8]) -> Option<Offset> {
        let units = units(text.len());
        if units == 0 {
            return Some(0);
        }
        let offset = self.room(units)?;
        let room = self.pages.run_mut(offset, units).as_flattened_mut();
        room.get_mut(..text.len())?.copy_from_slice(text);
        Some(offset)
    }

    /// The text of `bytes` bytes at an offset.
    #[inline]
    pub fn get(&self, offset: Offset, bytes: usize) -> &[u8] {
        let run = self.pages.run(offset, units(bytes)).as_flattened();
        run.get(..bytes).unwrap_or_default()
    }

    /// Pages for so many bytes of texts, see [`Names::adopt`].
    pub fn pages_for(bytes: usize) -> SparePages {
        let mut pages = Pages::default();
        pages.reach(u32::try_from(units(bytes)).unwrap_or(u32::MAX));
        SparePages(pages)
    }

    /// Takes pages that were made in advance.
    pub fn adopt(&mut self, spare: SparePages) {
        self.pages.adopt(spare.0);
    }

    /// Drops pages that were made in advance and never used.
    pub fn drop_unused(&mut self) {
        self.pages.truncate(self.bound);
    }

    /// A reader of texts that lie near each other.
    pub fn cursor(&self) -> NamesCursor<'_> {
        NamesCursor(self.pages.cursor())
    }

    /// Whether a text is the same here and in `old`, at the same place.
    #[inline]
    pub fn same(&self, old: &Names, offset: Offset, bytes: usize) -> bool {
        bytes == 0
            || self.pages.shares(&old.pages, offset)
            || self.get(offset, bytes) == old.get(offset, bytes)
    }

    /// Gives the room of a text back.
    #[inline]
    pub fn remove(&mut self, offset: Offset, bytes: usize) {
        if bytes > 0 {
            self.chain(offset, units(bytes));
        }
    }

    fn chain(&mut self, offset: Offset, units: usize) {
        let next = std::mem::replace(&mut self.free[units], offset);
        self.pages.run_mut(offset, 1)[0] = next.to_ne_bytes();
        self.sizes[units / 64] |= 1 << (units % 64);
    }

    fn unchain(&mut self, units: usize) -> Option<Offset> {
        let offset = self.free[units];
        if offset == 0 {
            return None;
        }
        let next = Offset::from_ne_bytes(*self.pages.get(offset)?);
        self.free[units] = next;
        if next == 0 {
            self.sizes[units / 64] &= !(1 << (units % 64));
        }
        Some(offset)
    }

    fn room(&mut self, units: usize) -> Option<Offset> {
        if units > UNITS_MAX {
            return None;
        }
        if let Some(offset) = self.unchain(units) {
            return Some(offset);
        }
        let left = PAGE - self.bound as usize % PAGE;
        if units <= left {
            return self.extend(units);
        }
        if let Some(size) = self.larger(units) {
            let offset = self.unchain(size)?;
            self.chain(offset + units as u32, size - units);
            return Some(offset);
        }
        let rest = self.bound;
        self.extend(left)?;
        self.chain(rest, left.min(UNITS_MAX));
        self.extend(units)
    }

    fn extend(&mut self, units: usize) -> Option<Offset> {
        let offset = self.bound;
        self.bound = offset.checked_add(units as u32)?;
        Some(offset)
    }

    /// The smallest size above `units` that has a free run.
    fn larger(&self, units: usize) -> Option<usize> {
        let from = units + 1;
        let mut word = from / 64;
        let mut bits = self.sizes.get(word)? & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            bits = *self.sizes.get(word)?;
        }
        Some(word * 64 + bits.trailing_zeros() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Names, TEXT_BYTES_MAX};

    #[test]
    fn texts_come_back_and_room_is_used_again() {
        let mut names = Names::default();
        let texts: Vec<Vec<u8>> = (0..3000usize)
            .map(|n| vec![n as u8; n * 37 % (TEXT_BYTES_MAX + 1)])
            .collect();
        let mut offsets = Vec::new();
        for round in 0..4 {
            offsets = texts
                .iter()
                .map(|text| names.insert(text).expect("room"))
                .collect();
            for (text, offset) in texts.iter().zip(&offsets) {
                assert_eq!(names.get(*offset, text.len()), text, "round {round}");
            }
            if round < 3 {
                for (text, offset) in texts.iter().zip(&offsets) {
                    names.remove(*offset, text.len());
                }
            }
        }
        let stored: usize = texts.iter().map(|text| text.len().div_ceil(4)).sum();
        assert!(
            (names.bound as usize) < stored * 11 / 10,
            "{} {stored}",
            names.bound
        );
        assert_eq!(offsets[0], 0, "an empty text has no room");
    }

    #[test]
    fn a_batch_stores_what_single_insertions_store() {
        // Texts of twelve bytes end exactly with a page.
        let lengths: [fn(usize) -> usize; 2] = [|_| 12, |n| n * 37 % 300];
        for length in lengths {
            let mut names = Names::default();
            let mut batch = Batch::default();
            let texts: Vec<Vec<u8>> = (0..5000usize)
                .map(|n| vec![n as u8 | 1; length(n)])
                .collect();
            let offsets: Vec<_> = texts
                .iter()
                .map(|text| batch.insert(&mut names, text).expect("room"))
                .collect();
            batch.flush(&mut names).expect("room");
            let more = names.insert(b"behind").expect("room");
            for (text, offset) in texts.iter().zip(offsets) {
                assert_eq!(names.get(offset, text.len()), text);
            }
            assert_eq!(names.get(more, 6), b"behind");
        }
    }

    #[test]
    fn a_clone_keeps_removed_texts() {
        let mut names = Names::default();
        let offset = names.insert(b"before").expect("room");
        let frozen = names.clone();
        names.remove(offset, 6);
        assert_eq!(names.insert(b"after!"), Some(offset));
        assert_eq!(frozen.get(offset, 6), b"before");
        assert_eq!(names.insert(&[0; TEXT_BYTES_MAX + 1]), None);
    }
}
