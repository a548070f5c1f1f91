//! What differs from cluster to cluster without meaning anything: each rule replaces it by a word.

use proto::changelog::Seal;
use std::path::Path;

/// A number of seconds so near to now is a time.
const TIME_TOLERANCE: u64 = 40 * 86_400;
/// A grace time that began so short a time ago has just begun, seconds.
const GRACE_TOLERANCE: u64 = 30;

/// Where and when a text was printed.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Folder of the cluster.
    pub root: &'a Path,
    /// Unix time.
    pub now: u64,
}

/// What a rule makes of the output of a step.
enum Rule {
    /// Of each line; `None`: it stays.
    Line(fn(&str, Place<'_>) -> Option<String>),
    /// Of all lines together.
    Lines(fn(Vec<String>) -> Vec<String>),
}

/// Every rule, in the order in which they apply.
const RULES: &[(&str, Rule)] = &[
    ("the folder of the cluster is ROOT", Rule::Line(folder)),
    (
        "the seal behind a batch of our changelog, which MooseFS skips, is cut off",
        Rule::Line(seal),
    ),
    ("a unix time near to now is TIME", Rule::Line(times)),
    (
        "the identity of a new file system is ID",
        Rule::Line(metaid),
    ),
    (
        "the server of a copy, chosen by chance, is CS",
        Rule::Line(copy_server),
    ),
    (
        "chunks and bytes of the servers, placed by chance, are summed up",
        Rule::Lines(server_totals),
    ),
    (
        "owners of locks, which are addresses in the kernel, are OWNER, processes PID",
        Rule::Line(lock_owner),
    ),
    (
        "a grace time that has just begun is BEGUN",
        Rule::Line(grace),
    ),
    (
        "SETACL says whether the inode was changed in this second, which is chance",
        Rule::Line(acl_second),
    ),
    (
        "when the clock noticed an exceeded quota does not matter",
        Rule::Lines(noticed_quotas),
    ),
];

/// The lines of a step as they are compared.
pub fn normal(text: &str, place: Place<'_>) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for (_, rule) in RULES {
        match rule {
            Rule::Line(change) => {
                for line in &mut lines {
                    if let Some(changed) = change(line, place) {
                        *line = changed;
                    }
                }
            }
            Rule::Lines(change) => lines = change(lines),
        }
    }
    lines
}

fn folder(line: &str, place: Place<'_>) -> Option<String> {
    Some(line.replace(&place.root.display().to_string(), "ROOT"))
}

fn seal(line: &str, _: Place<'_>) -> Option<String> {
    let (text, seal) = Seal::split(line.as_bytes());
    seal.map(|_| String::from_utf8_lossy(text).into_owned())
}

fn times(line: &str, place: Place<'_>) -> Option<String> {
    let mut out = String::with_capacity(line.len());
    for part in line.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = part.trim_end_matches(|character: char| !character.is_ascii_digit());
        let is_time = digits.len() == 10
            && digits
                .parse::<u64>()
                .is_ok_and(|number| number.abs_diff(place.now) < TIME_TOLERANCE);
        out.push_str(if is_time { "TIME" } else { digits });
        out.push_str(&part[digits.len()..]);
    }
    Some(out)
}

fn metaid(line: &str, _: Place<'_>) -> Option<String> {
    line.starts_with("SETMETAID(")
        .then(|| "SETMETAID(ID)".to_owned())
}

fn copy_server(line: &str, _: Place<'_>) -> Option<String> {
    let (copy, rest) = line.split_once(": 172.21.21.")?;
    let (_, status) = rest.split_once(":9422 ")?;
    copy.trim_start()
        .starts_with("copy ")
        .then(|| format!("{copy}: CS {status}"))
}

/// Columns of `mfscli -SCS` that depend on where chunks were put: their number and the used space.
const LOADS: [usize; 2] = [8, 9];

fn server_totals(mut lines: Vec<String>) -> Vec<String> {
    let mut totals = [0_u64; LOADS.len()];
    let mut last = None;
    for (index, line) in lines.iter_mut().enumerate() {
        if !line.starts_with("chunk servers:\t172.") {
            continue;
        }
        let mut fields: Vec<&str> = line.split('\t').collect();
        for (total, column) in totals.iter_mut().zip(LOADS) {
            if let Some(field) = fields.get_mut(column) {
                *total += field.parse::<u64>().unwrap_or(0);
                *field = "SUMMED";
            }
        }
        *line = fields.join("\t");
        last = Some(index);
    }
    if let Some(last) = last {
        lines.insert(last + 1, format!("chunk servers, sums: {totals:?}"));
    }
    lines
}

/// The fields of a line of a lock that name its owner and the process.
fn lock_fields(line: &str) -> Option<(char, usize, usize)> {
    if line.starts_with("acquired locks:\t") {
        Some(('\t', 6, 7))
    } else if line.starts_with("FLOCK(") {
        Some((',', 2, usize::MAX))
    } else if line.starts_with("POSIXLOCK(") {
        Some((',', 2, 6))
    } else {
        None
    }
}

fn lock_owner(line: &str, _: Place<'_>) -> Option<String> {
    let (separator, owner, process) = lock_fields(line)?;
    let mut fields: Vec<String> = line.split(separator).map(str::to_owned).collect();
    if let Some(field) = fields.get_mut(owner) {
        "OWNER".clone_into(field);
    }
    if let Some(field) = fields.get_mut(process) {
        let digits = field.trim_end_matches(')').to_owned();
        if digits.parse::<u32>().is_ok_and(|number| number > 1) {
            *field = field.replace(&digits, "PID");
        }
    }
    Some(fields.join(&separator.to_string()))
}

fn grace(line: &str, _: Place<'_>) -> Option<String> {
    let mut fields: Vec<&str> = line.strip_prefix("active quotas:\t")?.split('\t').collect();
    let whole: u64 = fields.get(2)?.parse().ok()?;
    let left: u64 = fields.get(3)?.parse().ok()?;
    let past = whole.checked_sub(left)?;
    fields[3] = "BEGUN";
    (past <= GRACE_TOLERANCE).then(|| format!("active quotas:\t{}", fields.join("\t")))
}

fn acl_second(line: &str, _: Place<'_>) -> Option<String> {
    let mut fields: Vec<&str> = line.strip_prefix("SETACL(")?.split(',').collect();
    *fields.get_mut(2)? = "ANY";
    Some(format!("SETACL({}", fields.join(",")))
}

/// Each second the master looks for exceeded soft quotas and writes a line that repeats the quota with
/// the time. A request in front of that or behind it makes the same lines without or with the time.
fn noticed_quotas(mut lines: Vec<String>) -> Vec<String> {
    let mut seen: Vec<String> = Vec::new();
    lines.retain_mut(|line| {
        if !line.starts_with("QUOTA(") {
            return true;
        }
        *line = line.replace(",TIME,", ",0,");
        let is_new = !seen.contains(line);
        if is_new {
            seen.push(line.clone());
        }
        is_new
    });
    lines
}
