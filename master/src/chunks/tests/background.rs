//! Work on chunks in the background (master-behaviour §6.6, §7).

use super::world::{Answer, GIB, World, kind_of, labels, quick};
use crate::chunks::{ChunkSettings, Command, Presence};
use metadata::storage_class::{LabelList, LabelMode};
use proto::{ChunkId, Inode, Status};
use std::collections::BTreeSet;

const A: u32 = 1;
const B: u32 = 2;

fn remove(world: &mut World, inode: Inode) {
    // Cut to nothing: the chunk has no file any more.
    let mut tx = metadata::Tx::new(world.now.unix, &mut world.out);
    world.ns.set_length(&mut tx, inode, 0, true).unwrap();
    world.settle();
}

#[test]
fn a_lost_server_is_replaced_within_moments() {
    let mut world = World::new(4, 2);
    let chunks: Vec<ChunkId> = (0..50).map(|n| world.written(&format!("f{n}")).1).collect();
    world.orders();
    world.disconnect(0);
    world.advance(2_000);
    for chunk in chunks {
        let copies = world.states(chunk);
        assert_eq!(copies.len(), 2, "{chunk}");
        assert!(copies.iter().all(|&(sim, state)| sim != 0 && state == 0));
    }
}

#[test]
fn nothing_is_replicated_while_all_absent_servers_are_in_maintenance() {
    let mut world = World::new(3, 2);
    let (_, chunk) = world.written("f");
    let holder = world.holders(chunk)[0];
    world.disconnect(holder);
    world.chunks.set_presence(Presence {
        absent: 1,
        absent_in_maintenance: 1,
    });
    world.orders();
    world.advance(5_000);
    assert_eq!(world.orders(), []);
    world.chunks.set_presence(Presence {
        absent: 1,
        absent_in_maintenance: 0,
    });
    world.advance(5_000);
    assert_eq!(world.states(chunk).len(), 2);
}

#[test]
fn nothing_happens_in_the_first_seconds() {
    let settings = ChunkSettings {
        delay_init_seconds: 60,
        ..quick()
    };
    let list = LabelList::any(2).unwrap();
    let mut world = World::with(settings, &[0, 0, 0], list, list, LabelMode::Standard);
    let (_, chunk) = world.written("f");
    let holder = world.holders(chunk)[0];
    world.disconnect(holder);
    world.orders();
    world.advance(40_000);
    assert_eq!(world.orders(), []);
    world.advance(10_000);
    assert_eq!(world.states(chunk).len(), 2);
}

#[test]
fn unused_chunks_are_deleted_within_the_limit() {
    let mut world = World::new(1, 1);
    let files: Vec<_> = (0..40).map(|n| world.written(&format!("f{n}"))).collect();
    for &(inode, _) in &files {
        remove(&mut world, inode);
    }
    world.rules.insert(0, |command| match command {
        Command::Delete { .. } => Answer::Hold,
        _ => Answer::Obey,
    });
    world.orders();
    world.advance(2_000);
    // An unanswered order is repeated in each pass, but no further one goes out.
    let ordered: BTreeSet<ChunkId> = world
        .orders()
        .iter()
        .map(|(_, command)| kind_of(command).1)
        .collect();
    assert_eq!(ordered.len(), 10, "the soft limit");
    for _ in 0..10 {
        world.release();
        world.advance(1_500);
    }
    for (_, chunk) in files {
        assert!(world.holders(chunk).is_empty());
        assert!(world.ns.chunk(chunk).is_none(), "{chunk}");
    }
    assert_eq!(world.chunks.copies_total(), 0);
}

#[test]
fn records_stay_while_a_known_server_is_away() {
    let mut world = World::new(2, 1);
    let (inode, chunk) = world.written("f");
    let holder = world.holders(chunk)[0];
    remove(&mut world, inode);
    world.disconnect(1 - holder);
    world.advance(5_000);
    assert!(world.holders(chunk).is_empty());
    assert!(world.ns.chunk(chunk).is_some());
    world.connect(1 - holder);
    world.advance(5_000);
    assert!(world.ns.chunk(chunk).is_none());
}

#[test]
fn chunks_move_to_where_the_keep_list_wants_them() {
    let mut world = World::with(
        quick(),
        &[A, A, B, B],
        labels(&[A, A]),
        labels(&[A, B]),
        LabelMode::Standard,
    );
    for number in 0..10 {
        let (_, chunk) = world.written(&format!("f{number}"));
        world.advance(3_000);
        let holders = world.holders(chunk);
        assert_eq!(holders.len(), 2);
        assert!(holders.iter().any(|&sim| sim >= 2), "{holders:?}");
        assert!(holders.iter().any(|&sim| sim < 2), "{holders:?}");
    }
}

#[test]
fn strict_labels_wait_and_loose_ones_do_not() {
    for (mode, copies) in [
        (LabelMode::Strict, 1),
        (LabelMode::Standard, 2),
        (LabelMode::Loose, 2),
    ] {
        let list = labels(&[A, A]);
        let mut world = World::with(quick(), &[A, A, 0], list, list, mode);
        let (_, chunk) = world.written("f");
        world.disconnect(0);
        world.advance(5_000);
        assert_eq!(world.states(chunk).len(), copies, "{mode:?}");
    }
}

