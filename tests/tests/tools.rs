//! Every tool of MooseFS 3.0.117, run in the same order on the real master and on ours: what they
//! print and how they end has to be the same.
//!
//! The steps are shell lines in `tools/steps.txt`. Each cluster has three real chunkservers and
//! real mounts. The lines of a step are compared after [`rules::normal`] replaced what differs from
//! cluster to cluster; where ours is meant to differ stands in [`deliberate::DELIBERATE`].
//! `LAB_SHOW=1` prints what the real master prints.

#[path = "tools/deliberate.rs"]
mod deliberate;
#[path = "tools/rules.rs"]
mod rules;

use anyhow::{Context, Result, bail, ensure};
use deliberate::DELIBERATE;
use lab::{Cluster, ClusterOptions, MASTER_IP, Program, run, run_for};
use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The steps, one shell line each.
const STEPS: &str = include_str!("tools/steps.txt");
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

/// Runs all steps on a cluster with the given master: what each printed, and its exit code.
fn transcript(master: Program) -> Result<Vec<Vec<String>>> {
    let mut cluster = Cluster::start(ClusterOptions {
        master,
        exports: EXPORTS.to_owned(),
        chunkserver_cfg: "LABELS = A\nHDD_LEAVE_SPACE_DEFAULT = 16MiB\n".to_owned(),
        // Copies stay as they were written: when others are made and deleted is a matter of chance.
        master_cfg:
            "REPLICATIONS_DELAY_INIT = 3600\nCHANGELOG_SAVE_MODE = 1\nINODE_REUSE_DELAY = 300\n"
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
        let place = rules::Place {
            root: &cluster.root,
            now,
        };
        let mut lines = rules::normal(&format!("{}{}", output.stdout, output.stderr), place);
        match step.compare {
            Compare::Exactly => lines.push(format!("rc={}", output.code)),
            Compare::Sorted => {
                lines.sort_unstable();
                lines.push(format!("rc={}", output.code));
            }
            Compare::Not => lines.clear(),
        }
        transcript.push(lines);
    }
    run(std::process::Command::new("umount").arg(cluster.root.join("meta")))?;
    Ok(transcript)
}

/// What differs in the output of a step, as `diff` shows it: only the lines between the first and the
/// last that differ.
fn difference(real: &[String], ours: &[String]) -> Option<String> {
    if real == ours {
        return None;
    }
    let same_at = |pairs: &mut dyn Iterator<Item = (&String, &String)>| {
        pairs.take_while(|(real, ours)| real == ours).count()
    };
    let head = same_at(&mut real.iter().zip(ours));
    let (real, ours) = (&real[head..], &ours[head..]);
    let tail = same_at(&mut real.iter().rev().zip(ours.iter().rev()));
    let mut text = format!("  ({head} lines are the same)\n");
    for (mark, lines) in [('-', real), ('+', ours)] {
        for line in &lines[..lines.len() - tail] {
            let _infallible = writeln!(text, "{mark} {line}");
        }
    }
    Some(text)
}

#[test]
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
    if std::env::var_os("LAB_SHOW").is_some() {
        for (step, lines) in steps().iter().zip(&real) {
            eprintln!("$ {}\n{}", step.line, lines.join("\n"));
        }
    }
    let mut differences = String::new();
    let mut occurred = vec![false; DELIBERATE.len()];
    for ((step, mut real), mut ours) in steps().iter().zip(real).zip(ours) {
        for (deliberate, occurred) in DELIBERATE.iter().zip(&mut occurred) {
            if step.line.contains(deliberate.step) {
                *occurred |= deliberate.take(&mut real, &mut ours);
            }
        }
        if let Some(text) = difference(&real, &ours) {
            write!(differences, "\n$ {}\n- 3.0.117, + ours\n{text}", step.line)?;
        }
    }
    for (deliberate, occurred) in DELIBERATE.iter().zip(occurred) {
        if !occurred {
            write!(
                differences,
                "\n$ {}\nno longer differs as the table says: {}\n",
                deliberate.step, deliberate.reason
            )?;
        }
    }
    ensure!(differences.is_empty(), "{differences}");
    Ok(())
}
