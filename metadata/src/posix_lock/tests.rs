//! Scripts of requests, and random ones against one lock for each byte.

use super::{ByteRange, PosixLocks, RangeKind, RangeRequest, RangeStep, TO_END};
use crate::flock::{LockOutcome, LockOwner};
use proptest::prelude::*;
use proto::{Inode, SessionId, Status};

const FILE: Inode = Inode(7);

fn owner(letter: u8) -> LockOwner {
    LockOwner {
        session: SessionId(letter.into()),
        owner: 1,
    }
}

fn kind_of(word: &str) -> Option<RangeKind> {
    match word {
        "R" => Some(RangeKind::Read),
        "W" => Some(RangeKind::Write),
        _ => None,
    }
}

fn kind_name(kind: Option<RangeKind>) -> &'static str {
    match kind {
        None => "U",
        Some(RangeKind::Read) => "R",
        Some(RangeKind::Write) => "W",
    }
}

fn bounds(text: &str) -> ByteRange {
    let (start, end) = text.split_once('-').unwrap();
    ByteRange {
        start: start.parse().unwrap(),
        end: end.parse().unwrap_or(TO_END),
    }
}

fn range_name(range: ByteRange) -> String {
    match range.end {
        TO_END => format!("{}-", range.start),
        end => format!("{}-{end}", range.start),
    }
}

fn letter(owner: LockOwner) -> char {
    char::from(owner.session.0 as u8)
}

fn show(step: &RangeStep) -> String {
    match *step {
        RangeStep::Changed(owner, range, kind, _) => {
            format!("{}{} {}", letter(owner), kind_name(kind), range_name(range))
        }
        RangeStep::Answer(owner, waiter, status) => {
            format!("{}@{} {}", letter(owner), waiter.msgid, status.wire())
        }
    }
}

fn held(locks: &PosixLocks) -> String {
    let all: Vec<_> = locks
        .of(FILE)
        .map(|(owner, lock)| {
            let (kind, range) = (kind_name(Some(lock.kind)), range_name(lock.range));
            format!("{}{kind} {range}", letter(owner))
        })
        .collect();
    all.join(", ")
}

/// Runs a script; each line is `OWNER (set|try) KIND RANGE [#REQID] => OUTCOME, STEP, …`, or
/// `OWNER interrupt #REQID`, or `OWNER closes`, or `held => …`. What a line with `@3` answers was
/// asked in line 3.
fn check(script: &str) {
    let mut locks = PosixLocks::default();
    for (number, line) in script.lines().map(str::trim).enumerate() {
        let (request, expected) = line.split_once(" =>").expect("a line has =>");
        let words: Vec<_> = request.split_whitespace().collect();
        let reqid = words.last().and_then(|word| word.strip_prefix('#'));
        let reqid = reqid.map_or(1, |text| text.parse().unwrap());
        let who = owner(words[0].as_bytes()[0]);
        let mut steps = Vec::new();
        let outcome = match words.get(1).copied() {
            None => held(&locks),
            Some("closes") => {
                locks.release(FILE, who.session, &mut steps);
                "ok".to_owned()
            }
            Some("interrupt") => {
                locks.interrupt(FILE, who.session, reqid, &mut steps);
                "ok".to_owned()
            }
            Some(command) => {
                let request = RangeRequest {
                    inode: FILE,
                    owner: who,
                    reqid,
                    msgid: number as u32 + 1,
                    pid: 5,
                    range: bounds(words[3]),
                    kind: kind_of(words[2]),
                    wait: command == "set",
                };
                match locks.request(&request, &mut steps) {
                    LockOutcome::Done(status) => status.wire().to_string(),
                    LockOutcome::Waiting => "waits".to_owned(),
                }
            }
        };
        let found: Vec<_> = std::iter::once(outcome)
            .chain(steps.iter().map(show))
            .collect();
        assert_eq!(
            found.join(", "),
            expected.trim(),
            "line {}: {request}",
            number + 1
        );
    }
}

#[test]
fn own_ranges_split_and_join() {
    check(
        "A set W 100-300 => 0, AW 100-300
         A set R 150-200 => 0, AR 150-200
         held => AW 100-150, AR 150-200, AW 200-300
         A set U 180-190 => 0, AU 180-190
         held => AW 100-150, AR 150-180, AR 190-200, AW 200-300
         A set R 180-190 => 0, AR 180-190
         held => AW 100-150, AR 150-200, AW 200-300
         A set W 150-200 => 0, AW 150-200
         held => AW 100-300
         A set W 120-130 => 0
         A set R 1000- => 0, AR 1000-
         A set R 300-1000 => 0, AR 300-1000
         held => AW 100-300, AR 300-
         A set U 0- => 0, AU 0-
         A set U 0- => 0
         held =>",
    );
}

