// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::*;

/// \[H\] Fills \*o with the defaults; capacity_tokens is 0 and must be set.
///
/// Errors: as ra_context_options_init.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_cache_options_init(o: *mut ra_cache_options, struct_size: i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.cache_options_init)(o, struct_size) }
}
/// \[H\] How many bytes of device memory a cache with these options takes for its pages. Allocates
/// none; o-\>memory is not looked at, so the answer can be put there for ra_cache_create.
///
/// Errors: as ra_cache_create, without those about memory.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_cache_memory(
    c: ra_context,
    m: ra_model,
    o: *const ra_cache_options,
    bytes_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.cache_memory)(c, m, o, bytes_out) }
}
/// \[C\] Makes a cache for a copy of the model as it is now, and allocates its pages unless the caller
/// gave memory. What pages hold at first is unspecified. Keeps the context alive.
///
/// Errors: RA_ERROR_ARGUMENT: a field of \*o is out of bounds, or memory_size is too small.
/// RA_ERROR_STATE: no layer of the model is set. RA_ERROR_UNSUPPORTED: the device cannot serve a
/// layer, see ra_context_supports. RA_ERROR_MEMORY: the pages cannot be allocated.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_cache_create(
    c: ra_context,
    m: ra_model,
    o: *const ra_cache_options,
    out: *mut ra_cache,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.cache_create)(c, m, o, out) }
}
/// \[H\] How many pages a layer group has, and how many of them are free now. Pages of an open step
/// count as taken. Groups that share pages (kv_layer) give the same answer. With
/// ra_batch_pages_needed this decides whether a request can be admitted.
///
/// Errors: RA_ERROR_ARGUMENT: no such group.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_cache_pages(
    k: ra_cache,
    group: i64,
    total_out: *mut i64,
    free_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.cache_pages)(k, group, total_out, free_out) }
}
/// \[H\] Where and how the pages of a layer lie, for registering them with a transfer engine or for
/// moving whole pages; a layer with a kv_layer answers with its source's. Set both structs'
/// struct_size first. The memory is the cache's and stays at its place while the cache or anything
/// in it lives. The library cannot order the caller's own reads and writes: synchronise the queues
/// that used these pages, and leave alone pages that no prefix or sequence of yours holds.
///
/// Errors: RA_ERROR_ARGUMENT: no such layer, it was never set, or a struct_size is wrong; then
/// neither struct is written.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_cache_layer(
    k: ra_cache,
    layer: i64,
    layout_out: *mut ra_page_layout,
    memory_out: *mut ra_layer_memory,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.cache_layer)(k, layer, layout_out, memory_out) }
}
/// \[C\] Gives the handle up. The pages' memory goes when the last prefix, sequence and batch has.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_cache_release(k: ra_cache) {
    let Some(table) = table() else { return };
    // SAFETY: as the caller promises.
    unsafe { (table.cache_release)(k) }
}
