//! The threads of one disk: system calls on it block here and nowhere else, so a disk that hangs
//! stops only its own work. Threads come with the load and go when idle; the queue is bounded.

use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Most threads of a disk.
const THREADS_MAX: usize = 48;
/// An idle thread that is not among those to be kept ends after this time.
const IDLE: Duration = Duration::from_secs(10);
/// A disk on which nothing was finished for so long, though something runs, counts as hanging.
pub const STALL: Duration = Duration::from_secs(4);

type Job = Box<dyn FnOnce() + Send>;

/// The queue has as many jobs as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many jobs on the disk")]
pub struct Full;

/// Why a job gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// The queue is full.
    #[error(transparent)]
    Full(#[from] Full),
    /// The job did not start in time, and will not.
    #[error("the disk does not get to it")]
    TooLate,
}

/// The threads of one disk.
#[derive(Debug)]
pub struct DiskPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    state: Mutex<State>,
    wake: Condvar,
    jobs_max: AtomicUsize,
    idle_max: AtomicUsize,
}

struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    running: usize,
    /// When the running jobs began, in no order.
    begun: Vec<Instant>,
    /// When a job was finished, or the first one after a rest was begun.
    progress: Instant,
    closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("queued", &self.queue.len())
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}

impl DiskPool {
    /// A pool without threads; `name` shows in the list of threads.
    pub fn new(name: &str, jobs_max: usize, idle_max: usize) -> DiskPool {
        DiskPool {
            shared: Arc::new(Shared {
                name: name.to_owned(),
                state: Mutex::new(State {
                    queue: VecDeque::new(),
                    threads: 0,
                    idle: 0,
                    running: 0,
                    begun: Vec::new(),
                    progress: Instant::now(),
                    closed: false,
                }),
                wake: Condvar::new(),
                jobs_max: AtomicUsize::new(jobs_max),
                idle_max: AtomicUsize::new(idle_max),
            }),
        }
    }

    /// Other limits from now on.
    pub fn set_limits(&self, jobs_max: usize, idle_max: usize) {
        self.shared.jobs_max.store(jobs_max, Ordering::Relaxed);
        self.shared.idle_max.store(idle_max, Ordering::Relaxed);
    }

    /// Jobs running and waiting.
    pub fn load(&self) -> usize {
        let state = self.shared.state.lock();
        state.running + state.queue.len()
    }

    /// Jobs running.
    pub fn running(&self) -> usize {
        self.shared.state.lock().running
    }

    /// Whether new jobs would be refused.
    pub fn is_full(&self) -> bool {
        self.load() >= self.shared.jobs_max.load(Ordering::Relaxed)
    }

    /// Whether something runs and nothing was finished for [`STALL`].
    pub fn is_stalled(&self, now: Instant) -> bool {
        let state = self.shared.state.lock();
        state.running > 0 && now.saturating_duration_since(state.progress) > STALL
    }

    /// Whether a job has been running for longer than [`STALL`]: reason enough to put new chunks
    /// elsewhere, though others may still get through.
    pub fn is_hanging(&self, now: Instant) -> bool {
        let state = self.shared.state.lock();
        let long = |begun: &Instant| now.saturating_duration_since(*begun) > STALL;
        state.begun.iter().any(long)
    }

    /// Runs a job on a thread of the disk.
    pub fn submit(&self, job: impl FnOnce() + Send + 'static) -> Result<(), Full> {
        self.enqueue(Box::new(job), true)
    }

    /// As [`DiskPool::submit`], however long the queue is: the next step of work that was accepted
    /// before.
    pub fn resume(&self, job: impl FnOnce() + Send + 'static) {
        // Only a limit can refuse, and there is none.
        let _ = self.enqueue(Box::new(job), false);
    }

