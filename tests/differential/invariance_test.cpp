// A batch-invariant plan gives each sequence the same bits whatever runs beside it.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "mirror_step.h"

namespace relayattn::test {
namespace {

constexpr int64_t num_sequences = 64;
constexpr uint64_t seed = 20;

// The same cache, tree and queries for every number of threads: all is drawn from one seed.
struct Forest {
    explicit Forest(const LayerSpec& layer, int64_t threads, int32_t mode)
        : mirror({{layer}, 16, 4096, 0, threads}, seed),
          batch(mirror.batch({mode, RA_PLAN_BATCH_INVARIANT})) {
        root = mirror.prefix(nullptr, 150);
        for (int64_t i = 0; i < 3; ++i)
            children.push_back(mirror.prefix(&root, 20 + 37 * i));
        for (int64_t i = 0; i < num_sequences; ++i) {
            const bool below_a_child = i % 4 != 0;
            sequences.push_back(std::make_unique<MirrorSequence>(
                mirror.attach(below_a_child ? &children[static_cast<size_t>(i % 3)] : &root)));
        }
        for (auto& sequence : sequences) {  // tails of many lengths, page boundaries among them
            const int64_t tail = mirror.random().integer(0, 33);
            run_step(mirror, batch, plain_step({sequence.get()}, tail));
        }
        for (auto& sequence : sequences)
            rows.push_back(draw_row(*sequence));
    }

    StepRow draw_row(MirrorSequence& sequence) {
        StepRow row{&sequence, mirror.random().pick<int64_t>({1, 1, 1, 3}), 0, {}, nullptr, {}};
        StepSpec spec;
        spec.rows = {row};
        return MirrorStep(mirror, spec).row(0);
    }

    // What each of the rows computes when they run together, in this order.
    std::vector<std::vector<unsigned char>> bits(const std::vector<size_t>& order) {
        StepSpec spec;
        for (size_t index : order)
            spec.rows.push_back(rows[index]);
        MirrorStep step(mirror, spec);
        ok(step.begin(batch));
        step.attend(0);
        std::vector<std::vector<unsigned char>> all;
        for (size_t i = 0; i < order.size(); ++i)
            all.push_back(step.result_bytes(0, i));
        ok(step.abort());
        return all;
    }

    Mirror mirror;
    Batch batch;
    MirrorPrefix root;
    std::vector<MirrorPrefix> children;
    std::vector<std::unique_ptr<MirrorSequence>> sequences;
    std::vector<StepRow> rows;
};

std::vector<size_t> everyone() {
    std::vector<size_t> order(num_sequences);
    std::iota(order.begin(), order.end(), size_t{0});
    return order;
}

void check_invariance(const LayerSpec& layer, int32_t mode) {
    Forest forest(layer, 1, mode);
    const auto order = everyone();
    const auto together = forest.bits(order);
    for (size_t i : order)
        CHECK(forest.bits({i})[0] == together[i]);
    for (size_t first = 0; first + 7 <= order.size(); first += 7) {
        const std::vector<size_t> seven(order.begin() + static_cast<std::ptrdiff_t>(first),
                                        order.begin() + static_cast<std::ptrdiff_t>(first) + 7);
        const auto bits = forest.bits(seven);
        for (size_t i = 0; i < seven.size(); ++i)
            CHECK(bits[i] == together[seven[i]]);
    }
    auto shuffled = order;
    forest.mirror.random().shuffle(shuffled);
    const auto in_disorder = forest.bits(shuffled);
    for (size_t i = 0; i < shuffled.size(); ++i)
        CHECK(in_disorder[i] == together[shuffled[i]]);
    Forest two_threads(layer, 2, mode);
    CHECK(two_threads.bits(order) == together);
    CHECK(two_threads.bits({5})[0] == together[5]);
}

}  // namespace

TEST_CASE("a sequence has the same bits alone, among 7, among 64, in any order, on two threads") {
    for (int32_t mode : modes) {
        CAPTURE(mode);
        LayerSpec layer;
        layer.q_heads = 8;
        layer.kv_heads = 2;
        layer.dim_k = layer.dim_v = 64;
        check_invariance(layer, mode);
    }
}

TEST_CASE("the same in bfloat16 with a window, a soft-cap and a sink") {
    LayerSpec layer;
    layer.q = layer.kv = layer.out = RA_BF16;
    layer.window_kind = RA_WINDOW_SLIDING;
    layer.window = 100;
    layer.softcap = 10;
    layer.sinks = true;
    check_invariance(layer, RA_MODE_AUTO);
}

}  // namespace relayattn::test
