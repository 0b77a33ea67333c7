// Batches: begin all or nothing, busy sequences, deferred release, commit and abort, dummies.
#include <doctest/doctest.h>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

const CacheSpec usual = {{LayerSpec{}}, 16, 1024, 0, 1};

struct Pair {
    Mirror mirror{usual, 1};
    MirrorPrefix prefix = mirror.prefix(nullptr, 20);
    MirrorSequence a = mirror.attach(&prefix), b = mirror.attach(&prefix);
    Batch batch = mirror.batch();
};

}  // namespace

TEST_CASE("an aborted step leaves lengths and pages as they were") {
    Pair pair;
    const auto before = pair.mirror.free_pages();
    MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 30));
    ok(step.begin(pair.batch));
    CHECK(pair.mirror.free_pages() != before);
    step.attend_every_layer();
    ok(step.abort());
    CHECK(pair.mirror.free_pages() == before);
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}, 2));
}

TEST_CASE("a begin that does not fit takes nothing and touches nobody") {
    Pair pair;
    const auto free = pair.mirror.free_pages();
    auto greedy = plain_step({&pair.a, &pair.b});
    greedy.rows[1].q_len = free[0] * 16 + 16;
    MirrorStep step(pair.mirror, greedy);
    REQUIRE(step.begin(pair.batch) == RA_ERROR_PAGES);  // begin checks that no page is gone
    pair.mirror.check_length(pair.a);
    pair.mirror.check_length(pair.b);
    pair.mirror.truncate(pair.a, 19);  // not busy
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}, 3));
}

TEST_CASE("a sequence in an open batch is busy, its neighbours are not") {
    Pair pair;
    MirrorStep step(pair.mirror, plain_step({&pair.a}));
    ok(step.begin(pair.batch));
    Sequence twin;
    Prefix frozen;
    CHECK(ra_sequence_fork(pair.a.handle, twin.out()) == RA_ERROR_BUSY);
    CHECK(ra_sequence_truncate(pair.a.handle, 1) == RA_ERROR_BUSY);
    CHECK(ra_prefix_from_sequence(pair.a.handle, -1, frozen.out()) == RA_ERROR_BUSY);
    const auto other = pair.mirror.batch();
    MirrorStep second(pair.mirror, plain_step({&pair.b, &pair.a}));
    CHECK(ra_batch_begin(other, &second.input(), nullptr) == RA_ERROR_BUSY);
    CHECK(length_of(pair.a.handle) == 20);
    auto fork = pair.mirror.fork(pair.b);
    run_step(pair.mirror, other, plain_step({&pair.b, &fork}));
    step.attend_every_layer();
    ok(step.commit());
    run_step(pair.mirror, other, plain_step({&pair.a}));
}

TEST_CASE("releasing what an open batch uses waits for commit or abort") {
    for (bool commits : {true, false}) {
        CAPTURE(commits);
        Pair pair;
        const auto total = pair.mirror.total_pages();
        MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 2));
        ok(step.begin(pair.batch));
        pair.a.handle.reset();
        pair.b.handle.reset();
        pair.prefix.handle.reset();
        CHECK(pair.mirror.free_pages() != total);
        step.attend_every_layer();
        ok(commits ? step.commit() : step.abort());
        CHECK(pair.mirror.free_pages() == total);
    }
}

TEST_CASE("releasing an open batch is an abort") {
    Pair pair;
    const auto before = pair.mirror.free_pages();
    MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 20));
    ok(step.begin(pair.batch));
    pair.batch.reset();
    CHECK(pair.mirror.free_pages() == before);
    run_step(pair.mirror, pair.mirror.batch(), plain_step({&pair.a, &pair.b}));
}

TEST_CASE("calls out of turn are state errors") {
    Pair pair;
    auto args = attend_args();
    CHECK(ra_batch_attend(pair.batch, 0, &args, nullptr) == RA_ERROR_STATE);
    CHECK(ra_batch_attend_worker(pair.batch, 0, &args, 0, 1) == RA_ERROR_STATE);
    CHECK(ra_batch_commit(pair.batch, nullptr, 0, nullptr, 0, nullptr) == RA_ERROR_STATE);
    CHECK(ra_batch_abort(pair.batch, nullptr) == RA_ERROR_STATE);
    MirrorStep step(pair.mirror, plain_step({&pair.a}));
    ok(step.begin(pair.batch));
    CHECK(ra_batch_begin(pair.batch, &step.input(), nullptr) == RA_ERROR_STATE);
    CHECK(ra_batch_begin_dummy(pair.batch, 1, 1, 1, nullptr) == RA_ERROR_STATE);
    step.attend_every_layer();
    ok(step.commit());
    CHECK(ra_batch_commit(pair.batch, nullptr, 0, nullptr, 0, nullptr) == RA_ERROR_STATE);
}

