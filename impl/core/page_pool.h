// Reference-counted pages of one layer group. Not thread-safe: the cache's mutex guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace relayattn {

class PagePool {
  public:
    explicit PagePool(int64_t num_pages);

    int64_t total() const { return static_cast<int64_t>(users_.size()); }
    int64_t free() const { return static_cast<int64_t>(free_.size()); }

    // One free page with one user. There must be one: callers check free() first.
    int32_t take() noexcept;
    void retain(int32_t page) noexcept;
    void release(int32_t page) noexcept;
    bool is_shared(int32_t page) const noexcept;

  private:
    std::vector<int32_t> users_;  // per page
    std::vector<int32_t> free_;   // last released is first taken: it is likely to be in a cache
};

}  // namespace relayattn
