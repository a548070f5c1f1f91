//! Times of reads and writes, told to the master each second (client-behaviour §6.3, §13.4).

use std::collections::HashMap;

use proto::Inode;
use proto::client::push::FileTimes;

/// How often each value is told: one report may be lost with a link.
const REPORTS: u8 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Times {
    atime: u32,
    mtime: u32,
    atime_reports: u8,
    mtime_reports: u8,
}

/// Own reads and writes that the master does not know for sure. Seconds on the master's clock.
#[derive(Debug, Default)]
pub struct FileClock {
    files: HashMap<Inode, Times>,
}

impl FileClock {
    /// A file was read at `now`.
    pub fn read(&mut self, inode: Inode, now: u32) {
        let times = self.files.entry(inode).or_default();
        if times.atime != now {
            times.atime = now;
            times.atime_reports = REPORTS;
        }
    }

    /// A file was written at `now`.
    pub fn written(&mut self, inode: Inode, now: u32) {
        let times = self.files.entry(inode).or_default();
        if times.mtime != now {
            times.mtime = now;
            times.mtime_reports = REPORTS;
        }
    }

    /// The times were set explicitly: own ones count no more.
    pub fn forget(&mut self, inode: Inode) {
        self.files.remove(&inode);
    }

    /// Own atime and mtime of a file, 0 for none.
    pub fn times(&self, inode: Inode) -> (u32, u32) {
        self.files
            .get(&inode)
            .map_or((0, 0), |times| (times.atime, times.mtime))
    }

    /// What is to be told now.
    pub fn report(&mut self) -> Vec<FileTimes> {
        let mut report = Vec::with_capacity(self.files.len());
        self.files.retain(|inode, times| {
            let told = |reports: &mut u8, value: u32| {
                let due = *reports > 0;
                *reports = reports.saturating_sub(1);
                if due { value } else { 0 }
            };
            let atime = told(&mut times.atime_reports, times.atime);
            let mtime = told(&mut times.mtime_reports, times.mtime);
            if (atime, mtime) != (0, 0) {
                report.push(FileTimes {
                    inode: *inode,
                    atime,
                    mtime,
                });
            }
            times.atime_reports > 0 || times.mtime_reports > 0
        });
        report.sort_unstable_by_key(|times| times.inode);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_told_twice() {
        let mut clock = FileClock::default();
        clock.written(Inode(27), 100);
        let told = |atime, mtime| {
            vec![FileTimes {
                inode: Inode(27),
                atime,
                mtime,
            }]
        };
        assert_eq!(clock.report(), told(0, 100));
        clock.read(Inode(27), 101);
        clock.read(Inode(27), 101);
        assert_eq!(clock.times(Inode(27)), (101, 100));
        assert_eq!(clock.report(), told(101, 100));
        assert_eq!(clock.report(), told(101, 0));
        assert_eq!(clock.report(), vec![]);
        assert_eq!(clock.times(Inode(27)), (0, 0));
    }
}
