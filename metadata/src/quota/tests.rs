//! Which operations a quota refuses, what STATFS shows, and the clock of soft limits.

use super::{Limits, Quota, Quotas, Space, Usage};
use proptest::prelude::*;
use proto::Inode;

const DIRECTORY: Inode = Inode(3);

fn usage([inodes, length, size, real_size]: [u64; 4]) -> Usage {
    Usage {
        inodes,
        length,
        size,
        real_size,
    }
}

fn limits([inodes, length, size, real_size]: [u64; 4]) -> Limits {
    Limits {
        inodes: inodes as u32,
        length,
        size,
        real_size,
    }
}

fn one(quota: Quota) -> Quotas {
    let mut quotas = Quotas::default();
    quotas.set(DIRECTORY, quota);
    quotas
}

#[test]
fn what_is_refused() {
    // The limits that exist are all 10; flags, grace time over, usage, added.
    for (flags, exceeded, present, added, refused, why) in [
        (
            0xFF,
            true,
            [9, 9, 9, 9],
            [1, 1, 1, 1],
            false,
            "up to the limit",
        ),
        (
            0x10,
            false,
            [10, 0, 0, 0],
            [1, 0, 0, 0],
            true,
            "hard inodes",
        ),
        (0x20, false, [0, 8, 0, 0], [0, 3, 0, 0], true, "hard length"),
        (0x40, false, [0, 0, 0, 0], [0, 0, 11, 11], true, "hard size"),
        (
            0x80,
            false,
            [0, 0, 9, 9],
            [0, 0, 1, 2],
            true,
            "hard real size",
        ),
        (
            0x10,
            false,
            [0, 9, 9, 9],
            [0, 5, 5, 5],
            false,
            "no such limit",
        ),
        (
            0x20,
            false,
            [9, 99, 0, 0],
            [1, 0, 0, 0],
            false,
            "above already, not added to",
        ),
        (
            0x20,
            false,
            [9, 99, 0, 0],
            [1, 1, 0, 0],
            true,
            "above already",
        ),
        (
            0x0F,
            false,
            [99, 99, 99, 99],
            [1, 1, 1, 1],
            false,
            "soft, in time",
        ),
        (
            0x01,
            true,
            [11, 0, 0, 0],
            [1, 0, 0, 0],
            true,
            "soft inodes, too long",
        ),
        (
            0x01,
            true,
            [10, 0, 0, 0],
            [9, 0, 0, 0],
            false,
            "soft, no longer above",
        ),
        (
            0x02,
            true,
            [0, 11, 0, 0],
            [1, 0, 0, 0],
            false,
            "soft length, inode added",
        ),
        (
            0x03,
            true,
            [0, 11, 0, 0],
            [1, 6, 0, 0],
            true,
            "soft length, both added",
        ),
        (
            0xFF,
            true,
            [99, 99, 99, 99],
            [0, 0, 0, 0],
            false,
            "nothing added",
        ),
        (
            0x20,
            false,
            [0, 5, 0, 0],
            [0, u64::MAX, 0, 0],
            true,
            "no overflow",
        ),
    ] {
        let quotas = one(Quota {
            flags,
            exceeded,
            soft: limits([10; 4]),
            hard: limits([10; 4]),
            ..Quota::default()
        });
        let above = [Inode(9), DIRECTORY, Inode(1)];
        let found = quotas.exceeded(above, |_| usage(present), usage(added));
        assert_eq!(found, refused, "{why}");
        assert!(
            !quotas.exceeded([Inode(1)], |_| usage(present), usage(added)),
            "not an ancestor"
        );
    }
}

