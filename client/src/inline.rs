//! Work that is woken on a thread which goes on with it itself.
//!
//! The thread that reads the master's answers wakes what waits for them. Going on there spares each
//! request a wake-up of another thread, which on a busy machine takes longer than the work.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

/// Work that can go on.
pub(crate) trait Resume: Send + Sync {
    /// Goes on until it waits again or ends. Must not block.
    fn resume(self: Arc<Self>);
}

thread_local! {
    static QUEUE: RefCell<Option<VecDeque<Arc<dyn Resume>>>> = const { RefCell::new(None) };
}

/// From now on this thread goes on with what it wakes, whenever it calls [`drain`].
pub(crate) fn adopt() {
    QUEUE.with_borrow_mut(|queue| {
        queue.get_or_insert_default();
    });
}

/// Leaves work to this thread; `Err`: it does not take any.
pub(crate) fn push(work: Arc<dyn Resume>) -> Result<(), Arc<dyn Resume>> {
    QUEUE.with_borrow_mut(|queue| match queue {
        Some(queue) => {
            queue.push_back(work);
            Ok(())
        }
        None => Err(work),
    })
}

/// Goes on with everything that was left to this thread.
pub(crate) fn drain() {
    while let Some(work) =
        QUEUE.with_borrow_mut(|queue| queue.as_mut().and_then(VecDeque::pop_front))
    {
        work.resume();
    }
}
