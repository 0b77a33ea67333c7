"""Every status but RA_ERROR_INTERNAL, by calls that fail in the same way on every machine."""
from reference import BF16, F16, F32, Layer, WINDOW_SLIDING

STATUSES = {
    "RA_OK": 0, "RA_ERROR_ARGUMENT": -1, "RA_ERROR_HANDLE": -2, "RA_ERROR_STATE": -3,
    "RA_ERROR_BUSY": -4, "RA_ERROR_UNSUPPORTED": -5, "RA_ERROR_MEMORY": -6, "RA_ERROR_PAGES": -7,
    "RA_ERROR_NOT_RETAINED": -8, "RA_ERROR_DEVICE": -9, "RA_ERROR_INTERNAL": -10,
}
ARGUMENT = {"status": STATUSES["RA_ERROR_ARGUMENT"]}
HANDLE = {"status": STATUSES["RA_ERROR_HANDLE"], "misuse": "handle"}
STATE = {"status": STATUSES["RA_ERROR_STATE"]}
STEP = {**STATE, "misuse": "state"}
BUSY = {"status": STATUSES["RA_ERROR_BUSY"]}
UNSUPPORTED = {"status": STATUSES["RA_ERROR_UNSUPPORTED"]}
MEMORY = {"status": STATUSES["RA_ERROR_MEMORY"]}
PAGES = {"status": STATUSES["RA_ERROR_PAGES"]}
DEVICE = {"status": STATUSES["RA_ERROR_DEVICE"]}

LAYER = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=32, head_dim_v=32)


def changed(**fields):
    return Layer(**{**LAYER.__dict__, **fields})


def tell(s):
    devices(s)
    models(s)
    s.model_create("f.model", 3)
    s.model_set_layers("f.model", 0, 2, LAYER)  # layer 2 stays unset
    caches(s)
    s.cache_create("f.cache", "cpu", "f.model", 8, 64)
    s.cache_create("f.other", "cpu", "f.model", 8, 64)
    prefixes(s)
    s.sequence_attach("f.a", "f.cache", "f.root")
    s.sequence_attach("f.b", "f.cache", "f.root")
    batches(s)
    steps(s)
    released(s)


def devices(s):
    s.context_create("f.none", backend=2, ordinal=9999, **DEVICE)
    s.context_create("f.none", backend=1, ordinal=1, **DEVICE)
    s.context_create("f.none", num_threads=1025, **ARGUMENT)
    s.context_create("f.none", backend=7, **{**ARGUMENT, "misuse": "number"})


def models(s):
    s.model_create("f.none", 0, **ARGUMENT)
    s.model_create("f.none", 65537, **ARGUMENT)
    s.model_create("f.m", 2)
    for fields in ({"head_dim_k": 37}, {"head_dim_v": 264}, {"num_q_heads": 3, "num_kv_heads": 2},
                   {"num_kv_heads": 65537}, {"window_kind": WINDOW_SLIDING},
                   {"window_kind": WINDOW_SLIDING, "window": 8, "retain": 3}, {"kv_layer": 0},
                   {"logit_softcap": -1.0}, {"num_q_heads": 2**31 + 1}):
        s.model_set_layers("f.m", 0, 1, changed(**fields), **ARGUMENT)
    s.model_set_layers("f.m", 1, 2, LAYER, **ARGUMENT)
    s.model_set_layers("f.m", 0, 1, changed(k_dtype=BF16, v_dtype=F16), **UNSUPPORTED)
    s.model_set_layers("f.m", 0, 1, changed(q_dtype=99), **{**ARGUMENT, "misuse": "number"})
    s.model_layer_group("f.m", 1, 0, **ARGUMENT)
    s.context_supports("cpu", "f.m", **STATE)
    s.cache_create("f.none", "cpu", "f.m", 0, 64, **STATE)
    s.release("f.m")


def caches(s):
    s.context_supports("cpu", "f.model", plan_flags=1, **UNSUPPORTED)
    s.context_supports("cpu", "f.model", page_size=65537, **ARGUMENT)
    s.cache_create("f.none", "cpu", "f.model", 8, 0, **ARGUMENT)
    s.cache_create("f.none", "cpu", "f.model", 8, 2**31, **ARGUMENT)
    s.cache_create("f.none", "cpu", "f.model", 65537, 64, **ARGUMENT)
    # 2^58 bytes, more than an address space has.
    s.model_create("f.huge", 1)
    s.model_set_layers("f.huge", 0, 1, Layer(num_q_heads=65536, num_kv_heads=65536, head_dim_k=256,
                                             head_dim_v=256))
    s.cache_create("f.none", "cpu", "f.huge", 0, 2**31 - 1, **MEMORY)
    s.release("f.huge")


