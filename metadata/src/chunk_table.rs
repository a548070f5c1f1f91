//! Chunk records: versions, locks, archive flags, references by storage class. Copies are not here.

use crate::event::Event;
use crate::storage_class::{StorageClasses, is_predefined};
use crate::store::pages::{Reusable, Slab};
use crate::tx::Tx;
use foldhash::quality::FixedState;
use hashbrown::{HashMap, HashTable};
use proto::{ChunkId, ChunkVersion, ClassId};
use std::hash::BuildHasher;

/// Number of tables of the index by chunk number; see [`crate::store::index`].
const SHARDS: usize = 1 << 12;

/// Place of a chunk record: dense, from 1, and given again after the chunk is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkIndex(pub u32);

/// What is known about a chunk without its copies (master-behaviour §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ChunkRecord {
    /// Number of the chunk.
    pub id: ChunkId,
    /// Version that every good copy has.
    pub version: ChunkVersion,
    /// Last second of the write lock; 0 when there is none.
    pub locked_to: u32,
    /// Slots of files that refer to the chunk.
    pub references: u32,
    /// Effective storage class (§2.4); 0 when nothing refers to the chunk.
    pub class: ClassId,
    /// The archive list of the class counts.
    pub archived: bool,
    /// Files refer to this number, but there is no record of it in the image.
    pub(crate) unknown: bool,
}

const _: () = assert!(size_of::<ChunkRecord>() == 24);

impl ChunkRecord {
    /// Whether it is a chunk with a record of its own, and no unused place.
    pub(crate) fn is_known(&self) -> bool {
        self.id != ChunkId::HOLE && !self.unknown
    }

    /// Whether the write lock holds at `now` (§3.1).
    pub fn is_locked(&self, now: u32) -> bool {
        self.locked_to >= now
    }
}

impl Reusable for ChunkRecord {
    fn next_free(&self) -> u32 {
        self.locked_to
    }

    fn set_free(&mut self, next: u32) {
        *self = ChunkRecord {
            locked_to: next,
            ..ChunkRecord::default()
        };
    }
}

/// References of a chunk by class, ascending; at least two classes.
type References = Vec<(ClassId, u32)>;

/// The effective class of a chunk with references of several classes, ascending by id (§2.4).
fn effective_class(references: &[(ClassId, u32)], classes: &StorageClasses) -> ClassId {
    let mut best = ClassId(0);
    let mut most = 0;
    for &(class, _) in references {
        let copies = classes.counted_copies(class);
        if copies > most {
            (best, most) = (class, copies);
        } else if copies == most && !is_predefined(best) && !is_predefined(class) {
            best = ClassId(copies);
        }
    }
    best
}

/// All chunk records, by number and by place.
#[derive(Debug)]
pub struct ChunkTable {
    pub(crate) records: Slab<ChunkRecord, 256>,
    index: Box<[HashTable<u32>]>,
    hasher: FixedState,
    /// Chunks with references of more than one class.
    mixed: HashMap<u32, References, FixedState>,
    /// Number that the next chunk gets.
    pub(crate) next_id: ChunkId,
}

impl Default for ChunkTable {
    fn default() -> Self {
        ChunkTable {
            records: Slab::default(),
            index: (0..SHARDS).map(|_| HashTable::new()).collect(),
            hasher: FixedState::with_seed(0),
            mixed: HashMap::with_hasher(FixedState::with_seed(0)),
            next_id: ChunkId(1),
        }
    }
}

impl ChunkTable {
    #[inline]
    fn shard(hash: u64) -> usize {
        (hash >> 40) as usize % SHARDS
    }

    /// The place of a chunk that has a record or is referred to.
    #[inline]
    fn place(&self, id: ChunkId) -> Option<u32> {
        let hash = self.hasher.hash_one(id.0);
        let found = self.index[Self::shard(hash)].find(hash, |&at| {
            self.records.get(at).is_some_and(|record| record.id == id)
        });
        found.copied()
    }

    /// A chunk by its number.
    #[inline]
    pub fn find(&self, id: ChunkId) -> Option<(ChunkIndex, &ChunkRecord)> {
        let at = ChunkIndex(self.place(id)?);
        Some((at, self.at(at)?))
    }

    /// A chunk by its place.
    #[inline]
    pub fn at(&self, index: ChunkIndex) -> Option<&ChunkRecord> {
        self.records.get(index.0).filter(|record| record.is_known())
    }

