//! Chunks that need work soon, by urgency (master-behaviour §7.3).

use std::collections::VecDeque;

/// Number of queues.
pub const PRIORITIES: usize = 7;

/// How urgent the work on a chunk is; the lower, the more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Priority {
    /// One copy, more than two needed.
    LastOfMany = 0,
    /// One copy, two needed.
    LastOfTwo = 1,
    /// One regular copy, others on marked disks.
    OneRegular = 2,
    /// Some copies on marked disks.
    Marked = 3,
    /// Too few copies.
    Undergoal = 4,
    /// Enough copies, wrong labels.
    WrongLabels = 5,
    /// Too many copies.
    Overgoal = 6,
}

impl Priority {
    /// All priorities in order.
    pub const ALL: [Priority; PRIORITIES] = [
        Priority::LastOfMany,
        Priority::LastOfTwo,
        Priority::OneRegular,
        Priority::Marked,
        Priority::Undergoal,
        Priority::WrongLabels,
        Priority::Overgoal,
    ];

    /// Priority of a chunk with so many copies on regular and on marked disks; `None` when nothing
    /// is to be done or nothing can be done.
    pub fn of(valid: usize, marked: usize, needed: usize, wrong_labels: bool) -> Option<Priority> {
        if valid + marked == 0 || needed == 0 {
            return None;
        }
        if valid < needed {
            return Some(if valid + marked == 1 && needed > 2 {
                Priority::LastOfMany
            } else if valid + marked == 1 && needed == 2 {
                Priority::LastOfTwo
            } else if valid == 1 && marked > 0 {
                Priority::OneRegular
            } else if marked > 0 {
                Priority::Marked
            } else {
                Priority::Undergoal
            });
        }
        if valid > needed {
            return Some(Priority::Overgoal);
        }
        wrong_labels.then_some(Priority::WrongLabels)
    }
}

/// Percent of a round's allowance that each queue gets whatever the queues before it took.
pub const SHARES: [u32; PRIORITIES] = [100, 10, 10, 1, 5, 1, 30];

/// The queues: chunk indexes, oldest first.
#[derive(Debug)]
pub struct Queues {
    queues: [VecDeque<u32>; PRIORITIES],
    capacity: usize,
}

impl Queues {
    /// Empty queues of so many entries each.
    pub fn new(capacity: u32) -> Queues {
        Queues {
            queues: Default::default(),
            capacity: capacity.max(1) as usize,
        }
    }

    /// Appends a chunk; gives back the oldest when the queue was full.
    pub fn push(&mut self, priority: Priority, index: u32) -> Option<u32> {
        let queue = &mut self.queues[priority as usize];
        let evicted = if queue.len() >= self.capacity {
            queue.pop_front()
        } else {
            None
        };
        queue.push_back(index);
        evicted
    }

    /// Takes the oldest chunk.
    pub fn pop(&mut self, priority: Priority) -> Option<u32> {
        self.queues[priority as usize].pop_front()
    }

    /// Entries of a queue.
    pub fn len(&self, priority: Priority) -> usize {
        self.queues[priority as usize].len()
    }

    /// Whether nothing waits with this priority or a more urgent one.
    pub fn is_empty_through(&self, priority: Priority) -> bool {
        self.queues[..=priority as usize]
            .iter()
            .all(VecDeque::is_empty)
    }

    /// Entries of each queue.
    pub fn lengths(&self) -> [usize; PRIORITIES] {
        std::array::from_fn(|place| self.queues[place].len())
    }

    /// Empties the queues and changes their size; gives back what they held.
    pub fn reset(&mut self, capacity: u32) -> Vec<u32> {
        self.capacity = capacity.max(1) as usize;
        self.queues.iter_mut().flat_map(std::mem::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Priority, Queues};

    #[test]
    fn priorities_by_copies() {
        use Priority::*;
        for (valid, marked, needed, wrong_labels, expected) in [
            (0, 0, 2, false, None),
            (1, 0, 0, false, None),
            (1, 0, 3, false, Some(LastOfMany)),
            (0, 1, 3, false, Some(LastOfMany)),
            (1, 0, 2, false, Some(LastOfTwo)),
            (0, 1, 2, false, Some(LastOfTwo)),
            (1, 1, 2, false, Some(OneRegular)),
            (1, 2, 4, false, Some(OneRegular)),
            (0, 1, 1, false, Some(Marked)),
            (0, 2, 2, false, Some(Marked)),
            (2, 1, 3, false, Some(Marked)),
            (2, 0, 3, false, Some(Undergoal)),
            (2, 1, 2, false, None),
            (2, 0, 2, true, Some(WrongLabels)),
            (1, 1, 1, true, Some(WrongLabels)),
            (3, 0, 2, true, Some(Overgoal)),
            (2, 0, 2, false, None),
        ] {
            assert_eq!(
                Priority::of(valid, marked, needed, wrong_labels),
                expected,
                "{valid} + {marked} of {needed}"
            );
        }
    }

    #[test]
    fn a_full_queue_loses_its_oldest_entry() {
        let mut queues = Queues::new(2);
        assert_eq!(queues.push(Priority::Undergoal, 1), None);
        assert_eq!(queues.push(Priority::Undergoal, 2), None);
        assert_eq!(queues.push(Priority::Undergoal, 3), Some(1));
        assert_eq!(queues.pop(Priority::Undergoal), Some(2));
        assert!(queues.is_empty_through(Priority::Marked));
        assert!(!queues.is_empty_through(Priority::Undergoal));
        assert_eq!(queues.lengths(), [0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(queues.reset(5), [3]);
    }
}
