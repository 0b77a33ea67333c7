// Window layers give pages back, and say so when what they gave back is asked for again.
#include <doctest/doctest.h>

#include <algorithm>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

constexpr int32_t kinds[] = {RA_WINDOW_SLIDING, RA_WINDOW_CHUNKED};

LayerSpec windowed(int32_t kind, int64_t window, int64_t retain) {
    LayerSpec layer;
    layer.window_kind = kind;
    layer.window = window;
    layer.retain = retain;
    return layer;
}

int64_t pages_in_use(const Mirror& mirror) {
    return mirror.total_pages()[0] - mirror.free_pages()[0];
}

}  // namespace

TEST_CASE("a long sequence of a window layer holds its window and no more") {
    for (int32_t kind : kinds)
        for (int64_t page_size : {1, 5, 16}) {
            CAPTURE(kind);
            CAPTURE(page_size);
            Mirror mirror({{windowed(kind, 20, 0)}, page_size, 512, 0, 1}, 1);
            auto sequence = mirror.attach(nullptr);
            const auto batch = mirror.batch();
            for (int i = 0; i < 90; ++i) {
                run_step(mirror, batch, plain_step({&sequence}, 1 + i % 3));
                CHECK(pages_in_use(mirror) <= 20 / page_size + 2);
            }
        }
}

TEST_CASE("a sequence outgrows the capacity of a window cache") {
    Mirror mirror({{windowed(RA_WINDOW_SLIDING, 20, 0)}, 16, 64, 0, 1}, 2);
    auto sequence = mirror.attach(nullptr);
    const auto batch = mirror.batch();
    for (int i = 0; i < 20; ++i)
        run_step(mirror, batch, plain_step({&sequence}, 10));
    CHECK(length_of(sequence.handle) == 200);
}

TEST_CASE("retained tokens allow rollback, and min tells how far") {
    for (int32_t kind : kinds)
        for (int64_t retain : {0, 20, 31, 60, -1}) {
            CAPTURE(kind);
            CAPTURE(retain);
            Mirror mirror({{windowed(kind, 20, retain)}, 16, 1024, 0, 1}, 3);
            auto sequence = mirror.attach(nullptr);
            const auto batch = mirror.batch();
            for (int i = 0; i < 15; ++i)
                run_step(mirror, batch, plain_step({&sequence}, 10));
            const int64_t kept = retain == 0 ? 20 : retain;
            const int64_t min = min_length_of(sequence.handle);
            // A query at the new end sees 19 tokens before it, and the last `kept` of 150 are
            // there.
            CHECK(min <= (retain == -1 ? 0 : 150 - kept + 19));
            if (min > 0) {
                check_refused(ra_sequence_truncate(sequence.handle, min - 1), RA_ERROR_NOT_RETAINED,
                              {"ra_sequence_truncate", "length"});
                mirror.check_length(sequence);
            }
            mirror.truncate(sequence, min);
            run_step(mirror, batch, plain_step({&sequence}, 3));
            run_step(mirror, batch, plain_step({&sequence}, 30));
        }
}

TEST_CASE("a fork of a window sequence keeps what it needs when the other goes on") {
    Mirror mirror({{windowed(RA_WINDOW_SLIDING, 20, 0)}, 16, 1024, 0, 1}, 4);
    const auto batch = mirror.batch();
    auto sequence = mirror.attach(nullptr);
    run_step(mirror, batch, plain_step({&sequence}, 55));
    auto fork = mirror.fork(sequence);
    for (int i = 0; i < 10; ++i)
        run_step(mirror, batch, plain_step({&sequence}, 11));
    run_step(mirror, batch, plain_step({&fork, &sequence}, 2));
}

