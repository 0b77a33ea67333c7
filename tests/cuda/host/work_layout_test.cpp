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

void check_piece(const DeviceWork& device, const Piece& got, const WorkList& work,
                 const Piece& want, int64_t page_size) {
    CHECK(got.first_slot == want.first_slot);
    CHECK(got.num_tokens == want.num_tokens);
    CHECK(got.position == want.position);
    const int64_t pages = (want.first_slot + want.num_tokens + page_size - 1) / page_size;
    CHECK(same(device.page_table + got.table_offset,
               &work.page_table[static_cast<size_t>(want.table_offset)],
               static_cast<int32_t>(pages)));
}

// What the record adds to the item: the first piece, the item's tokens, and where new ones begin.
void check_record(const DeviceWork& device, const WorkList& work, size_t index, int64_t page_size) {
    const cuda::ItemHead& head = device.items[index].head;
    const Item& want = work.items[index];
    const int32_t* tokens = &work.item_tokens[static_cast<size_t>(want.first_token)];
    for (int32_t i = 0; i < want.num_tokens; ++i)
        CHECK((head.item.first_token < 0
                   ? ~head.item.first_token + i
                   : device.item_tokens[head.item.first_token + i]) == tokens[i]);
    const auto first = static_cast<size_t>(tokens[0]);
    CHECK(head.append_from ==
          (work.slots[first] < 0 ? cuda::k_no_position : work.tokens[first].new_begin));
    CHECK(head.append_token + work.tokens[first].position == tokens[0]);
    if (want.num_pieces > 0)
        check_piece(device, head.piece, work, work.pieces[static_cast<size_t>(want.first_piece)],
                    page_size);
}

void check_item(const DeviceWork& device, const WorkList& work, size_t index, int64_t page_size) {
    const Item &got = device.items[index].head.item, &want = work.items[index];
    CHECK(got.num_pieces == want.num_pieces);
    CHECK(got.num_kv_tokens == want.num_kv_tokens);
    CHECK(got.num_tokens == want.num_tokens);
    CHECK(got.partial == want.partial);
    CHECK(got.masked == want.masked);
    check_record(device, work, index, page_size);
    for (int32_t i = 0; i < want.num_pieces; ++i)
        check_piece(device, device.pieces[got.first_piece + i], work,
                    work.pieces[static_cast<size_t>(want.first_piece + i)], page_size);
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

void check_work(const PlanShape& shape, const WorkList& work) {
    const WorkLayout layout(shape);
    const std::vector<char> block = uploaded(layout, work);
    const DeviceWork device = layout.at(block.data());
    CHECK(device.counts->num_many == work.num_many);
    CHECK(device.counts->num_items == static_cast<int32_t>(work.items.size()));
    CHECK(device.counts->num_tokens == static_cast<int32_t>(work.tokens.size()));
    CHECK(device.counts->num_merged == static_cast<int32_t>(work.merged_tokens.size()));
    CHECK(device.counts->padded_tokens == work.padded_tokens);
    for (size_t i = 0; i < work.items.size(); ++i)
        check_item(device, work, i, shape.page_size);
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
        check_work(shape, problems[0].work);
        for (const int64_t tokens : {int64_t{1000}, int64_t{100000}}) {
            shape.max_tokens = tokens;
            shape.max_items = shape.max_pieces = 3 * tokens;
            check_work(shape, problems[0].work);
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
