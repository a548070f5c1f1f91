//! Where the copies of each chunk are: a table parallel to the chunk table of the metadata.
//!
//! Nothing here survives a restart; chunkservers report it. Up to three copies live in the record
//! itself, because millions of chunks with two or three copies are common.

use super::request::ServerId;

/// State of one copy (master-behaviour §2.2). *Marked* means: on a disk marked for removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CopyState {
    /// Good.
    Valid,
    /// Good, on a disk marked for removal.
    MarkedValid,
    /// An order was sent and is not confirmed.
    Busy,
    /// The same on a disk marked for removal.
    MarkedBusy,
    /// Has another version than the chunk.
    WrongVersion,
    /// The same on a disk marked for removal.
    MarkedWrongVersion,
    /// Damaged or in unknown condition.
    Invalid,
    /// Deletion was ordered.
    Deleting,
}

impl CopyState {
    /// Counts as a copy: clients are told of it.
    pub fn is_usable(self) -> bool {
        matches!(
            self,
            CopyState::Valid | CopyState::MarkedValid | CopyState::Busy | CopyState::MarkedBusy
        )
    }

    /// Usable and on a disk that stays.
    pub fn is_regular(self) -> bool {
        matches!(self, CopyState::Valid | CopyState::Busy)
    }

    /// Good and confirmed.
    pub fn is_confirmed(self) -> bool {
        matches!(self, CopyState::Valid | CopyState::MarkedValid)
    }

    /// An order is unconfirmed.
    pub fn is_busy(self) -> bool {
        matches!(self, CopyState::Busy | CopyState::MarkedBusy)
    }

    /// Known by another version than the chunk's.
    pub fn is_wrong_version(self) -> bool {
        matches!(
            self,
            CopyState::WrongVersion | CopyState::MarkedWrongVersion
        )
    }

    /// On a disk marked for removal, as far as that is known.
    pub fn is_marked(self) -> bool {
        matches!(
            self,
            CopyState::MarkedValid | CopyState::MarkedBusy | CopyState::MarkedWrongVersion
        )
    }

    /// An unconfirmed copy in the same place.
    pub fn busy(self) -> CopyState {
        if self.is_marked() {
            CopyState::MarkedBusy
        } else {
            CopyState::Busy
        }
    }

    /// A confirmed copy in the same place.
    pub fn valid(self) -> CopyState {
        if self.is_marked() {
            CopyState::MarkedValid
        } else {
            CopyState::Valid
        }
    }

    /// A copy with another version in the same place.
    pub fn wrong_version(self) -> CopyState {
        if self.is_marked() {
            CopyState::MarkedWrongVersion
        } else {
            CopyState::WrongVersion
        }
    }

    /// A copy in the same state on a disk that is (not) marked.
    pub fn marked(self, marked: bool) -> CopyState {
        match (self, marked) {
            (CopyState::Valid | CopyState::MarkedValid, false) => CopyState::Valid,
            (CopyState::Valid | CopyState::MarkedValid, true) => CopyState::MarkedValid,
            (CopyState::Busy | CopyState::MarkedBusy, false) => CopyState::Busy,
            (CopyState::Busy | CopyState::MarkedBusy, true) => CopyState::MarkedBusy,
            (CopyState::WrongVersion | CopyState::MarkedWrongVersion, false) => {
                CopyState::WrongVersion
            }
            (CopyState::WrongVersion | CopyState::MarkedWrongVersion, true) => {
                CopyState::MarkedWrongVersion
            }
            (CopyState::Invalid | CopyState::Deleting, _) => self,
        }
    }
}

/// One copy of one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Version: the chunk's for usable copies, the remembered one for wrong versions, else 0.
    pub version: u32,
    /// Who has it.
    pub server: ServerId,
    /// In which condition.
    pub state: CopyState,
}

