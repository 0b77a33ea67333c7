// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::*;

/// \[H\] Makes a sequence that begins with all tokens of p, or empty if p is null. Takes no page
/// before it gets tokens of its own. Keeps the prefix and the cache alive.
///
/// Errors: RA_ERROR_STATE: p is not sealed. RA_ERROR_ARGUMENT: p belongs to another cache.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_attach(k: ra_cache, p: ra_prefix, out: *mut ra_sequence) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_attach)(k, p, out) }
}
/// \[H\] Makes a second sequence with the same tokens, for parallel sampling or beams. Nothing is
/// copied: full pages are shared for good, as if they had been frozen, and a partial last page until
/// one of the two gets a new token, when the begin of that step copies it (one page more in each
/// group, which ra_batch_pages_needed counts).
///
/// Errors: RA_ERROR_BUSY: s is in an open step.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_fork(s: ra_sequence, out: *mut ra_sequence) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_fork)(s, out) }
}
/// \[H\] Forgets all tokens of s from \`length\` on, and gives back the pages that nothing else uses.
/// May cut into the prefix: s then hangs under the tokens before the cut, and others who share them
/// notice nothing. The length that s has changes nothing.
///
/// Errors: RA_ERROR_BUSY: s is in an open step. RA_ERROR_ARGUMENT: length is not from 0 to s's
/// length. RA_ERROR_NOT_RETAINED: a window layer no longer has what the next token would see; every
/// length from min_out of ra_sequence_length on can be had, and retain widens that.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_truncate(s: ra_sequence, length: i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_truncate)(s, length) }
}
/// \[H\] The number of tokens of s, prefix included, and the length from which on
/// ra_sequence_truncate reaches every one: 0 unless a window layer has given pages back.
///
/// Errors: the general ones only.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_length(
    s: ra_sequence,
    length_out: *mut i64,
    min_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_length)(s, length_out, min_out) }
}
/// \[R\] Will take n tokens from pos on out of a sequence and leave a gap in its positions. This
/// version answers RA_ERROR_UNSUPPORTED, or RA_ERROR_HANDLE: truncate it and compute the rest again.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_erase(s: ra_sequence, pos: i64, n: i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_erase)(s, pos, n) }
}
/// \[H\] The pages of a layer group that hold tokens of s, in order of position, prefixes included:
/// writes the first max_pages of their indexes to \`pages\` and their full number to \*num_out; ask
/// with max_pages 0 and pages null first. For transfer and accounting. Pages are not always full,
/// since every prefix and tail begins a page; which slots hold which tokens is not told. A window
/// group lists what it still has. New pages of an open step are not listed.
///
/// Errors: RA_ERROR_ARGUMENT: no such group; max_pages is negative, or pages null and it is not 0.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_pages(
    s: ra_sequence,
    group: i64,
    pages: *mut i32,
    max_pages: i64,
    num_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_pages)(s, group, pages, max_pages, num_out) }
}
/// \[H\] Gives the handle up; if s is in an open step it goes when that is committed or aborted.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_sequence_release(s: ra_sequence) {
    let Some(table) = table() else { return };
    // SAFETY: as the caller promises.
    unsafe { (table.sequence_release)(s) }
}
