// Writing, reading and copying slots of packed pages.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>

#include "cpu/step.h"

using namespace relayattn;
using namespace relayattn::test;

namespace {

// Pages of one layer, and tokens to put there: bytes that are all different.
struct Store {
    Store(Backend& backend, const KvGeometry& kv, int64_t page_size, int64_t pages)
        : layer{kv, backend.page_layout(kv, page_size), {}},
          k(static_cast<size_t>(pages * layer.layout.k_page_stride)),
          v(static_cast<size_t>(pages * layer.layout.v_page_stride)) {
        layer.pages = {k.data(), v.data()};
    }
    LayerStore layer;
    std::vector<uint8_t> k, v;
};

struct Tokens {
    Tokens(const KvGeometry& kv, int64_t count, uint64_t seed)
        : k_head(kv.head_dim_k * size_of(kv.dtype)),
          v_head(kv.head_dim_v * size_of(kv.dtype)),
          heads(kv.num_kv_heads),
          k(static_cast<size_t>(count * heads * k_head)),
          v(static_cast<size_t>(count * heads * v_head)) {
        Random random(seed);
        for (auto* bytes : {&k, &v}) {
            for (uint8_t& byte : *bytes) {
                byte = seed == 0 ? 0 : static_cast<uint8_t>(random.bits());
            }
        }
    }
    View k_view() { return {k.data(), heads * k_head, k_head}; }
    View v_view() { return {v.data(), heads * v_head, v_head}; }
    bool same(const Tokens& other, int64_t mine, int64_t its) const {
        const auto k_size = static_cast<size_t>(heads * k_head);
        const auto v_size = static_cast<size_t>(heads * v_head);
        const auto at = [](int64_t token, size_t size) {
            return static_cast<size_t>(token) * size;
        };
        return std::memcmp(&k[at(mine, k_size)], &other.k[at(its, k_size)], k_size) == 0 &&
               std::memcmp(&v[at(mine, v_size)], &other.v[at(its, v_size)], v_size) == 0;
    }
    int64_t k_head, v_head, heads;
    std::vector<uint8_t> k, v;
};

void check(const Result<void>& result) {
    REQUIRE_MESSAGE(static_cast<bool>(result), result.error().text);
}

const KvGeometry k_odd{3, 40, 56, Dtype::bf16};

}  // namespace

TEST_CASE("what was written to any slots is read back, few tokens or many") {
    const auto backend = backend_on("scalar", 2);
    Random random(4);
    for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
        for (const int64_t page_size : {1, 5, 16, 48}) {
            for (const int64_t count : {3, 700}) {
                const KvGeometry kv{3, 40, 56, dtype};
                const int64_t pages = count / page_size + 2;
                Store store(*backend, kv, page_size, pages);
                std::vector<int64_t> slots;
                for (int64_t i = 0; i < pages * page_size; ++i) {
                    slots.push_back(i);
                }
                random.shuffle(slots);
                slots.resize(static_cast<size_t>(count));
                Tokens in(kv, count, 9), out(kv, count, 0);
                check(backend->write(store.layer, in.k_view(), in.v_view(), slots, nullptr));
                check(backend->read(store.layer, out.k_view(), out.v_view(), slots, nullptr));
                CHECK(in.k == out.k);
                CHECK(in.v == out.v);
            }
        }
    }
}

TEST_CASE("negative slots skip their tokens") {
    const auto backend = backend_on("scalar", 1);
    Store store(*backend, k_odd, 4, 2);
    Tokens in(k_odd, 3, 9), out(k_odd, 3, 0);
    const Tokens untouched(k_odd, 3, 0);
    const std::vector<int64_t> written{6, -1, 2}, read{2, -1, 6};
    check(backend->write(store.layer, in.k_view(), in.v_view(), written, nullptr));
    check(backend->read(store.layer, out.k_view(), out.v_view(), read, nullptr));
    CHECK(out.same(in, 0, 2));
    CHECK(out.same(untouched, 1, 1));
    CHECK(out.same(in, 2, 0));
}

