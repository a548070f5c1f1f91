//! Reports of chunkservers (master-behaviour §6.4, §6.8).

use super::world::{SimCopy, World};
use crate::chunks::CommandKind;
use proto::chunkserver::ReportedChunk;
use proto::{ChunkId, ChunkVersion, Status};

fn report(chunk: u64, version: u32, marked: bool) -> ReportedChunk {
    ReportedChunk {
        chunk: ChunkId(chunk),
        version: ChunkVersion(version),
        marked_for_removal: marked,
    }
}

#[test]
fn a_report_is_judged_by_the_version_of_the_chunk() {
    // Version reported about a chunk of version 1, mark, state that mfsfileinfo shows.
    for (version, marked, state) in [
        (1, false, 0),
        (1, true, 1),
        (0, false, 2),
        (2, false, 2),
        (7, true, 3),
    ] {
        let mut world = World::new(3, 2);
        let (_, chunk) = world.written("f");
        let other = (0..3)
            .find(|sim| !world.holders(chunk).contains(sim))
            .unwrap();
        let id = world.id(other);
        world.cx(|chunks, cx| chunks.found(cx, id, [report(chunk.0, version, marked)]));
        assert!(
            world.states(chunk).contains(&(other, state)),
            "{version} {marked}: {:?}",
            world.states(chunk)
        );
        assert_eq!(world.version(chunk), 1, "a newer version does not win");
    }
}

#[test]
fn unknown_chunks_are_held_for_a_week() {
    let mut world = World::new(2, 2);
    let id = world.id(0);
    world.sims[0].copies.insert(
        ChunkId(5000),
        SimCopy {
            version: 7,
            data: 1,
            marked: false,
        },
    );
    world.lines();
    world.cx(|chunks, cx| {
        chunks.found(
            cx,
            id,
            [
                report(5000, 7, false),
                report(0, 1, false),
                report(2_000_000_000, 1, false),
            ],
        );
    });
    let held_to = world.now.unix + 604_800;
    assert_eq!(world.lines(), [format!("CHUNKADD(5000,7,{held_to})")]);
    world.advance(10_000);
    assert_eq!(world.holders(ChunkId(5000)), [0]);
    // The week is over.
    world.now.unix_micros += 604_800_000_000;
    world.advance(10_000);
    assert!(world.holders(ChunkId(5000)).is_empty());
    assert_eq!(world.lines(), ["CHUNKDEL(5000,7)"]);
}

#[test]
fn damaged_and_lost_copies_are_replaced() {
    for damaged in [true, false] {
        let mut world = World::new(3, 2);
        let (inode, chunk) = world.written("f");
        let bad = world.holders(chunk)[0];
        let id = world.id(bad);
        if damaged {
            world.cx(|chunks, cx| chunks.damaged(cx, id, [chunk]));
            assert!(world.states(chunk).contains(&(bad, 4)));
        } else {
            world.sims[bad].copies.remove(&chunk);
            world.cx(|chunks, cx| chunks.lost(cx, id, [chunk]));
            assert_eq!(world.states(chunk).len(), 1);
        }
        world.advance(5_000);
        let states = world.states(chunk);
        assert_eq!(states.len(), 2, "damaged: {damaged}");
        assert!(states.iter().all(|&(_, state)| state == 0));
        assert_eq!(world.granted(inode).version, ChunkVersion(2));
    }
}

#[test]
fn a_late_or_foreign_status_changes_nothing() {
    let mut world = World::new(2, 2);
    let (_, chunk) = world.written("f");
    let id = world.id(0);
    for kind in [
        CommandKind::Create,
        CommandKind::SetVersion,
        CommandKind::Replicate,
        CommandKind::Delete,
    ] {
        for status in [Status::Ok, Status::Io, Status::NotDone] {
            world.cx(|chunks, cx| chunks.status(cx, id, kind, chunk, status));
            world.cx(|chunks, cx| chunks.status(cx, id, kind, ChunkId(77), status));
            assert_eq!(world.states(chunk), [(0, 0), (1, 0)], "{kind:?} {status:?}");
        }
    }
}

#[test]
fn disks_marked_for_removal_are_replaced_but_kept() {
    let mut world = World::new(3, 2);
    let (_, chunk) = world.written("f");
    let marked = world.holders(chunk)[0];
    let id = world.id(marked);
    world.sims[marked].copies.get_mut(&chunk).unwrap().marked = true;
    world.cx(|chunks, cx| chunks.found(cx, id, [report(chunk.0, 1, true)]));
    assert!(world.states(chunk).contains(&(marked, 1)));
    world.advance(6_000);
    let states = world.states(chunk);
    assert_eq!(states.iter().filter(|&&(_, state)| state == 0).count(), 2);
    assert!(states.contains(&(marked, 1)), "the marked copy stays");
    // Unmarked again: one copy too many, which goes.
    world.cx(|chunks, cx| chunks.found(cx, id, [report(chunk.0, 1, false)]));
    assert_eq!(world.states(chunk).len(), 3);
    world.advance(6_000);
    assert_eq!(world.states(chunk).len(), 2);
}

#[test]
fn the_server_of_a_marked_disk_becomes_ready_for_removal() {
    let mut world = World::new(3, 2);
    let (_, chunk) = world.written("f");
    let marked = world.holders(chunk)[0];
    let id = world.id(marked);
    world.cx(|chunks, cx| chunks.found(cx, id, [report(chunk.0, 1, true)]));
    let state = |world: &World| world.chunks.server_info(id).unwrap().removal as u8;
    world.advance(3_100);
    world.advance(4_000);
    assert_eq!(state(&world), 2);
    // Any disconnection starts the watch anew.
    let other = world.holders(chunk).into_iter().find(|&sim| sim != marked);
    world.disconnect(other.unwrap());
    assert_eq!(state(&world), 0);
}
