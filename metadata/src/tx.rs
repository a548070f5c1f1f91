//! One change under way: its time, and where its lines and events go.

use crate::event::Event;
use proto::MetaVersion;

/// Changelog lines in their on-disk form, in order, and where each begins.
#[derive(Debug, Default)]
pub struct Lines {
    bytes: Vec<u8>,
    starts: Vec<(MetaVersion, usize)>,
    binding: bool,
}

impl Lines {
    /// Opens the line of a version; the caller appends `TIMESTAMP|OPERATION(…)` and calls
    /// [`Lines::end`]. The prefix `VERSION: ` is written here.
    pub fn begin(&mut self, version: MetaVersion) -> &mut Vec<u8> {
        self.starts.push((version, self.bytes.len()));
        let mut digits = itoa::Buffer::new();
        self.bytes
            .extend_from_slice(digits.format(version.0).as_bytes());
        self.bytes.extend_from_slice(b": ");
        &mut self.bytes
    }

    /// Ends the open line.
    pub fn end(&mut self) {
        self.bytes.push(b'\n');
    }

    /// A line that was written must not be lost once its change has been answered.
    pub(crate) fn bind(&mut self) {
        self.binding = true;
    }

    /// Whether one of the lines states a change on which whoever is answered may rely. The others
    /// only keep the books (access times, open files, changes to what was there already): what is
    /// promised holds without them.
    pub fn are_binding(&self) -> bool {
        self.binding
    }

    /// All lines as they go to `changelog.0.mfs`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each line: its version, and its text without `VERSION: ` and without the newline.
    pub fn iter(&self) -> impl Iterator<Item = (MetaVersion, &[u8])> {
        let ends = self
            .starts
            .iter()
            .skip(1)
            .map(|&(_, start)| start)
            .chain(std::iter::once(self.bytes.len()));
        self.starts
            .iter()
            .zip(ends)
            .map(|(&(version, start), end)| {
                let line = self.bytes.get(start..end).unwrap_or_default();
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                let text = line
                    .iter()
                    .position(|&byte| byte == b' ')
                    .map_or(line, |space| &line[space + 1..]);
                (version, text)
            })
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Number of lines.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Forgets the lines, keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.starts.clear();
        self.binding = false;
    }
}

/// Where changes leave their lines and events until the shell takes them.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Lines to make durable before anything that depends on them is answered.
    pub lines: Lines,
    /// Consequences, in order.
    pub events: Vec<Event>,
}

/// The context of one change.
#[derive(Debug)]
pub struct Tx<'a> {
    /// The master's clock, whole seconds since 1970: the time stamp of the line and of the effect.
    pub now: u32,
    /// Receives lines and events.
    pub out: &'a mut Outbox,
}

impl<'a> Tx<'a> {
    /// A change at `now` (seconds since 1970).
    pub fn new(now: u32, out: &'a mut Outbox) -> Tx<'a> {
        Tx { now, out }
    }

    /// Reports a consequence.
    pub fn event(&mut self, event: Event) {
        self.out.events.push(event);
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;
    use proto::MetaVersion;

    #[test]
    fn lines_have_disk_form_and_stream_form() {
        let mut lines = Lines::default();
        for (version, text) in [(9, "5|ACCESS(1)"), (10, "6|UNLOCK(7)")] {
            lines
                .begin(MetaVersion(version))
                .extend_from_slice(text.as_bytes());
            lines.end();
        }
        assert_eq!(lines.bytes(), b"9: 5|ACCESS(1)\n10: 6|UNLOCK(7)\n");
        let stream: Vec<_> = lines.iter().collect();
        assert_eq!(
            stream,
            [
                (MetaVersion(9), &b"5|ACCESS(1)"[..]),
                (MetaVersion(10), &b"6|UNLOCK(7)"[..])
            ]
        );
    }
}
