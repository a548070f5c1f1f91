//! Lengths and chunks of files.

use crate::world::{check, check_after};

#[test]
fn truncation() {
    check(
        "
        other-truncate-setlength truncate @77 0 5                -> Eperm
        other-write truncate @77 2 5                             -> Eperm
        other-ro truncate @77 0 5                                -> Erofs
        other truncate @77 0 5                                   -> Enoent
        root  truncate /open/fixed 1 5                           -> Eperm
        root  truncate /open/growing 1 5                         -> Eperm
        root  truncate /open/growing 3 5                         -> ok LENGTH(13,5,0)
        other truncate /open/file 0 5                            -> Eacces
        other truncate /open/file 1 5                            -> ok LENGTH(9,5,1)
        owner truncate /open 1 5                                 -> Eperm
        other truncate /closed 0 5                               -> Eacces
        owner-setlength truncate /open/file 0 999999999999999999 -> Eperm
        owner-truncate truncate /open/file 0 5                   -> ok LENGTH(9,5,1)
        owner truncate /open/file 0 144115188075855873           -> IndexTooBig
        owner truncate /open/file 0 144115188075855872           -> ok LENGTH(9,144115188075855872,1)
        owner truncate /open/file 0 0                            -> ok LENGTH(9,0,1)
        owner truncate /open/file 4 0                            -> ok
        owner truncate /open/file 11 10                          -> ok
        ",
    );
    check_after(
        "owner write /open/file 0
         owner writeend /open/file 1000",
        "owner truncate /open/file 0 500      -> ok TRUNC(9,0):1;UNLOCK(1);LENGTH(9,500,1)
         owner truncate /open/file 0 2000     -> ok TRUNC(9,0):1;UNLOCK(1);LENGTH(9,2000,1)
         owner truncate /open/file 0 67108864 -> ok LENGTH(9,67108864,1)
         owner truncate /open/file 0 67108865 -> ok LENGTH(9,67108865,1)
         owner truncate /open/file 0 0        -> ok LENGTH(9,0,1)
         owner truncate /open/file 2 500      -> ok
         owner-truncate truncate /open/file 0 500   -> Eperm
         owner-truncate truncate /open/file 0 5000  -> ok TRUNC(9,0):1;UNLOCK(1);LENGTH(9,5000,1)
         owner-setlength truncate /open/file 0 5000 -> Eperm",
    );
}

#[test]
fn writing() {
    check(
        "
        other-write write @77 0                -> Eperm
        other-ro write @77 0                   -> Erofs
        other write @77 0                      -> Enoent
        other write /open 0                    -> Eperm
        root  write /open/fixed 2147483648     -> Eperm
        other write /open/file 2147483648      -> IndexTooBig
        other write /open/file 0               -> ok WRITE(9,0,1,0):1;UNLOCK(1)
        other write /open/growing 2147483647   -> ok WRITE(13,2147483647,1,0):1;UNLOCK(1)
        other-write writeend @77 5             -> Eperm
        other-ro writeend @77 5                -> Erofs
        other writeend @77 0                   -> ok
        other writeend @77 5                   -> Enoent
        other writeend /open 5                 -> Eperm
        other writeend /open/file 5            -> ok LENGTH(9,5,0)
        ",
    );
    let shared = "owner write /open/file 0
                  owner write /open/file 2
                  owner writeend /open/file 134217729
                  root snapshot /open/file /open/copy 0";
    check_after(
        shared,
        "owner write /open/file 0              -> ok WRITE(9,0,1,0):3;UNLOCK(3)
         owner write /open/file 1              -> ok WRITE(9,1,1,0):3;UNLOCK(3)
         owner writeend /open/file 134217729   -> ok
         owner truncate /open/file 0 134217730 -> ok TRUNC(9,2):3;UNLOCK(3);LENGTH(9,134217730,1)
         owner rollback /open/file 0 0 1       -> ok ROLLBACK(9,0,0,1)
         owner rollback /open/file 0 7 1       -> NoChunk
         root  chunkdel 1 1                    -> ChunkBusy
         root  chunkdel 1 2                    -> WrongVersion
         root  chunkdel 7 1                    -> NoChunk
         root  chunkadd 2 1 0                  -> ChunkExist
         root  chunkadd 3000000000 1 0         -> WrongChunkId
         root  chunkadd 9 1 5                  -> Einval
         root  chunkadd 9 1 2000               -> ok CHUNKADD(9,1,2000)",
    );
    check_after(
        "root chunkadd 9 1 1000",
        "root chunkdel 9 1 -> Locked
         owner write /open/file 0 -> ok WRITE(9,0,1,0):10;UNLOCK(10)",
    );
}

#[test]
fn appending() {
    let setup = "owner write /open/file 0
                 owner write /open/file 1
                 owner writeend /open/file 67108865
                 owner write /open/full/x 0
                 owner writeend /open/full/x 5";
    check_after(
        setup,
        "other-append append @77 @77 0 0 9                    -> Eperm
         other-ro append @77 @77 0 0 9                        -> Einval
         other-ro append @77 @78 0 0 9                        -> Erofs
         other append @77 @78 0 0 9                           -> Enoent
         other append /open/file /open 0 0 9                  -> Eperm
         other append /open/file /open/root 0 0 9             -> Eacces
         other append /open /open/file 0 0 9                  -> Eperm
         root  append /open/fixed /open/file 0 0 9            -> Eperm
         other append /open/full/x /open/file 0 0 9           -> Eacces
         owner append /open/file /open/kept 0 0 9             -> ok
         owner append /open/full/x /open/file 0 1 1           -> ok
         owner append /open/full/x /open/file 0 0 2147483648  -> ok APPEND(15,9,0,1)
         owner append /open/full/x /open/file 1 1 2147483648  -> ok APPEND(15,9,1,1)
         owner append /open/full/x /open/file 2 0 1           -> ok APPEND(15,9,0,0)",
    );
}

#[test]
fn repair() {
    check_after(
        "owner write /open/file 1",
        "other-ro repair @77 0 0         -> Erofs
         other repair @77 0 0            -> Enoent
         other repair /open 0 0          -> Eperm
         root  repair /open/fixed 0 0    -> Eperm
         other repair /open/file 0 0     -> Eacces
         owner repair /open/file 0 0     -> NoChunk
         owner repair /open/file 1 0     -> ok REPAIR(9,1):0
         owner repair /open/file 1 7     -> ok REPAIR(9,1):7",
    );
}

#[test]
fn appended_chunks_begin_behind_the_file_and_end_with_the_source() {
    const CHUNK: u64 = 1 << 26;
    let mut world = crate::world::World::new();
    let mut step = |step: &str| {
        let words: Vec<&str> = step.split_whitespace().collect();
        world.run(words[0], &words[1..]).expect(step);
        let node = world.ns.node(world.inode("/open/file")).expect("file");
        (node.length, node.slots)
    };
    step("owner write /open/full/x 1");
    step("owner writeend /open/full/x 67108869");
    assert_eq!(
        step("owner append /open/file /open/full/x 0 0 9"),
        (CHUNK + 5, 2)
    );
    assert_eq!(
        step("owner append /open/file /open/full/x 0 0 1"),
        (3 * CHUNK, 2),
        "appended holes are no slots"
    );
    assert_eq!(
        step("owner append /open/file /open/full/x 0 1 2"),
        (3 * CHUNK + 5, 4)
    );
    assert_eq!(world.ns.verify(), []);
}
