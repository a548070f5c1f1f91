//! Our chunkserver under either master and beside either kind of chunkserver: files, chains of
//! mixed kinds, disks handed over, damage, kills, disks that fail.

use anyhow::{Context, Result, ensure};
use lab::{Chunkservers, Cluster, ClusterOptions, Program, run, wait_until};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that differ from place to place.
fn pattern(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .collect()
}

fn cluster(master: Program, programs: Chunkservers, count: usize, cfg: &str) -> Result<Cluster> {
    let cluster = Cluster::start(ClusterOptions {
        master,
        chunkservers: count,
        chunkserver_programs: programs,
        disk_size: "1g".to_owned(),
        master_cfg: "REPLICATIONS_DELAY_INIT = 1\nCHUNKS_LOOP_MIN_TIME = 60\n".to_owned(),
        chunkserver_cfg: cfg.to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(count)?;
    Ok(cluster)
}

/// Chunk files of a server.
fn chunk_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(chunk_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "mfs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// What the reference checker of the packages says about all chunk files of a server.
fn check_files(folder: &Path) -> Result<()> {
    for path in chunk_files(folder) {
        let output = run(Command::new("/usr/sbin/mfschunktool").arg("-x").arg(&path))?;
        ensure!(
            output.code == 0,
            "{}: {}{}",
            path.display(),
            output.stdout,
            output.stderr
        );
    }
    Ok(())
}

fn copies(cluster: &Cluster, file: &Path) -> Result<usize> {
    let text = run(cluster.command("mfsfileinfo").arg(file))?.success()?;
    Ok(text.matches("status:VALID").count())
}

/// Files of several shapes, in folders with goal 1 and 2: written, changed in the middle, cut,
/// extended, copied by reference; their expected contents.
fn use_files(cluster: &Cluster, mount: &Path, seed: u32) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for goal in ["1", "2"] {
        let folder = mount.join(format!("goal{goal}-{seed}"));
        fs::create_dir(&folder)?;
        run(cluster
            .command("mfssetgoal")
            .args(["-r", goal])
            .arg(&folder))?
        .success()?;
        for (number, len) in [0, 1, 5000, 65_536, 200_001, 3_000_000]
            .into_iter()
            .enumerate()
        {
            let path = folder.join(format!("f{number}"));
            let mut content = pattern(seed + number as u32, len);
            fs::write(&path, &content)?;
            if len > 5000 {
                use std::os::unix::fs::FileExt;
                let patch = pattern(seed + 99, 3000);
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.write_all_at(&patch, (len / 2) as u64)?;
                content[len / 2..len / 2 + patch.len()].copy_from_slice(&patch);
                file.sync_all()?;
            }
            if len == 200_001 {
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.set_len(100_003)?;
                file.set_len(150_000)?;
                content.truncate(100_003);
                content.resize(150_000, 0);
            }
            if len == 3_000_000 {
                let copy = folder.join("snapshot");
                run(cluster.command("mfsmakesnapshot").arg(&path).arg(&copy))?.success()?;
                files.push((copy, content.clone()));
                let file = fs::OpenOptions::new().write(true).open(&path)?;
                file.set_len(1_234_567)?;
                content.truncate(1_234_567);
            }
            files.push((path, content));
        }
    }
    Ok(files)
}

fn compare(files: &[(PathBuf, Vec<u8>)]) -> Result<()> {
    for (path, content) in files {
        let read = fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(read.len() == content.len(), "{}: length", path.display());
        ensure!(read == *content, "{}: content", path.display());
    }
    Ok(())
}

/// The same files through another mount, which has nothing in its cache.
fn compare_fresh(
    cluster: &mut Cluster,
    name: &str,
    mount: &Path,
    files: &[(PathBuf, Vec<u8>)],
) -> Result<()> {
    let fresh = cluster.mount(name, &[])?;
    for (path, content) in files {
        let path = fresh.join(path.strip_prefix(mount)?);
        let read = fs::read(&path).with_context(|| path.display().to_string())?;
        ensure!(read == *content, "{}: content", path.display());
    }
    cluster.unmount(&fresh)
}

fn files_through(master: Program, programs: Chunkservers) -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(master, programs, 3, "")?;
    let mount = cluster.mount("mnt", &[])?;
    let files = use_files(&cluster, &mount, 1)?;
    compare(&files)?;
    compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    wait_until("every file of goal 2 has its copies", || {
        files
            .iter()
            .filter(|(path, content)| {
                !content.is_empty() && path.starts_with(mount.join("goal2-1"))
            })
            .all(|(path, content)| {
                let chunks = content.len().div_ceil(64 << 20);
                copies(&cluster, path).is_ok_and(|count| count == 2 * chunks)
            })
    })?;
    for number in 1..=3 {
        cluster.chunkserver(number, "stop")?.success()?;
        check_files(&cluster.disk(number))?;
        cluster.chunkserver(number, "start")?;
    }
    cluster.wait_for_chunkservers(3)?;
    compare_fresh(&mut cluster, "again", &mount, &files)
}

#[test]
fn files_with_our_master_and_ours() -> Result<()> {
    files_through(Program::Ours, Chunkservers::Ours)
}

#[test]
fn files_with_our_master_and_both_kinds() -> Result<()> {
    files_through(Program::Ours, Chunkservers::Mixed)
}

#[test]
fn files_with_the_real_master_and_ours() -> Result<()> {
    files_through(Program::Debian, Chunkservers::Ours)
}

#[test]
fn files_with_the_real_master_and_both_kinds() -> Result<()> {
    files_through(Program::Debian, Chunkservers::Mixed)
}

fn stop_all(cluster: &Cluster, count: usize) -> Result<()> {
    for number in 1..=count {
        cluster.chunkserver(number, "stop")?.success()?;
    }
    Ok(())
}

fn start_all(cluster: &Cluster, count: usize) -> Result<()> {
    for number in 1..=count {
        cluster.chunkserver(number, "start")?;
    }
    cluster.wait_for_chunkservers(count)
}

#[test]
fn disks_go_from_one_kind_to_the_other_and_back() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(Program::Debian, Chunkservers::Debian, 2, "")?;
    let mount = cluster.mount("mnt", &[])?;
    let mut files = use_files(&cluster, &mount, 1)?;
    for (round, programs) in [Chunkservers::Ours, Chunkservers::Debian]
        .into_iter()
        .enumerate()
    {
        stop_all(&cluster, 2)?;
        cluster.set_chunkservers(programs);
        start_all(&cluster, 2)?;
        compare_fresh(&mut cluster, &format!("fresh{round}"), &mount, &files)?;
        // What the other kind wrote is written on by this one.
        for (path, content) in &mut files {
            let more = pattern(round as u32 + 7, 70_000);
            let mut file = fs::OpenOptions::new().append(true).open(&*path)?;
            file.write_all(&more)?;
            content.extend_from_slice(&more);
        }
        files.extend(use_files(&cluster, &mount, round as u32 + 2)?);
        compare_fresh(&mut cluster, &format!("later{round}"), &mount, &files)?;
    }
    stop_all(&cluster, 2)?;
    for number in 1..=2 {
        check_files(&cluster.disk(number))?;
    }
    Ok(())
}

