//! What a mount may do and what it keeps: exports and their changes, restarts of the master.

use anyhow::{Context, Result, bail, ensure};
use lab::{Cluster, ClusterOptions, Program, run, wait_until};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const OPEN: &str = "* / rw,alldirs,admin,maproot=0:0\n* . rw\n";

fn cluster(exports: &str) -> Result<Cluster> {
    let cluster = Cluster::start(ClusterOptions {
        chunkservers: 1,
        exports: exports.to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(1)?;
    Ok(cluster)
}

fn set_exports(cluster: &Cluster, exports: &str) -> Result<()> {
    fs::write(cluster.etc("mfsexports.cfg"), exports)?;
    cluster.master("reload")?.success()?;
    Ok(())
}

/// The error number of an operation that has to fail.
fn refusal<T>(result: std::io::Result<T>) -> Result<i32> {
    match result {
        Ok(_) => bail!("was done"),
        Err(error) => error.raw_os_error().context("not from the system"),
    }
}

/// A process that takes a lock with a script in `python3` and holds it until its input ends.
struct Holder(Child);

impl Holder {
    fn new(path: &Path, call: &str) -> Result<Holder> {
        let script = format!(
            "import fcntl,sys\nf=open(sys.argv[1],'r+')\n{call}\nprint('held',flush=True)\nsys.stdin.read()"
        );
        let mut child = Command::new("python3")
            .args(["-c", &script])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut held = [0; 5];
        child
            .stdout
            .as_mut()
            .context("no pipe")?
            .read_exact(&mut held)?;
        Ok(Holder(child))
    }

    fn release(mut self) -> Result<()> {
        drop(self.0.stdin.take());
        ensure!(self.0.wait()?.success());
        Ok(())
    }
}

/// Whether a lock can be had at once.
fn lockable(path: &Path, call: &str) -> Result<bool> {
    let script = format!("import fcntl,sys\nf=open(sys.argv[1],'r+')\n{call}");
    let output = run(Command::new("python3").args(["-c", &script]).arg(path))?;
    Ok(output.code == 0)
}

const FLOCK: &str = "fcntl.flock(f,fcntl.LOCK_EX|fcntl.LOCK_NB)";
const RANGE: &str = "fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB,10,5)";
const OTHER_RANGE: &str = "fcntl.lockf(f,fcntl.LOCK_EX|fcntl.LOCK_NB,10,15)";

/// Open files, locks and a deleted file are the session's, so they outlast the master's process.
fn outlasts(restart: impl Fn(&Cluster) -> Result<()>) -> Result<()> {
    let mut cluster = cluster(OPEN)?;
    let one = cluster.mount("one", &[])?;
    let two = cluster.mount("two", &[])?;
    cluster.shell(
        &one,
        "mfssettrashtime 0 .; for f in open deleted flock range; do echo $f > $f; done",
    )?;
    let mut open = fs::OpenOptions::new().append(true).open(one.join("open"))?;
    let mut deleted = fs::File::open(one.join("deleted"))?;
    fs::remove_file(one.join("deleted"))?;
    let flock = Holder::new(&one.join("flock"), FLOCK)?;
    let range = Holder::new(&one.join("range"), RANGE)?;
    restart(&cluster)?;
    ensure!(fs::read_to_string(two.join("flock"))? == "flock\n");
    ensure!(!lockable(&two.join("flock"), FLOCK)?, "flock is lost");
    ensure!(!lockable(&two.join("range"), RANGE)?, "fcntl lock is lost");
    ensure!(
        lockable(&two.join("range"), OTHER_RANGE)?,
        "whole file locked"
    );
    let locks = cluster.mfscli(&["-SAL"])?;
    ensure!(
        locks.contains("FLOCK") && locks.contains("POSIX"),
        "{locks}"
    );
    open.write_all(b"more\n")?;
    open.sync_all()?;
    wait_until("the other mount reads what was appended", || {
        fs::read_to_string(two.join("open")).is_ok_and(|text| text == "open\nmore\n")
    })?;
    cluster.wait_for_chunkservers(1)?;
    let mut text = String::new();
    deleted.read_to_string(&mut text)?;
    ensure!(text == "deleted\n", "{text}");
    flock.release()?;
    range.release()?;
    ensure!(lockable(&two.join("flock"), FLOCK)?, "flock after release");
    ensure!(lockable(&two.join("range"), RANGE)?, "range after release");
    Ok(())
}

#[test]
fn locks_and_open_files_outlast_a_restart() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    outlasts(|cluster| {
        cluster.master("stop")?.success()?;
        cluster.master("start")?.success()?;
        Ok(())
    })
}

#[test]
fn locks_and_open_files_outlast_a_kill() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    outlasts(|cluster| {
        cluster.kill_master()?;
        cluster.master("start -a")?.success()?;
        Ok(())
    })
}

