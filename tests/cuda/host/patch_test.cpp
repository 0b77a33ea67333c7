// A block that is patched as its list grows is the block into which the grown list is packed.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "impl/core/plan/planner.h"
#include "impl/cuda/work_layout.h"
#include "support/random.h"

namespace relayattn::test {
namespace {

using cuda::WorkLayout;

constexpr int64_t k_page_size = 16;

// Sequences below one prefix that all get a token a step.
class Growing {
  public:
    Growing(int32_t num_rows, int32_t prefix, Random& random) {
        add_run(-1, 0, prefix, 0);
        for (int32_t i = 0; i < num_rows; ++i) {
            const auto length = static_cast<int32_t>(random.integer(1, 70));
            add_run(0, static_cast<int32_t>(random.integer(0, k_page_size - 1)), length, prefix);
            const Run& run = forest_.runs.back();
            work.page_table.push_back(work.page_table.back());  // a spare entry
            work.slots.push_back(slot_of(run));
            work.tokens.push_back(
                {prefix + length - 1, 0, prefix + length, prefix + length - 1, 0, 0});
            forest_.rows.push_back({i + 1, i, 1});
        }
        PlannerOptions options;
        options.shape.kv = {1, 32, 32, Dtype::f32};
        options.shape.rows_per_token = 4;
        options.page_size = k_page_size;
        options.figures.num_workers = 40;
        options.figures.min_chunk = options.figures.chunk_granule = k_page_size;
        Planner().plan(forest_, options, work);
        find_ends();
    }

    // Returns the rows that took a page.
    std::vector<int32_t> grow() {
        std::vector<int32_t> paged;
        for (size_t i = 0; i < ends.size(); ++i) {
            Run& run = forest_.runs[i + 1];
            if ((run.first_slot + run.length) % k_page_size == 0) {
                work.page_table[static_cast<size_t>(ends[i].table++)] = next_page_++;
                --ends[i].spare;
                paged.push_back(static_cast<int32_t>(i));
            }
            ++run.length;
            ++work.items[static_cast<size_t>(ends[i].item)].num_kv_tokens;
            ++work.pieces[static_cast<size_t>(ends[i].piece)].num_tokens;
            ++work.tokens[i].position;
            ++work.tokens[i].visible_end;
            ++work.tokens[i].new_begin;
            work.slots[i] = slot_of(run);
        }
        return paged;
    }

    PlanShape shape() const {
        const auto size = [](const auto& values) { return static_cast<int64_t>(values.size()); };
        PlanShape shape;
        shape.page_size = k_page_size;
        shape.max_tokens = size(work.tokens);
        shape.max_items = size(work.items);
        shape.max_pieces = size(work.pieces);
        shape.max_table_entries = size(work.page_table);
        shape.max_item_tokens = size(work.item_tokens);
        shape.max_partials = size(work.partial_index);
        return shape;
    }

    WorkList work;
    std::vector<RowEnd> ends;

  private:
    void add_run(int32_t parent, int32_t first_slot, int32_t length, int32_t position) {
        forest_.runs.push_back(
            {parent, static_cast<int32_t>(work.page_table.size()), first_slot, length, position});
        for (int64_t slot = 0; slot < first_slot + length; slot += k_page_size)
            work.page_table.push_back(next_page_++);
    }
    int64_t slot_of(const Run& run) const {
        const int64_t last = run.first_slot + run.length - 1;
        const auto entry = static_cast<size_t>(run.table_offset + last / k_page_size);
        return work.page_table[entry] * k_page_size + last % k_page_size;
    }
    void find_ends() {
        ends.assign(work.tokens.size(), {-1, -1, 0, 1});
        for (size_t i = 0; i < work.items.size(); ++i) {
            const Item& item = work.items[i];
            const auto token =
                static_cast<size_t>(work.item_tokens[static_cast<size_t>(item.first_token)]);
            const int32_t last = item.first_piece + item.num_pieces - 1;
            const Piece& piece = work.pieces[static_cast<size_t>(last)];
            if (item.num_tokens != 1 ||
                piece.position + piece.num_tokens != work.tokens[token].visible_end)
                continue;
            const Run& run = forest_.runs[token + 1];
            const auto pages = (run.first_slot + run.length + k_page_size - 1) / k_page_size;
            ends[token] = {static_cast<int32_t>(i), last,
                           run.table_offset + static_cast<int32_t>(pages), 1};
        }
        for (const RowEnd& end : ends)
            REQUIRE(end.item >= 0);
    }

    Forest forest_;
    int32_t next_page_ = 1000;
};

struct Block {
    std::vector<char> data;
    std::vector<int32_t> missed;  // rows that took a page since it was written
};

// Items that hold no new token may know an older place where new ones begin, and what a record
// holds after its piece's pages is nothing.
void forgive_what_is_not_read(const WorkLayout& layout, const Growing& growing,
                              std::vector<char>& want, const std::vector<char>& got) {
    for (size_t i = 0; i < growing.work.items.size(); ++i) {
        auto& record = const_cast<cuda::ItemRecord&>(layout.at(want.data()).items[i]);
        const auto& old_record = layout.at(got.data()).items[i];
        cuda::ItemHead& head = record.head;
        const cuda::ItemHead& old = old_record.head;
        const int64_t pages =
            (head.piece.first_slot + head.piece.num_tokens + k_page_size - 1) / k_page_size;
        for (int64_t p = pages > cuda::k_record_pages ? 0 : pages; p < cuda::k_record_pages; ++p)
            record.pages[p] = old_record.pages[p];
        const bool is_end =
            std::any_of(growing.ends.begin(), growing.ends.end(),
                        [&](const RowEnd& end) { return end.item == static_cast<int32_t>(i); });
        if (is_end)
            continue;
        const Piece& piece = growing.work.pieces[static_cast<size_t>(
            growing.work.items[i].first_piece + growing.work.items[i].num_pieces - 1)];
        CHECK(old.append_from >= piece.position + piece.num_tokens);
        head.append_from = old.append_from;
        head.append_token = old.append_token;
    }
}

}  // namespace

TEST_CASE("patching a block brings it to the list's latest state") {
    Random random(63);
    for (int trial = 0; trial < 30; ++trial) {
        Growing growing(static_cast<int32_t>(random.integer(1, 40)),
                        static_cast<int32_t>(random.integer(1, 400)), random);
        const WorkLayout layout(growing.shape());
        std::vector<Block> blocks(3);
        for (Block& block : blocks) {
            block.data.assign(static_cast<size_t>(layout.size()), '\x55');
            layout.pack(growing.work, block.data.data());
        }
        for (int step = 0; step < k_page_size; ++step) {
            const std::vector<int32_t> paged = growing.grow();
            for (Block& block : blocks)
                block.missed.insert(block.missed.end(), paged.begin(), paged.end());
            Block& block = blocks[static_cast<size_t>(random.integer(0, 2))];
            layout.patch(growing.work, growing.ends, block.missed, block.data.data());
            block.missed.clear();
            std::vector<char> want(block.data.size(), '\x55');
            const cuda::Stretches stretches = layout.pack(growing.work, want.data());
            forgive_what_is_not_read(layout, growing, want, block.data);
            for (const cuda::Stretch& part : stretches.list())
                CHECK(std::memcmp(block.data.data() + part.begin, want.data() + part.begin,
                                  static_cast<size_t>(part.end - part.begin)) == 0);
        }
    }
}

}  // namespace relayattn::test
