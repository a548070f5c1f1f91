//! Running a request: at once on the thread that read it, later wherever it is woken.
//!
//! Most requests are answered from memory or after one answer of the master. Polling them first on
//! the thread that read them saves them a journey through a scheduler; a request that waits
//! occupies no thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::runtime::Handle;

use crate::inline::{self, Resume};

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Nobody polls it, nobody has woken it.
const IDLE: u8 = 0;
/// Somebody polls it.
const POLLING: u8 = 1;
/// Woken while it is polled: to be polled once more.
const AGAIN: u8 = 2;
/// On its way to a thread that polls it.
const SCHEDULED: u8 = 3;
/// Finished.
const DONE: u8 = 4;

struct Task {
    state: AtomicU8,
    work: Mutex<Option<Work>>,
    runtime: Handle,
}

/// Polls `work` here and now; if it has to wait, the runtime goes on with it.
pub(super) fn run(runtime: &Handle, work: impl Future<Output = ()> + Send + 'static) {
    let task = Arc::new(Task {
        state: AtomicU8::new(POLLING),
        work: Mutex::new(Some(Box::pin(work))),
        runtime: runtime.clone(),
    });
    task.poll();
}

impl Task {
    /// Polls until the work waits or is done. The state is POLLING.
    fn poll(self: &Arc<Self>) {
        let waker = Waker::from(Arc::clone(self));
        let mut context = Context::from_waker(&waker);
        loop {
            let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(future) = work.as_mut() else { return };
            if let Poll::Ready(()) = future.as_mut().poll(&mut context) {
                *work = None;
                drop(work);
                self.state.store(DONE, Ordering::Release);
                return;
            }
            drop(work);
            let waits =
                self.state
                    .compare_exchange(POLLING, IDLE, Ordering::AcqRel, Ordering::Acquire);
            if waits.is_ok() {
                return;
            }
            self.state.store(POLLING, Ordering::Release);
        }
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        let next =
            self.state
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| match state {
                    IDLE => Some(SCHEDULED),
                    POLLING => Some(AGAIN),
                    _ => None,
                });
        if next == Ok(IDLE)
            && let Err(task) = inline::push(self.clone())
        {
            self.runtime.spawn(async move { task.resume() });
        }
    }
}

impl Resume for Task {
    fn resume(self: Arc<Self>) {
        self.state.store(POLLING, Ordering::Release);
        self.poll();
    }
}

#[cfg(test)]
mod tests {
    use super::run;
    use std::sync::mpsc;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_goes_on_when_it_is_woken() {
        let (done, finished) = mpsc::channel();
        let runtime = tokio::runtime::Handle::current();
        let sender = done.clone();
        run(&runtime, async move { sender.send(0).unwrap() });
        assert_eq!(finished.try_recv(), Ok(0), "ready work is done at once");
        let mut wakers = Vec::new();
        for number in 1..=500 {
            let (wake, woken) = tokio::sync::oneshot::channel();
            let sender = done.clone();
            run(&runtime, async move {
                woken.await.unwrap();
                tokio::task::yield_now().await;
                sender.send(number).unwrap();
            });
            wakers.push(wake);
        }
        assert!(finished.try_recv().is_err());
        for wake in wakers {
            wake.send(()).unwrap();
        }
        tokio::task::spawn_blocking(move || {
            let sum: i32 = (0..500).map(|_| finished.recv().unwrap()).sum();
            assert_eq!(sum, 500 * 501 / 2);
        })
        .await
        .unwrap();
    }
}