/// What a chunk is doing (master-behaviour §2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum OperationKind {
    /// Nothing.
    #[default]
    None,
    /// Being made.
    Create,
    /// Its version is being raised.
    SetVersion,
    /// Being copied from another chunk.
    Duplicate,
    /// Its length is being changed.
    Truncate,
    /// Being copied from another chunk with another length.
    DuplicateTruncate,
    /// A copy is being made on another server, under a lock.
    Replicate,
}

/// What the counters of the admin page hold about a chunk, to be taken off when it changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Whether the chunk is counted at all.
    pub counted: bool,
    /// The archive list was in force.
    pub archived: bool,
    /// Copies needed, at most 10.
    pub needed: u8,
    /// Usable copies, at most 10.
    pub usable: u8,
    /// Usable copies on disks that stay, at most 10.
    pub regular: u8,
    /// Effective class.
    pub class: u8,
}

/// Facts of a chunk besides its copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// What runs.
    pub operation: OperationKind,
    /// The running operation failed on at least one copy.
    pub interrupted: bool,
    /// The next write need not raise the version: no copy came or went since the last one. False
    /// for everything after a start (§2.3).
    pub settled: bool,
    /// The servers of the chunk count it as being written.
    pub writing: bool,
    /// Priority queue that holds the chunk, plus one; 0 = none.
    pub queued: u8,
    /// What the counters hold.
    pub counted: Counted,
}

const INLINE: usize = 3;
const PAGE: usize = 1024;

const NOTHING: Copy = Copy {
    version: 0,
    server: ServerId(0),
    state: CopyState::Invalid,
};

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Copies, or, when there are more than [`INLINE`], the place in `spilled` as the first version.
    inline: [Copy; INLINE],
    len: u8,
    operation: OperationKind,
    bits: u8,
    queued: u8,
    needed_usable: u8,
    regular: u8,
    class: u8,
}

const _: () = assert!(size_of::<Copy>() == 8 && size_of::<Entry>() <= 32);

const INTERRUPTED: u8 = 1;
const SETTLED: u8 = 2;
const WRITING: u8 = 4;
const COUNTED: u8 = 8;
const ARCHIVED: u8 = 16;

const EMPTY: Entry = Entry {
    inline: [NOTHING; INLINE],
    len: 0,
    operation: OperationKind::None,
    bits: 0,
    queued: 0,
    needed_usable: 0,
    regular: 0,
    class: 0,
};

/// Copies and facts of all chunks, by chunk index.
#[derive(Debug, Default)]
pub struct Copies {
    pages: Vec<Option<Box<[Entry; PAGE]>>>,
    spilled: Vec<Vec<Copy>>,
    spilled_free: Vec<u32>,
    total: u64,
}

impl Copies {
    fn entry(&self, index: u32) -> &Entry {
        let (page, slot) = (index as usize / PAGE, index as usize % PAGE);
        match self.pages.get(page) {
            Some(Some(page)) => &page[slot],
            _ => &EMPTY,
        }
    }

    fn entry_mut(&mut self, index: u32) -> &mut Entry {
        let (page, slot) = (index as usize / PAGE, index as usize % PAGE);
        if page >= self.pages.len() {
            self.pages.resize_with(page + 1, || None);
        }
        let page = self.pages[page].get_or_insert_with(|| Box::new([EMPTY; PAGE]));
        &mut page[slot]
    }

    /// All copies of a chunk, in no particular order.
    pub fn of(&self, index: u32) -> &[Copy] {
        let entry = self.entry(index);
        let len = usize::from(entry.len);
        if len <= INLINE {
            &entry.inline[..len]
        } else {
            &self.spilled[entry.inline[0].version as usize]
        }
    }

    /// All copies of a chunk, to change their states and versions.
    pub fn of_mut(&mut self, index: u32) -> &mut [Copy] {
        let entry = *self.entry(index);
        let len = usize::from(entry.len);
        if len == 0 {
            &mut []
        } else if len <= INLINE {
            &mut self.entry_mut(index).inline[..len]
        } else {
            &mut self.spilled[entry.inline[0].version as usize]
        }
    }

