// What a work list does to each query token, followed slot by slot.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "impl/core/plan/forest.h"
#include "impl/core/plan/work_list.h"

namespace relayattn::test {

// Which (page, slot) a token's items give it for each visible position, and how often.
struct TokenCoverage {
    std::map<int32_t, std::vector<int64_t>> slots;  // position -> slots, one entry per item
    std::vector<int32_t> partials;                  // in the order of its merge list
    int items = 0;
    int direct_items = 0;
    int hidden = 0;  // keys that it does not see, of items that say that it sees all
};

std::vector<TokenCoverage> follow(const WorkList& work, int64_t page_size);

// position -> slot of every token on the row's chain.
std::map<int32_t, int64_t> chain_slots(const Forest& forest, const WorkList& work, const Row& row,
                                       int64_t page_size);

}  // namespace relayattn::test