TEST_CASE("commit keeps the first tokens of each sequence, or none") {
    Pair pair;
    MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 20));
    ok(step.begin(pair.batch));
    step.attend_every_layer();
    ok(step.commit({13, 0}));
    CHECK(length_of(pair.a.handle) == 33);
    CHECK(length_of(pair.b.handle) == 20);
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}, 2));
}

TEST_CASE("pages beyond what was kept go back at commit") {
    Pair pair;
    const auto before = pair.mirror.free_pages();
    MirrorStep step(pair.mirror, plain_step({&pair.a}, 100));
    ok(step.begin(pair.batch));
    step.attend_every_layer();
    ok(step.commit({0}));
    CHECK(pair.mirror.free_pages() == before);
}

TEST_CASE("an accepted path moves its K and V together") {
    for (int64_t page_size : page_sizes)
        for (int32_t dtype : {RA_F32, RA_BF16}) {
            CAPTURE(page_size);
            CAPTURE(dtype);
            LayerSpec layer;
            layer.kv = dtype;
            LayerSpec other = layer;
            other.dim_v = 64;
            Mirror mirror({{layer, layer, other}, page_size, 1024, 0, 1}, 2);
            const auto prefix = mirror.prefix(nullptr, 20);
            auto a = mirror.attach(&prefix), b = mirror.attach(&prefix), c = mirror.attach(nullptr);
            const auto batch = mirror.batch({RA_MODE_AUTO, RA_PLAN_TREE});
            auto spec = plain_step({&a, &b, &c}, 24);
            spec.tree = true;
            MirrorStep step(mirror, spec);
            ok(step.begin(batch));
            step.attend_every_layer();
            ok(step.commit({3, 0, 4}, {0, 7, 23, 1, 2, 3, 20}));
            CHECK(length_of(a.handle) == 23);
            run_step(mirror, batch, plain_step({&a, &b, &c}, 2));
            const auto frozen = mirror.freeze(a, -1);
            for (int64_t index = 0; index < 3; ++index)
                CHECK(mirror.read_back(frozen, index, mirror.own_length(frozen) - 5, 5) == RA_OK);
        }
}

TEST_CASE("an empty path keeps nothing") {
    Pair pair;
    MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 2));
    ok(step.begin(pair.batch));
    step.attend_every_layer();
    ok(step.commit({0, 0}, {}));
    CHECK(length_of(pair.a.handle) == 20);
}

TEST_CASE("a layer may be attended again, with the same result") {
    Pair pair;
    MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 3));
    ok(step.begin(pair.batch));
    step.attend(0);
    const auto first = step.result_bytes(0, 1);
    step.attend(0);
    CHECK(step.result_bytes(0, 1) == first);
    ok(step.commit());
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}));
}

TEST_CASE("decoding on, step by step, over page boundaries, with other things between") {
    for (int32_t mode : modes) {
        Pair pair;
        const auto batch = pair.mirror.batch({mode, 0});
        auto spec = plain_step({&pair.a, &pair.b});
        spec.padded = 1;
        for (int i = 0; i < 40; ++i) {
            run_step(pair.mirror, batch, spec);
            if (i == 11)
                pair.mirror.truncate(pair.a, 25);
            if (i == 20)
                pair.mirror.split(pair.prefix, 3);
            if (i == 30)
                pair.mirror.freeze(pair.b, -1);
        }
    }
}

TEST_CASE("a batch goes on where another batch has been in the meantime") {
    for (bool aborts : {true, false})
        for (int64_t length : {15, 16, 17}) {
            CAPTURE(aborts);
            CAPTURE(length);
            Mirror mirror(usual, 3);
            const auto batch = mirror.batch(), other = mirror.batch();
            auto sequence = mirror.attach(nullptr), bystander = mirror.attach(nullptr);
            run_step(mirror, batch, plain_step({&sequence}, length));
            MirrorStep step(mirror, plain_step({&sequence}));
            ok(step.begin(batch));
            step.attend_every_layer();
            ok(aborts ? step.abort() : step.commit({0}));  // a page that it took is free again
            run_step(mirror, other, plain_step({&bystander}, 3));  // and taken by somebody else
            run_step(mirror, other, plain_step({&sequence}));
            run_step(mirror, batch, plain_step({&sequence}));
        }
}

TEST_CASE("a batch goes on where its sequence was cut back and grown again elsewhere") {
    for (int64_t cut : {0, 1, 15, 16}) {
        CAPTURE(cut);
        Mirror mirror(usual, 4);
        const auto batch = mirror.batch(), other = mirror.batch();
        auto sequence = mirror.attach(nullptr), bystander = mirror.attach(nullptr);
        run_step(mirror, batch, plain_step({&sequence}, 16));
        run_step(mirror, batch, plain_step({&sequence}));
        mirror.truncate(sequence, cut);
        run_step(mirror, other, plain_step({&bystander}, 20));
        run_step(mirror, other, plain_step({&sequence}, 17 - cut));
        run_step(mirror, batch, plain_step({&sequence}));
    }
}

