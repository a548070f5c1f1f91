//! Storage classes: those of inodes, and their definitions (wire-client-master §15.2, §16).

use crate::client::answer::{Handled, user};
use crate::client::link::Conn;
use crate::core::Core;
use metadata::Caller;
use metadata::storage_class::{
    ClassChange, ClassRules, LabelExpression, LabelList, LabelMode, StorageClasses, is_predefined,
};
use proto::client::goals::{Class, ClassCount, GetsclassReply, Setsclass};
use proto::client::message::{List, Message};
use proto::client::sclass::{
    CopyLabels, Definition, NamedDefinition, SclassChange, SclassChangeReply, SclassCopy,
    SclassCreate, SclassDelete, SclassList, change,
};
use proto::client::{ChangeReply, TreeRequest, kind};
use proto::frame::{begin_frame, end_frame};
use proto::wire::Put;
use proto::wire::Versioned;
use proto::{ClassId, Status};

/// Largest goal: the classes up to it are named by their number.
const GOAL_MAX: u8 = 9;
/// Mode bits of SETSCLASS without *recursive*.
const SMODE_SET: u8 = 0;
const SMODE_EXCHANGE: u8 = 3;
const SMODE_BITS: u8 = 3;

/// GETSCLASS.
pub fn getsclass(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = TreeRequest::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let tally = if request.mode > 1 {
            Err(Status::Einval)
        } else {
            let inode = core.ns.resolve(who, request.inode);
            inode.and_then(|inode| core.ns.get_sclass(inode, request.mode != 0))
        };
        let Core { ns, links, .. } = core;
        let out = links.out(conn.link);
        let reply_kind = kind::reply(kind::GETSCLASS);
        match tally {
            Ok(tally) => {
                let files = shown_counts(ns.classes(), &tally.files);
                let directories = shown_counts(ns.classes(), &tally.directories);
                let reply = GetsclassReply {
                    msgid: request.msgid,
                    files: List::Values(&files),
                    directories: List::Values(&directories),
                };
                proto::frame::put_frame(out, reply_kind, |out| reply.encode(conn.version, out));
            }
            Err(status) => proto::frame::put_status(out, reply_kind, request.msgid, status),
        }
    })
}

fn shown_counts<'a>(classes: &'a StorageClasses, counts: &[(ClassId, u32)]) -> Vec<ClassCount<'a>> {
    let shown = |&(id, count): &(ClassId, u32)| {
        let class = if is_predefined(id) {
            Class::Goal(id.0)
        } else {
            Class::Named(&classes.get(id)?.name)
        };
        Some(ClassCount { class, count })
    };
    counts.iter().filter_map(shown).collect()
}

/// SETSCLASS.
pub fn setsclass(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = Setsclass::decode(payload, conn.version)?;
    core.as_caller(conn, &user(request.uid), |core, who| {
        let result = assign(core, who, &request).map(|counts| ChangeReply {
            msgid: request.msgid,
            changed: counts.changed,
            unchanged: counts.unchanged,
            not_permitted: counts.refused,
        });
        core.answer_result(conn, kind::SETSCLASS, request.msgid, result);
    })
}

/// The class that a request names; 0, which is no class, when there is none of that name.
fn named(classes: &StorageClasses, class: Class<'_>) -> ClassId {
    match class {
        Class::Goal(goal @ 1..=GOAL_MAX) => ClassId(goal),
        Class::Goal(_) => ClassId(0),
        Class::Named(name) => classes.find(name).unwrap_or(ClassId(0)),
    }
}

/// What stands in the line of a request that exchanges nothing, as 3.0.117 writes it.
fn unused_source(class: Class<'_>) -> ClassId {
    match class {
        Class::Goal(goal) => ClassId(goal),
        Class::Named(_) => ClassId(1),
    }
}

fn assign(
    core: &mut Core,
    who: &Caller<'_>,
    request: &Setsclass<'_>,
) -> Result<proto::changelog::Counts, Status> {
    let classes = core.ns.classes();
    let first = named(classes, request.class);
    let (source, class) = match request.replacement {
        Some(name) => (first, named(classes, Class::Named(name))),
        None => (unused_source(request.class), first),
    };
    let operation = request.mode & SMODE_BITS;
    let is_exchange = operation == SMODE_EXCHANGE;
    if is_exchange && source == ClassId(0) {
        return Err(Status::Einval);
    }
    if operation != SMODE_SET && !is_exchange && !is_predefined(class) {
        return Err(Status::Einval);
    }
    let inode = core.ns.target(who, request.inode);
    let (ns, mut tx) = core.change();
    ns.set_sclass(&mut tx, who, inode, source, class, request.mode)
}

fn label_list(list: &List<'_, CopyLabels>) -> Result<LabelList, Status> {
    let expressions: Vec<_> = list.iter().map(|copy| LabelExpression(copy.0)).collect();
    LabelList::new(&expressions).ok_or(Status::Einval)
}

fn label_mode(mode: u8) -> Result<LabelMode, Status> {
    LabelMode::from_number(mode).ok_or(Status::Einval)
}

/// A definition as a client reads it; the lists are kept by the caller.
struct Shown {
    lists: [Vec<CopyLabels>; 3],
    admin_only: bool,
    mode: LabelMode,
    archive_delay_days: u16,
}