/// New chunks in the form that chunkservers before 3.0.83 read, used by both kinds.
#[test]
fn chunks_of_the_old_form() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let cfg = "HDD_OLD_CHUNK_FORMAT = 1\n";
    let mut cluster = cluster(Program::Ours, Chunkservers::Ours, 2, cfg)?;
    let mount = cluster.mount("mnt", &[])?;
    let files = use_files(&cluster, &mount, 1)?;
    compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    stop_all(&cluster, 2)?;
    for number in 1..=2 {
        let found = chunk_files(&cluster.disk(number));
        ensure!(!found.is_empty());
        for path in found {
            let len = fs::metadata(&path)?.len();
            ensure!(len % 65_536 == 5120, "{}: {len} bytes", path.display());
        }
        check_files(&cluster.disk(number))?;
    }
    cluster.set_chunkservers(Chunkservers::Debian);
    start_all(&cluster, 2)?;
    compare_fresh(&mut cluster, "debian", &mount, &files)
}

/// Flips a bit of a file.
fn flip(path: &Path, at: u64) -> Result<()> {
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 4], at)?;
    Ok(())
}

/// Places of a chunk file of one block that matter: signature, id, version, table, data.
const PLACES: [u64; 7] = [3, 12, 19, 4096, 4099, 8192, 8192 + 65_535];

