//! System packages that the demo and the tests need, from Debian.

use crate::run;
use std::path::Path;
use std::process::Command;

/// What brings each program that is needed.
const NEEDED: &[(&str, &str)] = &[
    ("/usr/sbin/mfsmaster", "moosefs-master"),
    ("/usr/sbin/mfschunkserver", "moosefs-chunkserver"),
    ("/usr/sbin/mfsmetalogger", "moosefs-metalogger"),
    ("/usr/bin/mfsmount", "moosefs-client"),
    ("/usr/bin/mfscli", "moosefs-cli"),
    ("/bin/fusermount", "fuse3"),
    ("/sbin/ip", "iproute2"),
    ("/usr/bin/nsenter", "util-linux"),
    ("/usr/sbin/keepalived", "keepalived"),
    ("/usr/bin/shellcheck", "shellcheck"),
    ("/usr/bin/git", "git"),
    ("/usr/bin/sqlite3", "sqlite3"),
    ("/usr/bin/fio", "fio"),
    ("/usr/bin/faketime", "faketime"),
    ("/usr/bin/gcc", "gcc"),
    ("/usr/bin/python3", "python3"),
    ("/usr/bin/setfacl", "acl"),
    ("/usr/bin/setfattr", "attr"),
];

/// Installs what is missing, as root; otherwise says what to install and how.
pub fn install() -> Result<(), String> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(program, _)| !Path::new(program).exists())
        .map(|&(_, package)| package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        return Err(format!(
            "system packages are missing; as root: apt-get install --no-install-recommends {list}"
        ));
    }
    println!("installing {list}");
    // The lab starts daemons itself; the packages' own services stay off.
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .args(["-qq", "-o", "Dpkg::Use-Pty=0"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        command
    };
    run(&mut apt(&["update"]))?;
    let mut command = apt(&["install", "-y", "--no-install-recommends"]);
    run(command.args(&missing))
}
