//! Charts as a whole: what goes in comes out on the wire and in the file.

use proto::admin::{ChartData, ChartId, ChartImage, GetChartData, GetChartImage, NO_DATA};

use super::{CHUNKSERVER, Charts, LocalTime, MASTER};

/// 2026-11-24 16:00 local time.
const START: u32 = 1_795_536_000;
const STATFS: usize = 4;
const MEMORY: usize = 20;

fn samples(statfs: u64, memory: u64) -> Vec<u64> {
    let mut samples = vec![0; MASTER.series.len()];
    samples[STATFS] = statfs;
    samples[MEMORY] = memory;
    samples
}

/// Charts with a sample each minute, 1, 2, 3 … operations and as many bytes of memory.
fn charts(minutes: u32) -> Charts {
    let mut charts = Charts::new(&MASTER, LocalTime(START));
    for minute in 1..=minutes {
        let sample = samples(u64::from(minute), u64::from(minute));
        charts.record(LocalTime(START + 60 * minute), &sample);
    }
    charts
}

/// Time and samples of the answer to a request.
fn data(charts: &Charts, id: u32, entries_max: Option<u32>) -> Option<(u32, Vec<u64>)> {
    let mut out = Vec::new();
    let id = ChartId(id);
    charts.put_data(GetChartData { id, entries_max }, &mut out);
    match ChartData::decode(&out[8..]).unwrap() {
        ChartData::Unknown => None,
        ChartData::Samples { time, samples } => Some((time, samples.iter().collect())),
        ChartData::Old { .. } => panic!("the form of 1.6"),
    }
}

fn statfs(charts: &Charts, range: u32, count: u32) -> (u32, Vec<u64>) {
    data(charts, 10 * STATFS as u32 + range, Some(count)).unwrap()
}

#[test]
fn samples_come_back_newest_first_in_every_range() {
    let charts = charts(61);
    // The sample taken at 17:01 belongs to 17:00.
    assert_eq!(statfs(&charts, 0, 3), (START + 3600, vec![61, 60, 59]));
    // Six minutes: 17:00 has one minute, 16:54 has 55 to 60.
    assert_eq!(
        statfs(&charts, 1, 2),
        (START + 3600, vec![61, (55..=60).sum()])
    );
    assert_eq!(
        statfs(&charts, 2, 3),
        (START + 3600, vec![61, (31..=60).sum(), (1..=30).sum()])
    );
    let day = START / 86400 * 86400;
    assert_eq!(statfs(&charts, 3, 2), (day, vec![(1..=61).sum(), NO_DATA]));
}

#[test]
fn memory_is_the_greatest_sample_of_a_range() {
    let mut charts = charts(30);
    charts.record(LocalTime(START + 31 * 60), &samples(0, 7));
    let id = 10 * MEMORY as u32;
    assert_eq!(data(&charts, id, Some(2)).unwrap().1, [7, 30]);
    assert_eq!(data(&charts, id + 2, Some(2)).unwrap().1, [7, 30]);
    assert_eq!(data(&charts, id + 3, Some(1)).unwrap().1, [30]);
}

#[test]
fn minutes_without_samples_have_no_data() {
    let mut charts = charts(2);
    charts.record(LocalTime(START + 5 * 60), &samples(5, 5));
    let expected = vec![5, NO_DATA, NO_DATA, 2, 1, NO_DATA];
    assert_eq!(statfs(&charts, 0, 6), (START + 240, expected));
    assert_eq!(statfs(&charts, 1, 1).1, [8]);

    // A gap longer than the range leaves nothing of it.
    charts.record(LocalTime(START + 60 * 5000), &samples(9, 9));
    let (_, all) = statfs(&charts, 0, 4096);
    assert_eq!(all.len(), 4096);
    assert_eq!(all.iter().filter(|sample| **sample != NO_DATA).count(), 1);
}

#[test]
fn a_sample_without_data_leaves_the_slot() {
    let mut charts = charts(2);
    charts.record(
        LocalTime(START + 3 * 60),
        &vec![NO_DATA; MASTER.series.len()],
    );
    assert_eq!(statfs(&charts, 0, 3).1, [NO_DATA, 2, 1]);
    assert_eq!(statfs(&charts, 1, 1).1, [3]);
    assert_eq!(charts.newest(STATFS), None);
}

