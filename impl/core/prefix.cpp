#include "impl/core/prefix.h"

#include <algorithm>
#include <utility>

namespace relayattn {

Prefix::Prefix(std::shared_ptr<Cache> cache, std::shared_ptr<Node> tail, int64_t own_begin)
    : cache_(std::move(cache)), tail_(std::move(tail)), own_begin_(own_begin) {}

Prefix::~Prefix() {
    const std::lock_guard lock(cache_->mutex);
    tail_.reset();
}

namespace {

// Takes the pages that `node` needs: of a window group, those of the tokens that it keeps.
Result<void> take_pages(const Cache& cache, Node& node) {
    const int64_t page_size = cache.page_size();
    for (size_t pool = 0; pool < node.pools.size(); ++pool) {
        Extent& extent = node.extents[pool];
        const int64_t kept = kept_tokens(cache.pool_window(pool));
        extent.begin = kept < 0 ? node.begin : std::max(node.begin, node.end - kept);
        const int64_t needed = extent.pages_until(node.end, page_size);
        if (needed > node.pools[pool].free())
            return error(Code::pages, "num_tokens is ", node.end - node.begin, "; it needs ",
                         needed, " pages and ", node.pools[pool].free(), " are free");
        extent.pages.reserve(static_cast<size_t>(needed));
        for (int64_t i = 0; i < needed; ++i)
            extent.pages.push_back(node.pools[pool].take());
    }
    return {};
}

}  // namespace

Result<std::shared_ptr<Prefix>> Prefix::create(const std::shared_ptr<Cache>& cache,
                                               const Prefix* parent, int64_t num_tokens) {
    const std::lock_guard lock(cache->mutex);
    std::shared_ptr<Node> above;
    if (parent != nullptr) {
        Result<std::shared_ptr<Node>> tail = parent->sealed_tail();
        if (!tail)
            return tail.error();
        above = std::move(*tail);
    }
    const int64_t begin = above == nullptr ? 0 : above->end;
    constexpr int64_t most = (int64_t{1} << 31) - 1;
    if (num_tokens < 1 || num_tokens > most - begin)
        return error(Code::argument, "num_tokens is ", num_tokens, "; it must be from 1 to ",
                     most - begin);
    auto node = std::make_shared<Node>(cache->pools, begin, begin + num_tokens);
    if (Result<void> ok = take_pages(*cache, *node); !ok)
        return ok.error();
    node->parent = std::move(above);
    node->is_open = true;
    return std::make_shared<Prefix>(cache, std::move(node), begin);
}

Result<std::vector<int64_t>> Prefix::slots(const Stretch& tokens, bool must_be_held) const {
    const auto& [layer, pos, num_tokens] = tokens;
    const int64_t own = tail_->end - own_begin_;
    if (num_tokens < 0)
        return error(Code::argument, "kv.num_tokens is ", num_tokens, "; it must be at least 0");
    if (pos < 0 || pos > own - num_tokens)
        return error(Code::argument, "pos is ", pos, " and kv.num_tokens is ", num_tokens,
                     "; they must lie within the prefix's own ", own, " tokens");
    const size_t pool = cache_->pool_of(cache_->model().layer(layer).group);
    std::vector<int64_t> slots(static_cast<size_t>(num_tokens), -1);
    const int64_t first = own_begin_ + pos;
    const int64_t last = first + num_tokens;
    for (const Node* node = tail_.get(); node != nullptr && node->end > first;
         node = node->parent.get()) {
        const Extent& extent = node->extents[pool];
        const int64_t begin = std::max(first, node->begin);
        const int64_t end = std::min(last, node->end);
        if (must_be_held && begin < end && begin < extent.begin)
            return error(Code::not_retained, "pos is ", pos,
                         "; this window layer has kept only tokens from position ",
                         extent.begin - own_begin_, " of the prefix");
        for (int64_t p = std::max(begin, extent.begin); p < end; ++p)
            slots[static_cast<size_t>(p - first)] = extent.slot(p, cache_->page_size());
    }
    return slots;
}

Result<void> Prefix::write(int64_t layer, int64_t pos, const View& k, const View& v,
                           int64_t num_tokens, void* queue) {
    const std::lock_guard lock(cache_->mutex);
    if (!tail_->is_open)
        return error(Code::state, "prefix is sealed; it can no longer be written");
    return transfer(&Backend::write, {layer, pos, num_tokens}, false, k, v, queue);
}

Result<void> Prefix::read(int64_t layer, int64_t pos, const View& k, const View& v,
                          int64_t num_tokens, void* queue) {
    const std::lock_guard lock(cache_->mutex);
    return transfer(&Backend::read, {layer, pos, num_tokens}, true, k, v, queue);
}

Result<void> Prefix::transfer(Transfer operation, const Stretch& tokens, bool must_be_held,
                              const View& k, const View& v, void* queue) const {
    Result<std::vector<int64_t>> where = slots(tokens, must_be_held);
    if (!where)
        return where.error();
    if (Result<void> ok = cache_->order().before(queue); !ok)
        return ok;
    Backend& backend = cache_->backend();
    if (Result<void> ok = (backend.*operation)(cache_->store(tokens.layer), k, v, *where, queue);
        !ok)
        return ok;
    return cache_->order().after(queue);
}

Result<void> Prefix::seal(void* queue) {
    const std::lock_guard lock(cache_->mutex);
    if (!tail_->is_open)
        return error(Code::state, "prefix is sealed already");
    if (Result<void> ok = cache_->order().after(queue); !ok)
        return ok;
    tail_->is_open = false;
    return {};
}

Result<std::shared_ptr<Prefix>> Prefix::split(int64_t num_tokens) {
    const std::lock_guard lock(cache_->mutex);
    if (Result<std::shared_ptr<Node>> sealed = sealed_tail(); !sealed)
        return sealed.error();
    const int64_t own = tail_->end - own_begin_;
    if (num_tokens < 1 || num_tokens >= own)
        return error(Code::argument, "num_tokens is ", num_tokens, "; it must be from 1 to ",
                     own - 1, ", inside the prefix's own tokens");
    const int64_t position = own_begin_ + num_tokens;
    if (Result<void> ok = check_retained(*cache_, tail_.get(), nullptr, 0, position); !ok)
        return ok.error();
    auto head = std::make_shared<Prefix>(cache_, nullptr, own_begin_);
    head->tail_ = node_ending_at(tail_, position, cache_->page_size());
    own_begin_ = position;
    return head;
}

Prefix::Length Prefix::length() const {
    const std::lock_guard lock(cache_->mutex);
    return {tail_->end - own_begin_, tail_->end};
}

Result<std::shared_ptr<Node>> Prefix::sealed_tail() const {
    if (tail_->is_open)
        return error(Code::state, "prefix is not sealed; seal it first");
    return tail_;
}

}  // namespace relayattn