/// Files of goal 2, the first copy of each damaged at another place while its server is down.
fn damaged_files(cluster: &Cluster, mount: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for number in 0..PLACES.len() {
        let path = mount.join(format!("f{number}"));
        let content = pattern(number as u32 + 1, 65_536);
        fs::write(&path, &content)?;
        files.push((path, content));
    }
    wait_until("two copies of each", || {
        files
            .iter()
            .all(|(path, _)| copies(cluster, path).is_ok_and(|count| count == 2))
    })?;
    cluster.chunkserver(1, "stop")?.success()?;
    let found = chunk_files(&cluster.disk(1));
    ensure!(
        found.len() == PLACES.len(),
        "every chunk has a copy on server 1"
    );
    for (path, place) in found.iter().zip(PLACES) {
        flip(path, place)?;
    }
    cluster.chunkserver(1, "start")?;
    cluster.wait_for_chunkservers(2)?;
    Ok(files)
}

/// Waits until every copy of server 1 is good again. The masters take their time for that.
fn healed(cluster: &Cluster) -> Result<()> {
    if std::env::var_os("LAB_LONG").is_none() {
        return Ok(());
    }
    wait_until("every chunk file is good again", || {
        chunk_files(&cluster.disk(1)).len() == PLACES.len() && check_files(&cluster.disk(1)).is_ok()
    })
}

/// Reads every chunk of server 1 as a client would and prints the number of bytes and the status.
const READ_ALL: &str = r#"
import socket, struct, sys
for name in sys.argv[2:]:
    chunk, version = int(name[6:22], 16), int(name[23:31], 16)
    link = socket.create_connection((sys.argv[1], 9422))
    link.sendall(struct.pack(">IIQIII", 200, 20, chunk, version, 0, 65536))
    stream, data = link.makefile("rb"), 0
    while True:
        kind, length = struct.unpack(">II", stream.read(8))
        payload = stream.read(length)
        if kind == 202:
            data += length - 20
        if kind == 201:
            print(data, payload[8])
            break
"#;

#[test]
fn damage_is_found_by_reading_and_never_read() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(Program::Ours, Chunkservers::Ours, 2, "HDD_TEST_SPEED = 0\n")?;
    let mount = cluster.mount("mnt", &[])?;
    let files = damaged_files(&cluster, &mount)?;
    let mut read = cluster.command("python3");
    read.args(["-c", READ_ALL, Cluster::chunkserver_ip(1)]);
    for path in chunk_files(&cluster.disk(1)) {
        read.arg(path.file_name().context("name")?);
    }
    // Wrong headers are an IO error, wrong checksums are a CRC error.
    let said = run(&mut read)?.success()?;
    ensure!(
        said == "0 22\n0 22\n0 22\n0 29\n0 29\n0 29\n0 29\n",
        "{said}"
    );
    compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    healed(&cluster)?;
    compare_fresh(&mut cluster, "last", &mount, &files)
}

#[test]
fn damage_is_found_by_the_test_and_healed() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let cfg = "HDD_TEST_SPEED = 100\nHDD_MIN_TEST_INTERVAL = 0\n";
    let mut cluster = cluster(Program::Debian, Chunkservers::Mixed, 2, cfg)?;
    let mount = cluster.mount("mnt", &[])?;
    let files = damaged_files(&cluster, &mount)?;
    wait_until("the disk list shows an error", || {
        cluster
            .mfscli(&["-p", "-s:", "-SHD"])
            .is_ok_and(|text| text.lines().any(shows_error))
    })?;
    healed(&cluster)?;
    compare_fresh(&mut cluster, "fresh", &mount, &files)
}

/// Whether a line of the disk list is that of server 1 with an error.
fn shows_error(line: &str) -> bool {
    line.contains(Cluster::chunkserver_ip(1)) && !line.contains("no errors")
}

