/*
 * relayattn: key/value caches with shared prefixes, and exact attention over them
 * SPDX-License-Identifier: Apache-2.0
 *
 * This header is the manual. It reads from simple to advanced:
 *
 *     1 Introduction       what it does, the objects, a complete program
 *     2 Conventions        rules that hold for every function; stated here once
 *     3 What is computed   visibility of keys, order of operations, error bounds
 *     4 Constants and handle types
 *     5 Library and errors
 *     6 Context            one device
 *     7 Model              what every layer looks like
 *     8 Shared structs     views, page layouts, arguments of a step
 *     9 Merging            two parts of one attention, computed elsewhere
 *    10 Cache              pages of K and V
 *    11 Prefix             tokens that many requests share
 *    12 Sequence           one request
 *    13 Batch              one step of many requests
 *    14 The table for dlopen
 *
 *
 * 1 INTRODUCTION
 *
 * A service answers many requests that begin with the same long prompt. Plain attention reads that
 * prompt's keys and values (K and V) from memory once per request, at every step. This library
 * keeps them once and reads them once per step for all requests together. The result is exact.
 *
 * The method is RelayAttention (Zhu, Wang, Zhang, Lau: "RelayAttention for Efficient Large Language
 * Model Serving with Long System Prompts", ACL 2024). Attention over two stretches of tokens can be
 * computed apart and joined afterwards, when each part also gives its LSE, the natural logarithm of
 * the sum of the exponentials of its scores:
 *
 *     out = (e^l1 * out1 + e^l2 * out2) / (e^l1 + e^l2),     l = log(e^l1 + e^l2)
 *
 * So the prompt's part becomes one matrix product over all requests. Here that holds for a tree of
 * prefixes of any depth, for steps that mix decoding, prefill and speculative verification, and a
 * cost model falls back to plain decoding wherever sharing would not pay.
 *
 *     ra_context                one device: its threads, its log
 *      |   ra_model             what every layer looks like (copied into caches)
 *      |    |
 *     ra_cache                  pages of K and V, for every layer of the model
 *      |-- ra_prefix            tokens that many share; written, sealed, then never changed
 *      |    |-- ra_prefix       goes on from its parent: prefixes form a tree
 *      |    `-- ra_sequence     one request: its prefix's tokens, then its own growing tail
 *      `-- ra_batch             one step of many sequences; used again for every step
 *
 * A step is: begin(sequences, how many new tokens each) reserves pages and plans; attend, once for
 * each layer in turn, appends the new tokens' K and V and computes their attention; commit makes
 * the new tokens part of their sequences, abort forgets them. The caller computes q, k and v (with
 * position embedding already applied), and everything else of the network.
 *
 * This program runs one step on the CPU. All keys are zero, so each request gets the mean of the
 * values it sees: the prompt's 0, 1, .. 63 and its own 64 (mean 32) or 129 (mean 33).
 *
 * @code
 * #include <relayattn/relayattn.h>
 * #include <stdio.h>
 *
 * static int failed(ra_status status) {
 *     char text[1024] = "";
 *     if (status != RA_OK && ra_last_error(text, sizeof text) > 0)
 *         fprintf(stderr, "%s: %s\n", ra_status_name(status), text);
 *     return status != RA_OK;
 * }
 *
 * int main(void) {
 *     static float k[64][32], v[64][32], q[2][32], new_k[2][32], new_v[2][32], out[2][32];
 *     ra_context_options device; ra_layer_options layer;
 *     ra_cache_options room; ra_plan_options plan;
 *     ra_context context; ra_model model; ra_cache cache; ra_batch batch;
 *     ra_prefix prompt; ra_sequence requests[2];
 *     int64_t one_each[2] = {1, 1};
 *     ra_kv kv = {sizeof kv, .k.data = k, .v.data = v, .num_tokens = 64};
 *     ra_batch_input step = {sizeof step, .sequences = requests, .num_sequences = 2,
 *                            .q_lens = one_each, .num_q_lens = 2};
 *     ra_attend_args args = {sizeof args, .q.data = q, .k.data = new_k, .v.data = new_v,
 *                            .out.data = out};
 *     for (int i = 0; i < 64 * 32; ++i)
 *         v[i / 32][i % 32] = (float)(i / 32);
 *     for (int i = 0; i < 32; ++i)
 *         new_v[0][i] = 64, new_v[1][i] = 129;
 *     if (failed(ra_context_options_init(&device, sizeof device)) ||
 *         failed(ra_layer_options_init(&layer, sizeof layer)) ||
 *         failed(ra_cache_options_init(&room, sizeof room)) ||
 *         failed(ra_plan_options_init(&plan, sizeof plan)))
 *         return 1;
 *     device.backend = RA_BACKEND_CPU;
 *     layer.num_q_heads = layer.num_kv_heads = 1;
 *     layer.head_dim_k = layer.head_dim_v = 32;
 *     layer.q_dtype = layer.k_dtype = layer.v_dtype = layer.out_dtype = RA_F32;
 *     room.capacity_tokens = 1024;
 *     if (failed(ra_context_create(&device, &context)) || failed(ra_model_create(1, &model)) ||
 *         failed(ra_model_set_layers(model, 0, 1, &layer)) ||
 *         failed(ra_cache_create(context, model, &room, &cache)) ||
 *         failed(ra_batch_create(cache, &plan, &batch)) ||
 *         failed(ra_prefix_create(cache, NULL, 64, &prompt)) ||
 *         failed(ra_prefix_write(prompt, 0, 0, &kv, NULL)) ||
 *         failed(ra_prefix_seal(prompt, NULL)) ||
 *         failed(ra_sequence_attach(cache, prompt, &requests[0])) ||
 *         failed(ra_sequence_attach(cache, prompt, &requests[1])) ||
 *         failed(ra_batch_begin(batch, &step, NULL)) ||
 *         failed(ra_batch_attend(batch, 0, &args, NULL)) ||
 *         failed(ra_batch_commit(batch, NULL, 0, NULL, 0, NULL)))
 *         return 1;
 *     printf("%.3f %.3f\n", out[0][0], out[1][0]); // 32.000 33.000
 *     ra_context_release(context); ra_model_release(model); ra_cache_release(cache); // any order
 *     ra_sequence_release(requests[0]); ra_sequence_release(requests[1]);
 *     ra_prefix_release(prompt); ra_batch_release(batch);
 *     return out[0][0] < 31.999f || out[0][0] > 32.001f || out[1][0] < 32.999f ||
 *            out[1][0] > 33.001f;
 * }
 * @endcode
 *
 *
 * 2 CONVENTIONS
 *
 * Results. Every function that can fail returns an ra_status. RA_OK is 0, errors are negative. Out
 * parameters come last, are named `out` or `*_out`, must not be null, and are written on success
 * only. A call that fails leaves every object as it was; where a device failed half-way
 * (RA_ERROR_DEVICE), the contents of buffers that it was to write are unspecified. No call prints,
 * aborts, exits, or lets a C++ exception out.
 *
 * Errors, and what to do about each. Any function may answer RA_ERROR_HANDLE, RA_ERROR_MEMORY,
 * RA_ERROR_INTERNAL, on a CUDA context RA_ERROR_DEVICE, and RA_ERROR_ARGUMENT for a null pointer or
 * a wrong struct_size; the function's own comment names the others and their causes.
 *
 *     RA_ERROR_ARGUMENT      a value out of its bounds: a mistake in the calling program
 *     RA_ERROR_HANDLE        a handle that is null, released, of another type, or never given out
 *     RA_ERROR_STATE         the object is not in the state that this call needs (an open prefix
 *                            is attached to, a batch attends before it begins): call in order
 *     RA_ERROR_BUSY          the batch is in use by another thread, or the sequence is in an open
 *                            step: try again when that is over
 *     RA_ERROR_UNSUPPORTED   legal, but not in this version or on this device: do without
 *     RA_ERROR_MEMORY        host or device memory ran out: release something, or ask for less
 *     RA_ERROR_PAGES         the cache has too few free pages: release sequences or prefixes, or
 *                            let requests wait; ordinary under load
 *     RA_ERROR_NOT_RETAINED  a window layer has given back tokens that this would need: keep more
 *                            (ra_layer_options.retain), or compute them again
 *     RA_ERROR_DEVICE        the device, its driver or the plugin is missing or failed
 *     RA_ERROR_INTERNAL      a defect of the library: please report it with the error's text
 *
 * Struct sizes. A struct that begins with struct_size may grow at its end in later versions.
 * Options are filled with defaults by their _init(o, sizeof *o) and then changed. The other structs
 * are zeroed by the caller, who sets struct_size to sizeof: a zeroed field of theirs means "not
 * given" or "the usual". A struct_size that is smaller than the struct of the first version that
 * had it, or larger than 4096, is RA_ERROR_ARGUMENT. A struct larger than the library knows is
 * taken if the unknown tail is all zero; a tail that is not is RA_ERROR_ARGUMENT, never ignored. An
 * _init and a struct that goes out write struct_size bytes and no more, the unknown tail as zeros.
 *
 * Counts, positions and sizes are int64_t. Tokens of a sequence, of a step and of a cache are at
 * most 2^31 - 1. A null array with count 0 is an empty array.
 *
 * Memory. "Device memory" below is memory that the context's device reads: ordinary memory for a
 * CPU context, memory of that GPU (or mapped for it) for a CUDA context. Views, lse, sink_logits,
 * alibi_slopes and tree_mask point to device memory. All else (structs, handles, counts, lengths,
 * flags, spans, kept, index) is host memory, is read before the call returns, and may then change.
 * A buffer in device memory belongs to the caller and must stay as it is until the work that uses
 * it is done; on the CPU that is when the call returns.
 *
 * Tensors are ragged: [tokens, heads, dim]. An ra_view names the first element and two strides in
 * BYTES; dim is always dense. A stride of 0 means dense: head_stride = dim * element size,
 * token_stride = heads * dim * element size. Strides are otherwise positive multiples of the
 * element size, and data is aligned to the element size; else RA_ERROR_ARGUMENT. So every common
 * layout, and a part of a fused QKV buffer, is passed as it is. Tensors that are written must not
 * overlap others of the same call. Only LSE strides are counted in floats, see ra_attend_args.
 *
 * Row order. The rows (tokens) of q, out, k and v of a step are the new tokens of its first
 * sequence, then those of its second, and so on: T rows. q and out then have padded_tokens more.
 *
 * Handles are opaque 64-bit tokens in the shape of pointers. They are looked up and never
 * dereferenced, and their bits are not used again while a stale copy could matter: a null, stale or
 * foreign handle is RA_ERROR_HANDLE and never undefined behaviour. Each create, attach, fork,
 * from_sequence and split gives one handle, which the caller releases. Objects keep alive what they
 * need, so the order of releases never matters: a cache lives on under its prefixes, a prefix under
 * its children and sequences, and their pages return to the cache when the last of these is gone.
 * Every release returns nothing, does nothing for a null or stale handle, and may come from any
 * thread, during any other call.
 *
 * Threads. Every function may be called from any thread. Calls on one cache's prefixes and
 * sequences take turns inside. A batch is used by one thread at a time: a second one gets
 * RA_ERROR_BUSY at once; only calls of ra_batch_attend_worker may run at the same time. Calls that
 * compute on the same CPU context take turns on its threads; two contexts compute side by side. The
 * library starts no thread before the first context is created, and a context's threads do not
 * survive fork(2). The last error's text is kept per thread.
 *
 * Marks. Each function's comment begins with one of
 *
 *     [H]  host only: reads or changes host memory, touches no queue, never waits for a device
 *     [E]  enqueues: orders its work on `queue` and returns, perhaps before that work is done
 *     [C]  may allocate memory or synchronise with the device: for set-up, not for every step
 *
 * A queue is the device's own: a cudaStream_t cast to void* for a CUDA context, null for its
 * default stream. On a CPU context the queue must be null (else RA_ERROR_ARGUMENT), and every call
 * has completed when it returns. The library orders work on the same cache across queues itself: a
 * page that was given back is written again only by work ordered after all work that may still read
 * it.
 *
 * Pages. A page holds page_size token slots of one layer's K and V; elsewhere this is a "block".
 * Pages are allocated per layer group (equal KV geometry, dtype and window), and page n of a group
 * is page n of each of its layers. Each prefix, and each sequence's tail, begins in a page of its
 * own, unless it came from a cut (from_sequence, split, fork, truncate): then both sides share the
 * page of the cut.
 *
 * Reserved. Some names stand for what later versions will do. Using them is answered with
 * RA_ERROR_UNSUPPORTED and the reason, never with a wrong number. In this version these are: dtypes
 * other than RA_F32, RA_F16 and RA_BF16; K and V of different dtypes; RA_KV_LATENT; every
 * RA_SCALE_* but NONE; q_scale and out_scale; numa_node; RA_PLAN_DEVICE_LENS and
 * RA_PLAN_FIND_SHARED; ra_prefix_save and ra_prefix_load; ra_sequence_erase;
 * ra_batch_commit_device. ra_context_supports tells before anything is built.
 *
 * Versions. Functions, constants and fields (at a struct's end) are added; none is removed, moved
 * or given another meaning. Each release's functions have a symbol version node (RELAYATTN_0.1),
 * and nothing else is exported. The SONAME carries the ABI's number. It is librelayattn.so.0 until
 * the ABI is frozen: up to then a minor version may break this rule, and the change log names each
 * break.
 *
 * Environment.
 *     RELAYATTN_ISA          scalar, avx2, avx512, avx512_bf16, amx or neon: use this instruction
 *                            set instead of the best one. Read when a CPU context is created.
 *     RELAYATTN_FIGURES      file of measured figures for the cost model, as relayattn-bench
 *                            --calibrate writes it, in place of the built-in ones. Read when a
 *                            context is created; a malformed line is RA_ERROR_ARGUMENT.
 *     RELAYATTN_PLUGIN_PATH  file or folder of librelayattn-cuda.so, and the only place then tried;
 *                            else it is sought beside this library, then where the system looks.
 *
 *
 * 3 WHAT IS COMPUTED
 *
 * A token's position is its index in its sequence's chain of tokens, counted from the root prefix.
 * A sequence of L tokens that is given n new ones puts them at positions L .. L+n-1; E = L+n is its
 * end in this step. The query at position i, of head h, sees the key at position p if
 *
 *     lo <= p < hi,  where  hi = i+1 (causal) and lo = 0, changed by
 *
 *     RA_WINDOW_SLIDING W   lo = max(0, i-W+1): at most W keys, the query's own included
 *     RA_WINDOW_CHUNKED W   lo = (i/W)*W and hi = min(hi, lo+W): keys of the query's own chunk
 *     RA_ROW_NONCAUSAL      hi = E: new tokens see each other both ways
 *     a span [b, e)         hi = max(hi, L+e) for queries at L+b .. L+e-1: they see each other
 *     a tree mask           hi = E, and a key at p >= L also needs bit p-L of the query's mask row
 *     RA_ROW_NEW_ABSENT     E = L and hi = L: new tokens see only what came before the step
 *
 * Windows reach across prefixes and the sequence's own tokens alike, and bound only the left side,
 * except that a chunk also ends. Tokens of a tree use their slot's position, L + their index, for
 * windows and ALiBi.
 *
 * The score of a visible key, in this order:
 *
 *     s = scale * (q . k)              scale: the call's, else the layer's, else 1/sqrt(head_dim_k)
 *     s = cap * tanh(s / cap)          if a soft-cap is given
 *     s = s - slope[h] * |p - i|       if the layer uses ALiBi
 *     masked keys drop out
 *     softmax over what is left, with one more term e^sink[h] in its sum if the layer uses sinks;
 *     a sink takes weight from the keys and adds no value
 *
 * Query head h reads KV head h / (num_q_heads / num_kv_heads). lse[h] is the natural logarithm of
 * the softmax's sum, in float32, the sink included. A query that sees no key gets out = 0 and
 * lse = -inf (with a sink: lse = sink[h]). Padded rows get out = 0 and lse = -inf. Slots that hold
 * no token, in fresh pages or past the end of a run, may hold anything: NaN in them never reaches a
 * result.
 *
 * Accuracy, as ||out - exact|| / ||exact|| against float64 on the same inputs, drawn from N(0, 1):
 * float32 within 1e-6; bf16 and f16 outputs at most 10 % above the error of rounding the exact
 * result to that dtype (1.65e-3 and 2.1e-4), and at most 50 % above it where matrix units take the
 * softmax's weights in that dtype: q, K, V and out alike on CUDA, and for bf16 with avx512_bf16 and
 * amx. Scores, sums and merging are float32 in any case.
 *
 * A result does not depend on timing: parts are merged in a fixed order. It may depend, within that
 * accuracy, on the other sequences of the batch and on the number of threads, since these decide
 * where the work is cut. A batch with RA_PLAN_BATCH_INVARIANT rules that out, too: on one device,
 * a sequence's output has the same bits alone and in any batch, in any order, on any number of
 * threads, as long as its chain is cut into the same prefixes.
 */