TEST_CASE("a page's neighbours are not touched") {
    const auto backend = backend_on("scalar", 1);
    Store store(*backend, k_odd, 5, 3);
    std::fill(store.k.begin(), store.k.end(), uint8_t{0xee});
    std::fill(store.v.begin(), store.v.end(), uint8_t{0xee});
    Tokens in(k_odd, 5, 9);
    const std::vector<int64_t> slots{5, 6, 7, 8, 9};
    check(backend->write(store.layer, in.k_view(), in.v_view(), slots, nullptr));
    const auto clean = [](const std::vector<uint8_t>& bytes, int64_t page) {
        const auto third = static_cast<int64_t>(bytes.size()) / 3;
        return std::all_of(bytes.begin() + page * third, bytes.begin() + (page + 1) * third,
                           [](uint8_t byte) { return byte == 0xee; });
    };
    for (const auto* bytes : {&store.k, &store.v}) {
        CHECK(clean(*bytes, 0));
        CHECK_FALSE(clean(*bytes, 1));
        CHECK(clean(*bytes, 2));
    }
}

TEST_CASE("copies read every slot before they write one, in every store") {
    const auto backend = backend_on("scalar", 1);
    const KvGeometry other{2, 64, 32, Dtype::f32};
    Store first(*backend, k_odd, 4, 3), second(*backend, other, 4, 3);
    Tokens a(k_odd, 12, 1), b(other, 12, 2);
    std::vector<int64_t> all;
    for (int64_t i = 0; i < 12; ++i) {
        all.push_back(i);
    }
    check(backend->write(first.layer, a.k_view(), a.v_view(), all, nullptr));
    check(backend->write(second.layer, b.k_view(), b.v_view(), all, nullptr));
    // A shift by one, both ways round, and a swap.
    const std::vector<int64_t> from{1, 2, 3, 8, 7, 10, 11}, to{2, 3, 4, 7, 6, 11, 10};
    const LayerStore stores[] = {first.layer, second.layer};
    check(backend->copy(stores, from, to, nullptr));
    Tokens a_after(k_odd, 12, 0), b_after(other, 12, 0);
    check(backend->read(first.layer, a_after.k_view(), a_after.v_view(), all, nullptr));
    check(backend->read(second.layer, b_after.k_view(), b_after.v_view(), all, nullptr));
    std::vector<int64_t> source = all;
    for (size_t i = 0; i < from.size(); ++i) {
        source[static_cast<size_t>(to[i])] = from[i];
    }
    for (int64_t i = 0; i < 12; ++i) {
        CHECK(a_after.same(a, i, source[static_cast<size_t>(i)]));
        CHECK(b_after.same(b, i, source[static_cast<size_t>(i)]));
    }
    check(backend->copy(stores, {}, {}, nullptr));
}

TEST_CASE("pages begin on cache lines and hold all heads") {
    const auto backend = backend_on("scalar", 1);
    for (const int64_t page_size : {1, 3, 16, 17, 64}) {
        for (const Dtype dtype : {Dtype::f32, Dtype::f16, Dtype::bf16}) {
            const PageLayout layout = backend->page_layout({3, 40, 56, dtype}, page_size);
            CHECK(layout.packed);
            CHECK(layout.page_size == page_size);
            CHECK(layout.k_page_stride % 64 == 0);
            CHECK(layout.v_page_stride % 64 == 0);
            CHECK(layout.k_page_stride >= 3 * 40 * page_size * size_of(dtype));
            CHECK(layout.v_page_stride >= 3 * 56 * page_size * size_of(dtype));
        }
    }
}

TEST_CASE("pages that are not packed are refused") {
    const auto backend = backend_on("scalar", 1);
    Store store(*backend, k_odd, 4, 1);
    store.layer.layout.packed = false;
    Tokens tokens(k_odd, 1, 1);
    const std::vector<int64_t> slot{0};
    const LayerStore stores[] = {store.layer};
    CHECK(
        backend->write(store.layer, tokens.k_view(), tokens.v_view(), slot, nullptr).error().code ==
        Code::unsupported);
    CHECK(
        backend->read(store.layer, tokens.k_view(), tokens.v_view(), slot, nullptr).error().code ==
        Code::unsupported);
    CHECK(backend->copy(stores, slot, slot, nullptr).error().code == Code::unsupported);
}