    pub(crate) fn find_mut(&mut self, id: ChunkId) -> Option<&mut ChunkRecord> {
        let at = self.place(id)?;
        self.records.get_mut(at).filter(|record| !record.unknown)
    }

    /// The number of the chunk in a slot word; 0 for a hole.
    #[inline]
    pub(crate) fn id_at(&self, at: u32) -> ChunkId {
        if at == 0 {
            return ChunkId::HOLE;
        }
        self.records
            .get(at)
            .map_or(ChunkId::HOLE, |record| record.id)
    }

    /// Every place in use is below.
    pub fn bound(&self) -> u32 {
        self.records.bound()
    }

    /// Number of records.
    pub fn len(&self) -> u32 {
        self.records.count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All records, ascending by place.
    pub fn iter(&self) -> impl Iterator<Item = (ChunkIndex, &ChunkRecord)> {
        self.records
            .iter()
            .filter(|(_, record)| record.is_known())
            .map(|(at, record)| (ChunkIndex(at), record))
    }

    /// Adds a record; its place. `None` when the number is in use or there is no room. A number that
    /// files refer to without a record gets its record.
    pub(crate) fn insert(&mut self, record: ChunkRecord) -> Option<u32> {
        if let Some(at) = self.place(record.id) {
            let present = self.records.get_mut(at)?;
            if !present.unknown {
                return None;
            }
            present.version = record.version;
            present.locked_to = record.locked_to;
            present.archived = record.archived;
            present.unknown = record.unknown;
            return Some(at);
        }
        let at = self.records.insert(record)?;
        let hash = self.hasher.hash_one(record.id.0);
        let (records, hasher) = (&self.records, &self.hasher);
        self.index[Self::shard(hash)].insert_unique(hash, at, |&at| {
            hasher.hash_one(records.get(at).map_or(0, |record| record.id.0))
        });
        Some(at)
    }

    /// Fills an empty table with the records of an image, in the order of their numbers; those whose
    /// number occurs a second time are left out and returned.
    pub(crate) fn fill(&mut self, mut records: Vec<ChunkRecord>) -> Vec<ChunkId> {
        records.sort_unstable_by_key(|record| record.id);
        let mut repeated = Vec::new();
        records.dedup_by(|later, earlier| {
            let is_same = later.id == earlier.id;
            if is_same {
                repeated.push(later.id);
            }
            is_same
        });
        let each = records.len() / SHARDS;
        for shard in &mut self.index {
            // The tables are filled alike; one with more names grows by itself.
            *shard = HashTable::with_capacity(each + each / 8);
        }
        for record in records {
            let hash = self.hasher.hash_one(record.id.0);
            let Some(at) = self.records.insert(record) else {
                break;
            };
            let (records, hasher) = (&self.records, &self.hasher);
            self.index[Self::shard(hash)].insert_unique(hash, at, |&at| {
                hasher.hash_one(records.get(at).map_or(0, |record| record.id.0))
            });
        }
        repeated
    }

    /// The place of every number that has a record, unless the numbers are spread too far.
    pub(crate) fn places(&self) -> Vec<u32> {
        let highest = self.records.iter().map(|(_, record)| record.id.0).max();
        let numbers = highest.unwrap_or(0).saturating_add(1);
        if numbers > 16 * u64::from(self.records.bound()) + 4096 {
            return Vec::new();
        }
        let mut places = vec![0; usize::try_from(numbers).unwrap_or(0)];
        for (at, record) in self.records.iter() {
            let place = usize::try_from(record.id.0).ok();
            if let Some(place) = place.and_then(|number| places.get_mut(number)) {
                *place = at;
            }
        }
        if let Some(hole) = places.first_mut() {
            *hole = 0;
        }
        places
    }

    /// The place of a number that a file refers to, which may have no record.
    pub(crate) fn place_or_unknown(&mut self, id: ChunkId) -> Option<u32> {
        self.place(id).or_else(|| {
            self.insert(ChunkRecord {
                id,
                unknown: true,
                ..ChunkRecord::default()
            })
        })
    }

    /// A new chunk with the next number; its place.
    pub(crate) fn create(&mut self) -> Option<u32> {
        let id = self.next_id;
        let at = self.insert(ChunkRecord {
            id,
            version: ChunkVersion(1),
            ..ChunkRecord::default()
        })?;
        self.next_id = ChunkId(id.0 + 1);
        Some(at)
    }

    /// Removes a record to which nothing refers.
    pub(crate) fn remove(&mut self, id: ChunkId) {
        let Some(at) = self.place(id) else {
            return;
        };
        let hash = self.hasher.hash_one(id.0);
        let shard = &mut self.index[Self::shard(hash)];
        if let Ok(entry) = shard.find_entry(hash, |&other| other == at) {
            entry.remove();
        }
        self.mixed.remove(&at);
        self.records.remove(at);
    }

    /// A slot of a file of `class` refers to the chunk from now on.
    pub(crate) fn add_reference(
        &mut self,
        tx: &mut Tx,
        classes: &StorageClasses,
        at: u32,
        class: ClassId,
    ) {
        self.change_references(tx, classes, at, None, Some(class));
    }

    /// A slot of a file of `class` refers to the chunk no longer. A number without a record vanishes
    /// with its last reference.
    pub(crate) fn drop_reference(
        &mut self,
        tx: &mut Tx,
        classes: &StorageClasses,
        at: u32,
        class: ClassId,
    ) {
        self.change_references(tx, classes, at, Some(class), None);
    }

    /// The file of a slot that refers to the chunk changed its class.
    pub(crate) fn change_class(
        &mut self,
        tx: &mut Tx,
        classes: &StorageClasses,
        at: u32,
        from: ClassId,
        to: ClassId,
    ) {
        self.change_references(tx, classes, at, Some(from), Some(to));
    }

    /// A slot of an image refers to the chunk: nobody has to learn of it.
    #[inline]
    pub(crate) fn load_reference(&mut self, classes: &StorageClasses, at: u32, class: ClassId) {
        self.count_references(classes, at, None, Some(class));
    }

    fn change_references(
        &mut self,
        tx: &mut Tx,
        classes: &StorageClasses,
        at: u32,
        from: Option<ClassId>,
        to: Option<ClassId>,
    ) {
        let Some(old_class) = self.records.get(at).map(|record| record.class) else {
            return;
        };
        let Some(record) = self.count_references(classes, at, from, to) else {
            return;
        };
        if record.references == 0 && record.unknown {
            self.remove(record.id);
        } else if record.class != old_class || record.references == 0 {
            tx.event(Event::ChunkChanged(record.id));
        }
    }

    fn count_references(
        &mut self,
        classes: &StorageClasses,
        at: u32,
        from: Option<ClassId>,
        to: Option<ClassId>,
    ) -> Option<ChunkRecord> {
        let record = self.records.get_mut(at)?;
        let (old_class, old_references) = (record.class, record.references);
        let added = u32::from(to.is_some());
        record.references = (record.references + added).saturating_sub(u32::from(from.is_some()));
        let single = old_references == 0
            || old_references == 1 && from.is_some()
            || !self.mixed.contains_key(&at)
                && [from, to]
                    .into_iter()
                    .flatten()
                    .all(|class| class == old_class);
        if single {
            record.class = match (record.references, to) {
                (0, _) => ClassId(0),
                (_, Some(class)) => class,
                (_, None) => old_class,
            };
        } else {
            let list = self
                .mixed
                .entry(at)
                .or_insert_with(|| vec![(old_class, old_references)]);
            for (class, add) in [(to, true), (from, false)] {
                if let Some(class) = class {
                    count_class(list, class, add);
                }
            }
            record.class = effective_class(list, classes);
            if list.len() < 2 {
                self.mixed.remove(&at);
            }
        }
        Some(*record)
    }

    /// References of a chunk by class, ascending.
    pub(crate) fn references(&self, at: u32) -> References {
        match (self.mixed.get(&at), self.records.get(at)) {
            (Some(list), _) => list.clone(),
            (None, Some(record)) if record.references > 0 => {
                vec![(record.class, record.references)]
            }
            _ => Vec::new(),
        }
    }

    /// The class that a chunk should have by its references.
    pub(crate) fn effective_class(&self, at: u32, classes: &StorageClasses) -> ClassId {
        match (self.mixed.get(&at), self.records.get(at)) {
            (Some(list), _) => effective_class(list, classes),
            (None, Some(record)) if record.references > 0 => record.class,
            _ => ClassId(0),
        }
    }

    /// Chooses the effective classes anew after classes were changed. Chunks with one class keep it;
    /// that their class says something else now is seen by the planner's loop.
    pub(crate) fn classes_changed(&mut self, tx: &mut Tx, classes: &StorageClasses) {
        for (&at, list) in &self.mixed {
            let class = effective_class(list, classes);
            if let Some(record) = self.records.get_mut(at)
                && record.class != class
            {
                record.class = class;
                tx.event(Event::ChunkChanged(record.id));
            }
        }
    }
}

fn count_class(list: &mut References, class: ClassId, add: bool) {
    match (list.binary_search_by_key(&class, |(class, _)| *class), add) {
        (Ok(place), true) => list[place].1 += 1,
        (Ok(place), false) if list[place].1 > 1 => list[place].1 -= 1,
        (Ok(place), false) => {
            list.remove(place);
        }
        (Err(place), true) => list.insert(place, (class, 1)),
        (Err(_), false) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkRecord, ChunkTable};
    use crate::storage_class::{ClassRules, LabelList, LabelMode, StorageClasses};
    use crate::tx::{Outbox, Tx};
    use proto::{ChunkId, ClassId};

    fn rules(keep: u8, archive: u8) -> ClassRules {
        ClassRules {
            admin_only: false,
            mode: LabelMode::Standard,
            archive_delay_days: 0,
            create: LabelList::any(keep).expect("count"),
            keep: LabelList::any(keep).expect("count"),
            archive: LabelList::any(archive).expect("count"),
        }
    }

    /// Classes 10: 3 and 3 copies, 11: 1 and 3, 12: 2 and 2, 13: 2 and 1.
    fn classes() -> StorageClasses {
        let mut classes = StorageClasses::default();
        for (name, keep, archive) in [("a", 3, 3), ("b", 1, 3), ("c", 2, 2), ("d", 2, 1)] {
            classes
                .create(name.as_bytes(), rules(keep, archive))
                .expect("new class");
        }
        classes
    }

    #[test]
    fn the_effective_class_is_that_with_most_copies() {
        let classes = classes();
        for (referring, effective) in [
            (&[][..], 0),
            (&[2], 2),
            (&[12], 12),
            (&[2, 2, 2], 2),
            (&[2, 3], 3),
            (&[2, 12], 2),
            (&[12, 2], 2),
            (&[1, 12], 12),
            (&[12, 13], 2),
            (&[10, 11, 12], 3),
            (&[3, 10, 11], 3),
            (&[4, 10, 11], 4),
        ] {
            let mut out = Outbox::default();
            let mut tx = Tx::new(1, &mut out);
            let mut table = ChunkTable::default();
            let at = table.create().expect("room");
            for class in referring {
                table.add_reference(&mut tx, &classes, at, ClassId(*class));
            }
            let record = *table.records.get(at).expect("record");
            assert_eq!(record.class, ClassId(effective), "{referring:?}");
            assert_eq!(record.references as usize, referring.len());
            let counted: u32 = table.references(at).iter().map(|(_, count)| count).sum();
            assert_eq!(counted as usize, referring.len());
            for class in referring {
                table.drop_reference(&mut tx, &classes, at, ClassId(*class));
            }
            let record = *table.records.get(at).expect("record");
            assert_eq!((record.class, record.references), (ClassId(0), 0));
            assert!(table.mixed.is_empty());
        }
    }

    #[test]
    fn a_number_without_record_lives_as_long_as_it_is_referred_to() {
        let classes = classes();
        let mut out = Outbox::default();
        let mut tx = Tx::new(1, &mut out);
        let mut table = ChunkTable::default();
        let at = table.place_or_unknown(ChunkId(77)).expect("room");
        table.add_reference(&mut tx, &classes, at, ClassId(2));
        assert!(table.find(ChunkId(77)).is_none());
        assert_eq!(table.id_at(at), ChunkId(77));
        let known = ChunkRecord {
            id: ChunkId(77),
            ..ChunkRecord::default()
        };
        assert_eq!(table.insert(known), Some(at), "the record arrives");
        assert_eq!(table.insert(known), None, "and only once");
        table.drop_reference(&mut tx, &classes, at, ClassId(2));
        assert!(table.find(ChunkId(77)).is_some());
        table.remove(ChunkId(77));
        let at = table.place_or_unknown(ChunkId(77)).expect("room");
        table.add_reference(&mut tx, &classes, at, ClassId(2));
        table.drop_reference(&mut tx, &classes, at, ClassId(2));
        assert!(table.is_empty());
    }
}
