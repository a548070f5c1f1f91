//! Arrays of records in pages that are shared with frozen copies and copied when they change.

use std::sync::Arc;

/// Pages of one group: the unit in which the directory of pages is shared.
const GROUP: usize = 512;

type Page<T, const N: usize> = Arc<[T; N]>;
type Group<T, const N: usize> = Arc<[Option<Page<T, N>>; GROUP]>;

/// A sparse array of up to 2^32 records in pages of `N` (a power of two). A clone costs one pointer
/// for each `512 × N` records; whoever changes a record afterwards copies its page first.
#[derive(Clone, Debug)]
pub struct Pages<T, const N: usize> {
    groups: Vec<Option<Group<T, N>>>,
}

impl<T, const N: usize> Default for Pages<T, N> {
    fn default() -> Self {
        Pages { groups: Vec::new() }
    }
}

impl<T: Clone + Default, const N: usize> Pages<T, N> {
    const SHIFT: u32 = {
        assert!(N.is_power_of_two());
        N.trailing_zeros()
    };

    /// Group, page in the group and record in the page of an index.
    #[inline]
    fn split(index: u32) -> (usize, usize, usize) {
        let page = (index >> Self::SHIFT) as usize;
        (page / GROUP, page % GROUP, index as usize % N)
    }

    #[inline]
    fn page(&self, index: u32) -> Option<&[T; N]> {
        let (group, page, _) = Self::split(index);
        self.groups.get(group)?.as_ref()?[page].as_deref()
    }

    /// The page of an index, made when it does not exist and copied when it is shared.
    fn page_mut(&mut self, index: u32) -> &mut [T; N] {
        let (group, page, _) = Self::split(index);
        if group >= self.groups.len() {
            self.groups.resize(group + 1, None);
        }
        let pages = self.groups[group].get_or_insert_with(|| Arc::new([const { None }; GROUP]));
        let page = Arc::make_mut(pages)[page].get_or_insert_with(Self::new_page);
        Arc::make_mut(page)
    }

