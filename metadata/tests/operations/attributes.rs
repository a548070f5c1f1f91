//! SETATTR and OPEN.

use crate::world::{check, check_after};

#[test]
fn setattr_permissions() {
    check(
        "
        other-chown setattr @77 mask=04                          -> Eperm
        other-chown setattr @77 mask=08                          -> Eperm
        other-chmod setattr @77 mask=02                          -> Eperm
        other-ro setattr @77 mask=02                             -> Erofs
        other setattr @77 mask=02                                -> Enoent
        root  setattr /open/fixed mask=00                        -> Eperm
        other-mapall setattr /open/file mask=04 uid=3000         -> Eperm
        other setattr /open/file mask=02 mode=600                -> Eperm
        other setattr /open/file mask=40 atime=5                 -> Eperm
        other setattr /open/file mask=20 mtime=5                 -> Eperm
        other setattr /open/file mask=90                         -> Eacces
        other setattr /open/fifo mask=90                         -> ok ATTR(18,438,1000,1000,1000,1000,0,0)
        owner setattr /open/file mask=04 uid=3000                -> Eperm
        owner setattr /open/file mask=04 uid=1000                -> ok ATTR(9,420,1000,1000,1000,1000,0,0)
        owner setattr /open/file mask=08 gid=3000                -> Eperm
        owner setattr /open/file mask=08 gid=2000                -> ok ATTR(9,420,1000,2000,1000,1000,0,0)
        owner-ignoregid setattr /open/file mask=08 gid=77        -> ok ATTR(9,420,1000,77,1000,1000,0,0)
        root  setattr /open/file mask=0c uid=7 gid=8             -> ok ATTR(9,420,7,8,1000,1000,0,0)
        owner setattr /open/file mask=60 atime=5 mtime=6         -> ok ATTR(9,420,1000,1000,5,6,0,0)
        other setattr /open/file mask=00                         -> ok ATTR(9,420,1000,1000,1000,1000,0,0)
        other setattr /open/free mask=02 mode=640                -> ok ATTR(22,416,0,0,1000,1000,0,0)
        owner setattr /open/growing mask=02 mode=600             -> ok ATTR(13,384,1000,1000,1000,1000,0,0)
        owner setattr /open/file mask=01 winattr=5               -> ok ATTR(9,420,1000,1000,1000,1000,5,0)
        ",
    );
}

#[test]
fn setuid_and_setgid_are_cleared_as_the_client_wants() {
    // 0o6775 is 3581, 0o775 is 509, 0o2775 is 1533.
    check(
        "
        other setattr /open/sugid mask=02 mode=775               -> ok ATTR(21,509,1000,1000,1000,1000,0,0)
        other setattr /open/sugid mask=02 mode=774               -> Eperm
        root setattr /open/sugid mask=04 uid=7 sugid=0           -> ok ATTR(21,3581,7,1000,1000,1000,0,0)
        root setattr /open/sugid mask=04 uid=7 sugid=1           -> ok ATTR(21,509,7,1000,1000,1000,0,0)
        root setattr /open/sugid mask=04 uid=7 sugid=2           -> ok ATTR(21,3581,7,1000,1000,1000,0,0)
        owner setattr /open/sugid mask=04 uid=1000 sugid=2       -> ok ATTR(21,509,1000,1000,1000,1000,0,0)
        owner setattr /open/sugid mask=08 gid=1000 sugid=3       -> ok ATTR(21,3581,1000,1000,1000,1000,0,0)
        owner setattr /open/sugid mask=08 gid=2000 sugid=3       -> ok ATTR(21,509,1000,2000,1000,1000,0,0)
        root setattr /open/sugid mask=04 uid=7 sugid=4           -> ok ATTR(21,509,7,1000,1000,1000,0,0)
        root setattr /open/sugid mask=06 uid=7 mode=2700 sugid=0 -> ok ATTR(21,3520,7,1000,1000,1000,0,0)
        owner setattr /open/file mask=02 mode=2755               -> ok ATTR(9,1517,1000,1000,1000,1000,0,0)
        other setattr /open/free mask=02 mode=2755               -> ok ATTR(22,493,0,0,1000,1000,0,0)
        root setattr /setgid mask=08 gid=5 sugid=4               -> ok ATTR(8,1535,0,5,1000,1000,0,0)
        ",
    );
}

#[test]
fn opening() {
    check(
        "
        other-truncate open @77 9          -> Eperm
        other-ro open @77 2                -> Erofs
        other-ro open @77 8                -> Erofs
        other open @77 3                   -> Enoent
        other open /open 1                 -> Eperm
        root  open /open/fixed 2           -> Eperm
        root  open /open/growing 8         -> Eperm
        other open /open/root 1            -> Eacces
        other open /open/file 2            -> Eacces
        other open /open/file 9            -> Eacces
        other open /open/growing 2 old     -> Eacces
        other open /open/growing 2         -> ok ACQUIRE(1,13)
        other open /open/root 0            -> ok ACQUIRE(1,10)
        other open /open/root 5            -> ok ACQUIRE(1,10)
        other open /open/root 13           -> ok ACQUIRE(1,10)
        owner open /open/file 11           -> ok LENGTH(9,0,1);ACQUIRE(1,9)
        ",
    );
    check_after(
        "owner open /open/file 1",
        "owner open /open/file 3 -> ok
         owner close /open/file  -> ok RELEASE(1,9)",
    );
}
