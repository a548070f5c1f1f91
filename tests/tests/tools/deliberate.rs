//! Where our master prints something else than 3.0.117 on purpose.

/// A difference, and why it is there.
#[derive(Clone, Copy, Debug)]
pub struct Deliberate {
    /// Part of the step's line.
    pub step: &'static str,
    /// Lines of 3.0.117, one behind the other; `*` stands for any text.
    pub real: &'static [&'static str],
    /// Our lines in their place; `*` as above.
    pub ours: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// Every deliberate difference. One that no longer occurs makes the test fail.
pub const DELIBERATE: &[Deliberate] = &[
    Deliberate {
        step: "mfsscadmin modify -m s 2;",
        real: &["storage class change 9: 9 ; admin_only: NO ; mode: STD ; *"],
        ours: &["storage class change 9: error: Operation not permitted"],
        reason: "class 9 is predefined like 1 to 8: it is changed with force only",
    },
    Deliberate {
        step: "changelog.0.mfs",
        real: &[SCSET_9_STRICT, SCSET_9_STANDARD, "SCSET(4,*"],
        ours: &[SCSET_9_STRICT, "SCSET(4,*"],
        reason: "the same: the refused change has no line",
    },
    Deliberate {
        step: "mfssettrashtime 4294967295 d/x",
        real: &["d/x: 0", "rc=0"],
        ours: &["d/x: 235926000", "rc=0"],
        reason: "a trash time that does not fit is the longest that does, not what is left of its bits",
    },
    Deliberate {
        step: "changelog.0.mfs",
        real: &["SETTRASHTIME(8,0,4294967295,0):0,1,0"],
        ours: &["SETTRASHTIME(8,0,235926000,0):1,0,0"],
        reason: "the same",
    },
    Deliberate {
        step: "changelog.0.mfs",
        real: &["WRITE(32,0,1,0):9", "UNLINK(31,3):34"],
        ours: &["WRITE(32,0,1,0):9", "UNLOCK(9)", "UNLINK(31,3):34"],
        reason: "a chunk whose end of writing is refused (quota) does not stay locked for two minutes",
    },
    Deliberate {
        step: "$CLI -SMF",
        real: LOCKS_OF_3_0_117,
        ours: LOCKS,
        reason: "ranges are listed as they are, not from uninitialised memory",
    },
    Deliberate {
        step: "$CLI -SAL |",
        real: LOCKS_OF_3_0_117,
        ours: LOCKS,
        reason: "the same",
    },
];

const SCSET_9_STRICT: &str = "SCSET(9,0,W9,K9,A9,2,*";
const SCSET_9_STANDARD: &str = "SCSET(9,0,W9,K9,A9,1,*";
const LOCKS_OF_3_0_117: &[&str] = &["acquired locks:\t*\t???", "acquired locks:\t*\t???"];
const LOCKS: &[&str] = &[
    "acquired locks:\t124\t1\t172.21.21.82\tROOT/mnt\tPOSIX\tOWNER\tPID\t5\t15\tWRITE(EXCLUSIVE)",
    "acquired locks:\t124\t1\t172.21.21.82\tROOT/mnt\tPOSIX\tOWNER\tPID\t50\t150\tREAD(SHARED)",
];

/// Whether a line is what a pattern says.
fn fits(pattern: &str, line: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else {
        return pattern == line;
    };
    line.strip_prefix(head).is_some_and(|rest| {
        (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| fits(tail, rest)))
    })
}

fn position(lines: &[String], patterns: &[&str]) -> Option<usize> {
    lines.windows(patterns.len()).position(|window| {
        window
            .iter()
            .zip(patterns)
            .all(|(line, pattern)| fits(pattern, line))
    })
}

impl Deliberate {
    /// Whether the difference is there; then its lines are taken out on both sides.
    pub fn take(&self, real: &mut Vec<String>, ours: &mut Vec<String>) -> bool {
        let (Some(in_real), Some(in_ours)) = (position(real, self.real), position(ours, self.ours))
        else {
            return false;
        };
        let name = format!("({})", self.reason);
        real.splice(in_real..in_real + self.real.len(), [name.clone()]);
        ours.splice(in_ours..in_ours + self.ours.len(), [name]);
        true
    }
}
