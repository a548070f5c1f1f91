//! How far a long work is, on a terminal only.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// A work shorter than this shows nothing.
const PATIENCE: Duration = Duration::from_secs(2);
/// Steps between two looks at the clock.
const STEPS: u32 = 4096;
const REDRAW: Duration = Duration::from_millis(100);

/// A bar that appears when the work takes long.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    began: Instant,
    is_shown: bool,
    steps: u32,
}

impl Bar {
    /// A work of `total` bytes.
    pub fn new(label: &'static str, total: u64) -> Bar {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        let style = ProgressStyle::with_template(
            "{prefix} [{bar:40}] {percent:>3}% {bytes}/{total_bytes} {wide_msg} ETA:{eta}",
        );
        // The template is a constant; without a style the bar is plain.
        if let Ok(style) = style {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(label);
        Bar {
            bar,
            began: Instant::now(),
            is_shown: false,
            steps: 0,
        }
    }

    /// One step was done; `state` gives the bytes behind and a word about it, if it is shown.
    pub fn step(&mut self, state: impl FnOnce() -> (u64, String)) {
        self.steps += 1;
        if !self.steps.is_multiple_of(STEPS) || self.began.elapsed() < PATIENCE {
            return;
        }
        if !self.is_shown {
            self.is_shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        let (done, word) = state();
        self.bar.set_position(done);
        self.bar.set_message(word);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Does a work that cannot tell how far it is; when it takes long, something turns meanwhile.
pub fn turning<T>(label: &'static str, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (done, is_done) = channel::<()>();
        scope.spawn(move || {
            if is_done.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = ProgressBar::new_spinner().with_message(label);
            bar.enable_steady_tick(REDRAW);
            // Ends when the sender is dropped.
            let _ = is_done.recv();
            bar.finish_and_clear();
        });
        let result = work();
        drop(done);
        result
    })
}
