//! Our metalogger beside the real one, behind our master and the real one: the same files, without a
//! hole after breaks, and the real master restores from them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, Metalogger, Program, run, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longer than the timeout of a connection.
const SILENCE: Duration = Duration::from_secs(13);

/// A cluster whose metadata have been saved once, with both metaloggers.
fn cluster(master: Program) -> Result<(Cluster, [Metalogger; 2])> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 0,
        master,
        ..ClusterOptions::default()
    })?;
    let mount = cluster.mount("first", &[])?;
    fs::create_dir(mount.join("before"))?;
    for number in 0..50 {
        fs::write(mount.join(format!("before/f{number}")), "")?;
    }
    cluster.unmount(&mount)?;
    cluster.master("stop")?.success()?;
    cluster.master("start")?.success()?;
    let loggers = [Program::Ours, Program::Debian].map(|program| {
        let name = match program {
            Program::Ours => "ours",
            Program::Debian => "theirs",
        };
        cluster.add_metalogger(name, program).unwrap()
    });
    for logger in &loggers {
        logger.command(&cluster, "start")?.success()?;
        wait_until("the downloads are complete", || {
            logger.data.join("changelog_ml_back.1.mfs").exists()
        })?;
    }
    Ok((cluster, loggers))
}

/// The files of a metalogger that belong to the state.
fn files(data: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(data)? {
        let path = entry?.path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            files.insert(name, fs::read(&path)?);
        }
    }
    Ok(files)
}

/// Makes files and waits until the metaloggers have every line of them.
fn work(mount: &Path, name: &str, loggers: &[&Metalogger]) -> Result<()> {
    let folder = mount.join(name);
    fs::create_dir(&folder)?;
    for number in 0..200 {
        fs::write(folder.join(format!("f{number}")), "")?;
    }
    let last = format!("{name}-last");
    fs::write(folder.join(&last), "")?;
    let created = format!(",{last},1,");
    for logger in loggers {
        wait_until("the metalogger has the last line", || {
            // It may have been rotated away meanwhile.
            ["changelog_ml.0.mfs", "changelog_ml.1.mfs"]
                .iter()
                .any(|name| {
                    fs::read_to_string(logger.data.join(name))
                        .is_ok_and(|text| text.contains(&created))
                })
        })?;
    }
    // The attributes and the end of the last file follow, and are written within a second.
    std::thread::sleep(Duration::from_millis(2500));
    Ok(())
}

fn signal(logger: &Metalogger, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(logger.pid()?).context("a process")?;
    Ok(kill_process(pid, signal)?)
}

#[track_caller]
fn assert_same_files(loggers: &[Metalogger; 2]) -> Result<()> {
    let [ours, theirs] = [files(&loggers[0].data)?, files(&loggers[1].data)?];
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    ensure!(
        names(&ours) == names(&theirs),
        "ours: {:?}, theirs: {:?}",
        names(&ours),
        names(&theirs)
    );
    for (name, content) in &ours {
        ensure!(
            *content == theirs[name],
            "{name} differs: {} and {} bytes\n{}\n---\n{}",
            content.len(),
            theirs[name].len(),
            String::from_utf8_lossy(&content[content.len().saturating_sub(300)..]),
            String::from_utf8_lossy(&theirs[name][theirs[name].len().saturating_sub(300)..])
        );
    }
    Ok(())
}

/// Numbers of the lines of the stream, in order of the files.
fn stream(data: &Path) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for number in (0..51).rev() {
        let Ok(text) = fs::read_to_string(data.join(format!("changelog_ml.{number}.mfs"))) else {
            continue;
        };
        for line in text.lines() {
            let number = line.split(':').next().context("a number")?;
            numbers.push(number.parse::<u64>().with_context(|| line.to_owned())?);
        }
    }
    Ok(numbers)
}

fn assert_no_hole(data: &Path) -> Result<()> {
    let numbers = stream(data)?;
    ensure!(numbers.len() > 200, "only {} lines", numbers.len());
    for pair in numbers.windows(2) {
        ensure!(pair[1] == pair[0] + 1, "{} follows {}", pair[1], pair[0]);
    }
    Ok(())
}

#[test]
fn both_metaloggers_have_the_same_files_behind_both_masters() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    for master in [Program::Ours, Program::Debian] {
        let (mut cluster, loggers) = cluster(master.clone())?;
        let [ours, theirs] = &loggers;
        let mount = cluster.mount("mnt", &[])?;
        work(&mount, "one", &[ours, theirs])?;
        assert_same_files(&loggers).with_context(|| format!("{master:?}: at first"))?;
        // The master restarts: the stream goes on from the next line.
        cluster.kill_master()?;
        let restart = if master == Program::Debian {
            "-a start"
        } else {
            "start"
        };
        cluster.master(restart)?.success()?;
        work(&mount, "two", &[ours, theirs])?;
        assert_same_files(&loggers).with_context(|| format!("{master:?}: after a kill"))?;
        // The metaloggers restart.
        for logger in &loggers {
            logger.kill()?;
            fs::remove_file(logger.data.join("changelog_ml_back.1.mfs"))?;
            logger.command(&cluster, "start")?.success()?;
            wait_until("the downloads are complete", || {
                logger.data.join("changelog_ml_back.1.mfs").exists()
            })?;
        }
        work(&mount, "three", &[ours, theirs])?;
        assert_same_files(&loggers).with_context(|| format!("{master:?}: after a restart"))?;
        assert_no_hole(&ours.data)?;
        restore_with_the_real_master(&cluster, &ours.data)?;
    }
    Ok(())
}

