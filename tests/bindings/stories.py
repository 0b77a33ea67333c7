"""What happens in the scenario. Each function is a story of its own, with its own objects."""
import crowd
import failures
from reference import BF16, F16, F32, Layer, NEW_ABSENT, NONCAUSAL, WINDOW_CHUNKED, WINDOW_SLIDING
from failures import STATUSES

PAGE = 8


def tell(s):
    s.context_create("cpu", num_threads=1)
    s.context_create("cpu2", num_threads=2)
    tree_of_prefixes(s)
    cuts(s)
    masks(s)
    windows(s)
    for dtype, name in ((BF16, "bf16"), (F16, "f16")):
        small_dtypes(s, dtype, name)
    modes(s)
    merging(s)
    crowd.tell(s)
    failures.tell(s)
    s.release("cpu", "cpu2")


def begin_model(s, name, context, layers, capacity, page=PAGE):
    """A model and a cache, named after the story."""
    s.model_create(f"{name}.model", len(layers))
    for i, layer in enumerate(layers):
        if layer is not None:
            s.model_set_layers(f"{name}.model", i, 1, layer)
    s.cache_create(f"{name}.cache", context, f"{name}.model", page, capacity)


def step(s, batch, sequences, q_lens, layers, kept=(), index=(), **more):
    """One whole step. `layers` has, for each layer to attend, more arguments of its attend."""
    s.batch_begin(batch, sequences, q_lens, **more)
    for layer, arguments in layers.items():
        s.batch_attend(batch, layer, **arguments)
    s.batch_commit(batch, kept, index)
    for name in sequences:
        s.sequence_length(name, -1)


FULL = Layer(num_q_heads=4, num_kv_heads=2, head_dim_k=32, head_dim_v=32)
ODD = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=40, head_dim_v=32, softmax_scale=0.25,
            logit_softcap=5.0)
BORROWS = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=40, head_dim_v=32, kv_layer=2,
                uses_sinks=1)
TREE_LAYERS = {0: {}, 1: {"want_lse": 0}, 2: {}, 3: {"sinks": [0.5, -1.25]}}


def tree_of_prefixes(s):
    """Requests under three levels of prefixes join, grow by unlike counts, and leave."""
    begin_model(s, "tree", "cpu2", [FULL, FULL, ODD, BORROWS, None], 512)
    s.model_layer_group("tree.model", 1, 0)
    s.model_layer_group("tree.model", 2, 1)
    s.context_supports("cpu2", "tree.model")
    s.cache_pages("tree.cache", 0, 64, 64)
    s.prefix_fill("tree.root", "tree.cache", "", 20, split=13)
    s.prefix_read("tree.root", 2)
    s.prefix_fill("tree.a", "tree.cache", "tree.root", 5)
    s.prefix_fill("tree.aa", "tree.cache", "tree.a", 3)
    s.prefix_fill("tree.b", "tree.cache", "tree.root", 9)
    s.prefix_length("tree.aa")
    s.cache_pages("tree.cache", 1, 64, 64 - 3 - 1 - 1 - 2)
    names = [f"tree.s{i}" for i in range(5)]
    for name, prefix in zip(names, ("tree.root", "tree.a", "tree.aa", "tree.b", "")):
        s.sequence_attach(name, "tree.cache", prefix)
    s.release("tree.a")  # lives on under aa and s1
    s.batch_create("tree.batch", "tree.cache")
    s.batch_pages_needed("tree.batch", names, [1, 1, 1, 1, 9], 0, 4 + 2)
    step(s, "tree.batch", names, [1, 1, 1, 1, 3], TREE_LAYERS)
    s.sequence_pages("tree.s3", 0, 3 + 2 + 1)
    step(s, "tree.batch", names, [2, 0, 1, 4, 1], TREE_LAYERS, kept=[1, 0, 1, 2, 1])
    s.release("tree.s1")
    step(s, "tree.batch", [names[3], names[0]], [1, 1], {**TREE_LAYERS, 0: {"softmax_scale": 0.5}})
    s.batch_begin("tree.batch", names[:1] + names[2:], [0, 0, 0, 0])
    s.attend_all("tree.batch", [0, 2])
    s.batch_commit("tree.batch")
    step(s, "tree.batch", [], [], {0: {}})
    s.release("tree.model", *names[2:], names[0], "tree.aa",
              "tree.root", "tree.b", "tree.batch")
    s.cache_pages("tree.cache", 0, 64, 64)
    s.release("tree.cache")


