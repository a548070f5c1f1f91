//! Operations of clients (master-behaviour §3, with its observed cases).

use super::world::{Answer, World};
use crate::chunks::{Command, Progress, Repaired};
use proto::{ChunkId, ChunkVersion, Status};

const V1: ChunkVersion = ChunkVersion(1);
const V2: ChunkVersion = ChunkVersion(2);

#[test]
fn the_first_write_creates_a_chunk_on_as_many_servers_as_the_class_says() {
    let mut world = World::new(3, 2);
    let inode = world.file("f");
    world.lines();
    let (token, progress) = world.write(inode);
    assert_eq!(progress, Progress::Pending);
    let grant = world.result(token).unwrap().unwrap();
    assert_eq!(
        (grant.chunk, grant.version, grant.servers.len()),
        (ChunkId(1), V1, 2)
    );
    assert_eq!(world.lines(), [format!("WRITE({inode},0,1,0):1")]);
    let orders = world.orders();
    assert_eq!(orders.len(), 2);
    for (_, command) in orders {
        assert_eq!(
            command,
            Command::Create {
                chunk: grant.chunk,
                version: V1
            }
        );
    }
    // Locked for others; a second write under the same lock needs no server.
    assert_eq!(world.write(inode).1, Progress::Refused(Status::Locked));
    world.write_end(grant.chunk);
    assert_eq!(world.lines(), ["UNLOCK(1)"]);
    let again = world.granted(inode);
    assert_eq!((again.version, world.orders().len()), (V1, 0));
    assert_eq!(world.lines(), [format!("WRITE({inode},0,0,0):1")]);
}

#[test]
fn answers_to_create_decide_the_result() {
    use Status::{Io, NoSpace, NotDone};
    // First server's answer, second server's answer, result: version and copies, or a status.
    for (first, second, expected) in [
        (None, None, Ok((1, 2))),
        (Some(Io), None, Ok((2, 1))),
        (None, Some(NotDone), Ok((2, 1))),
        (Some(NoSpace), None, Ok((2, 1))),
        (Some(Io), Some(Io), Err(NotDone)),
        (Some(NoSpace), Some(NoSpace), Err(NoSpace)),
        (Some(NoSpace), Some(Io), Err(NotDone)),
        (Some(NotDone), Some(NotDone), Err(NotDone)),
    ] {
        let mut world = World::new(2, 2);
        let inode = world.file("f");
        world.rules.insert(0, |_| Answer::Hold);
        world.rules.insert(1, |_| Answer::Hold);
        world.lines();
        let (token, _) = world.write(inode);
        let held: Vec<_> = world.held.drain(..).collect();
        world.rules.clear();
        for (sim, command) in held {
            let said = if sim == 0 { first } else { second };
            let status = said.unwrap_or_else(|| world.obey(sim, &command));
            world.answer(sim, &command, status);
            world.settle();
        }
        let result = world
            .result(token)
            .unwrap()
            .map(|grant| (grant.version.0, grant.servers.len()));
        assert_eq!(result, expected, "{first:?} {second:?}");
        let lines = world.lines();
        let last = match expected {
            Ok((1, _)) => format!("WRITE({inode},0,1,0):1"),
            Ok(_) => "SETVERSION(1,2)".to_owned(),
            Err(_) => format!("ROLLBACK({inode},0,0,1)"),
        };
        assert_eq!(
            lines.iter().rfind(|line| !line.starts_with("CHUNKDEL")),
            Some(&last)
        );
    }
}

#[test]
fn after_an_emergency_increase_the_missing_copy_is_made_when_the_write_ends() {
    let mut world = World::new(3, 2);
    let inode = world.file("f");
    for sim in 0..3 {
        world.rules.insert(sim, |_| Answer::Hold);
    }
    let (token, _) = world.write(inode);
    let (failed, create) = world.held.pop_front().unwrap();
    world.rules.clear();
    world.answer(failed, &create, Status::Io);
    world.settle();
    world.release();
    let grant = world.result(token).unwrap().unwrap();
    assert_eq!((grant.version, grant.servers.len()), (V2, 1));
    world.orders();
    world.write_end(grant.chunk);
    assert!(matches!(
        world.orders()[..],
        [(_, Command::Replicate { version: V2, .. })]
    ));
    assert_eq!(world.holders(grant.chunk).len(), 2);
}

#[test]
fn a_server_that_disconnects_during_an_operation_has_failed() {
    let mut world = World::new(2, 2);
    let inode = world.file("f");
    world.rules.insert(1, |_| Answer::Hold);
    let (token, progress) = world.write(inode);
    assert_eq!((progress, world.result(token)), (Progress::Pending, None));
    world.disconnect(1);
    let grant = world.result(token).unwrap().unwrap();
    assert_eq!((grant.version, grant.servers.len()), (V2, 1));
}

