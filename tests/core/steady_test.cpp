// Steady decoding: the same sequences, one more token each, on one batch that goes on from its
// plan.
#include <doctest/doctest.h>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

struct Steady {
    explicit Steady(const CacheSpec& spec, uint64_t seed)
        : mirror(spec, seed), prefix(mirror.prefix(nullptr, 150)), batch(mirror.batch()) {
        for (int i = 0; i < 5; ++i)
            sequences.push_back(mirror.attach(&prefix));
        run_step(mirror, batch, plain_step(all(), 3));
    }

    std::vector<MirrorSequence*> all() {
        std::vector<MirrorSequence*> pointers;
        for (MirrorSequence& sequence : sequences)
            pointers.push_back(&sequence);
        return pointers;
    }

    void decode(int steps) {
        for (int i = 0; i < steps; ++i)
            run_step(mirror, batch, plain_step(all()));
    }

    Mirror mirror;
    MirrorPrefix prefix;
    Batch batch;
    std::vector<MirrorSequence> sequences;
};

CacheSpec spec_of(int64_t page_size) {
    LayerSpec windowed;
    windowed.window_kind = RA_WINDOW_SLIDING;
    windowed.window = 20;
    return {{LayerSpec{}, windowed}, page_size, 2048, 0, 2};
}

}  // namespace

TEST_CASE("steady steps stay right across pages, with window layers beside full ones") {
    for (const int64_t page_size : {int64_t{1}, int64_t{5}, int64_t{16}, int64_t{64}}) {
        CAPTURE(page_size);
        Steady full({{LayerSpec{}}, page_size, 2048, 0, 2}, 1);
        full.decode(70);
        Steady both(spec_of(page_size), 2);
        both.decode(40);
    }
}

TEST_CASE("a plan serves for as many steps as a page is long") {
    constexpr int64_t page_size = 16;
    Steady steady({{LayerSpec{}}, page_size, 2048, 0, 2}, 5);
    int64_t last = 0;
    int plans = 0;
    for (int i = 0; i < 4 * page_size; ++i) {
        steady.decode(1);
        int64_t predicted = 0;  // by the plan that the step goes on from
        ok(ra_batch_query(steady.batch, 0, RA_PLAN_INFO_PREDICTED_NS, &predicted));
        plans += predicted != last ? 1 : 0;
        last = predicted;
    }
    CHECK(plans > 1);  // a new plan costs more, for there is more to read
    CHECK(plans <= 5);
}

TEST_CASE("steady steps notice what happened to a sequence in between") {
    Steady steady({{LayerSpec{}}, 16, 2048, 0, 2}, 3);
    steady.decode(20);
    steady.mirror.truncate(steady.sequences[1], 155);
    steady.decode(3);
    const auto fork = steady.mirror.fork(steady.sequences[2]);
    steady.decode(3);
    const auto frozen = steady.mirror.freeze(steady.sequences[3], 160);
    steady.decode(3);
    steady.mirror.split(steady.prefix, 70);  // changes the tree, not the tokens
    steady.decode(20);
    steady.sequences[4] = steady.mirror.attach(&steady.prefix);
    steady.decode(3);
}

TEST_CASE("steady steps go on after an abort, and after a commit that keeps nothing") {
    Steady steady({{LayerSpec{}}, 16, 2048, 0, 2}, 4);
    steady.decode(5);
    for (int i = 0; i < 3; ++i) {
        MirrorStep aborted(steady.mirror, plain_step(steady.all()));
        ok(aborted.begin(steady.batch));
        aborted.attend_every_layer();
        ok(ra_batch_abort(steady.batch, nullptr));
        steady.decode(2);
        MirrorStep kept_nothing(steady.mirror, plain_step(steady.all()));
        ok(kept_nothing.begin(steady.batch));
        kept_nothing.attend_every_layer();
        const std::vector<int64_t> none(5, 0);
        ok(ra_batch_commit(steady.batch, none.data(), 5, nullptr, 0, nullptr));
        steady.decode(15);
    }
}

}  // namespace relayattn::test
