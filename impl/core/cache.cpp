#include "impl/core/cache.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace relayattn {
namespace {

constexpr int64_t alignment = 256;  // of every layer's K and V, for any device's widest load

int64_t ceil_div(int64_t a, int64_t b) {
    return (a - 1) / b + 1;
}

// Page counts per pool: full groups hold the capacity; a window group needs no more than what its
// sequences keep, a page more for a cut at each end, and as much again for prefixes and for the new
// tokens of a step.
int64_t pages_for(const Window& window, const CacheOptions& options, int64_t page_size) {
    const int64_t full = ceil_div(options.capacity_tokens, page_size);
    const int64_t kept = kept_tokens(window);
    if (kept < 0 || options.max_sequences == 0)
        return full;
    const int64_t each = 2 * (ceil_div(kept, page_size) + 2);
    return each > full / options.max_sequences ? full : each * options.max_sequences;
}

struct Sizes {
    std::vector<int64_t> pages;  // per pool
    int64_t page_size = 0;
    int64_t bytes = 0;
};

bool add_layer(Sizes& sizes, int64_t pages, int64_t page_stride) {
    int64_t bytes = 0;
    if (__builtin_mul_overflow(pages, page_stride, &bytes) ||
        bytes > std::numeric_limits<int64_t>::max() / 2)
        return false;
    bytes = ceil_div(bytes, alignment) * alignment;
    return !__builtin_add_overflow(sizes.bytes, bytes, &sizes.bytes);
}

Result<Sizes> measure(const Context& context, const Model& model, const CacheOptions& options) {
    if (model.groups().empty())
        return error(Code::state, "model has no layer set; set one before it is used");
    if (options.capacity_tokens < 1 || options.capacity_tokens > (int64_t{1} << 31) - 1)
        return error(Code::argument, "capacity_tokens is ", options.capacity_tokens,
                     "; it must be from 1 to 2147483647");
    if (options.max_sequences < 0)
        return error(Code::argument, "max_sequences is ", options.max_sequences,
                     "; it must be at least 0");
    Sizes sizes;
    sizes.page_size =
        options.page_size == 0 ? context.backend().info().page_size : options.page_size;
    if (sizes.page_size < 1 || sizes.page_size > 65536)
        return error(Code::argument, "page_size is ", options.page_size,
                     "; it must be 0 (the device's best) or from 1 to 65536");
    const auto& groups = model.groups();
    for (size_t g = 0; g < groups.size(); ++g) {
        if (groups[g].pages_of != static_cast<int64_t>(g))
            continue;
        const int64_t pages = pages_for(groups[g].window, options, sizes.page_size);
        sizes.pages.push_back(pages);
        const PageLayout layout = context.backend().page_layout(groups[g].kv, sizes.page_size);
        for (const int64_t layer : groups[g].layers) {
            if (model.layer(layer).kv_layer >= 0)
                continue;
            if (!add_layer(sizes, pages, layout.k_page_stride) ||
                !add_layer(sizes, pages, layout.v_page_stride))
                return error(Code::memory, "capacity_tokens is ", options.capacity_tokens,
                             "; the pages would not fit in a 64-bit address space");
        }
    }
    for (int64_t l = 0; l < model.num_layers(); ++l) {
        if (!model.layer(l).is_set)
            continue;
        Result<void> ok = context.backend().supports(model.layer(l), sizes.page_size, false);
        if (!ok)
            return error(ok.error().code, "layer ", l, ": ", ok.error().text);
    }
    sizes.bytes += alignment;  // the caller's memory may start anywhere
    return sizes;
}

std::byte* align(void* memory) {
    const auto address = reinterpret_cast<uintptr_t>(memory);
    return reinterpret_cast<std::byte*>((address + alignment - 1) / alignment * alignment);
}

}  // namespace

Result<int64_t> Cache::bytes_needed(const Context& context, const Model& model,
                                    const CacheOptions& options) {
    Result<Sizes> sizes = measure(context, model, options);
    if (!sizes)
        return sizes.error();
    return sizes->bytes;
}

Cache::Cache(std::shared_ptr<Context> context, const Model& model, int64_t page_size)
    : context_(std::move(context)), model_(model), page_size_(page_size) {}