#[test]
fn a_version_that_is_one_off_everywhere_is_taken_over_with_a_line() {
    for (versions, repaired) in [
        ([2, 2], Some(2)),
        ([0, 0], None),
        ([3, 3], None),
        ([2, 1], None),
    ] {
        let mut world = World::new(2, 2);
        let (_, chunk) = world.written("f");
        for sim in 0..2 {
            world.disconnect(sim);
        }
        world.advance(200);
        for (sim, version) in versions.into_iter().enumerate() {
            world.sims[sim].copies.get_mut(&chunk).unwrap().version = version;
            world.connect(sim);
        }
        world.lines();
        world.advance(3_500);
        match repaired {
            Some(version) => {
                assert_eq!(world.lines(), [format!("SETVERSION({chunk},{version})")]);
                assert_eq!(world.states(chunk), [(0, 0), (1, 0)]);
            }
            None => assert_eq!(world.lines(), Vec::<String>::new(), "{versions:?}"),
        }
    }
}

#[test]
fn one_chunk_makes_one_copy_at_a_time_and_servers_keep_their_limits() {
    let mut world = World::new(3, 1);
    let files: Vec<_> = (0..30).map(|n| world.written(&format!("f{n}"))).collect();
    let change = metadata::storage_class::ClassChange {
        keep: LabelList::any(3),
        force: true,
        ..Default::default()
    };
    let mut tx = metadata::Tx::new(world.now.unix, &mut world.out);
    world
        .ns
        .class_change(&mut tx, &metadata::Caller::MASTER, b"2", &change)
        .unwrap();
    for sim in 0..3 {
        world.rules.insert(sim, |_| Answer::Hold);
    }
    world.orders();
    world.advance(2_000);
    let mut into = [0; 3];
    for (sim, command) in world.orders() {
        assert!(matches!(command, Command::Replicate { .. }));
        into[sim] += 1;
    }
    // Needed 3, one copy: endangered, two at a time into each server.
    assert_eq!(into, [2, 2, 2]);
    world.rules.clear();
    world.release();
    world.advance(10_000);
    for (_, chunk) in files {
        assert_eq!(world.states(chunk).len(), 3);
    }
}

#[test]
fn a_failed_replication_is_tried_again() {
    let mut world = World::new(2, 2);
    let (_, chunk) = world.written("f");
    let id = world.id(1);
    world.rules.insert(1, |_| Answer::Say(Status::Disconnected));
    world.sims[1].copies.remove(&chunk);
    world.cx(|chunks, cx| chunks.lost(cx, id, [chunk]));
    world.advance(3_000);
    assert_eq!(world.states(chunk), [(0, 0)]);
    assert!(!world.orders().is_empty());
    world.rules.clear();
    world.advance(2_000);
    assert_eq!(world.states(chunk), [(0, 0), (1, 0)]);
}

#[test]
fn usage_is_evened_out_and_a_write_meanwhile_voids_the_copy() {
    let mut world = World::new(2, 1);
    let files: Vec<_> = (0..8).map(|n| world.written(&format!("f{n}"))).collect();
    let full = world.id(0);
    let mut space = world.chunks.server_info(full).unwrap().space;
    space.used = 500 * GIB;
    world.chunks.set_space(full, space);
    let before = files
        .iter()
        .filter(|&&(_, chunk)| world.holders(chunk) == [0])
        .count();
    assert!(before > 0);
    world.rules.insert(1, |command| match command {
        Command::Replicate { .. } => Answer::Hold,
        _ => Answer::Obey,
    });
    world.advance(1_500);
    let &(_, Command::Replicate { chunk, .. }) = world.held.front().unwrap() else {
        panic!("no move");
    };
    // The chunk is not locked: a client writes, and its version rises.
    let &(inode, _) = files.iter().find(|&&(_, other)| other == chunk).unwrap();
    let grant = world.granted(inode);
    assert_eq!((grant.version.0, grant.servers.len()), (2, 1));
    world.write_end(chunk);
    // The copy of the old version is void.
    let (sim, command) = world.held.pop_front().unwrap();
    world.answer(sim, &command, Status::Ok);
    world.settle();
    assert!(
        world.states(chunk).contains(&(1, 4)),
        "{:?}",
        world.states(chunk)
    );
    world.rules.clear();
    world.release();
    world.advance(5_000);
    for (_, chunk) in files {
        assert_eq!(world.holders(chunk), [1], "{chunk}");
    }
}

#[test]
fn the_pass_takes_its_time_and_is_reported() {
    let settings = ChunkSettings {
        loop_min_seconds: 60,
        ..quick()
    };
    let list = LabelList::any(1).unwrap();
    let mut world = World::with(settings, &[0, 0], list, list, LabelMode::Standard);
    for number in 0..5 {
        world.written(&format!("f{number}"));
    }
    world.advance(58_000);
    let first = *world.chunks.loop_report();
    world.advance(61_000);
    let second = *world.chunks.loop_report();
    assert_ne!(first, second);
    assert!(
        (60..=61).contains(&(second.ended - second.began)),
        "{second:?}"
    );
}

#[test]
fn the_matrices_follow_the_copies() {
    let mut world = World::new(3, 2);
    for number in 0..4 {
        world.written(&format!("f{number}"));
    }
    assert_eq!(world.chunks.matrix()[2][2], 4);
    assert_eq!(world.chunks.class_chunks(2).keep, [0, 4, 0]);
    let total: u32 = world.chunks.matrix().iter().flatten().sum();
    assert_eq!(total, 4);
    let inode = world
        .ns
        .lookup(&metadata::Caller::MASTER, Inode::ROOT, b"f0");
    remove(&mut world, inode.unwrap().inode);
    assert_eq!(world.chunks.matrix()[2][2], 3);
    assert_eq!(world.chunks.matrix()[0][2], 1);
    world.advance(5_000);
    let total: u32 = world.chunks.matrix().iter().flatten().sum();
    assert_eq!(total, 3);
}
