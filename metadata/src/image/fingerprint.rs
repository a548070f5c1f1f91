//! The values of `metadata.crc`: fingerprints of the sections that do not depend on the order of
//! their records (metadata-and-changelog §1.9, §6).

use crate::{Namespace, View};
use proto::image::{Fingerprint, Section, SectionName};

/// One fingerprint for each piece of a metadata file, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints {
    records: Vec<(SectionName, Fingerprint)>,
}

impl Fingerprints {
    pub(super) fn push(&mut self, name: SectionName, value: Fingerprint) {
        self.records.push((name, value));
    }

    /// The value of a section.
    pub fn of(&self, section: Section) -> Option<Fingerprint> {
        let name = section.name();
        let found = self.records.iter().find(|(each, _)| *each == name);
        found.map(|(_, value)| *value)
    }

    /// All values with their names: HEAD, the sections, TAIL.
    pub fn iter(&self) -> impl Iterator<Item = (SectionName, Fingerprint)> {
        self.records.iter().copied()
    }

    /// The content of `metadata.crc`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 * self.records.len());
        for (name, value) in &self.records {
            bytes.extend_from_slice(&name.0);
            bytes.extend_from_slice(&value.0.to_be_bytes());
        }
        bytes
    }
}

impl View {
    /// The fingerprints of the file that would be saved at `now`; costs as much as saving.
    pub fn fingerprints(&self, now: u32) -> Fingerprints {
        // Nothing fails when nothing is written.
        super::save_stream(self, now, std::io::sink())
            .map(|saved| saved.fingerprints)
            .unwrap_or_default()
    }
}

impl Namespace {
    /// The fingerprints of the state, see [`View::fingerprints`]: equal states have equal ones.
    pub fn fingerprints(&self, now: u32) -> Fingerprints {
        self.freeze().fingerprints(now)
    }
}