#[test]
fn a_kill_while_writing_loses_nothing_and_leaves_nothing() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = cluster(Program::Ours, Chunkservers::Ours, 3, "")?;
    let mount = cluster.mount("mnt", &[])?;
    let mut files = Vec::new();
    for round in 0..6_usize {
        let victim = round % 3 + 1;
        let path = mount.join(format!("f{round}"));
        let content = pattern(round as u32 + 1, 8 << 20);
        let mut file = fs::File::create(&path)?;
        for (number, piece) in content.chunks(100_000).enumerate() {
            if number == 30 + round {
                cluster.kill_chunkserver(victim)?;
            }
            if number == 60 {
                cluster.chunkserver(victim, "start")?;
            }
            file.write_all(piece)?;
        }
        file.sync_all()?;
        files.push((path, content));
        cluster.wait_for_chunkservers(3)?;
    }
    // All at once: what was confirmed is still there.
    for number in 1..=3 {
        cluster.kill_chunkserver(number)?;
    }
    for number in 1..=3 {
        check_files(&cluster.disk(number)).context("after the kill of all")?;
        cluster.chunkserver(number, "start")?;
    }
    cluster.wait_for_chunkservers(3)?;
    compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    wait_until("two copies of everything", || {
        files
            .iter()
            .all(|(path, _)| copies(&cluster, path).is_ok_and(|count| count == 2))
    })?;
    Ok(())
}

/// A cluster whose first server has several disks.
fn with_disks(disks: usize, cfg: &str) -> Result<Cluster> {
    let cluster = Cluster::start(ClusterOptions {
        master: Program::Ours,
        chunkservers: 2,
        chunkserver_programs: Chunkservers::Ours,
        disks,
        disk_size: "600m".to_owned(),
        master_cfg: "REPLICATIONS_DELAY_INIT = 1\nCHUNKS_LOOP_MIN_TIME = 60\n".to_owned(),
        chunkserver_cfg: cfg.to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    Ok(cluster)
}

/// strace lets every write of server 1 to a file fail for a while.
#[test]
fn write_errors_of_a_server_are_not_seen_with_goal_2() -> Result<()> {
    if !lab::ready() || !Path::new("/usr/bin/strace").exists() {
        return Ok(());
    }
    for error in ["EIO", "ENOSPC"] {
        let mut cluster = cluster(Program::Ours, Chunkservers::Ours, 3, "")?;
        let mount = cluster.mount("mnt", &[])?;
        let mut files = Vec::new();
        let pid = cluster.chunkserver_pid(1)?.to_string();
        let inject = format!("inject=pwrite64,pwritev:error={error}:when=5+7");
        let mut strace = Command::new("strace")
            .args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=pwrite64,pwritev",
                "-e",
            ])
            .arg(&inject)
            .args(["-p", &pid])
            .spawn()?;
        std::thread::sleep(std::time::Duration::from_secs(1));
        let written = (0..12_u32).try_for_each(|number| -> Result<()> {
            let path = mount.join(format!("f{number}"));
            let content = pattern(number + 1, 700_000);
            let mut file = fs::File::create(&path)?;
            file.write_all(&content)?;
            file.sync_all()
                .with_context(|| format!("{error}: {}", path.display()))?;
            files.push((path, content));
            Ok(())
        });
        strace.kill()?;
        strace.wait()?;
        written?;
        compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    }
    Ok(())
}

/// A disk full to the last byte, one that vanishes and one in order: new chunks go to the last one.
#[test]
fn a_full_and_a_vanished_disk_do_not_stop_the_others() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = with_disks(3, "HDD_LEAVE_SPACE_DEFAULT = 16MiB\n")?;
    let mount = cluster.mount("mnt", &[])?;
    let mut files = use_files(&cluster, &mount, 1)?;
    let filler = cluster.disk_of(1, 2).join("filler");
    cluster.shell(
        &mount,
        &format!("head -c 599M /dev/zero > {} || true", filler.display()),
    )?;
    // Every chunk of the third disk disappears under the server.
    for path in chunk_files(&cluster.disk_of(1, 3)) {
        fs::remove_file(path)?;
    }
    files.retain(|(path, _)| path.starts_with(mount.join("goal2-1")));
    compare_fresh(&mut cluster, "fresh", &mount, &files)?;
    for number in 0..10 {
        let path = mount.join(format!("later{number}"));
        let content = pattern(number + 50, 300_000);
        fs::write(&path, &content)?;
        files.push((path, content));
    }
    compare_fresh(&mut cluster, "later", &mount, &files)?;
    let listed = cluster.mfscli(&["-SHD"])?;
    ensure!(
        listed.contains(&*cluster.disk(1).to_string_lossy()),
        "{listed}"
    );
    Ok(())
}

