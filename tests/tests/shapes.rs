//! Unusual files: many of them, long and strange names, large and sparse ones, links, devices.

use anyhow::{Result, ensure};
use lab::{Cluster, ClusterOptions, wait_until};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

fn mounted() -> Result<(Cluster, PathBuf)> {
    let mut cluster = Cluster::start(ClusterOptions {
        chunkservers: 2,
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(2)?;
    let mount = cluster.mount("mnt", &[])?;
    Ok((cluster, mount))
}

fn listed(directory: &Path) -> Result<BTreeSet<OsString>> {
    Ok(fs::read_dir(directory)?
        .map(|entry| Ok(entry?.file_name()))
        .collect::<std::io::Result<_>>()?)
}

#[test]
fn names_of_every_byte_and_length() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    let mut names: BTreeSet<OsString> = (1..=255)
        .filter(|byte| *byte != b'/')
        .map(|byte| OsString::from_vec(vec![b'n', byte, byte]))
        .collect();
    names.extend([1, 2, 3, 100, 254, 255].map(|length| OsString::from("x".repeat(length))));
    names.extend(["...", " ", "-rf", "ünï¢ødé", "\n"].map(OsString::from));
    for name in &names {
        fs::write(mount.join(name), name.as_encoded_bytes())?;
    }
    let too_long = fs::write(mount.join("x".repeat(256)), "");
    ensure!(too_long.is_err_and(|error| error.raw_os_error() == Some(36)));
    ensure!(listed(&mount)? == names);
    // The changelog and the image carry every name.
    cluster.kill_master()?;
    cluster.master("start -a")?.success()?;
    ensure!(listed(&mount)? == names, "after a replay");
    cluster.master("stop")?.success()?;
    cluster.master("start")?.success()?;
    cluster.wait_for_chunkservers(2)?;
    let fresh = cluster.mount("fresh", &[])?;
    ensure!(listed(&fresh)? == names, "from the image");
    for name in &names {
        ensure!(fs::read(fresh.join(name))? == name.as_encoded_bytes());
        fs::remove_file(mount.join(name))?;
    }
    ensure!(listed(&mount)?.is_empty());
    Ok(())
}

#[test]
fn symbolic_links_hard_links_and_devices() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    for length in [1, 255, 256, 4000, 4095] {
        let target = "t".repeat(length);
        let link = mount.join(format!("l{length}"));
        std::os::unix::fs::symlink(&target, &link)?;
        ensure!(fs::read_link(&link)? == Path::new(&target));
        ensure!(fs::symlink_metadata(&link)?.len() == length as u64);
    }
    fs::write(mount.join("file"), "x")?;
    for number in 0..5000 {
        fs::hard_link(mount.join("file"), mount.join(format!("h{number}")))?;
    }
    ensure!(fs::metadata(mount.join("h7"))?.nlink() == 5001);
    fs::remove_file(mount.join("file"))?;
    ensure!(fs::metadata(mount.join("h8"))?.nlink() == 5000);
    ensure!(fs::read(mount.join("h4999"))? == b"x");
    cluster.shell(
        &mount,
        "mknod c c 12 345; mknod b b 8 1; mkfifo p; python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('s')\"",
    )?;
    let kinds = cluster.shell(&mount, "stat -c '%F %t,%T' c b p s")?;
    ensure!(
        kinds == "character special file c,159\nblock special file 8,1\nfifo 0,0\nsocket 0,0\n",
        "{kinds}"
    );
    ensure!(fs::symlink_metadata(mount.join("p"))?.file_type().is_fifo());
    cluster.shell(&mount, "(echo through > p &) ; test \"$(cat p)\" = through")?;
    Ok(())
}

