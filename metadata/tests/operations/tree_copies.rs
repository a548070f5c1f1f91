//! Snapshots of trees and their removal.

use crate::world::{World, check, check_after};

#[test]
fn snapshot_statuses() {
    check(
        "
        other-snapshot snapshot @77 /nowhere/a 0              -> Eperm
        other-ro snapshot @77 /nowhere/a 0                    -> Erofs
        other snapshot @77 /open/a 0                          -> Enoent
        other snapshot /open/root /fixed/a 0                  -> Eperm
        other snapshot /open/root /open/file/a 0              -> Eacces
        other snapshot /open/file /open/root/a 0              -> Eperm
        root  snapshot /open /open/full/a 0                   -> Einval
        root  snapshot /open /open/a 0                        -> Einval
        other snapshot /open/file /closed/%00 0               -> Eacces
        other snapshot /open/file /open/%00 0                 -> Einval
        other snapshot /open/file /open/file 1                -> Einval
        other snapshot /open/file /open/kept 1                -> Eperm
        other snapshot /open/file /open/full 1                -> Eperm
        other snapshot /open/file /open/root 0                -> Eexist
        other snapshot /open/file /open/root 1                -> ok SNAPSHOT(9,2,root,1,0,3000,[3000],18):0,0,1,0,0,0
        other snapshot /open/full /open/empty 0               -> ok SNAPSHOT(14,2,empty,0,0,3000,[3000],18):23,0,0,1,0,1
        other snapshot /open/full /open/copy 0                -> ok SNAPSHOT(14,2,copy,0,0,3000,[3000],18):15,0,0,0,0,2
        other snapshot /dark /open/copy 0                     -> Eacces
        other-unlink rmsnapshot /nowhere/a 128                -> Eperm
        other-rmdir rmsnapshot /nowhere/a 128                 -> Eperm
        other-ro rmsnapshot /nowhere/a 128                    -> Erofs
        other rmsnapshot /nowhere/a 128                       -> Enoent
        other rmsnapshot /open/file/a 128                     -> Eperm
        other rmsnapshot /growing/a 128                       -> Enoent
        other rmsnapshot /closed/%00 128                      -> Eacces
        other rmsnapshot /open/%00 128                        -> Einval
        other rmsnapshot /open/none 128                       -> Enoent
        other rmsnapshot /sticky/root 128                     -> Eperm
        other rmsnapshot /open/file 128                       -> Eperm
        other rmsnapshot /open/file 132                       -> ok SNAPSHOT(0,2,file,132,0,3000,[3000],18):0,0,0,0,0,0
        ",
    );
    check_after(
        "root snapshot /open/full /open/copy 0",
        "other rmsnapshot /open/copy 128 -> ok SNAPSHOT(0,2,copy,128,0,3000,[3000],18):15,2,0,0,0,0
         owner rmsnapshot /open/copy 128 -> ok SNAPSHOT(0,2,copy,128,0,1000,[1000,2000],18):15,2,0,0,0,0",
    );
}

#[test]
fn a_copy_shares_chunks_and_keeps_what_the_owner_may_keep() {
    let mut world = World::new();
    let mut step = |step: &str| {
        let words: Vec<&str> = step.split_whitespace().collect();
        world.run(words[0], &words[1..]).expect(step);
    };
    step("owner write /open/sugid 0");
    step("owner writeend /open/sugid 5");
    step("owner snapshot /open/sugid /open/own 0");
    step("other snapshot /open/sugid /open/foreign 0");
    step("other snapshot /open/sugid /open/like_cp 2");
    for (path, mode, uid) in [
        ("/open/own", 0o6775, 1000),
        ("/open/foreign", 0o775, 3000),
        ("/open/like_cp", 0o6755, 3000),
    ] {
        let inode = world.inode(path);
        let node = world.ns.node(inode).expect(path);
        assert_eq!((node.mode, node.uid), (mode, uid), "{path}");
        assert_eq!(node.eattr, 0x10, "{path}");
        let chunks: Vec<_> = world.ns.file_chunks(inode).map(|chunk| chunk.0).collect();
        assert_eq!((node.length, chunks), (5, vec![1]), "{path}");
    }
    let (_, chunk) = world.ns.chunk(proto::ChunkId(1)).expect("chunk");
    assert_eq!(chunk.references, 4);
}
