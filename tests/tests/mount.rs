//! Our mfsmount: files, locks, options, restarts of the master, clean ends.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, Program, wait_until};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

fn mounted() -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        client: Program::Ours,
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    Ok((cluster, mount))
}

/// Bytes that tell where they belong.
fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length)
        .map(|at| (at / 251 + at * 7) as u8)
        .collect()
}

/// Everything about one mount and a second one, on one cluster: each start costs seconds.
#[test]
fn a_mount_works_and_a_second_one_sees_it() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    let second = cluster.mount("second", &[])?;
    writes_are_read_back(&mount, &second)?;
    appends_of_two_mounts_do_not_overlap(&mount, &second)?;
    programs_work(&cluster, &mount)?;
    locks_exclude_and_can_be_interrupted(&cluster, &mount, &second)?;
    tools_find_the_master(&cluster, &mount)?;
    wrong_starts_say_why(&cluster)?;
    an_end_by_signal_loses_nothing(&mut cluster, &second)?;
    a_restart_of_the_master_is_only_a_pause(&cluster, &mount)
}

fn writes_are_read_back(mount: &Path, second: &Path) -> Result<()> {
    const LENGTH: usize = 5 << 20;
    let path = mount.join("file");
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)?;
    let mut expected = pattern(0, LENGTH);
    file.write_all(&expected)?;
    // Small and overlapping ones, read back before they are written for sure.
    for n in 0..200 {
        let (at, length) = (n * 17_321 % LENGTH, 1 + n * 37 % 5000);
        let bytes = pattern(n, length.min(LENGTH - at));
        file.write_all_at(&bytes, at as u64)?;
        expected[at..at + bytes.len()].copy_from_slice(&bytes);
        if n % 50 == 0 {
            let mut read = vec![0; bytes.len()];
            file.read_exact_at(&mut read, at as u64)?;
            ensure!(read == bytes, "read at once at {at}");
        }
    }
    // A hole, and a chunk border in it.
    let behind = (64 << 20) + 100;
    file.write_all_at(b"behind", behind)?;
    file.sync_all()?;
    ensure!(fs::metadata(&path)?.len() == behind + 6);
    let mut other = File::open(second.join("file"))?;
    let mut read = vec![0; LENGTH];
    other.read_exact(&mut read)?;
    ensure!(read == expected, "read by the second mount");
    let mut hole = [1; 100];
    other.read_exact_at(&mut hole, 50 << 20)?;
    ensure!(hole == [0; 100]);
    other.seek(SeekFrom::Start(behind))?;
    read.clear();
    other.read_to_end(&mut read)?;
    ensure!(read == b"behind");
    // What one mount changes, the other sees at once, also in a file that it has open.
    file.write_all_at(b"changed", 1000)?;
    file.sync_all()?;
    let mut bytes = [0; 7];
    wait_until("the second mount sees the change", || {
        other.read_exact_at(&mut bytes, 1000).unwrap();
        &bytes == b"changed"
    })?;
    file.set_len(1003)?;
    wait_until("the second mount sees the new length", || {
        other.metadata().unwrap().len() == 1003
    })?;
    drop(file);
    fs::remove_file(&path)?;
    ensure!(!second.join("file").exists());
    Ok(())
}

fn appends_of_two_mounts_do_not_overlap(mount: &Path, second: &Path) -> Result<()> {
    File::create(mount.join("log"))?;
    std::thread::scope(|scope| {
        for (place, letter) in [(mount, b'a'), (second, b'b')] {
            scope.spawn(move || {
                let mut file = File::options()
                    .append(true)
                    .open(place.join("log"))
                    .unwrap();
                for _ in 0..30 {
                    file.write_all(&[letter; 100]).unwrap();
                }
            });
        }
    });
    let content = fs::read(mount.join("log"))?;
    ensure!(content.len() == 6000, "{}", content.len());
    let whole = content
        .chunks(100)
        .all(|line| line.iter().all(|byte| *byte == line[0]));
    ensure!(whole, "torn appends");
    ensure!(content.iter().filter(|byte| **byte == b'a').count() == 3000);
    Ok(())
}

fn programs_work(cluster: &Cluster, mount: &Path) -> Result<()> {
    cluster.shell(
        mount,
        "mkdir -p t/a/b && echo one > t/a/f && ln t/a/f t/a/hard && ln -s f t/a/soft && mkfifo t/p && \
         mv t/a/f t/a/b/g && test $(stat -c %h t/a/hard) = 2 && test $(readlink t/a/soft) = f && \
         chmod 640 t/a/hard && test $(stat -c %a t/a/b/g) = 640 && touch -d @1000000 t/a/hard && \
         test $(stat -c %Y t/a/b/g) = 1000000 && cp -a t u && diff -r --no-dereference -x p t u && \
         tar cf t.tar t && rm -r t u && tar xf t.tar && test $(cat t/a/b/g) = one && \
         if rmdir t 2>/dev/null; then exit 9; fi; if mkdir t 2>/dev/null; then exit 8; fi; \
         if test -e nothing; then exit 7; fi; mkdir many && cd many && \
         for n in $(seq 300); do : > file$n; done && test $(ls | wc -l) = 300 && \
         ls -l > /dev/null && cd .. && rm -r many t t.tar",
    )?;
    Ok(())
}

