"""Attention over lists of tokens, in float64: what the scenario expects of the library.

Written from section 3 of the header alone, in Python's own numbers, which are float64.
"""
import math
from dataclasses import dataclass

F32, F16, BF16 = 1, 2, 3
WINDOW_NONE, WINDOW_SLIDING, WINDOW_CHUNKED = 0, 1, 2
NONCAUSAL, NEW_ABSENT = 1, 2


def generate(seed, count):
    """The buffer that a seed stands for; README.md has the rule."""
    state, values = seed, []
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2**31
        values.append(((state >> 16) % 255 - 127) / 64)
    return values


def rows_of(values, size):
    """A buffer as rows of `size` elements."""
    return [values[i : i + size] for i in range(0, len(values), size)]


@dataclass
class Layer:
    """The options of one layer, under their names in ra_layer_options."""

    num_q_heads: int
    num_kv_heads: int
    head_dim_k: int
    head_dim_v: int
    q_dtype: int = F32
    k_dtype: int = F32
    v_dtype: int = F32
    out_dtype: int = F32
    window_kind: int = WINDOW_NONE
    window: int = 0
    retain: int = 0
    kv_layer: int = -1
    uses_sinks: int = 0
    uses_alibi: int = 0
    softmax_scale: float = 0.0
    logit_softcap: float = 0.0


@dataclass
class Row:
    """One sequence of a step: `chain` is its committed tokens, then the new ones."""

    chain: list  # of tokens; a token maps a layer's number to its (k, v)
    length: int  # committed
    q_len: int
    flags: int = 0
    spans: tuple = ()  # (begin, end) pairs
    tree: tuple = ()  # per new token: the new tokens that it may see


def visible(layer, row, new):
    """The positions that new token number `new` of the row sees."""
    absent = row.flags & NEW_ABSENT
    end = row.length if absent else row.length + row.q_len
    i = row.length + new
    low, high = 0, i + 1
    if absent or row.flags & NONCAUSAL or row.tree:
        high = end
    for begin, stop in row.spans:
        if begin <= new < stop:
            high = max(high, row.length + stop)
    if layer.window_kind == WINDOW_SLIDING:
        low = max(0, i - layer.window + 1)
    elif layer.window_kind == WINDOW_CHUNKED:
        low = i // layer.window * layer.window
        high = min(high, low + layer.window)
    return [p for p in range(low, high)
            if not row.tree or p < row.length or p - row.length in row.tree[new]]


def softmax(scores, values, size):
    """(out, lse) of one query; a value of None takes weight and adds nothing."""
    if not scores:
        return [0.0] * size, -math.inf
    top = max(scores)
    weights = [math.exp(s - top) for s in scores]
    total = math.fsum(weights)
    out = [math.fsum(w * v[d] for w, v in zip(weights, values) if v is not None) / total
           for d in range(size)]
    return out, top + math.log(total)


def attend_head(layer, q, keys, values, distances, call, head):
    """One query of one head over its visible keys: (out, lse)."""
    scale = call["softmax_scale"] or layer.softmax_scale or layer.head_dim_k**-0.5
    cap = call["logit_softcap"] or layer.logit_softcap
    scores = [scale * math.fsum(a * b for a, b in zip(q, k)) for k in keys]
    if cap:
        scores = [cap * math.tanh(s / cap) for s in scores]
    if layer.uses_alibi:
        scores = [s - call["slopes"][head] * d for s, d in zip(scores, distances)]
    if layer.uses_sinks:
        scores, values = scores + [call["sinks"][head]], values + [None]
    return softmax(scores, values, layer.head_dim_v)


def attend(layer, source, rows, queries, call):
    """All rows of a step: (out, lse), whole buffers as lists.

    `source` is the number of the layer whose K and V are read; `queries` has a row for each head of
    each token. Padded rows are those that no row of the step accounts for.
    """
    share, heads = layer.num_q_heads // layer.num_kv_heads, layer.num_q_heads
    out, lse, at = [], [], 0
    for row in rows:
        for new in range(row.q_len):
            seen = visible(layer, row, new)
            keys = [rows_of(row.chain[p][source][0], layer.head_dim_k) for p in seen]
            values = [rows_of(row.chain[p][source][1], layer.head_dim_v) for p in seen]
            distances = [abs(p - row.length - new) for p in seen]
            for head in range(heads):
                one = attend_head(layer, queries[at * heads + head],
                                  [k[head // share] for k in keys],
                                  [v[head // share] for v in values], distances, call, head)
                out += one[0]
                lse.append(one[1])
            at += 1
    padded = len(queries) - len(lse)
    return out + [0.0] * (padded * layer.head_dim_v), lse + [-math.inf] * padded


def merge(a, a_lse, b, b_lse, base):
    """Two parts of one attention, as rows with an LSE each, which is a logarithm of `base`."""
    out, lse = [], []
    for part_a, la, part_b, lb in zip(a, a_lse, b, b_lse):
        top = max(la, lb)
        wa, wb = base ** (la - top), base ** (lb - top)
        out += [(wa * x + wb * y) / (wa + wb) for x, y in zip(part_a, part_b)]
        lse.append(top + math.log(wa + wb, base))
    return out, lse
