#include "planner/coverage.h"

namespace relayattn::test {
namespace {

int64_t slot_of(const WorkList& work, int64_t table_offset, int64_t first_slot, int64_t i,
                int64_t page_size) {
    const int64_t place = first_slot + i;
    return work.page_table[static_cast<size_t>(table_offset + place / page_size)] * page_size +
           place % page_size;
}

}  // namespace

std::vector<TokenCoverage> follow(const WorkList& work, int64_t page_size) {
    std::vector<TokenCoverage> all(work.tokens.size());
    for (const Item& item : work.items) {
        for (int32_t t = 0; t < item.num_tokens; ++t) {
            const auto index =
                static_cast<size_t>(work.item_tokens[static_cast<size_t>(item.first_token + t)]);
            const QueryToken& token = work.tokens[index];
            TokenCoverage& coverage = all[index];
            coverage.items += 1;
            coverage.direct_items += item.partial < 0 ? 1 : 0;
            for (int32_t p = 0; p < item.num_pieces; ++p) {
                const Piece& piece = work.pieces[static_cast<size_t>(item.first_piece + p)];
                for (int32_t i = 0; i < piece.num_tokens; ++i) {
                    const int32_t position = piece.position + i;
                    if (position >= token.visible_begin && position < token.visible_end)
                        coverage.slots[position].push_back(
                            slot_of(work, piece.table_offset, piece.first_slot, i, page_size));
                    else
                        coverage.hidden += item.masked == 0 ? 1 : 0;
                }
            }
        }
    }
    for (size_t i = 0; i < all.size(); ++i) {
        const QueryToken& token = work.tokens[i];
        for (int32_t p = 0; p < token.num_partials; ++p)
            all[i].partials.push_back(
                work.partial_index[static_cast<size_t>(token.first_partial + p)]);
    }
    return all;
}

std::map<int32_t, int64_t> chain_slots(const Forest& forest, const WorkList& work, const Row& row,
                                       int64_t page_size) {
    std::map<int32_t, int64_t> slots;
    for (int32_t i = 0; i < row.tail.num_tokens; ++i)
        slots[row.tail.position + i] =
            slot_of(work, row.tail.table_offset, row.tail.first_slot, i, page_size);
    for (int32_t run = row.run; run >= 0; run = forest.runs[static_cast<size_t>(run)].parent) {
        const Run& at = forest.runs[static_cast<size_t>(run)];
        for (int32_t i = 0; i < at.length; ++i)
            slots[at.position + i] = slot_of(work, at.table_offset, at.first_slot, i, page_size);
    }
    return slots;
}

}  // namespace relayattn::test