#[test]
fn a_clock_that_goes_back_adds_to_older_slots() {
    let mut charts = charts(10);
    charts.record(LocalTime(START + 4 * 60), &samples(100, 1));
    assert_eq!(statfs(&charts, 0, 8).1, [10, 9, 8, 7, 6, 5, 104, 3]);
    // What is older than the range is left out.
    charts.record(LocalTime(START - 60 * 5000), &samples(1000, 1000));
    assert_eq!(statfs(&charts, 0, 4096).1.iter().max(), Some(&NO_DATA));
    assert!(!statfs(&charts, 0, 4096).1.contains(&1000));
}

#[test]
fn requests_name_a_chart_by_number_or_letters() {
    let charts = charts(1);
    let code = |letters: &[u8; 4]| u32::from_be_bytes(*letters);
    let (_, all) = data(&charts, 40, None).unwrap();
    assert_eq!(all.len(), 4096);
    assert_eq!(data(&charts, 40, Some(0)), Some((START, vec![])));
    assert_eq!(data(&charts, 40, Some(9999)).unwrap().1.len(), 4096);
    assert_eq!(
        data(&charts, code(b"STFS"), Some(1)),
        data(&charts, 40, Some(1))
    );
    assert_eq!(
        data(&charts, code(b"STfs"), Some(1)),
        data(&charts, 43, Some(1))
    );
    for unknown in [
        44,
        380,
        1000,
        code(b"stFS"),
        code(b"XXXX"),
        code(b"TCPU"),
        u32::MAX,
    ] {
        assert_eq!(data(&charts, unknown, Some(1)), None, "{unknown:x}");
    }
}

#[test]
fn sums_count_since_the_start() {
    let mut charts = charts(3);
    charts.record(LocalTime(START + 240), &vec![NO_DATA; MASTER.series.len()]);
    let mut buffer = Vec::new();
    let totals: Vec<u64> = charts.totals(&mut buffer).iter().collect();
    assert_eq!(totals.len(), 38);
    // A missing sample counts as -1.
    assert_eq!((totals[STATFS], totals[0]), (5, NO_DATA));
}

#[test]
fn a_file_brings_everything_back_but_the_sums() {
    let charts = charts(100);
    let file = charts.to_file();
    assert_eq!(file.len(), 4_984_552);
    let loaded = Charts::load(&MASTER, &file, LocalTime(START)).unwrap();
    for id in (0..380).filter(|id| id % 10 < 4) {
        assert_eq!(data(&loaded, id, None), data(&charts, id, None), "{id}");
    }
    assert_eq!(loaded.to_file(), file);
    assert!(loaded.totals.iter().all(|total| *total == 0));

    let chunkserver = Charts::new(&CHUNKSERVER, LocalTime(START)).to_file();
    assert_eq!(chunkserver.len(), 4_459_864);
}

#[test]
fn the_time_between_two_runs_has_no_data() {
    let file = charts(10).to_file();
    // Two minutes after the last sample was taken. Its slot is three minutes older than the current.
    let now = LocalTime(START + 12 * 60 + 5);
    let mut charts = Charts::load(&MASTER, &file, now).unwrap();
    let expected = vec![NO_DATA, NO_DATA, NO_DATA, 10, 9];
    assert_eq!(statfs(&charts, 0, 5), (START + 720, expected));
    assert_eq!(statfs(&charts, 2, 1), (START, vec![55]));
    charts.record(LocalTime(START + 13 * 60), &samples(1, 1));
    assert_eq!(
        statfs(&charts, 0, 3),
        (START + 720, vec![1, NO_DATA, NO_DATA])
    );
    // A clock that is behind the file changes nothing.
    let charts = Charts::load(&MASTER, &file, LocalTime(START - 500)).unwrap();
    assert_eq!(statfs(&charts, 0, 2), (START + 540, vec![10, 9]));
}

