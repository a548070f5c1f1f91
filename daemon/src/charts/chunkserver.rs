//! Series of the chunkserver (wire-admin §6.2).

use super::definition::{Combined, Definition, Import, Merge, Part, Series, Unit};

/// Charts of a chunkserver.
pub static CHUNKSERVER: Definition = Definition {
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
    series("masterin", "MSTI", Merge::Add, Unit::BitsPerSecond),
    series("masterout", "MSTO", Merge::Add, Unit::BitsPerSecond),
    series("csrepin", "REPI", Merge::Add, Unit::BitsPerSecond),
    series("csrepout", "REPO", Merge::Add, Unit::BitsPerSecond),
    series("csservin", "SRVI", Merge::Add, Unit::BitsPerSecond),
    series("csservout", "SRVO", Merge::Add, Unit::BitsPerSecond),
    series("hdrbytesr", "HRBR", Merge::Add, Unit::PerSecond),
    series("hdrbytesw", "HRBW", Merge::Add, Unit::PerSecond),
    series("hdrllopr", "HROR", Merge::Add, Unit::Count),
    series("hdrllopw", "HROW", Merge::Add, Unit::Count),
    series("databytesr", "DTBR", Merge::Add, Unit::PerSecond),
    series("databytesw", "DTBW", Merge::Add, Unit::PerSecond),
    series("datallopr", "DTOR", Merge::Add, Unit::Count),
    series("datallopw", "DTOW", Merge::Add, Unit::Count),
    series("hlopr", "HLOR", Merge::Add, Unit::Count),
    series("hlopw", "HLOW", Merge::Add, Unit::Count),
    series("rtime", "TIMR", Merge::Add, Unit::TimePercent),
    series("wtime", "TIMW", Merge::Add, Unit::TimePercent),
    series("repl", "REPC", Merge::Add, Unit::Count),
    series("create", "CREC", Merge::Add, Unit::Count),
    series("delete", "DELC", Merge::Add, Unit::Count),
    series("version", "VERC", Merge::Add, Unit::Count),
    series("duplicate", "DUPC", Merge::Add, Unit::Count),
    series("truncate", "TRUC", Merge::Add, Unit::Count),
    series("duptrunc", "DTRC", Merge::Add, Unit::Count),
    series("test", "TSTC", Merge::Add, Unit::Count),
    series("load", "LOAD", Merge::Max, Unit::Count),
    series("memoryrss", "MEMR", Merge::Max, Unit::Count),
    series("memoryvirt", "MEMV", Merge::Max, Unit::Count),
    series("movels", "MOVL", Merge::Add, Unit::Count),
    series("movehs", "MOVH", Merge::Add, Unit::Count),
    series("change", "CHGC", Merge::Add, Unit::Count),
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
    // csservin, csrepin
    combined(
        "BWIN",
        Unit::BitsPerSecond,
        &[Part::Series(6), Part::Series(4)],
    ),
    // csservout, csrepout
    combined(
        "BWOU",
        Unit::BitsPerSecond,
        &[Part::Series(7), Part::Series(5)],
    ),
    // databytesr, hdrbytesr
    combined(
        "HDBR",
        Unit::PerSecond,
        &[Part::Series(12), Part::Series(8)],
    ),
    // databytesw, hdrbytesw
    combined(
        "HDBW",
        Unit::PerSecond,
        &[Part::Series(13), Part::Series(9)],
    ),
    // datallopr, hdrllopr
    combined("HDOR", Unit::Count, &[Part::Series(14), Part::Series(10)]),
    // datallopw, hdrllopw
    combined("HDOW", Unit::Count, &[Part::Series(15), Part::Series(11)]),
    // memoryrss, memoryvirt beyond memoryrss
    combined(
        "TMEM",
        Unit::Count,
        &[Part::Series(29), Part::Excess(30, 29)],
    ),
    // movels, movehs
    combined("MOVE", Unit::Count, &[Part::Series(31), Part::Series(32)]),
];

const IMPORTS: &[Import] = &[
    Import {
        from: "bytesr",
        samples: None,
        to: "databytesr",
        factor: 1,
    },
    Import {
        from: "bytesw",
        samples: None,
        to: "databytesw",
        factor: 1,
    },
    Import {
        from: "llopr",
        samples: None,
        to: "datallopr",
        factor: 1,
    },
    Import {
        from: "llopw",
        samples: None,
        to: "datallopw",
        factor: 1,
    },
    Import {
        from: "rntime",
        samples: None,
        to: "rtime",
        factor: 1,
    },
    Import {
        from: "wntime",
        samples: None,
        to: "wtime",
        factor: 1,
    },
    Import {
        from: "rtime",
        samples: Some(950),
        to: "rtime",
        factor: 1000,
    },
    Import {
        from: "wtime",
        samples: Some(950),
        to: "wtime",
        factor: 1000,
    },
];
