//! Data of one chunk on their way to the servers: pieces of blocks in order of arrival
//! (client-behaviour §12.2). No I/O, no clock of its own.

use std::collections::{HashMap, VecDeque};

use bytes::{Bytes, BytesMut};
use proto::chunkserver::BLOCK_SIZE;
use tokio::time::Instant;

/// Bytes of a piece: taken over as they came, or collected.
#[derive(Clone, Debug)]
enum Data {
    Shared(Bytes),
    Own(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Data::Shared(bytes) => bytes.len(),
            Data::Own(bytes) => bytes.len(),
        }
    }
}

/// A piece of a block that was not acknowledged yet.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Block of the chunk.
    pub(crate) block: u16,
    /// First byte inside the block.
    pub(crate) offset: u32,
    data: Data,
    /// Number under which the running job sent it.
    pub(crate) write_id: Option<u32>,
    /// When its last byte came.
    pub(crate) changed: Instant,
    acknowledged: bool,
}

impl Piece {
    /// Byte behind the last inside the block.
    fn end(&self) -> u32 {
        self.offset + self.data.len() as u32
    }

    /// Byte behind the last inside the chunk.
    pub(crate) fn end_in_chunk(&self) -> u32 {
        u32::from(self.block) * BLOCK_SIZE + self.end()
    }

    /// Whether nothing can be added.
    pub(crate) fn is_full(&self) -> bool {
        self.offset == 0 && self.data.len() as u32 == BLOCK_SIZE
    }

    /// Adds bytes that touch or overlap; whether it could.
    fn merge(&mut self, offset: u32, bytes: &Bytes) -> bool {
        let end = offset + bytes.len() as u32;
        if end < self.offset || offset > self.end() {
            return false;
        }
        let (from, to) = (offset.min(self.offset), end.max(self.end()));
        let mut merged = match std::mem::replace(&mut self.data, Data::Shared(Bytes::new())) {
            Data::Own(own) if from == self.offset => own,
            old => {
                let mut own = BytesMut::with_capacity(((to - from) as usize).next_power_of_two());
                own.resize((self.offset - from) as usize, 0);
                match old {
                    Data::Shared(bytes) => own.extend_from_slice(&bytes),
                    Data::Own(bytes) => own.extend_from_slice(&bytes),
                }
                own
            }
        };
        merged.resize((to - from) as usize, 0);
        let at = (offset - from) as usize;
        merged[at..at + bytes.len()].copy_from_slice(bytes);
        self.offset = from;
        self.data = Data::Own(merged);
        true
    }

    /// The bytes, from now on unchangeable.
    fn freeze(&mut self) -> Bytes {
        let bytes = match std::mem::replace(&mut self.data, Data::Shared(Bytes::new())) {
            Data::Shared(bytes) => bytes,
            Data::Own(bytes) => bytes.freeze(),
        };
        self.data = Data::Shared(bytes.clone());
        bytes
    }
}

/// Pieces of one chunk.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pieces: VecDeque<Piece>,
    /// Number of the first piece.
    first: u64,
    /// Newest piece of each block.
    newest: HashMap<u16, u64>,
    /// Number of the first piece that may be unsent.
    unsent: u64,
}

impl Queue {
    /// Whether everything was acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds bytes inside one block. The number of bytes by which the queue grew.
    pub(crate) fn put(&mut self, block: u16, offset: u32, bytes: Bytes, now: Instant) -> usize {
        if let Some(number) = self.newest.get(&block).copied()
            && let Some(piece) = self.piece_mut(number)
            && piece.write_id.is_none()
        {
            let before = piece.data.len();
            if piece.merge(offset, &bytes) {
                piece.changed = now;
                return piece.data.len() - before;
            }
        }
        let number = self.first + self.pieces.len() as u64;
        let grown = bytes.len();
        self.pieces.push_back(Piece {
            block,
            offset,
            data: Data::Shared(bytes),
            write_id: None,
            changed: now,
            acknowledged: false,
        });
        self.newest.insert(block, number);
        grown
    }

