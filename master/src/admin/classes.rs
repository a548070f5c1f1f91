//! Storage classes with the state of their chunks (wire-admin §4.16).

use crate::core::Core;
use crate::links::LinkId;
use metadata::storage_class::{LabelList, StorageClass};
use proto::ClassId;
use proto::admin::{
    ClassChunks, ClassEntry, ClassForm, ClassList, GetStorageClasses, LabelExpression, LabelSet,
};
use proto::list::List;

/// Encoded label expressions of one list, and whether it can be met.
struct Set {
    can_be_fulfilled: u8,
    labels: Vec<u8>,
}

/// Every class.
pub(super) fn list(core: &mut Core, link: LinkId, _request: GetStorageClasses) {
    let mut out = Vec::new();
    let sets: Vec<[Set; 3]> = core
        .ns
        .classes()
        .iter()
        .map(|(_, class)| {
            let rules = &class.rules;
            [&rules.create, &rules.keep, &rules.archive].map(|labels| set(core, labels))
        })
        .collect();
    let classes = core
        .ns
        .classes()
        .iter()
        .zip(&sets)
        .filter_map(|((id, class), sets)| entry(core, id, class, sets))
        .collect();
    let servers = u16::try_from(core.chunks.servers().count()).unwrap_or(u16::MAX);
    ClassList { servers, classes }.encode(ClassForm::of_master(crate::VERSION), &mut out);
    core.links.out(link).extend_from_slice(&out);
}

fn set(core: &Core, labels: &LabelList) -> Set {
    let mut encoded = Vec::new();
    let expressions = labels
        .expressions()
        .iter()
        .map(|expression| LabelExpression {
            masks: expression.0,
            servers: core.chunks.servers_matching(*expression),
        });
    List::write(expressions, &mut encoded);
    Set {
        can_be_fulfilled: core.chunks.fulfilment(core.now.unix, labels),
        labels: encoded,
    }
}

fn entry<'a>(
    core: &Core,
    id: ClassId,
    class: &'a StorageClass,
    [create, keep, archive]: &'a [Set; 3],
) -> Option<ClassEntry<'a>> {
    let uses = core.ns.classes().uses(id);
    let chunks = core.chunks.class_chunks(id.0);
    let count = |place: usize| ClassChunks {
        keep: chunks.keep[place],
        archive: chunks.archive[place],
    };
    let set = |set: &'a Set| {
        Some(LabelSet {
            can_be_fulfilled: set.can_be_fulfilled,
            labels: List::new(&set.labels).ok()?,
        })
    };
    Some(ClassEntry {
        id,
        name: &class.name,
        files: uses.files,
        directories: uses.directories,
        under_goal: count(0),
        exact_goal: count(1),
        over_goal: count(2),
        admin_only: class.rules.admin_only,
        mode: class.rules.mode as u8,
        archive_delay_days: class.rules.archive_delay_days,
        create: set(create)?,
        keep: set(keep)?,
        archive: set(archive)?,
    })
}