    fn enqueue(&self, job: Job, limited: bool) -> Result<(), Full> {
        let mut state = self.shared.state.lock();
        let load = state.running + state.queue.len();
        if limited && load >= self.shared.jobs_max.load(Ordering::Relaxed) {
            return Err(Full);
        }
        if load == 0 {
            state.progress = Instant::now();
        }
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            drop(state);
            self.shared.wake.notify_one();
            return Ok(());
        }
        if state.threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            let spawned = std::thread::Builder::new()
                .name(self.shared.name.clone())
                .spawn(move || shared.work());
            match spawned {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads > 0 => {
                    tracing::warn!("{}: can't start a thread: {error}", self.shared.name);
                }
                Err(error) => {
                    tracing::error!("{}: can't start a thread: {error}", self.shared.name);
                    state.queue.pop_back();
                    return Err(Full);
                }
            }
        } else {
            self.shared.wake.notify_one();
        }
        Ok(())
    }

    /// Runs a function on a thread of the disk and waits for its result.
    pub async fn run<R: Send + 'static>(
        &self,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, NotRun> {
        let (sender, receiver) = oneshot::channel();
        self.submit(move || {
            // A receiver that is gone has no use for the work.
            if !sender.is_closed() {
                let _ = sender.send(job());
            }
        })?;
        receiver.await.map_err(|_| NotRun::TooLate)
    }

    /// As [`DiskPool::run`]; a job that has not begun within `limit` is given up and will never run.
    /// One that has begun is waited for.
    pub async fn run_within<R: Send + 'static>(
        &self,
        limit: Duration,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, NotRun> {
        const WAITING: u8 = 0;
        const BEGUN: u8 = 1;
        const GIVEN_UP: u8 = 2;
        let fate = Arc::new(AtomicU8::new(WAITING));
        let decided = Arc::clone(&fate);
        let decide = move |fate: &AtomicU8, to| {
            fate.compare_exchange(WAITING, to, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
        };
        let (sender, mut receiver) = oneshot::channel();
        self.submit(move || {
            if decide(&decided, BEGUN) {
                // The waiting side may be gone with its connection.
                let _ = sender.send(job());
            }
        })?;
        if let Ok(result) = tokio::time::timeout(limit, &mut receiver).await {
            return result.map_err(|_| NotRun::TooLate);
        }
        if decide(&fate, GIVEN_UP) {
            return Err(NotRun::TooLate);
        }
        receiver.await.map_err(|_| NotRun::TooLate)
    }
}

impl Drop for DiskPool {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.wake.notify_all();
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                let begun = Instant::now();
                state.running += 1;
                state.begun.push(begun);
                drop(state);
                job();
                state = self.state.lock();
                state.running -= 1;
                if let Some(place) = state.begun.iter().position(|other| *other == begun) {
                    state.begun.swap_remove(place);
                }
                state.progress = Instant::now();
                continue;
            }
            if state.closed || state.idle >= self.idle_max.load(Ordering::Relaxed) {
                break;
            }
            state.idle += 1;
            let rested = self.wake.wait_for(&mut state, IDLE).timed_out();
            state.idle -= 1;
            if rested && state.queue.is_empty() && state.threads > 1 {
                break;
            }
        }
        state.threads -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::{DiskPool, Full, NotRun};
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn a_full_pool_refuses_and_a_late_job_never_runs() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let pool = DiskPool::new("disk", 50, 1);
            let (release, hang) = mpsc::channel::<()>();
            let hang = std::sync::Arc::new(std::sync::Mutex::new(hang));
            for _ in 0..super::THREADS_MAX {
                let hang = std::sync::Arc::clone(&hang);
                pool.submit(move || hang.lock().unwrap().recv().unwrap())
                    .unwrap();
            }
            let (told, ran) = mpsc::channel();
            let late = told.clone();
            let refused = pool
                .run_within(Duration::from_millis(10), move || late.send("late"))
                .await;
            assert_eq!(refused.err(), Some(NotRun::TooLate));
            pool.submit(move || told.send("in time").unwrap()).unwrap();
            assert_eq!(pool.submit(|| ()), Err(Full));
            for _ in 0..super::THREADS_MAX {
                release.send(()).unwrap();
            }
            assert_eq!(ran.recv().unwrap(), "in time");
            assert_eq!(pool.run(|| 7).await, Ok(7));
        });
    }
}