    fn piece_mut(&mut self, number: u64) -> Option<&mut Piece> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        self.pieces.get_mut(at)
    }

    /// The first piece that was not sent, and whether it is the last of all.
    pub(crate) fn next_unsent(&self) -> Option<(&Piece, bool)> {
        let at = usize::try_from(self.unsent.saturating_sub(self.first)).ok()?;
        let piece = self.pieces.get(at)?;
        Some((piece, at + 1 == self.pieces.len()))
    }

    /// Marks the first unsent piece as sent under `write_id`: its number, place and bytes.
    pub(crate) fn send(&mut self, write_id: u32) -> Option<Sent> {
        let number = self.unsent.max(self.first);
        let piece = self.piece_mut(number)?;
        piece.write_id = Some(write_id);
        let sent = Sent {
            number,
            block: piece.block,
            offset: piece.offset,
            bytes: piece.freeze(),
        };
        self.unsent = number + 1;
        Some(sent)
    }

    /// A piece was acknowledged: the bytes that are free now and where it ended in the chunk.
    pub(crate) fn acknowledge(&mut self, number: u64) -> (usize, u32) {
        let Some(piece) = self.piece_mut(number) else {
            return (0, 0);
        };
        if piece.acknowledged {
            return (0, 0);
        }
        piece.acknowledged = true;
        let (freed, end) = (piece.data.len(), piece.end_in_chunk());
        piece.data = Data::Shared(Bytes::new());
        while self.pieces.front().is_some_and(|piece| piece.acknowledged) {
            if let Some(piece) = self.pieces.pop_front() {
                if self.newest.get(&piece.block) == Some(&self.first) {
                    self.newest.remove(&piece.block);
                }
                self.first += 1;
            }
        }
        (freed, end)
    }

    /// The job ended: what was not acknowledged will be sent again, in the old order.
    pub(crate) fn rewind(&mut self) {
        self.pieces.retain(|piece| !piece.acknowledged);
        self.newest.clear();
        for (at, piece) in self.pieces.iter_mut().enumerate() {
            piece.write_id = None;
            self.newest.insert(piece.block, self.first + at as u64);
        }
        self.unsent = self.first;
    }

    /// Throws everything away: the bytes that are free now.
    pub(crate) fn discard(&mut self) -> usize {
        let freed = self.pieces.iter().map(|piece| piece.data.len()).sum();
        *self = Queue::default();
        freed
    }

    /// Byte behind the last inside the chunk; 0 if nothing waits.
    pub(crate) fn end_in_chunk(&self) -> u32 {
        self.pieces
            .iter()
            .filter(|piece| !piece.acknowledged)
            .map(Piece::end_in_chunk)
            .max()
            .unwrap_or(0)
    }
}

