//! Labels, ids and administration of storage classes.

use super::{
    ClassChange, ClassRules, LabelExpression, LabelList, LabelMode, StorageClass, StorageClasses,
};
use crate::{Caller, Namespace, Outbox, Tx};
use expect_test::expect;
use proto::changelog::{self, Entry};
use proto::{ClassId, Status};

const A: u32 = 1;
const B: u32 = 2;
const C: u32 = 4;

fn list(masks: &[[u32; 4]]) -> LabelList {
    let expressions: Vec<_> = masks.iter().copied().map(LabelExpression).collect();
    LabelList::new(&expressions).unwrap()
}

fn rules(create: &[[u32; 4]], keep: &[[u32; 4]], archive: &[[u32; 4]]) -> ClassRules {
    ClassRules {
        admin_only: false,
        mode: LabelMode::Standard,
        archive_delay_days: 0,
        create: list(create),
        keep: list(keep),
        archive: list(archive),
    }
}

fn simple() -> ClassRules {
    let one = [[A, 0, 0, 0]];
    rules(&one, &one, &one)
}

#[test]
fn expressions() {
    for (masks, labels, fits, why) in [
        ([0, 0, 0, 0], 0, true, "any server"),
        ([A, 0, 0, 0], A | C, true, "A"),
        ([A, 0, 0, 0], C, false, "not A"),
        ([A | B, 0, 0, 0], A, false, "A and B"),
        ([A | B, C, 0, 0], C, true, "A and B, or C"),
        ([A, B, C, 8], 8, true, "the fourth mask"),
        ([A, 0, C, 0], C, false, "an empty mask ends the list"),
    ] {
        let expression = LabelExpression(masks);
        assert_eq!(expression.matches(labels), fits, "{why}");
    }
    assert_eq!(LabelList::any(0), None);
    assert_eq!(LabelList::any(10), None);
    assert_eq!(LabelList::new(&[LabelExpression::ANY; 10]), None);
    assert!(!LabelList::any(9).unwrap().has_labels());
    assert!(list(&[[0; 4], [A, 0, 0, 0]]).has_labels());
}

#[test]
fn predefined_classes() {
    let classes = StorageClasses::default();
    let names: Vec<_> = classes
        .iter()
        .map(|(id, class)| (id.0, String::from_utf8_lossy(&class.name).into_owned()))
        .collect();
    let expected: Vec<_> = (1..=9u8).map(|id| (id, id.to_string())).collect();
    assert_eq!(names, expected);
    assert_eq!(classes.counted_copies(ClassId(7)), 7);
    assert_eq!(classes.counted_copies(ClassId(0)), 0);
    assert_eq!(classes.get(ClassId(255)), None);
}

#[test]
fn ids_are_the_lowest_free_ones() {
    let mut classes = StorageClasses::default();
    for id in 10..=255u8 {
        let name = format!("c{id}");
        assert_eq!(classes.create(name.as_bytes(), simple()), Ok(ClassId(id)));
    }
    assert_eq!(
        classes.create(b"more", simple()),
        Err(Status::ClassLimitReached)
    );
    assert_eq!(
        classes.duplicate(b"1", b"x"),
        Err(Status::ClassLimitReached)
    );
    classes.add_use(ClassId(20), false);
    assert_eq!(classes.delete(b"c20"), Err(Status::ClassInUse));
    classes.remove_use(ClassId(20), false);
    assert_eq!(classes.delete(b"c30"), Ok(ClassId(30)));
    assert_eq!(classes.delete(b"c20"), Ok(ClassId(20)));
    assert_eq!(classes.duplicate(b"1", b"x"), Ok((ClassId(1), ClassId(20))));
}

#[test]
fn loaded_classes_replace_the_predefined_ones() {
    let mut classes = StorageClasses::default();
    let class = |name: &str| StorageClass {
        name: name.as_bytes().into(),
        rules: simple(),
    };
    for (id, name, fits) in [
        (0, "zero", false),
        (2, "two", true),
        (12, "twelve", true),
        (12, "again", false),
    ] {
        assert_eq!(classes.load(ClassId(id), class(name)), fits, "{name}");
    }
    assert_eq!(classes.find(b"two"), Some(ClassId(2)));
    assert_eq!(classes.find(b"2"), None);
}

