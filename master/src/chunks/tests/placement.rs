//! Where new chunks go (master-behaviour §4.5, §5.3).

use super::world::{GIB, World, labels, quick};
use crate::chunks::{ChunkSettings, LoadReport, Progress, UniqueMode};
use metadata::storage_class::{LabelList, LabelMode};
use proto::Status;

const A: u32 = 1;
const Z: u32 = 1 << 25;

#[test]
fn modes_decide_when_labels_cannot_be_met() {
    use LabelMode::{Loose, Standard, Strict};
    // Labels of the servers, expressions, mode, copies or status.
    for (servers, wanted, mode, expected) in [
        (&[0, 0, 0][..], &[Z, Z][..], Loose, Ok(2)),
        (&[0, 0, 0], &[Z, Z], Standard, Ok(2)),
        (&[0, 0, 0], &[Z, Z], Strict, Err(Status::NoSpace)),
        (&[A, 0, 0], &[A, A], Strict, Ok(1)),
        (&[A, 0, 0], &[A, A], Standard, Ok(2)),
        (&[A, A, 0], &[A, A], Strict, Ok(2)),
        (&[A, 0], &[A, 0], Strict, Ok(2)),
        (&[0], &[0, 0, 0], Standard, Ok(1)),
    ] {
        let list = labels(wanted);
        let mut world = World::with(quick(), servers, list, list, mode);
        let inode = world.file("f");
        let (token, progress) = world.write(inode);
        let result = match progress {
            Progress::Refused(status) => Err(status),
            Progress::Granted(grant) => Ok(grant.servers.len()),
            Progress::Pending => world
                .result(token)
                .unwrap()
                .map(|grant| grant.servers.len()),
        };
        assert_eq!(result, expected, "{servers:?} {wanted:?} {mode:?}");
    }
}

#[test]
fn overloaded_servers_make_the_client_wait() {
    let list = labels(&[A, 0]);
    for (mode, expected) in [
        (LabelMode::Loose, None),
        (LabelMode::Standard, Some(Status::Eagain)),
        (LabelMode::Strict, Some(Status::Eagain)),
    ] {
        let mut world = World::with(quick(), &[A, 0, 0], list, list, mode);
        let id = world.id(0);
        let now = world.now.unix;
        world.chunks.set_load(now, id, 500, LoadReport::Overloaded);
        let inode = world.file("f");
        let refused = match world.write(inode).1 {
            Progress::Refused(status) => Some(status),
            _ => None,
        };
        assert_eq!(refused, expected, "{mode:?}");
    }
    // Too few servers without the overloaded ones.
    let mut world = World::new(2, 2);
    let id = world.id(0);
    let now = world.now.unix;
    world.chunks.set_load(now, id, 9, LoadReport::Overloaded);
    let inode = world.file("f");
    assert_eq!(world.write(inode).1, Progress::Refused(Status::Eagain));
}

#[test]
fn without_servers_the_status_tells_why() {
    let mut world = World::new(1, 1);
    let inode = world.file("f");
    world.disconnect(0);
    world.advance(3_000);
    assert_eq!(world.write(inode).1, Progress::Refused(Status::Eagain));
    world.chunks.set_presence(Default::default());
    assert_eq!(
        world.write(inode).1,
        Progress::Refused(Status::NoChunkServers)
    );
    world.sims[0].used = world.sims[0].total;
    world.connect(0);
    world.advance(3_000);
    assert_eq!(world.write(inode).1, Progress::Refused(Status::NoSpace));
}

#[test]
fn servers_are_used_in_proportion_to_their_size() {
    let mut world = World::new(3, 1);
    for (sim, total) in [(0, 1000), (1, 2000), (2, 4000)] {
        let id = world.id(sim);
        let mut space = world.chunks.server_info(id).unwrap().space;
        space.total = total * GIB;
        world.chunks.set_space(id, space);
    }
    let mut counts = [0u32; 3];
    for number in 0..700 {
        let (_, chunk) = world.written(&format!("f{number}"));
        counts[world.holders(chunk)[0]] += 1;
    }
    for (count, expected) in counts.iter().zip([100u32, 200, 400]) {
        assert!(count.abs_diff(expected) < expected / 3, "{counts:?}");
    }
}

#[test]
fn unique_mode_spreads_over_addresses() {
    let settings = ChunkSettings {
        unique_mode: UniqueMode::Ip,
        ..quick()
    };
    let list = LabelList::any(2).unwrap();
    let mut world = World::with(settings, &[0, 0, 0], list, list, LabelMode::Standard);
    // Two of the servers share an address.
    world.disconnect(1);
    world.advance(200);
    world.sims[1].ip = world.sims[0].ip;
    world.connect(1);
    world.advance(11_000);
    for number in 0..20 {
        let (_, chunk) = world.written(&format!("f{number}"));
        world.advance(3_000);
        let holders = world.holders(chunk);
        assert!(holders.contains(&2) && holders.len() == 2, "{holders:?}");
    }
}
