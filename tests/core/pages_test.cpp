// Admission: how much memory a cache takes, how many pages there are, how many a step needs.
#include <doctest/doctest.h>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

Model one_layer_model() {
    Model model;
    ok(ra_model_create(1, model.out()));
    const auto layer = options_of(LayerSpec{});
    ok(ra_model_set_layers(model, 0, 1, &layer));
    return model;
}

}  // namespace

TEST_CASE("capacity is rounded up to pages") {
    for (int64_t page_size : page_sizes)
        for (int64_t capacity : {1, 15, 16, 17, 320}) {
            CAPTURE(page_size);
            CAPTURE(capacity);
            Mirror mirror({{LayerSpec{}}, page_size, capacity, 0, 1}, 1);
            const int64_t pages = (capacity + page_size - 1) / page_size;
            CHECK(mirror.total_pages() == std::vector<int64_t>{pages});
            CHECK(mirror.free_pages() == std::vector<int64_t>{pages});
        }
}

TEST_CASE("the memory of a cache holds its tokens and little more") {
    const auto context = make_context();
    const auto model = one_layer_model();
    auto options = cache_options();
    options.page_size = 16;
    options.capacity_tokens = 16000;
    int64_t bytes = 0;
    ok(ra_cache_memory(context, model, &options, &bytes));
    const int64_t payload = 16000 * 2 * (32 + 32) * 4;
    CHECK(bytes >= payload);
    CHECK(bytes <= payload + payload / 10);
}

TEST_CASE("a cache fits exactly into the memory it asked for, and not into less") {
    const auto context = make_context();
    const auto model = one_layer_model();
    auto options = cache_options();
    options.page_size = 16;
    options.capacity_tokens = 100;
    ok(ra_cache_memory(context, model, &options, &options.memory_size));
    DeviceBuffer memory(options.memory_size);
    options.memory = memory.data();
    Cache cache;
    ok(ra_cache_create(context, model, &options, cache.out()));
    cache.reset();
    --options.memory_size;
    check_refused(ra_cache_create(context, model, &options, cache.out()), RA_ERROR_ARGUMENT,
                  {"ra_cache_create", "memory_size"});
}

TEST_CASE("a cache in memory of its own works as well") {
    const auto context = make_context();
    const auto model = one_layer_model();
    auto options = cache_options();
    options.capacity_tokens = 100;
    Cache cache;
    ok(ra_cache_create(context, model, &options, cache.out()));
    Prefix prefix;
    ok(ra_prefix_create(cache, nullptr, 100, prefix.out()));
    int64_t best = 0;
    ok(ra_context_query(context, RA_CONTEXT_INFO_PAGE_SIZE, &best));
    CHECK(total_pages(cache, 0) == (100 + best - 1) / best);
    CHECK(free_pages(cache, 0) == 0);
}

TEST_CASE("a step needs the pages that its new tokens open") {
    Mirror mirror({{LayerSpec{}}, 16, 1024, 0, 1}, 2);
    auto a = mirror.attach(nullptr), b = mirror.attach(nullptr);
    const auto batch = mirror.batch();
    const auto needed = [&](int64_t first, int64_t second) {
        auto spec = plain_step({&a, &b});
        spec.rows[0].q_len = first;
        spec.rows[1].q_len = second;
        return MirrorStep(mirror, spec).pages_needed(batch)[0];
    };
    CHECK(needed(0, 0) == 0);
    CHECK(needed(1, 0) == 1);
    CHECK(needed(16, 17) == 3);
    run_step(mirror, batch, plain_step({&a, &b}, 15));
    CHECK(needed(1, 2) == 1);
    auto fork = mirror.fork(a);  // a's partial page is shared now: the next writer copies it
    CHECK(needed(1, 0) == 1);
    CHECK(needed(2, 0) == 2);
    CHECK(needed(0, 1) == 0);
}

TEST_CASE("forks that step together copy their shared page once less than they are") {
    Mirror mirror({{LayerSpec{}}, 16, 1024, 0, 1}, 3);
    auto a = mirror.attach(nullptr);
    const auto batch = mirror.batch();
    run_step(mirror, batch, plain_step({&a}, 10));
    auto b = mirror.fork(a), c = mirror.fork(a);
    MirrorStep step(mirror, plain_step({&a, &b, &c}));
    const auto needed = step.pages_needed(batch)[0];
    CHECK(needed >= 2);
    CHECK(needed <= 3);
    ok(step.begin(batch));  // and begin takes exactly that
    step.attend_every_layer();
    ok(step.commit());
}

TEST_CASE("a full cache says so, and takes the step once something is released") {
    Mirror mirror({{LayerSpec{}}, 16, 64, 0, 1}, 4);
    const auto batch = mirror.batch();
    auto a = mirror.attach(nullptr), b = mirror.attach(nullptr);
    run_step(mirror, batch, plain_step({&a, &b}, 32));
    MirrorStep step(mirror, plain_step({&a}));
    check_refused(step.begin(batch), RA_ERROR_PAGES, {"ra_batch_begin", "1", "0"});
    Prefix prefix;
    check_refused(ra_prefix_create(mirror.cache(), nullptr, 1, prefix.out()), RA_ERROR_PAGES,
                  {"ra_prefix_create"});
    b.handle.reset();
    ok(step.begin(batch));
    step.attend_every_layer();
    ok(step.commit());
}

TEST_CASE("every page of the cache can be used") {
    for (int64_t page_size : page_sizes) {
        CAPTURE(page_size);
        Mirror mirror({{LayerSpec{}}, page_size, 4 * page_size, 0, 1}, 5);
        const auto prefix = mirror.prefix(nullptr, 2 * page_size);
        auto sequence = mirror.attach(&prefix);
        run_step(mirror, mirror.batch(), plain_step({&sequence}, 2 * page_size));
        CHECK(mirror.free_pages()[0] == 0);
        mirror.truncate(sequence, 4 * page_size - 1);
        run_step(mirror, mirror.batch(), plain_step({&sequence}));
        CHECK(mirror.free_pages()[0] == 0);
    }
}

TEST_CASE("begin needs a page of every group, or takes none of any") {
    LayerSpec wide;
    wide.dim_k = wide.dim_v = 64;
    LayerSpec windowed;
    windowed.window_kind = RA_WINDOW_SLIDING;
    windowed.window = 16;
    CacheSpec spec = {{wide, windowed}, 16, 320, 2, 1};
    Mirror mirror(spec, 6);
    REQUIRE(mirror.num_groups() == 2);
    const auto total = mirror.total_pages();
    CHECK(total[0] == 20);
    CHECK(total[1] < total[0]);  // sized by the sequences' windows
    std::vector<MirrorSequence> sequences;
    const auto batch = mirror.batch();
    for (int i = 0; i < 40; ++i) {
        sequences.push_back(mirror.attach(nullptr));
        MirrorStep step(mirror, plain_step({&sequences.back()}, 16));
        const ra_status status = step.begin(batch);  // checks the pages of both groups
        if (status == RA_ERROR_PAGES)
            break;
        ok(status);
        ok(step.abort());
        run_step(mirror, batch, plain_step({&sequences.back()}, 16));
    }
    CHECK(sequences.size() < 40);
    CHECK(sequences.size() >= 2);
}

}  // namespace relayattn::test
