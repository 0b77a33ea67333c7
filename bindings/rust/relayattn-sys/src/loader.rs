//! Feature `dlopen`: the functions of the C API, out of the table of a library loaded at run time.

#[path = "generated/loaded/batch.rs"]
mod batch;
#[path = "generated/loaded/cache.rs"]
mod cache;
#[path = "generated/loaded/context.rs"]
mod context;
#[path = "generated/loaded/model.rs"]
mod model;
#[path = "generated/loaded/prefix.rs"]
mod prefix;
#[path = "generated/loaded/sequence.rs"]
mod sequence;
pub use batch::*;
pub use cache::*;
pub use context::*;
pub use model::*;
pub use prefix::*;
pub use sequence::*;

use crate::api::*;
use crate::constants::*;
use crate::types::*;
use core::ffi::{CStr, c_char, c_void};
use core::ptr::null;
use std::ffi::{OsStr, OsString};
use std::sync::OnceLock;

const SYSTEM_NAME: &str = "librelayattn.so.0";

struct Loaded(&'static ra_api);

// SAFETY: the table is constant, and each function in it may be called from any thread.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

static LOADED: OnceLock<Result<Loaded, String>> = OnceLock::new();

/// Loads the library from a file, with no other place tried; to be called before anything else, as
/// the first outcome is final. Without this call the file that the environment variable
/// `RELAYATTN_LIBRARY` names is loaded, or else `librelayattn.so.0` where the system looks.
///
/// # Errors
///
/// The reason why the library could not be loaded, or that another one was before.
///
/// # Safety
///
/// The file's initialisers run, and its functions are believed to be relayattn's.
pub unsafe fn load(file: impl AsRef<OsStr>) -> Result<(), String> {
    let mut is_first = false;
    let loaded = LOADED.get_or_init(|| {
        is_first = true;
        // SAFETY: as the caller promises.
        unsafe { open(file.as_ref()) }
    });
    match loaded {
        Err(reason) => Err(reason.clone()),
        Ok(_) if !is_first => Err("relayattn is loaded already".to_string()),
        Ok(_) => Ok(()),
    }
}

unsafe fn open(file: &OsStr) -> Result<Loaded, String> {
    let said = |error| format!("relayattn could not be loaded: {error}");
    // SAFETY: the caller's; ra_get_api has the type that the header gives it.
    unsafe {
        let library = libloading::Library::new(file).map_err(said)?;
        let get: libloading::Symbol<unsafe extern "C" fn(i64) -> *const ra_api> =
            library.get(b"ra_get_api\0").map_err(said)?;
        let api = get(RA_VERSION);
        if api.is_null() {
            return Err(format!(
                "the relayattn in {} does not serve version {}.{}.{}",
                file.to_string_lossy(),
                RA_VERSION_MAJOR,
                RA_VERSION_MINOR,
                RA_VERSION_PATCH
            ));
        }
        core::mem::forget(library); // never unloaded: objects of it may live to the end
        Ok(Loaded(&*api))
    }
}

fn loaded() -> &'static Result<Loaded, String> {
    LOADED.get_or_init(|| {
        let named = std::env::var_os("RELAYATTN_LIBRARY").filter(|name| !name.is_empty());
        // SAFETY: it is the library that the user, or the system, calls relayattn's.
        unsafe { open(&named.unwrap_or_else(|| OsString::from(SYSTEM_NAME))) }
    })
}

#[inline]
fn table() -> Option<&'static ra_api> {
    Some(loaded().as_ref().ok()?.0)
}

/// `ra_version` of the library; 0 if none could be loaded.
///
/// # Safety
///
/// None is needed.
pub unsafe fn ra_version() -> i64 {
    // SAFETY: it has no arguments.
    table().map_or(0, |table| unsafe { (table.version)() })
}

/// `ra_last_error` of the library; if none could be loaded, the reason why.
///
/// # Safety
///
/// `text` is null or has room for `size` bytes.
pub unsafe fn ra_last_error(text: *mut c_char, size: i64) -> i64 {
    match loaded() {
        // SAFETY: as the caller promises.
        Ok(library) => unsafe { (library.0.last_error)(text, size) },
        Err(reason) => {
            let room = usize::try_from(size - 1).unwrap_or(0);
            if !text.is_null() && size > 0 {
                let copied = reason.len().min(room);
                // SAFETY: copied + 1 <= size, which is the room at `text`.
                unsafe {
                    reason.as_ptr().copy_to_nonoverlapping(text.cast(), copied);
                    *text.add(copied) = 0;
                }
            }
            reason.len() as i64
        }
    }
}

/// `ra_status_name` of the library; if none could be loaded, the name of what calls then answer.
///
/// # Safety
///
/// None is needed.
pub unsafe fn ra_status_name(status: ra_status) -> *const c_char {
    let unknown: &CStr = match status {
        RA_ERROR_DEVICE => c"RA_ERROR_DEVICE",
        _ => c"unknown ra_status",
    };
    // SAFETY: any number may be asked for.
    table().map_or(unknown.as_ptr(), |table| unsafe { (table.status_name)(status) })
}

/// The table of the library that is loaded, if it serves that version; else null.
///
/// # Safety
///
/// None is needed.
pub unsafe fn ra_get_api(version: i64) -> *const ra_api {
    match table() {
        Some(table) if (100..=RA_VERSION).contains(&version) => table,
        _ => null(),
    }
}
