// The work list as it is packed for the device: found again through the pointers that kernels get.

#include "impl/cuda/work_layout.h"

#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "../problem.h"

namespace relayattn::test {
namespace {

using cuda::DeviceWork;
using cuda::WorkLayout;

// What arrives on the device: only the stretches that pack() names.
std::vector<char> uploaded(const WorkLayout& layout, const WorkList& work) {
    std::vector<char> host(static_cast<size_t>(layout.size()), '\x55');
    std::vector<char> device(host.size(), '\xff');
    const cuda::Stretches stretches = layout.pack(work, host.data());
    for (const cuda::Stretch& part : stretches.list()) {
        REQUIRE(part.begin >= 0);
        REQUIRE(part.begin < part.end);
        REQUIRE(part.end <= layout.size());
        std::memcpy(device.data() + part.begin, host.data() + part.begin,
                    static_cast<size_t>(part.end - part.begin));
    }
    return device;
}

template <class T>
bool same(const T* got, const T* want, int32_t count) {
    return count == 0 || std::memcmp(got, want, static_cast<size_t>(count) * sizeof(T)) == 0;
}

void check_item(const DeviceWork& device, const WorkList& work, size_t index) {
    const Item &got = device.items[index], &want = work.items[index];
    CHECK(got.num_pieces == want.num_pieces);
    CHECK(got.num_kv_tokens == want.num_kv_tokens);
    CHECK(got.num_tokens == want.num_tokens);
    CHECK(got.partial == want.partial);
    CHECK(got.masked == want.masked);
    CHECK(same(device.item_tokens + got.first_token,
               &work.item_tokens[static_cast<size_t>(want.first_token)], want.num_tokens));
    for (int32_t i = 0; i < want.num_pieces; ++i) {
        const Piece& piece = device.pieces[got.first_piece + i];
        const Piece& original = work.pieces[static_cast<size_t>(want.first_piece + i)];
        CHECK(piece.first_slot == original.first_slot);
        CHECK(piece.num_tokens == original.num_tokens);
        CHECK(piece.position == original.position);
        CHECK(device.page_table[piece.table_offset] ==
              work.page_table[static_cast<size_t>(original.table_offset)]);
    }
}

void check_token(const DeviceWork& device, const WorkList& work, size_t index) {
    const QueryToken &got = device.tokens[index], &want = work.tokens[index];
    CHECK(got.position == want.position);
    CHECK(got.visible_begin == want.visible_begin);
    CHECK(got.visible_end == want.visible_end);
    CHECK(got.new_begin == want.new_begin);
    CHECK(got.num_partials == want.num_partials);
    if (want.num_partials > 0)
        CHECK(same(device.partial_index + got.first_partial,
                   &work.partial_index[static_cast<size_t>(want.first_partial)],
                   want.num_partials));
}

void check_work(const WorkLayout& layout, const WorkList& work) {
    const std::vector<char> block = uploaded(layout, work);
    const DeviceWork device = layout.at(block.data());
    CHECK(device.counts->num_many == work.num_many);
    CHECK(device.counts->num_items == static_cast<int32_t>(work.items.size()));
    CHECK(device.counts->num_tokens == static_cast<int32_t>(work.tokens.size()));
    CHECK(device.counts->num_merged == static_cast<int32_t>(work.merged_tokens.size()));
    CHECK(device.counts->padded_tokens == work.padded_tokens);
    CHECK(device.counts->ticket == 0);
    for (size_t i = 0; i < work.items.size(); ++i)
        check_item(device, work, i);
    for (size_t i = 0; i < work.tokens.size(); ++i)
        check_token(device, work, i);
    CHECK(same(device.slots, work.slots.data(), static_cast<int32_t>(work.slots.size())));
    CHECK(same(device.merged_tokens, work.merged_tokens.data(),
               static_cast<int32_t>(work.merged_tokens.size())));
}

}  // namespace

TEST_CASE("a packed work list is found again, in a plan of any size") {
    Random random(61);
    for (int trial = 0; trial < 20; ++trial) {
        ProblemOptions options;
        options.layer = layer_of(4, 2, 32, 32, Dtype::f32, Dtype::f32, Dtype::f32);
        options.num_sequences = random.integer(1, 12);
        options.num_nodes = random.integer(0, 4);
        options.padded_tokens = random.integer(0, 3);
        const std::vector<Problem> problems = {make_problem(options, random)};
        PlanShape shape = shape_for(problems, true);
        check_work(WorkLayout(shape), problems[0].work);
        for (const int64_t tokens : {int64_t{1000}, int64_t{100000}}) {
            shape.max_tokens = tokens;
            shape.max_items = shape.max_pieces = 3 * tokens;
            check_work(WorkLayout(shape), problems[0].work);
        }
    }
}

TEST_CASE("a small step in a large plan is copied in few and short stretches") {
    Random random(62);
    ProblemOptions options;
    options.layer = layer_of(4, 2, 32, 32, Dtype::f32, Dtype::f32, Dtype::f32);
    const std::vector<Problem> problems = {make_problem(options, random)};
    PlanShape shape = shape_for(problems, true);
    shape.max_tokens = 256;
    shape.max_items = shape.max_pieces = shape.max_table_entries = 100000;
    const WorkLayout layout(shape);
    std::vector<char> host(static_cast<size_t>(layout.size()));
    const cuda::Stretches stretches = layout.pack(problems[0].work, host.data());
    CHECK(stretches.list().size() == 1);
    CHECK(stretches.list()[0].end < 32768);
}

}  // namespace relayattn::test
