//! The namespace and the client port without sockets: nanoseconds per operation.

#![expect(missing_docs, reason = "the macros of criterion make public items")]

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use metadata::create::NewNode;
use metadata::{Caller, Digester, Namespace, Outbox, Tx};
use proto::{Inode, NodeKind};
use std::hint::black_box;

/// Files in the tree that is looked at.
const FILES: u32 = 100_000;
/// Files in each directory.
const PER_DIRECTORY: u32 = 1000;
/// Any second.
const NOW: u32 = 1_795_000_000;

fn file() -> NewNode {
    NewNode {
        kind: NodeKind::File,
        mode: 0o644,
        umask: 0,
        rdev: 0,
        copy_sgid: false,
    }
}

fn name(number: u32) -> Vec<u8> {
    format!("file{number:06}").into_bytes()
}

struct Tree {
    namespace: Namespace,
    directories: Vec<Inode>,
    out: Outbox,
}

impl Tree {
    fn new() -> Tree {
        let mut tree = Tree {
            namespace: Namespace::new(1, NOW).expect("an empty namespace"),
            directories: Vec::new(),
            out: Outbox::default(),
        };
        for directory in 0..FILES / PER_DIRECTORY {
            let new = NewNode {
                kind: NodeKind::Directory,
                ..file()
            };
            let made = tree.make(Inode::ROOT, &format!("dir{directory}").into_bytes(), new);
            tree.directories.push(made);
            for number in 0..PER_DIRECTORY {
                tree.make(made, &name(number), file());
            }
        }
        tree
    }

    /// 10 000 files in directories of 1000.
    fn make_many(&mut self, next: &mut u32) {
        for _ in 0..10 {
            let new = NewNode {
                kind: NodeKind::Directory,
                ..file()
            };
            let parent = self.make(Inode::ROOT, &name(*next), new);
            *next += 1;
            for number in 0..PER_DIRECTORY {
                self.make(parent, &name(number), file());
            }
        }
    }

    fn make(&mut self, parent: Inode, name: &[u8], new: NewNode) -> Inode {
        self.out.lines.clear();
        self.out.events.clear();
        let mut tx = Tx::new(NOW, &mut self.out);
        self.namespace
            .mknod(&mut tx, &Caller::MASTER, parent, name, new)
            .expect("a name that is free")
    }
}

fn namespace(c: &mut Criterion) {
    let mut tree = Tree::new();
    let names: Vec<Vec<u8>> = (0..PER_DIRECTORY).map(name).collect();
    let mut at = 0_usize;
    c.bench_function("lookup", |b| {
        b.iter(|| {
            at = at.wrapping_add(7919);
            let parent = tree.directories[at % tree.directories.len()];
            let name = &names[at / 131 % names.len()];
            black_box(tree.namespace.lookup(&Caller::MASTER, parent, name))
        });
    });
    c.bench_function("attr", |b| {
        b.iter(|| {
            at = at.wrapping_add(7919);
            let inode = Inode(2 + (at as u32) % FILES);
            black_box(tree.namespace.attr(&Caller::MASTER, inode))
        });
    });
    let mut number = 0_u32;
    c.bench_function("create and unlink, with their lines", |b| {
        b.iter_batched(
            || {
                number = number.wrapping_add(1);
                format!("new{number}").into_bytes()
            },
            |name| {
                let parent = tree.directories[0];
                let made = tree.make(parent, &name, file());
                let mut tx = Tx::new(NOW, &mut tree.out);
                tree.namespace
                    .unlink(&mut tx, &Caller::MASTER, parent, &name)
                    .expect("the name that was made");
                black_box(made)
            },
            BatchSize::SmallInput,
        );
    });
    c.bench_function("freeze", |b| b.iter(|| black_box(tree.namespace.freeze())));
    c.bench_function("digest of 100k files", |b| {
        b.iter(|| black_box(tree.namespace.digest()));
    });
    let mut digester = Digester::default();
    digester.digest(tree.namespace.freeze());
    let mut next = FILES;
    c.bench_function("10k creates", |b| {
        b.iter(|| tree.make_many(&mut next));
    });
    c.bench_function("10k creates and their digest", |b| {
        b.iter(|| {
            tree.make_many(&mut next);
            black_box(digester.digest(tree.namespace.freeze()))
        });
    });
}

criterion_group!(benches, namespace);
criterion_main!(benches);