#ifndef RELAYATTN_RELAYATTN_H
#define RELAYATTN_RELAYATTN_H

#include <stdint.h>

#if defined(UINTPTR_MAX) && UINTPTR_MAX < UINT64_MAX
#error "relayattn needs 64-bit pointers"
#endif

/* The version of this header; ra_version() is the library's. */
#define RA_VERSION_MAJOR 0
#define RA_VERSION_MINOR 1
#define RA_VERSION_PATCH 0
#define RA_VERSION (10000 * RA_VERSION_MAJOR + 100 * RA_VERSION_MINOR + RA_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/*
 * 4 CONSTANTS AND HANDLE TYPES
 *
 * Constants are plain integers in anonymous enums, so that every struct has one size in every
 * language. [R] marks a value that this version answers with RA_ERROR_UNSUPPORTED; a number that
 * is not listed is RA_ERROR_ARGUMENT.
 */

/* What a call came to. Section 2 says what to do about each. */
typedef int32_t ra_status;
enum {
    RA_OK = 0,
    RA_ERROR_ARGUMENT = -1,
    RA_ERROR_HANDLE = -2,
    RA_ERROR_STATE = -3,
    RA_ERROR_BUSY = -4,
    RA_ERROR_UNSUPPORTED = -5,
    RA_ERROR_MEMORY = -6,
    RA_ERROR_PAGES = -7,
    RA_ERROR_NOT_RETAINED = -8,
    RA_ERROR_DEVICE = -9,
    RA_ERROR_INTERNAL = -10
};