Result<std::shared_ptr<Cache>> Cache::create(std::shared_ptr<Context> context, const Model& model,
                                             const CacheOptions& options) {
    Result<Sizes> sizes = measure(*context, model, options);
    if (!sizes)
        return sizes.error();
    if (options.memory != nullptr && options.memory_size < sizes->bytes)
        return error(Code::argument, "memory_size is ", options.memory_size,
                     "; this cache needs at least ", sizes->bytes, " bytes");
    std::shared_ptr<Cache> cache(new Cache(std::move(context), model, sizes->page_size));
    void* memory = options.memory;
    if (memory == nullptr) {
        Result<std::unique_ptr<DeviceMemory>> own = cache->backend().allocate(sizes->bytes);
        if (!own)
            return own.error();
        cache->memory_ = std::move(*own);
        memory = cache->memory_->data();
    }
    Result<std::unique_ptr<QueueOrder>> order = cache->backend().create_order();
    if (!order)
        return order.error();
    cache->order_ = std::move(*order);
    cache->lay_out(sizes->pages, align(memory));
    return cache;
}

void Cache::lay_out(const std::vector<int64_t>& pool_pages, std::byte* memory) {
    const auto& groups = model_.groups();
    pools.reserve(pool_pages.size());
    pool_of_group_.resize(groups.size());
    stores_.resize(static_cast<size_t>(model_.num_layers()));
    const auto take = [&](int64_t bytes) {
        std::byte* start = memory;
        memory += ceil_div(bytes, alignment) * alignment;
        return start;
    };
    for (size_t g = 0; g < groups.size(); ++g) {
        const auto owner = static_cast<size_t>(groups[g].pages_of);
        if (owner != g) {
            pool_of_group_[g] = pool_of_group_[owner];
            for (const int64_t l : groups[g].layers)
                stores_[static_cast<size_t>(l)] = store(model_.source_layer(l));
            continue;
        }
        const size_t pool = pools.size();
        pool_of_group_[g] = pool;
        pools.emplace_back(pool_pages[pool]);
        pool_windows_.push_back(groups[g].window);
        pool_stores_.emplace_back();
        const PageLayout layout = backend().page_layout(groups[g].kv, page_size_);
        for (const int64_t l : groups[g].layers) {
            LayerStore& store = stores_[static_cast<size_t>(l)];
            if (model_.layer(l).kv_layer >= 0) {
                store = stores_[static_cast<size_t>(model_.layer(l).kv_layer)];
                continue;
            }
            void* k = take(pool_pages[pool] * layout.k_page_stride);
            void* v = take(pool_pages[pool] * layout.v_page_stride);
            store = {groups[g].kv, layout, {k, v}};
            pool_stores_[pool].push_back(store);
        }
    }
}

namespace {

int64_t chain_held_from(const Node* tail, const std::vector<Extent>* own, int64_t own_begin,
                        size_t pool) {
    if (own != nullptr && (*own)[pool].begin > own_begin)
        return (*own)[pool].begin;
    return held_from(tail, pool);
}

}  // namespace

Result<void> check_retained(const Cache& cache, const Node* tail, const std::vector<Extent>* own,
                            int64_t own_begin, int64_t position) {
    for (size_t pool = 0; pool < cache.pools.size(); ++pool) {
        const int64_t held = chain_held_from(tail, own, own_begin, pool);
        const int64_t needed = first_visible(cache.pool_window(pool), position);
        if (needed < held)
            return error(Code::not_retained, "length ", position, " needs tokens from position ",
                         needed, ", but a window layer has kept only those from ", held);
    }
    return {};
}

int64_t min_length(const Cache& cache, const Node* tail, const std::vector<Extent>* own,
                   int64_t own_begin, int64_t length) {
    int64_t shortest = 0;
    for (size_t pool = 0; pool < cache.pools.size(); ++pool) {
        const int64_t held = chain_held_from(tail, own, own_begin, pool);
        if (held == 0)
            continue;
        const Window& window = cache.pool_window(pool);
        const int64_t reach = window.kind == WindowKind::sliding
                                  ? held + window.size - 1
                                  : (held + window.size - 1) / window.size * window.size;
        shortest = std::max(shortest, reach);
    }
    return std::min(shortest, length);
}

}  // namespace relayattn
