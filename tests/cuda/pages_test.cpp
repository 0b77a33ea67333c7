// Tokens into pages and out again, and copies inside them.

#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>

#include "checks.h"
#include "gpu.h"

namespace relayattn::test {
namespace {

constexpr int64_t num_pages = 9, page_size = 7, num_slots = num_pages * page_size;

// One layer's pages on the GPU, and the same as plain arrays of slots.
class Pages {
  public:
    Pages(Backend& backend, const KvGeometry& geometry, Random& random)
        : backend_(backend),
          geometry_(geometry),
          layout_(backend.page_layout(geometry, page_size)),
          k_pages_(gpu_memory(), num_pages * layout_.k_page_stride),
          v_pages_(gpu_memory(), num_pages * layout_.v_page_stride),
          k_(gpu_memory(), num_slots * k_row() * relayattn::size_of(geometry.dtype)),
          v_(gpu_memory(), num_slots * v_row() * relayattn::size_of(geometry.dtype)) {
        k_values = rounded_normals(k_row() * num_slots, random);
        v_values = rounded_normals(v_row() * num_slots, random);
        std::vector<int64_t> slots(num_slots);
        std::iota(slots.begin(), slots.end(), 0);
        write(slots);
    }

    LayerStore store() const { return {geometry_, layout_, {k_pages_.data(), v_pages_.data()}}; }
    int64_t k_row() const { return geometry_.num_kv_heads * geometry_.head_dim_k; }
    int64_t v_row() const { return geometry_.num_kv_heads * geometry_.head_dim_v; }

    void write(const std::vector<int64_t>& slots) {
        k_.upload_values(k_values, geometry_.dtype);
        v_.upload_values(v_values, geometry_.dtype);
        must(backend_.write(store(), k_view(), v_view(), slots, nullptr));
    }

    // The K and V that the slots hold now, token by token.
    std::pair<std::vector<float>, std::vector<float>> read(const std::vector<int64_t>& slots) {
        k_.poison();
        v_.poison();
        must(backend_.read(store(), k_view(), v_view(), slots, nullptr));
        const auto count = static_cast<int64_t>(slots.size());
        return {k_.download_values(count * k_row(), geometry_.dtype),
                v_.download_values(count * v_row(), geometry_.dtype)};
    }

    std::vector<float> k_values, v_values;

  private:
    std::vector<float> rounded_normals(int64_t count, Random& random) const {
        std::vector<float> values = random.normals(count);
        for (float& value : values)
            value = rounded(value, static_cast<int32_t>(geometry_.dtype));
        return values;
    }
    View k_view() const { return view(k_, k_row(), geometry_.head_dim_k); }
    View v_view() const { return view(v_, v_row(), geometry_.head_dim_v); }
    View view(const Buffer& buffer, int64_t row, int64_t dim) const {
        const int64_t size = relayattn::size_of(geometry_.dtype);
        return {buffer.data(), row * size, dim * size};
    }

