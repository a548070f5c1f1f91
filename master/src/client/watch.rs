//! What the clock brings: NOPs, silent connections, expired requests and sessions.

use crate::client::data_ops;
use crate::client::link::State;
use crate::core::Core;
use metadata::Tx;
use proto::client::push::put_nop;

/// A connection that has sent nothing for so long is closed, milliseconds.
const SILENCE_MAX_MS: u64 = 10_000;
/// A connection to which nothing was written for so long gets a NOP, milliseconds.
const NOP_AFTER_MS: u64 = 1_000;
/// A gap between two looks that is longer was a stall of the master, milliseconds.
const STALL_MS: u64 = 1_000;
/// Period of the look at all connections, milliseconds.
const LOOK_PERIOD_MS: u64 = 100;
/// Period of the look at sessions that may be removed, seconds of the wall clock.
const SESSIONS_PERIOD: u32 = 10;
/// No session is removed so soon after the start of the master, milliseconds: clients that are on
/// their way back must find theirs.
const SESSIONS_GRACE_MS: u64 = 120_000;
/// Seconds of an hour.
const HOUR: u32 = 3600;

/// When what was last looked at.
#[derive(Debug, Default)]
pub struct Watch {
    looked_ms: u64,
    /// Length of the last stall of the master, which no client is blamed for, and its end.
    stall_ms: u64,
    stall_end_ms: u64,
    second: u32,
}

/// Does what is due.
pub fn tick(core: &mut Core) {
    look_at_links(core);
    let now = core.now.unix;
    let before = std::mem::replace(&mut core.clients.watch.second, now);
    if now == before {
        return;
    }
    data_ops::expire(core);
    core.clients.flush_counters(&mut core.ns);
    if before != 0 && now / HOUR != before / HOUR {
        core.ns.sessions_new_hour();
    }
    if now / SESSIONS_PERIOD != before / SESSIONS_PERIOD && core.now.mono_ms >= SESSIONS_GRACE_MS {
        remove_sessions(core);
    }
}

/// NOPs for those who have heard nothing, the end for those who have said nothing.
fn look_at_links(core: &mut Core) {
    let now_ms = core.now.mono_ms;
    let watch = &mut core.clients.watch;
    let gap_ms = now_ms.saturating_sub(watch.looked_ms);
    if gap_ms < LOOK_PERIOD_MS {
        return;
    }
    watch.looked_ms = now_ms;
    if gap_ms > STALL_MS {
        watch.stall_ms = gap_ms;
        watch.stall_end_ms = now_ms;
    }
    let is_stall_fresh = now_ms.saturating_sub(watch.stall_end_ms) < SILENCE_MAX_MS;
    let grace_ms = if is_stall_fresh { watch.stall_ms } else { 0 };

    let Core { links, clients, .. } = core;
    for record in clients.links.iter() {
        let link = record.conn.link;
        if links.silent_ms(link) > SILENCE_MAX_MS + grace_ms {
            links.close(link);
        } else if record.conn.state != State::Tools
            && links.mute_ms(link) > NOP_AFTER_MS
            && !links.has_output(link)
        {
            put_nop(links.out(link));
        }
    }
}

/// Removes the sessions whose clients said good-bye or stayed away too long.
fn remove_sessions(core: &mut Core) {
    let now = core.now.unix;
    let sustain_seconds = core.settings.session_sustain_seconds;
    for session in core.ns.expired_sessions(now, sustain_seconds) {
        if !core.clients.presences.links(session).is_empty() {
            continue;
        }
        let mut tx = Tx::new(now, &mut core.out);
        if core.ns.session_del(&mut tx, session).is_ok() {
            tracing::info!("remove session: {session}");
        }
    }
}
