//! Names of metadata files after a state has been written (metadata-and-changelog §2.3, §2.4).

use super::{BACK, METADATA, Step, TEMPORARY};

/// What follows when the temporary file is complete and synced: it becomes the newest backup, older
/// ones move back, `keep` of them stay (BACK_META_KEEP_PREVIOUS).
pub fn after_dump(keep: u32) -> Vec<Step> {
    let older = |number: u32| match number {
        0 => BACK.to_owned(),
        number => format!("{BACK}.{number}"),
    };
    let mut steps: Vec<Step> = (0..keep)
        .rev()
        .map(|number| Step::rename(older(number), older(number + 1)))
        .collect();
    steps.push(Step::rename(TEMPORARY, BACK));
    steps.push(Step::Remove(METADATA.to_owned()));
    steps
}

/// What follows [`after_dump`] at a clean stop: the state stands where a start looks first.
pub fn at_stop() -> Vec<Step> {
    vec![Step::rename(BACK, METADATA)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(steps: &[Step]) -> Vec<String> {
        let short = |name: &String| name.replace("metadata.mfs", "M");
        steps
            .iter()
            .map(|step| match step {
                Step::Rename { from, to } => format!("{} > {}", short(from), short(to)),
                Step::Remove(name) => format!("- {}", short(name)),
                Step::Cut { name, bytes } => format!("{} = {bytes}", short(name)),
            })
            .collect()
    }

    #[test]
    fn older_backups_move_back_oldest_first() {
        assert_eq!(show(&after_dump(0)), ["M.back.tmp > M.back", "- M"]);
        assert_eq!(
            show(&after_dump(1)),
            ["M.back > M.back.1", "M.back.tmp > M.back", "- M"]
        );
        assert_eq!(
            show(&after_dump(3)),
            [
                "M.back.2 > M.back.3",
                "M.back.1 > M.back.2",
                "M.back > M.back.1",
                "M.back.tmp > M.back",
                "- M"
            ]
        );
        assert_eq!(show(&at_stop()), ["M.back > M"]);
    }
}
