//! What a mount says when the master accepted it (client-behaviour §1.6).

use client::session::Granted;
use proto::client::register::session_flag;

/// Names of forbidden operations, in the order of their bits.
const DISABLES: [&str; 25] = [
    "chown",
    "chmod",
    "symlink",
    "mkfifo",
    "mkdev",
    "mksock",
    "mkdir",
    "unlink",
    "rmdir",
    "rename",
    "move",
    "link",
    "create",
    "readdir",
    "read",
    "write",
    "truncate",
    "setlength",
    "appendchunks",
    "snapshot",
    "settrash",
    "setsclass",
    "seteattr",
    "setxattr",
    "setfacl",
];

/// The line after `mfsmaster accepted connection with parameters: `.
pub fn describe(granted: &Granted, meta: bool) -> String {
    let has = |flag: u8| granted.flags & flag != 0;
    let mut flags = vec![if has(session_flag::READ_ONLY) {
        "read-only"
    } else {
        "read-write"
    }];
    flags.push(if has(session_flag::DYNAMIC_IP) {
        "not_restricted_ip"
    } else {
        "restricted_ip"
    });
    for (flag, name) in [
        (session_flag::IGNORE_GID, "ignore_gid"),
        (session_flag::ADMIN, "admin"),
        (session_flag::MAP_ALL, "map_all"),
    ] {
        if has(flag) {
            flags.push(name);
        }
    }
    let mut parts = vec![flags.join(",")];
    if !meta {
        if granted.umask != 0 {
            parts.push(format!("global umask set to 0{:03o}", granted.umask));
        }
        parts.push(format!("root mapped to {}", owner(granted.root)));
        if has(session_flag::MAP_ALL) {
            parts.push(format!("users mapped to {}", owner(granted.everybody)));
        }
    }
    let limits = granted.limits;
    if limits.goal_min > 1 || (limits.goal_max < 9 && limits.goal_max > 0) {
        parts.push(format!(
            "setgoal limited to ({}:{})",
            limits.goal_min, limits.goal_max
        ));
    }
    if limits.trash_time_min > 0 || limits.trash_time_max < u32::MAX {
        parts.push(format!(
            "settrashtime limited to ({}:{})",
            duration(limits.trash_time_min),
            if limits.trash_time_max == u32::MAX {
                "-".to_owned()
            } else {
                duration(limits.trash_time_max)
            }
        ));
    }
    let disabled: Vec<&str> = DISABLES
        .iter()
        .enumerate()
        .filter(|(bit, _)| granted.disables & (1 << bit) != 0)
        .map(|(_, name)| *name)
        .collect();
    if !disabled.is_empty() && !meta {
        parts.push(format!("disabled commands: {}", disabled.join(",")));
    }
    parts.join(" ; ")
}

fn owner((uid, gid): (u32, u32)) -> String {
    let user = name_of("/etc/passwd", uid).unwrap_or_else(|| uid.to_string());
    let group = name_of("/etc/group", gid).unwrap_or_else(|| gid.to_string());
    format!("{user}:{group}")
}

/// First column of the line whose third one is `id`.
fn name_of(path: &str, id: u32) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let mut columns = line.split(':');
        let name = columns.next()?;
        (columns.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

/// Seconds as weeks, days, hours, minutes and seconds.
fn duration(mut seconds: u32) -> String {
    let mut text = String::new();
    for (unit, length) in [
        ('w', 604_800),
        ('d', 86_400),
        ('h', 3600),
        ('m', 60),
        ('s', 1),
    ] {
        if seconds >= length {
            text.push_str(&format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::client::register::Limits;

    #[test]
    fn terms_of_a_session_are_told() {
        let open = Limits {
            goal_min: 1,
            goal_max: 9,
            trash_time_min: 0,
            trash_time_max: u32::MAX,
        };
        let granted = Granted {
            flags: session_flag::ADMIN,
            limits: open,
            ..Granted::default()
        };
        assert_eq!(
            describe(&granted, false),
            "read-write,restricted_ip,admin ; root mapped to root:root"
        );
        assert_eq!(describe(&granted, true), "read-write,restricted_ip,admin");
        let granted = Granted {
            flags: session_flag::READ_ONLY | session_flag::MAP_ALL,
            root: (4_000_001, 4_000_077),
            everybody: (4_000_001, 4_000_077),
            umask: 0o022,
            disables: 1 << 3 | 1 << 14,
            limits: Limits {
                goal_min: 2,
                goal_max: 3,
                trash_time_min: 7200,
                trash_time_max: 90_061,
            },
            ..Granted::default()
        };
        assert_eq!(
            describe(&granted, false),
            "read-only,restricted_ip,map_all ; global umask set to 0022 ; \
             root mapped to 4000001:4000077 ; users mapped to 4000001:4000077 ; \
             setgoal limited to (2:3) ; settrashtime limited to (2h:1d1h1m1s) ; \
             disabled commands: mkfifo,read"
        );
    }
}
