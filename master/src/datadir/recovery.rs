//! What a start makes of a data directory: which state it loads, which changelogs it replays on it,
//! and which files move before the first new change (metadata-and-changelog §2.2, §2.5, §2.7).

use proto::{MetaId, MetaVersion};

use super::{
    BACK, CURRENT_CHANGELOG, ChangelogFile, ImageContent, ImageFile, Listing, METADATA, Step,
};

/// What the operator allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// `-i`: take what can be had when files contradict each other or changes are missing.
    pub ignore_errors: bool,
    /// `-x`: say which files were considered.
    pub verbose: bool,
}

/// A start that is possible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// File to load.
    pub image: String,
    /// It is `MFSM NEW`.
    pub is_new: bool,
    /// State that the file holds: number of the next change.
    pub version: MetaVersion,
    /// Identity that the file holds.
    pub id: MetaId,
    /// Changelogs to merge and replay from `version` on, by first change. A line that fails or a
    /// missing one is found by the replay, not here.
    pub replay: Vec<String>,
    /// Number of the next change after the replay, if no line is missing.
    pub expected: MetaVersion,
    /// Movements to be made once everything is loaded and before a new change is written.
    pub steps: Vec<Step>,
    /// What the operator should know.
    pub messages: Vec<String>,
}

/// A start that would lose or mix data; the lines say why and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the log, in order.
    pub messages: Vec<String>,
}

/// Decides. The newest usable state of one file system wins, wherever it stands. Which file system is
/// meant, `metadata.mfs` and `metadata.mfs.back` say; older copies and files that were put aside do
/// not contradict them.
pub fn plan(listing: &Listing, mode: Mode) -> Result<Recovery, Refusal> {
    let mut messages: Vec<String> = listing
        .images
        .iter()
        .filter_map(ImageFile::complaint)
        .collect();
    let candidates = candidates(&listing.images);
    let Some(chosen) = newest(&candidates) else {
        messages.push("can't find valid metadata file".to_owned());
        return Err(Refusal { messages });
    };
    if let Some(conflict) = contradiction(&candidates, chosen) {
        messages.extend(conflict);
        if !mode.ignore_errors {
            messages.push(
                "metadata files of different file systems are here - move the wrong ones away, or \
                 use option '-i' to take the newest"
                    .to_owned(),
            );
            return Err(Refusal { messages });
        }
    }
    let is_new = chosen.content == ImageContent::New;
    let (version, id) = chosen.usable().unwrap_or_default();
    if mode.verbose || chosen.name != METADATA {
        messages.push(format!(
            "chosen most recent metadata file: {} (version: {version} ; id: {:016X})",
            chosen.name, id.0
        ));
    }
    let mut recovery = Recovery {
        image: chosen.name.clone(),
        is_new,
        version,
        id,
        replay: Vec::new(),
        expected: version,
        steps: Vec::new(),
        messages,
    };
    if is_new && chosen.name == METADATA {
        recovery.put_changelogs_aside(&listing.changelogs);
    } else {
        recovery.choose_changelogs(&listing.changelogs, mode)?;
    }
    recovery.move_images(listing);
    Ok(recovery)
}

fn is_primary(image: &ImageFile) -> bool {
    image.name == METADATA || image.name == BACK
}

/// The usable files that are compared: those of the file system that the two primary names belong to,
/// or all when neither is usable.
fn candidates(images: &[ImageFile]) -> Vec<&ImageFile> {
    let usable = images.iter().filter(|image| image.usable().is_some());
    let primary_ids: Vec<MetaId> = usable
        .clone()
        .filter(|image| is_primary(image))
        .filter_map(|image| image.usable().map(|(_, id)| id))
        .collect();
    usable
        .filter(|image| {
            let own = image
                .usable()
                .is_some_and(|(_, id)| primary_ids.contains(&id));
            primary_ids.is_empty() || is_primary(image) || own
        })
        .collect()
}

/// The highest version; of equal ones the name that a start looks at first.
fn newest<'a>(images: &[&'a ImageFile]) -> Option<&'a ImageFile> {
    let rank = |image: &ImageFile| match image.name.as_str() {
        METADATA => 2,
        BACK => 1,
        _ => 0,
    };
    images
        .iter()
        .copied()
        .max_by_key(|image| (image.usable().map(|(version, _)| version), rank(image)))
}

/// Files of another file system beside the chosen one, listed as MooseFS lists them. A backup that is
/// older than a `metadata.mfs` is no contradiction: the operator has put the new file there.
fn contradiction(images: &[&ImageFile], chosen: &ImageFile) -> Option<Vec<String>> {
    if chosen.name == METADATA {
        return None;
    }
    let (_, own) = chosen.usable()?;
    let none = MetaId(0);
    let is_foreign = |image: &&ImageFile| {
        let id = image.usable().map_or(none, |(_, id)| id);
        id != own && id != none && own != none
    };
    // A new file system is wanted, and an old one is there.
    let is_fresh =
        |image: &&ImageFile| image.name == METADATA && image.content == ImageContent::New;
    if !images
        .iter()
        .any(|image| is_foreign(image) || is_fresh(image))
    {
        return None;
    }
    let found = images.iter().filter_map(|image| {
        let (version, id) = image.usable()?;
        let (name, id) = (&image.name, id.0);
        Some(format!(
            " - found valid metadata file: {name} (version: {version} ; id: {id:016X})"
        ))
    });
    Some(found.collect())
}