TEST_CASE("two batches of one cache are open at once") {
    Pair pair;
    const auto other = pair.mirror.batch({RA_MODE_RELAY, 0});
    MirrorStep first(pair.mirror, plain_step({&pair.a}, 3));
    MirrorStep second(pair.mirror, plain_step({&pair.b}, 2));
    ok(first.begin(pair.batch));
    ok(second.begin(other));
    second.attend_every_layer();
    first.attend_every_layer();
    ok(first.commit());
    ok(second.commit());
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}));
}

TEST_CASE("the tree may change under an open batch") {
    Pair pair;
    MirrorStep step(pair.mirror, plain_step({&pair.a, &pair.b}, 3));
    ok(step.begin(pair.batch));
    auto head = pair.mirror.split(pair.prefix, 7);
    auto at_head = pair.mirror.attach(&head);
    step.attend_every_layer();
    head.handle.reset();
    pair.prefix.handle.reset();
    step.attend_every_layer();
    ok(step.commit());
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b, &at_head}));
}

TEST_CASE("a dummy step runs without sequences and leaves no trace") {
    Pair pair;
    const auto before = pair.mirror.free_pages();
    StridedArray q({6, 4, 32, RA_F32}, Layout::dense), out({6, 4, 32, RA_F32}, Layout::dense);
    StridedArray k({6, 2, 32, RA_F32}, Layout::dense), v({6, 2, 32, RA_F32}, Layout::dense);
    q.write(pair.mirror.values(6 * 4 * 32, RA_F32));
    k.write(pair.mirror.values(6 * 2 * 32, RA_F32));
    v.write(pair.mirror.values(6 * 2 * 32, RA_F32));
    auto args = attend_args();
    args.q = q.view();
    args.out = out.view();
    args.k = k.view();
    args.v = v.view();
    for (bool commits : {true, false}) {
        ok(ra_batch_begin_dummy(pair.batch, 3, 2, 40, nullptr));
        ok(ra_batch_attend(pair.batch, 0, &args, nullptr));
        ok(commits ? ra_batch_commit(pair.batch, nullptr, 0, nullptr, 0, nullptr)
                   : ra_batch_abort(pair.batch, nullptr));
        CHECK(pair.mirror.free_pages() == before);
    }
    pair.mirror.check_length(pair.a);
    CHECK(pair.mirror.read_back(pair.prefix, 0, 0, 20) == RA_OK);
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}));
}

TEST_CASE("caller memory for a batch serves it as well as its own") {
    Pair pair;
    auto options = plan_options();
    options.max_rows = 4;
    options.max_tokens = 64;
    options.max_runs = 16;
    options.max_kv_tokens = 512;
    ok(ra_batch_memory(pair.mirror.cache(), &options, &options.scratch_size,
                       &options.metadata_size));
    CHECK(options.scratch_size >= 0);
    CHECK(options.metadata_size >= 0);
    DeviceBuffer scratch(options.scratch_size), metadata(options.metadata_size);
    options.scratch = scratch.data();
    options.metadata = metadata.data();
    Batch batch;
    ok(ra_batch_create(pair.mirror.cache(), &options, batch.out()));
    run_step(pair.mirror, batch, plain_step({&pair.a, &pair.b}, 9));
    run_step(pair.mirror, batch, plain_step({&pair.a, &pair.b}));
}

TEST_CASE("what a plan did can be asked") {
    Pair pair;
    run_step(pair.mirror, pair.batch, plain_step({&pair.a, &pair.b}));
    for (int32_t property :
         {RA_PLAN_INFO_LAUNCHES, RA_PLAN_INFO_ITEMS, RA_PLAN_INFO_RUNS, RA_PLAN_INFO_RELAY_RUNS,
          RA_PLAN_INFO_PARTIALS, RA_PLAN_INFO_KV_BYTES, RA_PLAN_INFO_PREDICTED_NS}) {
        CAPTURE(property);
        int64_t value = -1;
        ok(ra_batch_query(pair.batch, 0, property, &value));
        CHECK(value >= 0);
    }
    int64_t items = 0, bytes = 0;
    ok(ra_batch_query(pair.batch, 0, RA_PLAN_INFO_ITEMS, &items));
    ok(ra_batch_query(pair.batch, 0, RA_PLAN_INFO_KV_BYTES, &bytes));
    CHECK(items >= 2);
    CHECK(bytes >= (20 + 2) * 2 * 64 * 4);  // prefix and two tails, K and V of two heads
}

}  // namespace relayattn::test
