"""4. From Python by ctypes: the standard library and numpy, nothing compiled.

    python3 04_ctypes.py [path of librelayattn.so.0]

Three requests under one prefix, one decode step, checked against numpy."""

import ctypes as c
import sys

import numpy as np

ra = c.CDLL(sys.argv[1] if len(sys.argv) > 1 else "librelayattn.so.0")
F32 = 1  # RA_F32
I64, I32, PTR = c.c_int64, c.c_int32, c.c_void_p


def struct(name, fields):
    """A struct of the header: fields as "type name name, type name"."""
    types = {"i64": I64, "i32": I32, "f32": c.c_float, "ptr": PTR, "view": globals().get("View")}
    members = []
    for group in fields.split(","):
        kind, *names = group.split()
        members += [(n, types[kind]) for n in names]
    return type(name, (c.Structure,), {"_fields_": members})


View = struct("View", "ptr data, i64 token_stride head_stride")
ContextOptions = struct(
    "ContextOptions", "i64 struct_size, i32 backend ordinal, i64 num_threads numa_node")
LayerOptions = struct(
    "LayerOptions",
    "i64 struct_size num_q_heads num_kv_heads head_dim_k head_dim_v,"
    "i32 q_dtype k_dtype v_dtype out_dtype kv_form k_scale v_scale window_kind,"
    "i64 window retain kv_layer, i32 uses_sinks uses_alibi, f32 softmax_scale logit_softcap")
CacheOptions = struct(
    "CacheOptions", "i64 struct_size page_size capacity_tokens max_sequences,"
    "ptr memory, i64 memory_size")
PlanOptions = struct(
    "PlanOptions", "i64 struct_size max_rows max_tokens max_runs max_kv_tokens, i32 mode flags,"
    "ptr scratch, i64 scratch_size, ptr metadata, i64 metadata_size")
Kv = struct("Kv", "i64 struct_size, view k v, ptr slots, i64 num_tokens")
BatchInput = struct(
    "BatchInput", "i64 struct_size, ptr sequences, i64 num_sequences, ptr q_lens, i64 num_q_lens,"
    "ptr row_flags, i64 num_row_flags, ptr tree_mask, i64 tree_stride, ptr spans,"
    "i64 num_spans padded_tokens")
AttendArgs = struct(
    "AttendArgs", "i64 struct_size, view q out k v, ptr slots lse,"
    "i64 lse_token_stride lse_head_stride, ptr sink_logits alibi_slopes q_scale out_scale,"
    "f32 softmax_scale logit_softcap")


def call(name, *args):
    """Numbers go as int64, structs by address; a status below 0 becomes an error."""
    status = getattr(ra, name)(*[I64(a) if isinstance(a, int) else a for a in args])
    if status < 0:
        text = c.create_string_buffer(512)
        ra.ra_last_error(text, I64(512))
        raise RuntimeError(f"{name}: {text.value.decode()}")


def options(kind, init, **values):
    o = kind()
    call(init, c.byref(o), c.sizeof(o))
    for name, value in values.items():
        setattr(o, name, value)
    return c.byref(o)


def create(name, *args):
    handle = PTR()
    call(name, *args, c.byref(handle))
    return handle


def view(array):
    return View(array.ctypes.data, 0, 0)  # strides 0: dense [tokens][heads][dim]


HQ, HKV, DIM, PREFIX, REQUESTS = 8, 2, 64, 300, 3
layer = options(LayerOptions, "ra_layer_options_init", num_q_heads=HQ, num_kv_heads=HKV,
                head_dim_k=DIM, head_dim_v=DIM, q_dtype=F32, k_dtype=F32, v_dtype=F32,
                out_dtype=F32)
context = create("ra_context_create", options(ContextOptions, "ra_context_options_init"))
model = create("ra_model_create", 1)
call("ra_model_set_layers", model, 0, 1, layer)
cache = create("ra_cache_create", context, model,
               options(CacheOptions, "ra_cache_options_init", capacity_tokens=1024))
batch = create("ra_batch_create", cache, options(PlanOptions, "ra_plan_options_init"))

rng = np.random.default_rng(4)
prefix_k, prefix_v = rng.standard_normal((2, PREFIX, HKV, DIM), dtype=np.float32)
q, out = rng.standard_normal((2, REQUESTS, HQ, DIM), dtype=np.float32)
k, v = rng.standard_normal((2, REQUESTS, HKV, DIM), dtype=np.float32)

prefix = create("ra_prefix_create", cache, None, PREFIX)
kv = Kv(c.sizeof(Kv), view(prefix_k), view(prefix_v), None, PREFIX)
call("ra_prefix_write", prefix, 0, 0, c.byref(kv), None)
call("ra_prefix_seal", prefix, None)

requests = (PTR * REQUESTS)(
    *[create("ra_sequence_attach", cache, prefix).value for _ in range(REQUESTS)])
ones = (I64 * REQUESTS)(*[1] * REQUESTS)
step = BatchInput(c.sizeof(BatchInput), c.addressof(requests), REQUESTS, c.addressof(ones),
                  REQUESTS)
args = AttendArgs(c.sizeof(AttendArgs), view(q), view(out), view(k), view(v))
call("ra_batch_begin", batch, c.byref(step), None)
call("ra_batch_attend", batch, 0, c.byref(args), None)
call("ra_batch_commit", batch, None, 0, None, 0, None)

worst = 0.0
for r in range(REQUESTS):
    for h in range(HQ):
        keys = np.vstack([prefix_k[:, h // (HQ // HKV)], k[r, h // (HQ // HKV)]])
        values = np.vstack([prefix_v[:, h // (HQ // HKV)], v[r, h // (HQ // HKV)]])
        weights = np.exp(keys.astype(np.float64) @ q[r, h] / np.sqrt(DIM))
        worst = max(worst, np.abs(weights @ values / weights.sum() - out[r, h]).max())
print(f"{REQUESTS} requests share {PREFIX} tokens; largest difference from numpy: {worst:.1e}")
sys.exit(0 if worst < 1e-5 else 1)
