//! Bad input gets one clear message or a closed link; the master lives on.

use anyhow::{Context, Result, ensure};
use lab::{Cluster, ClusterOptions, MASTER_IP, run};
use std::fs;
use std::io::Read;

fn small() -> Result<Cluster> {
    Cluster::start(ClusterOptions {
        chunkservers: 0,
        ..ClusterOptions::default()
    })
}

/// A start that has to fail: its exit code is 1 and its message holds every word.
fn refuses(cluster: &Cluster, words: &[&str]) -> Result<()> {
    let output = cluster.master("start")?;
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure!(output.code == 1, "exit code {}: {said}", output.code);
    for word in words {
        ensure!(said.contains(word), "no {word:?} in: {said}");
    }
    ensure!(!said.contains("panicked"), "{said}");
    Ok(())
}

#[test]
fn a_broken_image_is_named_with_its_place_and_left_as_it_is() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = small()?;
    let mount = cluster.mount("mnt", &[])?;
    for number in 0..200 {
        fs::create_dir(mount.join(format!("d{number}")))?;
    }
    cluster.unmount(&mount)?;
    cluster.master("stop")?.success()?;
    let image = cluster.master_data().join("metadata.mfs");
    let good = fs::read(&image)?;
    for name in fs::read_dir(cluster.master_data())?.flatten() {
        let text = name.file_name().to_string_lossy().into_owned();
        if text.starts_with("metadata.mfs.") || text.starts_with("changelog") {
            fs::remove_file(name.path())?;
        }
    }
    for (what, bytes) in [
        ("truncated", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("other", b"not an image of any file system, really".to_vec()),
    ] {
        fs::write(&image, &bytes)?;
        refuses(&cluster, &["metadata.mfs"]).with_context(|| what.to_owned())?;
        ensure!(fs::read(&image)? == bytes, "{what}: the image was changed");
    }
    fs::write(&image, &good)?;
    cluster.master("start")?.success()?;
    Ok(())
}

#[test]
fn a_cut_changelog_line_is_reported_and_the_lines_before_it_count() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = small()?;
    let mount = cluster.mount("mnt", &[])?;
    for number in 0..50 {
        fs::create_dir(mount.join(format!("d{number}")))?;
    }
    cluster.kill_master()?;
    let log = cluster.master_data().join("changelog.0.mfs");
    let mut bytes = fs::read(&log)?;
    bytes.extend_from_slice(b"99");
    fs::write(&log, &bytes)?;
    cluster.master("start")?.success()?;
    ensure!(fs::read_dir(&mount)?.count() == 50);
    fs::create_dir(mount.join("after"))?;
    let text = fs::read_to_string(&log)?;
    ensure!(
        text.lines().all(|line| line.contains(": ")),
        "a torn line stayed in the changelog"
    );
    Ok(())
}

#[test]
fn configuration_errors_say_what_where_and_go_on_or_stop() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let cluster = small()?;
    // A second master on the same data and the same ports.
    refuses(&cluster, &["lock"])?;
    cluster.master("stop")?.success()?;
    let path = cluster.etc("mfsmaster.cfg");
    let good = fs::read_to_string(&path)?;
    fs::write(&path, good.replace("/master\n", "/nosuchdirectory\n"))?;
    refuses(&cluster, &["nosuchdirectory"])?;
    fs::write(&path, format!("{good}NO_SUCH_KEY = 5\n"))?;
    let started = cluster.master("start")?;
    let said = format!("{}{}", started.stdout, started.stderr);
    started.success()?;
    ensure!(said.contains("NO_SUCH_KEY"), "{said}");
    cluster.master("stop")?.success()?;
    fs::write(&path, &good)?;
    fs::write(cluster.etc("mfsexports.cfg"), "")?;
    refuses(&cluster, &["no exports defined"])
}

#[test]
fn a_busy_port_is_named() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let cluster = small()?;
    cluster.master("stop")?.success()?;
    let script = format!(
        "import socket,time\ns=socket.socket()\ns.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\n\
         s.bind(('{MASTER_IP}',9421))\ns.listen()\nprint('listening',flush=True)\ntime.sleep(20)"
    );
    let mut squatter = cluster
        .command("python3")
        .args(["-c", &script])
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut listening = [0; 9];
    squatter
        .stdout
        .as_mut()
        .context("standard output")?
        .read_exact(&mut listening)?;
    let outcome = refuses(&cluster, &["9421"]);
    squatter.kill()?;
    squatter.wait()?;
    outcome
}

