//! What a master writes into the changelog before it serves (metadata-and-changelog §1.7, §1.8).

use crate::core::Core;
use metadata::Tx;
use proto::MetaId;

/// Gives a file system without identity one, and directory entries without positions new ones.
/// `random` is the lower half of a new identity; the upper one is the time.
pub fn write(core: &mut Core, must_renumerate: bool, random: u32) -> Result<(), String> {
    let mut tx = Tx::new(core.now.unix, &mut core.out);
    if must_renumerate {
        core.ns
            .renumerate_edges(&mut tx)
            .map_err(|status| format!("can't give directory entries new positions: {status}"))?;
    }
    if core.ns.metaid() == MetaId(0) {
        let id = u64::from(core.now.unix) << 32 | u64::from(random);
        core.ns.set_metaid(&mut tx, MetaId(id));
    }
    core.ns.sessions_start(core.now.unix);
    Ok(())
}