def cuts(s):
    """Forks, truncations, frozen sequences and split prefixes; a step that is aborted."""
    layers = {0: {}, 1: {}}
    begin_model(s, "cuts", "cpu", [ODD, ODD], 512)
    s.prefix_fill("cuts.root", "cuts.cache", "", 21)
    s.sequence_attach("cuts.a", "cuts.cache", "cuts.root")
    s.batch_create("cuts.batch", "cuts.cache")
    step(s, "cuts.batch", ["cuts.a"], [3], layers)
    s.sequence_fork("cuts.b", "cuts.a")
    s.sequence_length("cuts.b")
    step(s, "cuts.batch", ["cuts.a", "cuts.b"], [1, 2], layers)
    s.batch_begin("cuts.batch", ["cuts.b"], [5])
    s.attend_all("cuts.batch", [0, 1])
    s.batch_abort("cuts.batch")
    s.sequence_length("cuts.b")
    s.sequence_truncate("cuts.b", 24)
    s.sequence_truncate("cuts.a", 10)  # into the prefix
    step(s, "cuts.batch", ["cuts.b", "cuts.a"], [1, 1], layers)
    s.sequence_attach("cuts.c", "cuts.cache", "")
    step(s, "cuts.batch", ["cuts.c"], [10], {0: {"want_lse": 0}, 1: {"want_lse": 0}})
    s.prefix_from_sequence("cuts.frozen", "cuts.c", 6)
    s.prefix_length("cuts.frozen")
    s.sequence_attach("cuts.d", "cuts.cache", "cuts.frozen")
    step(s, "cuts.batch", ["cuts.d", "cuts.c"], [1, 1], layers)
    s.prefix_split("cuts.head", "cuts.root", 7)
    s.prefix_length("cuts.head")
    s.prefix_length("cuts.root")
    s.sequence_attach("cuts.e", "cuts.cache", "cuts.head")
    step(s, "cuts.batch", ["cuts.e", "cuts.b"], [1, 1], layers)
    s.sequence_truncate("cuts.c", 0)
    step(s, "cuts.batch", ["cuts.c"], [1], layers)
    s.release("cuts.root", "cuts.head", "cuts.frozen", "cuts.cache", "cuts.model", "cuts.batch",
              "cuts.a", "cuts.b", "cuts.c", "cuts.d", "cuts.e")


def masks(s):
    """Trees of drafts, spans, rows without causal order or without new keys, padded rows."""
    begin_model(s, "masks", "cpu", [ODD], 256)
    s.prefix_fill("masks.root", "masks.cache", "", 11)
    names = ["masks.a", "masks.b"]
    for name in names:
        s.sequence_attach(name, "masks.cache", "masks.root")
    s.batch_create("masks.tree", "masks.cache", flags=4)
    s.batch_create("masks.plain", "masks.cache")
    # 0 has the children 1 and 2; 3 goes on from 2.
    drafts = [[[0], [0, 1], [0, 2], [0, 2, 3]], [[0], [0, 1]]]
    step(s, "masks.tree", names, [4, 2], {0: {}}, kept=[3, 1], index=[0, 2, 3, 0], trees=drafts)
    step(s, "masks.tree", names, [1, 2], {0: {}})
    step(s, "masks.plain", names, [5, 2], {0: {}}, row_flags=[0, NONCAUSAL], spans=[(0, 1, 4)])
    step(s, "masks.plain", names, [1, 2], {0: {}}, row_flags=[0, NEW_ABSENT], padded=2)
    s.release("masks.tree", "masks.plain", *names, "masks.root", "masks.cache", "masks.model")