#[test]
fn writers_exclude_and_readers_share() {
    check(
        "A set R 0-10 => 0, AR 0-10
         B try R 5-15 => 0, BR 5-15
         B try W 10-15 => 0, BW 10-15
         A try R 9-11 => 45
         A try W 0-5 => 0, AW 0-5
         A try W 0-6 => 45
         C try R 4-5 => 45
         C try R 5-10 => 0, CR 5-10
         C try W 15- => 0, CW 15-",
    );
}

#[test]
fn all_who_no_longer_conflict_are_let_in_in_order() {
    check(
        "A set W 0-100 => 0, AW 0-100
         B set W 0-10 => waits
         C set R 0-50 => waits
         D set W 60-70 => waits
         A set U 50-100 => 0, AU 50-100, DW 60-70, D@4 0
         A set R 0-50 => 0, AR 0-50, CR 0-50, C@3 0
         C set U 0-50 => 0, CU 0-50
         A set U 0-50 => 0, AU 0-50, BW 0-10, B@2 0",
    );
}

#[test]
fn repeated_interrupted_and_closed_requests() {
    check(
        "A set W 0- => 0, AW 0-
         B set W 0-10 #1 => waits
         B set R 0-10 #2 => waits
         B set W 0-10 #1 => waits
         C set W 20-30 #1 => waits
         B interrupt #2 => ok, B@3 46
         B interrupt #2 => ok
         D interrupt #1 => ok
         C closes => ok, C@5 47
         A closes => ok, AU 0-, BW 0-10, B@4 0",
    );
}

#[test]
fn the_first_conflict_is_shown_with_its_true_bounds() {
    let mut locks = PosixLocks::default();
    for (who, start, end, kind) in [
        (b'B', 40, 60, RangeKind::Read),
        (b'A', 10, 20, RangeKind::Write),
        (b'A', 20, 30, RangeKind::Read),
    ] {
        let range = ByteRange { start, end };
        locks.apply(FILE, owner(who), range, Some(kind), 9).unwrap();
    }
    let conflict = |who, start, end, kind| {
        let found = locks.conflict(FILE, owner(who), ByteRange { start, end }, kind);
        found.map(|(owner, lock)| (letter(owner), lock.range.start, lock.range.end))
    };
    use RangeKind::{Read, Write};
    assert_eq!(conflict(b'C', 15, 50, Write), Some(('A', 10, 20)));
    assert_eq!(conflict(b'C', 20, 50, Write), Some(('A', 20, 30)));
    assert_eq!(conflict(b'C', 20, 50, Read), None);
    assert_eq!(conflict(b'A', 0, TO_END, Write), Some(('B', 40, 60)));
    assert_eq!(conflict(b'B', 30, 70, Write), None);
}

const BYTES: usize = 12;

/// One owner's lock on each byte of a short file.
type Bytes = [Option<RangeKind>; BYTES];

fn a_kind() -> impl Strategy<Value = Option<RangeKind>> {
    prop_oneof![
        Just(None),
        Just(Some(RangeKind::Read)),
        Just(Some(RangeKind::Write))
    ]
}

proptest! {
    #[test]
    fn ranges_are_a_lock_for_each_byte(
        requests in prop::collection::vec((0u8..3, 0..BYTES, 1..=BYTES, a_kind()), 1..60)
    ) {
        let mut locks = PosixLocks::default();
        let mut model = [Bytes::default(); 3];
        for (who, start, length, kind) in requests {
            let end = (start + length).min(BYTES);
            let taken = kind.is_some_and(|kind| (0..3u8).any(|other| {
                other != who && (start..end).any(|byte| {
                    model[usize::from(other)][byte].is_some_and(|theirs| {
                        kind == RangeKind::Write || theirs == RangeKind::Write
                    })
                })
            }));
            let request = RangeRequest {
                inode: FILE,
                owner: owner(who),
                reqid: 0,
                msgid: 0,
                pid: 0,
                range: ByteRange { start: start as u64, end: end as u64 },
                kind,
                wait: false,
            };
            let outcome = locks.request(&request, &mut Vec::new());
            let expected = if taken { Status::Eagain } else { Status::Ok };
            prop_assert_eq!(outcome, LockOutcome::Done(expected));
            if !taken {
                model[usize::from(who)][start..end].fill(kind);
            }
            let mut found = [Bytes::default(); 3];
            let mut before: Option<(LockOwner, super::RangeLock)> = None;
            for (owner, lock) in locks.of(FILE) {
                let (from, to) = (lock.range.start as usize, lock.range.end as usize);
                prop_assert!(from < to, "no empty range");
                if let Some((last, range)) = before && last == owner {
                    prop_assert!(range.range.end <= lock.range.start, "ascending");
                    prop_assert!(
                        range.range.end < lock.range.start || range.kind != lock.kind,
                        "joined"
                    );
                }
                found[owner.session.0 as usize][from..to].fill(Some(lock.kind));
                before = Some((owner, lock));
            }
            prop_assert_eq!(found, model);
        }
    }
}