    /// The record of an index; `None` when its page does not exist.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        Some(&self.page(index)?[index as usize % N])
    }

    /// The record of an index, to be changed; `None` when its page does not exist.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let (group, page, record) = Self::split(index);
        let pages = Arc::make_mut(self.groups.get_mut(group)?.as_mut()?);
        Some(&mut Arc::make_mut(pages[page].as_mut()?)[record])
    }

    /// The record of an index, which is the default one when it was not there.
    #[inline]
    pub fn slot(&mut self, index: u32) -> &mut T {
        &mut self.page_mut(index)[index as usize % N]
    }

    /// `count` neighbouring records of one page; fewer when they would cross its end, none when it
    /// does not exist.
    #[inline]
    pub fn run(&self, start: u32, count: usize) -> &[T] {
        let first = start as usize % N;
        let Some(page) = self.page(start) else {
            return &[];
        };
        &page[first..N.min(first + count)]
    }

    /// The same, to be changed; the page is made when it does not exist.
    #[inline]
    pub fn run_mut(&mut self, start: u32, count: usize) -> &mut [T] {
        let first = start as usize % N;
        &mut self.page_mut(start)[first..N.min(first + count)]
    }

    /// A reader that finds neighbouring records quickly.
    pub fn cursor(&self) -> Cursor<'_, T, N> {
        Cursor {
            pages: self,
            number: u32::MAX,
            page: None,
        }
    }

    /// Makes all pages up to that of an index, on all processors: new memory costs more than what is
    /// put into it.
    pub fn reach(&mut self, index: u32)
    where
        T: Send + Sync,
    {
        let pages = (index >> Self::SHIFT) as usize + 1;
        let groups = pages.div_ceil(GROUP);
        if groups > self.groups.len() {
            self.groups.resize(groups, None);
        }
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let part = groups.div_ceil(threads);
        let (own, others) = self.groups[..groups].split_at_mut(part);
        std::thread::scope(|scope| {
            for (number, groups) in others.chunks_mut(part).enumerate() {
                let pages = pages - (number + 1) * part * GROUP;
                scope.spawn(move || Self::make_pages(groups, pages));
            }
            Self::make_pages(own, pages);
        });
    }

    /// Makes the first `pages` pages of these groups.
    fn make_pages(groups: &mut [Option<Group<T, N>>], pages: usize) {
        let mut left = pages;
        for group in groups {
            let group = group.get_or_insert_with(|| Arc::new([const { None }; GROUP]));
            let count = left.min(GROUP);
            for page in &mut Arc::make_mut(group)[..count] {
                page.get_or_insert_with(Self::new_page);
            }
            left -= count;
        }
    }

    fn new_page() -> Page<T, N> {
        Arc::new(std::array::from_fn(|_| T::default()))
    }

    /// Takes pages from `spare` where there are none.
    pub fn adopt(&mut self, spare: Self) {
        if self.groups.len() < spare.groups.len() {
            self.groups.resize(spare.groups.len(), None);
        }
        for (own, spare) in self.groups.iter_mut().zip(spare.groups) {
            match (own, spare) {
                (own @ None, spare) => *own = spare,
                (Some(own), Some(mut spare)) => {
                    let pages = Arc::make_mut(own).iter_mut();
                    for (own, spare) in pages.zip(Arc::make_mut(&mut spare)) {
                        if own.is_none() {
                            *own = spare.take();
                        }
                    }
                }
                (Some(_), None) => {}
            }
        }
    }

    /// Drops the pages that lie wholly at `bound` or above.
    pub fn truncate(&mut self, bound: u32) {
        let pages = (bound as usize).div_ceil(N);
        self.groups.truncate(pages.div_ceil(GROUP));
        if let Some(Some(last)) = self.groups.get_mut(pages / GROUP) {
            Arc::make_mut(last)[pages % GROUP..].fill(None);
        }
    }

    /// All existing pages at once, to change records all over them without looking at each access
    /// whether a frozen copy shares the page.
    pub fn exclusive(&mut self) -> Exclusive<'_, T, N> {
        let groups = self.groups.iter_mut().map(|group| {
            let pages = Arc::make_mut(group.as_mut()?).iter_mut();
            Some(pages.map(|page| page.as_mut().map(Arc::make_mut)).collect())
        });
        Exclusive {
            groups: groups.collect(),
        }
    }

    /// Whether the page of an index is the very page of `other`, or exists in neither: nothing in it
    /// can differ.
    #[inline]
    pub fn shares(&self, other: &Self, index: u32) -> bool {
        match (self.page(index), other.page(index)) {
            (Some(own), Some(others)) => std::ptr::eq(own, others),
            (None, None) => true,
            _ => false,
        }
    }

    /// The pages that are not shared with `old`: index of the first record, the records before (none
    /// when the page did not exist) and now. What is shared is stepped over a group or a page at a
    /// time.
    pub fn changed<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = (u32, &'a [T], &'a [T])> {
        let groups = self.groups.len().max(old.groups.len());
        let of = |pages: &'a Self, number: usize| pages.groups.get(number)?.as_ref();
        (0..groups)
            .map(move |number| (number, of(old, number), of(self, number)))
            .filter(|(_, old, new)| match (old, new) {
                (Some(old), Some(new)) => !Arc::ptr_eq(old, new),
                _ => true,
            })
            .flat_map(|(number, old, new)| {
                (0..GROUP).filter_map(move |page| {
                    let old = old.and_then(|group| group[page].as_ref());
                    let new = new.and_then(|group| group[page].as_ref());
                    let is_shared = match (old, new) {
                        (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                        (None, None) => true,
                        _ => false,
                    };
                    let first = ((number * GROUP + page) * N) as u32;
                    let records = |page: Option<&'a Page<T, N>>| -> &'a [T] {
                        page.map_or(&[], |records| records.as_slice())
                    };
                    (!is_shared).then(|| (first, records(old), records(new)))
                })
            })
    }

    /// All records of existing pages, ascending by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.groups
            .iter()
            .enumerate()
            .filter_map(|(number, group)| Some((number, group.as_ref()?)))
            .flat_map(|(number, group)| {
                let pages = group.iter().enumerate();
                pages.filter_map(move |(page, records)| {
                    Some((number * GROUP + page, records.as_ref()?))
                })
            })
            .flat_map(|(page, records)| {
                let first = page * N;
                let numbered = records.iter().enumerate();
                numbered.map(move |(place, record)| ((first + place) as u32, record))
            })
    }
}

/// Reads records of a [`Pages`] and remembers the page of the last one: what was made together lies
/// together.
#[derive(Debug)]
pub struct Cursor<'a, T, const N: usize> {
    pages: &'a Pages<T, N>,
    number: u32,
    page: Option<&'a [T; N]>,
}

impl<'a, T: Clone + Default, const N: usize> Cursor<'a, T, N> {
    #[inline]
    fn page(&mut self, index: u32) -> Option<&'a [T; N]> {
        let number = index >> Pages::<T, N>::SHIFT;
        if number != self.number {
            self.number = number;
            self.page = self.pages.page(index);
        }
        self.page
    }

    /// See [`Pages::get`].
    #[inline]
    pub fn get(&mut self, index: u32) -> Option<&'a T> {
        Some(&self.page(index)?[index as usize % N])
    }

    /// See [`Pages::run`].
    #[inline]
    pub fn run(&mut self, start: u32, count: usize) -> &'a [T] {
        let first = start as usize % N;
        self.page(start)
            .map_or(&[], |page| &page[first..N.min(first + count)])
    }
}

