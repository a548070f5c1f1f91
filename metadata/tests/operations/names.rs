//! Names: lookup, creation, links, removal, renaming.

use crate::world::check;

#[test]
fn lookup() {
    check(
        "
        other lookup /nowhere/x         -> EnoentNoCache
        other lookup /open/file/x       -> Enotdir
        other lookup /dark/x            -> Eacces
        other lookup /dark/..           -> Eacces
        other lookup /open/%00          -> Einval
        other lookup /open/a%2Fb        -> Einval
        other lookup /open/             -> Einval
        other lookup /open/none         -> Enoent
        other lookup /open/file         -> ok
        other lookup /open/..           -> ok
        root  lookup /dark/..           -> ok
        ",
    );
}

#[test]
fn access() {
    check(
        "
        other-ro access @77 2             -> Erofs
        other    access @77 2             -> Enoent
        other    access /open/fixed 2     -> Eperm
        root     access /open/fixed 2     -> Eperm
        other    access /open/fixed 4     -> ok
        other    access /open/file 2      -> Eacces
        other    access /open/file 0      -> ok
        owner    access /open/file 6      -> ok
        owner    access /open/file 7      -> Eacces
        root     access /open/root 7      -> ok
        other    access /open/free 6      -> ok
        other-ignoregid access /open/sugid 7 -> ok
        other    access /open/sugid 7     -> Eacces
        ",
    );
}

#[test]
fn making_inodes() {
    check(
        "
        other-mkdir mknod /nowhere/a d 755 0   -> Eperm
        other-mkfifo mknod /nowhere/a q 755 0  -> Eperm
        other-mkdev mknod /nowhere/a b 755 0   -> Eperm
        other-mksock mknod /nowhere/a s 755 0  -> Eperm
        other-create mknod /nowhere/a f 755 0  -> Eperm
        other-ro mknod /nowhere/a t 755 0      -> Erofs
        other mknod /nowhere/a t 755 0         -> Einval
        other mknod /nowhere/a d 755 0         -> Enoent
        other mknod /open/file/a d 755 0       -> Enotdir
        other mknod /fixed/%00 d 755 0         -> Eperm
        other mknod /closed/%00 d 755 0        -> Eacces
        other mknod /open/%00 d 755 0          -> Einval
        other mknod /open/. d 755 0            -> Einval
        other mknod /open/file d 755 0         -> Eexist
        other mknod /growing/a d 755 022       -> ok CREATE(6,a,2,493,18,3000,3000,0):23
        other mknod /open/a c 666 022          -> ok CREATE(2,a,6,438,18,3000,3000,261):23
        other mknod /open/a q 666 0            -> ok CREATE(2,a,4,438,0,3000,3000,0):23
        other mknod /setgid/a f 666 0          -> ok CREATE(8,a,1,438,0,3000,0,0):23
        other mknod /setgid/a d 755 0          -> ok CREATE(8,a,2,493,0,3000,0,0):23
        other mknod /setgid/a d 755 0 copysgid -> ok CREATE(8,a,2,1517,0,3000,0,0):23
        other mknod /open/a d 755 0 copysgid   -> ok CREATE(2,a,2,493,0,3000,3000,0):23
        owner-ro create /open/a                -> Erofs
        owner create /open/a                   -> ok CREATE(2,a,1,420,18,1000,1000,0):23;ACQUIRE(1,23)
        other-symlink symlink /nowhere/s x     -> Eperm
        other-ro symlink /nowhere/s x          -> Erofs
        other symlink /nowhere/s a%00          -> Einval
        other symlink /nowhere/s x             -> Enoent
        other symlink /closed/s x              -> Eacces
        other symlink /open/s x                -> ok SYMLINK(2,s,x,3000,3000):23
        ",
    );
}

#[test]
fn hard_links() {
    check(
        "
        other-link link @77 /nowhere/a           -> Eperm
        other-ro link @77 /nowhere/a             -> Erofs
        other link @77 /nowhere/a                -> Enoent
        other link /open/fixed /nowhere/a        -> Enoent
        other link /open/fixed /open/file/a      -> Eperm
        other link /open/full /open/file/a       -> Eperm
        other link /open/file /open/file/a       -> Enotdir
        other link /open/file /fixed/%00         -> Eperm
        other link /open/file /closed/%00        -> Eacces
        other link /open/file /open/%00          -> Einval
        other link /open/file /open/root         -> Eexist
        other link /open/file /open/a            -> ok LINK(9,2,a)
        other link /open/kept /growing/a         -> ok LINK(11,6,a)
        ",
    );
    crate::world::check_after(
        "root link /open/file /open/two
         root link /open/file /open/three",
        "other link /open/file /open/file/a -> NoSpace
         other link /open/fifo /open/four   -> ok LINK(18,2,four)",
    );
}

