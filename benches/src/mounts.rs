//! Our mfsmount and MooseFS's on one cluster, in turn, as ratios with CPU time.
//!
//! In every round all rows are run by one and then by the other, in alternating order; the medians
//! are reported. The master and the chunkservers are MooseFS's, so that only the client differs.

use anyhow::{Context, Result};
use lab::{Chunkservers, Cluster, ClusterOptions, Program};
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// What is measured.
pub(crate) struct Plan {
    /// Rounds of each row.
    pub(crate) rounds: u32,
    /// Files of the metadata rows.
    pub(crate) files: u32,
    /// MiB of the data rows.
    pub(crate) mib: u32,
    /// Entries of the large directory.
    pub(crate) entries: u32,
}

/// A row: its name, its unit, and work that says how many units it did.
struct Row {
    name: String,
    unit: &'static str,
    work: Work,
}

type Work = Box<dyn Fn(&Path) -> Result<f64>>;

/// One measurement: units per second and CPU milliseconds of the mount per 1,000 units.
#[derive(Clone, Copy, Debug)]
struct Figure {
    rate: f64,
    cpu: f64,
}

pub(crate) fn report(plan: &Plan) -> Result<()> {
    let mut cluster = Cluster::start(ClusterOptions {
        master: Program::Debian,
        chunkserver_programs: Chunkservers::Debian,
        chunkservers: 2,
        disk_size: "3g".to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let theirs = cluster.mount_with(&Program::Debian, "moosefs", &[])?;
    let ours = cluster.mount_with(&Program::Ours, "ours", &[])?;
    cluster.shell(&theirs, "mfssetgoal 1 . > /dev/null; mkdir moosefs ours")?;
    let sides = [
        ("moosefs", theirs.join("moosefs"), pid_of(&theirs)?),
        ("ours", ours.join("ours"), pid_of(&ours)?),
    ];
    println!(
        "{:<34} {:>12} {:>12} {:>7} {:>10} {:>10}",
        "", "MooseFS", "ours", "ratio", "CPU", "CPU ours"
    );
    let rows = rows(plan);
    let mut figures: [Vec<Vec<Figure>>; 2] =
        [vec![Vec::new(); rows.len()], vec![Vec::new(); rows.len()]];
    for round in 0..plan.rounds {
        for turn in 0..2 {
            let side = ((round + turn) % 2) as usize;
            let (_, place, pid) = &sides[side];
            // Later rows use what earlier ones made, and the last ones remove it.
            for (row, found) in rows.iter().zip(&mut figures[side]) {
                found.push(measure(row, place, *pid)?);
            }
        }
    }
    let [of_theirs, of_ours] = &figures;
    for ((row, theirs), ours) in rows.iter().zip(of_theirs).zip(of_ours) {
        let (theirs, ours) = (median(theirs), median(ours));
        println!(
            "{:<34} {:>12.0} {:>12.0} {:>7.2} {:>10.1} {:>10.1}",
            format!("{}, {}/s", row.name, row.unit),
            theirs.rate,
            ours.rate,
            ours.rate / theirs.rate,
            theirs.cpu,
            ours.cpu,
        );
    }
    println!("CPU: milliseconds of the mount per 1,000 units");
    Ok(())
}

fn measure(row: &Row, place: &Path, pid: i32) -> Result<Figure> {
    let before = cpu_ms(pid);
    let began = Instant::now();
    let units = (row.work)(place).with_context(|| row.name.clone())?;
    let took = began.elapsed();
    Ok(Figure {
        rate: units / took.as_secs_f64(),
        cpu: (cpu_ms(pid) - before) as f64 * 1000.0 / units,
    })
}

fn median(figures: &[Figure]) -> Figure {
    let middle = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Figure {
        rate: middle(figures.iter().map(|figure| figure.rate).collect()),
        cpu: middle(figures.iter().map(|figure| figure.cpu).collect()),
    }
}

/// Process of a mount, by its command line.
fn pid_of(point: &Path) -> Result<i32> {
    let wanted = point.display().to_string();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains("mfsmount") && line.contains(&wanted) && !line.contains("nsenter") {
            return Ok(pid);
        }
    }
    anyhow::bail!("no mount at {wanted}")
}

/// CPU time of a process, user and system.
fn cpu_ms(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    // USER_HZ is 100 on Linux.
    ticks * 10
}

/// Runs `work(thread, number)` for all numbers, shared among threads.
fn in_threads(
    threads: u32,
    count: u32,
    work: impl Fn(u32, u32) -> std::io::Result<()> + Sync,
) -> Result<f64> {
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| {
                let work = &work;
                scope
                    .spawn(move || (0..count / threads).try_for_each(|number| work(thread, number)))
            })
            .collect();
        for thread in running {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread panicked"))??;
        }
        Ok(f64::from(count / threads * threads))
    })
}

