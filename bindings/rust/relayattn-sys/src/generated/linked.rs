// Generated from relayattn.h by bindings/rust/generate; do not edit.

use crate::api::*;
use crate::types::*;
use core::ffi::{c_char, c_void};

unsafe extern "C" {
    /// \[H\] The version of the library that is loaded: 10000 \* major + 100 \* minor + patch, as RA_VERSION
    /// is of this header. A program needs a library whose version is not lower than its header's, and
    /// of the same SONAME. Cannot fail.
    pub fn ra_version() -> i64;
    /// \[H\] The text of the last error on this thread: the function, the argument, its value and its
    /// bound, as in "ra_model_set_layers: head_dim_k is 37; it must be a multiple of 8 from 32 to 256".
    ///
    /// Copies at most size - 1 bytes of it and a closing 0 to \`text\`, and returns the whole length
    /// without the 0; so a buffer of that length plus 1 holds everything (1024 bytes always do). \`text\`
    /// may be null, or \`size\` 0 or less, to ask for the length only. A call that succeeds leaves the
    /// text as it was, so read it right after the failure, on the same thread. 0 if nothing has failed
    /// yet. Cannot fail. Texts are for people and may change between versions: decide by the status.
    pub fn ra_last_error(text: *mut c_char, size: i64) -> i64;
    /// \[H\] The name of a status, "RA_ERROR_PAGES" for instance. Static text, never null: an unknown
    /// number gives "unknown ra_status". Cannot fail.
    pub fn ra_status_name(status: ra_status) -> *const c_char;
    /// \[H\] The function table of the library, to be found by dlsym as the only symbol a dlopen host
    /// needs. \`version\` is the RA_VERSION of the header that the host was compiled with. The table is
    /// static, never null for a served version, and valid while the library is loaded; see struct
    /// ra_api.
    ///
    /// Returns null, and sets the last error, if this library does not serve that version: it is older
    /// than 0.1.0, or newer than the library, which might lack functions that the host expects.
    pub fn ra_get_api(version: i64) -> *const ra_api;
    /// \[H\] Fills \*o with the defaults above: struct_size bytes, which must be sizeof \*o of the caller's
    /// header. Writes nothing on failure.
    ///
    /// Errors: RA_ERROR_ARGUMENT: o is null, or struct_size is smaller than the struct's first version
    /// or larger than 4096.
    pub fn ra_context_options_init(o: *mut ra_context_options, struct_size: i64) -> ra_status;
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
    pub fn ra_context_create(o: *const ra_context_options, out: *mut ra_context) -> ra_status;
    /// \[H\] Sends the context's log lines to \`log\`, with \`user\` passed through; null turns them off,
    /// which is the default. One line that describes the device comes at once. When the call returns,
    /// the former receiver is not running and will not be called again. Nothing is logged per step.
    ///
    /// Errors: the general ones only.
    pub fn ra_context_set_log(c: ra_context, log: ra_log_fn, user: *mut c_void) -> ra_status;
    /// \[H\] One of the context's properties, an RA_CONTEXT_INFO_\*, which all are fixed at creation.
    ///
    /// Errors: RA_ERROR_ARGUMENT: property is not one of them.
    pub fn ra_context_query(c: ra_context, property: i32, value_out: *mut i64) -> ra_status;
    /// \[C\] Gives the handle up. Threads and device state end with the last object that needs them.
    pub fn ra_context_release(c: ra_context);
    /// \[H\] Fills \*o with the defaults above; sizes are 0 and must be set by the caller.
    ///
    /// Errors: as ra_context_options_init.
    pub fn ra_layer_options_init(o: *mut ra_layer_options, struct_size: i64) -> ra_status;
    /// \[H\] Makes a model of num_layers layers, 1 .. 65536, none of them set.
    ///
    /// Errors: RA_ERROR_ARGUMENT: num_layers is out of bounds.
    pub fn ra_model_create(num_layers: i64, out: *mut ra_model) -> ra_status;
    /// \[H\] Gives layers first .. first + count - 1 the same options. May be called for different layers,
    /// and again for the same ones; group numbers may then change. Caches copy the model when they are
    /// made and do not see later changes. A count of 0 checks \*o and changes nothing.
    ///
    /// Errors: RA_ERROR_ARGUMENT: the range is not within the model; a field is out of its bounds;
    /// kv_layer names a layer that cannot be borrowed from; or a layer that was set before borrows K and
    /// V from one of these and would no longer fit. RA_ERROR_UNSUPPORTED: a reserved dtype, form or
    /// scale, or k_dtype is not v_dtype.
    pub fn ra_model_set_layers(
        m: ra_model,
        first: i64,
        count: i64,
        o: *const ra_layer_options,
    ) -> ra_status;
    /// \[H\] The number of the layer group that a layer is in, for calls that take a group. A layer with a
    /// kv_layer is in a group that shares the pages of its source's group.
    ///
    /// Errors: RA_ERROR_ARGUMENT: no such layer, or it was never set.
    pub fn ra_model_layer_group(m: ra_model, layer: i64, group_out: *mut i64) -> ra_status;
    /// \[H\] Whether the context's device can serve every layer of the model, in pages of page_size tokens
    /// (0 = the device's best, else 1 .. 65536), in batches with plan_flags (RA_PLAN_\* bits). RA_OK, or
    /// the reason why not. Builds nothing.
    ///
    /// Errors: RA_ERROR_UNSUPPORTED: the device cannot; the text names the layer and the reason.
    /// RA_ERROR_STATE: no layer of the model is set. RA_ERROR_ARGUMENT: page_size or plan_flags is out
    /// of bounds.
    pub fn ra_context_supports(
        c: ra_context,
        m: ra_model,
        page_size: i64,
        plan_flags: i32,
    ) -> ra_status;
    /// \[H\] Gives the handle up. Caches have copies and do not mind.
    pub fn ra_model_release(m: ra_model);
    /// \[H\] Fills \*o with zeros, which are the defaults.
    ///
    /// Errors: as ra_context_options_init.
    pub fn ra_plan_options_init(o: *mut ra_plan_options, struct_size: i64) -> ra_status;
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
    pub fn ra_merge_state(c: ra_context, a: *const ra_merge_args, queue: *mut c_void) -> ra_status;
    /// \[H\] Fills \*o with the defaults; capacity_tokens is 0 and must be set.
    ///
    /// Errors: as ra_context_options_init.
    pub fn ra_cache_options_init(o: *mut ra_cache_options, struct_size: i64) -> ra_status;
    /// \[H\] How many bytes of device memory a cache with these options takes for its pages. Allocates
    /// none; o-\>memory is not looked at, so the answer can be put there for ra_cache_create.
    ///
    /// Errors: as ra_cache_create, without those about memory.
    pub fn ra_cache_memory(
        c: ra_context,
        m: ra_model,
        o: *const ra_cache_options,
        bytes_out: *mut i64,
    ) -> ra_status;
    /// \[C\] Makes a cache for a copy of the model as it is now, and allocates its pages unless the caller
    /// gave memory. What pages hold at first is unspecified. Keeps the context alive.
    ///
    /// Errors: RA_ERROR_ARGUMENT: a field of \*o is out of bounds, or memory_size is too small.
    /// RA_ERROR_STATE: no layer of the model is set. RA_ERROR_UNSUPPORTED: the device cannot serve a
    /// layer, see ra_context_supports. RA_ERROR_MEMORY: the pages cannot be allocated.
    pub fn ra_cache_create(
        c: ra_context,
        m: ra_model,
        o: *const ra_cache_options,
        out: *mut ra_cache,
    ) -> ra_status;
    /// \[H\] How many pages a layer group has, and how many of them are free now. Pages of an open step
    /// count as taken. Groups that share pages (kv_layer) give the same answer. With
    /// ra_batch_pages_needed this decides whether a request can be admitted.
    ///
    /// Errors: RA_ERROR_ARGUMENT: no such group.
    pub fn ra_cache_pages(
        k: ra_cache,
        group: i64,
        total_out: *mut i64,
        free_out: *mut i64,
    ) -> ra_status;
    /// \[H\] Where and how the pages of a layer lie, for registering them with a transfer engine or for
    /// moving whole pages; a layer with a kv_layer answers with its source's. Set both structs'
    /// struct_size first. The memory is the cache's and stays at its place while the cache or anything
    /// in it lives. The library cannot order the caller's own reads and writes: synchronise the queues
    /// that used these pages, and leave alone pages that no prefix or sequence of yours holds.
    ///
    /// Errors: RA_ERROR_ARGUMENT: no such layer, it was never set, or a struct_size is wrong; then
    /// neither struct is written.
    pub fn ra_cache_layer(
        k: ra_cache,
        layer: i64,
        layout_out: *mut ra_page_layout,
        memory_out: *mut ra_layer_memory,
    ) -> ra_status;
    /// \[C\] Gives the handle up. The pages' memory goes when the last prefix, sequence and batch has.
    pub fn ra_cache_release(k: ra_cache);
    /// \[H\] Makes an open prefix of num_tokens tokens, at least 1, under \`parent\` (sealed, of the same
    /// cache) or under none if that is null, and takes its pages: at least ceil(num_tokens / page_size)
    /// in each group without a window. Keeps the parent and the cache alive.
    ///
    /// Errors: RA_ERROR_ARGUMENT: num_tokens is below 1 or the chain would pass 2^31 - 1 tokens; or
    /// parent belongs to another cache. RA_ERROR_STATE: parent is not sealed. RA_ERROR_PAGES: too few
    /// free pages; none is taken.
    pub fn ra_prefix_create(
        k: ra_cache,
        parent: ra_prefix,
        num_tokens: i64,
        out: *mut ra_prefix,
    ) -> ra_status;
    /// \[E\] Copies K and V of kv-\>num_tokens tokens into an open prefix, for one layer, at its own tokens
    /// pos, pos + 1, .. (0 is the first token of this prefix, not of its chain). Any order and any cut
    /// into calls will do, and a token may be written again while the prefix is open. Tokens that a
    /// window layer would not keep are skipped. Every layer with K and V of its own must be written by
    /// the caller; nothing checks that.
    ///
    /// Errors: RA_ERROR_STATE: p is sealed. RA_ERROR_ARGUMENT: no such layer, or it has a kv_layer; the
    /// tokens are not all within the prefix; k.data or v.data is null though num_tokens is not 0; slots
    /// is not null; a stride or alignment; a queue on the CPU.
    pub fn ra_prefix_write(
        p: ra_prefix,
        layer: i64,
        pos: i64,
        kv: *const ra_kv,
        queue: *mut c_void,
    ) -> ra_status;
    /// \[E\] The reverse of ra_prefix_write: copies K and V of the prefix's own tokens pos .. out to the
    /// caller's buffers, bit for bit, for saving or moving them; kv-\>k.data and kv-\>v.data are written.
    /// Open or sealed. The parent's tokens are read through the parent.
    ///
    /// Errors: RA_ERROR_NOT_RETAINED: a window layer has not kept one of these tokens; nothing is
    /// written. RA_ERROR_ARGUMENT: as ra_prefix_write.
    pub fn ra_prefix_read(
        p: ra_prefix,
        layer: i64,
        pos: i64,
        kv: *const ra_kv,
        queue: *mut c_void,
    ) -> ra_status;
    /// \[E\] Ends the writing of a prefix: from now on it can be attached to, be a parent and be split,
    /// and it never changes again. Later work of the library on any queue is ordered after the writes.
    ///
    /// Errors: RA_ERROR_STATE: p is sealed already. RA_ERROR_ARGUMENT: a queue on the CPU.
    pub fn ra_prefix_seal(p: ra_prefix, queue: *mut c_void) -> ra_status;
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
    pub fn ra_prefix_from_sequence(
        s: ra_sequence,
        num_tokens: i64,
        out: *mut ra_prefix,
    ) -> ra_status;
    /// \[H\] Cuts a sealed prefix after num_tokens of its own tokens, without copying: \*head_out gets the
    /// first part as a prefix in its own right, and p becomes its child with the rest. Every handle
    /// stays valid: children and sequences of p see the same tokens as before. So a request that shares
    /// only the beginning of p can attach to the head.
    ///
    /// Errors: RA_ERROR_STATE: p is open. RA_ERROR_ARGUMENT: num_tokens is not from 1 to p's own length
    /// less 1. RA_ERROR_NOT_RETAINED: a window layer no longer has what a token at the cut would see.
    pub fn ra_prefix_split(p: ra_prefix, num_tokens: i64, head_out: *mut ra_prefix) -> ra_status;
    /// \[H\] How many tokens a prefix has of its own, and how many its whole chain has, parents included:
    /// the position after its last. Open or sealed.
    ///
    /// Errors: the general ones only.
    pub fn ra_prefix_length(p: ra_prefix, own_out: *mut i64, total_out: *mut i64) -> ra_status;
    /// \[R\] Will write a prefix to bytes. This version answers RA_ERROR_UNSUPPORTED, or RA_ERROR_HANDLE;
    /// read every layer with ra_prefix_read instead. No other argument is looked at.
    pub fn ra_prefix_save(
        p: ra_prefix,
        bytes: *mut c_void,
        size: i64,
        size_out: *mut i64,
    ) -> ra_status;
    /// \[R\] Will make a prefix from saved bytes. This version answers RA_ERROR_UNSUPPORTED, or
    /// RA_ERROR_HANDLE for k; write every layer with ra_prefix_write instead.
    pub fn ra_prefix_load(
        k: ra_cache,
        parent: ra_prefix,
        bytes: *const c_void,
        size: i64,
        out: *mut ra_prefix,
    ) -> ra_status;
    /// \[H\] Gives the handle up. The pages return once no child, sequence or open step needs them.
    pub fn ra_prefix_release(p: ra_prefix);
    /// \[H\] Makes a sequence that begins with all tokens of p, or empty if p is null. Takes no page
    /// before it gets tokens of its own. Keeps the prefix and the cache alive.
    ///
    /// Errors: RA_ERROR_STATE: p is not sealed. RA_ERROR_ARGUMENT: p belongs to another cache.
    pub fn ra_sequence_attach(k: ra_cache, p: ra_prefix, out: *mut ra_sequence) -> ra_status;
    /// \[H\] Makes a second sequence with the same tokens, for parallel sampling or beams. Nothing is
    /// copied: full pages are shared for good, as if they had been frozen, and a partial last page until
    /// one of the two gets a new token, when the begin of that step copies it (one page more in each
    /// group, which ra_batch_pages_needed counts).
    ///
    /// Errors: RA_ERROR_BUSY: s is in an open step.
    pub fn ra_sequence_fork(s: ra_sequence, out: *mut ra_sequence) -> ra_status;
    /// \[H\] Forgets all tokens of s from \`length\` on, and gives back the pages that nothing else uses.
    /// May cut into the prefix: s then hangs under the tokens before the cut, and others who share them
    /// notice nothing. The length that s has changes nothing.
    ///
    /// Errors: RA_ERROR_BUSY: s is in an open step. RA_ERROR_ARGUMENT: length is not from 0 to s's
    /// length. RA_ERROR_NOT_RETAINED: a window layer no longer has what the next token would see; every
    /// length from min_out of ra_sequence_length on can be had, and retain widens that.
    pub fn ra_sequence_truncate(s: ra_sequence, length: i64) -> ra_status;
    /// \[H\] The number of tokens of s, prefix included, and the length from which on
    /// ra_sequence_truncate reaches every one: 0 unless a window layer has given pages back.
    ///
    /// Errors: the general ones only.
    pub fn ra_sequence_length(s: ra_sequence, length_out: *mut i64, min_out: *mut i64)
    -> ra_status;
    /// \[R\] Will take n tokens from pos on out of a sequence and leave a gap in its positions. This
    /// version answers RA_ERROR_UNSUPPORTED, or RA_ERROR_HANDLE: truncate it and compute the rest again.
    pub fn ra_sequence_erase(s: ra_sequence, pos: i64, n: i64) -> ra_status;
    /// \[H\] The pages of a layer group that hold tokens of s, in order of position, prefixes included:
    /// writes the first max_pages of their indexes to \`pages\` and their full number to \*num_out; ask
    /// with max_pages 0 and pages null first. For transfer and accounting. Pages are not always full,
    /// since every prefix and tail begins a page; which slots hold which tokens is not told. A window
    /// group lists what it still has. New pages of an open step are not listed.
    ///
    /// Errors: RA_ERROR_ARGUMENT: no such group; max_pages is negative, or pages null and it is not 0.
    pub fn ra_sequence_pages(
        s: ra_sequence,
        group: i64,
        pages: *mut i32,
        max_pages: i64,
        num_out: *mut i64,
    ) -> ra_status;
    /// \[H\] Gives the handle up; if s is in an open step it goes when that is committed or aborted.
    pub fn ra_sequence_release(s: ra_sequence);
    /// \[H\] How many bytes of scratch and of metadata a batch with these options needs, for callers who
    /// give that memory themselves. o's own pointers are not looked at. Set the four bounds first: what
    /// they leave open is guessed.
    ///
    /// Errors: as ra_batch_create, without those about memory.
    pub fn ra_batch_memory(
        k: ra_cache,
        o: *const ra_plan_options,
        scratch_out: *mut i64,
        metadata_out: *mut i64,
    ) -> ra_status;
    /// \[C\] Makes a batch for steps over sequences of one cache, and allocates its memory for the bounds
    /// of \*o. Keeps the cache alive. Bindings and engines make one for each kind of step: one for
    /// decoding with RA_PLAN_GRAPH, say, and one for prefill without.
    ///
    /// Errors: RA_ERROR_ARGUMENT: a bound is not from 0 to 2^31 - 1; an unknown mode or flag; memory is
    /// given and too small; RA_PLAN_GRAPH without max_rows and max_tokens. RA_ERROR_UNSUPPORTED:
    /// RA_PLAN_GRAPH on a CPU context, or a reserved flag. RA_ERROR_MEMORY: no room.
    pub fn ra_batch_create(k: ra_cache, o: *const ra_plan_options, out: *mut ra_batch)
    -> ra_status;
    /// \[H\] How many free pages of a layer group a begin with this input would take: for its new tokens,
    /// and for partial pages shared by forks. It is what ra_batch_begin compares with the free pages, as
    /// of now. The batch may have an open step, but no sequence of the input may be in one.
    ///
    /// Errors: RA_ERROR_ARGUMENT, RA_ERROR_HANDLE, RA_ERROR_BUSY: as ra_batch_begin; or no such group.
    pub fn ra_batch_pages_needed(
        b: ra_batch,
        input: *const ra_batch_input,
        group: i64,
        pages_out: *mut i64,
    ) -> ra_status;
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
    pub fn ra_batch_begin(
        b: ra_batch,
        input: *const ra_batch_input,
        queue: *mut c_void,
    ) -> ra_status;
    /// \[E\] Begins a step of \`rows\` made-up sequences of kv_len tokens each, of which q_len are new: for
    /// warming up, measuring, and capturing a graph. It takes no page, reads whatever some pages hold
    /// and writes none: k and v may be null, and are not kept if given. Results mean nothing and may be
    /// NaN; time and shapes are as in a real step without sharing. End it by abort, or by commit without
    /// kept.
    ///
    /// Errors: RA_ERROR_STATE: the batch has an open step. RA_ERROR_BUSY: another thread uses it.
    /// RA_ERROR_ARGUMENT: rows or q_len is negative, kv_len is below q_len, rows \* kv_len is above
    /// 2^31 - 1, the batch's bounds are passed, or a queue on the CPU.
    pub fn ra_batch_begin_dummy(
        b: ra_batch,
        rows: i64,
        q_len: i64,
        kv_len: i64,
        queue: *mut c_void,
    ) -> ra_status;
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
    pub fn ra_batch_attend(
        b: ra_batch,
        layer: i64,
        a: *const ra_attend_args,
        queue: *mut c_void,
    ) -> ra_status;
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
    pub fn ra_batch_attend_worker(
        b: ra_batch,
        layer: i64,
        a: *const ra_attend_args,
        worker: i64,
        num_workers: i64,
    ) -> ra_status;
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
    pub fn ra_batch_commit(
        b: ra_batch,
        kept: *const i64,
        num_kept: i64,
        index: *const i64,
        num_index: i64,
        queue: *mut c_void,
    ) -> ra_status;
    /// \[R\] Will commit counts that only the device knows. This version answers RA_ERROR_UNSUPPORTED, or
    /// RA_ERROR_HANDLE, and leaves the step open: use ra_batch_commit.
    pub fn ra_batch_commit_device(b: ra_batch, kept: *const i32, queue: *mut c_void) -> ra_status;
    /// \[E\] Ends the step as if it had never begun: its pages return, to be reused after the queue's
    /// work, and its sequences are as they were.
    ///
    /// Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
    /// RA_ERROR_ARGUMENT: a queue on the CPU.
    pub fn ra_batch_abort(b: ra_batch, queue: *mut c_void) -> ra_status;
    /// \[H\] What was planned for a layer group in the step that was begun last, dummy ones included, open
    /// or ended: an RA_PLAN_INFO_\*.
    ///
    /// Errors: RA_ERROR_STATE: no step was ever begun. RA_ERROR_BUSY: another thread uses the batch.
    /// RA_ERROR_ARGUMENT: no such group or property.
    pub fn ra_batch_query(b: ra_batch, group: i64, property: i32, value_out: *mut i64)
    -> ra_status;
    /// \[C\] Gives the handle up. An open step is aborted, and a warning logged.
    pub fn ra_batch_release(b: ra_batch);
}
