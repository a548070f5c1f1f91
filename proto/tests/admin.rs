//! Monitoring packets of ports 9421 and 9422 (wire-admin §3–§6).

mod support;

use expect_test::expect_file;
use proto::admin::{
    ChartData, ChartImage, ChunkLoop, ChunkMatrix, ChunkserverCommandStatus, ChunkserverForm,
    ChunkserverList, ChunkserverRequest, ClassForm, ClassList, DiskList, ExportForm, ExportList,
    FileCheck, FileCheckForm, GetLocks, GetNodeInfo, GetOpenFiles, Info, LockList, MasterRequest,
    MemoryDetail, MetaloggerList, MissingChunkForm, MissingChunkList, ModuleInfo, Monotonic,
    NodeInfo, OldDiskList, OpenFileList, PathList, QuotaForm, QuotaList, SessionCommandStatus,
    SessionForm, SessionList,
};
use proto::common::{ConfigValue, GetVersion, VersionReply};
use proto::{Inode, SessionId, Version};
use support::{Codecs, check_vectors, fuzz};

const VECTORS: &str = include_str!("vectors/admin.txt");

const FILES: GetOpenFiles = GetOpenFiles {
    msgid: None,
    session: SessionId(1),
};
const ALL_FILES: GetOpenFiles = GetOpenFiles {
    msgid: None,
    session: SessionId(0),
};
const FILES_WITH_MSGID: GetOpenFiles = GetOpenFiles {
    msgid: Some(7),
    session: SessionId(1),
};
const LOCKS: GetLocks = GetLocks {
    msgid: None,
    inode: Inode(4),
};
const ALL_LOCKS: GetLocks = GetLocks {
    msgid: None,
    inode: Inode(0),
};
const LOCKS_WITH_MSGID: GetLocks = GetLocks {
    msgid: Some(9),
    inode: Inode(4),
};
const NODE: GetNodeInfo = GetNodeInfo {
    msgid: None,
    inode: Inode::ROOT,
    entries_max: 100,
    continue_id: 0,
};

const CODECS: Codecs = &[
    ("master>", codec!(MasterRequest: direction)),
    ("server>", codec!(ChunkserverRequest: direction)),
    ("config<", codec!(ConfigValue)),
    (
        "version<",
        codec!(VersionReply, to GetVersion { msgid: None }),
    ),
    (
        "version.msgid<",
        codec!(VersionReply, to GetVersion { msgid: Some(7) }),
    ),
    ("module<", codec!(ModuleInfo)),
    (
        "servers<",
        codec!(ChunkserverList, list of ChunkserverForm::Removal),
    ),
    (
        "servers.1.6.27<",
        codec!(ChunkserverList, list of form_of(1, 6, 27, None)),
    ),
    (
        "servers.1.7.0<",
        codec!(ChunkserverList, list of form_of(1, 7, 0, None)),
    ),
    (
        "servers.2.0.91<",
        codec!(ChunkserverList, list of form_of(2, 0, 91, None)),
    ),
    (
        "servers.3.0.0<",
        codec!(ChunkserverList, list of form_of(3, 0, 0, None)),
    ),
    (
        "servers.4.26.0<",
        codec!(ChunkserverList, list of form_of(4, 26, 0, Some(1))),
    ),
    (
        "servers.4.35.1<",
        codec!(ChunkserverList, list of form_of(4, 35, 0, Some(1))),
    ),
    ("server.status<", codec!(ChunkserverCommandStatus)),
    ("metaloggers<", codec!(MetaloggerList)),
    ("sessions0<", codec!(SessionList, sessions SessionForm::V0)),
    ("sessions1<", codec!(SessionList, sessions SessionForm::V1)),
    ("sessions2<", codec!(SessionList, sessions SessionForm::V2)),
    ("sessions3<", codec!(SessionList, sessions SessionForm::V3)),
    ("sessions4<", codec!(SessionList, sessions SessionForm::V4)),
    ("session.status<", codec!(SessionCommandStatus)),
    ("info<", codec!(Info, tells form)),
    ("check<", codec!(FileCheck, form FileCheckForm::Old)),
    ("check.long<", codec!(FileCheck, form FileCheckForm::Long)),
    ("loop<", codec!(ChunkLoop, tells form)),
    ("matrix<", codec!(ChunkMatrix)),
    ("quotas<", codec!(QuotaList, list of QuotaForm::Grace)),
    (
        "quotas.2.0.91<",
        codec!(QuotaList, list of QuotaForm::of_master(Version::new(2, 0, 91))),
    ),
    ("exports0<", codec!(ExportList, list of ExportForm::V0)),
    ("exports1<", codec!(ExportList, list of ExportForm::V1)),
    ("exports2<", codec!(ExportList, list of ExportForm::V2)),
    ("exports3<", codec!(ExportList, list of ExportForm::V3)),
    ("memory<", codec!(MemoryDetail)),
    ("open<", codec!(OpenFileList, to FILES)),
    ("open.all<", codec!(OpenFileList, to ALL_FILES)),
    ("open.msgid<", codec!(OpenFileList, to FILES_WITH_MSGID)),
    ("locks<", codec!(LockList, to LOCKS)),
    ("locks.all<", codec!(LockList, to ALL_LOCKS)),
    ("locks.msgid<", codec!(LockList, to LOCKS_WITH_MSGID)),
    ("paths<", codec!(PathList)),
    ("classes<", codec!(ClassList, form ClassForm::Named)),
    (
        "classes.3.0.9<",
        codec!(ClassList, form ClassForm::Numbered),
    ),
    (
        "missing<",
        codec!(MissingChunkList, list of MissingChunkForm::Plain),
    ),
    (
        "missing.reasons<",
        codec!(MissingChunkList, list of MissingChunkForm::Reasons),
    ),
    ("node<", codec!(NodeInfo, to NODE)),
    ("monotonic<", codec!(Monotonic)),
    ("disks<", codec!(DiskList)),
    ("disks.old<", codec!(OldDiskList)),
    ("chart<", codec!(ChartData)),
    ("image<", codec!(ChartImage)),
];

fn form_of(major: u16, middle: u8, minor: u8, mode: Option<u8>) -> ChunkserverForm {
    ChunkserverForm::of_master(Version::new(major, middle, minor), mode)
}

#[test]
fn packets_of_real_programs_read_and_write_back() {
    expect_file!["vectors/admin.decoded.txt"].assert_eq(&check_vectors(VECTORS, CODECS));
}

#[test]
fn damaged_packets_do_no_harm() {
    fuzz(VECTORS, CODECS);
}

#[test]
fn lengths_that_close_the_connection() {
    for (kind, length) in [
        (500, 2),
        (502, 1),
        (504, 5),
        (506, 9),
        (508, 2),
        (510, 1),
        (514, 1),
        (516, 2),
        (518, 1),
        (522, 1),
        (524, 5),
        (526, 4),
        (528, 1),
        (530, 1),
        (532, 5),
        (534, 3),
        (536, 5),
        (546, 15),
        (538, 0),
        (600, 0),
    ] {
        assert!(
            MasterRequest::decode(kind, &vec![0; length]).is_err(),
            "{kind} with {length} bytes"
        );
    }
}