#[test]
fn a_reload_changes_what_a_mount_may_do() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(OPEN)?;
    let mount = cluster.mount("mnt", &["-o", "mfsioretries=3"])?;
    fs::write(mount.join("file"), "x")?;
    set_exports(&cluster, "* / ro,maproot=0:0\n* . rw\n")?;
    wait_until("the mount is read-only", || {
        fs::write(mount.join("new"), "x").is_err_and(|error| error.raw_os_error() == Some(30))
    })?;
    ensure!(fs::read_to_string(mount.join("file"))? == "x");
    set_exports(&cluster, OPEN)?;
    wait_until("the mount is writable again", || {
        fs::write(mount.join("new"), "x").is_ok()
    })?;
    // Without a line for it the mount is cut off, until there is one again.
    set_exports(&cluster, "1.2.3.4 / rw\n")?;
    wait_until("the mount is cut off", || {
        fs::metadata(mount.join("file")).is_err()
    })?;
    let refused = run(cluster
        .command("mfsmount")
        .args(["-H", lab::MASTER_IP])
        .arg(cluster.root.join("master")))?;
    ensure!(refused.code == 1, "{refused:?}");
    set_exports(&cluster, OPEN)?;
    wait_until("the mount is back", || {
        fs::read_to_string(mount.join("file")).is_ok_and(|text| text == "x")
    })
}

#[test]
fn a_reload_that_changes_nothing_for_a_mount_does_not_cut_it() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(OPEN)?;
    let mount = cluster.mount("mnt", &[])?;
    fs::create_dir(mount.join("d"))?;
    let below = cluster.mount("below", &["-S", "/d"])?;
    let reconnects = || -> Result<Vec<String>> {
        let mut lines = Vec::new();
        for mount in [&mount, &below] {
            let stats = fs::read_to_string(mount.join(".stats"))?;
            let line = stats.lines().find(|line| line.contains("reconnects"));
            lines.push(line.context("no line")?.to_owned());
        }
        Ok(lines)
    };
    for (exports, cut_by_3_0_117) in [
        (format!("# comment\n\n{OPEN}"), false),
        (format!("{OPEN}1.2.3.4 /x rw\n"), true),
        (format!("1.2.3.4 /x rw\n{OPEN}"), false),
        (format!("1.2.3.4 /x ro\n{OPEN}1.2.3.5 / rw\n"), true),
    ] {
        let before = reconnects()?;
        set_exports(&cluster, &exports)?;
        std::thread::sleep(std::time::Duration::from_millis(1_500));
        for mount in [&mount, &below] {
            fs::metadata(mount)?;
            fs::read_dir(mount)?.next().transpose()?;
        }
        let cut = cut_by_3_0_117 && Program::master_from_env() == Program::Debian;
        let after = reconnects()?;
        ensure!((after != before) == cut, "{exports}: {before:?}, {after:?}");
    }
    // A session that was kept is known under the new file: its mount comes back by itself.
    cluster.kill_master()?;
    cluster.master("start -a")?.success()?;
    fs::write(mount.join("file"), "x")?;
    Ok(())
}

