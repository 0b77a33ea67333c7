// Outputs against float64 over rows of shapes: dims, heads, dtypes, pages, lengths.
#include <doctest/doctest.h>

#include <cmath>

#include "dtype.h"
#include "mirror_step.h"

namespace relayattn::test {
namespace {

// A root, a child, sequences under both with tails, then one decode and one mixed step per mode.
void check_layer(const LayerSpec& layer, int64_t page_size = 16, uint64_t seed = 1) {
    Mirror mirror({{layer}, page_size, 1200, 0, 1}, seed);
    const auto root = mirror.prefix(nullptr, 2 * page_size + 3);
    const auto child = mirror.prefix(&root, page_size + 1);
    std::vector<MirrorSequence> sequences;
    for (const MirrorPrefix* prefix : {&root, &root, &child, &child, &child})
        sequences.push_back(mirror.attach(prefix));
    sequences.push_back(mirror.attach(nullptr));
    std::vector<MirrorSequence*> all;
    for (auto& sequence : sequences)
        all.push_back(&sequence);
    const auto prefill = mirror.batch();
    run_step(mirror, prefill, plain_step({all[1], all[3], all[5]}, 7));
    for (int32_t mode : modes) {
        CAPTURE(mode);
        const auto batch = mirror.batch({mode, 0});
        run_step(mirror, batch, plain_step(all));
        auto mixed = plain_step(all);
        mixed.rows[0].q_len = 0;
        mixed.rows[2].q_len = 5;
        mixed.padded = 2;
        run_step(mirror, batch, mixed);
    }
}

}  // namespace

TEST_CASE("every head dimension, K and V alike") {
    for (int64_t dim = 32; dim <= 256; dim += 8) {
        CAPTURE(dim);
        LayerSpec layer;
        layer.dim_k = layer.dim_v = dim;
        check_layer(layer);
    }
}

TEST_CASE("head dimensions of K and V apart, in every KV dtype") {
    for (const Dims& dims : dim_rows)
        for (int32_t dtype : {RA_F32, RA_F16, RA_BF16}) {
            CAPTURE(dims.k);
            CAPTURE(dims.v);
            CAPTURE(dtype);
            LayerSpec layer;
            layer.dim_k = dims.k;
            layer.dim_v = dims.v;
            layer.kv = dtype;
            check_layer(layer);
        }
}

TEST_CASE("every mix of query, KV and output dtype") {
    for (const Dtypes& row : all_dtypes()) {
        CAPTURE(row.q);
        CAPTURE(row.kv);
        CAPTURE(row.out);
        LayerSpec layer;
        layer.dim_k = layer.dim_v = 64;
        layer.q = row.q;
        layer.kv = row.kv;
        layer.out = row.out;
        check_layer(layer);
    }
}

TEST_CASE("every ratio of query heads to KV heads") {
    for (const Heads& heads : head_rows) {
        CAPTURE(heads.q);
        CAPTURE(heads.kv);
        LayerSpec layer;
        layer.q_heads = heads.q;
        layer.kv_heads = heads.kv;
        check_layer(layer);
    }
}

TEST_CASE("every page size, in every KV dtype") {
    for (int64_t page_size : page_sizes)
        for (int32_t dtype : {RA_F32, RA_F16, RA_BF16}) {
            CAPTURE(page_size);
            CAPTURE(dtype);
            LayerSpec layer;
            layer.kv = dtype;
            check_layer(layer, page_size);
        }
}

TEST_CASE("prefix, tail and new tokens of lengths around a page") {
    constexpr int64_t page = 16;
    for (int32_t mode : modes)
        for (int64_t prefix_length : {0, 1, 15, 16, 17, 33})
            for (int64_t tail : {0, 1, 15, 16, 17}) {
                CAPTURE(mode);
                CAPTURE(prefix_length);
                CAPTURE(tail);
                Mirror mirror({{LayerSpec{}}, page, 512, 0, 1}, 7);
                MirrorPrefix prefix;
                if (prefix_length > 0)
                    prefix = mirror.prefix(nullptr, prefix_length);
                auto first = mirror.attach(prefix_length > 0 ? &prefix : nullptr);
                auto second = mirror.attach(prefix_length > 0 ? &prefix : nullptr);
                const auto batch = mirror.batch({mode, 0});
                run_step(mirror, batch, plain_step({&first}, tail));
                for (int64_t q_len : {1, 15, 16, 17})
                    run_step(mirror, batch, plain_step({&first, &second}, q_len));
            }
}

TEST_CASE("scale, soft-cap, ALiBi and sinks, of the layer and of the call") {
    for (int attributes = 0; attributes < 16; ++attributes) {
        CAPTURE(attributes);
        LayerSpec layer;
        layer.dim_k = layer.dim_v = 64;
        layer.sinks = (attributes & 1) != 0;
        layer.alibi = (attributes & 2) != 0;
        layer.softcap = (attributes & 4) != 0 ? 3.0F : 0.0F;
        layer.scale = (attributes & 8) != 0 ? 0.3F : 0.0F;
        check_layer(layer);
        Mirror mirror({{layer}, 16, 512, 0, 1}, 8);
        const auto prefix = mirror.prefix(nullptr, 40);
        auto sequence = mirror.attach(&prefix);
        const auto batch = mirror.batch();
        auto step = plain_step({&sequence}, 3);
        step.scale = 0.07F;
        step.softcap = 2.0F;
        run_step(mirror, batch, step);
    }
}

TEST_CASE("a deep tree of one-token prefixes, and one that fans out at every level") {
    Mirror mirror({{LayerSpec{}}, 16, 4096, 0, 1}, 9);
    std::vector<MirrorPrefix> chain;
    std::vector<MirrorSequence> sequences;
    for (int level = 0; level < 40; ++level) {
        chain.push_back(mirror.prefix(chain.empty() ? nullptr : &chain.back(), 1));
        if (level % 3 == 0)
            sequences.push_back(mirror.attach(&chain.back()));
    }
    std::vector<MirrorSequence*> all;
    for (auto& sequence : sequences)
        all.push_back(&sequence);
    for (int32_t mode : modes) {
        const auto batch = mirror.batch({mode, 0});
        run_step(mirror, batch, plain_step(all));
        run_step(mirror, batch, plain_step(all, 3));
    }
}

TEST_CASE("many sequences under a long prefix, where tiles and chunks are whole") {
    for (int32_t dtype : {RA_F32, RA_F16, RA_BF16}) {
        LayerSpec layer;
        layer.q_heads = 8;
        layer.dim_k = layer.dim_v = 64;
        layer.q = layer.kv = layer.out = dtype;
        Mirror mirror({{layer}, 16, 8192, 0, 2}, 10);
        const auto root = mirror.prefix(nullptr, 1500);
        std::vector<MirrorSequence> sequences;
        std::vector<MirrorSequence*> all;
        for (int i = 0; i < 40; ++i)
            sequences.push_back(mirror.attach(&root));
        for (auto& sequence : sequences)
            all.push_back(&sequence);
        for (int32_t mode : modes) {
            const auto batch = mirror.batch({mode, 0});
            run_step(mirror, batch, plain_step(all));
        }
    }
}

TEST_CASE("idle steps: no sequences, no tokens, only padding") {
    Mirror mirror({{LayerSpec{}}, 16, 512, 0, 1}, 11);
    auto empty = mirror.attach(nullptr);
    const auto batch = mirror.batch();
    run_step(mirror, batch, {});
    run_step(mirror, batch, plain_step({&empty}, 0));
    StepSpec padding;
    padding.padded = 3;
    run_step(mirror, batch, padding);
    run_step(mirror, batch, plain_step({&empty}, 1));
}

TEST_CASE("scores in the thousands give finite results") {
    Mirror mirror({{LayerSpec{}}, 16, 512, 0, 1}, 12);
    const auto prefix = mirror.prefix(nullptr, 60);
    Sequence sequence;
    ok(ra_sequence_attach(mirror.cache(), prefix.handle, sequence.out()));
    const ra_sequence row = sequence;
    const int64_t q_len = 1, flags = RA_ROW_NEW_ABSENT;
    auto input = batch_input();
    input.sequences = &row;
    input.q_lens = &q_len;
    input.row_flags = &flags;
    input.num_sequences = input.num_q_lens = input.num_row_flags = 1;
    StridedArray q({1, 4, 32, RA_F32}, Layout::dense), out({1, 4, 32, RA_F32}, Layout::dense);
    LseArray lse(1, 4, Layout::dense);
    q.write(mirror.values(4 * 32, RA_F32));
    auto args = attend_args();
    args.q = q.view();
    args.out = out.view();
    args.lse = lse.data();
    for (float scale : {1e3F, -1e3F, 1e20F}) {
        CAPTURE(scale);
        args.softmax_scale = scale;
        const auto batch = mirror.batch();
        ok(ra_batch_begin(batch, &input, nullptr));
        ok(ra_batch_attend(batch, 0, &args, nullptr));
        for (float value : out.read())
            CHECK(std::isfinite(value));
        for (float value : lse.read())
            CHECK(std::isfinite(value));
        ok(ra_batch_abort(batch, nullptr));
    }
}

}  // namespace relayattn::test
