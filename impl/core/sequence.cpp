#include "impl/core/sequence.h"

#include <algorithm>
#include <utility>

namespace relayattn {

Sequence::Sequence(std::shared_ptr<Cache> cache, std::shared_ptr<Node> parent)
    : cache_(std::move(cache)), parent_(std::move(parent)), tails_(cache_->pools.size()) {
    base_ = length_ = attached_at_ = parent_ == nullptr ? 0 : parent_->end;
    for (Tail& tail : tails_)
        tail.extent.begin = base_;
}

Sequence::~Sequence() {
    const std::lock_guard lock(cache_->mutex);
    for (size_t pool = 0; pool < tails_.size(); ++pool)
        release_pages(tails_[pool].extent, cache_->pools[pool]);
    parent_.reset();
}

void Sequence::release(std::shared_ptr<Sequence> sequence) noexcept {
    const std::shared_ptr<Cache> cache = sequence->cache();  // its mutex outlives the sequence
    const std::lock_guard lock(cache->mutex);
    std::shared_ptr<Sequence>& keeper = sequence->released_;
    if (sequence->in_batch_)
        keeper = std::move(sequence);
    else
        sequence.reset();
}

Result<std::shared_ptr<Sequence>> Sequence::attach(const std::shared_ptr<Cache>& cache,
                                                   const Prefix* prefix) {
    const std::lock_guard lock(cache->mutex);
    if (prefix == nullptr)
        return std::make_shared<Sequence>(cache, nullptr);
    Result<std::shared_ptr<Node>> tail = prefix->sealed_tail();
    if (!tail)
        return tail.error();
    return std::make_shared<Sequence>(cache, std::move(*tail));
}

Result<void> Sequence::check_free(const char* what) const {
    if (in_batch_)
        return error(Code::busy, "sequence is in an open batch; commit or abort it before ", what);
    return {};
}

std::vector<Extent> Sequence::extents() const {
    std::vector<Extent> all(tails_.size());
    for (size_t pool = 0; pool < tails_.size(); ++pool) {
        all[pool].begin = tails_[pool].extent.begin;
        all[pool].first_slot = tails_[pool].extent.first_slot;
    }
    return all;
}

void Sequence::freeze_tail(int64_t position) {
    auto node = std::make_shared<Node>(cache_->pools, base_, position);
    const int64_t page_size = cache_->page_size();
    for (size_t pool = 0; pool < tails_.size(); ++pool)
        prepare_head(tails_[pool].extent, position, page_size, node->extents[pool]);
    for (size_t pool = 0; pool < tails_.size(); ++pool)
        cut_head(tails_[pool].extent, position, page_size, cache_->pools[pool],
                 node->extents[pool]);
    node->parent = std::move(parent_);
    parent_ = std::move(node);
    base_ = position;
    id_ = next_mark();
}

Result<std::shared_ptr<Sequence>> Sequence::fork() {
    const std::lock_guard lock(cache_->mutex);
    if (Result<void> ok = check_free("a fork"); !ok)
        return ok.error();
    // Full pages become a node that both hang under; the partial page stays in both tails.
    const Extent& first = tails_.front().extent;
    const int64_t partial =
        first.pages.empty() ? 0 : first.slot_in_page(length_, cache_->page_size());
    const int64_t boundary = length_ - partial;
    if (boundary > base_)
        freeze_tail(boundary);
    // The new sequence's destructor would take the lock that is held here, so nothing may fail once
    // it exists: its tails are prepared first.
    std::vector<Tail> copies = tails_;
    auto twin = std::make_shared<Sequence>(cache_, parent_);
    twin->length_ = length_;
    twin->attached_at_ = attached_at_;
    twin->tails_ = std::move(copies);
    for (size_t pool = 0; pool < tails_.size(); ++pool) {
        for (const int32_t page : tails_[pool].extent.pages)
            cache_->pools[pool].retain(page);
        const bool shares = !tails_[pool].extent.pages.empty();
        tails_[pool].may_share_last = twin->tails_[pool].may_share_last = shares;
    }
    id_ = next_mark();
    return twin;
}

Result<void> Sequence::truncate(int64_t length) {
    const std::lock_guard lock(cache_->mutex);
    if (Result<void> ok = check_free("truncating it"); !ok)
        return ok;
    if (length < 0 || length > length_)
        return error(Code::argument, "length is ", length, "; it must be from 0 to ", length_);
    if (length == length_)
        return {};
    const std::vector<Extent> own = extents();
    if (Result<void> ok = check_retained(*cache_, parent_.get(), &own, base_, length); !ok)
        return ok;
    if (length < base_) {
        parent_ = node_ending_at(parent_, length, cache_->page_size());
        base_ = length;
        attached_at_ = std::min(attached_at_, length);
    }
    for (size_t pool = 0; pool < tails_.size(); ++pool) {
        cut_tail(tails_[pool].extent, length, cache_->page_size(), cache_->pools[pool]);
        tails_[pool].may_share_last =
            tails_[pool].may_share_last && !tails_[pool].extent.pages.empty();
    }
    length_ = length;
    id_ = next_mark();
    return {};
}

Result<std::shared_ptr<Prefix>> Sequence::freeze(int64_t num_tokens) {
    const std::lock_guard lock(cache_->mutex);
    if (Result<void> ok = check_free("freezing it"); !ok)
        return ok.error();
    const int64_t position = num_tokens == -1 ? length_ : num_tokens;
    if (position < 1 || position > length_)
        return error(Code::argument, "num_tokens is ", num_tokens, "; it must be from 1 to ",
                     length_, ", the sequence's length, or -1 for all");
    const std::vector<Extent> own = extents();
    if (Result<void> ok = check_retained(*cache_, parent_.get(), &own, base_, position); !ok)
        return ok.error();
    const int64_t own_begin = position > attached_at_ ? attached_at_ : 0;
    auto prefix = std::make_shared<Prefix>(cache_, nullptr, own_begin);
    if (position > base_)
        freeze_tail(position);
    prefix->hang(position == base_ ? parent_
                                   : node_ending_at(parent_, position, cache_->page_size()));
    attached_at_ = std::max(attached_at_, position);
    return prefix;
}

Sequence::Length Sequence::length() const {
    const std::lock_guard lock(cache_->mutex);
    const std::vector<Extent> own = extents();
    return {length_, min_length(*cache_, parent_.get(), &own, base_, length_)};
}

std::vector<int32_t> Sequence::pages(size_t pool) const {
    const std::lock_guard lock(cache_->mutex);
    std::vector<const Node*> chain;
    for (const Node* node = parent_.get(); node != nullptr; node = node->parent.get())
        chain.push_back(node);
    std::vector<int32_t> all;
    const auto append = [&](const std::vector<int32_t>& pages) {
        for (const int32_t page : pages) {
            if (all.empty() || all.back() != page)
                all.push_back(page);
        }
    };
    for (size_t i = chain.size(); i-- > 0;)
        append(chain[i]->extents[pool].pages);
    append(tails_[pool].extent.pages);
    return all;
}

bool Sequence::shares_last(size_t pool) const {
    const Tail& tail = tails_[pool];
    return !tail.extent.pages.empty() &&
           tail.extent.slot_in_page(length_, cache_->page_size()) != 0 &&
           cache_->pools[pool].is_shared(tail.extent.pages.back());
}

void Sequence::make_room(size_t pool, int64_t pages) {
    std::vector<int32_t>& tail = tails_[pool].extent.pages;
    const size_t needed = tail.size() + static_cast<size_t>(pages);
    if (needed > tail.capacity())
        tail.reserve(std::max(needed, 2 * tail.capacity()));
}

void Sequence::adopt(size_t pool, std::span<const int32_t> pages, bool replaces_last,
                     int64_t length) noexcept {
    Tail& tail = tails_[pool];
    PagePool& pool_pages = cache_->pools[pool];
    if (replaces_last) {
        pool_pages.release(tail.extent.pages.back());
        tail.extent.pages.pop_back();
        tail.may_share_last = false;
    }
    tail.extent.pages.insert(tail.extent.pages.end(), pages.begin(), pages.end());
    cut_tail(tail.extent, length, cache_->page_size(), pool_pages);
    const int64_t kept = kept_tokens(cache_->pool_window(pool));
    if (kept >= 0)
        drop_before(tail.extent, length - kept, cache_->page_size(), pool_pages);
}

}  // namespace relayattn
