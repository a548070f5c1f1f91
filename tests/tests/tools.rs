//! Every tool of MooseFS 3.0.117, run in the same order on the real master and on ours: what they
//! print and how they end has to be the same.
//!
//! The steps are shell lines in `tools/steps.txt`. Each cluster has three real chunkservers and
//! real mounts; the lines of a step are compared after [`normal`] replaced what differs from
//! cluster to cluster.

use anyhow::{Context, Result, bail, ensure};
use lab::{Cluster, ClusterOptions, MASTER_IP, Program, run, run_for};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The steps, one shell line each.
const STEPS: &str = include_str!("tools/steps.txt");
/// A number of seconds so near to now is a time.
const TIME_TOLERANCE: u64 = 40 * 86_400;
/// Longest run of one step.
const STEP_LIMIT: Duration = Duration::from_secs(60);
const EXPORTS: &str = "* / rw,alldirs,admin,maproot=0:0\n\
     * . rw\n\
     127.0.0.0/8 /limited rw,alldirs,maproot=0:0,mingoal=2,maxgoal=3,mintrashtime=1h,maxtrashtime=2d,umask=027\n\
     10.0.0.0-10.0.0.5 /mapped ro,mapall=1000:1000,ignoregid,password=secret,minversion=2.0.0\n\
     172.21.21.82 /limited rw,alldirs,maproot=0:0,mingoal=2,maxgoal=3,mintrashtime=1h,maxtrashtime=2d,disable=truncate,umask=027\n";

/// How the output of a step is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compare {
    /// Line by line.
    Exactly,
    /// Without regard to the order of lines, which the tool does not define.
    Sorted,
    /// Not at all: the step only prepares.
    Not,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    compare: Compare,
    line: &'static str,
}

/// `~ LINE` compares sorted, `- LINE` not at all, other lines exactly; `#` begins a comment.
fn steps() -> Vec<Step> {
    STEPS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let (compare, line) = if let Some(rest) = line.strip_prefix("~ ") {
                (Compare::Sorted, rest)
            } else if let Some(rest) = line.strip_prefix("- ") {
                (Compare::Not, rest)
            } else {
                (Compare::Exactly, line)
            };
            Step { compare, line }
        })
        .collect()
}

/// Text without what differs between two clusters: their folder and the time.
fn normal(text: &str, root: &Path, now: u64) -> String {
    let text = text.replace(&root.display().to_string(), "ROOT");
    let mut out = String::with_capacity(text.len());
    let mut digits = String::new();
    for character in text.chars().chain(['\0']) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let is_time = digits.len() == 10
            && digits
                .parse::<u64>()
                .is_ok_and(|number| number.abs_diff(now) < TIME_TOLERANCE);
        out.push_str(if is_time { "TIME" } else { &digits });
        digits.clear();
        if character != '\0' {
            out.push(character);
        }
    }
    out
}

/// Runs all steps on a cluster with the given master: what each printed, and its exit code.
fn transcript(master: Program) -> Result<Vec<String>> {
    let mut cluster = Cluster::start(ClusterOptions {
        master,
        exports: EXPORTS.to_owned(),
        chunkserver_cfg: "LABELS = A\nHDD_LEAVE_SPACE_DEFAULT = 16MiB\n".to_owned(),
        master_cfg:
            "REPLICATIONS_DELAY_INIT = 5\nCHANGELOG_SAVE_MODE = 1\nINODE_REUSE_DELAY = 300\n"
                .to_owned(),
        ..ClusterOptions::default()
    })?;
    cluster.wait_for_chunkservers(3)?;
    let second = cluster.etc("mfschunkserver2.cfg");
    let text = fs::read_to_string(&second)?;
    fs::write(&second, text.replace("LABELS = A", "LABELS = A,B"))?;
    cluster.chunkserver(2, "reload")?.success()?;
    let mount = cluster.mount("mnt", &[])?;
    for folder in ["limited", "mapped"] {
        fs::create_dir(mount.join(folder))?;
    }
    cluster.mount("other", &[])?;
    cluster.mount("readonly", &["-o", "ro"])?;
    cluster.mount("limited", &["-S", "/limited"])?;
    cluster.mount("meta", &["-m"])?;

    let mut transcript = Vec::new();
    for step in steps() {
        let mut command = cluster.command("sh");
        command
            .args(["-c", &format!("umask 022; {}", step.line)])
            .current_dir(&mount)
            .env("CLI", format!("mfscli -p -H {MASTER_IP}"))
            .env("M", &cluster.root)
            .env("LC_ALL", "C");
        let output = run_for(STEP_LIMIT, &mut command).with_context(|| step.line)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let text = normal(
            &format!("{}{}", output.stdout, output.stderr),
            &cluster.root,
            now,
        );
        let mut lines: Vec<&str> = text.lines().collect();
        match step.compare {
            Compare::Exactly => {}
            Compare::Sorted => lines.sort_unstable(),
            Compare::Not => lines.clear(),
        }
        let mut entry = lines.join("\n");
        if step.compare != Compare::Not {
            write!(entry, "\nrc={}", output.code)?;
        }
        transcript.push(entry);
    }
    run(std::process::Command::new("umount").arg(cluster.root.join("meta")))?;
    Ok(transcript)
}

#[test]
#[ignore = "open differences: docs/compat/differences-by-test.md"]
fn tools_print_the_same_with_the_real_master_and_with_ours() -> Result<()> {
    if !lab::ready() {
        return Ok(());
    }
    let real = thread::spawn(|| transcript(Program::Debian));
    let ours = transcript(Program::Ours).context("our master")?;
    let Ok(real) = real.join() else {
        bail!("the cluster of the real master");
    };
    let real = real.context("the real master")?;
    let mut differences = String::new();
    if std::env::var_os("LAB_SHOW").is_some() {
        for (step, text) in steps().iter().zip(&real) {
            eprintln!("$ {}\n{text}", step.line);
        }
    }
    for ((step, real), ours) in steps().iter().zip(&real).zip(&ours) {
        if real != ours {
            write!(
                differences,
                "\n$ {}\n--- 3.0.117\n{real}\n--- ours\n{ours}\n",
                step.line
            )?;
        }
    }
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}