#[test]
fn a_large_sparse_file() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    let path = mount.join("sparse");
    let file = fs::File::create(&path)?;
    file.set_len(5 << 30)?;
    let places = [0, (64 << 20) - 3, (4 << 30) - 1, (5 << 30) - 10];
    for at in places {
        file.write_all_at(b"0123456789", at)?;
    }
    file.sync_all()?;
    drop(file);
    let fresh = cluster.mount("fresh", &[])?;
    let file = fs::File::open(fresh.join("sparse"))?;
    ensure!(file.metadata()?.len() == 5 << 30);
    for at in places {
        let mut found = [0; 10];
        file.read_exact_at(&mut found, at)?;
        ensure!(&found == b"0123456789", "at {at}: {found:?}");
    }
    let mut hole = vec![1; 100_000];
    file.read_exact_at(&mut hole, 3 << 30)?;
    ensure!(hole.iter().all(|byte| *byte == 0));
    let end = cluster.shell(&mount, "truncate -s 64M sparse; tail -c 3 sparse")?;
    ensure!(end == "012", "{end}");
    let end = cluster.shell(&mount, "truncate -s 64000001 sparse; truncate -s 70000000 sparse; tail -c 6000000 sparse | tr -d '\\0' | wc -c")?;
    ensure!(end == "0\n", "{end}");
    // The largest length there is: one byte less than 2^31 chunks.
    let file = fs::OpenOptions::new().write(true).open(&path)?;
    file.set_len((1 << 57) - 1)?;
    ensure!(file.metadata()?.len() == (1 << 57) - 1);
    ensure!(file.set_len(1 << 57).is_err());
    file.set_len(1)?;
    Ok(())
}

#[test]
fn a_directory_with_fifty_thousand_entries() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (mut cluster, mount) = mounted()?;
    let many = mount.join("many");
    fs::create_dir(&many)?;
    let count = 50_000;
    std::thread::scope(|scope| {
        for part in 0..4 {
            let many = &many;
            scope.spawn(move || {
                for number in (part..count).step_by(4) {
                    fs::File::create(many.join(format!("file-{number}")))?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    ensure!(listed(&many)?.len() == count);
    let fresh = cluster.mount("fresh", &[])?;
    ensure!(listed(&fresh.join("many"))?.len() == count);
    ensure!(cluster.shell(&fresh, "ls -l many | wc -l")? == "50001\n");
    let refused = fs::remove_dir(&many);
    ensure!(refused.is_err_and(|error| error.raw_os_error() == Some(39)));
    // Removal while the directory is being read.
    for entry in fs::read_dir(&many)? {
        fs::remove_file(entry?.path())?;
    }
    wait_until("the directory is empty", || fs::remove_dir(&many).is_ok())?;
    Ok(())
}

#[test]
fn an_archive_of_many_small_files() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let (cluster, mount) = mounted()?;
    let count = if std::env::var_os("LAB_LONG").is_some() {
        300_000
    } else {
        10_000
    };
    // An archive with little in most files, as people unpack.
    let script = format!(
        "import tarfile,io,sys\nt=tarfile.open(sys.argv[1],'w')\n\
         for n in range({count}):\n  i=tarfile.TarInfo('d%d/f%d'%(n//500,n)); i.size=n%10==0 and 100; t.addfile(i,io.BytesIO(b'c'*100))\nt.close()"
    );
    let archive = cluster.root.join("many.tar");
    cluster.shell(
        &mount,
        &format!("python3 -c \"$0\" {archive:?} <<'EOF'\nEOF\n")
            .replace("$0", &script.replace('"', "\\\"")),
    )?;
    lab::run_for(
        std::time::Duration::from_secs(900),
        std::process::Command::new("tar")
            .arg("xf")
            .arg(&archive)
            .current_dir(&mount),
    )?
    .success()?;
    let found = cluster.shell(
        &mount,
        "find . -type f | wc -l; find . -type f -size +0 | wc -l",
    )?;
    ensure!(found == format!("{count}\n{}\n", count / 10), "{found}");
    cluster.shell(&mount, "rm -rf d*; test -z \"$(ls)\"")?;
    Ok(())
}
