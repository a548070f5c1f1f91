//! Quotas of all directories (wire-admin §4.7).

use crate::core::Core;
use crate::links::LinkId;
use metadata::quota::{Limits, Quota, Usage};
use proto::Inode;
use proto::admin::{Amounts, NOT_EXCEEDED, QuotaEntry, QuotaForm, QuotaList};
use proto::list::Text;

/// Every directory that has a quota.
pub(super) fn list(core: &mut Core, link: LinkId) {
    let now = core.now.unix;
    let rows: Vec<(Inode, Quota, Usage, Vec<u8>)> = core
        .ns
        .quotas()
        .iter()
        .map(|(inode, quota)| {
            let path = core
                .ns
                .paths(Inode::ROOT, inode)
                .into_iter()
                .next()
                .unwrap_or_default();
            let path = match path.first() {
                Some(b'/') => path,
                _ => [b"/", path.as_slice()].concat(),
            };
            (inode, *quota, core.ns.usage(inode), path)
        })
        .collect();
    let entries = rows
        .iter()
        .map(|(inode, quota, usage, path)| entry(*inode, quota, *usage, path, now));
    let form = QuotaForm::of_master(crate::VERSION);
    QuotaList::encode(entries, form, core.links.out(link));
}

fn entry<'a>(
    inode: Inode,
    quota: &Quota,
    usage: Usage,
    path: &'a [u8],
    now: u32,
) -> QuotaEntry<'a> {
    let time_to_block_s = match quota.since {
        0 => NOT_EXCEEDED,
        since => since
            .saturating_add(quota.grace_seconds)
            .saturating_sub(now),
    };
    QuotaEntry {
        inode,
        path: Text(path),
        grace_s: quota.grace_seconds,
        exceeded: u8::from(quota.exceeded),
        flags: quota.flags,
        time_to_block_s,
        soft: amounts(quota.soft),
        hard: amounts(quota.hard),
        current: Amounts {
            inodes: u32::try_from(usage.inodes).unwrap_or(u32::MAX),
            length: usage.length,
            size: usage.size,
            real_size: usage.real_size,
        },
    }
}

fn amounts(limits: Limits) -> Amounts {
    Amounts {
        inodes: limits.inodes,
        length: limits.length,
        size: limits.size,
        real_size: limits.real_size,
    }
}
