//! Failed calls: what kind of failure, and a sentence for people.

use relayattn_sys as sys;
use std::ffi::{CStr, c_char};
use std::fmt;

/// What a call came to, if anything failed.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failure, and what to do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// A value out of its bounds: a mistake in the calling program.
    Argument,
    /// An object of the C API that was released or never given out. The types of this crate rule it
    /// out.
    Handle,
    /// A call out of order, as far as types do not rule it out.
    State,
    /// The sequence is in an open step, or another thread uses the batch: try again when that is
    /// over.
    Busy,
    /// Legal, but not in this version or on this device: do without.
    Unsupported,
    /// Host or device memory ran out: release something, or ask for less.
    Memory,
    /// The cache has too few free pages: drop sequences or prefixes, or let requests wait.
    /// Ordinary under load.
    Pages,
    /// A window layer has given back tokens that this would need: retain more, or compute them
    /// again.
    NotRetained,
    /// The device, its driver, the plugin or the library itself is missing or failed.
    Device,
    /// A defect of the library: please report it with the error's text.
    Internal,
}

impl ErrorCode {
    fn from_status(status: sys::ra_status) -> Self {
        match status {
            sys::RA_ERROR_ARGUMENT => Self::Argument,
            sys::RA_ERROR_HANDLE => Self::Handle,
            sys::RA_ERROR_STATE => Self::State,
            sys::RA_ERROR_BUSY => Self::Busy,
            sys::RA_ERROR_UNSUPPORTED => Self::Unsupported,
            sys::RA_ERROR_MEMORY => Self::Memory,
            sys::RA_ERROR_PAGES => Self::Pages,
            sys::RA_ERROR_NOT_RETAINED => Self::NotRetained,
            sys::RA_ERROR_DEVICE => Self::Device,
            _ => Self::Internal,
        }
    }

    /// The number that the C API has for it, a `RA_ERROR_*`.
    pub fn status(self) -> i32 {
        match self {
            Self::Argument => sys::RA_ERROR_ARGUMENT,
            Self::Handle => sys::RA_ERROR_HANDLE,
            Self::State => sys::RA_ERROR_STATE,
            Self::Busy => sys::RA_ERROR_BUSY,
            Self::Unsupported => sys::RA_ERROR_UNSUPPORTED,
            Self::Memory => sys::RA_ERROR_MEMORY,
            Self::Pages => sys::RA_ERROR_PAGES,
            Self::NotRetained => sys::RA_ERROR_NOT_RETAINED,
            Self::Device => sys::RA_ERROR_DEVICE,
            Self::Internal => sys::RA_ERROR_INTERNAL,
        }
    }
}

/// A failed call. It left every object as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: ErrorCode,
    message: String,
}

impl Error {
    /// The kind of failure: what a program decides by.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The function, the argument, its value and its bound, for people. May change between versions.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A failure that is found here, before the library is asked.
    #[cold]
    pub(crate) fn new(code: ErrorCode, message: String) -> Self {
        Self { code, message }
    }

    #[cold]
    pub(crate) fn argument(message: String) -> Self {
        Self::new(ErrorCode::Argument, message)
    }

    /// The error of the call that just failed on this thread.
    #[cold]
    fn last(status: sys::ra_status) -> Self {
        let mut text = [0 as c_char; 1024]; // the C API promises that this is enough
        // SAFETY: the buffer is as long as is said, and ends with a 0 afterwards.
        let message = unsafe {
            sys::ra_last_error(text.as_mut_ptr(), text.len() as i64);
            CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned()
        };
        Self { code: ErrorCode::from_status(status), message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The one way from a status of the C API to a `Result`; to be called right after the failure.
#[inline]
pub(crate) fn check(status: sys::ra_status) -> Result<()> {
    if status == sys::RA_OK { Ok(()) } else { Err(Error::last(status)) }
}