/// The bytes of a file that a 3.0.117 master wrote, from their description: `point`, then for each
/// series its name and four ranges of samples with `-` for no data and `*n` for repetition.
fn described_file(text: &str) -> Vec<u8> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let mut file = Vec::new();
    let mut put = |number: u32| file.extend(number.to_be_bytes());
    put(0x0001_0000);
    put(4096);
    put(38);
    put(lines.next().unwrap().parse().unwrap());
    for line in lines {
        let (name, samples) = line.split_once(' ').unwrap();
        let name_start = file.len();
        file.extend(name.as_bytes());
        file.resize(name_start + 100, 0);
        for run in samples.split(' ') {
            let (sample, count) = run.split_once('*').unwrap_or((run, "1"));
            let sample = match sample {
                "-" => NO_DATA,
                sample => sample.parse().unwrap(),
            };
            for _ in 0..count.parse().unwrap() {
                file.extend(sample.to_be_bytes());
            }
        }
    }
    file
}

#[test]
fn a_file_of_the_original_comes_back_byte_for_byte() {
    let original = described_file(include_str!("testdata/stats-3.0.117.txt"));
    assert_eq!(original.len(), 4_984_552);
    assert_eq!(crc32fast::hash(&original), 0x7a99_e04d);
    // The newest slot of the file is that of 17:00; it was written at 17:01:16.
    let charts = Charts::load(&MASTER, &original, LocalTime(1_795_539_600)).unwrap();
    assert!(charts.to_file() == original);

    // What the same master answered when it had started again with the file, at 17:02:05.
    let charts = Charts::load(&MASTER, &original, LocalTime(1_795_539_725)).unwrap();
    for (id, time, newest) in [
        (0, 1_795_539_720, [NO_DATA, NO_DATA, 763_894, 310_860]),
        (1, 1_795_539_600, [763_894, 2_120_127, 1_234_057, 160_893]),
        (40, 1_795_539_720, [NO_DATA, NO_DATA, 0, 0]),
        (3, 1_795_478_400, [4_278_971, NO_DATA, NO_DATA, NO_DATA]),
    ] {
        assert_eq!(data(&charts, id, Some(4)), Some((time, newest.to_vec())));
    }
}

#[test]
fn series_of_another_daemon_are_found_by_name() {
    let loaded = Charts::load(&CHUNKSERVER, &charts(3).to_file(), LocalTime(START)).unwrap();
    // memoryrss is number 20 there and 29 here; statfs is left out.
    assert_eq!(data(&loaded, 290, Some(3)).unwrap().1, [3, 2, 1]);
    assert_eq!(data(&loaded, 270, Some(1)).unwrap().1, [NO_DATA]);
    assert!(Charts::load(&MASTER, b"MFS stats", LocalTime(START)).is_err());
}

#[test]
fn every_chart_has_a_picture() {
    let charts = charts(300);
    // One series of each unit, and all combined charts.
    let known = [0, 4, 20, 21, 23].into_iter().chain(100..107);
    for id in known.flat_map(|series| (0..4).map(move |range| 10 * series + range)) {
        let image = image(&charts, id, Some((500, 333)));
        assert_eq!(image[..8], *b"\x89PNG\r\n\x1a\n");
        assert_eq!(image[16..24], [0, 0, 1, 0xf4, 0, 0, 1, 0x40], "{id}");
        assert!(image.len() < 20_000, "{id}: {} bytes", image.len());
    }
    for unknown in [4, 380, 1070] {
        assert_eq!(image(&charts, unknown, None).len(), 68, "{unknown}");
    }
}

/// Not a test: writes pictures for the eye to the folder that the environment names.
#[test]
#[ignore = "for the eye"]
fn pictures_to_look_at() {
    let folder = std::env::var("CHART_PICTURES").unwrap();
    let charts = charts(2000);
    for id in [40, 41, 42, 43, 200, 1010] {
        std::fs::write(format!("{folder}/{id}.png"), image(&charts, id, None)).unwrap();
    }
}

fn image(charts: &Charts, id: u32, size: Option<(u16, u16)>) -> Vec<u8> {
    let mut out = Vec::new();
    let id = ChartId(id);
    charts.put_image(GetChartImage { id, size }, &mut out);
    ChartImage::decode(&out[8..]).unwrap().image.0.to_vec()
}
