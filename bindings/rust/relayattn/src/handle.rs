//! Handles of the C API, owned: given up when dropped.

use crate::error::{Result, check};
use relayattn_sys as sys;
use std::fmt;
use std::ptr::null_mut;

/// A type of object, by the struct that its handle seems to point to.
pub(crate) trait Kind {
    /// Gives a handle up.
    fn release(raw: *mut Self);
}

macro_rules! kinds {
    ($($kind:ident => $release:ident),*) => {$(
        impl Kind for sys::$kind {
            fn release(raw: *mut Self) {
                // SAFETY: handles are looked up and never dereferenced; any is safe to release.
                unsafe { sys::$release(raw) }
            }
        }
    )*};
}

kinds! {
    ra_context_s => ra_context_release,
    ra_model_s => ra_model_release,
    ra_cache_s => ra_cache_release,
    ra_prefix_s => ra_prefix_release,
    ra_sequence_s => ra_sequence_release,
    ra_batch_s => ra_batch_release
}

pub(crate) struct Handle<T: Kind>(*mut T);

impl<T: Kind> Handle<T> {
    /// The handle that a create function gives.
    pub(crate) fn create(call: impl FnOnce(*mut *mut T) -> sys::ra_status) -> Result<Self> {
        let mut raw = null_mut();
        check(call(&mut raw))?;
        Ok(Self(raw))
    }

    #[inline]
    pub(crate) fn raw(&self) -> *mut T {
        self.0
    }
}

impl<T: Kind> Drop for Handle<T> {
    fn drop(&mut self) {
        T::release(self.0);
    }
}

impl<T: Kind> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}", self.0)
    }
}

// SAFETY: a handle is a number; every function of the C API may be called from any thread with it.
unsafe impl<T: Kind> Send for Handle<T> {}
// SAFETY: as above; calls that may not meet are answered with RA_ERROR_BUSY by the library.
unsafe impl<T: Kind> Sync for Handle<T> {}

/// A count for the C API, which has i64. What does not fit is out of every bound anyway.
#[inline]
pub(crate) fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// An int64_t out of the C API that is a count.
#[inline]
pub(crate) fn size(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

/// The same numbers as int64_t, in place: one above i64::MAX becomes negative, which is out of bounds.
#[inline]
pub(crate) fn counts(numbers: &[usize]) -> *const i64 {
    const { assert!(size_of::<usize>() == size_of::<i64>()) }
    numbers.as_ptr().cast()
}
