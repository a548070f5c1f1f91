//! Extended attributes, access control lists, and the attributes of MooseFS itself.

use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, run};
use std::path::PathBuf;

fn mounted() -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 1,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(1)?;
    let mount = cluster.mount("mnt", &[])?;
    Ok((cluster, mount))
}

/// Shell calls with their exit codes, one after the other.
fn calls(cluster: &Cluster, mount: &std::path::Path, table: &[(&str, i32)]) -> Result<()> {
    for (call, code) in table {
        let output = run(cluster.command("sh").args(["-c", call]).current_dir(mount))?;
        ensure!(output.code == *code, "{call}: {output:?}");
    }
    Ok(())
}

#[test]
fn extended_attributes() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    let table = [
        ("touch f; mkdir d; ln -s f l", 0),
        ("setfattr -n user.a -v one f", 0),
        ("test \"$(getfattr -n user.a --only-values f)\" = one", 0),
        (
            "setfattr -n user.a -v two f && test \"$(getfattr -n user.a --only-values f)\" = two",
            0,
        ),
        (
            "setfattr -n user.empty f && getfattr -n user.empty f | grep -q '^user.empty'",
            0,
        ),
        (
            "setfattr -n trusted.t -v x f && setfattr -n security.s -v x d",
            0,
        ),
        (
            "getfattr -d -m - f | grep -c = ; test $(getfattr -d -m - f | grep -c '^[a-z]') = 3",
            0,
        ),
        ("setfattr -x user.a f; getfattr -n user.a f", 1),
        ("setfattr -x user.a f", 1),
        // The longest value, and one byte more.
        (
            "python3 -c \"import os; os.setxattr('f','user.long',b'v'*65536)\"",
            0,
        ),
        (
            "python3 -c \"import os; assert os.getxattr('f','user.long')==b'v'*65536\"",
            0,
        ),
        (
            "python3 -c \"import os; os.setxattr('f','user.long',b'v'*65537)\"",
            1,
        ),
        (
            "python3 -c \"import os; os.setxattr('f','user.'+'n'*250,b'v'); assert len(os.listxattr('f'))==4\"",
            0,
        ),
        // XATTR_CREATE and XATTR_REPLACE.
        (
            "python3 -c \"import os; os.setxattr('f','user.long',b'',1)\" 2>&1 | grep -q exists",
            0,
        ),
        (
            "python3 -c \"import os; os.setxattr('f','user.none',b'',2)\" 2>&1 | grep -q 'No data'",
            0,
        ),
        ("rm f; touch f; test -z \"$(getfattr -d -m - f)\"", 0),
        // Others may read user.* of a file they can read, and set nothing.
        (
            "setfattr -n user.a -v 1 d; chmod 755 d; setpriv --reuid 1000 --regid 1000 --clear-groups getfattr -n user.a d",
            0,
        ),
        (
            "setpriv --reuid 1000 --regid 1000 --clear-groups setfattr -n user.a -v 2 d",
            1,
        ),
    ];
    calls(&cluster, &mount, &table)
}

#[test]
fn access_control_lists() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    let user = "setpriv --reuid 1000 --regid 1000 --clear-groups";
    let other = "setpriv --reuid 1001 --regid 1001 --clear-groups";
    let member = "setpriv --reuid 1002 --regid 1002 --groups 2000";
    let table = [
        ("echo x > f; chmod 600 f; mkdir d; chmod 700 d".to_owned(), 0),
        (format!("{user} cat f"), 1),
        ("setfacl -m u:1000:r f".to_owned(), 0),
        (format!("{user} cat f"), 0),
        (format!("{other} cat f"), 1),
        (format!("{user} sh -c 'echo y >> f'"), 2),
        ("setfacl -m g:2000:rw f".to_owned(), 0),
        (format!("{member} sh -c 'echo y >> f'"), 0),
        // The mode's group bits are the mask.
        ("test \"$(stat -c %a f)\" = 660".to_owned(), 0),
        ("chmod 640 f; getfacl -nc f | grep -q '^group:2000:rw-.*effective:r--'".to_owned(), 0),
        (format!("{member} sh -c 'echo y >> f'"), 2),
        ("setfacl -b f; getfacl -nc f | grep -q 2000".to_owned(), 1),
        (format!("{user} cat f"), 1),
        // Defaults are inherited, and the umask then does not count.
        ("setfacl -d -m u:1000:rwx,g::r-x,o::- d; setfacl -m u:1000:rwx d".to_owned(), 0),
        ("cd d; umask 077; touch new; mkdir sub; test \"$(stat -c %a new sub)\" = \"$(printf '660\\n770')\"".to_owned(), 0),
        ("getfacl -nc d/sub | grep -q '^default:user:1000:rwx'".to_owned(), 0),
        (format!("{user} sh -c 'echo x > d/sub/by-user && echo y >> d/new'"), 0),
        (format!("{other} ls d"), 2),
        ("setfacl -k d; touch d/plain; getfacl -nc d/plain | grep -q 1000".to_owned(), 1),
        // cp and tar carry them.
        ("setfacl -m u:1000:r f; cp -a f g; getfacl -nc g | grep -q user:1000:r--".to_owned(), 0),
        ("mfsmakesnapshot f h; getfacl -nc h | grep -q user:1000:r--".to_owned(), 0),
    ];
    let table: Vec<(&str, i32)> = table
        .iter()
        .map(|(call, code)| (&call[..], *code))
        .collect();
    calls(&cluster, &mount, &table)?;
    cluster.kill_master()?;
    cluster.master("start -a")?.success()?;
    calls(
        &cluster,
        &mount,
        &[("getfacl -nc g | grep -q user:1000:r--", 0)],
    )
}

#[test]
fn extra_attributes() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    let table = [
        ("echo x > f; mkdir d; mfsseteattr -f immutable f", 0),
        ("echo y >> f", 2),
        ("rm f", 1),
        ("chmod 600 f", 1),
        ("mv f g", 1),
        ("ln f g", 1),
        ("mfsdeleattr -f immutable f; mfsseteattr -f appendonly f", 0),
        ("echo y >> f", 0),
        ("echo y > f", 2),
        ("truncate -s 0 f", 1),
        (
            "mfsdeleattr -f appendonly f; mfsseteattr -f undeletable f",
            0,
        ),
        ("rm f", 1),
        ("echo y > f", 0),
        (
            "mfsdeleattr -f undeletable f; mfsseteattr -f noowner f; chmod 600 f",
            0,
        ),
        ("setpriv --reuid 1000 --regid 1000 --clear-groups cat f", 0),
        (
            "mfsseteattr -f nodatacache d; touch d/n; mfsgeteattr d/n | grep -q nodatacache",
            0,
        ),
        ("mfsdeleattr -f noowner f; rm f", 0),
    ];
    calls(&cluster, &mount, &table)
}
