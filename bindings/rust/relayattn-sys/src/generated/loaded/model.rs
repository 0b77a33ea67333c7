// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::*;

/// \[H\] Fills \*o with the defaults above; sizes are 0 and must be set by the caller.
///
/// Errors: as ra_context_options_init.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_layer_options_init(o: *mut ra_layer_options, struct_size: i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.layer_options_init)(o, struct_size) }
}
/// \[H\] Makes a model of num_layers layers, 1 .. 65536, none of them set.
///
/// Errors: RA_ERROR_ARGUMENT: num_layers is out of bounds.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_model_create(num_layers: i64, out: *mut ra_model) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.model_create)(num_layers, out) }
}
/// \[H\] Gives layers first .. first + count - 1 the same options. May be called for different layers,
/// and again for the same ones; group numbers may then change. Caches copy the model when they are
/// made and do not see later changes. A count of 0 checks \*o and changes nothing.
///
/// Errors: RA_ERROR_ARGUMENT: the range is not within the model; a field is out of its bounds;
/// kv_layer names a layer that cannot be borrowed from; or a layer that was set before borrows K and
/// V from one of these and would no longer fit. RA_ERROR_UNSUPPORTED: a reserved dtype, form or
/// scale, or k_dtype is not v_dtype.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_model_set_layers(
    m: ra_model,
    first: i64,
    count: i64,
    o: *const ra_layer_options,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.model_set_layers)(m, first, count, o) }
}
/// \[H\] The number of the layer group that a layer is in, for calls that take a group. A layer with a
/// kv_layer is in a group that shares the pages of its source's group.
///
/// Errors: RA_ERROR_ARGUMENT: no such layer, or it was never set.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_model_layer_group(m: ra_model, layer: i64, group_out: *mut i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.model_layer_group)(m, layer, group_out) }
}
/// \[H\] Gives the handle up. Caches have copies and do not mind.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_model_release(m: ra_model) {
    let Some(table) = table() else { return };
    // SAFETY: as the caller promises.
    unsafe { (table.model_release)(m) }
}
