//! Files of 4.x with [`LoadOptions::ignore`](super::LoadOptions): what has a meaning here is
//! taken, everything else is named (metadata-and-changelog §1.10).

use super::{Loader, Outcome};
use proto::image::{ClassRecord, NewerClassHeader, NewerClassRecord, Pattern, Section};
use std::collections::HashSet;

/// Whether a version above that of 3.0.117 can be read.
pub(super) fn is_known(section: Section, version: u8) -> bool {
    match section {
        Section::Sessions => version == 0x16,
        Section::Classes => (0x17..=0x1C).contains(&version),
        Section::Chunks => version == 0x12,
        _ => false,
    }
}

impl Loader<'_> {
    /// Remembers what is lost, once.
    pub(super) fn lose(&mut self, what: impl Into<String>) {
        let what = what.into();
        if !self.lost.contains(&what) {
            self.lost.push(what);
        }
    }

    pub(super) fn newer_body(&mut self, section: Section, version: u8) -> Outcome<()> {
        match section {
            Section::Sessions => {
                self.lose("export groups of sessions");
                self.sessions(version)
            }
            Section::Classes => self.newer_classes(version),
            _ => self.chunks(version),
        }
    }

    fn newer_classes(&mut self, version: u8) -> Outcome<()> {
        let header = NewerClassHeader::decode(&mut self.reader)?;
        let mut seen = HashSet::new();
        while let Some(record) =
            self.next(|reader| NewerClassRecord::decode(reader, version, header))?
        {
            for what in &record.lost {
                let name = record.name.escape_ascii();
                self.lose(format!("{what} of storage class {name}"));
            }
            let class = ClassRecord {
                class: record.class,
                name: Some(record.name),
                admin_only: record.admin_only,
                mode: record.mode,
                archive_delay_days: record.archive_delay_hours.div_ceil(24),
                create: record.create,
                keep: record.keep,
                archive: record.archive,
            };
            self.class(&class, &mut seen)?;
        }
        Ok(())
    }

    pub(super) fn newer_patterns(&mut self, version: u8) -> Outcome<()> {
        while let Some(pattern) = self.next(|reader| Pattern::decode(reader, version))? {
            self.lose(format!("pattern {}", pattern.glob.escape_ascii()));
        }
        Ok(())
    }
}
