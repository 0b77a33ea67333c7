"""The part of a script that is about batches."""
import reference
from reference import Row
from script import Script, plain


class Step:
    """An open step of a batch, as attend and commit need it."""

    def __init__(self, sequences, rows, padded):
        self.sequences, self.rows, self.padded = sequences, rows, padded
        self.tokens = sum(row.q_len for row in rows)
        self.attended = {}


class StepScript(Script):
    def batch_create(self, out, cache, max_rows=0, max_tokens=0, mode=0, flags=0, **more):
        if self.note("batch_create", out=out, cache=cache, max_rows=max_rows,
                     max_tokens=max_tokens, mode=mode, flags=flags, **more):
            self.objects[out] = {"model": self.objects[cache], "step": None}

    @staticmethod
    def step_fields(sequences, q_lens, row_flags=(), trees=(), spans=(), padded=0):
        """`trees` has, per row, the list of visible new tokens of each of its new tokens."""
        mask, stride = [], 0
        if trees:
            stride = -(-max(q_lens) // 8)
            for rows in trees:
                for seen in rows:
                    mask += list(sum(1 << j for j in seen).to_bytes(stride, "little"))
        return {"sequences": list(sequences), "q_lens": list(q_lens),
                "row_flags": list(row_flags), "tree_mask": mask, "tree_stride": stride,
                "spans": [n for span in spans for n in span], "padded_tokens": padded}

    def batch_begin(self, batch, sequences, q_lens, *, row_flags=(), trees=(), spans=(), padded=0,
                    **more):
        fields = self.step_fields(sequences, q_lens, row_flags, trees, spans, padded)
        if not self.note("batch_begin", batch=batch, **fields, **more):
            return
        rows = []
        for i, name in enumerate(sequences):
            chain = self.objects[name].chain
            rows.append(Row(
                chain=list(chain) + [{} for _ in range(q_lens[i])], length=len(chain),
                q_len=q_lens[i], flags=row_flags[i] if row_flags else 0,
                spans=tuple((b, e) for r, b, e in spans if r == i),
                tree=tuple(trees[i]) if trees else ()))
        self.objects[batch]["step"] = Step(list(sequences), rows, padded)

    def batch_begin_dummy(self, batch, rows, q_len, kv_len, **more):
        self.note("batch_begin_dummy", batch=batch, rows=rows, q_len=q_len, kv_len=kv_len, **more)

    def batch_pages_needed(self, batch, sequences, q_lens, group, pages, **more):
        self.note("batch_pages_needed", batch=batch, **self.step_fields(sequences, q_lens),
                  group=group, pages=pages, **more)

    def batch_attend(self, batch, layer, *, want_lse=1, sinks=(), slopes=(), softmax_scale=0.0,
                     logit_softcap=0.0, without_kv=False, **more):
        model, step = self.objects[batch]["model"], self.objects[batch]["step"]
        options = model.like(layer)
        tokens = step.tokens if step else 1
        total = tokens + (step.padded if step else 0)
        borrows = options.kv_layer >= 0
        k, v = (0, 0) if borrows or without_kv else (self.fresh_seed(), self.fresh_seed())
        if layer in (step.attended if step else {}):  # the same again, as the header asks for
            k, v = step.attended[layer]
        q = self.fresh_seed()
        call = {"sinks": list(sinks), "slopes": list(slopes), "softmax_scale": softmax_scale,
                "logit_softcap": logit_softcap}
        fields = {"q": q, "q_size": total * options.num_q_heads * options.head_dim_k,
                  "q_dtype": options.q_dtype, "k": k, "v": v,
                  "k_size": tokens * options.num_kv_heads * options.head_dim_k,
                  "v_size": tokens * options.num_kv_heads * options.head_dim_v,
                  "kv_dtype": options.k_dtype,
                  "out_size": total * options.num_q_heads * options.head_dim_v,
                  "out_dtype": options.out_dtype,
                  "lse_size": total * options.num_q_heads * want_lse, **call}
        if more.get("status"):
            self.note("batch_attend", batch=batch, layer=layer, **fields, out_values=[],
                      lse_values=[], **more)
            return
        if not borrows:
            self.append(step, layer, options, k, v)
            step.attended[layer] = (k, v)
        queries = self.rows(q, total * options.num_q_heads, options.head_dim_k)
        out, lse = reference.attend(options, model.source(layer), step.rows, queries, call)
        self.note("batch_attend", batch=batch, layer=layer, **fields, out_values=plain(out),
                  lse_values=plain(lse) if want_lse else [], **more)

    def append(self, step, layer, options, k, v):
        keys = self.rows(k, step.tokens, options.num_kv_heads * options.head_dim_k)
        values = self.rows(v, step.tokens, options.num_kv_heads * options.head_dim_v)
        at = 0
        for row in step.rows:
            for token in row.chain[row.length :]:
                token[layer] = (keys[at], values[at])
                at += 1

    def batch_commit(self, batch, kept=(), index=(), **more):
        if not self.note("batch_commit", batch=batch, kept=list(kept), index=list(index), **more):
            return
        step, places = self.objects[batch]["step"], list(index)
        for i, (name, row) in enumerate(zip(step.sequences, step.rows)):
            count = kept[i] if kept else row.q_len
            if row.flags & reference.NEW_ABSENT:
                count = 0
            chosen = [places.pop(0) for _ in range(count)] if index else range(count)
            self.objects[name].chain += [row.chain[row.length + j] for j in chosen]
        self.objects[batch]["step"] = None

    def batch_abort(self, batch, **more):
        if self.note("batch_abort", batch=batch, **more):
            self.objects[batch]["step"] = None

    def batch_query(self, batch, group, prop, value, **more):
        self.note("batch_query", batch=batch, group=group, property=prop, value=value, **more)

    def attend_all(self, batch, layers, **more):
        for layer in layers:
            self.batch_attend(batch, layer, **more)