/// The pages of one group that exist.
type Reached<'a, T, const N: usize> = Vec<Option<&'a mut [T; N]>>;

/// Existing pages of a [`Pages`], made one's own; see [`Pages::exclusive`].
#[derive(Debug)]
pub struct Exclusive<'a, T, const N: usize> {
    groups: Vec<Option<Reached<'a, T, N>>>,
}

impl<T: Clone + Default, const N: usize> Exclusive<'_, T, N> {
    /// The record of an index; `None` when its page does not exist.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let (group, page, record) = Pages::<T, N>::split(index);
        let pages = self.groups.get_mut(group)?.as_mut()?;
        Some(&mut pages.get_mut(page)?.as_mut()?[record])
    }
}

/// A record that a [`Slab`] can chain while it is not in use.
pub trait Reusable: Clone + Default {
    /// The chained record that follows.
    fn next_free(&self) -> u32;
    /// Makes the record an unused one, followed by `next`.
    fn set_free(&mut self, next: u32);
}

/// Records that get and give back dense indexes. 0 is never an index: it means "none".
#[derive(Clone, Debug)]
pub struct Slab<T, const N: usize> {
    pages: Pages<T, N>,
    free: u32,
    bound: u32,
    live: u32,
}

impl<T, const N: usize> Default for Slab<T, N> {
    fn default() -> Self {
        Slab {
            pages: Pages::default(),
            free: 0,
            bound: 1,
            live: 0,
        }
    }
}

impl<T: Reusable, const N: usize> Slab<T, N> {
    /// Stores a record; its index, or `None` when all are in use.
    #[inline]
    pub fn insert(&mut self, record: T) -> Option<u32> {
        let index = if self.free != 0 {
            let index = self.free;
            let slot = self.pages.slot(index);
            self.free = slot.next_free();
            *slot = record;
            index
        } else {
            let index = self.bound;
            self.bound = self.bound.checked_add(1)?;
            *self.pages.slot(index) = record;
            index
        };
        self.live += 1;
        Some(index)
    }

    /// Stores records at [`Slab::bound`] and behind; `None` when there are no such indexes.
    pub fn append(&mut self, mut records: &[T]) -> Option<()> {
        while !records.is_empty() {
            let room = self.pages.run_mut(self.bound, records.len());
            let (now, later) = records.split_at(room.len());
            room.clone_from_slice(now);
            self.bound = self.bound.checked_add(now.len() as u32)?;
            self.live += now.len() as u32;
            records = later;
        }
        Some(())
    }

    /// Gives an index back.
    #[inline]
    pub fn remove(&mut self, index: u32) {
        let free = self.free;
        if let Some(record) = self.pages.get_mut(index) {
            record.set_free(free);
            self.free = index;
            self.live -= 1;
        }
    }

    /// The record of an index that is in use.
    #[inline]
    pub fn get(&self, index: u32) -> Option<&T> {
        self.pages.get(index)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.pages.get_mut(index)
    }

    /// Takes the pages of `spare`, which holds no record, where there are none.
    pub fn adopt(&mut self, spare: Pages<T, N>) {
        self.pages.adopt(spare);
    }

    /// Drops pages that were made in advance and never used.
    pub fn drop_unused(&mut self) {
        self.pages.truncate(self.bound);
    }

