// Generated from relayattn.h by bindings/rust/generate; do not edit.

use super::types::*;
use core::ffi::{c_char, c_void};

/// 14 THE TABLE FOR DLOPEN
///
/// Every function of this header but ra_get_api, which returns it, under its name without "ra_".
/// Later versions add entries at the end only; struct_size, in bytes, tells a host what it has.
///
/// ```text
/// void* library = dlopen("librelayattn.so.0", RTLD_NOW);
/// const ra_api* (*get)(int64_t) = (const ra_api* (*)(int64_t))dlsym(library, "ra_get_api");
/// const ra_api* ra = get(RA_VERSION);
/// ra->context_options_init(&options, sizeof options);
/// ```
///
/// Do not dlclose the library while an object of it is alive.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ra_api {
    /// Bytes of this struct; section 2 has the rule.
    pub struct_size: i64,
    /// [`ra_version`](crate::ra_version)
    pub version: unsafe extern "C" fn() -> i64,
    /// [`ra_last_error`](crate::ra_last_error)
    pub last_error: unsafe extern "C" fn(text: *mut c_char, size: i64) -> i64,
    /// [`ra_status_name`](crate::ra_status_name)
    pub status_name: unsafe extern "C" fn(status: ra_status) -> *const c_char,
    /// [`ra_context_options_init`](crate::ra_context_options_init)
    pub context_options_init:
        unsafe extern "C" fn(o: *mut ra_context_options, struct_size: i64) -> ra_status,
    /// [`ra_context_create`](crate::ra_context_create)
    pub context_create:
        unsafe extern "C" fn(o: *const ra_context_options, out: *mut ra_context) -> ra_status,
    /// [`ra_context_set_log`](crate::ra_context_set_log)
    pub context_set_log:
        unsafe extern "C" fn(c: ra_context, log: ra_log_fn, user: *mut c_void) -> ra_status,
    /// [`ra_context_query`](crate::ra_context_query)
    pub context_query:
        unsafe extern "C" fn(c: ra_context, property: i32, value_out: *mut i64) -> ra_status,
    /// [`ra_context_release`](crate::ra_context_release)
    pub context_release: unsafe extern "C" fn(c: ra_context),
    /// [`ra_layer_options_init`](crate::ra_layer_options_init)
    pub layer_options_init:
        unsafe extern "C" fn(o: *mut ra_layer_options, struct_size: i64) -> ra_status,
    /// [`ra_model_create`](crate::ra_model_create)
    pub model_create: unsafe extern "C" fn(num_layers: i64, out: *mut ra_model) -> ra_status,
    /// [`ra_model_set_layers`](crate::ra_model_set_layers)
    pub model_set_layers: unsafe extern "C" fn(
        m: ra_model,
        first: i64,
        count: i64,
        o: *const ra_layer_options,
    ) -> ra_status,
    /// [`ra_model_layer_group`](crate::ra_model_layer_group)
    pub model_layer_group:
        unsafe extern "C" fn(m: ra_model, layer: i64, group_out: *mut i64) -> ra_status,
    /// [`ra_context_supports`](crate::ra_context_supports)
    pub context_supports: unsafe extern "C" fn(
        c: ra_context,
        m: ra_model,
        page_size: i64,
        plan_flags: i32,
    ) -> ra_status,
    /// [`ra_model_release`](crate::ra_model_release)
    pub model_release: unsafe extern "C" fn(m: ra_model),
    /// [`ra_plan_options_init`](crate::ra_plan_options_init)
    pub plan_options_init:
        unsafe extern "C" fn(o: *mut ra_plan_options, struct_size: i64) -> ra_status,
    /// [`ra_merge_state`](crate::ra_merge_state)
    pub merge_state: unsafe extern "C" fn(
        c: ra_context,
        a: *const ra_merge_args,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_cache_options_init`](crate::ra_cache_options_init)
    pub cache_options_init:
        unsafe extern "C" fn(o: *mut ra_cache_options, struct_size: i64) -> ra_status,
    /// [`ra_cache_memory`](crate::ra_cache_memory)
    pub cache_memory: unsafe extern "C" fn(
        c: ra_context,
        m: ra_model,
        o: *const ra_cache_options,
        bytes_out: *mut i64,
    ) -> ra_status,
    /// [`ra_cache_create`](crate::ra_cache_create)
    pub cache_create: unsafe extern "C" fn(
        c: ra_context,
        m: ra_model,
        o: *const ra_cache_options,
        out: *mut ra_cache,
    ) -> ra_status,
    /// [`ra_cache_pages`](crate::ra_cache_pages)
    pub cache_pages: unsafe extern "C" fn(
        k: ra_cache,
        group: i64,
        total_out: *mut i64,
        free_out: *mut i64,
    ) -> ra_status,
    /// [`ra_cache_layer`](crate::ra_cache_layer)
    pub cache_layer: unsafe extern "C" fn(
        k: ra_cache,
        layer: i64,
        layout_out: *mut ra_page_layout,
        memory_out: *mut ra_layer_memory,
    ) -> ra_status,
    /// [`ra_cache_release`](crate::ra_cache_release)
    pub cache_release: unsafe extern "C" fn(k: ra_cache),
    /// [`ra_prefix_create`](crate::ra_prefix_create)
    pub prefix_create: unsafe extern "C" fn(
        k: ra_cache,
        parent: ra_prefix,
        num_tokens: i64,
        out: *mut ra_prefix,
    ) -> ra_status,
    /// [`ra_prefix_write`](crate::ra_prefix_write)
    pub prefix_write: unsafe extern "C" fn(
        p: ra_prefix,
        layer: i64,
        pos: i64,
        kv: *const ra_kv,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_prefix_read`](crate::ra_prefix_read)
    pub prefix_read: unsafe extern "C" fn(
        p: ra_prefix,
        layer: i64,
        pos: i64,
        kv: *const ra_kv,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_prefix_seal`](crate::ra_prefix_seal)
    pub prefix_seal: unsafe extern "C" fn(p: ra_prefix, queue: *mut c_void) -> ra_status,
    /// [`ra_prefix_from_sequence`](crate::ra_prefix_from_sequence)
    pub prefix_from_sequence:
        unsafe extern "C" fn(s: ra_sequence, num_tokens: i64, out: *mut ra_prefix) -> ra_status,
    /// [`ra_prefix_split`](crate::ra_prefix_split)
    pub prefix_split:
        unsafe extern "C" fn(p: ra_prefix, num_tokens: i64, head_out: *mut ra_prefix) -> ra_status,
    /// [`ra_prefix_length`](crate::ra_prefix_length)
    pub prefix_length:
        unsafe extern "C" fn(p: ra_prefix, own_out: *mut i64, total_out: *mut i64) -> ra_status,
    /// [`ra_prefix_save`](crate::ra_prefix_save)
    pub prefix_save: unsafe extern "C" fn(
        p: ra_prefix,
        bytes: *mut c_void,
        size: i64,
        size_out: *mut i64,
    ) -> ra_status,
    /// [`ra_prefix_load`](crate::ra_prefix_load)
    pub prefix_load: unsafe extern "C" fn(
        k: ra_cache,
        parent: ra_prefix,
        bytes: *const c_void,
        size: i64,
        out: *mut ra_prefix,
    ) -> ra_status,
    /// [`ra_prefix_release`](crate::ra_prefix_release)
    pub prefix_release: unsafe extern "C" fn(p: ra_prefix),
    /// [`ra_sequence_attach`](crate::ra_sequence_attach)
    pub sequence_attach:
        unsafe extern "C" fn(k: ra_cache, p: ra_prefix, out: *mut ra_sequence) -> ra_status,
    /// [`ra_sequence_fork`](crate::ra_sequence_fork)
    pub sequence_fork: unsafe extern "C" fn(s: ra_sequence, out: *mut ra_sequence) -> ra_status,
    /// [`ra_sequence_truncate`](crate::ra_sequence_truncate)
    pub sequence_truncate: unsafe extern "C" fn(s: ra_sequence, length: i64) -> ra_status,
    /// [`ra_sequence_length`](crate::ra_sequence_length)
    pub sequence_length:
        unsafe extern "C" fn(s: ra_sequence, length_out: *mut i64, min_out: *mut i64) -> ra_status,
    /// [`ra_sequence_erase`](crate::ra_sequence_erase)
    pub sequence_erase: unsafe extern "C" fn(s: ra_sequence, pos: i64, n: i64) -> ra_status,
    /// [`ra_sequence_pages`](crate::ra_sequence_pages)
    pub sequence_pages: unsafe extern "C" fn(
        s: ra_sequence,
        group: i64,
        pages: *mut i32,
        max_pages: i64,
        num_out: *mut i64,
    ) -> ra_status,
    /// [`ra_sequence_release`](crate::ra_sequence_release)
    pub sequence_release: unsafe extern "C" fn(s: ra_sequence),
    /// [`ra_batch_memory`](crate::ra_batch_memory)
    pub batch_memory: unsafe extern "C" fn(
        k: ra_cache,
        o: *const ra_plan_options,
        scratch_out: *mut i64,
        metadata_out: *mut i64,
    ) -> ra_status,
    /// [`ra_batch_create`](crate::ra_batch_create)
    pub batch_create: unsafe extern "C" fn(
        k: ra_cache,
        o: *const ra_plan_options,
        out: *mut ra_batch,
    ) -> ra_status,
    /// [`ra_batch_pages_needed`](crate::ra_batch_pages_needed)
    pub batch_pages_needed: unsafe extern "C" fn(
        b: ra_batch,
        input: *const ra_batch_input,
        group: i64,
        pages_out: *mut i64,
    ) -> ra_status,
    /// [`ra_batch_begin`](crate::ra_batch_begin)
    pub batch_begin: unsafe extern "C" fn(
        b: ra_batch,
        input: *const ra_batch_input,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_begin_dummy`](crate::ra_batch_begin_dummy)
    pub batch_begin_dummy: unsafe extern "C" fn(
        b: ra_batch,
        rows: i64,
        q_len: i64,
        kv_len: i64,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_attend`](crate::ra_batch_attend)
    pub batch_attend: unsafe extern "C" fn(
        b: ra_batch,
        layer: i64,
        a: *const ra_attend_args,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_attend_worker`](crate::ra_batch_attend_worker)
    pub batch_attend_worker: unsafe extern "C" fn(
        b: ra_batch,
        layer: i64,
        a: *const ra_attend_args,
        worker: i64,
        num_workers: i64,
    ) -> ra_status,
    /// [`ra_batch_commit`](crate::ra_batch_commit)
    pub batch_commit: unsafe extern "C" fn(
        b: ra_batch,
        kept: *const i64,
        num_kept: i64,
        index: *const i64,
        num_index: i64,
        queue: *mut c_void,
    ) -> ra_status,
    /// [`ra_batch_commit_device`](crate::ra_batch_commit_device)
    pub batch_commit_device:
        unsafe extern "C" fn(b: ra_batch, kept: *const i32, queue: *mut c_void) -> ra_status,
    /// [`ra_batch_abort`](crate::ra_batch_abort)
    pub batch_abort: unsafe extern "C" fn(b: ra_batch, queue: *mut c_void) -> ra_status,
    /// [`ra_batch_query`](crate::ra_batch_query)
    pub batch_query: unsafe extern "C" fn(
        b: ra_batch,
        group: i64,
        property: i32,
        value_out: *mut i64,
    ) -> ra_status,
    /// [`ra_batch_release`](crate::ra_batch_release)
    pub batch_release: unsafe extern "C" fn(b: ra_batch),
}