impl Recovery {
    /// The changelogs that hold changes from the loaded version on, in order and without a hole
    /// between files.
    fn choose_changelogs(
        &mut self,
        changelogs: &[ChangelogFile],
        mode: Mode,
    ) -> Result<(), Refusal> {
        let mut used: Vec<(&ChangelogFile, u64, u64)> = Vec::new();
        for file in changelogs {
            let name = &file.name;
            let Some((first, last)) = file.changes else {
                self.report_torn(file, None);
                // What such a file holds is found out by the replay.
                used.push((file, 0, self.version.0.saturating_sub(1)));
                continue;
            };
            let is_used = last >= self.version.0 || file.is_broken;
            if is_used {
                self.report_torn(file, Some(last));
                used.push((file, first, last));
            }
            if mode.verbose {
                let what = if is_used { "using" } else { "skipping" };
                self.messages.push(format!(
                    "{what} changelog file: {name} (changes: {first} - {last})"
                ));
            }
        }
        used.sort_by_key(|(_, first, last)| (*first, *last));
        // What holes mean behind torn and broken files is seen by the replay.
        let is_for_the_replay = used
            .iter()
            .any(|(file, ..)| file.is_broken || file.torn_bytes > 0)
            || changelogs.iter().any(|file| file.changes.is_none());
        let mut next = self.version.0;
        let mut previous = self.image.as_str();
        for (file, first, last) in &used {
            if *first > next && !is_for_the_replay {
                self.messages.push(format!(
                    "hole in change files (entries from {previous}:{next} to {}:{} are missing) - add more files",
                    file.name,
                    first - 1
                ));
                if !mode.ignore_errors {
                    self.messages.push(
                        "error applying changelogs - fix changelogs manually or use '-i' flag"
                            .to_owned(),
                    );
                    return Err(Refusal {
                        messages: std::mem::take(&mut self.messages),
                    });
                }
                self.messages.push(
                    "error applying changelogs - ignoring (using best possible metadata version)"
                        .to_owned(),
                );
                break;
            }
            self.replay.push(file.name.clone());
            next = next.max(last.saturating_add(1));
            previous = &file.name;
        }
        self.expected = MetaVersion(next);
        if next > self.version.0 {
            self.messages.push(format!(
                "recovering changes {} - {} from {} changelog file(s)",
                self.version.0,
                next.saturating_sub(1),
                self.replay.len()
            ));
        }
        // What is continued must end with a whole line.
        for file in changelogs {
            if file.name == CURRENT_CHANGELOG && file.torn_bytes > 0 {
                self.steps.push(Step::Cut {
                    name: file.name.clone(),
                    bytes: file.complete_bytes,
                });
            }
        }
        Ok(())
    }

    /// A changelog behind the end of the history must not be continued or read again; says so.
    pub fn put_torn_aside(&mut self, name: &str, end: MetaVersion) -> String {
        let aside = format!("{name}.torn");
        let message = format!(
            "changes from {end} on were not on stable storage when the machine stopped - {name} is put aside as {aside}"
        );
        self.steps.push(Step::rename(name, aside));
        self.replay.retain(|other| other != name);
        message
    }

    fn report_torn(&mut self, file: &ChangelogFile, last: Option<u64>) {
        if file.torn_bytes > 0 {
            let name = &file.name;
            let bytes = file.torn_bytes;
            self.messages.push(match last {
                Some(last) => {
                    format!("{name}: torn line behind change {last} ({bytes} bytes) is ignored")
                }
                None => {
                    format!("{name}: no complete line, only a torn one ({bytes} bytes), is ignored")
                }
            });
        }
    }

    /// A fresh file system begins with change 1: changelogs of an older one would mix with its own.
    fn put_changelogs_aside(&mut self, changelogs: &[ChangelogFile]) {
        for file in changelogs
            .iter()
            .filter(|file| file.complete_bytes + file.torn_bytes > 0)
        {
            let aside = format!("{}.old", file.name);
            self.messages.push(format!(
                "{} belongs to another file system than the new one - renamed to {aside}",
                file.name
            ));
            self.steps.push(Step::rename(&file.name, aside));
        }
    }

    /// The loaded file ends up as `metadata.mfs.back`, so that a crash finds it there; nothing that is
    /// valid is lost.
    fn move_images(&mut self, listing: &Listing) {
        let find = |name: &str| listing.images.iter().find(|image| image.name == name);
        if self.image == METADATA {
            if let Some(ImageContent::Valid { version, id }) = find(BACK).map(|back| &back.content)
                && *id != self.id
                && *id != MetaId(0)
            {
                let aside = format!("{BACK}.{:016X}.{version}", id.0);
                self.messages.push(format!(
                    "{BACK} belongs to another file system - renamed to {aside}"
                ));
                self.steps.push(Step::rename(BACK, aside));
            }
            self.steps.push(Step::rename(METADATA, BACK));
            return;
        }
        match find(METADATA).map(|image| &image.content) {
            None => {}
            Some(ImageContent::Empty) => self.steps.push(Step::Remove(METADATA.to_owned())),
            Some(ImageContent::Valid { version, .. }) => {
                self.put_aside(format!("{METADATA}.{version}"));
            }
            Some(_) => self.put_aside(format!("{METADATA}.bad")),
        }
    }

    /// A `metadata.mfs` that is not loaded gives way: while a master runs there is none.
    fn put_aside(&mut self, aside: String) {
        self.messages.push(format!(
            "{METADATA} is not the newest state - renamed to {aside}"
        ));
        self.steps.push(Step::rename(METADATA, aside));
    }
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
