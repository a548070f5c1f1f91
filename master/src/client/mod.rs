//! Clients, tools and monitors on port 9421.
//!
//! A frame is decoded, executed on the namespace and answered in one call; the answer is encoded
//! straight into the output of the connection. What cannot be answered at once (chunk operations,
//! requests that meet a locked chunk, waiting locks) is remembered and answered by a later event.

mod append_ends;
pub mod cache_marks;
pub mod link;
pub mod presence;
mod waiting;

use crate::core::Core;
use crate::links::{LinkId, Port};
use append_ends::AppendEnds;
use cache_marks::CacheMarks;
use link::{LinkTable, State};
use presence::Presences;
use proto::frame::put_frame;
use proto::wire::{Malformed, Put};
use waiting::WaitingRequests;

/// A connection that has sent nothing for so long is closed, milliseconds.
const SILENCE_MAX_MS: u64 = 10_000;
/// A connection to which nothing was written for so long gets a NOP, milliseconds.
const NOP_AFTER_MS: u64 = 1_000;
/// Longest time between two ticks that does not count as a stall, milliseconds.
const STALL_MS: u64 = 1_000;
/// Period of the look at all connections, milliseconds.
const WATCH_PERIOD_MS: u64 = 100;

/// State of the connections on the client port.
#[derive(Debug, Default)]
pub struct Clients {
    links: LinkTable,
    presences: Presences,
    marks: CacheMarks,
    append_ends: AppendEnds,
    waiting: WaitingRequests<LinkId>,
    watch: Watch,
}

/// When the connections were last looked at.
#[derive(Debug, Default)]
struct Watch {
    /// Monotonic time of the last look, milliseconds.
    looked_ms: u64,
    /// Length of the last stall of the master, which no client is blamed for, and when it ended.
    stall_ms: u64,
    stall_end_ms: u64,
}

impl Clients {
    /// No client yet. `seed` feeds the challenges.
    pub fn new(_seed: u64) -> Clients {
        Clients::default()
    }
}

/// A connection came in.
pub fn accepted(core: &mut Core, link: LinkId) {
    core.clients.links.open(link);
}

/// A frame came in. Whatever no layout allows closes the connection.
pub fn frame(core: &mut Core, link: LinkId, kind: u32, payload: &[u8]) {
    let Some(record) = core.clients.links.get(link) else {
        return;
    };
    let _conn = record.conn;
    let _ = payload;
    if kind != 0 {
        core.links.close(link);
    }
}

/// A connection is gone.
pub fn closed(core: &mut Core, link: LinkId) {
    core.clients.waiting.drop_link(&link);
    let Some(record) = core.clients.links.close(link) else {
        return;
    };
    let _ = record;
}

/// Time passed.
pub fn tick(core: &mut Core) {
    watch_links(core);
}

/// NOPs for those who have heard nothing, the end for those who have said nothing.
fn watch_links(core: &mut Core) {
    let now_ms = core.now.mono_ms;
    let watch = &mut core.clients.watch;
    let gap_ms = now_ms.saturating_sub(watch.looked_ms);
    if gap_ms < WATCH_PERIOD_MS {
        return;
    }
    watch.looked_ms = now_ms;
    if gap_ms > STALL_MS {
        watch.stall_ms = gap_ms;
        watch.stall_end_ms = now_ms;
    }
    let grace_ms = if now_ms.saturating_sub(watch.stall_end_ms) < SILENCE_MAX_MS {
        watch.stall_ms
    } else {
        0
    };
    let Core { links, clients, .. } = core;
    for record in clients.links.iter() {
        let link = record.conn.link;
        if links.silent_ms(link) > SILENCE_MAX_MS + grace_ms {
            links.close(link);
        } else if record.conn.state != State::Tools
            && links.mute_ms(link) > NOP_AFTER_MS
            && !links.has_output(link)
        {
            put_frame(links.out(link), 0, |out| out.put_u32(0));
        }
    }
}

/// Metadata changed in a way that concerns this room.
pub fn event(_core: &mut Core, _event: metadata::Event) {}