/* Where a context computes. */
enum {
    RA_BACKEND_AUTO = 0, /* CUDA if its plugin and a GPU are there, else the CPU */
    RA_BACKEND_CPU = 1,
    RA_BACKEND_CUDA = 2 /* needs librelayattn-cuda.so, an NVIDIA driver and GPU */
};

/* Element types. q, K with V, and out may each be any of the first three. */
enum {
    RA_F32 = 1,    /* IEEE binary32 */
    RA_F16 = 2,    /* IEEE binary16 */
    RA_BF16 = 3,   /* the upper half of a binary32 */
    RA_F8E4M3 = 4, /* [R] this one and all below */
    RA_F8E5M2 = 5,
    RA_I8 = 6,
    RA_Q8_0 = 7,
    RA_I4 = 8,
    RA_F4E2M1 = 9
};

/* How K and V are kept. */
enum {
    RA_KV_SEPARATE = 0, /* K and V each have pages */
    RA_KV_LATENT = 1    /* [R] one latent vector serves as both */
};

/* Which keys a query sees to its left; section 3 has the formulas. */
enum {
    RA_WINDOW_NONE = 0,    /* all */
    RA_WINDOW_SLIDING = 1, /* the last `window`, its own included */
    RA_WINDOW_CHUNKED = 2  /* those of its own chunk of `window` positions */
};

/* What one scale of quantised K or V covers. All but NONE are [R]. */
enum {
    RA_SCALE_NONE = 0, /* not quantised */
    RA_SCALE_TENSOR = 1,
    RA_SCALE_HEAD = 2,
    RA_SCALE_TOKEN_HEAD = 3,
    RA_SCALE_CHANNEL = 4
};

/* What names a page in a table. */
enum {
    RA_TABLE_INDEX32 = 0,  /* its int32_t index in the pool; what every cache uses */
    RA_TABLE_ADDRESS64 = 1 /* its address; not answered by this version */
};

/* How a batch treats runs of tokens that several of its sequences share. */
enum {
    RA_MODE_AUTO = 0, /* the cost model chooses for each run: the right one unless you compare */
    RA_MODE_FLAT = 1, /* read a shared run once for each sequence */
    RA_MODE_RELAY = 2 /* read a shared run once for all of them */
};

/* Bits of ra_plan_options.flags. */
enum {
    RA_PLAN_GRAPH = 1,           /* attend can be captured in a CUDA graph and replayed in later
                                  * steps; max_rows and max_tokens must be set. CUDA only */
    RA_PLAN_BATCH_INVARIANT = 2, /* same bits in any batch; `mode` is then not considered. Slower */
    RA_PLAN_TREE = 4,            /* steps may have a tree_mask */
    RA_PLAN_DEVICE_LENS = 8,     /* [R] lengths known on the device only */
    RA_PLAN_FIND_SHARED = 16     /* [R] find shared runs in plain page tables */
};

/* Bits of ra_batch_input.row_flags. */
enum {
    RA_ROW_NONCAUSAL = 1, /* the sequence's new tokens all see each other */
    RA_ROW_NEW_ABSENT = 2 /* its new tokens are queries only: no K, V of theirs is seen or kept.
                           * For cross-attention and for asking again about what is cached */
};

/* Instruction sets, as RA_CONTEXT_INFO_ISA tells them. */
enum {
    RA_ISA_SCALAR = 0,      /* portable C++; also what every CUDA context answers */
    RA_ISA_AVX2 = 1,        /* with FMA and F16C */
    RA_ISA_AVX512 = 2,      /* F, BW, VL and DQ */
    RA_ISA_AVX512_BF16 = 3, /* with BF16; chosen where its dot product is fast (AMD) */
    RA_ISA_AMX = 4,         /* and tiles of bf16 */
    RA_ISA_NEON = 5         /* AArch64 */
};

/* Properties for ra_context_query. */
enum {
    RA_CONTEXT_INFO_BACKEND = 1,     /* RA_BACKEND_CPU or RA_BACKEND_CUDA: what AUTO became */
    RA_CONTEXT_INFO_ORDINAL = 2,     /* the device's number; 0 for the CPU */
    RA_CONTEXT_INFO_NUM_THREADS = 3, /* that compute, the calling one included; 0 for CUDA */
    RA_CONTEXT_INFO_ISA = 4,         /* RA_ISA_*: the kernels in use */
    RA_CONTEXT_INFO_SM = 5,          /* compute capability, 90 = 9.0; 0 for the CPU */
    RA_CONTEXT_INFO_PAGE_SIZE = 6,   /* the best page size, in tokens: what 0 stands for */
    RA_CONTEXT_INFO_GRAPHS = 7       /* 1 if RA_PLAN_GRAPH can be had */
};

/* Properties for ra_batch_query: the plan of one layer group in the last step begun. */
enum {
    RA_PLAN_INFO_LAUNCHES = 1,    /* kernel launches of one attend; 1 for the CPU */
    RA_PLAN_INFO_ITEMS = 2,       /* work items, each computed for every KV head */
    RA_PLAN_INFO_RUNS = 3,        /* stretches of tokens in the step's tree, tails included */
    RA_PLAN_INFO_RELAY_RUNS = 4,  /* of these, how many are read once for all below them */
    RA_PLAN_INFO_PARTIALS = 5,    /* float32 parts of output rows that get merged */
    RA_PLAN_INFO_KV_BYTES = 6,    /* K and V that one attend reads: a relayed run once, a flat one
                                   * once for each sequence */
    RA_PLAN_INFO_PREDICTED_NS = 7 /* the cost model's estimate for one attend */
};

/* Handles; section 2 has their rules. The structs are never defined. */
typedef struct ra_context_s* ra_context;
typedef struct ra_model_s* ra_model;
typedef struct ra_cache_s* ra_cache;
typedef struct ra_prefix_s* ra_prefix;
typedef struct ra_sequence_s* ra_sequence;
typedef struct ra_batch_s* ra_batch;

/*
 * A receiver of log lines. `user` is what ra_context_set_log was given; `level` is 0 for
 * information and 1 for a warning; `text` is one line of UTF-8 without a line end, valid during the
 * call. It may be called from any thread inside any call that uses the context, one call at a time,
 * and must not call this library.
 */
typedef void (*ra_log_fn)(void* user, int32_t level, const char* text);

/*
 * 5 LIBRARY AND ERRORS
 */

/*
 * [H] The version of the library that is loaded: 10000 * major + 100 * minor + patch, as RA_VERSION
 * is of this header. A program needs a library whose version is not lower than its header's, and
 * of the same SONAME. Cannot fail.
 */
int64_t ra_version(void);

/*
 * [H] The text of the last error on this thread: the function, the argument, its value and its
 * bound, as in "ra_model_set_layers: head_dim_k is 37; it must be a multiple of 8 from 32 to 256".
 *
 * Copies at most size - 1 bytes of it and a closing 0 to `text`, and returns the whole length
 * without the 0; so a buffer of that length plus 1 holds everything (1024 bytes always do). `text`
 * may be null, or `size` 0 or less, to ask for the length only. A call that succeeds leaves the
 * text as it was, so read it right after the failure, on the same thread. 0 if nothing has failed
 * yet. Cannot fail. Texts are for people and may change between versions: decide by the status.
 */
int64_t ra_last_error(char* text, int64_t size);

/*
 * [H] The name of a status, "RA_ERROR_PAGES" for instance. Static text, never null: an unknown
 * number gives "unknown ra_status". Cannot fail.
 */
const char* ra_status_name(ra_status status);

/* All functions in one struct, for hosts that load the library by dlopen; section 14. */
typedef struct ra_api ra_api;

