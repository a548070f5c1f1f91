//! Series of the master (wire-admin §6.1).

use super::definition::{Combined, Definition, Import, Merge, Part, Series, Unit};

/// Charts of a master.
pub static MASTER: Definition = Definition {
    series: SERIES,
    combined: COMBINED,
    imports: IMPORTS,
};

const fn series(name: &'static str, code: &'static str, merge: Merge, unit: Unit) -> Series {
    Series {
        name,
        code,
        merge,
        unit,
    }
}

const SERIES: &[Series] = &[
    series("ucpu", "UCPU", Merge::Add, Unit::CpuPercent),
    series("scpu", "SCPU", Merge::Add, Unit::CpuPercent),
    series("delete", "DELC", Merge::Add, Unit::Count),
    series("replicate", "REPC", Merge::Add, Unit::Count),
    series("statfs", "STFS", Merge::Add, Unit::Count),
    series("getattr", "GATR", Merge::Add, Unit::Count),
    series("setattr", "SATR", Merge::Add, Unit::Count),
    series("lookup", "LOOK", Merge::Add, Unit::Count),
    series("mkdir", "MKDI", Merge::Add, Unit::Count),
    series("rmdir", "RMDI", Merge::Add, Unit::Count),
    series("symlink", "SLNK", Merge::Add, Unit::Count),
    series("readlink", "RLNK", Merge::Add, Unit::Count),
    series("mknod", "MKND", Merge::Add, Unit::Count),
    series("unlink", "UNLK", Merge::Add, Unit::Count),
    series("rename", "RENA", Merge::Add, Unit::Count),
    series("link", "LINK", Merge::Add, Unit::Count),
    series("readdir", "RDIR", Merge::Add, Unit::Count),
    series("open", "OPEN", Merge::Add, Unit::Count),
    series("read", "READ", Merge::Add, Unit::Count),
    series("write", "WRIT", Merge::Add, Unit::Count),
    series("memoryrss", "MEMR", Merge::Max, Unit::Count),
    series("prcvd", "PRCV", Merge::Add, Unit::PerSecond),
    series("psent", "PSNT", Merge::Add, Unit::PerSecond),
    series("brcvd", "BRCV", Merge::Add, Unit::BitsPerSecond),
    series("bsent", "BSNT", Merge::Add, Unit::BitsPerSecond),
    series("memoryvirt", "MEMV", Merge::Max, Unit::Count),
    series("usedspace", "USPC", Merge::Max, Unit::Count),
    series("totalspace", "TSPC", Merge::Max, Unit::Count),
    series("create", "NEWC", Merge::Add, Unit::Count),
    series("change", "INTC", Merge::Add, Unit::Count),
    series("delete_ok", "DELO", Merge::Add, Unit::Count),
    series("delete_err", "DELE", Merge::Add, Unit::Count),
    series("replicate_ok", "REPO", Merge::Add, Unit::Count),
    series("replicate_err", "REPE", Merge::Add, Unit::Count),
    series("create_ok", "NEWO", Merge::Add, Unit::Count),
    series("create_err", "NEWE", Merge::Add, Unit::Count),
    series("change_ok", "INTO", Merge::Add, Unit::Count),
    series("change_err", "INTE", Merge::Add, Unit::Count),
];

const fn combined(code: &'static str, unit: Unit, parts: &'static [Part]) -> Combined {
    Combined { code, unit, parts }
}

const COMBINED: &[Combined] = &[
    // scpu, ucpu
    combined(
        "TCPU",
        Unit::CpuPercent,
        &[Part::Series(1), Part::Series(0)],
    ),
    // memoryrss, memoryvirt beyond memoryrss
    combined(
        "TMEM",
        Unit::Count,
        &[Part::Series(20), Part::Excess(25, 20)],
    ),
    // usedspace, totalspace beyond usedspace
    combined(
        "SPAC",
        Unit::Count,
        &[Part::Series(26), Part::Excess(27, 26)],
    ),
    // delete_ok, delete_err
    combined("DELS", Unit::Count, &[Part::Series(30), Part::Series(31)]),
    // replicate_ok, replicate_err
    combined("REPS", Unit::Count, &[Part::Series(32), Part::Series(33)]),
    // create_ok, create_err
    combined("NEWS", Unit::Count, &[Part::Series(34), Part::Series(35)]),
    // change_ok, change_err
    combined("INTS", Unit::Count, &[Part::Series(36), Part::Series(37)]),
];

const IMPORTS: &[Import] = &[Import {
    from: "memory",
    samples: None,
    to: "memoryrss",
    factor: 1,
}];