    Backend& backend_;
    KvGeometry geometry_;
    PageLayout layout_;
    Buffer k_pages_, v_pages_, k_, v_;
};

std::vector<int64_t> all_slots() {
    std::vector<int64_t> slots(num_slots);
    std::iota(slots.begin(), slots.end(), 0);
    return slots;
}

const std::vector<KvGeometry> geometries = {
    {2, 32, 32, Dtype::f32}, {3, 40, 72, Dtype::bf16}, {8, 128, 128, Dtype::f16}};

// Row `from` of the values, wherever row `to` is asked for.
std::vector<float> moved(const std::vector<float>& values, int64_t row,
                         const std::vector<int64_t>& from, const std::vector<int64_t>& to) {
    std::vector<float> result = values;
    for (size_t i = 0; i < from.size(); ++i)
        std::copy_n(values.begin() + from[i] * row, row, result.begin() + to[i] * row);
    return result;
}

}  // namespace

TEST_CASE("what was written to slots is read from them") {
    const auto backend = make_gpu();
    Random random(21);
    for (const KvGeometry& geometry : geometries) {
        Pages pages(*backend, geometry, random);
        auto [k, v] = pages.read(all_slots());
        CHECK(k == pages.k_values);
        CHECK(v == pages.v_values);
        std::vector<int64_t> slots = all_slots();
        random.shuffle(slots);
        slots.resize(20);
        std::tie(k, v) = pages.read(slots);
        for (size_t i = 0; i < slots.size(); ++i)
            CHECK(std::equal(k.begin() + static_cast<int64_t>(i) * pages.k_row(),
                             k.begin() + static_cast<int64_t>(i + 1) * pages.k_row(),
                             pages.k_values.begin() + slots[i] * pages.k_row()));
    }
}

TEST_CASE("negative slots are skipped") {
    const auto backend = make_gpu();
    Random random(22);
    Pages pages(*backend, geometries[1], random);
    const auto before = pages.read(all_slots());
    for (float& value : pages.k_values)
        value = 1;
    for (float& value : pages.v_values)
        value = 1;
    pages.write({-1, -1, 5, -1});
    const auto after = pages.read(all_slots());
    for (int64_t slot = 0; slot < num_slots; ++slot) {
        const auto at = static_cast<size_t>(slot * pages.k_row());
        CHECK(after.first[at] == (slot == 5 ? 1.0f : before.first[at]));
    }
}

TEST_CASE("copies read everything before they write, also in many layers at once") {
    const auto backend = make_gpu();
    Random random(23);
    struct Slots {
        std::vector<int64_t> from, to;
    };
    const std::vector<Slots> cases = {
        {{1, 2, 3}, {40, 41, 42}},             // apart
        {{11, 13, 16}, {10, 11, 12}},          // down, clobbering what was read
        {{10, 11, 12, 13}, {11, 12, 13, 14}},  // up, clobbering what is yet to be read
        {{20, 30, 31}, {30, 31, 20}},          // in a circle
        {{7}, {7}},
    };
    for (const Slots& slots : cases) {
        std::vector<std::unique_ptr<Pages>> layers;
        std::vector<LayerStore> stores;
        for (size_t i = 0; i < 40; ++i) {
            layers.push_back(std::make_unique<Pages>(*backend, geometries[i % 3], random));
            stores.push_back(layers.back()->store());
        }
        must(backend->copy(stores, slots.from, slots.to, nullptr));
        for (const auto& layer : layers) {
            const auto [k, v] = layer->read(all_slots());
            CHECK(k == moved(layer->k_values, layer->k_row(), slots.from, slots.to));
            CHECK(v == moved(layer->v_values, layer->v_row(), slots.from, slots.to));
        }
    }
}

TEST_CASE("a copy larger than the staging memory is right") {
    const auto backend = make_gpu();
    const KvGeometry geometry{8, 256, 256, Dtype::f32};
    const int64_t count = 3000, rows = count + 1;
    const PageLayout layout = backend->page_layout(geometry, 1);
    Random random(24);
    Buffer k(gpu_memory(), rows * layout.k_page_stride),
        v(gpu_memory(), rows * layout.v_page_stride);
    const std::vector<float> values = random.normals(rows * 8 * 256);
    k.upload_values(values, Dtype::f32);
    v.upload_values(values, Dtype::f32);
    std::vector<int64_t> from(static_cast<size_t>(count)), to(from.size());
    std::iota(from.begin(), from.end(), 0);
    std::iota(to.begin(), to.end(), 1);
    const LayerStore store{geometry, layout, {k.data(), v.data()}};
    must(backend->copy(std::vector<LayerStore>{store}, from, to, nullptr));
    const std::vector<float> want = moved(values, 8 * 256, from, to);
    CHECK(k.download_values(rows * 8 * 256, Dtype::f32) == want);
    CHECK(v.download_values(rows * 8 * 256, Dtype::f32) == want);
}

}  // namespace relayattn::test