/// Chunks leave a disk that is to be emptied, and one that is taken out of the list takes its
/// copies with it until it is back.
#[test]
fn marks_and_reloads_move_chunks() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = with_disks(2, "HDD_HIGH_SPEED_REBALANCE_LIMIT = 4\n")?;
    let mount = cluster.mount("mnt", &[])?;
    let files = use_files(&cluster, &mount, 1)?;
    let list = cluster.etc("mfshdd1.cfg");
    let text = fs::read_to_string(&list)?;
    fs::write(&list, format!("<{text}"))?;
    cluster.chunkserver(1, "reload")?.success()?;
    wait_until("the first disk is empty", || {
        chunk_files(&cluster.disk_of(1, 1)).is_empty()
    })?;
    ensure!(!chunk_files(&cluster.disk_of(1, 2)).is_empty());
    check_files(&cluster.disk_of(1, 2))?;
    compare_fresh(&mut cluster, "moved", &mount, &files)?;
    let first = text.lines().next().context("a line")?;
    fs::write(&list, format!("{first}\n"))?;
    cluster.chunkserver(1, "reload")?.success()?;
    let path = &files.last().context("a file")?.0;
    wait_until("the copies of the other disk are gone", || {
        copies(&cluster, path).is_ok_and(|count| count <= 1)
    })?;
    fs::write(&list, text)?;
    cluster.chunkserver(1, "reload")?.success()?;
    wait_until("they are back", || {
        copies(&cluster, path).is_ok_and(|count| count == 2)
    })?;
    compare_fresh(&mut cluster, "back", &mount, &files)
}

/// A file system in a file, which can be frozen: writes to it hang.
struct Freezer {
    folder: PathBuf,
}

impl Freezer {
    fn mount(image: &Path, folder: &Path) -> Result<Freezer> {
        let file = fs::File::create(image)?;
        file.set_len(800 << 20)?;
        run(Command::new("mkfs.ext4").arg("-q").arg(image))?.success()?;
        run(Command::new("mount")
            .args(["-o", "loop"])
            .arg(image)
            .arg(folder))?
        .success()?;
        Ok(Freezer {
            folder: folder.to_owned(),
        })
    }

    fn freeze(&self, how: &str) -> Result<()> {
        run(Command::new("fsfreeze").arg(how).arg(&self.folder))?.success()?;
        Ok(())
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        drop(self.freeze("-u"));
        drop(run(Command::new("umount").arg("-l").arg(&self.folder)));
    }
}

