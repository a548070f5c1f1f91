//! Takes down every cluster of the lab on this machine, such as one that the demo was told to keep.

use anyhow::Result;
use lab::run;
use std::process::Command;

fn main() -> Result<()> {
    let names = run(Command::new("ip").args(["netns", "list"]))?.success()?;
    for name in names
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| name.starts_with("mfslab-"))
    {
        let root = std::env::temp_dir().join(name);
        let mounts = std::fs::read_to_string("/proc/mounts")?;
        for point in mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|point| std::path::Path::new(point).starts_with(&root))
        {
            run(Command::new("umount").arg("-l").arg(point))?.success()?;
        }
        let pids = run(Command::new("ip").args(["netns", "pids", name]))?.success()?;
        for pid in pids.split_whitespace() {
            run(Command::new("kill").args(["-9", pid]))?;
        }
        run(Command::new("ip").args(["netns", "del", name]))?.success()?;
        if root.exists() {
            std::fs::remove_dir_all(&root)?;
        }
        println!("{name} is gone");
    }
    Ok(())
}