#[test]
fn both_rotate_when_the_master_does() -> Result<()> {
    const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";
    const LEAD_S: u64 = 12;
    if !lab::ready() || !Path::new(FAKETIME).exists() {
        return Ok(());
    }
    let (mut cluster, loggers) = cluster(Program::master_from_env())?;
    let mount = cluster.mount("mnt", &[])?;
    cluster.master("stop")?.success()?;
    let wall = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let ahead = 3600 - (wall + LEAD_S) % 3600;
    cluster.set_master_environment(
        [
            ("LD_PRELOAD", FAKETIME),
            ("FAKETIME", &format!("+{ahead}s")),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_NO_CACHE", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
    );
    cluster.master("start")?.success()?;
    work(&mount, "one", &[&loggers[0], &loggers[1]])?;
    wait_until("the metaloggers have rotated", || {
        loggers
            .iter()
            .all(|logger| logger.data.join("changelog_ml.1.mfs").exists())
    })?;
    work(&mount, "two", &[&loggers[0], &loggers[1]])?;
    assert_same_files(&loggers)?;
    assert_no_hole(&loggers[0].data)
}

#[test]
fn what_was_missed_comes_after_the_break() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    for master in [Program::Ours, Program::Debian] {
        let (mut cluster, [ours, theirs]) = cluster(master)?;
        theirs.command(&cluster, "stop")?.success()?;
        let mount = cluster.mount("mnt", &[])?;
        work(&mount, "one", &[&ours])?;
        // Killed, and work goes on without it.
        ours.kill()?;
        work(&mount, "two", &[])?;
        ours.command(&cluster, "start")?.success()?;
        work(&mount, "three", &[&ours])?;
        if std::env::var_os("LAB_LONG").is_some() {
            // Frozen until the master gives it up.
            signal(&ours, Signal::STOP)?;
            work(&mount, "four", &[])?;
            std::thread::sleep(SILENCE);
            signal(&ours, Signal::CONT)?;
            work(&mount, "five", &[&ours])?;
            // The network is gone, without a word to either side.
            for state in ["down", "up"] {
                run(cluster.command("ip").args(["link", "set", "lo", state]))?.success()?;
                if state == "down" {
                    std::thread::sleep(SILENCE);
                }
            }
            work(&mount, "six", &[&ours])?;
        }
        assert_no_hole(&ours.data)?;
        restore_with_the_real_master(&cluster, &ours.data)?;
    }
    Ok(())
}

#[test]
fn a_full_disk_delays_lines_and_loses_none() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, [_, theirs]) = cluster(Program::master_from_env())?;
    theirs.command(&cluster, "stop")?.success()?;
    let logger = cluster.add_metalogger("small", Program::Ours)?;
    cluster.mount_memory(&logger.data.clone(), "400k")?;
    logger.command(&cluster, "start")?.success()?;
    wait_until("the downloads are complete", || {
        logger.data.join("changelog_ml_back.1.mfs").exists()
    })?;
    let mount = cluster.mount("mnt", &[])?;
    work(&mount, "one", &[&logger])?;
    let filler = logger.data.join("filler");
    // As much as there is room for.
    drop(fs::write(&filler, vec![1; 400 << 10]));
    work(&mount, "two", &[])?;
    let text = fs::read_to_string(logger.data.join("changelog_ml.0.mfs"))?;
    ensure!(!text.contains("two-last"), "the disk was not full");
    ensure!(text.ends_with('\n'), "a torn line");
    fs::remove_file(&filler)?;
    work(&mount, "three", &[&logger])?;
    assert_no_hole(&logger.data)?;
    restore_with_the_real_master(&cluster, &logger.data)?;
    cluster.unmount(&mount)?;
    logger.command(&cluster, "stop")?.success()?;
    Ok(())
}

/// `mfsmaster -a restore` of the real master on the files alone gives what the living one has.
fn restore_with_the_real_master(cluster: &Cluster, data: &Path) -> Result<()> {
    let expected = stream(data)?.last().copied().context("lines")? + 1;
    let folder = cluster.root.join("restored");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir(&folder)?;
    for (name, content) in files(data)? {
        fs::write(folder.join(name), content)?;
    }
    let cfg = cluster.etc("restore.cfg");
    let text = fs::read_to_string(cluster.etc("mfsmaster.cfg"))?.replace(
        &cluster.master_data().display().to_string(),
        &folder.display().to_string(),
    );
    fs::write(&cfg, text)?;
    let restored = run(cluster
        .command("/usr/sbin/mfsmaster")
        .arg("-c")
        .arg(&cfg)
        .args(["-x", "-a", "restore"]))?;
    let said = format!("{}{}", restored.stdout, restored.stderr);
    restored.success()?;
    let dump = run(cluster
        .command("/usr/sbin/mfsmetadump")
        .arg(folder.join("metadata.mfs")))?
    .success()?;
    ensure!(
        dump.contains(&format!("version: {expected} ;")),
        "{}\n{said}",
        dump.lines().take(5).collect::<Vec<_>>().join("\n")
    );
    for name in ["before", "one-last", "three-last"] {
        ensure!(dump.contains(name), "{name} is not in the dump");
    }
    Ok(())
}
