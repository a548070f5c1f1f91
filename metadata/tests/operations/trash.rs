//! Trash, sustained files, freed numbers.

use crate::world::{World, check, check_after};
use proto::Inode;

#[test]
fn trash_is_for_metadata_sessions() {
    check(
        "
        root settrashpath @77 x      -> Eperm
        root undel @77               -> Eperm
        root purge @77               -> Eperm
        meta-ro settrashpath @77 x   -> Erofs
        meta-ro undel @77            -> Erofs
        meta-ro purge @77            -> Erofs
        meta settrashpath @77 a%00   -> Einval
        meta settrashpath @9 x       -> Enoent
        meta undel @9                -> Enoent
        meta purge @9                -> Enoent
        ",
    );
    check_after(
        "owner unlink /open/file",
        "meta settrashpath @9 /new/way   -> ok SETPATH(9,/new/way)
         meta undel @9                   -> ok UNDEL(9)
         meta purge @9                   -> ok PURGE(9)",
    );
}

#[test]
fn undelete_needs_a_way() {
    for (path, outcome) in [
        ("open/file", "ok UNDEL(9)"),
        ("//open/file", "ok UNDEL(9)"),
        ("a/b/c", "ok UNDEL(9)"),
        ("open/full/x", "Eexist"),
        ("open/root/x", "CantCreatePath"),
        ("open//x", "CantCreatePath"),
        ("open/../x", "CantCreatePath"),
        ("open/x/", "CantCreatePath"),
        ("/", "CantCreatePath"),
        ("fixed/x", "Eperm"),
        ("fixed/a/x", "Eperm"),
    ] {
        check_after(
            &format!("owner unlink /open/file\nmeta settrashpath @9 {path}"),
            &format!("meta undel @9 -> {outcome}"),
        );
    }
}

#[test]
fn a_file_returns_with_the_directories_of_its_path() {
    let mut world = World::new();
    for step in [
        "owner write /open/file 0",
        "owner writeend /open/file 70000",
        "owner unlink /open/file",
        "meta settrashpath @9 a/b/c",
        "meta undel @9",
    ] {
        let words: Vec<&str> = step.split_whitespace().collect();
        world.run(words[0], &words[1..]).expect(step);
    }
    assert_eq!(world.inode("/a/b/c"), Inode(9));
    assert_eq!(world.ns.counts().trash_files, 0);
    let made = world.ns.node(world.inode("/a/b")).expect("directory");
    assert_eq!((made.mode, made.uid, made.nlink), (0o755, 0, 2));
    assert_eq!(world.ns.verify(), []);
}

#[test]
fn deleted_files_wait_and_go() {
    let mut world = World::new();
    let mut step = |step: &str| {
        let words: Vec<&str> = step.split_whitespace().collect();
        world.run(words[0], &words[1..]).expect(step);
        world.take_lines()
    };
    step("owner open /open/file 1");
    step("owner unlink /open/file");
    step("owner unlink /open/root");
    assert_eq!(step("root sweep"), "", "everything is young");
    step("root later 86400");
    assert_eq!(step("root sweep"), "", "not older than the trash time");
    step("root later 1");
    assert_eq!(
        step("root sweep"),
        "EMPTYTRASH(9):0,1,9;EMPTYTRASH(10):1,0,10",
        "the open one is sustained"
    );
    step("root later 86401");
    assert_eq!(step("root sweep"), "FREEINODES(86400):1,0,10");
    step("owner close @9");
    assert_eq!(step("root sweep"), "EMPTYSUSTAINED(9):1,9");
    step("owner open /open/kept 1");
    step("root later 86401");
    assert_eq!(step("root sweep"), "FREEINODES(86400):1,0,9");
    assert_eq!(
        step("owner create /open/again"),
        "CREATE(2,again,1,420,18,1000,1000,0):9;ACQUIRE(1,9)",
        "the lowest free number is used again"
    );
    assert_eq!(world.ns.verify(), []);
}
