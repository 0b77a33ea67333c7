#include "impl/core/page_pool.h"

namespace relayattn {

PagePool::PagePool(int64_t num_pages) : users_(static_cast<size_t>(num_pages), 0) {
    free_.reserve(users_.size());
    for (auto page = static_cast<int32_t>(num_pages) - 1; page >= 0; --page)
        free_.push_back(page);
}

int32_t PagePool::take() noexcept {
    const int32_t page = free_.back();
    free_.pop_back();
    users_[static_cast<size_t>(page)] = 1;
    return page;
}

void PagePool::retain(int32_t page) noexcept {
    ++users_[static_cast<size_t>(page)];
}

void PagePool::release(int32_t page) noexcept {
    // Capacity was reserved for every page, so push_back cannot allocate.
    if (--users_[static_cast<size_t>(page)] == 0)
        free_.push_back(page);
}

bool PagePool::is_shared(int32_t page) const noexcept {
    return users_[static_cast<size_t>(page)] > 1;
}

}  // namespace relayattn