def prefixes(s):
    s.prefix_create("f.none", "f.cache", "", 0, **ARGUMENT)
    s.prefix_create("f.none", "f.cache", "", 65, **PAGES)
    s.prefix_create("f.root", "f.cache", "", 10)
    s.prefix_write("f.root", 0, 5, 6, **ARGUMENT)
    s.prefix_write("f.root", 3, 0, 1, **ARGUMENT)
    s.sequence_attach("f.none", "f.cache", "f.root", **STATE)
    s.prefix_create("f.none", "f.cache", "f.root", 1, **STATE)
    s.prefix_split("f.none", "f.root", 5, **STATE)
    for layer in (0, 1):
        s.prefix_write("f.root", layer, 0, 10)
    s.prefix_seal("f.root")
    s.prefix_seal("f.root", **STATE)
    s.prefix_write("f.root", 0, 0, 1, **STATE)
    s.prefix_split("f.none", "f.root", 10, **ARGUMENT)
    s.prefix_create("f.none", "f.other", "f.root", 1, **ARGUMENT)
    s.sequence_attach("f.none", "f.other", "f.root", **ARGUMENT)


def batches(s):
    s.batch_create("f.none", "f.cache", max_rows=2**31, **ARGUMENT)
    s.batch_create("f.none", "f.cache", max_rows=1, max_tokens=1, flags=1, **UNSUPPORTED)
    s.batch_create("f.none", "f.cache", mode=3, **{**ARGUMENT, "misuse": "number"})
    s.batch_create("f.batch", "f.cache", max_rows=2, max_tokens=70)
    s.batch_create("f.second", "f.cache")


def steps(s):
    s.sequence_attach("f.far", "f.other", "")
    s.batch_attend("f.batch", 0, **STEP)
    s.batch_commit("f.batch", **STEP)
    s.batch_abort("f.batch", **STEP)
    s.batch_query("f.batch", 0, 2, 0, **STATE)
    s.batch_begin("f.batch", ["f.a"], [1, 1], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a", "f.a"], [1, 1], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a", "f.far"], [1, 1], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a"], [71], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a"], [2**31], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a"], [1], trees=[[[0]]], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a", "f.b"], [1, 1], spans=[(2, 0, 1)], **ARGUMENT)
    s.batch_begin("f.batch", ["f.a", "f.b"], [1, 60], **PAGES)
    s.cache_pages("f.cache", 0, 8, 6)
    s.batch_begin("f.batch", ["f.a", "f.b"], [1, 2])
    s.batch_begin("f.batch", ["f.a", "f.b"], [1, 2], **STEP)
    s.batch_begin("f.second", ["f.b"], [1], **BUSY)
    s.sequence_fork("f.none", "f.a", **BUSY)
    s.sequence_truncate("f.a", 2, **BUSY)
    s.prefix_from_sequence("f.none", "f.a", 2, **BUSY)
    s.batch_attend("f.batch", 2**31 + 1, **ARGUMENT)
    s.batch_attend("f.batch", 2, **ARGUMENT)
    s.batch_attend("f.batch", 0, sinks=[1.0, 1.0], **ARGUMENT)
    s.batch_attend("f.batch", 0, logit_softcap=-1.0, **ARGUMENT)
    s.batch_attend("f.batch", 0, without_kv=True, **{**ARGUMENT, "misuse": "null"})
    for layer in (0, 1):
        s.batch_attend("f.batch", layer)
    s.batch_commit("f.batch", kept=[1, 3], **ARGUMENT)
    s.batch_commit("f.batch", kept=[1, 1], index=[0, 2], **ARGUMENT)
    s.batch_query("f.batch", 0, 99, 0, **{**ARGUMENT, "misuse": "number"})
    s.batch_commit("f.batch")
    s.sequence_truncate("f.a", 12, **ARGUMENT)
    s.prefix_from_sequence("f.none", "f.far", -1, **ARGUMENT)
    s.cache_pages("f.cache", 1, 8, 4, **ARGUMENT)
    s.cache_pages("f.cache", 0, 8, 4)


def released(s):
    """A handle that was released is refused by whatever takes one."""
    s.release("f.b", "f.b", "f.second")
    s.sequence_fork("f.none", "f.b", **HANDLE)
    s.sequence_length("f.b", **HANDLE)
    s.batch_begin("f.batch", ["f.a", "f.b"], [1, 1], **HANDLE)
    s.batch_begin("f.second", ["f.a"], [1], **HANDLE)
    s.release("f.root")
    s.prefix_length("f.root", **HANDLE)
    s.sequence_attach("f.none", "f.cache", "f.root", **HANDLE)
    s.release("f.cache", "f.model")
    s.prefix_create("f.none", "f.cache", "", 1, **HANDLE)
    s.cache_create("f.none", "cpu", "f.model", 8, 64, **HANDLE)
    # What is left still works, whatever it needs having lost its handle.
    s.batch_begin("f.batch", ["f.a"], [1])
    for layer in (0, 1):
        s.batch_attend("f.batch", layer)
    s.batch_commit("f.batch")
    s.release("f.a", "f.batch", "f.far", "f.other")