TEST_CASE("a prefix longer than the window serves sequences at its end") {
    for (int32_t kind : kinds)
        for (int64_t length : {19, 20, 21, 100, 128}) {
            CAPTURE(kind);
            CAPTURE(length);
            Mirror mirror({{windowed(kind, 20, 0)}, 16, 1024, 0, 1}, 5);
            const auto prefix = mirror.prefix(nullptr, length);
            CHECK(mirror.read_back(prefix, 0, length - std::min<int64_t>(length, 20),
                                   std::min<int64_t>(length, 20)) == RA_OK);
            auto a = mirror.attach(&prefix), b = mirror.attach(&prefix);
            const auto batch = mirror.batch();
            for (int64_t q_len : {1, 30, 1})
                run_step(mirror, batch, plain_step({&a, &b}, q_len));
        }
}

TEST_CASE("a sealed window prefix gives back what it drops, and reading that is refused") {
    Mirror mirror({{windowed(RA_WINDOW_SLIDING, 20, 0)}, 16, 1024, 0, 1}, 6);
    const auto prefix = mirror.prefix(nullptr, 300);
    CHECK(pages_in_use(mirror) <= 4);
    check_refused(mirror.read_back(prefix, 0, 0, 1), RA_ERROR_NOT_RETAINED, {"ra_prefix_read"});
    CHECK(mirror.read_back(prefix, 0, 280, 20) == RA_OK);
}

TEST_CASE("a split where the window's tokens are gone is refused, one near the end is not") {
    Mirror mirror({{windowed(RA_WINDOW_SLIDING, 20, 60)}, 16, 1024, 0, 1}, 7);
    auto prefix = mirror.prefix(nullptr, 200);
    Prefix head;
    check_refused(ra_prefix_split(prefix.handle, 50, head.out()), RA_ERROR_NOT_RETAINED,
                  {"ra_prefix_split"});
    CHECK(mirror.own_length(prefix) == 200);
    const auto near = mirror.split(prefix, 190);
    auto a = mirror.attach(&prefix), b = mirror.attach(&near);
    const auto batch = mirror.batch();
    for (int64_t q_len : {1, 25, 1})
        run_step(mirror, batch, plain_step({&a, &b}, q_len));
}

TEST_CASE("freezing where the window's tokens are gone is refused and changes nothing") {
    Mirror mirror({{windowed(RA_WINDOW_SLIDING, 20, 0)}, 16, 1024, 0, 1}, 8);
    auto sequence = mirror.attach(nullptr);
    const auto batch = mirror.batch();
    for (int i = 0; i < 12; ++i)
        run_step(mirror, batch, plain_step({&sequence}, 10));
    Prefix prefix;
    check_refused(ra_prefix_from_sequence(sequence.handle, 40, prefix.out()), RA_ERROR_NOT_RETAINED,
                  {"ra_prefix_from_sequence"});
    mirror.check_length(sequence);
    const auto frozen = mirror.freeze(sequence, -1);
    auto other = mirror.attach(&frozen);
    run_step(mirror, batch, plain_step({&sequence, &other}, 5));
}

TEST_CASE("retain -1 keeps everything: any split, any truncation") {
    Mirror mirror({{windowed(RA_WINDOW_CHUNKED, 20, -1)}, 16, 1024, 0, 1}, 9);
    auto prefix = mirror.prefix(nullptr, 200);
    const auto head = mirror.split(prefix, 10);
    auto a = mirror.attach(&prefix), b = mirror.attach(&head);
    mirror.truncate(a, 55);
    run_step(mirror, mirror.batch(), plain_step({&a, &b}, 3));
    CHECK(mirror.read_back(prefix, 0, 0, 190) == RA_OK);
}

TEST_CASE("speculation with rejects, over a window at its edge") {
    for (int32_t kind : kinds) {
        Mirror mirror({{windowed(kind, 17, 0)}, 5, 400, 0, 1}, 10);
        const auto prefix = mirror.prefix(nullptr, 33);
        auto sequence = mirror.attach(&prefix);
        const auto batch = mirror.batch();
        for (int64_t round = 0; round < 20; ++round) {
            MirrorStep step(mirror, plain_step({&sequence}, 6));
            ok(step.begin(batch));
            step.attend_every_layer();
            ok(step.commit({round % 7}));
        }
    }
}

}  // namespace relayattn::test
