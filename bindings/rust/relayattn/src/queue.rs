//! Where a GPU's work is ordered.

use std::ffi::c_void;
use std::ptr::null_mut;

/// A device's queue: a `cudaStream_t` for a GPU context. The default is null, which is the GPU's
/// default stream, and the only queue of a CPU context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue(*mut c_void);

impl Queue {
    /// The queue with this address.
    ///
    /// # Safety
    ///
    /// `queue` is null, or a stream of the device that it is used with, and stays one until the last
    /// call that gets it has returned and the work that is ordered on it is done; the end of a step
    /// that was begun on it is such a call.
    pub unsafe fn from_raw(queue: *mut c_void) -> Self {
        Self(queue)
    }

    #[inline]
    pub(crate) fn raw(self) -> *mut c_void {
        self.0
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self(null_mut())
    }
}

// SAFETY: it is an address that is passed on; streams may be used from any thread.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}