#[test]
fn a_hanging_disk_does_not_stop_the_others() -> Result<()> {
    if !lab::ready() || !Path::new("/dev/loop-control").exists() {
        return Ok(());
    }
    let mut cluster = with_disks(2, "")?;
    let mount = cluster.mount("mnt", &[])?;
    cluster.chunkserver(1, "stop")?.success()?;
    let freezer = Freezer::mount(&cluster.root.join("ext4"), &cluster.disk_of(1, 2))?;
    cluster.chunkserver(1, "start")?;
    cluster.wait_for_chunkservers(2)?;
    let mut files = use_files(&cluster, &mount, 1)?;
    ensure!(!chunk_files(&cluster.disk_of(1, 2)).is_empty());
    freezer.freeze("-f")?;
    let hanging = std::thread::spawn({
        let path = files
            .iter()
            .find(|(path, content)| !content.is_empty() && path.starts_with(mount.join("goal2-1")))
            .map(|(path, _)| path.clone())
            .context("a file")?;
        // May hang or not, as the chunk is there or not; it must not fail.
        move || {
            fs::OpenOptions::new()
                .append(true)
                .open(path)?
                .write_all(b"more")
        }
    });
    let begun = std::time::Instant::now();
    let mut slowest = std::time::Duration::ZERO;
    let mut slow = 0;
    for number in 0..16 {
        let one = std::time::Instant::now();
        let path = mount.join(format!("goal2-1/during{number}"));
        let content = pattern(number + 200, 300_000);
        let mut file = fs::File::create(&path)?;
        file.write_all(&content)?;
        file.sync_all()
            .with_context(|| path.display().to_string())?;
        files.push((path, content));
        slowest = slowest.max(one.elapsed());
        slow += u32::from(one.elapsed().as_secs() >= 1);
    }
    let took = begun.elapsed();
    freezer.freeze("-u")?;
    hanging.join().map_err(|_| anyhow::anyhow!("writer"))??;
    ensure!(
        took.as_secs() < 30,
        "{took:?} for all, {slowest:?} for the slowest"
    );
    ensure!(slow <= 4, "{slow} of 16 files took more than a second");
    files.retain(|(path, _)| path.to_string_lossy().contains("during"));
    let compared = compare_fresh(&mut cluster, "fresh", &mount, &files);
    drop(cluster);
    drop(freezer);
    compared
}

/// A good chunk file of two blocks of zeros.
fn good_chunk(chunk: u64, version: u32, header: usize) -> Vec<u8> {
    let mut bytes = b"MFSC 1.0".to_vec();
    bytes.extend(chunk.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.resize(header, 0);
    for _ in 0..1024 {
        bytes.extend(0xd797_8eeb_u32.to_be_bytes());
    }
    bytes.resize(header + 4096 + 2 * 65_536, 0);
    bytes
}

/// Ours and the one of the packages say and do the same with the same files.
#[test]
fn both_chunk_tools_agree() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("chunktools-{}", std::process::id()));
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut add = |name, change: &dyn Fn(&mut Vec<u8>)| {
        for header in [4096, 1024] {
            let mut bytes = good_chunk(10, 3, header);
            change(&mut bytes);
            cases.push((name, bytes));
        }
    };
    let right = "chunk_000000000000000A_00000003.mfs";
    add(right, &|_| ());
    add(right, &|bytes| bytes[2] ^= 1);
    add(right, &|bytes| bytes[15] ^= 1);
    add(right, &|bytes| bytes[19] ^= 1);
    add(right, &|bytes| *bytes.last_mut().unwrap_or(&mut 0) = 7);
    add(right, &|bytes| {
        let first = bytes.len() - 2 * 65_536;
        bytes[first] = 7;
    });
    add(right, &|bytes| {
        let beyond = bytes.len() - 2 * 65_536 - 4;
        bytes[beyond] = 7;
    });
    add(right, &|bytes| bytes.truncate(70_000));
    add(right, &|bytes| bytes.clear());
    add("wrong.mfs", &|_| ());
    add("wrong.mfs", &|bytes| bytes[2] ^= 1);
    for options in ["-x", "-fx", "-ex", "-rx", "-nx"] {
        for (number, (name, bytes)) in cases.iter().enumerate() {
            let mut outcomes = Vec::new();
            for program in [Program::Debian, Program::Ours] {
                fs::create_dir_all(&folder)?;
                fs::write(folder.join(name), bytes)?;
                let output = run(Command::new(lab::program(&program, "mfschunktool"))
                    .args([options, name])
                    .current_dir(&folder))?;
                let mut left = Vec::new();
                for entry in fs::read_dir(&folder)? {
                    let path = entry?.path();
                    left.push((path.clone(), fs::read(path)?));
                }
                fs::remove_dir_all(&folder)?;
                outcomes.push((output.code, output.stdout, output.stderr, left));
            }
            let [theirs, ours] = &outcomes[..] else {
                continue;
            };
            ensure!(
                theirs == ours,
                "{options}, case {number}: {:?} there, {:?} here",
                (theirs.0, &theirs.1, &theirs.2),
                (ours.0, &ours.1, &ours.2)
            );
        }
    }
    Ok(())
}
