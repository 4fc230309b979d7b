//! Room for a recursive parser of the operator's text: a thread of its own, waited for. For what is read with the
//! configuration; nothing that a request runs through may come here.

use std::thread;

/// Runs `work` on a stack of that many bytes. `None` when there is no thread to be had, or `work` panicked.
pub fn with_stack<T: Send>(bytes: usize, work: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new().stack_size(bytes).spawn_scoped(scope, work);
        worker.ok()?.join().ok()
    })
}
