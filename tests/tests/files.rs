//! Real programs on real files through a real mount.

use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, differences, run, run_for, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn mounted() -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions::default())?;
    cluster.wait_for_chunkservers(3)?;
    let mount = cluster.mount("mnt", &[])?;
    Ok((cluster, mount))
}

/// Runs a shell script in a directory; it has to succeed.
fn script(directory: &Path, text: &str) -> Result<String> {
    run_for(
        Duration::from_secs(300),
        Command::new("sh")
            .args(["-e", "-c", text])
            .current_dir(directory),
    )?
    .success()
}

#[test]
fn a_tree_comes_out_as_it_went_in() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    let source = Path::new("/usr/share/doc");
    let source = if source.is_dir() {
        source
    } else {
        Path::new("/etc")
    };
    run_for(
        Duration::from_secs(300),
        Command::new("cp")
            .arg("-a")
            .arg(source)
            .arg(mount.join("in")),
    )?
    .success()?;
    let second = cluster.mount("second", &[])?;
    let found = differences(source, &second.join("in"))?;
    ensure!(found.is_empty(), "through a second mount: {found:#?}");
    let out = cluster.root.join("out");
    run_for(
        Duration::from_secs(300),
        Command::new("cp")
            .arg("-a")
            .arg(second.join("in"))
            .arg(&out),
    )?
    .success()?;
    let found = differences(source, &out)?;
    ensure!(found.is_empty(), "copied out again: {found:#?}");
    Ok(())
}

#[test]
fn programs_that_people_run_work_on_the_mount() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (_cluster, mount) = mounted()?;
    script(
        &mount,
        "mkdir tree && cd tree && for d in a b c; do mkdir $d; for f in 1 2 3 4 5; do \
         head -c ${f}0000 /dev/urandom > $d/$f; ln $d/$f $d/hard$f; ln -s $f $d/soft$f; done; done; \
         mkfifo pipe; cd .. && tar cf tree.tar tree && mkdir unpacked && tar xf tree.tar -C unpacked && \
         diff -r --no-dereference -x pipe tree unpacked/tree && rm -r tree unpacked && test ! -e tree",
    )?;
    script(
        &mount,
        "git init -q origin && cd origin && git config user.email a@b && git config user.name n && \
         for i in 1 2 3 4 5 6 7 8; do echo $i > f$i; git add f$i; git commit -qm $i; done; cd .. && \
         git clone -q origin clone && test \"$(git -C clone log --oneline | wc -l)\" = 8 && \
         git -C clone fsck --strict && test -z \"$(git -C clone status --porcelain)\"",
    )?;
    script(
        &mount,
        "printf '#include <stdio.h>\\nint main(void){puts(\"built\");return 0;}\\n' > p.c && \
         gcc -O1 -o p p.c && test \"$(./p)\" = built",
    )?;
    script(
        &mount,
        "sqlite3 base.db 'create table t(a integer primary key, b text); begin; \
         with recursive n(i) as (select 1 union all select i+1 from n where i<5000) \
         insert into t select i, hex(randomblob(50)) from n; commit; delete from t where a%3=0; vacuum;' && \
         test \"$(sqlite3 base.db 'pragma integrity_check; select count(*) from t;')\" = \"$(printf 'ok\\n3334')\"",
    )?;
    script(
        &mount,
        "fio --name=v --directory=. --size=24m --rw=randwrite --bs=4k --ioengine=psync --verify=crc32c \
         --do_verify=1 --verify_fatal=1 --minimal >/dev/null && \
         fio --name=w --directory=. --size=80m --rw=write --bs=1m --ioengine=psync --verify=crc32c \
         --do_verify=1 --verify_fatal=1 --minimal >/dev/null",
    )?;
    Ok(())
}

#[test]
fn two_mounts_see_each_others_changes() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, one) = mounted()?;
    let two = cluster.mount("two", &[])?;
    fs::write(one.join("file"), "first")?;
    ensure!(fs::read_to_string(two.join("file"))? == "first");
    fs::write(two.join("file"), "second, longer")?;
    wait_until("the first mount reads what the second wrote", || {
        fs::read_to_string(one.join("file")).is_ok_and(|text| text == "second, longer")
    })?;
    fs::rename(one.join("file"), one.join("renamed"))?;
    wait_until("the second mount sees the new name", || {
        two.join("renamed").exists() && !two.join("file").exists()
    })?;
    fs::remove_file(two.join("renamed"))?;
    wait_until("the first mount sees the file go", || {
        !one.join("renamed").exists()
    })?;
    Ok(())
}

#[test]
fn locks_hold_between_two_mounts() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, one) = mounted()?;
    let two = cluster.mount("two", &[])?;
    fs::write(one.join("lock"), "")?;
    let mut holder = Command::new("flock")
        .arg(one.join("lock"))
        .args(["sleep", "2"])
        .spawn()?;
    wait_until("the lock is held", || {
        run(Command::new("flock")
            .arg("-n")
            .arg(two.join("lock"))
            .arg("true"))
        .is_ok_and(|output| output.code == 1)
    })?;
    // Waits for the holder to end.
    let waited = run(Command::new("flock").arg(two.join("lock")).arg("true"))?;
    ensure!(waited.code == 0, "{waited:?}");
    ensure!(holder.wait()?.success());
    Ok(())
}
