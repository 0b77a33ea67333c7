// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::*;

/// \[H\] Fills \*o with the defaults above: struct_size bytes, which must be sizeof \*o of the caller's
/// header. Writes nothing on failure.
///
/// Errors: RA_ERROR_ARGUMENT: o is null, or struct_size is smaller than the struct's first version
/// or larger than 4096.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_context_options_init(o: *mut ra_context_options, struct_size: i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.context_options_init)(o, struct_size) }
}
/// \[C\] Makes a context: for the CPU it chooses the instruction set and starts num_threads - 1
/// threads; for CUDA it loads the plugin, opens the GPU's primary context and prepares its kernels,
/// and leaves the thread's current device as it was. Several contexts of one device may exist.
///
/// Errors: RA_ERROR_ARGUMENT: a field of \*o is out of bounds, RELAYATTN_ISA is an unknown name,
/// or the file of RELAYATTN_FIGURES is missing or malformed.
/// RA_ERROR_UNSUPPORTED: numa_node is not -1, or the machine lacks what RELAYATTN_ISA names.
/// RA_ERROR_DEVICE: ordinal is not 0 for the CPU; the threads could not be started; or, for CUDA, no
/// plugin, driver or such GPU, the plugin is of another build, or the GPU is too old: the text has
/// every place tried and its reason. RA_BACKEND_AUTO takes the CPU instead of that error.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_context_create(o: *const ra_context_options, out: *mut ra_context) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.context_create)(o, out) }
}
/// \[H\] Sends the context's log lines to \`log\`, with \`user\` passed through; null turns them off,
/// which is the default. One line that describes the device comes at once. When the call returns,
/// the former receiver is not running and will not be called again. Nothing is logged per step.
///
/// Errors: the general ones only.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_context_set_log(c: ra_context, log: ra_log_fn, user: *mut c_void) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.context_set_log)(c, log, user) }
}
/// \[H\] One of the context's properties, an RA_CONTEXT_INFO_\*, which all are fixed at creation.
///
/// Errors: RA_ERROR_ARGUMENT: property is not one of them.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_context_query(c: ra_context, property: i32, value_out: *mut i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.context_query)(c, property, value_out) }
}
/// \[C\] Gives the handle up. Threads and device state end with the last object that needs them.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_context_release(c: ra_context) {
    let Some(table) = table() else { return };
    // SAFETY: as the caller promises.
    unsafe { (table.context_release)(c) }
}
/// \[H\] Whether the context's device can serve every layer of the model, in pages of page_size tokens
/// (0 = the device's best, else 1 .. 65536), in batches with plan_flags (RA_PLAN_\* bits). RA_OK, or
/// the reason why not. Builds nothing.
///
/// Errors: RA_ERROR_UNSUPPORTED: the device cannot; the text names the layer and the reason.
/// RA_ERROR_STATE: no layer of the model is set. RA_ERROR_ARGUMENT: page_size or plan_flags is out
/// of bounds.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_context_supports(
    c: ra_context,
    m: ra_model,
    page_size: i64,
    plan_flags: i32,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.context_supports)(c, m, page_size, plan_flags) }
}
