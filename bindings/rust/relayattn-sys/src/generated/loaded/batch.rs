// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::*;

/// \[H\] Fills \*o with zeros, which are the defaults.
///
/// Errors: as ra_context_options_init.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_plan_options_init(o: *mut ra_plan_options, struct_size: i64) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.plan_options_init)(o, struct_size) }
}
/// \[E\] Joins two parts of one attention, over keys that do not overlap:
///
/// ```text
/// out = (e^a_lse * a + e^b_lse * b) / (e^a_lse + e^b_lse),   out_lse = log(e^a_lse + e^b_lse)
/// ```
///
/// in float32. A part whose LSE is -inf or +inf is empty: its values are not read and may be NaN.
/// If both are, out is 0 and out_lse -inf. Merge more parts one after the other. \`queue\` as in
/// section 2. All buffers are device memory of the context.
///
/// Errors: RA_ERROR_ARGUMENT: a size, flag, stride or alignment is out of bounds, a pointer other
/// than out_lse is null though num_tokens is not 0, an unknown dtype, or a queue on the CPU.
/// RA_ERROR_UNSUPPORTED: a reserved dtype.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_merge_state(
    c: ra_context,
    a: *const ra_merge_args,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.merge_state)(c, a, queue) }
}
/// \[H\] How many bytes of scratch and of metadata a batch with these options needs, for callers who
/// give that memory themselves. o's own pointers are not looked at. Set the four bounds first: what
/// they leave open is guessed.
///
/// Errors: as ra_batch_create, without those about memory.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_memory(
    k: ra_cache,
    o: *const ra_plan_options,
    scratch_out: *mut i64,
    metadata_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_memory)(k, o, scratch_out, metadata_out) }
}
/// \[C\] Makes a batch for steps over sequences of one cache, and allocates its memory for the bounds
/// of \*o. Keeps the cache alive. Bindings and engines make one for each kind of step: one for
/// decoding with RA_PLAN_GRAPH, say, and one for prefill without.
///
/// Errors: RA_ERROR_ARGUMENT: a bound is not from 0 to 2^31 - 1; an unknown mode or flag; memory is
/// given and too small; RA_PLAN_GRAPH without max_rows and max_tokens. RA_ERROR_UNSUPPORTED:
/// RA_PLAN_GRAPH on a CPU context, or a reserved flag. RA_ERROR_MEMORY: no room.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_create(
    k: ra_cache,
    o: *const ra_plan_options,
    out: *mut ra_batch,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_create)(k, o, out) }
}
/// \[H\] How many free pages of a layer group a begin with this input would take: for its new tokens,
/// and for partial pages shared by forks. It is what ra_batch_begin compares with the free pages, as
/// of now. The batch may have an open step, but no sequence of the input may be in one.
///
/// Errors: RA_ERROR_ARGUMENT, RA_ERROR_HANDLE, RA_ERROR_BUSY: as ra_batch_begin; or no such group.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_pages_needed(
    b: ra_batch,
    input: *const ra_batch_input,
    group: i64,
    pages_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_pages_needed)(b, input, group, pages_out) }
}
/// \[E\] Begins a step: takes pages for all new tokens, copies partial pages that forks share, and
/// plans the work of every layer group; the sequences are then in the step until its commit or
/// abort, and are kept alive by it. All or nothing: on failure no page is taken and no sequence is
/// in it. Allocates host memory; device memory only where a plan has to grow, see ra_plan_options.
///
/// Errors: RA_ERROR_STATE: the batch has an open step. RA_ERROR_HANDLE: b, or sequences\[i\] as the
/// text says. RA_ERROR_BUSY: another thread uses the batch, or a sequence is in an open step.
/// RA_ERROR_PAGES: too few free pages in some group. RA_ERROR_ARGUMENT: counts that do not agree, a
/// length or flag out of bounds, a sequence twice or of another cache, a chain beyond 2^31 - 1
/// tokens, tree_mask without RA_PLAN_TREE or with too small a stride, spans against the rules above,
/// a step larger than the batch's bounds, or a queue on the CPU.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_begin(
    b: ra_batch,
    input: *const ra_batch_input,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_begin)(b, input, queue) }
}
/// \[E\] Begins a step of \`rows\` made-up sequences of kv_len tokens each, of which q_len are new: for
/// warming up, measuring, and capturing a graph. It takes no page, reads whatever some pages hold
/// and writes none: k and v may be null, and are not kept if given. Results mean nothing and may be
/// NaN; time and shapes are as in a real step without sharing. End it by abort, or by commit without
/// kept.
///
/// Errors: RA_ERROR_STATE: the batch has an open step. RA_ERROR_BUSY: another thread uses it.
/// RA_ERROR_ARGUMENT: rows or q_len is negative, kv_len is below q_len, rows \* kv_len is above
/// 2^31 - 1, the batch's bounds are passed, or a queue on the CPU.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_begin_dummy(
    b: ra_batch,
    rows: i64,
    q_len: i64,
    kv_len: i64,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_begin_dummy)(b, rows, q_len, kv_len, queue) }
}
/// \[E\] One layer of the open step: puts k and v of the new tokens into their slots, then computes
/// out and lse for every row, as section 3 says. Allocates nothing and waits for no device; with
/// RA_PLAN_GRAPH it can be captured, and the graph replayed after later begins of this batch with
/// the same arguments (pointers included). Capture a step like those to come: its sizes are those of
/// the launches, and a later step is right with any, only not as fast.
///
/// k and v must be given, but not for a layer with a kv_layer, whose source must have been attended
/// first in this step, and not if the step appends nothing. With q and out both null it only
/// appends, so that ra_batch_attend_worker can follow. A layer may be attended any number of times
/// in a step, in any order of layers; the same k and v again change nothing.
///
/// Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
/// RA_ERROR_ARGUMENT: no such layer, or never set; q or out is null; k or v missing, or given though
/// it must not be; sinks or slopes that the layer does not use, or missing ones that it does; slots
/// is given; a stride, alignment, scale or soft-cap; a queue on the CPU. RA_ERROR_UNSUPPORTED:
/// q_scale or out_scale is given.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_attend(
    b: ra_batch,
    layer: i64,
    a: *const ra_attend_args,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_attend)(b, layer, a, queue) }
}
/// \[H\] The attention of one layer by the caller's own threads, on CPU contexts only. Each of
/// num_workers threads calls it once per layer and step, with its own \`worker\`, 0 .. num_workers -
/// 1, and otherwise equal arguments; each draws work until none is left, and none waits for another.
/// out and lse are complete when all calls have returned, which the caller's own barrier finds out;
/// only then may calls for another layer begin. A call for a layer whose work of this step is all
/// drawn does nothing.
///
/// k and v must be null: they are in the pages already, by a ra_batch_attend with q and out null (or
/// the layer has a kv_layer). No other function of the batch may run meanwhile.
///
/// Errors: RA_ERROR_UNSUPPORTED: not a CPU context. RA_ERROR_STATE: no open step, or calls for
/// another layer of the same group have not all returned. RA_ERROR_BUSY: another kind of call uses
/// the batch. RA_ERROR_ARGUMENT: worker or num_workers is out of bounds, k and v are given, or as in
/// ra_batch_attend.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_attend_worker(
    b: ra_batch,
    layer: i64,
    a: *const ra_attend_args,
    worker: i64,
    num_workers: i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_attend_worker)(b, layer, a, worker, num_workers) }
}
/// \[E\] Ends the step and makes new tokens part of their sequences. \`kept\` null: all of them. Else
/// sequence i keeps kept\[i\] of its new tokens, 0 .. q_len (0 with RA_ROW_NEW_ABSENT), and num_kept
/// is the number of sequences: those that \`index\` names, or without it the first ones. \`index\`
/// holds, for one sequence after the other, the kept tokens' places among its new ones, ascending:
/// an accepted path of a draft tree. Their K and V are moved together, in all layers, and the tokens
/// get consecutive positions: give tree tokens the position embedding of their depth, not of their
/// slot. Pages no longer needed, of rejected tokens and behind windows, are given back.
///
/// Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
/// RA_ERROR_ARGUMENT: a count or index is out of bounds, num_kept or num_index does not fit, index
/// without kept, or a queue on the CPU. The step then stays open.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_commit(
    b: ra_batch,
    kept: *const i64,
    num_kept: i64,
    index: *const i64,
    num_index: i64,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_commit)(b, kept, num_kept, index, num_index, queue) }
}
/// \[R\] Will commit counts that only the device knows. This version answers RA_ERROR_UNSUPPORTED, or
/// RA_ERROR_HANDLE, and leaves the step open: use ra_batch_commit.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_commit_device(
    b: ra_batch,
    kept: *const i32,
    queue: *mut c_void,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_commit_device)(b, kept, queue) }
}
/// \[E\] Ends the step as if it had never begun: its pages return, to be reused after the queue's
/// work, and its sequences are as they were.
///
/// Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
/// RA_ERROR_ARGUMENT: a queue on the CPU.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_abort(b: ra_batch, queue: *mut c_void) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_abort)(b, queue) }
}
/// \[H\] What was planned for a layer group in the step that was begun last, dummy ones included, open
/// or ended: an RA_PLAN_INFO_\*.
///
/// Errors: RA_ERROR_STATE: no step was ever begun. RA_ERROR_BUSY: another thread uses the batch.
/// RA_ERROR_ARGUMENT: no such group or property.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_query(
    b: ra_batch,
    group: i64,
    property: i32,
    value_out: *mut i64,
) -> ra_status {
    let Some(table) = table() else { return RA_ERROR_DEVICE };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_query)(b, group, property, value_out) }
}
/// \[C\] Gives the handle up. An open step is aborted, and a warning logged.
///
/// # Safety
///
/// As in C: pointers are valid for what they are said to be.
pub unsafe fn ra_batch_release(b: ra_batch) {
    let Some(table) = table() else { return };
    // SAFETY: as the caller promises.
    unsafe { (table.batch_release)(b) }
}
