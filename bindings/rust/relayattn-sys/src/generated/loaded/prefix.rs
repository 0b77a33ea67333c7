// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::*;

/// \[H\] Makes an open prefix of num_tokens tokens, at least 1, under \`parent\` (sealed, of the same
/// cache) or under none if that is null, and takes its pages: at least ceil(num_tokens / page_size)
/// in each group without a window. Keeps the parent and the cache alive.
///
/// Errors: RA_ERROR_ARGUMENT: num_tokens is below 1 or the chain would pass 2^31 - 1 tokens; or
/// parent belongs to another cache. RA_ERROR_STATE: parent is not sealed. RA_ERROR_PAGES: too few
/// free pages; none is taken.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_create(
    k: ra_cache,
    parent: ra_prefix,
    num_tokens: i64,
    out: *mut ra_prefix,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_create)(k, parent, num_tokens, out) }
}
/// \[E\] Copies K and V of kv-\>num_tokens tokens into an open prefix, for one layer, at its own tokens
/// pos, pos + 1, .. (0 is the first token of this prefix, not of its chain). Any order and any cut
/// into calls will do, and a token may be written again while the prefix is open. Tokens that a
/// window layer would not keep are skipped. Every layer with K and V of its own must be written by
/// the caller; nothing checks that.
///
/// Errors: RA_ERROR_STATE: p is sealed. RA_ERROR_ARGUMENT: no such layer, or it has a kv_layer; the
/// tokens are not all within the prefix; k.data or v.data is null though num_tokens is not 0; slots
/// is not null; a stride or alignment; a queue on the CPU.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_write(
    p: ra_prefix,
    layer: i64,
    pos: i64,
    kv: *const ra_kv,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_write)(p, layer, pos, kv, queue) }
}
/// \[E\] The reverse of ra_prefix_write: copies K and V of the prefix's own tokens pos .. out to the
/// caller's buffers, bit for bit, for saving or moving them; kv-\>k.data and kv-\>v.data are written.
/// Open or sealed. The parent's tokens are read through the parent.
///
/// Errors: RA_ERROR_NOT_RETAINED: a window layer has not kept one of these tokens; nothing is
/// written. RA_ERROR_ARGUMENT: as ra_prefix_write.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_read(
    p: ra_prefix,
    layer: i64,
    pos: i64,
    kv: *const ra_kv,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_read)(p, layer, pos, kv, queue) }
}
/// \[E\] Ends the writing of a prefix: from now on it can be attached to, be a parent and be split,
/// and it never changes again. Later work of the library on any queue is ordered after the writes.
///
/// Errors: RA_ERROR_STATE: p is sealed already. RA_ERROR_ARGUMENT: a queue on the CPU.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_seal(p: ra_prefix, queue: *mut c_void) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_seal)(p, queue) }
}
/// \[H\] Freezes the first num_tokens tokens of a sequence (1 .. its length, or -1 for all) as a
/// sealed prefix, without copying. The sequence keeps its tokens and its handle, and goes on as a
/// child of the new prefix. This is how a prompt that was computed in steps, or the common part of a
/// conversation, becomes shared.
///
/// The prefix's own tokens, for read and split, begin where the prefix ends that s was last attached
/// to or frozen at; if num_tokens does not reach beyond that, they are the whole chain.
///
/// Errors: RA_ERROR_BUSY: s is in an open step. RA_ERROR_ARGUMENT: num_tokens is out of bounds; an
/// empty sequence has nothing to freeze. RA_ERROR_NOT_RETAINED: a window layer no longer has what a
/// token after num_tokens would see.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_from_sequence(
    s: ra_sequence,
    num_tokens: i64,
    out: *mut ra_prefix,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_from_sequence)(s, num_tokens, out) }
}
/// \[H\] Cuts a sealed prefix after num_tokens of its own tokens, without copying: \*head_out gets the
/// first part as a prefix in its own right, and p becomes its child with the rest. Every handle
/// stays valid: children and sequences of p see the same tokens as before. So a request that shares
/// only the beginning of p can attach to the head.
///
/// Errors: RA_ERROR_STATE: p is open. RA_ERROR_ARGUMENT: num_tokens is not from 1 to p's own length
/// less 1. RA_ERROR_NOT_RETAINED: a window layer no longer has what a token at the cut would see.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_split(
    p: ra_prefix,
    num_tokens: i64,
    head_out: *mut ra_prefix,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_split)(p, num_tokens, head_out) }
}
/// \[H\] How many tokens a prefix has of its own, and how many its whole chain has, parents included:
/// the position after its last. Open or sealed.
///
/// Errors: the general ones only.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_length(p: ra_prefix, own_out: *mut i64, total_out: *mut i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_length)(p, own_out, total_out) }
}
/// \[R\] Will write a prefix to bytes. This version answers RA_ERROR_UNSUPPORTED, or RA_ERROR_HANDLE;
/// read every layer with ra_prefix_read instead. No other argument is looked at.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_save(
    p: ra_prefix,
    bytes: *mut c_void,
    size: i64,
    size_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_save)(p, bytes, size, size_out) }
}
/// \[R\] Will make a prefix from saved bytes. This version answers RA_ERROR_UNSUPPORTED, or
/// RA_ERROR_HANDLE for k; write every layer with ra_prefix_write instead.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_load(
    k: ra_cache,
    parent: ra_prefix,
    bytes: *const c_void,
    size: i64,
    out: *mut ra_prefix,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_load)(k, parent, bytes, size, out) }
}
/// \[H\] Gives the handle up. The pages return once no child, sequence or open step needs them.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_prefix_release(p: ra_prefix) {
    let Some(table) = table() else { return };
    // SAFETY: as the caller promises.
    unsafe { (table.prefix_release)(p) }
}
