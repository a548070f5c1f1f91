//! The master is killed; nothing acknowledged is missing. The real programs restore what ours wrote.

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, Program, differences, run, wait_until};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Kills in the normal run; `--long` makes it 200.
const KILLS: usize = 8;
const KILLS_LONG: usize = 200;

#[test]
fn nothing_acknowledged_is_missing_after_kills() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let kills = if std::env::var_os("LAB_LONG").is_some() {
        KILLS_LONG
    } else {
        KILLS
    };
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 0,
        ..ClusterOptions::default()
    })?;
    let mount = cluster.mount("mnt", &[])?;
    let stop = AtomicBool::new(false);
    let done = AtomicU64::new(0);
    let acknowledged = std::thread::scope(|scope| -> Result<Vec<BTreeSet<String>>> {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let (mount, stop, done) = (&mount, &stop, &done);
                scope.spawn(move || work(mount, worker, stop, done))
            })
            .collect();
        let outcome = (0..kills).try_for_each(|round| -> Result<()> {
            // The mount comes back within two seconds; then any moment of the load will do.
            let before = done.load(Ordering::Relaxed);
            wait_until("the load goes on", || {
                done.load(Ordering::Relaxed) > before + 20
            })?;
            std::thread::sleep(Duration::from_millis((round as u64 * 37) % 100));
            cluster.kill_master()?;
            cluster
                .master("start")?
                .success()
                .with_context(|| format!("start after kill {round}"))?;
            Ok(())
        });
        std::thread::sleep(Duration::from_millis(500));
        stop.store(true, Ordering::Relaxed);
        let results = workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect();
        outcome?;
        results
    })?;
    let fresh = cluster.mount("fresh", &[])?;
    let mut count = 0;
    for (worker, expected) in acknowledged.iter().enumerate() {
        let found: BTreeSet<String> = fs::read_dir(fresh.join(format!("w{worker}")))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        let missing: Vec<_> = expected.difference(&found).take(5).collect();
        ensure!(
            missing.is_empty(),
            "worker {worker}: acknowledged and missing: {missing:?}"
        );
        count += expected.len();
    }
    ensure!(count > 100, "only {count} files were made: no load");
    Ok(())
}

/// Makes, renames and removes files until told to stop; says which names have to exist.
fn work(
    mount: &Path,
    worker: usize,
    stop: &AtomicBool,
    done: &AtomicU64,
) -> Result<BTreeSet<String>> {
    let folder = mount.join(format!("w{worker}"));
    fs::create_dir(&folder)?;
    let mut present = BTreeSet::new();
    for number in 0_u64.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(present);
        }
        let name = format!("f{number}");
        // A repeated request may report the effect of its first try: the name exists either way.
        match fs::File::create_new(folder.join(&name)) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| format!("create {name}")),
        }
        present.insert(name.clone());
        done.fetch_add(1, Ordering::Relaxed);
        if number % 5 == 4 {
            let old = format!("f{}", number - 2);
            let new = format!("r{number}");
            match fs::rename(folder.join(&old), folder.join(&new)) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| format!("rename {old}")),
            }
            present.remove(&old);
            present.insert(new);
        }
    }
    Ok(present)
}

#[test]
fn the_real_master_takes_over_what_ours_leaves_and_gives_it_back() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        master: Program::Ours,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    let tree = mount.join("tree");
    fs::create_dir(&tree)?;
    run(Command::new("cp")
        .arg("-a")
        .arg("/etc")
        .arg(tree.join("etc")))?
    .success()?;
    let reference = cluster.root.join("reference");
    run(Command::new("cp").arg("-a").arg(&tree).arg(&reference))?.success()?;
    for (round, program) in [Program::Debian, Program::Ours, Program::Debian]
        .into_iter()
        .enumerate()
    {
        cluster.master("stop")?.success()?;
        cluster.set_master(program.clone());
        let started = cluster.master("start")?;
        let complaints = format!("{}{}", started.stdout, started.stderr);
        started.success().with_context(|| format!("{program:?}"))?;
        for word in ["error", "warning", "orphan", "mismatch", "ignor"] {
            ensure!(
                !complaints.to_lowercase().contains(word),
                "{program:?} says: {complaints}"
            );
        }
        cluster.wait_for_chunkservers(2)?;
        let point = cluster.mount(&format!("round{round}"), &[])?;
        let mut found = Vec::new();
        wait_until("the tree is whole", || {
            found = differences(&reference, &point.join("tree")).unwrap_or_default();
            found.is_empty()
        })
        .with_context(|| format!("{program:?}: {found:#?}"))?;
        fs::write(
            point.join(format!("tree/from-{round}")),
            program_name(&program),
        )?;
        fs::write(
            reference.join(format!("from-{round}")),
            program_name(&program),
        )?;
        run(Command::new("cp")
            .arg("-a")
            .arg("-T")
            .arg(point.join("tree"))
            .arg(&reference))?
        .success()?;
        cluster.unmount(&point)?;
    }
    Ok(())
}

fn program_name(program: &Program) -> String {
    format!("{program:?}")
}

#[test]
fn the_real_metalogger_follows_and_the_real_master_restores_from_it() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        master: Program::Ours,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    // A metalogger takes no `MFSM NEW` over, so the master first has to have saved an image.
    cluster.master("stop")?.success()?;
    cluster.master("start")?.success()?;
    cluster.metalogger("start")?.success()?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    run(Command::new("cp")
        .arg("-a")
        .arg("/etc")
        .arg(mount.join("etc")))?
    .success()?;
    fs::remove_dir_all(mount.join("etc/apt"))?;
    let reference = cluster.root.join("reference");
    run(Command::new("cp")
        .arg("-a")
        .arg(mount.join("etc"))
        .arg(&reference))?
    .success()?;
    cluster.unmount(&mount)?;
    let changelog = cluster.root.join("metalogger/changelog_ml.0.mfs");
    let ours = cluster.master_data().join("changelog.0.mfs");
    let last_line = |path: &Path| {
        fs::read_to_string(path).ok().and_then(|text| {
            // The stream has no seals.
            let (line, _) = proto::changelog::Seal::split(text.lines().last()?.as_bytes());
            Some(line.to_vec())
        })
    };
    wait_until("the metalogger has the last line", || {
        last_line(&changelog).is_some() && last_line(&changelog) == last_line(&ours)
    })?;
    cluster.metalogger("stop")?.success()?;
    cluster.kill_master()?;
    // The master's own files are gone: only the metalogger's are left.
    fs::remove_dir_all(cluster.master_data())?;
    fs::create_dir(cluster.master_data())?;
    for entry in fs::read_dir(cluster.root.join("metalogger"))? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_string_lossy().contains("_ml") {
            fs::copy(entry.path(), cluster.master_data().join(name))?;
        }
    }
    cluster.set_master(Program::Debian);
    cluster
        .master("start -a")?
        .success()
        .context("mfsmaster -a")?;
    cluster.wait_for_chunkservers(2)?;
    let point = cluster.mount("restored", &[])?;
    let mut found = Vec::new();
    wait_until("the restored tree is whole", || {
        found = differences(&reference, &point.join("etc")).unwrap_or_default();
        found.is_empty()
    })
    .with_context(|| format!("{found:#?}"))
}