/*
 * [H] The function table of the library, to be found by dlsym as the only symbol a dlopen host
 * needs. `version` is the RA_VERSION of the header that the host was compiled with. The table is
 * static, never null for a served version, and valid while the library is loaded; see struct
 * ra_api.
 *
 * Returns null, and sets the last error, if this library does not serve that version: it is older
 * than 0.1.0, or newer than the library, which might lack functions that the host expects.
 */
const ra_api* ra_get_api(int64_t version);

/*
 * 6 CONTEXT: ONE DEVICE
 *
 * A context is a CPU with a number of threads, or one GPU. Most programs have one. Everything made
 * with it keeps it alive.
 */

/* For ra_context_create. */
typedef struct ra_context_options {
    int64_t struct_size;
    int32_t backend;     /* RA_BACKEND_*; default RA_BACKEND_AUTO */
    int32_t ordinal;     /* which GPU, from 0; default 0. Must be 0 for RA_BACKEND_CPU */
    int64_t num_threads; /* CPU threads that compute, the calling one included, 1 .. 1024. 0, the
                          * default: as many as the process's affinity and cgroup quota allow. 1: no
                          * thread is started. Not used by CUDA */
    int64_t numa_node;   /* [R] must be -1, the default: memory is not bound to a node */
} ra_context_options;

/*
 * [H] Fills *o with the defaults above: struct_size bytes, which must be sizeof *o of the caller's
 * header. Writes nothing on failure.
 *
 * Errors: RA_ERROR_ARGUMENT: o is null, or struct_size is smaller than the struct's first version
 * or larger than 4096.
 */
ra_status ra_context_options_init(ra_context_options* o, int64_t struct_size);

/*
 * [C] Makes a context: for the CPU it chooses the instruction set and starts num_threads - 1
 * threads; for CUDA it loads the plugin, opens the GPU's primary context and prepares its kernels,
 * and leaves the thread's current device as it was. Several contexts of one device may exist.
 *
 * Errors: RA_ERROR_ARGUMENT: a field of *o is out of bounds, RELAYATTN_ISA is an unknown name,
 * or the file of RELAYATTN_FIGURES is missing or malformed.
 * RA_ERROR_UNSUPPORTED: numa_node is not -1, or the machine lacks what RELAYATTN_ISA names.
 * RA_ERROR_DEVICE: ordinal is not 0 for the CPU; the threads could not be started; or, for CUDA, no
 * plugin, driver or such GPU, the plugin is of another build, or the GPU is too old: the text has
 * every place tried and its reason. RA_BACKEND_AUTO takes the CPU instead of that error.
 */
ra_status ra_context_create(const ra_context_options* o, ra_context* out);

/*
 * [H] Sends the context's log lines to `log`, with `user` passed through; null turns them off,
 * which is the default. One line that describes the device comes at once. When the call returns,
 * the former receiver is not running and will not be called again. Nothing is logged per step.
 *
 * Errors: the general ones only.
 */
ra_status ra_context_set_log(ra_context c, ra_log_fn log, void* user);

/*
 * [H] One of the context's properties, an RA_CONTEXT_INFO_*, which all are fixed at creation.
 *
 * Errors: RA_ERROR_ARGUMENT: property is not one of them.
 */
ra_status ra_context_query(ra_context c, int32_t property, int64_t* value_out);

/* [C] Gives the handle up. Threads and device state end with the last object that needs them. */
void ra_context_release(ra_context c);

/*
 * 7 MODEL: WHAT EVERY LAYER LOOKS LIKE
 *
 * A model is a list of layers, numbered from 0, that belongs to no device. Layers of equal KV
 * geometry, dtype and window form a layer group: they have equal page counts and share each step's
 * plan, so it is best to give equal layers equal options. Groups are numbered in the order of their
 * first layers. A layer that was never set takes no memory and cannot be attended.
 */

/* For ra_model_set_layers. Sizes must be set; the rest has useful defaults. */
typedef struct ra_layer_options {
    int64_t struct_size;
    int64_t num_q_heads;  /* 1 .. 65536, a multiple of num_kv_heads (GQA); equal for MHA */
    int64_t num_kv_heads; /* 1 .. 65536; 1 for MQA */
    int64_t head_dim_k;   /* elements of a head of q and K: a multiple of 8 from 32 to 256 */
    int64_t head_dim_v;   /* elements of a head of V and out: likewise, and may differ */
    int32_t q_dtype;      /* RA_F32, RA_F16 or RA_BF16, here and below; default RA_BF16 */
    int32_t k_dtype;      /* of K in the pages and as given */
    int32_t v_dtype;      /* must equal k_dtype, else RA_ERROR_UNSUPPORTED */
    int32_t out_dtype;
    int32_t kv_form;     /* RA_KV_SEPARATE, the default */
    int32_t k_scale;     /* RA_SCALE_NONE, the default */
    int32_t v_scale;     /* RA_SCALE_NONE, the default */
    int32_t window_kind; /* RA_WINDOW_*; default RA_WINDOW_NONE */
    int64_t window;      /* tokens: of the window or of a chunk, 1 .. 2^31 - 1; 0 for no window */
    int64_t retain;      /* Tokens before a sequence's end, or a prefix's, whose K and V a window
                          * layer keeps; older whole pages are given back. 0, the default: window;
                          * -1: all; else at least window. More allows ra_sequence_truncate and the
                          * cuts of prefixes to go back further. 0 for no window */
    int64_t kv_layer;    /* -1, the default: the layer has K and V of its own. Else it attends over
                          * those of this lower layer, which must be set, have its own, and agree in
                          * num_kv_heads, head dims and KV dtype; if that layer has a window, this
                          * one's must keep no more tokens than it does */
    int32_t uses_sinks;  /* 1: every attend has sink_logits; 0, the default: none has */
    int32_t uses_alibi;  /* 1: every attend has alibi_slopes; 0, the default: none has */
    float softmax_scale; /* factor of q . k; 0, the default: 1/sqrt(head_dim_k). Finite */
    float logit_softcap; /* cap of the scores, before ALiBi; 0, the default: none. Finite, >= 0 */
} ra_layer_options;

/*
 * [H] Fills *o with the defaults above; sizes are 0 and must be set by the caller.
 *
 * Errors: as ra_context_options_init.
 */
ra_status ra_layer_options_init(ra_layer_options* o, int64_t struct_size);

/*
 * [H] Makes a model of num_layers layers, 1 .. 65536, none of them set.
 *
 * Errors: RA_ERROR_ARGUMENT: num_layers is out of bounds.
 */
ra_status ra_model_create(int64_t num_layers, ra_model* out);

/*
 * [H] Gives layers first .. first + count - 1 the same options. May be called for different layers,
 * and again for the same ones; group numbers may then change. Caches copy the model when they are
 * made and do not see later changes. A count of 0 checks *o and changes nothing.
 *
 * Errors: RA_ERROR_ARGUMENT: the range is not within the model; a field is out of its bounds;
 * kv_layer names a layer that cannot be borrowed from; or a layer that was set before borrows K and
 * V from one of these and would no longer fit. RA_ERROR_UNSUPPORTED: a reserved dtype, form or
 * scale, or k_dtype is not v_dtype.
 */
ra_status ra_model_set_layers(ra_model m, int64_t first, int64_t count, const ra_layer_options* o);

/*
 * [H] The number of the layer group that a layer is in, for calls that take a group. A layer with a
 * kv_layer is in a group that shares the pages of its source's group.
 *
 * Errors: RA_ERROR_ARGUMENT: no such layer, or it was never set.
 */
ra_status ra_model_layer_group(ra_model m, int64_t layer, int64_t* group_out);

/*
 * [H] Whether the context's device can serve every layer of the model, in pages of page_size tokens
 * (0 = the device's best, else 1 .. 65536), in batches with plan_flags (RA_PLAN_* bits). RA_OK, or
 * the reason why not. Builds nothing.
 *
 * Errors: RA_ERROR_UNSUPPORTED: the device cannot; the text names the layer and the reason.
 * RA_ERROR_STATE: no layer of the model is set. RA_ERROR_ARGUMENT: page_size or plan_flags is out
 * of bounds.
 */
ra_status ra_context_supports(ra_context c, ra_model m, int64_t page_size, int32_t plan_flags);

/* [H] Gives the handle up. Caches have copies and do not mind. */
void ra_model_release(ra_model m);

/*
 * 8 SHARED STRUCTS
 */

/*
 * How the pages of one layer lie in memory; ra_cache_layer fills it. Strides are in bytes. In a
 * packed layout the device's own order holds inside a page, which no formula here describes: token
 * and head strides are then 0, and K and V go in and out by ra_prefix_write, ra_prefix_read and
 * ra_batch_attend.
 */
