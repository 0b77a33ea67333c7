"""Writes down calls of the C API, and carries them out on lists of tokens to know their answers."""
import json
import math

import reference
from reference import Layer

FIELDS = list(Layer.__dataclass_fields__)
MINUS_INFINITY = -1e300  # JSON has none


class Model:
    def __init__(self, num_layers):
        self.layers = [None] * num_layers

    def like(self, layer):
        """The options of a layer; of another one if it is not there, for calls that fail."""
        found = self.layers[layer] if layer < len(self.layers) else None
        return found or next(filter(None, self.layers))

    def source(self, layer):
        own = self.layers[layer].kv_layer
        return layer if own < 0 else own


class Prefix:
    def __init__(self, parent, tokens):
        self.parent, self.tokens, self.sealed = parent, tokens, False

    def chain(self):
        return (self.parent.chain() if self.parent else []) + self.tokens


class Sequence:
    def __init__(self, chain, start, cache):
        self.chain, self.cache = list(chain), cache
        self.start = start  # where its own tokens begin
        self.base = None  # the prefix that ends there


def plain(values):
    """Seven digits after the point say all that float32 can."""
    return [MINUS_INFINITY if x == -math.inf else round(x, 7) + 0.0 for x in values]


class Script:
    """One method for each operation of README.md. `status` other than 0 changes nothing here."""

    def __init__(self):
        self.operations, self.objects, self.seed = [], {"": None}, 0

    def note(self, op, status=0, misuse="", **fields):
        self.operations.append({"op": op, "status": status, "misuse": misuse, **fields})
        return status == 0

    def fresh_seed(self):
        self.seed = (self.seed + 7919) % 2**31
        return self.seed

    @staticmethod
    def rows(seed, count, size):
        return reference.rows_of(reference.generate(seed, count * size), size)

    # --- set-up

    def context_create(self, out, backend=1, ordinal=0, num_threads=1, **more):
        self.note("context_create", out=out, backend=backend, ordinal=ordinal,
                  num_threads=num_threads, **more)

    def model_create(self, out, num_layers, **more):
        if self.note("model_create", out=out, num_layers=num_layers, **more):
            self.objects[out] = Model(num_layers)

    def model_set_layers(self, model, first, count, layer, **more):
        fields = {name: getattr(layer, name) for name in FIELDS}
        if self.note("model_set_layers", model=model, first=first, count=count, **fields, **more):
            self.objects[model].layers[first : first + count] = [layer] * count

    def model_layer_group(self, model, layer, group, **more):
        self.note("model_layer_group", model=model, layer=layer, group=group, **more)

    def context_supports(self, context, model, page_size=0, plan_flags=0, **more):
        self.note("context_supports", context=context, model=model, page_size=page_size,
                  plan_flags=plan_flags, **more)

    def cache_create(self, out, context, model, page_size, capacity_tokens, max_sequences=0, **more):
        if self.note("cache_create", out=out, context=context, model=model, page_size=page_size,
                     capacity_tokens=capacity_tokens, max_sequences=max_sequences, **more):
            self.objects[out] = self.objects[model]

    def cache_pages(self, cache, group, total, free, **more):
        self.note("cache_pages", cache=cache, group=group, total=total, free=free, **more)

    def release(self, *names):
        for name in names:
            self.note("release", object=name)

    # --- prefixes

    def prefix_create(self, out, cache, parent, num_tokens, **more):
        if self.note("prefix_create", out=out, cache=cache, parent=parent, num_tokens=num_tokens,
                     **more):
            prefix = Prefix(self.objects[parent], [{} for _ in range(num_tokens)])
            prefix.model = self.objects[cache]
            self.objects[out] = prefix

    def prefix_write(self, prefix, layer, pos, num_tokens, **more):
        p = self.objects[prefix]
        options = p.model.like(layer)
        k, v = self.fresh_seed(), self.fresh_seed()
        sizes = [num_tokens * options.num_kv_heads * dim
                 for dim in (options.head_dim_k, options.head_dim_v)]
        if not self.note("prefix_write", prefix=prefix, layer=layer, pos=pos,
                         num_tokens=num_tokens, dtype=options.k_dtype, k=k, k_size=sizes[0], v=v,
                         v_size=sizes[1], **more):
            return
        rows_k, rows_v = (self.rows(seed, num_tokens, size // num_tokens)
                          for seed, size in zip((k, v), sizes))
        for i in range(num_tokens):
            p.tokens[pos + i][layer] = (rows_k[i], rows_v[i])

    def prefix_read(self, prefix, layer, **more):
        """Reads what the last prefix_write to this layer has written."""
        write = [o for o in self.operations if o["op"] == "prefix_write" and o["status"] == 0 and
                 o["prefix"] == prefix and o["layer"] == layer][-1]
        self.operations.append({**write, **more, "op": "prefix_read"})

    def prefix_fill(self, out, cache, parent, num_tokens, split=0):
        """Creates, writes every layer that has K and V of its own in one or two calls, seals."""
        self.prefix_create(out, cache, parent, num_tokens)
        for layer, options in enumerate(self.objects[cache].layers):
            if options is None or options.kv_layer >= 0:
                continue
            if split:
                self.prefix_write(out, layer, split, num_tokens - split)
            self.prefix_write(out, layer, 0, split or num_tokens)
        self.prefix_seal(out)

    def prefix_seal(self, prefix, **more):
        if self.note("prefix_seal", prefix=prefix, **more):
            self.objects[prefix].sealed = True

    def prefix_from_sequence(self, out, sequence, num_tokens, **more):
        if not self.note("prefix_from_sequence", out=out, sequence=sequence,
                         num_tokens=num_tokens, **more):
            return
        s = self.objects[sequence]
        end = len(s.chain) if num_tokens < 0 else num_tokens
        inside = end <= s.start
        prefix = Prefix(None if inside else s.base, s.chain[0 if inside else s.start : end])
        prefix.model = s.cache
        s.base, s.start = (s.base, s.start) if inside else (prefix, end)
        self.objects[out] = prefix

    def prefix_split(self, out, prefix, num_tokens, **more):
        if not self.note("prefix_split", out=out, prefix=prefix, num_tokens=num_tokens, **more):
            return
        p = self.objects[prefix]
        head = Prefix(p.parent, p.tokens[:num_tokens])
        head.model = p.model
        p.parent, p.tokens = head, p.tokens[num_tokens:]
        self.objects[out] = head

    def prefix_length(self, prefix, **more):
        p = self.objects.get(prefix)
        own, total = (len(p.tokens), len(p.chain())) if p else (0, 0)
        self.note("prefix_length", prefix=prefix, own=own, total=total, **more)

    # --- sequences

    def sequence_attach(self, out, cache, prefix, **more):
        if self.note("sequence_attach", out=out, cache=cache, prefix=prefix, **more):
            p = self.objects[prefix]
            chain = p.chain() if p else []
            self.objects[out] = Sequence(chain, len(chain), self.objects[cache])
            self.objects[out].base = p

    def sequence_fork(self, out, sequence, **more):
        if self.note("sequence_fork", out=out, sequence=sequence, **more):
            s = self.objects[sequence]
            self.objects[out] = Sequence(s.chain, s.start, s.cache)
            self.objects[out].base = s.base

    def sequence_truncate(self, sequence, length, **more):
        if self.note("sequence_truncate", sequence=sequence, length=length, **more):
            s = self.objects[sequence]
            del s.chain[length:]

    def sequence_length(self, sequence, minimum=0, **more):
        length = len(self.objects[sequence].chain)
        self.note("sequence_length", sequence=sequence, length=length, min=minimum, **more)

    def sequence_pages(self, sequence, group, num, **more):
        self.note("sequence_pages", sequence=sequence, group=group, num=num, **more)

    # --- the rest

    def merge_state(self, context, num_tokens, num_heads, head_dim, a_lse, b_lse, base2=0, **more):
        a, b = self.fresh_seed(), self.fresh_seed()
        out, lse = reference.merge(
            self.rows(a, num_tokens * num_heads, head_dim), a_lse,
            self.rows(b, num_tokens * num_heads, head_dim), b_lse, 2 if base2 else math.e)
        self.note("merge_state", context=context, num_tokens=num_tokens, num_heads=num_heads,
                  head_dim=head_dim, a=a, b=b, a_lse=a_lse, b_lse=b_lse, lse_base2=base2,
                  out_values=plain(out), lse_values=plain(lse), **more)

    def text(self, statuses):
        lines = [json.dumps(o, separators=(",", ":")) for o in self.operations]
        return ('{"format":1,"statuses":' + json.dumps(statuses, separators=(",", ":")) +
                ',\n"operations":[\n' + ",\n".join(lines) + "\n]}\n")