#[test]
fn a_client_that_goes_is_rolled_back_at_once() {
    let mut world = World::new(2, 2);
    let inode = world.file("f");
    world.rules.insert(1, |_| Answer::Hold);
    world.lines();
    let (token, _) = world.write(inode);
    world.cx(|chunks, cx| chunks.cancel(cx, token));
    assert_eq!(
        world.lines(),
        [
            format!("WRITE({inode},0,1,0):1"),
            format!("ROLLBACK({inode},0,0,1)")
        ]
    );
    assert_eq!(world.ns.file_chunk(inode, 0), ChunkId::HOLE);
    world.rules.clear();
    world.release();
    assert_eq!(world.result(token), None);
    world.advance(5_000);
    assert!(world.holders(ChunkId(1)).is_empty());
    assert!(world.ns.chunk(ChunkId(1)).is_none());
}

#[test]
fn the_version_rises_after_a_server_was_lost_and_only_once() {
    let mut world = World::new(3, 2);
    let (inode, chunk) = world.written("f");
    let lost = world.holders(chunk)[0];
    world.disconnect(lost);
    world.advance(3_000);
    let first = world.granted(inode);
    assert_eq!(first.version, V2);
    world.write_end(chunk);
    assert_eq!(world.granted(inode).version, V2);
    world.write_end(chunk);
    // The copy that was away is a wrong version, and goes because good ones exist.
    world.connect(lost);
    assert!(world.states(chunk).contains(&(lost, 2)));
    world.advance(6_000);
    assert!(!world.holders(chunk).contains(&lost));
    assert_eq!(world.states(chunk).len(), 2);
}

#[test]
fn after_a_start_the_first_write_raises_the_version() {
    let mut world = World::new(2, 2);
    let (inode, chunk) = world.written("f");
    world.chunks = crate::chunks::Chunks::new(&super::world::quick(), world.now, 5);
    for sim in 0..2 {
        world.connect(sim);
    }
    world.advance(11_000);
    assert_eq!(world.granted(inode).version, V2);
    world.write_end(chunk);
    assert_eq!(world.granted(inode).version, V2);
}

#[test]
fn a_shared_chunk_is_duplicated() {
    let mut world = World::new(3, 2);
    let (inode, old) = world.written("f");
    let other = world.shares(inode, "g");
    world.orders();
    world.lines();
    let grant = world.granted(inode);
    assert_eq!(
        (grant.chunk, grant.version, grant.servers.len()),
        (ChunkId(2), V1, 2)
    );
    assert_eq!(world.lines(), [format!("WRITE({inode},0,1,0):2")]);
    for (sim, command) in world.orders() {
        assert!(world.sims[sim].copies.contains_key(&old));
        assert_eq!(
            command,
            Command::Duplicate {
                chunk: grant.chunk,
                version: V1,
                source: old,
                source_version: V1
            }
        );
    }
    assert_eq!(world.ns.file_chunk(other, 0), old);
    assert_eq!(world.ns.file_chunk(inode, 0), grant.chunk);
}

#[test]
fn a_duplicate_that_fails_gives_the_old_chunk_back() {
    let mut world = World::new(2, 2);
    let (inode, old) = world.written("f");
    world.shares(inode, "g");
    for sim in 0..2 {
        world.rules.insert(sim, |_| Answer::Say(Status::NoSpace));
    }
    world.lines();
    let (token, _) = world.write(inode);
    assert_eq!(world.result(token), Some(Err(Status::NoSpace)));
    assert!(world.lines().contains(&format!("ROLLBACK({inode},0,1,2)")));
    assert_eq!(world.ns.file_chunk(inode, 0), old);
}

#[test]
fn truncate_raises_the_version_and_unlocks() {
    let mut world = World::new(2, 2);
    let (inode, chunk) = world.written("f");
    world.lines();
    world.orders();
    let (token, _) = world.truncate(inode, 50_000);
    let grant = world.result(token).unwrap().unwrap();
    assert_eq!((grant.chunk, grant.version), (chunk, V2));
    assert_eq!(
        world.lines(),
        [format!("TRUNC({inode},0):1"), "UNLOCK(1)".to_owned()]
    );
    for (_, command) in world.orders() {
        assert_eq!(
            command,
            Command::Truncate {
                chunk,
                length: 50_000,
                version: V2,
                old_version: V1
            }
        );
    }
    // Of a shared chunk: a new one with version 1.
    world.shares(inode, "g");
    let (token, _) = world.truncate(inode, 1000);
    let grant = world.result(token).unwrap().unwrap();
    assert_eq!((grant.chunk, grant.version), (ChunkId(2), V1));
}

#[test]
fn an_operation_that_nobody_started_gives_the_version_back() {
    let mut world = World::new(2, 2);
    let (inode, chunk) = world.written("f");
    for sim in 0..2 {
        world.rules.insert(sim, |_| Answer::Say(Status::NotDone));
    }
    let (token, _) = world.truncate(inode, 1000);
    assert_eq!(world.result(token), Some(Err(Status::NotDone)));
    assert_eq!(world.version(chunk), 1);
    assert_eq!(world.states(chunk), [(0, 0), (1, 0)]);
    world.rules.clear();
    // The failed attempt leaves no doubt behind: the next write raises the version.
    assert_eq!(world.granted(inode).version, V2);
}