typedef struct ra_page_layout {
    int64_t struct_size;
    int64_t page_size;      /* token slots of a page */
    int64_t num_pages;      /* of this layer's group */
    int32_t table_kind;     /* RA_TABLE_INDEX32 */
    int32_t packed;         /* 1: CPU caches; 0: CUDA caches */
    int64_t k_page_stride;  /* from page n to page n + 1 of K */
    int64_t k_token_stride; /* from a slot to the next */
    int64_t k_head_stride;  /* from a head to the next; a head's elements are dense */
    int64_t v_page_stride;  /* the same for V */
    int64_t v_token_stride;
    int64_t v_head_stride;
} ra_page_layout;

/* Where the pages of one layer lie: device memory, owned by the cache. */
typedef struct ra_layer_memory {
    int64_t struct_size;
    void* k_pages;  /* page 0 of K */
    void* v_pages;  /* page 0 of V */
    float* k_scale; /* [R] null */
    float* v_scale; /* [R] null */
} ra_layer_memory;

/* A tensor [tokens, heads, dim] in device memory; section 2 has the rules of strides. */
typedef struct ra_view {
    void* data;           /* first element, aligned to its size; null: not given */
    int64_t token_stride; /* bytes; 0: heads * dim * element size */
    int64_t head_stride;  /* bytes; 0: dim * element size */
} ra_view;

/* K and V of num_tokens tokens, for ra_prefix_write and ra_prefix_read. */
typedef struct ra_kv {
    int64_t struct_size;
    ra_view k;            /* [num_tokens, num_kv_heads, head_dim_k] of the layer's k_dtype */
    ra_view v;            /* [num_tokens, num_kv_heads, head_dim_v] of the layer's v_dtype */
    const int64_t* slots; /* null: a prefix knows its own slots */
    int64_t num_tokens;   /* at least 0 */
} ra_kv;

/*
 * For ra_batch_create. The zeros of ra_plan_options_init suit most callers. max_rows and max_tokens
 * bound every step: a larger one is RA_ERROR_ARGUMENT. A bound of 0 is no bound: the plan then
 * begins with room for 64 sequences, and a begin that needs more allocates it. All four bounds also
 * size the plan. A batch with RA_PLAN_GRAPH or with memory of the caller's cannot grow: set them,
 * and a step that does not fit all the same is RA_ERROR_ARGUMENT.
 */
typedef struct ra_plan_options {
    int64_t struct_size;
    int64_t max_rows;   /* sequences of a step */
    int64_t max_tokens; /* new tokens of a step, padded ones included; 0 sizes for 4 a sequence */
    int64_t max_runs;   /* prefixes, forks and tails in the tree of a step; 0: 4 a sequence */
    int64_t max_kv_tokens; /* tokens in that tree, a shared one once; 0: the whole cache */
    int32_t mode;          /* RA_MODE_* */
    int32_t flags;         /* RA_PLAN_* bits */
    void* scratch;        /* Device memory for parts of results, of any alignment; null: the batch's
                           * own. Batches whose attends never run at once may share it */
    int64_t scratch_size; /* bytes; at least what ra_batch_memory says */
    void* metadata;       /* device memory for the work list, of this batch alone; null: its own */
    int64_t metadata_size; /* bytes; likewise */
} ra_plan_options;

/*
 * For ra_batch_attend and ra_batch_attend_worker: one layer of a step. T is the number of the
 * step's new tokens, P its padded_tokens; the heads and dims are the layer's.
 */
typedef struct ra_attend_args {
    int64_t struct_size;
    ra_view q;            /* [T + P, num_q_heads, head_dim_k] of q_dtype; the last P are not read */
    ra_view out;          /* [T + P, num_q_heads, head_dim_v] of out_dtype; the last P become 0 */
    ra_view k;            /* [T, num_kv_heads, head_dim_k] of k_dtype: what the new tokens' slots
                           * get. Rows of RA_ROW_NEW_ABSENT sequences are there, and not read */
    ra_view v;            /* [T, num_kv_heads, head_dim_v] of v_dtype; given if and only if k is */
    const int64_t* slots; /* null: a batch knows where k and v go */
    float* lse;           /* where the log-sum-exps go, float32; null: not wanted */
    int64_t lse_token_stride;  /* in floats: lse[token * token_stride + head * head_stride]; */
    int64_t lse_head_stride;   /* 0 and 0: dense, that is num_q_heads and 1 */
    const float* sink_logits;  /* [num_q_heads], given if and only if the layer uses_sinks */
    const float* alibi_slopes; /* [num_q_heads], given if and only if the layer uses_alibi */
    const float* q_scale;      /* [R] null */
    const float* out_scale;    /* [R] null */
    float softmax_scale;       /* 0: the layer's. Finite */
    float logit_softcap;       /* 0: the layer's. Finite, >= 0 */
} ra_attend_args;

/*
 * [H] Fills *o with zeros, which are the defaults.
 *
 * Errors: as ra_context_options_init.
 */
ra_status ra_plan_options_init(ra_plan_options* o, int64_t struct_size);

/*
 * 9 MERGING
 *
 * For engines that compute parts of an attention themselves, or got them from another machine.
 */

/* For ra_merge_state. a, b, out are [num_tokens, num_heads, head_dim]. */
typedef struct ra_merge_args {
    int64_t struct_size;
    int64_t num_tokens; /* 0 .. 2^31 - 1 */
    int64_t num_heads;  /* query heads, 1 .. 2^31 - 1 */
    int64_t head_dim;   /* 1 .. 2^31 - 1; no multiple is asked for */
    int32_t in_dtype;   /* of a and b: RA_F32, RA_F16 or RA_BF16 */
    int32_t out_dtype;  /* of out: any of the three */
    int32_t lse_base2;  /* 0: all LSEs are natural logarithms; 1: of base 2, as FlashInfer's are */
    int32_t reserved;   /* 0 */
    ra_view a;          /* first part: normalised, as attention gives it */
    ra_view b;          /* second part */
    ra_view out;        /* may be a or b itself (same data, strides and dtype) */
    const float* a_lse; /* [num_tokens, num_heads] by the strides below */
    const float* b_lse;
    float* out_lse;           /* null: not wanted; may be a_lse or b_lse */
    int64_t lse_token_stride; /* of all three LSEs, in floats; 0: num_heads */
    int64_t lse_head_stride;  /* likewise; 0: 1 */
} ra_merge_args;

/*
 * [E] Joins two parts of one attention, over keys that do not overlap:
 *
 *     out = (e^a_lse * a + e^b_lse * b) / (e^a_lse + e^b_lse),   out_lse = log(e^a_lse + e^b_lse)
 *
 * in float32. A part whose LSE is -inf or +inf is empty: its values are not read and may be NaN.
 * If both are, out is 0 and out_lse -inf. Merge more parts one after the other. `queue` as in
 * section 2. All buffers are device memory of the context.
 *
 * Errors: RA_ERROR_ARGUMENT: a size, flag, stride or alignment is out of bounds, a pointer other
 * than out_lse is null though num_tokens is not 0, an unknown dtype, or a queue on the CPU.
 * RA_ERROR_UNSUPPORTED: a reserved dtype.
 */
ra_status ra_merge_state(ra_context c, const ra_merge_args* a, void* queue);

/*
 * 10 CACHE: PAGES OF K AND V
 *
 * A cache has a fixed number of pages for each layer group of a model, all allocated when it is
 * made. Prefixes and sequences take pages and give them back; nothing is ever evicted behind the
 * caller's back.
 */

/* For ra_cache_memory and ra_cache_create. */
typedef struct ra_cache_options {
    int64_t struct_size;
    int64_t page_size; /* token slots of a page, 1 .. 65536; 0, the default: the device's best */
    int64_t capacity_tokens; /* Tokens that a layer group without a window has room for, 1 .. 2^31 -
                              * 1, rounded up to whole pages; must be set. A shared token counts
                              * once; the unused rest of each run's last page counts too */
    int64_t max_sequences;   /* How many sequences will exist at once, a promise that lets window
                              * groups be smaller than the others: 2 * (ceil(kept / page_size) + 2)
                              * pages for each, kept being `retain` or `window` tokens. 0, the
                              * default: no promise, all groups are equally large. Not enforced:
                              * more sequences just find fewer pages */
    void* memory;        /* device memory for the pages, of any alignment, that outlives the cache
                          * and all that is in it; null, the default: the cache allocates */
    int64_t memory_size; /* bytes; at least what ra_cache_memory says. 0 if memory is null */
} ra_cache_options;

/*
 * [H] Fills *o with the defaults; capacity_tokens is 0 and must be set.
 *
 * Errors: as ra_context_options_init.
 */
ra_status ra_cache_options_init(ra_cache_options* o, int64_t struct_size);

/*
 * [H] How many bytes of device memory a cache with these options takes for its pages. Allocates
 * none; o->memory is not looked at, so the answer can be put there for ra_cache_create.
 *
 * Errors: as ra_cache_create, without those about memory.
 */