#[test]
fn the_clock_of_soft_limits() {
    let mut quotas = one(Quota {
        flags: 0x01,
        grace_seconds: 5,
        soft: limits([10, 0, 0, 0]),
        ..Quota::default()
    });
    // Second, inodes, then moment of exceeding and whether it blocks; a row changes or does not.
    for (now, inodes, changes, since, exceeded) in [
        (100, 10, false, 0, false),
        (101, 11, true, 101, false),
        (106, 12, false, 101, false),
        (107, 12, true, 101, true),
        (200, 12, false, 101, true),
        (201, 10, true, 0, false),
        (202, 11, true, 202, false),
    ] {
        let due = quotas.due(|_| usage([inodes, 0, 0, 0]), now);
        assert_eq!(!due.is_empty(), changes, "second {now}");
        for (inode, quota) in due {
            quotas.set(inode, quota);
        }
        let quota = quotas.get(DIRECTORY).unwrap();
        assert_eq!(
            (quota.since, quota.exceeded),
            (since, exceeded),
            "second {now}"
        );
    }
    // More grace unblocks at the next check.
    let mut quota = *quotas.get(DIRECTORY).unwrap();
    (quota.exceeded, quota.grace_seconds) = (true, 1000);
    quotas.set(DIRECTORY, quota);
    let due = quotas.due(|_| usage([11, 0, 0, 0]), 300);
    assert!(due.iter().all(|(_, quota)| !quota.exceeded) && due.len() == 1);
}

#[test]
fn limits_are_set_and_removed() {
    let mut quota = Quota::default();
    quota.set_limits(0x11, 60, limits([1, 2, 3, 4]), limits([5, 6, 7, 8]));
    quota.set_limits(0x84, 0, limits([0, 0, 9, 0]), limits([0, 0, 0, 10]));
    assert_eq!(quota.flags, 0x95);
    assert_eq!(quota.soft, limits([1, 0, 9, 0]));
    assert_eq!(quota.hard, limits([5, 0, 0, 10]));
    assert_eq!(quota.grace_seconds, 60, "0 keeps it");
    quota.remove_limits(0x81);
    assert_eq!((quota.flags, quota.grace_seconds), (0x14, 60));
    assert_eq!(quota.soft, limits([0, 0, 9, 0]));
    quota.remove_limits(0xFF);
    assert_eq!(quota, Quota::default());
    let mut quotas = one(Quota { flags: 1, ..quota });
    quotas.set(DIRECTORY, quota);
    assert!(quotas.is_empty());
}

#[test]
fn space_as_statfs_shows_it() {
    let space = Space {
        total: 1000,
        available: 600,
        free: 700,
    };
    for (flags, soft, hard, used, total, available, free, why) in [
        (0x11, 1, 1, 1, 1000, 600, 700, "inodes do not count"),
        (0x20, 0, 500, 100, 500, 400, 400, "length"),
        (0x22, 300, 500, 100, 300, 200, 200, "the smaller one"),
        (
            0x80,
            0,
            900,
            100,
            700,
            600,
            700,
            "usage and what is available",
        ),
        (0x40, 0, 50, 100, 50, 0, 0, "above the limit"),
    ] {
        let quotas = one(Quota {
            flags,
            soft: limits([soft; 4]),
            hard: limits([hard; 4]),
            ..Quota::default()
        });
        let found = quotas.narrow(DIRECTORY, |_| usage([used; 4]), space);
        assert_eq!(
            (found.total, found.available, found.free),
            (total, available, free),
            "{why}"
        );
        assert_eq!(quotas.narrow(Inode(1), |_| usage([used; 4]), space), space);
    }
}

proptest! {
    /// A hard quota of one kind against counting: nothing that is let in ever exceeds it.
    #[test]
    fn hard_limits_hold(limit in 0u64..50, steps in prop::collection::vec(0u64..20, 1..40)) {
        for kind in 0..4 {
            let quotas = one(Quota {
                flags: 0x10 << kind,
                hard: limits([limit; 4]),
                ..Quota::default()
            });
            let mut present = [0; 4];
            for &step in &steps {
                let mut added = [0; 4];
                added[kind] = step;
                let refused = quotas.exceeded([DIRECTORY], |_| usage(present), usage(added));
                prop_assert_eq!(refused, step > 0 && present[kind] + step > limit);
                if !refused {
                    present[kind] += step;
                }
            }
            prop_assert!(present[kind] <= limit);
        }
    }
}
