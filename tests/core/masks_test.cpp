// Who sees whom: windows across prefix levels, row flags, spans, tree masks.
#include <doctest/doctest.h>

#include "mirror_step.h"

namespace relayattn::test {
namespace {

struct Family {
    Mirror mirror;
    MirrorPrefix root, child;
    std::vector<MirrorSequence> sequences;

    explicit Family(const LayerSpec& layer, int64_t page_size = 16)
        : mirror({{layer}, page_size, 1500, 0, 1}, 2),
          root(mirror.prefix(nullptr, 37)),
          child(mirror.prefix(&root, 20)) {
        for (const MirrorPrefix* prefix : {&root, &child, &child})
            sequences.push_back(mirror.attach(prefix));
        sequences.push_back(mirror.attach(nullptr));
    }

    StepSpec step(int64_t q_len) {
        std::vector<MirrorSequence*> all;
        for (auto& sequence : sequences)
            all.push_back(&sequence);
        return plain_step(all, q_len);
    }
};

LayerSpec windowed(int32_t kind, int64_t window) {
    LayerSpec layer;
    layer.window_kind = kind;
    layer.window = window;
    return layer;
}

constexpr int32_t window_kinds[] = {RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED};

}  // namespace

TEST_CASE("windows of every size cross the levels of the tree") {
    for (int32_t kind : window_kinds)
        for (int64_t window : {1, 2, 15, 16, 17, 20, 21, 38, 57, 58, 1000})
            for (int32_t mode : modes) {
                CAPTURE(kind);
                CAPTURE(window);
                CAPTURE(mode);
                Family family(windowed(kind, window));
                const auto batch = family.mirror.batch({mode, 0});
                for (int64_t q_len : {1, 9, 1, 30, 1})
                    run_step(family.mirror, batch, family.step(q_len));
            }
}

TEST_CASE("windows meet sinks, ALiBi and soft-cap") {
    for (int32_t kind : window_kinds) {
        auto layer = windowed(kind, 24);
        layer.sinks = layer.alibi = true;
        layer.softcap = 5;
        Family family(layer);
        const auto batch = family.mirror.batch();
        for (int64_t q_len : {1, 40, 1})
            run_step(family.mirror, batch, family.step(q_len));
    }
}

TEST_CASE("non-causal rows see every new token") {
    for (int32_t kind : {RA_WINDOW_NONE, RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED}) {
        CAPTURE(kind);
        Family family(windowed(kind, kind == RA_WINDOW_NONE ? 0 : 12));
        const auto batch = family.mirror.batch();
        auto step = family.step(6);
        step.rows[1].flags = RA_ROW_NONCAUSAL;
        step.rows[3].flags = RA_ROW_NONCAUSAL;
        run_step(family.mirror, batch, step);
        run_step(family.mirror, batch, family.step(1));
    }
}

TEST_CASE("rows whose new tokens are absent see only the chain and append nothing") {
    for (int32_t kind : {RA_WINDOW_NONE, RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED}) {
        CAPTURE(kind);
        Family family(windowed(kind, kind == RA_WINDOW_NONE ? 0 : 12));
        const auto batch = family.mirror.batch();
        auto step = family.step(4);
        for (auto& row : step.rows)
            row.flags = RA_ROW_NEW_ABSENT;
        const auto before = family.mirror.free_pages();
        run_step(family.mirror, batch, step);  // row 3: an empty chain, so zeros and -inf
        CHECK(family.mirror.free_pages() == before);
        step.rows[0].flags = 0;
        run_step(family.mirror, batch, step);
    }
}

TEST_CASE("spans let new tokens look ahead as far as the span goes") {
    for (int32_t kind : {RA_WINDOW_NONE, RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED})
        for (int32_t mode : modes) {
            CAPTURE(kind);
            CAPTURE(mode);
            Family family(windowed(kind, kind == RA_WINDOW_NONE ? 0 : 7));
            const auto batch = family.mirror.batch({mode, 0});
            auto step = family.step(12);
            step.rows[0].spans = {{0, 12}};
            step.rows[1].spans = {{2, 5}, {5, 11}};
            step.rows[3].spans = {{11, 12}};
            run_step(family.mirror, batch, step);
        }
}

TEST_CASE("tree masks choose among the new tokens, bit by bit") {
    for (int32_t kind : {RA_WINDOW_NONE, RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED})
        for (int32_t mode : modes)
            for (int64_t q_len : {1, 7, 8, 9, 65}) {
                CAPTURE(kind);
                CAPTURE(mode);
                CAPTURE(q_len);
                Family family(windowed(kind, kind == RA_WINDOW_NONE ? 0 : 19));
                const auto batch = family.mirror.batch({mode, RA_PLAN_TREE});
                auto step = family.step(q_len);
                step.rows[0].q_len = 3;
                step.tree = true;
                run_step(family.mirror, batch, step);
                run_step(family.mirror, batch, family.step(2));  // and none in the next step
            }
}

TEST_CASE("a row whose mask is empty and whose chain is new has no key at all") {
    Family family(LayerSpec{});
    const auto batch = family.mirror.batch({RA_MODE_AUTO, RA_PLAN_TREE});
    StepSpec step = plain_step({&family.sequences[3]}, 2);
    step.tree = true;
    step.rows[0].tree = {{false, false}, {true, true}};
    run_step(family.mirror, batch, step);
}

TEST_CASE("a tree mask is read when attend is called, not when the step begins") {
    if (backend_under_test() != RA_BACKEND_CPU)
        return;  // the mask below is written by the host
    Mirror mirror({{LayerSpec{}}, 16, 512, 0, 1}, 4);
    const auto batch = mirror.batch({RA_MODE_AUTO, RA_PLAN_TREE});
    auto sequence = mirror.attach(nullptr);
    auto spec = plain_step({&sequence}, 2);
    spec.tree = true;
    spec.rows[0].tree = {{true, false}, {true, true}};
    MirrorStep step(mirror, spec);
    auto* mask = const_cast<uint8_t*>(step.input().tree_mask);
    const uint8_t first = mask[0];
    mask[0] = 0;
    ok(step.begin(batch));
    mask[0] = first;
    step.attend(0);
    ok(step.commit());
}

}  // namespace relayattn::test