def windows(s):
    """A full, a sliding and a chunked layer; what a window has given back is not to be had."""
    full = Layer(num_q_heads=2, num_kv_heads=2, head_dim_k=32, head_dim_v=32, uses_alibi=1)
    sliding = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=32, head_dim_v=32,
                    window_kind=WINDOW_SLIDING, window=6, uses_sinks=1)
    chunked = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=32, head_dim_v=40,
                    window_kind=WINDOW_CHUNKED, window=5, retain=-1)
    layers = {0: {"slopes": [0.25, 0.0625]}, 1: {"sinks": [1.5, 0.0]}, 2: {}}
    begin_model(s, "windows", "cpu2", [full, sliding, chunked], 256, page=4)
    s.prefix_fill("windows.root", "windows.cache", "", 13)
    s.sequence_attach("windows.a", "windows.cache", "windows.root")
    s.sequence_attach("windows.b", "windows.cache", "")
    s.batch_create("windows.batch", "windows.cache")
    names = ["windows.a", "windows.b"]
    step(s, "windows.batch", names, [1, 7], layers)
    step(s, "windows.batch", names, [6, 1], layers)
    step(s, "windows.batch", names, [2, 3], layers, kept=[1, 3])
    s.batch_begin("windows.batch", names[:1], [20])
    s.attend_all("windows.batch", [1], sinks=[0.0, 0.0], want_lse=0)
    s.attend_all("windows.batch", [0], slopes=[0.5, 0.0], want_lse=0)
    s.attend_all("windows.batch", [2], want_lse=0)
    s.batch_commit("windows.batch")
    s.sequence_truncate("windows.a", 3, status=STATUSES["RA_ERROR_NOT_RETAINED"])
    s.prefix_from_sequence("windows.never", "windows.a", 15,
                           status=STATUSES["RA_ERROR_NOT_RETAINED"])
    s.prefix_split("windows.never", "windows.root", 2, status=STATUSES["RA_ERROR_NOT_RETAINED"])
    s.prefix_read("windows.root", 1, status=STATUSES["RA_ERROR_NOT_RETAINED"])
    s.sequence_truncate("windows.a", 40)
    step(s, "windows.batch", names, [1, 1], layers)
    s.release("windows.batch", *names, "windows.root", "windows.cache", "windows.model")


def small_dtypes(s, dtype, name):
    """K and V of 16 bits, with queries and outputs of 16 bits and of 32."""
    narrow = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=32, head_dim_v=32, q_dtype=dtype,
                   k_dtype=dtype, v_dtype=dtype, out_dtype=dtype)
    mixed = Layer(num_q_heads=2, num_kv_heads=1, head_dim_k=32, head_dim_v=32, q_dtype=F32,
                  k_dtype=dtype, v_dtype=dtype, out_dtype=F32)
    begin_model(s, name, "cpu", [narrow, mixed], 128)
    s.prefix_fill(f"{name}.root", f"{name}.cache", "", 18)
    s.prefix_read(f"{name}.root", 1)
    names = [f"{name}.a", f"{name}.b"]
    for sequence in names:
        s.sequence_attach(sequence, f"{name}.cache", f"{name}.root")
    s.batch_create(f"{name}.batch", f"{name}.cache")
    step(s, f"{name}.batch", names, [1, 3], {0: {}, 1: {}})
    step(s, f"{name}.batch", names, [1, 1], {0: {}, 1: {}})
    s.release(f"{name}.batch", *names, f"{name}.root", f"{name}.cache", f"{name}.model")


def modes(s):
    """The same under every mode of planning, and with bounds that the steps just reach."""
    begin_model(s, "modes", "cpu2", [FULL], 256)
    s.prefix_fill("modes.root", "modes.cache", "", 40)
    names = [f"modes.s{i}" for i in range(3)]
    for name in names:
        s.sequence_attach(name, "modes.cache", "modes.root")
    for mode, flags in ((1, 0), (2, 0), (0, 2)):
        batch = f"modes.batch{mode}"
        s.batch_create(batch, "modes.cache", max_rows=3, max_tokens=4, mode=mode, flags=flags)
        step(s, batch, names, [1, 1, 2], {0: {}})
        # One prefix and three tails; and how many of these runs are read once for all.
        s.batch_query(batch, 0, 3, 4)
        if mode:
            s.batch_query(batch, 0, 4, 1 if mode == 2 else 0)
    s.batch_begin_dummy("modes.batch0", 2, 1, 100)
    s.batch_abort("modes.batch0")
    s.release(*names, "modes.batch1", "modes.batch2", "modes.batch0", "modes.root", "modes.cache",
              "modes.model")


def merging(s):
    s.merge_state("cpu", 2, 3, 5, [0, 1, -2, 3.5, 0.25, -4], [1, 1, 2, -3.5, 0.5, 10])
    s.merge_state("cpu2", 3, 1, 32, [0, 5, -1], [0.5, -5, 1], base2=1)