/// A piece that goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Number in the queue.
    pub(crate) number: u64,
    /// Block of the chunk.
    pub(crate) block: u16,
    /// First byte inside the block.
    pub(crate) offset: u32,
    /// The bytes.
    pub(crate) bytes: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(queue: &mut Queue, block: u16, offset: u32, text: &'static str) -> usize {
        queue.put(
            block,
            offset,
            Bytes::from_static(text.as_bytes()),
            Instant::now(),
        )
    }

    fn sent(queue: &mut Queue, id: u32) -> Option<(u64, u16, u32, String)> {
        let sent = queue.send(id)?;
        let text = String::from_utf8(sent.bytes.to_vec()).unwrap();
        Some((sent.number, sent.block, sent.offset, text))
    }

    #[test]
    fn touching_writes_of_a_block_become_one_piece() {
        let mut queue = Queue::default();
        assert_eq!(put(&mut queue, 0, 10, "bbbb"), 4);
        assert_eq!(put(&mut queue, 0, 14, "cc"), 2);
        assert_eq!(put(&mut queue, 0, 8, "aa"), 2);
        assert_eq!(put(&mut queue, 0, 9, "XXX"), 0);
        assert_eq!(
            put(&mut queue, 0, 20, "far"),
            3,
            "a gap makes a piece of its own"
        );
        assert_eq!(put(&mut queue, 0, 16, "old"), 3, "the newest piece only");
        assert_eq!(put(&mut queue, 1, 0, "next"), 4);
        assert_eq!(queue.end_in_chunk(), 65540);
        assert_eq!(sent(&mut queue, 1), Some((0, 0, 8, "aXXXbbcc".into())));
        assert_eq!(sent(&mut queue, 2), Some((1, 0, 20, "far".into())));
        assert_eq!(sent(&mut queue, 3), Some((2, 0, 16, "old".into())));
        assert_eq!(sent(&mut queue, 4), Some((3, 1, 0, "next".into())));
        assert_eq!(sent(&mut queue, 5), None);
    }

    #[test]
    fn a_piece_that_is_on_its_way_does_not_change() {
        let mut queue = Queue::default();
        put(&mut queue, 0, 0, "aaaa");
        assert_eq!(sent(&mut queue, 1), Some((0, 0, 0, "aaaa".into())));
        assert_eq!(put(&mut queue, 0, 2, "bb"), 2);
        assert_eq!(sent(&mut queue, 2), Some((1, 0, 2, "bb".into())));
    }

    #[test]
    fn after_a_failure_the_unacknowledged_goes_out_again_in_order() {
        let mut queue = Queue::default();
        for (block, text) in [(0, "a"), (1, "b"), (2, "c"), (3, "d")] {
            put(&mut queue, block, 0, text);
        }
        for id in 1..=3 {
            queue.send(id);
        }
        assert_eq!(queue.acknowledge(1), (1, 65537));
        assert_eq!(queue.acknowledge(1), (0, 0), "twice");
        assert_eq!(queue.acknowledge(77), (0, 0), "unknown");
        queue.rewind();
        let again: Vec<String> =
            std::iter::from_fn(|| sent(&mut queue, 9).map(|sent| sent.3)).collect();
        assert_eq!(again, ["a", "c", "d"]);
        for number in queue.first..queue.first + 3 {
            queue.acknowledge(number);
        }
        assert!(queue.is_empty());
        assert_eq!(put(&mut queue, 3, 0, "new"), 3);
        assert_eq!(queue.discard(), 3);
    }

    /// Random writes and failures against a plain array.
    #[test]
    fn what_arrives_is_what_was_written_last() {
        let mut seed: u64 = 7;
        let mut random = move |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % below
        };
        let mut queue = Queue::default();
        let (mut expected, mut disk) = (vec![0_u8; 256], vec![0_u8; 256]);
        let mut on_the_way = Vec::new();
        for step in 0..5000_u32 {
            match random(10) {
                0..=4 => {
                    let at = random(56) as usize;
                    let bytes = vec![step as u8; 1 + random(8) as usize];
                    expected[at..at + bytes.len()].copy_from_slice(&bytes);
                    queue.put(0, at as u32, bytes.into(), Instant::now());
                }
                5..=7 => {
                    if let Some(sent) = queue.send(step) {
                        let at = sent.offset as usize;
                        disk[at..at + sent.bytes.len()].copy_from_slice(&sent.bytes);
                        on_the_way.push(sent.number);
                    }
                }
                8 if !on_the_way.is_empty() => {
                    let at = random(on_the_way.len() as u64) as usize;
                    queue.acknowledge(on_the_way.remove(at));
                }
                9 if random(10) == 0 => {
                    queue.rewind();
                    on_the_way.clear();
                }
                _ => {}
            }
        }
        while let Some(sent) = queue.send(1) {
            let at = sent.offset as usize;
            disk[at..at + sent.bytes.len()].copy_from_slice(&sent.bytes);
            on_the_way.push(sent.number);
        }
        for number in on_the_way {
            queue.acknowledge(number);
        }
        assert!(queue.is_empty());
        assert_eq!(disk, expected);
    }
}
