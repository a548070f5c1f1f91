//! The master's charts: what was counted in a minute becomes a sample (wire-admin §5.3, §6).

use crate::chunks::CommandKind;
use crate::core::{Core, Now};
use crate::links::{LinkId, Port};
use daemon::charts::{Charts, LocalTime, MASTER};
use daemon::usage::ProcessUsage;
use proto::Status;
use proto::admin::{GetChartData, GetChartImage, NO_DATA};

/// Seconds between two samples.
const MINUTE: u32 = 60;
/// Operations of clients that are counted.
const OPERATIONS: usize = 16;

/// Orders of one sort to chunkservers.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    sent: u64,
    done: u64,
    failed: u64,
}

/// What happened since the last full minute.
#[derive(Clone, Copy, Debug, Default)]
pub struct Minute {
    create: Orders,
    delete: Orders,
    replicate: Orders,
    change: Orders,
}

impl Minute {
    fn orders(&mut self, kind: CommandKind) -> &mut Orders {
        match kind {
            CommandKind::Create => &mut self.create,
            CommandKind::Delete => &mut self.delete,
            CommandKind::Replicate => &mut self.replicate,
            CommandKind::Duplicate
            | CommandKind::SetVersion
            | CommandKind::Truncate
            | CommandKind::DuplicateTruncate => &mut self.change,
        }
    }

    /// An order was sent to a chunkserver.
    pub fn ordered(&mut self, kind: CommandKind) {
        self.orders(kind).sent += 1;
    }

    /// A chunkserver told what became of an order.
    pub fn answered(&mut self, kind: CommandKind, status: Status) {
        let orders = self.orders(kind);
        match status {
            Status::Ok => orders.done += 1,
            _ => orders.failed += 1,
        }
    }
}

/// The charts, and where the clock stands.
#[derive(Debug, Default)]
pub(super) struct ChartRoom {
    charts: Option<Charts>,
    /// Local time minus universal time, seconds.
    utc_offset: i32,
    minute: u32,
}

impl ChartRoom {
    fn local(&self, unix: u32) -> LocalTime {
        LocalTime(unix.saturating_add_signed(self.utc_offset))
    }
}

/// Begins with the charts of `stats.mfs`, or with none.
pub fn begin(core: &mut Core, charts: Charts, utc_offset: i32) {
    let minute = core.now.unix / MINUTE;
    core.admin.charts = ChartRoom {
        charts: Some(charts),
        utc_offset,
        minute,
    };
}

/// The content of `stats.mfs`; `None` before [`begin`].
pub fn file(core: &Core) -> Option<Vec<u8>> {
    core.admin.charts.charts.as_ref().map(Charts::to_file)
}

/// Whether a full minute passed since the last sample: the shell then tells what the process uses.
pub fn is_due_at(core: &Core, now: Now) -> bool {
    now.unix / MINUTE != core.admin.charts.minute
}

/// Takes the sample of the minute that ended. `utc_offset` follows the zone's summer time.
pub fn sample(core: &mut Core, usage: ProcessUsage, utc_offset: i32) {
    core.admin.usage = usage;
    core.admin.charts.utc_offset = utc_offset;
    core.admin.charts.minute = core.now.unix / MINUTE;
    let minute = std::mem::take(&mut core.admin.minute);
    let operations: [u64; OPERATIONS] = core.clients.take_operations();
    let traffic = core.links.take_traffic(Port::Client);
    let space = core.chunks.space();
    let known = |value: u64| if value == 0 { NO_DATA } else { value };
    let mut samples = vec![
        known(usage.user_cpu_micros),
        known(usage.system_cpu_micros),
        minute.delete.sent,
        minute.replicate.sent,
    ];
    samples.extend(operations);
    samples.extend([
        usage.memory,
        traffic.packets_in,
        traffic.packets_out,
        traffic.bytes_in,
        traffic.bytes_out,
        usage.virtual_memory,
        space.total.saturating_sub(space.available),
        space.total,
        minute.create.sent,
        minute.change.sent,
        minute.delete.done,
        minute.delete.failed,
        minute.replicate.done,
        minute.replicate.failed,
        minute.create.done,
        minute.create.failed,
        minute.change.done,
        minute.change.failed,
    ]);
    let room = &mut core.admin.charts;
    let now = room.local(core.now.unix);
    if let Some(charts) = &mut room.charts {
        charts.record(now, &samples);
    }
}

/// Samples of a series (506).
pub(super) fn data(core: &mut Core, link: LinkId, request: GetChartData) {
    with(core, link, |charts, out| charts.put_data(request, out));
}

/// A picture (504).
pub(super) fn image(core: &mut Core, link: LinkId, request: GetChartImage) {
    with(core, link, |charts, out| charts.put_image(request, out));
}

/// Sums since the start (502).
pub(super) fn monotonic(core: &mut Core, link: LinkId) {
    with(core, link, Charts::put_monotonic);
}

fn with(core: &mut Core, link: LinkId, answer: impl FnOnce(&Charts, &mut Vec<u8>)) {
    let now = core.admin.charts.local(core.now.unix);
    let charts = core
        .admin
        .charts
        .charts
        .get_or_insert_with(|| Charts::new(&MASTER, now));
    answer(charts, core.links.out(link));
}