fn rows(plan: &Plan) -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in [1, 4] {
        metadata_rows(plan.files, threads, &mut rows);
    }
    let entries = plan.entries;
    rows.push(row("fill a directory", "files", move |place| {
        let place = place.join("large");
        fs::create_dir_all(&place)?;
        in_threads(4, entries, |thread, number| {
            File::create(place.join(format!("{thread}-{number}"))).map(drop)
        })
    }));
    rows.push(row("list it", "entries", |place| {
        Ok(fs::read_dir(place.join("large"))?.count() as f64)
    }));
    rows.push(row("list it with attributes", "entries", |place| {
        let mut count = 0;
        for entry in fs::read_dir(place.join("large"))? {
            entry?.metadata()?;
            count += 1;
        }
        Ok(f64::from(count))
    }));
    rows.push(row("remove it", "files", |place| {
        let count = fs::read_dir(place.join("large"))?.count();
        fs::remove_dir_all(place.join("large"))?;
        Ok(count as f64)
    }));
    for streams in [1, 4] {
        data_rows(plan.mib, streams, &mut rows);
    }
    for threads in [1, 16] {
        rows.push(row(
            &format!("random read of 4 KiB, {threads} threads"),
            "reads",
            move |place| random_reads(place, threads),
        ));
    }
    rows
}

fn row(name: &str, unit: &'static str, work: impl Fn(&Path) -> Result<f64> + 'static) -> Row {
    Row {
        name: name.to_owned(),
        unit,
        work: Box::new(work),
    }
}

fn metadata_rows(files: u32, threads: u32, rows: &mut Vec<Row>) {
    let name = |what: &str| format!("{what}, {threads} threads");
    let path = |place: &Path, thread: u32, number: u32| place.join(format!("f{thread}-{number}"));
    rows.push(row(&name("create"), "files", move |place| {
        in_threads(threads, files, |thread, number| {
            File::create(path(place, thread, number)).map(drop)
        })
    }));
    rows.push(row(&name("stat"), "files", move |place| {
        in_threads(threads, files, |thread, number| {
            fs::metadata(path(place, thread, number)).map(drop)
        })
    }));
    rows.push(row(
        &name("rename there and back"),
        "renames",
        move |place| {
            let count = in_threads(threads, files, |thread, number| {
                let (old, new) = (
                    path(place, thread, number),
                    place.join(format!("r{thread}-{number}")),
                );
                fs::rename(&old, &new)?;
                fs::rename(&new, &old)
            })?;
            Ok(count * 2.0)
        },
    ));
    rows.push(row(&name("unlink"), "files", move |place| {
        in_threads(threads, files, |thread, number| {
            fs::remove_file(path(place, thread, number))
        })
    }));
    let small = files / 4;
    rows.push(row(&name("write 4 KiB files"), "files", move |place| {
        in_threads(threads, small, |thread, number| {
            fs::write(path(place, thread, number), [7; 4096])
        })
    }));
    rows.push(row(&name("read 4 KiB files"), "files", move |place| {
        drop_caches();
        in_threads(threads, small, |thread, number| {
            fs::read(path(place, thread, number)).map(drop)
        })
    }));
    rows.push(row(&name("unlink 4 KiB files"), "files", move |place| {
        in_threads(threads, small, |thread, number| {
            fs::remove_file(path(place, thread, number))
        })
    }));
}

fn data_rows(mib: u32, streams: u32, rows: &mut Vec<Row>) {
    let each = mib / streams;
    rows.push(row(
        &format!("sequential write, {streams} streams"),
        "MiB",
        move |place| {
            let block = vec![0x5a; 1 << 20];
            in_threads(streams, streams, |stream, _| {
                let mut file = File::create(place.join(format!("s{stream}")))?;
                for _ in 0..each {
                    file.write_all(&block)?;
                }
                file.sync_all()
            })?;
            Ok(f64::from(each * streams))
        },
    ));
    rows.push(row(
        &format!("sequential read, {streams} streams"),
        "MiB",
        move |place| {
            drop_caches();
            in_threads(streams, streams, |stream, _| {
                let mut file = File::open(place.join(format!("s{stream}")))?;
                let mut block = vec![0; 1 << 20];
                while file.read(&mut block)? > 0 {}
                Ok(())
            })?;
            Ok(f64::from(each * streams))
        },
    ));
}

/// Reads at random places of the first stream's file for two seconds.
fn random_reads(place: &Path, threads: u32) -> Result<f64> {
    const TIME: Duration = Duration::from_secs(2);
    drop_caches();
    let done = std::sync::atomic::AtomicU32::new(0);
    let done = &done;
    in_threads(threads, threads, |thread, _| {
        let file = File::open(place.join("s0"))?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random)?;
        let blocks = file.metadata()?.len() / 4096;
        let (mut seed, mut block) = (u64::from(thread) + 1, [0; 4096]);
        let began = Instant::now();
        while began.elapsed() < TIME {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            file.read_exact_at(&mut block, (seed >> 33) % blocks * 4096)?;
            done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    })?;
    Ok(f64::from(done.load(std::sync::atomic::Ordering::Relaxed)))
}

/// Pages, names and attributes in the kernel.
fn drop_caches() {
    // Without the right to do it the rows read from memory, on both sides.
    let _ = fs::write("/proc/sys/vm/drop_caches", "3");
}
