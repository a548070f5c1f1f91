//! What the lab needs of the machine.

use std::path::Path;

/// Programs of the MooseFS packages and of the system that the lab runs.
const PROGRAMS: &[&str] = &[
    "/usr/sbin/mfsmaster",
    "/usr/sbin/mfschunkserver",
    "/usr/sbin/mfsmetalogger",
    "/usr/bin/mfsmount",
    "/usr/bin/mfscli",
    "/sbin/ip",
    "/usr/bin/nsenter",
    "/bin/fusermount",
];

/// What is missing, as one sentence for a person; `None` when the lab can run.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("the lab needs root: network namespaces and mounts".to_owned());
    }
    if !Path::new("/dev/fuse").exists() {
        return Some("the lab needs FUSE: there is no /dev/fuse".to_owned());
    }
    let missing: Vec<_> = PROGRAMS
        .iter()
        .filter(|program| !Path::new(program).exists())
        .copied()
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "the lab needs {}: cargo xtask test installs them",
            missing.join(", ")
        )
    })
}

/// Whether a test of the lab can run. Without the means it says why and is left out, except where
/// `CI` is set: there it fails.
pub fn ready() -> bool {
    match missing() {
        None => true,
        Some(why) if std::env::var_os("CI").is_some() => panic!("{why}"),
        Some(why) => {
            eprintln!("left out: {why}");
            false
        }
    }
}
