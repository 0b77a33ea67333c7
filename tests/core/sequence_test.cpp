// Sequences: attach, fork with copy-on-write, truncate, pages.
#include <doctest/doctest.h>

#include <set>

#include "mirror_step.h"
#include "refusal.h"

namespace relayattn::test {
namespace {

const CacheSpec usual = {{LayerSpec{}}, 16, 1024, 0, 1};

void decode(Mirror& mirror, const std::vector<MirrorSequence*>& sequences, int64_t q_len = 1) {
    run_step(mirror, mirror.batch(), plain_step(sequences, q_len));
}

std::vector<int32_t> pages_of(const MirrorSequence& sequence) {
    int64_t count = 0;
    ok(ra_sequence_pages(sequence.handle, 0, nullptr, 0, &count));
    std::vector<int32_t> pages(static_cast<size_t>(count));
    ok(ra_sequence_pages(sequence.handle, 0, pages.data(), count, &count));
    CHECK(count == static_cast<int64_t>(pages.size()));
    return pages;
}

}  // namespace

TEST_CASE("forks part ways after the fork") {
    for (int64_t page_size : page_sizes)
        for (int64_t tail : {0, 1, 5, 15, 16, 17}) {
            CAPTURE(page_size);
            CAPTURE(tail);
            Mirror mirror({{LayerSpec{}}, page_size, 1024, 0, 1}, 1);
            const auto prefix = mirror.prefix(nullptr, 20);
            auto first = mirror.attach(&prefix);
            decode(mirror, {&first}, tail);
            auto second = mirror.fork(first);
            auto third = mirror.fork(second);
            decode(mirror, {&first, &second, &third});
            decode(mirror, {&third}, 4);
            decode(mirror, {&first, &second, &third}, 2);
        }
}

TEST_CASE("a fork takes no page until somebody writes") {
    Mirror mirror(usual, 2);
    auto first = mirror.attach(nullptr);
    decode(mirror, {&first}, 40);
    const auto before = mirror.free_pages();
    auto second = mirror.fork(first);
    CHECK(mirror.free_pages() == before);
    CHECK(pages_of(first) == pages_of(second));
    decode(mirror, {&second});
    const auto a = pages_of(first), b = pages_of(second);
    CHECK(a[0] == b[0]);
    CHECK(a[1] == b[1]);
    CHECK(a[2] != b[2]);  // the partial page was copied
    CHECK(mirror.free_pages()[0] == before[0] - 1);
}

TEST_CASE("the last holder of a partial page writes into it without a copy") {
    Mirror mirror(usual, 3);
    auto first = mirror.attach(nullptr);
    decode(mirror, {&first}, 5);
    auto second = mirror.fork(first);
    second.handle.reset();
    const auto before = mirror.free_pages();
    decode(mirror, {&first});
    CHECK(mirror.free_pages() == before);
}

TEST_CASE("truncating and going on again, to any length, into the prefix too") {
    for (int64_t page_size : page_sizes)
        for (int64_t length : {0, 1, 16, 19, 20, 21, 32, 33, 41, 42}) {
            CAPTURE(page_size);
            CAPTURE(length);
            Mirror mirror({{LayerSpec{}}, page_size, 1024, 0, 1}, 4);
            const auto prefix = mirror.prefix(nullptr, 20);
            auto sequence = mirror.attach(&prefix);
            auto witness = mirror.attach(&prefix);
            decode(mirror, {&sequence, &witness}, 22);
            auto fork = mirror.fork(sequence);
            mirror.truncate(sequence, length);
            decode(mirror, {&sequence, &witness, &fork}, 3);
            decode(mirror, {&sequence, &witness, &fork});
        }
}

TEST_CASE("truncating gives back the pages beyond the cut") {
    Mirror mirror(usual, 5);
    auto sequence = mirror.attach(nullptr);
    const auto total = mirror.free_pages();
    decode(mirror, {&sequence}, 50);
    CHECK(mirror.free_pages()[0] == total[0] - 4);
    mirror.truncate(sequence, 33);
    CHECK(mirror.free_pages()[0] == total[0] - 3);
    mirror.truncate(sequence, 32);
    CHECK(mirror.free_pages()[0] == total[0] - 2);
    mirror.truncate(sequence, 0);
    CHECK(mirror.free_pages() == total);
}

TEST_CASE("truncating within bounds only") {
    Mirror mirror(usual, 6);
    auto sequence = mirror.attach(nullptr);
    decode(mirror, {&sequence}, 10);
    check_refused(ra_sequence_truncate(sequence.handle, 11), RA_ERROR_ARGUMENT,
                  {"ra_sequence_truncate", "length", "11", "10"});
    check_refused(ra_sequence_truncate(sequence.handle, -1), RA_ERROR_ARGUMENT,
                  {"ra_sequence_truncate", "length", "-1"});
    mirror.check_length(sequence);
    mirror.truncate(sequence, 10);
}

TEST_CASE("a page listing tells how many there are and fills as many as fit") {
    Mirror mirror(usual, 7);
    const auto prefix = mirror.prefix(nullptr, 32);
    auto sequence = mirror.attach(&prefix);
    decode(mirror, {&sequence}, 17);
    const auto pages = pages_of(sequence);
    CHECK(pages.size() == 4);
    CHECK(std::set<int32_t>(pages.begin(), pages.end()).size() == 4);
    for (int32_t page : pages) {
        CHECK(page >= 0);
        CHECK(page < mirror.total_pages()[0]);
    }
    std::vector<int32_t> two(3, -7);
    int64_t count = 0;
    ok(ra_sequence_pages(sequence.handle, 0, two.data(), 2, &count));
    CHECK(count == 4);
    CHECK(two == std::vector<int32_t>{pages[0], pages[1], -7});
}

TEST_CASE("beam search: forks of forks, old beams released, every step against float64") {
    Mirror mirror(usual, 8);
    const auto prefix = mirror.prefix(nullptr, 30);
    std::vector<MirrorSequence> beams;
    for (int i = 0; i < 4; ++i)
        beams.push_back(mirror.attach(&prefix));
    for (int round = 0; round < 12; ++round) {
        std::vector<MirrorSequence> next;
        for (int i = 0; i < 4; ++i)
            next.push_back(mirror.fork(mirror.random().pick(beams)));
        beams = std::move(next);
        decode(mirror, {&beams[0], &beams[1], &beams[2], &beams[3]});
    }
    beams.clear();
    CHECK(mirror.free_pages()[0] == mirror.total_pages()[0] - 2);
}

}  // namespace relayattn::test