    /// See [`Pages::cursor`].
    pub fn cursor(&self) -> Cursor<'_, T, N> {
        self.pages.cursor()
    }

    /// All records at once, see [`Pages::exclusive`].
    pub fn exclusive(&mut self) -> Exclusive<'_, T, N> {
        self.pages.exclusive()
    }

    /// See [`Pages::shares`].
    #[inline]
    pub fn shares(&self, other: &Self, index: u32) -> bool {
        self.pages.shares(&other.pages, index)
    }

    /// See [`Pages::changed`].
    pub fn changed<'a>(&'a self, old: &'a Self) -> impl Iterator<Item = (u32, &'a [T], &'a [T])> {
        self.pages.changed(&old.pages)
    }

    /// Number of records in use.
    pub fn count(&self) -> u32 {
        self.live
    }

    /// Every index in use is below.
    pub fn bound(&self) -> u32 {
        self.bound
    }

    /// All records, the unused among them, ascending by index.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pages.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::{Pages, Reusable, Slab};

    #[test]
    fn a_clone_keeps_what_it_was() {
        let mut live = Pages::<u32, 4>::default();
        for index in [0, 3, 4, 5000, u32::MAX] {
            *live.slot(index) = index ^ 7;
        }
        let frozen = live.clone();
        *live.slot(3) = 99;
        *live.slot(9) = 98;
        assert_eq!(frozen.get(3), Some(&4));
        assert_eq!(live.get(3), Some(&99));
        assert_eq!(frozen.get(9), None, "its page was made later");
        assert_eq!(frozen.get(u32::MAX), Some(&!7));
        let used: Vec<_> = live.iter().filter(|(_, value)| **value != 0).collect();
        assert_eq!(
            used,
            [
                (0, &7),
                (3, &99),
                (4, &3),
                (9, &98),
                (5000, &(5000 ^ 7)),
                (u32::MAX, &!7)
            ]
        );
    }

    #[test]
    fn what_changed_since_a_clone_is_found_by_page() {
        let mut live = Pages::<u32, 4>::default();
        for index in [1, 4, 9, 5000] {
            *live.slot(index) = index;
        }
        let frozen = live.clone();
        assert_eq!(live.changed(&frozen).count(), 0);
        *live.slot(9) = 10;
        *live.slot(60) = 6;
        *live.slot(9999) = 9;
        let changed: Vec<_> = live.changed(&frozen).collect();
        let empty: &[u32] = &[];
        assert_eq!(
            changed,
            [
                (8, &[0, 9, 0, 0][..], &[0, 10, 0, 0][..]),
                (60, empty, &[6, 0, 0, 0]),
                (9996, empty, &[0, 0, 0, 9])
            ]
        );
        assert!(live.shares(&frozen, 5) && live.shares(&frozen, 70_000));
        assert!(!live.shares(&frozen, 8) && !live.shares(&frozen, 61));
        assert_eq!(frozen.changed(&live).count(), 3, "and the other way");
    }

    #[test]
    fn a_cursor_reads_what_the_pages_hold_in_any_order() {
        let mut pages = Pages::<u32, 4>::default();
        let present = [1, 2, 3, 4, 9, 5000, 6, 2];
        for index in present {
            *pages.slot(index) = index + 1;
        }
        let mut cursor = pages.cursor();
        for index in present.into_iter().chain([20, 21, 4, 3]) {
            assert_eq!(cursor.get(index), pages.get(index), "{index}");
            assert_eq!(cursor.run(index, 3), pages.run(index, 3), "{index}");
        }
        assert_eq!(cursor.get(1 << 20), None);
    }

    #[test]
    fn pages_can_be_made_ahead_taken_over_and_dropped() {
        const GROUP_RECORDS: u32 = 4 * super::GROUP as u32;
        let mut ahead = Pages::<u32, 4>::default();
        let last = 3 * GROUP_RECORDS + 9;
        ahead.reach(last);
        assert_eq!(ahead.iter().count() as u32, last + 3, "whole pages");
        let mut pages = Pages::<u32, 4>::default();
        for index in [2, GROUP_RECORDS + 1] {
            *pages.slot(index) = 7;
        }
        pages.adopt(ahead);
        assert_eq!(pages.get(2), Some(&7));
        assert_eq!(pages.get(GROUP_RECORDS + 1), Some(&7));
        assert_eq!(pages.get(last), Some(&0));
        assert_eq!(pages.get(last + 3), None);
        for bound in [2 * GROUP_RECORDS + 5, 2 * GROUP_RECORDS, 9, 8, 0] {
            pages.truncate(bound);
            let there = bound.div_ceil(4) * 4;
            assert_eq!(pages.iter().count() as u32, there, "{bound}");
        }
    }

    #[test]
    fn runs_end_with_their_page() {
        let mut pages = Pages::<u8, 8>::default();
        pages.run_mut(6, 5).fill(1);
        assert_eq!(pages.run(5, 2), [0, 1]);
        assert_eq!(pages.run(6, 5).len(), 2);
        assert!(pages.run(8, 1).is_empty());
    }

    #[derive(Clone, Default, Debug, PartialEq)]
    struct Link(u32);

    impl Reusable for Link {
        fn next_free(&self) -> u32 {
            self.0
        }
        fn set_free(&mut self, next: u32) {
            self.0 = next;
        }
    }

    #[test]
    fn indexes_are_used_again_last_freed_first() {
        let mut slab = Slab::<Link, 4>::default();
        let given: Vec<_> = (10..16)
            .filter_map(|value| slab.insert(Link(value)))
            .collect();
        assert_eq!(given, [1, 2, 3, 4, 5, 6]);
        slab.remove(2);
        slab.remove(5);
        assert_eq!(slab.count(), 4);
        assert_eq!(
            [
                slab.insert(Link(20)),
                slab.insert(Link(21)),
                slab.insert(Link(22))
            ],
            [Some(5), Some(2), Some(7)]
        );
        assert_eq!(slab.get(2), Some(&Link(21)));
        assert_eq!(slab.bound(), 8);
    }
}
