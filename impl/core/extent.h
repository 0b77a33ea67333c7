// The pages that hold one layer group's share of a stretch of tokens.
//
//   stretch [first position ........................ end)        end is the owner's
//   held                    [begin .................. end)        earlier tokens left the window
//   pages                   [first_slot.. page | page | ..end]
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "impl/core/page_pool.h"

namespace relayattn {

struct Extent {
    int64_t begin = 0;       // position of the first held token
    int64_t first_slot = 0;  // its slot in pages[0]
    std::vector<int32_t> pages;

    int64_t page_index(int64_t position, int64_t page_size) const {
        return (first_slot + position - begin) / page_size;
    }
    int64_t slot_in_page(int64_t position, int64_t page_size) const {
        return (first_slot + position - begin) % page_size;
    }
    // The pool-wide slot of a held token.
    int64_t slot(int64_t position, int64_t page_size) const {
        const auto page = pages[static_cast<size_t>(page_index(position, page_size))];
        return page * page_size + slot_in_page(position, page_size);
    }
    // How many pages tokens up to `end` need.
    int64_t pages_until(int64_t end, int64_t page_size) const {
        return (first_slot + end - begin + page_size - 1) / page_size;
    }
};

void release_pages(Extent& extent, PagePool& pool) noexcept;

// Keeps the pages of tokens before `end`, releases the others.
void cut_tail(Extent& extent, int64_t end, int64_t page_size, PagePool& pool) noexcept;

// Gives back whole pages whose tokens all lie before `position`.
void drop_before(Extent& extent, int64_t position, int64_t page_size, PagePool& pool) noexcept;

// Cuts `extent` at `position`: the result is the part before it (sharing the page that the cut
// falls in), the extent goes on from there. prepare_head makes room; cut_head cannot fail.
void prepare_head(const Extent& extent, int64_t position, int64_t page_size, Extent& head);
void cut_head(Extent& extent, int64_t position, int64_t page_size, PagePool& pool,
              Extent& head) noexcept;

}  // namespace relayattn