ra_status ra_cache_memory(ra_context c, ra_model m, const ra_cache_options* o, int64_t* bytes_out);

/*
 * [C] Makes a cache for a copy of the model as it is now, and allocates its pages unless the caller
 * gave memory. What pages hold at first is unspecified. Keeps the context alive.
 *
 * Errors: RA_ERROR_ARGUMENT: a field of *o is out of bounds, or memory_size is too small.
 * RA_ERROR_STATE: no layer of the model is set. RA_ERROR_UNSUPPORTED: the device cannot serve a
 * layer, see ra_context_supports. RA_ERROR_MEMORY: the pages cannot be allocated.
 */
ra_status ra_cache_create(ra_context c, ra_model m, const ra_cache_options* o, ra_cache* out);

/*
 * [H] How many pages a layer group has, and how many of them are free now. Pages of an open step
 * count as taken. Groups that share pages (kv_layer) give the same answer. With
 * ra_batch_pages_needed this decides whether a request can be admitted.
 *
 * Errors: RA_ERROR_ARGUMENT: no such group.
 */
ra_status ra_cache_pages(ra_cache k, int64_t group, int64_t* total_out, int64_t* free_out);

/*
 * [H] Where and how the pages of a layer lie, for registering them with a transfer engine or for
 * moving whole pages; a layer with a kv_layer answers with its source's. Set both structs'
 * struct_size first. The memory is the cache's and stays at its place while the cache or anything
 * in it lives. The library cannot order the caller's own reads and writes: synchronise the queues
 * that used these pages, and leave alone pages that no prefix or sequence of yours holds.
 *
 * Errors: RA_ERROR_ARGUMENT: no such layer, it was never set, or a struct_size is wrong; then
 * neither struct is written.
 */
ra_status ra_cache_layer(ra_cache k, int64_t layer, ra_page_layout* layout_out,
                         ra_layer_memory* memory_out);

/* [C] Gives the handle up. The pages' memory goes when the last prefix, sequence and batch has. */
void ra_cache_release(ra_cache k);

/*
 * 11 PREFIX: TOKENS THAT MANY REQUESTS SHARE
 *
 * A prefix is a run of tokens that comes after its parent's, or first of all. It is open while it
 * is being written, and never changes once sealed; only sealed prefixes have children and
 * sequences. There are two ways to one: create, write, seal with K and V at hand; or prefill a
 * sequence in steps and freeze it by ra_prefix_from_sequence, which copies nothing.
 *
 * A prefix lives until its handle is released and nothing hangs under it. In a window group it
 * keeps the last `retain` tokens of its run only.
 */

/*
 * [H] Makes an open prefix of num_tokens tokens, at least 1, under `parent` (sealed, of the same
 * cache) or under none if that is null, and takes its pages: at least ceil(num_tokens / page_size)
 * in each group without a window. Keeps the parent and the cache alive.
 *
 * Errors: RA_ERROR_ARGUMENT: num_tokens is below 1 or the chain would pass 2^31 - 1 tokens; or
 * parent belongs to another cache. RA_ERROR_STATE: parent is not sealed. RA_ERROR_PAGES: too few
 * free pages; none is taken.
 */
ra_status ra_prefix_create(ra_cache k, ra_prefix parent, int64_t num_tokens, ra_prefix* out);

/*
 * [E] Copies K and V of kv->num_tokens tokens into an open prefix, for one layer, at its own tokens
 * pos, pos + 1, .. (0 is the first token of this prefix, not of its chain). Any order and any cut
 * into calls will do, and a token may be written again while the prefix is open. Tokens that a
 * window layer would not keep are skipped. Every layer with K and V of its own must be written by
 * the caller; nothing checks that.
 *
 * Errors: RA_ERROR_STATE: p is sealed. RA_ERROR_ARGUMENT: no such layer, or it has a kv_layer; the
 * tokens are not all within the prefix; k.data or v.data is null though num_tokens is not 0; slots
 * is not null; a stride or alignment; a queue on the CPU.
 */
ra_status ra_prefix_write(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue);

/*
 * [E] The reverse of ra_prefix_write: copies K and V of the prefix's own tokens pos .. out to the
 * caller's buffers, bit for bit, for saving or moving them; kv->k.data and kv->v.data are written.
 * Open or sealed. The parent's tokens are read through the parent.
 *
 * Errors: RA_ERROR_NOT_RETAINED: a window layer has not kept one of these tokens; nothing is
 * written. RA_ERROR_ARGUMENT: as ra_prefix_write.
 */
ra_status ra_prefix_read(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue);

/*
 * [E] Ends the writing of a prefix: from now on it can be attached to, be a parent and be split,
 * and it never changes again. Later work of the library on any queue is ordered after the writes.
 *
 * Errors: RA_ERROR_STATE: p is sealed already. RA_ERROR_ARGUMENT: a queue on the CPU.
 */
ra_status ra_prefix_seal(ra_prefix p, void* queue);

/*
 * [H] Freezes the first num_tokens tokens of a sequence (1 .. its length, or -1 for all) as a
 * sealed prefix, without copying. The sequence keeps its tokens and its handle, and goes on as a
 * child of the new prefix. This is how a prompt that was computed in steps, or the common part of a
 * conversation, becomes shared.
 *
 * The prefix's own tokens, for read and split, begin where the prefix ends that s was last attached
 * to or frozen at; if num_tokens does not reach beyond that, they are the whole chain.
 *
 * Errors: RA_ERROR_BUSY: s is in an open step. RA_ERROR_ARGUMENT: num_tokens is out of bounds; an
 * empty sequence has nothing to freeze. RA_ERROR_NOT_RETAINED: a window layer no longer has what a
 * token after num_tokens would see.
 */
ra_status ra_prefix_from_sequence(ra_sequence s, int64_t num_tokens, ra_prefix* out);

/*
 * [H] Cuts a sealed prefix after num_tokens of its own tokens, without copying: *head_out gets the
 * first part as a prefix in its own right, and p becomes its child with the rest. Every handle
 * stays valid: children and sequences of p see the same tokens as before. So a request that shares
 * only the beginning of p can attach to the head.
 *
 * Errors: RA_ERROR_STATE: p is open. RA_ERROR_ARGUMENT: num_tokens is not from 1 to p's own length
 * less 1. RA_ERROR_NOT_RETAINED: a window layer no longer has what a token at the cut would see.
 */
ra_status ra_prefix_split(ra_prefix p, int64_t num_tokens, ra_prefix* head_out);

/*
 * [H] How many tokens a prefix has of its own, and how many its whole chain has, parents included:
 * the position after its last. Open or sealed.
 *
 * Errors: the general ones only.
 */
ra_status ra_prefix_length(ra_prefix p, int64_t* own_out, int64_t* total_out);

/*
 * [R] Will write a prefix to bytes. This version answers RA_ERROR_UNSUPPORTED, or RA_ERROR_HANDLE;
 * read every layer with ra_prefix_read instead. No other argument is looked at.
 */
ra_status ra_prefix_save(ra_prefix p, void* bytes, int64_t size, int64_t* size_out);

/*
 * [R] Will make a prefix from saved bytes. This version answers RA_ERROR_UNSUPPORTED, or
 * RA_ERROR_HANDLE for k; write every layer with ra_prefix_write instead.
 */
ra_status ra_prefix_load(ra_cache k, ra_prefix parent, const void* bytes, int64_t size,
                         ra_prefix* out);

/* [H] Gives the handle up. The pages return once no child, sequence or open step needs them. */
void ra_prefix_release(ra_prefix p);

/*
 * 12 SEQUENCE: ONE REQUEST
 *
 * A sequence is its prefix's tokens, then its own. It grows only by the commit of a batch. While it
 * is in an open step its length is that before the step, and calls that would change it get
 * RA_ERROR_BUSY.
 */

/*
 * [H] Makes a sequence that begins with all tokens of p, or empty if p is null. Takes no page
 * before it gets tokens of its own. Keeps the prefix and the cache alive.
 *
 * Errors: RA_ERROR_STATE: p is not sealed. RA_ERROR_ARGUMENT: p belongs to another cache.
 */
ra_status ra_sequence_attach(ra_cache k, ra_prefix p, ra_sequence* out);

/*
 * [H] Makes a second sequence with the same tokens, for parallel sampling or beams. Nothing is
 * copied: full pages are shared for good, as if they had been frozen, and a partial last page until
 * one of the two gets a new token, when the begin of that step copies it (one page more in each
 * group, which ra_batch_pages_needed counts).
 *
 * Errors: RA_ERROR_BUSY: s is in an open step.
 */
ra_status ra_sequence_fork(ra_sequence s, ra_sequence* out);

