//! Groups of the processes that make requests (client-behaviour §9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::caller::Caller;
use crate::session::Session;

/// Processes that are remembered at most.
const ENTRIES_MAX: usize = 50_000;

struct Entry {
    gids: Arc<[u32]>,
    since: Instant,
}

/// Supplementary groups by process, user and group.
pub(super) struct Groups {
    keep: Duration,
    entries: Mutex<HashMap<(u32, u32, u32), Entry>>,
}

impl Groups {
    /// `keep`: how long a process's groups are believed; zero: only the primary group counts.
    pub(super) fn new(keep: Duration) -> Groups {
        Groups {
            keep,
            entries: Mutex::default(),
        }
    }

    /// The caller behind a request of the kernel.
    pub(super) fn caller(&self, session: &Session, uid: u32, gid: u32, pid: u32) -> Caller {
        // Permissions do not depend on the groups of a user who may do everything.
        let is_root = uid == 0 && session.granted().root.0 == 0;
        if self.keep.is_zero() || is_root {
            return Caller::new(uid, gid, &[], pid);
        }
        let key = (pid, uid, gid);
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(&key)
            && uid != 0
            && now.duration_since(entry.since) < self.keep
        {
            return Caller::with_groups(uid, Arc::clone(&entry.gids), pid);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| now.duration_since(entry.since) < self.keep);
            if entries.len() >= ENTRIES_MAX {
                entries.clear();
            }
        }
        let further = std::fs::read_to_string(format!("/proc/{pid}/status"))
            .map(|status| further_groups(&status, gid))
            .unwrap_or_default();
        let gids: Arc<[u32]> = std::iter::once(gid).chain(further).collect();
        let entry = Entry {
            gids: Arc::clone(&gids),
            since: now,
        };
        entries.insert(key, entry);
        Caller::with_groups(uid, gids, pid)
    }
}

/// The `Groups:` line of `/proc/PID/status` without the primary group.
fn further_groups(status: &str, gid: u32) -> Vec<u32> {
    status
        .lines()
        .find_map(|line| line.strip_prefix("Groups:"))
        .into_iter()
        .flat_map(str::split_whitespace)
        .filter_map(|number| number.parse().ok())
        .filter(|further| *further != gid)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::further_groups;

    #[test]
    fn the_primary_group_comes_once() {
        let status = "Name:\tcat\nGid:\t77\t77\t77\t77\nGroups:\t5 77 100 4242 \nNgid:\t0\n";
        assert_eq!(further_groups(status, 77), [5, 100, 4242]);
        assert_eq!(further_groups("Name:\tcat\n", 77), [0; 0]);
    }
}
