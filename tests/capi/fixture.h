// One small cache with a prefix, a sequence and a batch, for tests of single arguments.
#pragma once

#include "api.h"
#include "shapes.h"
#include "strided.h"

namespace relayattn::test {

struct Fixture {
    Context context = make_context();
    Model model;
    Cache cache;
    Prefix prefix;  // 8 tokens, sealed
    Sequence sequence;
    Batch batch;

    explicit Fixture(const std::vector<LayerSpec>& layers = {LayerSpec{}},
                     const PlanSpec& plan = {}) {
        ok(ra_model_create(static_cast<int64_t>(layers.size()), model.out()));
        for (size_t i = 0; i < layers.size(); ++i) {
            const auto layer = options_of(layers[i]);
            ok(ra_model_set_layers(model, static_cast<int64_t>(i), 1, &layer));
        }
        auto options = cache_options();
        options.page_size = 16;
        options.capacity_tokens = 256;
        ok(ra_cache_create(context, model, &options, cache.out()));
        ok(ra_prefix_create(cache, nullptr, 8, prefix.out()));
        ok(ra_prefix_seal(prefix, nullptr));
        ok(ra_sequence_attach(cache, prefix, sequence.out()));
        const auto plans = options_of(plan);
        ok(ra_batch_create(cache, &plans, batch.out()));
    }
};

// A batch input over arrays that it owns; fields may be changed before use.
struct Input {
    explicit Input(std::vector<ra_sequence> of, std::vector<int64_t> lens = {})
        : sequences(std::move(of)), q_lens(std::move(lens)) {
        if (q_lens.empty())
            q_lens.assign(sequences.size(), 1);
        fields.sequences = sequences.data();
        fields.num_sequences = static_cast<int64_t>(sequences.size());
        fields.q_lens = q_lens.data();
        fields.num_q_lens = static_cast<int64_t>(q_lens.size());
    }
    Input(const Input&) = delete;
    Input& operator=(const Input&) = delete;

    std::vector<ra_sequence> sequences;
    std::vector<int64_t> q_lens;
    ra_batch_input fields = batch_input();
};

// Valid attend arguments for the default layer; queries are zero.
struct AttendArrays {
    explicit AttendArrays(int64_t tokens = 1, const LayerSpec& layer = {})
        : q({tokens, layer.q_heads, layer.dim_k, layer.q}, Layout::dense),
          out({tokens, layer.q_heads, layer.dim_v, layer.out}, Layout::dense),
          k({tokens, layer.kv_heads, layer.dim_k, layer.kv}, Layout::dense),
          v({tokens, layer.kv_heads, layer.dim_v, layer.kv}, Layout::dense) {
        for (StridedArray* array : {&q, &k, &v})
            array->write(std::vector<float>(static_cast<size_t>(array->shape().elements())));
        args.q = q.view();
        args.out = out.view();
        args.k = k.view();
        args.v = v.view();
    }

    StridedArray q, out, k, v;
    ra_attend_args args = attend_args();
};

}  // namespace relayattn::test