/*
 * [H] Forgets all tokens of s from `length` on, and gives back the pages that nothing else uses.
 * May cut into the prefix: s then hangs under the tokens before the cut, and others who share them
 * notice nothing. The length that s has changes nothing.
 *
 * Errors: RA_ERROR_BUSY: s is in an open step. RA_ERROR_ARGUMENT: length is not from 0 to s's
 * length. RA_ERROR_NOT_RETAINED: a window layer no longer has what the next token would see; every
 * length from min_out of ra_sequence_length on can be had, and retain widens that.
 */
ra_status ra_sequence_truncate(ra_sequence s, int64_t length);

/*
 * [H] The number of tokens of s, prefix included, and the length from which on
 * ra_sequence_truncate reaches every one: 0 unless a window layer has given pages back.
 *
 * Errors: the general ones only.
 */
ra_status ra_sequence_length(ra_sequence s, int64_t* length_out, int64_t* min_out);

/*
 * [R] Will take n tokens from pos on out of a sequence and leave a gap in its positions. This
 * version answers RA_ERROR_UNSUPPORTED, or RA_ERROR_HANDLE: truncate it and compute the rest again.
 */
ra_status ra_sequence_erase(ra_sequence s, int64_t pos, int64_t n);

/*
 * [H] The pages of a layer group that hold tokens of s, in order of position, prefixes included:
 * writes the first max_pages of their indexes to `pages` and their full number to *num_out; ask
 * with max_pages 0 and pages null first. For transfer and accounting. Pages are not always full,
 * since every prefix and tail begins a page; which slots hold which tokens is not told. A window
 * group lists what it still has. New pages of an open step are not listed.
 *
 * Errors: RA_ERROR_ARGUMENT: no such group; max_pages is negative, or pages null and it is not 0.
 */
ra_status ra_sequence_pages(ra_sequence s, int64_t group, int32_t* pages, int64_t max_pages,
                            int64_t* num_out);

/* [H] Gives the handle up; if s is in an open step it goes when that is committed or aborted. */
void ra_sequence_release(ra_sequence s);

/*
 * 13 BATCH: ONE STEP OF MANY REQUESTS
 *
 * A batch is made once and used for every step: begin, then attend for each layer, then commit or
 * abort. What it learned and allocated for one step serves the next. Several batches of one cache
 * may have open steps at once, with different sequences. A step may mix sequences that decode one
 * token, prefill many, verify a draft, or sit out with none.
 */

/*
 * One step, for ra_batch_begin and ra_batch_pages_needed. All arrays are host memory and read
 * before the call returns, but tree_mask, which is device memory and must stay as it is until the
 * step's last attend is done.
 */
typedef struct ra_batch_input {
    int64_t struct_size;
    const ra_sequence* sequences; /* of the batch's cache, none twice, none in an open step */
    int64_t num_sequences;        /* 0 or more: an empty step is a step */
    const int64_t* q_lens;        /* new tokens of each sequence, 0 or more */
    int64_t num_q_lens;           /* num_sequences */
    const int64_t* row_flags;     /* RA_ROW_* bits for each sequence; null: none has any */
    int64_t num_row_flags;        /* num_sequences; 0: row_flags is not looked at */
    const uint8_t* tree_mask;     /* Which new tokens see which, for verifying a tree of drafts: new
                                   * token t of the step, counted over all sequences, has the row
                                   * tree_mask + t * tree_stride; bit j of it, bit j % 8 of its byte
                                   * j / 8, lets it see new token j of its own sequence. Set its own
                                   * bit, too. Earlier tokens stay visible. Null: causal order */
    int64_t tree_stride;          /* bytes, at least ceil(longest q_len / 8) */
    const int64_t* spans;         /* Triples row, begin, end: new tokens [begin, end) of sequence
                                   * `row` see each other both ways, as parts of an image do. Spans
                                   * of a row do not overlap, and its row_flags are 0. Not together
                                   * with tree_mask */
    int64_t num_spans;            /* triples */
    int64_t padded_tokens;        /* rows of q and out after the real ones, zeroed, 0 or more: for
                                   * tensors of a fixed shape */
} ra_batch_input;

/*
 * [H] How many bytes of scratch and of metadata a batch with these options needs, for callers who
 * give that memory themselves. o's own pointers are not looked at. Set the four bounds first: what
 * they leave open is guessed.
 *
 * Errors: as ra_batch_create, without those about memory.
 */
ra_status ra_batch_memory(ra_cache k, const ra_plan_options* o, int64_t* scratch_out,
                          int64_t* metadata_out);

/*
 * [C] Makes a batch for steps over sequences of one cache, and allocates its memory for the bounds
 * of *o. Keeps the cache alive. Bindings and engines make one for each kind of step: one for
 * decoding with RA_PLAN_GRAPH, say, and one for prefill without.
 *
 * Errors: RA_ERROR_ARGUMENT: a bound is not from 0 to 2^31 - 1; an unknown mode or flag; memory is
 * given and too small; RA_PLAN_GRAPH without max_rows and max_tokens. RA_ERROR_UNSUPPORTED:
 * RA_PLAN_GRAPH on a CPU context, or a reserved flag. RA_ERROR_MEMORY: no room.
 */
ra_status ra_batch_create(ra_cache k, const ra_plan_options* o, ra_batch* out);

/*
 * [H] How many free pages of a layer group a begin with this input would take: for its new tokens,
 * and for partial pages shared by forks. It is what ra_batch_begin compares with the free pages, as
 * of now. The batch may have an open step, but no sequence of the input may be in one.
 *
 * Errors: RA_ERROR_ARGUMENT, RA_ERROR_HANDLE, RA_ERROR_BUSY: as ra_batch_begin; or no such group.
 */
ra_status ra_batch_pages_needed(ra_batch b, const ra_batch_input* input, int64_t group,
                                int64_t* pages_out);

/*
 * [E] Begins a step: takes pages for all new tokens, copies partial pages that forks share, and
 * plans the work of every layer group; the sequences are then in the step until its commit or
 * abort, and are kept alive by it. All or nothing: on failure no page is taken and no sequence is
 * in it. Allocates host memory; device memory only where a plan has to grow, see ra_plan_options.
 *
 * Errors: RA_ERROR_STATE: the batch has an open step. RA_ERROR_HANDLE: b, or sequences[i] as the
 * text says. RA_ERROR_BUSY: another thread uses the batch, or a sequence is in an open step.
 * RA_ERROR_PAGES: too few free pages in some group. RA_ERROR_ARGUMENT: counts that do not agree, a
 * length or flag out of bounds, a sequence twice or of another cache, a chain beyond 2^31 - 1
 * tokens, tree_mask without RA_PLAN_TREE or with too small a stride, spans against the rules above,
 * a step larger than the batch's bounds, or a queue on the CPU.
 */
ra_status ra_batch_begin(ra_batch b, const ra_batch_input* input, void* queue);

/*
 * [E] Begins a step of `rows` made-up sequences of kv_len tokens each, of which q_len are new: for
 * warming up, measuring, and capturing a graph. It takes no page, reads whatever some pages hold
 * and writes none: k and v may be null, and are not kept if given. Results mean nothing and may be
 * NaN; time and shapes are as in a real step without sharing. End it by abort, or by commit without
 * kept.
 *
 * Errors: RA_ERROR_STATE: the batch has an open step. RA_ERROR_BUSY: another thread uses it.
 * RA_ERROR_ARGUMENT: rows or q_len is negative, kv_len is below q_len, rows * kv_len is above
 * 2^31 - 1, the batch's bounds are passed, or a queue on the CPU.
 */
ra_status ra_batch_begin_dummy(ra_batch b, int64_t rows, int64_t q_len, int64_t kv_len,
                               void* queue);

/*
 * [E] One layer of the open step: puts k and v of the new tokens into their slots, then computes
 * out and lse for every row, as section 3 says. Allocates nothing and waits for no device; with
 * RA_PLAN_GRAPH it can be captured, and the graph replayed after later begins of this batch with
 * the same arguments (pointers included). Capture a step like those to come: its sizes are those of
 * the launches, and a later step is right with any, only not as fast.
 *
 * k and v must be given, but not for a layer with a kv_layer, whose source must have been attended
 * first in this step, and not if the step appends nothing. With q and out both null it only
 * appends, so that ra_batch_attend_worker can follow. A layer may be attended any number of times
 * in a step, in any order of layers; the same k and v again change nothing.
 *
 * Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
 * RA_ERROR_ARGUMENT: no such layer, or never set; q or out is null; k or v missing, or given though
 * it must not be; sinks or slopes that the layer does not use, or missing ones that it does; slots
 * is given; a stride, alignment, scale or soft-cap; a queue on the CPU. RA_ERROR_UNSUPPORTED:
 * q_scale or out_scale is given.
 */
ra_status ra_batch_attend(ra_batch b, int64_t layer, const ra_attend_args* a, void* queue);

