//! Lines of the exports file (wire-admin §4.10).

use crate::core::Core;
use crate::exports::Export;
use crate::links::LinkId;
use proto::admin::{ExportEntry, ExportForm, ExportList, GetExports};
use proto::list::Text;

/// `extra_flags`: directories below may be mounted too.
const ALL_DIRECTORIES: u8 = 1;
/// `extra_flags`: a password is needed.
const PASSWORD: u8 = 2;

/// Every line, in the order of the file.
pub(super) fn list(core: &mut Core, link: LinkId, request: GetExports) {
    let mut out = Vec::new();
    let exports = core.clients.exports();
    let paths: Vec<String> = exports.iter().map(shown_path).collect();
    let entries = exports
        .iter()
        .zip(&paths)
        .map(|(export, path)| entry(export, path));
    ExportList::encode(entries, ExportForm::of_request(request), &mut out);
    core.links.out(link).extend_from_slice(&out);
}

fn shown_path(export: &Export) -> String {
    match export.meta {
        true => ".".to_owned(),
        false => format!("/{}", export.path),
    }
}

fn entry<'a>(export: &Export, path: &'a str) -> ExportEntry<'a> {
    let mut extra_flags = 0;
    if export.alldirs {
        extra_flags |= ALL_DIRECTORIES;
    }
    if export.password.is_some() {
        extra_flags |= PASSWORD;
    }
    ExportEntry {
        from: export.range.from,
        to: export.range.to,
        path: Text(path.as_bytes()),
        min_version: export.minversion,
        extra_flags,
        flags: export.sesflags,
        umask: export.umask,
        root_uid: export.rootuid,
        root_gid: export.rootgid,
        mapall_uid: export.mapalluid,
        mapall_gid: export.mapallgid,
        min_goal: export.mingoal,
        max_goal: export.maxgoal,
        min_trashtime_s: export.mintrashtime,
        max_trashtime_s: export.maxtrashtime,
        disables: export.disables,
    }
}