fn locks_exclude_and_can_be_interrupted(
    cluster: &Cluster,
    mount: &Path,
    second: &Path,
) -> Result<()> {
    File::create(mount.join("lock"))?;
    let script = format!(
        "exec 9<lock; flock -x 9; if flock -n {second}/lock true; then exit 9; fi; \
         for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do \
         timeout 30 flock -x {second}/lock true & done; sleep 0.3; timeout 5 ls -l {second} > /dev/null; \
         if timeout 1 flock -x {second}/lock true; then exit 8; fi; flock -u 9; wait; \
         flock -n {second}/lock true",
        second = second.display()
    );
    let began = Instant::now();
    cluster.shell(mount, &script)?;
    ensure!(
        began.elapsed() < Duration::from_secs(20),
        "waiting locks hold the mount up: {:?}",
        began.elapsed()
    );
    Ok(())
}

fn tools_find_the_master(cluster: &Cluster, mount: &Path) -> Result<()> {
    cluster.shell(
        mount,
        "echo x > tool && mfssetgoal 2 tool > /dev/null && mfsgetgoal tool | grep -q 'tool: 2' && \
         mfsfileinfo tool | grep -q 'copy 1' && mfsmakesnapshot tool copy && cmp tool copy && \
         grep -q 'mfsmaster: ' .params && grep -q '^fuse_ops.create: ' .stats && rm tool copy",
    )?;
    Ok(())
}

fn wrong_starts_say_why(cluster: &Cluster) -> Result<()> {
    let ours = Program::Ours;
    for (arguments, text) in [
        (&["-o", "mfsnosuchoption"][..], "unknown option"),
        (
            &["-S", "/no/such"],
            "mfsmaster register error: No such file",
        ),
        (&["-P", "9"], "can't connect to mfsmaster"),
        (&["-o", "mfscachemode=X"], "unrecognized cachemode"),
        (&["-c", "/no/such"], "cfg file (/no/such) doesn't exist"),
    ] {
        let output = cluster.try_mount(&ours, "wrong", arguments)?;
        ensure!(
            output.code == 1 && output.stderr.contains(text),
            "{arguments:?}: {output:?}"
        );
    }
    Ok(())
}

/// The mfsmount whose last argument is a mount point.
fn process_of(point: &str) -> rustix::process::Pid {
    fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .filter_map(rustix::process::Pid::from_raw)
        .find(|pid| {
            let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            let line = line.unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            words[0].ends_with(b"mfsmount") && words.contains(&point.as_bytes())
        })
        .unwrap()
}

fn an_end_by_signal_loses_nothing(cluster: &mut Cluster, second: &Path) -> Result<()> {
    let point = cluster.mount("brief", &["-o", "mfsfsyncmintime=1000"])?;
    let bytes = pattern(3, 3 << 20);
    fs::write(point.join("last"), &bytes)?;
    let point_text = point.display().to_string();
    rustix::process::kill_process(process_of(&point_text), rustix::process::Signal::TERM)?;
    wait_until("the mount is gone", || {
        !fs::read_to_string("/proc/mounts")
            .unwrap()
            .contains(&point_text)
    })?;
    wait_until("everything was written", || {
        fs::read(second.join("last")).is_ok_and(|read| read == bytes)
    })?;
    Ok(())
}

fn a_restart_of_the_master_is_only_a_pause(cluster: &Cluster, mount: &Path) -> Result<()> {
    let done = std::sync::atomic::AtomicBool::new(false);
    let (done, place) = (&done, mount.join("work"));
    fs::create_dir(&place)?;
    let open = File::create(place.join("open"))?;
    std::thread::scope(|scope| -> Result<()> {
        let worker = scope.spawn(move || -> Result<u32> {
            let mut rounds = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let (name, other) = (place.join("a"), place.join("b"));
                fs::write(&name, pattern(rounds as usize, 10_000))?;
                fs::rename(&name, &other)?;
                ensure!(fs::read(&other)? == pattern(rounds as usize, 10_000));
                fs::remove_file(&other)?;
                fs::create_dir(&name)?;
                fs::remove_dir(&name)?;
                rounds += 1;
            }
            Ok(rounds)
        });
        std::thread::sleep(Duration::from_millis(500));
        cluster.kill_master()?;
        std::thread::sleep(Duration::from_secs(1));
        cluster.master("-a start")?.success()?;
        cluster.wait_for_chunkservers(2)?;
        std::thread::sleep(Duration::from_secs(2));
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let rounds = worker.join().unwrap()?;
        ensure!(rounds > 3, "{rounds}");
        Ok(())
    })?;
    open.write_all_at(b"still open", 0)?;
    open.sync_all()?;
    Ok(())
}
