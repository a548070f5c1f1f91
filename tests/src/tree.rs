//! Comparing two directory trees: names, types, contents, modes, owners, times, link targets.

use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One difference, as a sentence that begins with the path inside the trees.
pub type Difference = String;

/// Every difference between two trees; empty when they are equal. Times are compared in whole
/// seconds: MooseFS stores no more.
pub fn differences(left: &Path, right: &Path) -> Result<Vec<Difference>> {
    let (left_nodes, right_nodes) = (nodes(left)?, nodes(right)?);
    let mut found = Vec::new();
    for (path, node) in &left_nodes {
        match right_nodes.get(path) {
            None => found.push(format!("{}: only in {}", path.display(), left.display())),
            Some(other) if other != node => {
                found.push(format!("{}: {node:?} against {other:?}", path.display()));
            }
            Some(_) if node.kind == 'f' => {
                if fs::read(left.join(path))? != fs::read(right.join(path))? {
                    found.push(format!("{}: contents differ", path.display()));
                }
            }
            Some(_) => {}
        }
    }
    for path in right_nodes.keys() {
        if !left_nodes.contains_key(path) {
            found.push(format!("{}: only in {}", path.display(), right.display()));
        }
    }
    Ok(found)
}

#[derive(Debug, PartialEq, Eq)]
struct Node {
    kind: char,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: i64,
    length: u64,
    links: u64,
    target: Option<PathBuf>,
}

fn nodes(root: &Path) -> Result<BTreeMap<PathBuf, Node>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(path) = waiting.pop() {
        let full = root.join(&path);
        let meta = fs::symlink_metadata(&full).with_context(|| full.display().to_string())?;
        let kind = match meta.file_type() {
            kind if kind.is_file() => 'f',
            kind if kind.is_dir() => 'd',
            kind if kind.is_symlink() => 'l',
            kind if kind.is_fifo() => 'p',
            kind if kind.is_socket() => 's',
            kind if kind.is_block_device() => 'b',
            _ => 'c',
        };
        if kind == 'd' {
            for entry in fs::read_dir(&full).with_context(|| full.display().to_string())? {
                waiting.push(path.join(entry?.file_name()));
            }
        }
        let is_file = kind == 'f';
        let target = (kind == 'l').then(|| fs::read_link(&full)).transpose()?;
        found.insert(
            path,
            Node {
                kind,
                mode: meta.mode(),
                uid: meta.uid(),
                gid: meta.gid(),
                mtime: if kind == 'l' { 0 } else { meta.mtime() },
                length: if is_file { meta.len() } else { 0 },
                links: if is_file { meta.nlink() } else { 0 },
                target,
            },
        );
    }
    // The roots themselves may differ in owner and times.
    found.remove(&PathBuf::new());
    Ok(found)
}