impl Shown {
    fn new(rules: &ClassRules) -> Shown {
        let copies = |list: &LabelList| {
            let copy = |expression: &LabelExpression| CopyLabels(expression.0);
            list.expressions().iter().map(copy).collect()
        };
        Shown {
            lists: [&rules.create, &rules.keep, &rules.archive].map(copies),
            admin_only: rules.admin_only,
            mode: rules.mode,
            archive_delay_days: rules.archive_delay_days,
        }
    }

    fn definition(&self) -> Definition<'_> {
        let [create, keep, archive] = &self.lists;
        Definition {
            admin_only: self.admin_only.into(),
            mode: self.mode as u8,
            archive_delay_days: self.archive_delay_days,
            create: List::Values(create),
            keep: List::Values(keep),
            archive: List::Values(archive),
        }
    }
}

/// SCLASS_CREATE.
pub fn create(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = SclassCreate::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let result = create_class(core, who, &request);
        core.answer_done(conn, kind::SCLASS_CREATE, request.msgid, result);
    })
}

fn create_class(
    core: &mut Core,
    who: &Caller<'_>,
    request: &SclassCreate<'_>,
) -> Result<(), Status> {
    admin_only(who)?;
    let definition = request.definition.ok_or(Status::Einval)?;
    if core.ns.classes().find(request.name).is_some() {
        return Err(Status::ClassExists);
    }
    let rules = ClassRules {
        admin_only: definition.admin_only != 0,
        mode: label_mode(definition.mode)?,
        archive_delay_days: definition.archive_delay_days,
        create: label_list(&definition.create)?,
        keep: label_list(&definition.keep)?,
        archive: label_list(&definition.archive)?,
    };
    let (ns, mut tx) = core.change();
    ns.class_create(&mut tx, who, request.name, rules)
        .map(|_| ())
}

fn admin_only(who: &Caller<'_>) -> Result<(), Status> {
    if who.has(metadata::caller::SessionRights::ADMIN) {
        Ok(())
    } else {
        Err(Status::EpermNotAdmin)
    }
}

/// SCLASS_CHANGE.
pub fn change(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = SclassChange::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let rules = change_class(core, who, &request).map(|rules| Shown::new(&rules));
        let result = rules.as_ref().map_err(|&status| status);
        let result = result.map(|shown| SclassChangeReply {
            msgid: request.msgid,
            format: 0,
            definition: shown.definition(),
        });
        core.answer_result(conn, kind::SCLASS_CHANGE, request.msgid, result);
    })
}

fn change_class(
    core: &mut Core,
    who: &Caller<'_>,
    request: &SclassChange<'_>,
) -> Result<ClassRules, Status> {
    let mask = request.change;
    if mask != 0 {
        admin_only(who)?;
    }
    let new = request.definition.ok_or(Status::Einval)?;
    let wants = |bit: u16| mask & bit != 0;
    if metadata::storage_class::is_valid_name(request.name) {
        let classes = core.ns.classes();
        let class = classes.find(request.name).ok_or(Status::NoSuchClass)?;
        if mask != 0 && is_predefined(class) && !wants(change::FORCE) {
            return Err(Status::Eperm);
        }
    }
    let list =
        |bit: u16, list: &List<'_, CopyLabels>| wants(bit).then(|| label_list(list)).transpose();
    let changes = ClassChange {
        admin_only: wants(change::ADMIN_ONLY).then_some(new.admin_only != 0),
        mode: wants(change::MODE)
            .then(|| label_mode(new.mode))
            .transpose()?,
        archive_delay_days: wants(change::DELAY).then_some(new.archive_delay_days),
        create: list(change::CREATE, &new.create)?,
        keep: list(change::KEEP, &new.keep)?,
        archive: list(change::ARCHIVE, &new.archive)?,
        force: wants(change::FORCE),
    };
    let (ns, mut tx) = core.change();
    ns.class_change(&mut tx, who, request.name, &changes)
}

/// SCLASS_DELETE.
pub fn delete(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = SclassDelete::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let (ns, mut tx) = core.change();
        let result = ns.class_delete(&mut tx, who, request.name);
        core.answer_done(conn, kind::SCLASS_DELETE, request.msgid, result);
    })
}

/// SCLASS_DUPLICATE and SCLASS_RENAME; `request_kind` tells which.
pub fn copy(core: &mut Core, conn: &Conn, request_kind: u32, payload: &[u8]) -> Handled {
    let request = SclassCopy::decode(payload, conn.version)?;
    core.as_session(conn, |core, who| {
        let (ns, mut tx) = core.change();
        let SclassCopy { name, new_name, .. } = request;
        let result = if request_kind == kind::SCLASS_DUPLICATE {
            ns.class_duplicate(&mut tx, who, name, new_name)
        } else {
            ns.class_rename(&mut tx, who, name, new_name)
        };
        core.answer_done(conn, request_kind, request.msgid, result);
    })
}

/// SCLASS_LIST.
pub fn list(core: &mut Core, conn: &Conn, payload: &[u8]) -> Handled {
    let request = SclassList::decode(payload, conn.version)?;
    let with_definitions = request.format & 1 != 0;
    let Core { ns, links, .. } = core;
    let out = links.out(conn.link);
    let mark = begin_frame(out, kind::reply(kind::SCLASS_LIST));
    out.put_u32(request.msgid);
    for (_, class) in ns.classes().iter() {
        if with_definitions {
            let shown = Shown::new(&class.rules);
            let definition = shown.definition();
            let name = &class.name;
            NamedDefinition { name, definition }.put(conn.version, out);
        } else {
            out.put_name(&class.name);
        }
    }
    end_frame(out, mark);
    Ok(())
}