/// The outcome of each step and the lines of all.
fn administrate(admin: bool) -> String {
    let mut ns = Namespace::default();
    let mut out = Outbox::default();
    let mut who = Caller::MASTER;
    who.rights.flags = if admin { 8 } else { 0 };
    let mut tx = Tx::new(5, &mut out);
    let delay = ClassChange {
        archive_delay_days: Some(7),
        ..ClassChange::default()
    };
    let forced = ClassChange {
        force: true,
        ..delay.clone()
    };
    let show = ClassChange::default();
    let class = rules(
        &[[A, 0, 0, 0]],
        &[[A, 0, 0, 0], [B, 0, 0, 0]],
        &[[C, 0, 0, 0]],
    );
    let long = [b'n'; 256];
    let change = |ns: &mut Namespace, tx: &mut Tx<'_>, name: &[u8], change| {
        ns.class_change(tx, &who, name, change).err()
    };
    let steps = [
        (
            "create",
            ns.class_create(&mut tx, &who, b"ssd", class.clone()).err(),
        ),
        (
            "create again",
            ns.class_create(&mut tx, &who, b"ssd", class.clone()).err(),
        ),
        (
            "no name",
            ns.class_create(&mut tx, &who, b"", class.clone()).err(),
        ),
        (
            "long name",
            ns.class_create(&mut tx, &who, &long, class.clone()).err(),
        ),
        (
            "NUL in name",
            ns.class_create(&mut tx, &who, b"a\0", class).err(),
        ),
        ("show", change(&mut ns, &mut tx, b"ssd", &show)),
        ("show 2", change(&mut ns, &mut tx, b"2", &show)),
        ("show unknown", change(&mut ns, &mut tx, b"none", &show)),
        ("change", change(&mut ns, &mut tx, b"ssd", &delay)),
        ("change, same", change(&mut ns, &mut tx, b"ssd", &delay)),
        ("change 9", change(&mut ns, &mut tx, b"9", &delay)),
        ("change 1 by force", change(&mut ns, &mut tx, b"1", &forced)),
        (
            "duplicate",
            ns.class_duplicate(&mut tx, &who, b"ssd", b"two").err(),
        ),
        (
            "duplicate unknown",
            ns.class_duplicate(&mut tx, &who, b"none", b"x").err(),
        ),
        (
            "duplicate to used",
            ns.class_duplicate(&mut tx, &who, b"1", b"ssd").err(),
        ),
        (
            "rename",
            ns.class_rename(&mut tx, &who, b"two", b"drei,").err(),
        ),
        (
            "rename 3",
            ns.class_rename(&mut tx, &who, b"3", b"drei").err(),
        ),
        (
            "rename to used",
            ns.class_rename(&mut tx, &who, b"ssd", b"1").err(),
        ),
        (
            "rename unknown",
            ns.class_rename(&mut tx, &who, b"none", b"x").err(),
        ),
        ("delete", ns.class_delete(&mut tx, &who, b"ssd").err()),
        ("delete again", ns.class_delete(&mut tx, &who, b"ssd").err()),
        ("delete 9", ns.class_delete(&mut tx, &who, b"9").err()),
    ];
    let steps: String = steps
        .iter()
        .map(|(step, error)| format!("{step}: {}\n", error.map_or(0, Status::wire)))
        .collect();
    steps + &String::from_utf8_lossy(out.lines.bytes())
}

#[test]
fn an_admin_session() {
    expect![[r#"
        create: 0
        create again: 50
        no name: 6
        long name: 6
        NUL in name: 6
        show: 0
        show 2: 0
        show unknown: 52
        change: 0
        change, same: 0
        change 9: 1
        change 1 by force: 0
        duplicate: 0
        duplicate unknown: 52
        duplicate to used: 50
        rename: 0
        rename 3: 1
        rename to used: 50
        rename unknown: 52
        delete: 0
        delete again: 52
        delete 9: 1
        0: 5|SCSET(ssd,1,W1,K2,A1,1,0,0,1,0,0,0,1,0,0,0,2,0,0,0,4,0,0,0):10
        1: 5|SCSET(ssd,0,W1,K2,A1,1,7,0,1,0,0,0,1,0,0,0,2,0,0,0,4,0,0,0):10
        2: 5|SCSET(ssd,0,W1,K2,A1,1,7,0,1,0,0,0,1,0,0,0,2,0,0,0,4,0,0,0):10
        3: 5|SCSET(1,0,W1,K1,A1,1,7,0,0,0,0,0,0,0,0,0,0,0,0,0):1
        4: 5|SCDUP(ssd,two):10,11
        5: 5|SCREN(two,drei%2C):11
        6: 5|SCDEL(ssd):10
    "#]]
    .assert_eq(&administrate(true));
}

#[test]
fn another_session() {
    expect![[r#"
        create: 49
        create again: 49
        no name: 49
        long name: 49
        NUL in name: 49
        show: 52
        show 2: 0
        show unknown: 52
        change: 49
        change, same: 49
        change 9: 49
        change 1 by force: 49
        duplicate: 49
        duplicate unknown: 49
        duplicate to used: 49
        rename: 49
        rename 3: 49
        rename to used: 49
        rename unknown: 49
        delete: 49
        delete again: 49
        delete 9: 49
    "#]]
    .assert_eq(&administrate(false));
}

#[test]
fn replay_of_scset() {
    let mut ns = Namespace::default();
    let mut set = |line: &str| {
        let Entry::ClassSet(class) = changelog::parse(line.as_bytes()).unwrap().entry else {
            panic!("not SCSET: {line}");
        };
        let id = ns.apply_class_set(&mut Tx::new(1, &mut Outbox::default()), &class);
        (
            id,
            ns.classes()
                .get(ClassId(10))
                .map(|class| class.rules.clone()),
        )
    };
    let (id, class) = set("1|SCSET(n,1,W1,K2,A1,2,30,1,1,0,0,0,2,0,0,0,3,0,0,0,4,0,0,0):10");
    assert_eq!(id, Ok(ClassId(10)));
    let mut expected = rules(
        &[[1, 0, 0, 0]],
        &[[2, 0, 0, 0], [3, 0, 0, 0]],
        &[[4, 0, 0, 0]],
    );
    expected.admin_only = true;
    expected.mode = LabelMode::Strict;
    expected.archive_delay_days = 30;
    assert_eq!(class.as_ref(), Some(&expected));
    let (id, class) = set("1|SCSET(n,0,W0,K0,A0,0,0,0,-):10");
    assert_eq!(id, Ok(ClassId(10)));
    expected.admin_only = false;
    expected.mode = LabelMode::Loose;
    expected.archive_delay_days = 0;
    assert_eq!(class.as_ref(), Some(&expected), "lists stay");
    assert_eq!(
        set("1|SCSET(n,1,W0,K0,A0,1,0,0,-):11").0,
        Err(Status::Einval)
    );
    assert_eq!(
        set("1|SCSET(m,0,W0,K0,A0,1,0,0,-):11").0,
        Err(Status::NoSuchClass)
    );
}