#[test]
fn garbage_on_every_port_closes_the_link_and_nothing_else() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let mut cluster = small()?;
    let mount = cluster.mount("mnt", &[])?;
    fs::create_dir(mount.join("before"))?;
    let script = format!(
        "import socket,random,struct\nrandom.seed(1)\n\
         for port in (9419,9420,9421):\n\
        \x20 for round in range(150):\n\
        \x20  s=socket.create_connection(('{MASTER_IP}',port),5)\n\
        \x20  kind=random.choice([0,1,2,10,50,60,62,80,100,101,104,107,400,406,428,499,500,508,510,524,536,546,700,701,9999,random.getrandbits(32)])\n\
        \x20  length=random.choice([0,1,4,5,12,64,200,0x7fffffff,0xffffffff,600000000])\n\
        \x20  try:\n\
        \x20   s.sendall(struct.pack('>II',kind,length)+random.randbytes(min(length,300)))\n\
        \x20   s.settimeout(0.02)\n\
        \x20   s.recv(4096)\n\
        \x20  except OSError: pass\n\
        \x20  s.close()\n"
    );
    run(cluster.command("python3").args(["-c", &script]))?.success()?;
    let half_open = format!(
        "import socket\nkept=[]\n\
         for n in range(3000):\n\
        \x20 s=socket.create_connection(('{MASTER_IP}',9421),5)\n\
        \x20 s.sendall(b'\\x00\\x00\\x01')\n\
        \x20 kept.append(s)\n"
    );
    run(cluster.command("python3").args(["-c", &half_open]))?.success()?;
    fs::create_dir(mount.join("after"))?;
    ensure!(mount.join("before").exists() && mount.join("after").exists());
    cluster.master_pid()?;
    Ok(())
}

/// Connections of the long test, all told.
const CONNECTIONS: usize = 1_000_000;
/// Connections that are open at a time: both ends are files of processes with limits.
const WAVE: usize = 8_000;
/// Threads that connect.
const CALLERS: usize = 4;
/// The master may have so much more memory afterwards, KiB: tables keep the size of their fullest time.
const MEMORY_KIB: u64 = 32 << 10;

/// What a peer says before it says no more. Nothing of it is a whole registration.
fn beginning(number: usize) -> Vec<u8> {
    let register = |length: u32, sent: &[u8]| {
        let mut bytes = 400_u32.to_be_bytes().to_vec();
        bytes.extend(length.to_be_bytes());
        bytes.extend_from_slice(sent);
        bytes
    };
    match number % 8 {
        // Nothing, half a header, a header.
        0 => Vec::new(),
        1 => vec![0, 0, 1],
        2 => register(100, &[]),
        // A registration cut in its text, one with garbage in it, and a too long one.
        3 => register(
            100,
            b"DjI1GAQDULI5d2YjA26ypc3ovkhjvhciTQVx3CS4nYgtBoUcsljiVpsErJENHaw0",
        ),
        4 => register(65, &[number as u8; 65]),
        5 => register(u32::MAX, &[0x55; 40]),
        // Garbage, and a question that needs no registration.
        6 => number.to_be_bytes().repeat(9),
        _ => [&10_u32.to_be_bytes()[..], &0_u32.to_be_bytes()].concat(),
    }
}

/// Number of open files and memory in KiB of a process.
fn size(pid: i32) -> Result<(usize, u64)> {
    let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let memory = line.and_then(|line| line.split_whitespace().nth(1));
    Ok((files, memory.context("no VmRSS")?.parse()?))
}

#[test]
fn a_million_connections_that_never_register_leave_nothing_behind() -> Result<()> {
    if !lab::ready() || std::env::var_os("LAB_LONG").is_none() {
        return Ok(());
    }
    let mut cluster = small()?;
    let mount = cluster.mount("mnt", &[])?;
    let from: [std::net::Ipv4Addr; CALLERS] = [
        "172.21.21.80".parse()?,
        "172.21.21.81".parse()?,
        "172.21.21.83".parse()?,
        "172.21.21.90".parse()?,
    ];
    let to = std::net::SocketAddrV4::new(MASTER_IP.parse()?, 9421);
    let pid = cluster.master_pid()?;
    // The tables grow to their size once.
    let mut before = None;
    for wave in 0..CONNECTIONS / WAVE {
        let callers: Vec<_> = from
            .into_iter()
            .enumerate()
            .map(|(caller, from)| {
                cluster
                    .namespace
                    .connect_many(from, to, WAVE / CALLERS, move |number| {
                        beginning(wave + caller + number)
                    })
            })
            .collect();
        for caller in callers {
            let streams = caller.join().map_err(|_| anyhow::anyhow!("a caller"))??;
            ensure!(streams.len() == WAVE / CALLERS);
        }
        if wave % 10 == 0 {
            fs::create_dir(mount.join(format!("wave{wave}")))?;
        }
        if wave == 0 {
            before = Some(size(pid)?);
        }
    }
    fs::create_dir(mount.join("after"))?;
    let (files, memory) = before.context("no wave")?;
    lab::wait_until("the connections are closed", || {
        size(pid).is_ok_and(|(now, _)| now < 100)
    })?;
    let (files_now, memory_now) = size(pid)?;
    eprintln!(
        "{CONNECTIONS} connections: {files} files and {memory} KiB after the first wave, {files_now} and {memory_now} at the end"
    );
    ensure!(
        memory_now < memory + MEMORY_KIB,
        "{memory} KiB, then {memory_now}"
    );
    ensure!(mount.join("wave0").exists() && mount.join("after").exists());
    ensure!(cluster.master_pid()? == pid);
    Ok(())
}
