//! Scripts: what each request comes to, and the steps it takes. `+A W` is held from then on, `-A` no
//! longer, `B@3 0` answers what B asked in line 3. Owners of one letter have a session each.

use super::{
    FileLocks, Flock, FlockCommand, FlockKind, FlockRequest, FlockStep, Flocks, LockOutcome,
    LockOwner, WAITING_MAX, Waiter, Waiting,
};
use proto::{Inode, SessionId, Status};

const FILE: Inode = Inode(7);

fn owner(name: &str) -> LockOwner {
    let letter = u32::from(name.as_bytes()[0]);
    LockOwner {
        session: SessionId(letter),
        owner: name.as_bytes().get(1).copied().unwrap_or(b'0').into(),
    }
}

fn name(owner: LockOwner) -> String {
    let letter = char::from_u32(owner.session.0).unwrap();
    match owner.owner as u8 {
        b'0' => letter.to_string(),
        other => format!("{letter}{}", char::from(other)),
    }
}

fn command(words: &[&str]) -> FlockCommand {
    let kind = match words.get(1) {
        Some(&"R") => FlockKind::Shared,
        _ => FlockKind::Exclusive,
    };
    match words[0] {
        "try" => FlockCommand::Try(kind),
        "lock" => FlockCommand::Lock(kind),
        "unlock" => FlockCommand::Unlock,
        "release" => FlockCommand::Release,
        "interrupt" => FlockCommand::Interrupt,
        other => panic!("unknown command {other}"),
    }
}

fn show(step: &FlockStep) -> String {
    match *step {
        FlockStep::Locked(Flock { owner, kind }) => {
            let kind = if kind == FlockKind::Shared { "R" } else { "W" };
            format!("+{} {kind}", name(owner))
        }
        FlockStep::Unlocked(owner) => format!("-{}", name(owner)),
        FlockStep::Answer(owner, waiter, status) => {
            format!("{}@{} {}", name(owner), waiter.msgid, status.wire())
        }
    }
}

/// Runs a script; each line is `OWNER COMMAND [KIND] [#REQID] => OUTCOME, STEP, …`.
fn check(script: &str) {
    let mut locks = Flocks::default();
    let lines = script.lines().map(str::trim).filter(|l| !l.is_empty());
    for (number, line) in lines.enumerate() {
        let (request, expected) = line.split_once(" => ").expect("a line has =>");
        let words: Vec<_> = request.split_whitespace().collect();
        let reqid = words.last().and_then(|word| word.strip_prefix('#'));
        let mut steps = Vec::new();
        let outcome = if words[1] == "closes" {
            locks.release(FILE, owner(words[0]).session, &mut steps);
            "ok".to_owned()
        } else {
            let request = FlockRequest {
                inode: FILE,
                owner: owner(words[0]),
                reqid: reqid.map_or(1, |text| text.parse().unwrap()),
                msgid: number as u32 + 1,
                command: command(&words[1..]),
            };
            match locks.request(&request, &mut steps) {
                LockOutcome::Done(status) => status.wire().to_string(),
                LockOutcome::Waiting => "waits".to_owned(),
            }
        };
        let found: Vec<_> = std::iter::once(outcome)
            .chain(steps.iter().map(show))
            .collect();
        assert_eq!(found.join(", "), expected, "line {}: {request}", number + 1);
    }
    let held: Vec<_> = locks.of(FILE).iter().map(|lock| lock.owner).collect();
    for owner in held {
        locks.release(FILE, owner.session, &mut Vec::new());
    }
    assert!(locks.is_empty(), "nothing is left when all have closed");
}

#[test]
fn many_readers_or_one_writer() {
    check(
        "A lock R => 0, +A R
         B try R => 0, +B R
         C try W => 45
         A unlock => 0, -A
         C try W => 45
         B release => 0, -B
         C try W => 0, +C W
         A try R => 45
         A unlock => 0",
    );
}

#[test]
fn unlock_lets_in_one_writer_or_all_readers_up_to_the_next_writer() {
    check(
        "A lock W => 0, +A W
         B lock R => waits
         C lock R => waits
         D lock W => waits
         E lock R => waits
         A unlock => 0, -A, +B R, B@2 0, +C R, C@3 0
         B unlock => 0, -B
         C unlock => 0, -C, +D W, D@4 0
         D unlock => 0, -D, +E R, E@5 0",
    );
}

#[test]
fn a_reader_does_not_overtake_a_waiting_writer() {
    check(
        "A lock R => 0, +A R
         B lock W => waits
         C try R => 45
         C lock R => waits
         A unlock => 0, -A, +B W, B@2 0
         B unlock => 0, -B, +C R, C@4 0",
    );
}