/*
 * [H] The attention of one layer by the caller's own threads, on CPU contexts only. Each of
 * num_workers threads calls it once per layer and step, with its own `worker`, 0 .. num_workers -
 * 1, and otherwise equal arguments; each draws work until none is left, and none waits for another.
 * out and lse are complete when all calls have returned, which the caller's own barrier finds out;
 * only then may calls for another layer begin. A call for a layer whose work of this step is all
 * drawn does nothing.
 *
 * k and v must be null: they are in the pages already, by a ra_batch_attend with q and out null (or
 * the layer has a kv_layer). No other function of the batch may run meanwhile.
 *
 * Errors: RA_ERROR_UNSUPPORTED: not a CPU context. RA_ERROR_STATE: no open step, or calls for
 * another layer of the same group have not all returned. RA_ERROR_BUSY: another kind of call uses
 * the batch. RA_ERROR_ARGUMENT: worker or num_workers is out of bounds, k and v are given, or as in
 * ra_batch_attend.
 */
ra_status ra_batch_attend_worker(ra_batch b, int64_t layer, const ra_attend_args* a, int64_t worker,
                                 int64_t num_workers);

/*
 * [E] Ends the step and makes new tokens part of their sequences. `kept` null: all of them. Else
 * sequence i keeps kept[i] of its new tokens, 0 .. q_len (0 with RA_ROW_NEW_ABSENT), and num_kept
 * is the number of sequences: those that `index` names, or without it the first ones. `index`
 * holds, for one sequence after the other, the kept tokens' places among its new ones, ascending:
 * an accepted path of a draft tree. Their K and V are moved together, in all layers, and the tokens
 * get consecutive positions: give tree tokens the position embedding of their depth, not of their
 * slot. Pages no longer needed, of rejected tokens and behind windows, are given back.
 *
 * Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
 * RA_ERROR_ARGUMENT: a count or index is out of bounds, num_kept or num_index does not fit, index
 * without kept, or a queue on the CPU. The step then stays open.
 */
ra_status ra_batch_commit(ra_batch b, const int64_t* kept, int64_t num_kept, const int64_t* index,
                          int64_t num_index, void* queue);

/*
 * [R] Will commit counts that only the device knows. This version answers RA_ERROR_UNSUPPORTED, or
 * RA_ERROR_HANDLE, and leaves the step open: use ra_batch_commit.
 */
ra_status ra_batch_commit_device(ra_batch b, const int32_t* kept, void* queue);

/*
 * [E] Ends the step as if it had never begun: its pages return, to be reused after the queue's
 * work, and its sequences are as they were.
 *
 * Errors: RA_ERROR_STATE: no open step. RA_ERROR_BUSY: another thread uses the batch.
 * RA_ERROR_ARGUMENT: a queue on the CPU.
 */
ra_status ra_batch_abort(ra_batch b, void* queue);

/*
 * [H] What was planned for a layer group in the step that was begun last, dummy ones included, open
 * or ended: an RA_PLAN_INFO_*.
 *
 * Errors: RA_ERROR_STATE: no step was ever begun. RA_ERROR_BUSY: another thread uses the batch.
 * RA_ERROR_ARGUMENT: no such group or property.
 */
ra_status ra_batch_query(ra_batch b, int64_t group, int32_t property, int64_t* value_out);

/* [C] Gives the handle up. An open step is aborted, and a warning logged. */
void ra_batch_release(ra_batch b);

/*
 * 14 THE TABLE FOR DLOPEN
 *
 * Every function of this header but ra_get_api, which returns it, under its name without "ra_".
 * Later versions add entries at the end only; struct_size, in bytes, tells a host what it has.
 *
 *     void* library = dlopen("librelayattn.so.0", RTLD_NOW);
 *     const ra_api* (*get)(int64_t) = (const ra_api* (*)(int64_t))dlsym(library, "ra_get_api");
 *     const ra_api* ra = get(RA_VERSION);
 *     ra->context_options_init(&options, sizeof options);
 *
 * Do not dlclose the library while an object of it is alive.
 */
struct ra_api {
    int64_t struct_size;
    int64_t (*version)(void);
    int64_t (*last_error)(char* text, int64_t size);
    const char* (*status_name)(ra_status status);
    ra_status (*context_options_init)(ra_context_options* o, int64_t struct_size);
    ra_status (*context_create)(const ra_context_options* o, ra_context* out);
    ra_status (*context_set_log)(ra_context c, ra_log_fn log, void* user);
    ra_status (*context_query)(ra_context c, int32_t property, int64_t* value_out);
    void (*context_release)(ra_context c);
    ra_status (*layer_options_init)(ra_layer_options* o, int64_t struct_size);
    ra_status (*model_create)(int64_t num_layers, ra_model* out);
    ra_status (*model_set_layers)(ra_model m, int64_t first, int64_t count,
                                  const ra_layer_options* o);
    ra_status (*model_layer_group)(ra_model m, int64_t layer, int64_t* group_out);
    ra_status (*context_supports)(ra_context c, ra_model m, int64_t page_size, int32_t plan_flags);
    void (*model_release)(ra_model m);
    ra_status (*plan_options_init)(ra_plan_options* o, int64_t struct_size);
    ra_status (*merge_state)(ra_context c, const ra_merge_args* a, void* queue);
    ra_status (*cache_options_init)(ra_cache_options* o, int64_t struct_size);
    ra_status (*cache_memory)(ra_context c, ra_model m, const ra_cache_options* o,
                              int64_t* bytes_out);
    ra_status (*cache_create)(ra_context c, ra_model m, const ra_cache_options* o, ra_cache* out);
    ra_status (*cache_pages)(ra_cache k, int64_t group, int64_t* total_out, int64_t* free_out);
    ra_status (*cache_layer)(ra_cache k, int64_t layer, ra_page_layout* layout_out,
                             ra_layer_memory* memory_out);
    void (*cache_release)(ra_cache k);
    ra_status (*prefix_create)(ra_cache k, ra_prefix parent, int64_t num_tokens, ra_prefix* out);
    ra_status (*prefix_write)(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv,
                              void* queue);
    ra_status (*prefix_read)(ra_prefix p, int64_t layer, int64_t pos, const ra_kv* kv, void* queue);
    ra_status (*prefix_seal)(ra_prefix p, void* queue);
    ra_status (*prefix_from_sequence)(ra_sequence s, int64_t num_tokens, ra_prefix* out);
    ra_status (*prefix_split)(ra_prefix p, int64_t num_tokens, ra_prefix* head_out);
    ra_status (*prefix_length)(ra_prefix p, int64_t* own_out, int64_t* total_out);
    ra_status (*prefix_save)(ra_prefix p, void* bytes, int64_t size, int64_t* size_out);
    ra_status (*prefix_load)(ra_cache k, ra_prefix parent, const void* bytes, int64_t size,
                             ra_prefix* out);
    void (*prefix_release)(ra_prefix p);
    ra_status (*sequence_attach)(ra_cache k, ra_prefix p, ra_sequence* out);
    ra_status (*sequence_fork)(ra_sequence s, ra_sequence* out);
    ra_status (*sequence_truncate)(ra_sequence s, int64_t length);
    ra_status (*sequence_length)(ra_sequence s, int64_t* length_out, int64_t* min_out);
    ra_status (*sequence_erase)(ra_sequence s, int64_t pos, int64_t n);
    ra_status (*sequence_pages)(ra_sequence s, int64_t group, int32_t* pages, int64_t max_pages,
                                int64_t* num_out);
    void (*sequence_release)(ra_sequence s);
    ra_status (*batch_memory)(ra_cache k, const ra_plan_options* o, int64_t* scratch_out,
                              int64_t* metadata_out);
    ra_status (*batch_create)(ra_cache k, const ra_plan_options* o, ra_batch* out);
    ra_status (*batch_pages_needed)(ra_batch b, const ra_batch_input* input, int64_t group,
                                    int64_t* pages_out);
    ra_status (*batch_begin)(ra_batch b, const ra_batch_input* input, void* queue);
    ra_status (*batch_begin_dummy)(ra_batch b, int64_t rows, int64_t q_len, int64_t kv_len,
                                   void* queue);
    ra_status (*batch_attend)(ra_batch b, int64_t layer, const ra_attend_args* a, void* queue);
    ra_status (*batch_attend_worker)(ra_batch b, int64_t layer, const ra_attend_args* a,
                                     int64_t worker, int64_t num_workers);
    ra_status (*batch_commit)(ra_batch b, const int64_t* kept, int64_t num_kept,
                              const int64_t* index, int64_t num_index, void* queue);
    ra_status (*batch_commit_device)(ra_batch b, const int32_t* kept, void* queue);
    ra_status (*batch_abort)(ra_batch b, void* queue);
    ra_status (*batch_query)(ra_batch b, int64_t group, int32_t property, int64_t* value_out);
    void (*batch_release)(ra_batch b);
};

#ifdef __cplusplus
}
#endif

#endif