/// What mfsmount says when it is refused, or `""` when it mounts.
fn try_mount(cluster: &mut Cluster, name: &str, arguments: &[&str]) -> String {
    match cluster.mount(name, arguments) {
        Ok(_) => String::new(),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn passwords() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let exports = "* / rw,maproot=0:0,password=secret\n* /free rw,maproot=0:0\n";
    let mut cluster = cluster(exports)?;
    for (name, arguments, answer) in [
        ("none", &[][..], "Password is needed"),
        ("wrong", &["-o", "mfspassword=guess"], "Incorrect password"),
        ("right", &["-o", "mfspassword=secret"], ""),
        (
            "digest",
            &[
                "-o",
                "mfsmd5pass=5ebe2294ecd0e0f08eab7690d2a6ee69,mfsioretries=3",
            ],
            "",
        ),
        ("missing", &["-S", "/free"], "No such file or directory"),
        ("meta", &["-m"], "Permission denied"),
    ] {
        let said = try_mount(&mut cluster, name, arguments);
        let as_expected = if answer.is_empty() {
            said.is_empty()
        } else {
            said.contains(answer)
        };
        ensure!(as_expected, "{name}: {said:?}, expected {answer:?}");
    }
    fs::create_dir(cluster.root.join("right/free"))?;
    ensure!(try_mount(&mut cluster, "free", &["-S", "/free"]).is_empty());
    // A mount with a password comes back by itself.
    cluster.kill_master()?;
    cluster.master("start -a")?.success()?;
    fs::write(cluster.root.join("right/file"), "x")?;
    set_exports(&cluster, "* / rw,maproot=0:0,password=changed\n")?;
    wait_until("the old password is refused", || {
        fs::write(cluster.root.join("digest/other"), "x").is_err()
    })
}

#[test]
fn users_are_mapped() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let exports = "* / rw,maproot=0:0\n* /all rw,mapall=1234:567\n* /root rw,maproot=77:88\n* /umask rw,maproot=0:0,umask=0077\n";
    let mut cluster = cluster(exports)?;
    let whole = cluster.mount("whole", &[])?;
    cluster.shell(
        &whole,
        "mkdir all root umask; chmod 777 all root; chown 1234 all; echo x > all/secret; chown 1234:567 all/secret; chmod 600 all/secret",
    )?;
    let all = cluster.mount("all", &["-S", "/all"])?;
    let root = cluster.mount("root", &["-S", "/root"])?;
    let umask = cluster.mount("umask", &["-S", "/umask"])?;
    let owner = |path: PathBuf| cluster.shell(&cluster.root, &format!("stat -c %u:%g {path:?}"));
    fs::write(all.join("new"), "x")?;
    ensure!(owner(whole.join("all/new"))? == "1234:567\n");
    // Everybody is that user, who sees files as his own.
    ensure!(fs::read_to_string(all.join("secret"))? == "x\n");
    let shown = cluster.shell(
        &all,
        "setpriv --reuid 1000 --regid 1001 --clear-groups stat -c %u:%g secret",
    )?;
    ensure!(shown == "1000:1001\n", "{shown}");
    ensure!(refusal(std::os::unix::fs::chown(all.join("secret"), Some(5), None))? == 1);
    fs::write(root.join("new"), "x")?;
    ensure!(owner(whole.join("root/new"))? == "77:88\n");
    cluster.shell(&umask, "umask 0; echo x > f; mkdir d")?;
    let modes = cluster.shell(&umask, "stat -c %a f d")?;
    ensure!(modes == "600\n700\n", "{modes}");
    Ok(())
}

#[test]
fn limits_of_an_export() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let exports = "* / rw,alldirs,maproot=0:0,admin\n* /limited rw,maproot=0:0,mingoal=2,maxgoal=3,mintrashtime=1h,maxtrashtime=2d\n\
                   * /disabled rw,maproot=0:0,disable=unlink:symlink:chmod:setxattr:link:truncate:rename:snapshot:settrash:setsclass\n* /ro ro,maproot=0:0\n";
    let mut cluster = cluster(exports)?;
    let whole = cluster.mount("whole", &[])?;
    cluster.shell(
        &whole,
        "mkdir limited disabled ro; echo x > disabled/f; echo x > ro/f",
    )?;
    set_exports(
        &cluster,
        &exports.replace(
            "* / rw,alldirs,maproot=0:0,admin\n",
            "* / ro,maproot=99:99\n",
        ),
    )?;
    let limited = cluster.mount("limited", &["-S", "/limited"])?;
    cluster.shell(&limited, "echo x > f")?;
    for (call, code) in [
        ("mfssetgoal 1 f", 1),
        ("mfssetgoal 4 f", 1),
        ("mfssetgoal 3 f", 0),
        ("mfssettrashtime 10 f", 1),
        ("mfssettrashtime 3h f", 0),
        ("mfssettrashtime 3d f", 1),
        ("mfsmakesnapshot f g", 0),
        ("mfsscadmin create A a", 1),
    ] {
        let output = run(cluster
            .command("sh")
            .args(["-c", call])
            .current_dir(&limited))?;
        ensure!(output.code == code, "{call}: {output:?}");
    }
    let disabled = cluster.mount("disabled", &["-S", "/disabled"])?;
    for call in [
        "rm f",
        "ln -s f g",
        "chmod 700 f",
        "setfattr -n user.a -v b f",
        "ln f h",
        "truncate -s 0 f",
        "mv f i",
        "mfsmakesnapshot f j",
        "mfssettrashtime 0 f",
        "mfssetgoal 1 f",
    ] {
        let output = run(cluster
            .command("sh")
            .args(["-c", call])
            .current_dir(&disabled))?;
        ensure!(output.code != 0, "{call} was done");
        let text = format!("{}{}", output.stdout, output.stderr);
        ensure!(text.contains("Operation not permitted"), "{call}: {text}");
    }
    cluster.shell(&disabled, "echo y >> f; echo z > k; mkdir d; rmdir d")?;
    let ro = cluster.mount("ro", &["-S", "/ro"])?;
    ensure!(refusal(fs::write(ro.join("g"), "x"))? == 30);
    ensure!(refusal(fs::remove_file(ro.join("f")))? == 30);
    ensure!(fs::read_to_string(ro.join("f"))? == "x\n");
    // Rights are the session's: the mount that was made before has lost its own.
    wait_until("the first mount has the new rights", || {
        fs::write(whole.join("limited/g"), "x").is_err()
    })
}