#[test]
fn the_holder_asks_again() {
    check(
        "A lock R => 0, +A R
         A lock R => 0
         A try R => 0
         A try W => 0, -A, +A W
         A lock W => 0
         A try R => 0, -A, +A R",
    );
}

#[test]
fn try_converts_in_place() {
    check(
        "A lock W => 0, +A W
         B lock R => waits
         C lock W => waits
         A try R => 0, -A, +A R, +B R, B@2 0
         A try W => 45
         B unlock => 0, -B
         A try W => 0, -A, +A W
         A unlock => 0, -A, +C W, C@3 0",
    );
}

#[test]
fn lock_converts_by_letting_go_first() {
    check(
        "A lock W => 0, +A W
         B lock W => waits
         A lock R => waits, -A, +B W, B@2 0
         B lock R => 0, -B, +A R, A@3 0, +B R
         A lock W => waits, -A
         B unlock => 0, -B, +A W, A@5 0
         A lock R => 0, -A, +A R",
    );
}

#[test]
fn an_owner_who_waits_already() {
    check(
        "A lock R => 0, +A R
         B lock W #1 => waits
         B try W #2 => 45
         B try R #2 => 45
         B lock W #3 => waits
         B lock W #1 => waits
         C lock R => waits
         A unlock => 0, -A, +B W, B@6 0, B@5 0
         B unlock => 0, -B, +C R, C@7 0",
    );
}

#[test]
fn a_waiting_request_changes_its_kind_and_keeps_its_place() {
    check(
        "A lock R => 0, +A R
         B lock W #1 => waits
         B lock W #2 => waits
         C lock R => waits
         B lock R #3 => waits, B@2 47, B@3 47, +B R, B@5 0, +C R, C@4 0",
    );
}

#[test]
fn cancelling_a_waiting_request_lets_others_in() {
    check(
        "A lock R => 0, +A R
         B lock W => waits
         C lock R => waits
         B unlock => 0, B@2 47, +C R, C@3 0
         D lock W => waits
         E lock R => waits
         D release => 0, D@5 47, +E R, E@6 0",
    );
}

#[test]
fn interrupt_ends_one_message() {
    check(
        "A lock R => 0, +A R
         B lock W #1 => waits
         B lock W #2 => waits
         C lock R #1 => waits
         B interrupt #9 => 0
         C interrupt #2 => 0
         B interrupt #1 => 0, B@2 46
         B interrupt #2 => 0, B@3 46, +C R, C@4 0
         C interrupt #1 => 0",
    );
}

#[test]
fn owners_of_one_session_are_strangers_until_it_closes() {
    check(
        "A1 lock W => 0, +A1 W
         A2 lock W => waits
         B lock R => waits
         A1 unlock => 0, -A1, +A2 W, A2@2 0
         A1 lock R => waits
         A closes => ok, A1@5 47, -A2, +B R, B@3 0
         A closes => ok",
    );
}

#[test]
fn replay_puts_the_kind_and_refuses_conflicts() {
    let mut locks = Flocks::default();
    let (shared, exclusive) = (Some(FlockKind::Shared), Some(FlockKind::Exclusive));
    for (who, kind, fits) in [
        ("A", shared, true),
        ("B", shared, true),
        ("A", shared, true),
        ("A", exclusive, false),
        ("B", None, true),
        ("B", None, true),
        ("A", exclusive, true),
        ("B", shared, false),
    ] {
        let result = locks.apply(FILE, owner(who), kind);
        assert_eq!(result.is_ok(), fits, "{who} {kind:?}");
    }
    assert_eq!(locks.iter().count(), 1);
}

#[test]
fn the_queue_is_bounded() {
    let kind = FlockKind::Exclusive;
    let waiting = |number: usize| Waiting {
        lock: Flock {
            owner: LockOwner {
                session: SessionId(1),
                owner: number as u64,
            },
            kind,
        },
        waiters: vec![Waiter { reqid: 1, msgid: 1 }],
    };
    let mut file = FileLocks {
        held: vec![Flock {
            owner: owner("A"),
            kind,
        }],
        waiting: (1..WAITING_MAX).map(waiting).collect(),
    };
    for (who, outcome) in [
        ("B", LockOutcome::Waiting),
        ("C", LockOutcome::Done(Status::Eagain)),
    ] {
        let request = FlockRequest {
            inode: FILE,
            owner: owner(who),
            reqid: 1,
            msgid: 1,
            command: FlockCommand::Lock(kind),
        };
        assert_eq!(file.request(&request, &mut Vec::new()), outcome, "{who}");
    }
}
