//! What the process takes from the machine, from /proc.

use std::time::Duration;

/// What the process takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessUsage {
    /// Resident memory, bytes.
    pub memory: u64,
    /// Address space, bytes.
    pub virtual_memory: u64,
    /// System CPU since the last look, microseconds.
    pub system_cpu_micros: u64,
    /// User CPU likewise.
    pub user_cpu_micros: u64,
}

/// CPU time of the process so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    user: Duration,
    system: Duration,
}

/// Memory of the process now, and CPU time since `before`, which is brought up to date.
pub fn since(before: &mut CpuTime) -> ProcessUsage {
    let now = cpu_time();
    let micros = |now: Duration, before: Duration| {
        u64::try_from(now.saturating_sub(before).as_micros()).unwrap_or(u64::MAX)
    };
    let (virtual_memory, memory) = memory().unwrap_or_default();
    let usage = ProcessUsage {
        memory,
        virtual_memory,
        system_cpu_micros: micros(now.system, before.system),
        user_cpu_micros: micros(now.user, before.user),
    };
    *before = now;
    usage
}

fn cpu_time() -> CpuTime {
    parse_cpu(&std::fs::read_to_string("/proc/self/stat").unwrap_or_default()).unwrap_or_default()
}

/// Fields 14 and 15 of proc(5), behind the command's name in parentheses, in clock ticks.
fn parse_cpu(stat: &str) -> Option<CpuTime> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut ticks = fields.split_whitespace().skip(11);
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let mut time = || {
        let ticks: u64 = ticks.next()?.parse().ok()?;
        Some(Duration::from_micros(
            ticks.saturating_mul(1_000_000) / per_second,
        ))
    };
    Some(CpuTime {
        user: time()?,
        system: time()?,
    })
}

/// Address space and resident memory, bytes.
fn memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let page = rustix::param::page_size() as u64;
    let mut pages = text.split_whitespace();
    let mut bytes = || Some(pages.next()?.parse::<u64>().ok()?.saturating_mul(page));
    Some((bytes()?, bytes()?))
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, parse_cpu, since};

    #[test]
    fn the_name_of_the_command_may_contain_anything() {
        let stat = "7 (a) b (c) S 1 1 1 0 -1 4194560 1 0 0 0 300 200 0 0 20 0 1";
        let time = parse_cpu(stat).unwrap();
        assert_eq!(time.user, time.system + time.system / 2);
        assert!(parse_cpu("nothing").is_none());
    }

    #[test]
    fn this_process_takes_memory() {
        let usage = since(&mut CpuTime::default());
        assert!(usage.memory > 0 && usage.virtual_memory >= usage.memory);
    }
}