#[test]
fn an_operation_that_failed_in_unknown_ways_leaves_nothing_usable() {
    let mut world = World::new(2, 2);
    let (inode, chunk) = world.written("f");
    for sim in 0..2 {
        world.rules.insert(sim, |command| match command {
            Command::Delete { .. } => Answer::Obey,
            _ => Answer::Say(Status::Io),
        });
    }
    let (token, _) = world.truncate(inode, 1000);
    assert_eq!(world.result(token), Some(Err(Status::NotDone)));
    world.advance(10_000);
    // Kept for the operator.
    assert_eq!(world.states(chunk), [(0, 4), (1, 4)]);
    assert_eq!(world.holders(chunk), [0, 1]);
}

#[test]
fn a_lock_lasts_120_seconds_from_the_start_of_the_operation() {
    let mut world = World::new(2, 2);
    let inode = world.file("f");
    let grant = world.granted(inode);
    let read = |world: &mut World| {
        let (now, ip) = (world.now, super::world::CLIENT);
        world
            .chunks
            .read(&world.ns, now, grant.chunk, ip)
            .map(|locations| locations.servers.len())
    };
    for (after_ms, expected) in [
        (0, Err(Status::Locked)),
        (119_000, Err(Status::Locked)),
        (2_500, Ok(2)),
    ] {
        world.advance(after_ms);
        assert_eq!(read(&mut world), expected);
    }
    assert!(matches!(world.write(inode).1, Progress::Granted(_)));
}

#[test]
fn a_hung_create_is_busy_when_its_lock_is_over() {
    let mut world = World::new(2, 2);
    let inode = world.file("f");
    world.rules.insert(1, |_| Answer::Hold);
    let (token, _) = world.write(inode);
    assert_eq!(world.write(inode).1, Progress::Refused(Status::Locked));
    world.advance(124_000);
    assert_eq!(world.write(inode).1, Progress::Refused(Status::ChunkBusy));
    world.advance(36_000);
    world.rules.clear();
    world.release();
    let grant = world.result(token).unwrap().unwrap();
    assert_eq!((grant.version, grant.servers.len()), (V1, 2));
    assert!(matches!(world.write(inode).1, Progress::Granted(_)));
}

#[test]
fn without_copies_a_chunk_is_lost_only_when_everybody_is_here() {
    let mut world = World::new(2, 1);
    let (inode, chunk) = world.written("f");
    let holder = world.holders(chunk)[0];
    world.disconnect(holder);
    world.advance(3_000);
    let now = world.now;
    let read = world
        .chunks
        .read(&world.ns, now, chunk, super::world::CLIENT)
        .unwrap();
    assert!(read.servers.is_empty());
    assert_eq!(
        world.write(inode).1,
        Progress::Refused(Status::CsNotPresent)
    );
    // The server was removed from the database.
    world.chunks.set_presence(Default::default());
    let read = world
        .chunks
        .read(&world.ns, now, chunk, super::world::CLIENT);
    assert_eq!(read, Err(Status::ChunkLost));
    assert_eq!(world.write(inode).1, Progress::Refused(Status::ChunkLost));
    assert_eq!(
        world
            .chunks
            .read(&world.ns, now, ChunkId(99), super::world::CLIENT),
        Err(Status::NoChunk)
    );
}

#[test]
fn repair_takes_the_best_version_or_makes_a_hole() {
    let mut world = World::new(2, 2);
    let (inode, chunk) = world.written("f");
    for sim in 0..2 {
        world.disconnect(sim);
    }
    world.advance(200);
    for (sim, version) in [(0, 7), (1, 9)] {
        world.sims[sim].copies.get_mut(&chunk).unwrap().version = version;
        world.connect(sim);
    }
    assert_eq!(world.states(chunk), [(0, 2), (1, 2)]);
    world.lines();
    let repaired = world.cx(|chunks, cx| chunks.repair(cx, inode, 0, chunk));
    assert_eq!(repaired, Repaired::Repaired);
    assert_eq!(world.lines(), [format!("REPAIR({inode},0):9")]);
    assert_eq!(world.states(chunk), [(0, 2), (1, 0)]);
    let repaired = world.cx(|chunks, cx| chunks.repair(cx, inode, 0, chunk));
    assert_eq!(repaired, Repaired::Unchanged);
    for sim in 0..2 {
        world.sims[sim].copies.clear();
        let id = world.id(sim);
        world.cx(|chunks, cx| chunks.lost(cx, id, [chunk]));
    }
    let repaired = world.cx(|chunks, cx| chunks.repair(cx, inode, 0, chunk));
    assert_eq!(repaired, Repaired::Erased);
    assert_eq!(world.ns.file_chunk(inode, 0), ChunkId::HOLE);
}
