//! What the master does to the namespace by itself, on the clock (master-behaviour §17.1).

use crate::core::Core;
use metadata::Tx;

/// Trash buckets, one looked at each second.
const TRASH_BUCKETS: u32 = 4096;
/// Buckets of sustained files, one looked at each second.
const SUSTAINED_BUCKETS: u32 = 256;
/// Period of the release of inode numbers, seconds of the wall clock.
const FREE_INODES_PERIOD: u32 = 60;

/// Where the rounds are.
#[derive(Debug, Default)]
pub struct Periodic {
    second: u32,
    trash_bucket: u32,
    sustained_bucket: u32,
    free_inodes_round: u32,
}

/// Does what the seconds since the last call ask for. A clock that jumps does not make it repeat a
/// job for each second that it skipped.
pub fn tick(core: &mut Core) {
    let now = core.now.unix;
    if now == core.periodic.second {
        return;
    }
    core.periodic.second = now;
    let mut tx = Tx::new(now, &mut core.out);
    core.ns.quota_check_all(&mut tx);
    core.ns.empty_trash(&mut tx, core.periodic.trash_bucket);
    core.periodic.trash_bucket = (core.periodic.trash_bucket + 1) % TRASH_BUCKETS;
    core.ns
        .empty_sustained(&mut tx, core.periodic.sustained_bucket);
    core.periodic.sustained_bucket = (core.periodic.sustained_bucket + 1) % SUSTAINED_BUCKETS;
    let round = now / FREE_INODES_PERIOD;
    if round != core.periodic.free_inodes_round {
        core.periodic.free_inodes_round = round;
        core.ns
            .free_inodes(&mut tx, core.settings.inode_reuse_delay_seconds);
    }
}