    /// The copy of a chunk on a server.
    pub fn find(&self, index: u32, server: ServerId) -> Option<Copy> {
        self.of(index)
            .iter()
            .copied()
            .find(|copy| copy.server == server)
    }

    /// The copy of a chunk on a server, to be changed.
    pub fn find_mut(&mut self, index: u32, server: ServerId) -> Option<&mut Copy> {
        self.of_mut(index)
            .iter_mut()
            .find(|copy| copy.server == server)
    }

    /// Adds a copy on a server that has none. More than 255 copies of a chunk are not kept.
    pub fn add(&mut self, index: u32, copy: Copy) {
        debug_assert!(
            self.find(index, copy.server).is_none(),
            "two copies of chunk index {index} on one server"
        );
        let entry = *self.entry(index);
        let len = usize::from(entry.len);
        if len == usize::from(u8::MAX) {
            return;
        }
        if len < INLINE {
            self.entry_mut(index).inline[len] = copy;
        } else if len == INLINE {
            let mut list = Vec::with_capacity(INLINE * 2);
            list.extend_from_slice(&entry.inline);
            list.push(copy);
            let place = match self.spilled_free.pop() {
                Some(place) => {
                    self.spilled[place as usize] = list;
                    place
                }
                None => {
                    self.spilled.push(list);
                    (self.spilled.len() - 1) as u32
                }
            };
            self.entry_mut(index).inline[0] = Copy {
                version: place,
                ..NOTHING
            };
        } else {
            self.spilled[entry.inline[0].version as usize].push(copy);
        }
        self.entry_mut(index).len += 1;
        self.total += 1;
    }

    /// Removes the copy on a server; tells what it was.
    pub fn remove(&mut self, index: u32, server: ServerId) -> Option<Copy> {
        let position = self
            .of(index)
            .iter()
            .position(|copy| copy.server == server)?;
        let entry = *self.entry(index);
        let len = usize::from(entry.len);
        let removed;
        if len <= INLINE {
            let inline = &mut self.entry_mut(index).inline;
            removed = inline[position];
            inline.copy_within(position + 1..len, position);
        } else {
            let place = entry.inline[0].version;
            let list = &mut self.spilled[place as usize];
            removed = list.remove(position);
            if len == INLINE + 1 {
                let rest = std::mem::take(list);
                self.spilled_free.push(place);
                self.entry_mut(index)
                    .inline
                    .copy_from_slice(&rest[..INLINE]);
            }
        }
        self.entry_mut(index).len -= 1;
        self.total -= 1;
        Some(removed)
    }

    /// Facts of a chunk.
    pub fn facts(&self, index: u32) -> Facts {
        let entry = self.entry(index);
        Facts {
            operation: entry.operation,
            interrupted: entry.bits & INTERRUPTED != 0,
            settled: entry.bits & SETTLED != 0,
            writing: entry.bits & WRITING != 0,
            queued: entry.queued,
            counted: Counted {
                counted: entry.bits & COUNTED != 0,
                archived: entry.bits & ARCHIVED != 0,
                needed: entry.needed_usable >> 4,
                usable: entry.needed_usable & 15,
                regular: entry.regular,
                class: entry.class,
            },
        }
    }

    /// Changes facts of a chunk.
    pub fn update(&mut self, index: u32, change: impl FnOnce(&mut Facts)) {
        let old = self.facts(index);
        let mut facts = old;
        change(&mut facts);
        if facts == old {
            return;
        }
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        let entry = self.entry_mut(index);
        entry.operation = facts.operation;
        entry.bits = bit(facts.interrupted, INTERRUPTED)
            | bit(facts.settled, SETTLED)
            | bit(facts.writing, WRITING)
            | bit(facts.counted.counted, COUNTED)
            | bit(facts.counted.archived, ARCHIVED);
        entry.queued = facts.queued;
        entry.needed_usable = facts.counted.needed << 4 | facts.counted.usable & 15;
        entry.regular = facts.counted.regular;
        entry.class = facts.counted.class;
    }

