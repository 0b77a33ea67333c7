// A cache: the pages of every layer group, the memory under them, and the lock of all that lives in
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "impl/backend.h"
#include "impl/core/context.h"
#include "impl/core/model.h"
#include "impl/core/node.h"
#include "impl/core/page_pool.h"

namespace relayattn {

struct CacheOptions {
    int64_t page_size = 0;  // 0 = the backend's best
    int64_t capacity_tokens = 0;
    int64_t max_sequences = 0;  // 0 = not known
    void* memory = nullptr;
    int64_t memory_size = 0;
};

class Cache {
  public:
    static Result<int64_t> bytes_needed(const Context& context, const Model& model,
                                        const CacheOptions& options);
    static Result<std::shared_ptr<Cache>> create(std::shared_ptr<Context> context,
                                                 const Model& model, const CacheOptions& options);

    Backend& backend() const { return context_->backend(); }
    Context& context() const { return *context_; }
    const Model& model() const { return model_; }
    int64_t page_size() const { return page_size_; }
    QueueOrder& order() { return *order_; }

    // Page pools stand in the order of the groups that have pages of their own.
    size_t pool_of(int64_t group) const { return pool_of_group_[static_cast<size_t>(group)]; }
    const Window& pool_window(size_t pool) const { return pool_windows_[pool]; }
    const LayerStore& store(int64_t layer) const { return stores_[static_cast<size_t>(layer)]; }
    // One store of every layer whose KV lies in the pool.
    const std::vector<LayerStore>& pool_stores(size_t pool) const { return pool_stores_[pool]; }

    // Guards pools, and every node, prefix and sequence of the cache. Recursive, because an object
    // that a failing call drops takes it again to give its pages back.
    std::recursive_mutex mutex;
    std::vector<PagePool> pools;

  private:
    Cache(std::shared_ptr<Context> context, const Model& model, int64_t page_size);
    void lay_out(const std::vector<int64_t>& pool_pages, std::byte* memory);

    std::shared_ptr<Context> context_;
    const Model model_;
    int64_t page_size_;
    std::vector<size_t> pool_of_group_;
    std::vector<Window> pool_windows_;
    std::vector<LayerStore> stores_;  // per layer
    std::vector<std::vector<LayerStore>> pool_stores_;
    std::unique_ptr<DeviceMemory> memory_;  // null if the caller gave it
    std::unique_ptr<QueueOrder> order_;
};

// Whether every window of the cache still holds what a next token at `position` sees, on a chain
// that ends there (nodes from `tail`, then `own` extents when given).
Result<void> check_retained(const Cache& cache, const Node* tail, const std::vector<Extent>* own,
                            int64_t own_begin, int64_t position);

// The shortest length that a chain can be cut back to.
int64_t min_length(const Cache& cache, const Node* tail, const std::vector<Extent>* own,
                   int64_t own_begin, int64_t length);

}  // namespace relayattn