#[test]
fn removal() {
    check(
        "
        other-unlink unlink /nowhere/a   -> Eperm
        other-ro unlink /nowhere/a       -> Erofs
        other unlink /nowhere/a          -> Enoent
        other unlink /open/file/a        -> Enotdir
        other unlink /fixed/%00          -> Eperm
        other unlink /growing/%00        -> Eperm
        other unlink /closed/%00         -> Eacces
        other unlink /open/%00           -> Einval
        other unlink /open/a             -> Enoent
        other unlink /sticky/root        -> Eperm
        owner unlink /sticky/own         -> ok UNLINK(4,own):20
        root  unlink /sticky/own         -> ok UNLINK(4,own):20
        other unlink /open/kept          -> Eperm
        root  unlink /open/fixed         -> Eperm
        root  unlink /open/growing       -> Eperm
        other unlink /open/full          -> Eperm
        other unlink /open/file          -> ok UNLINK(2,file):9
        other-rmdir rmdir /nowhere/a     -> Eperm
        other-ro rmdir /nowhere/a        -> Erofs
        other rmdir /open/file           -> Enotdir
        other rmdir /open/full           -> Enotempty
        other rmdir /open/empty          -> ok UNLINK(2,empty):16
        other rmdir /fixed               -> Eperm
        root  rmdir /fixed               -> Eperm
        ",
    );
}

#[test]
fn renaming() {
    check(
        "
        other-rename rename /nowhere/a /nowhere/b            -> Eperm
        other-rename rename /open/file /sticky/file          -> ok MOVE(2,file,4,file):9
        other-move rename /open/file /sticky/file            -> Eperm
        other-move rename /open/file /open/b                 -> ok MOVE(2,file,2,b):9
        other-rename-move rename /open/file /open/file       -> Eperm
        other-ro rename /nowhere/a /nowhere/b                -> Erofs
        other rename /nowhere/a /nowhere/b                   -> Enoent
        other rename /open/file/a /nowhere/b                 -> Enoent
        other rename /open/file/a /open/b                    -> Enotdir
        other rename /fixed/%00 /open/b                      -> Eperm
        other rename /growing/%00 /open/b                    -> Eperm
        other rename /closed/%00 /open/b                     -> Eacces
        other rename /open/%00 /open/file/b                  -> Einval
        other rename /open/none /open/file/b                 -> Enoent
        other rename /sticky/root /open/file/b               -> Eperm
        other rename /open/fixed /open/file/b                -> Enotdir
        other rename /open/fixed /fixed/%00                  -> Eperm
        other rename /open/fixed /closed/%00                 -> Eacces
        other rename /open/fixed /open/%00                   -> Eperm
        root  rename /open/full /open/full/y                 -> Einval
        other rename /open/full /open/full/%00               -> Einval
        other rename /open/other /sticky/%00                 -> Eacces
        other rename /open/other /open/%00                   -> Einval
        other rename /open/other /open/b                     -> ok MOVE(2,other,2,b):17
        other rename /open/file /open/%00                    -> Einval
        other-unlink rename /open/full /open/file            -> Eperm
        other-rmdir rename /open/file /open/empty            -> Eperm
        other-rmdir rename /open/full /open/file             -> ok MOVE(2,full,2,file):14
        other rename /open/file /open/full                   -> Enotempty
        other rename /open/file /sticky/root                 -> Eperm
        other rename /open/file /open/kept                   -> Eperm
        other rename /open/kept /open/file                   -> ok MOVE(2,kept,2,file):11
        other rename /open/file /open/empty                  -> ok MOVE(2,file,2,empty):9
        other rename /open/empty /open/file                  -> ok MOVE(2,empty,2,file):16
        other rename /open/file /open/file                   -> ok
        other rename /open/file /growing/file                -> ok MOVE(2,file,6,file):9
        ",
    );
    crate::world::check_after(
        "root link /open/file /open/same",
        "other rename /open/file /open/same -> ok MOVE(2,file,2,same):9",
    );
}

#[test]
fn reading_directories_and_links() {
    crate::world::check_after(
        "root symlink /open/s target
         root later 90000",
        "other-readdir readdir @77          -> Eperm
         other readdir @77                  -> Enoent
         other readdir /open/file           -> Enotdir
         other readdir /dark                -> Eacces
         other readdir /dark attrs          -> Eacces
         other readdir /open attrs          -> ok ACCESS(2)
         other-ro readdir /open             -> ok ACCESS(2)
         other readlink @77                 -> Enoent
         other readlink /open/file          -> Einval
         other readlink /open/s             -> ok ACCESS(23)",
    );
}