    /// Forgets everything about an index, whose chunk is gone or new.
    pub fn clear(&mut self, index: u32) {
        let servers: Vec<_> = self.of(index).iter().map(|copy| copy.server).collect();
        for server in servers {
            self.remove(index, server);
        }
        self.update(index, |facts| *facts = Facts::default());
    }

    /// Number of copies of all chunks.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of memory: allocated, and used by copies.
    pub fn memory(&self) -> (u64, u64) {
        let pages = self.pages.iter().flatten().count() as u64;
        let spilled: usize = self.spilled.iter().map(|list| list.capacity()).sum();
        (
            pages * size_of::<[Entry; PAGE]>() as u64 + (spilled * size_of::<Copy>()) as u64,
            self.total * size_of::<Copy>() as u64,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Copies, Copy, CopyState, Facts, OperationKind};
    use crate::chunks::ServerId;

    fn copy(server: u16) -> Copy {
        Copy {
            version: 1,
            server: ServerId(server),
            state: CopyState::Valid,
        }
    }

    fn servers(copies: &Copies, index: u32) -> Vec<u16> {
        let mut servers: Vec<u16> = copies.of(index).iter().map(|copy| copy.server.0).collect();
        servers.sort_unstable();
        servers
    }

    #[test]
    fn copies_come_and_go_across_the_inline_limit() {
        let mut copies = Copies::default();
        for round in 0..3 {
            for count in 0..9u16 {
                copies.add(5000, copy(count));
                copies.add(5001, copy(count + 100));
                assert_eq!(servers(&copies, 5000), (0..=count).collect::<Vec<_>>());
            }
            assert_eq!(copies.total(), 18, "round {round}");
            for count in 0..9u16 {
                let removed = (count * 4) % 9;
                assert_eq!(
                    copies.remove(5000, ServerId(removed)),
                    Some(copy(removed)),
                    "{count}"
                );
                assert_eq!(copies.of(5000).len(), usize::from(8 - count));
                assert_eq!(copies.remove(5000, ServerId(removed)), None);
            }
            copies.clear(5001);
            assert_eq!(copies.total(), 0);
        }
        assert_eq!(copies.spilled.len(), 2, "places are used again");
    }

    #[test]
    fn facts_are_kept_beside_the_copies() {
        let mut copies = Copies::default();
        assert_eq!(copies.facts(77), Facts::default());
        assert!(
            !copies.facts(77).settled,
            "after a start writes raise the version"
        );
        copies.add(77, copy(1));
        copies.update(77, |facts| {
            facts.operation = OperationKind::Truncate;
            facts.settled = true;
            facts.queued = 7;
            facts.counted.needed = 10;
            facts.counted.usable = 9;
            facts.counted.regular = 10;
            facts.counted.class = 255;
        });
        let facts = copies.facts(77);
        assert_eq!(facts.operation, OperationKind::Truncate);
        assert!(facts.settled && !facts.interrupted && !facts.writing);
        assert_eq!(facts.queued, 7);
        assert_eq!(
            (
                facts.counted.needed,
                facts.counted.usable,
                facts.counted.regular
            ),
            (10, 9, 10)
        );
        assert_eq!(facts.counted.class, 255);
        assert_eq!(servers(&copies, 77), [1]);
        copies.clear(77);
        assert_eq!(copies.facts(77), Facts::default());
    }

    #[test]
    fn states_keep_their_mark() {
        use CopyState::*;
        for (state, busy, wrong, marked) in [
            (Valid, Busy, WrongVersion, MarkedValid),
            (MarkedValid, MarkedBusy, MarkedWrongVersion, MarkedValid),
            (Busy, Busy, WrongVersion, MarkedBusy),
            (WrongVersion, Busy, WrongVersion, MarkedWrongVersion),
        ] {
            assert_eq!(state.busy(), busy);
            assert_eq!(state.wrong_version(), wrong);
            assert_eq!(state.marked(true), marked);
            assert!(!marked.marked(false).is_marked());
            assert_eq!(busy.valid().busy(), busy);
        }
        assert_eq!(Invalid.marked(true), Invalid);
    }
}
