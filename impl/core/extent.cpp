#include "impl/core/extent.h"

#include <algorithm>

namespace relayattn {
namespace {

// Pages that hold tokens before `position`.
int64_t pages_before(const Extent& extent, int64_t position, int64_t page_size) {
    return position <= extent.begin ? 0 : extent.pages_until(position, page_size);
}

}  // namespace

void release_pages(Extent& extent, PagePool& pool) noexcept {
    for (const int32_t page : extent.pages)
        pool.release(page);
    extent.pages.clear();
}

void cut_tail(Extent& extent, int64_t end, int64_t page_size, PagePool& pool) noexcept {
    const auto kept = static_cast<size_t>(pages_before(extent, end, page_size));
    for (size_t i = kept; i < extent.pages.size(); ++i)
        pool.release(extent.pages[i]);
    extent.pages.resize(std::min(kept, extent.pages.size()));
    if (kept == 0) {
        extent.begin = std::min(extent.begin, end);
        extent.first_slot = 0;
    }
}

void drop_before(Extent& extent, int64_t position, int64_t page_size, PagePool& pool) noexcept {
    if (position <= extent.begin)
        return;
    const int64_t whole =
        std::min(extent.page_index(position, page_size), static_cast<int64_t>(extent.pages.size()));
    if (whole == 0)
        return;
    for (int64_t i = 0; i < whole; ++i)
        pool.release(extent.pages[static_cast<size_t>(i)]);
    extent.pages.erase(extent.pages.begin(), extent.pages.begin() + whole);
    extent.begin += whole * page_size - extent.first_slot;
    extent.first_slot = 0;
}

void prepare_head(const Extent& extent, int64_t position, int64_t page_size, Extent& head) {
    head.pages.reserve(static_cast<size_t>(pages_before(extent, position, page_size)));
}

void cut_head(Extent& extent, int64_t position, int64_t page_size, PagePool& pool,
              Extent& head) noexcept {
    if (position <= extent.begin) {
        head.begin = position;
        head.first_slot = 0;
        return;
    }
    head.begin = extent.begin;
    head.first_slot = extent.first_slot;
    const int64_t before = pages_before(extent, position, page_size);
    head.pages.assign(extent.pages.begin(), extent.pages.begin() + before);
    const int64_t slot = extent.slot_in_page(position, page_size);
    const int64_t moved = slot == 0 ? before : before - 1;
    if (slot != 0)
        pool.retain(head.pages.back());
    extent.pages.erase(extent.pages.begin(), extent.pages.begin() + moved);
    extent.begin = position;
    extent.first_slot = slot;
}

}  // namespace relayattn
