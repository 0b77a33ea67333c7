// A step's rows, and the pages that they take and give back.
#include <numeric>

#include "impl/core/batch.h"

namespace relayattn {

int64_t Batch::pages_for(const Sequence& sequence, size_t pool, int64_t appended,
                         int64_t page_size) {
    if (appended == 0)
        return 0;
    const Extent& tail = sequence.tail(pool).extent;
    const int64_t end = sequence.end() + appended;
    const auto held = static_cast<int64_t>(tail.pages.size());
    const int64_t copied = sequence.must_copy_last(pool) ? 1 : 0;
    // Most rows of a decode step fit in the pages that they have: tell that without a division.
    if (tail.first_slot + end - tail.begin <= held * page_size)
        return copied;
    return tail.pages_until(end, page_size) - held + copied;
}

Result<void> Batch::check_free_pages(const Step& step) const {
    for (size_t pool = 0; pool < cache_->pools.size(); ++pool) {
        if (step.needed[pool] > cache_->pools[pool].free())
            return error(Code::pages, "the step needs ", step.needed[pool], " pages and ",
                         cache_->pools[pool].free(), " are free; release a sequence or a prefix");
    }
    return {};
}

int64_t Batch::slot_of(const Step& step, size_t row, size_t pool, int64_t position) const {
    const Extent& tail = step.rows[row].sequence->tail(pool).extent;
    const PoolPages& pages = pages_of(step, row, pool);
    const int64_t place = tail.first_slot + position - tail.begin;
    const int64_t old = static_cast<int64_t>(tail.pages.size()) - (pages.copies_last ? 1 : 0);
    // A new token is in the last page as a rule: tell that without a division.
    const int64_t last = old + pages.count - 1;
    const int64_t index = place >= last * cache_->page_size() ? last : place / cache_->page_size();
    const int64_t page = index < old
                             ? tail.pages[static_cast<size_t>(index)]
                             : step.new_pages[static_cast<size_t>(pages.first + index - old)];
    return (page - index) * cache_->page_size() + place;
}

// Counts the pages that the step takes. Once they are known to be free, make_room makes all the
// room that it can need, so that nothing after it allocates until it is planned.
void Batch::make_rows(const BatchInput& input, Step& step) const {
    const size_t num_rows = input.sequences.size();
    step.clear();
    step.rows.resize(num_rows);
    for (size_t i = 0; i < num_rows; ++i) {
        Sequence* const sequence = input.sequences[i];
        step.rows[i].sequence = sequence;
        step.rows[i].q_len = input.q_lens[i];
        step.rows[i].start = sequence->end();
    }
    int64_t num_tokens = 0, others = 0;
    for (const int64_t q_len : input.q_lens) {
        num_tokens += q_len;
        others |= q_len ^ 1;
    }
    step.num_tokens = step.num_appended = num_tokens;
    for (size_t i = 0; i < input.row_flags.size(); ++i) {
        StepRow& row = step.rows[i];
        row.flags = input.row_flags[i];
        step.num_appended -= row.q_len - row.appended();
        others |= row.flags;
    }
    step.is_plain = others == 0;
    step.pools.resize(num_rows * cache_->pools.size());
    step.needed.assign(cache_->pools.size(), 0);
    for (size_t pool = 0; pool < cache_->pools.size(); ++pool)
        count_pages(step, pool);
}

void Batch::count_pages(Step& step, size_t pool) const {
    const size_t num_pools = cache_->pools.size();
    const int64_t page_size = cache_->page_size();
    size_t at = pool;
    for (const StepRow& row : step.rows) {
        const Sequence& sequence = *row.sequence;
        const int64_t appended = step.is_plain ? 1 : row.appended();
        const int64_t count = pages_for(sequence, pool, appended, page_size);
        if (count > 0) {
            const bool copies_last = sequence.must_copy_last(pool);
            step.takers.push_back(at);
            step.pools[at] = {0, count, copies_last};
            step.needed[pool] += count;
            step.copies_pages |= copies_last;
        }
        at += num_pools;
    }
}

void Batch::make_room(Step& step) const {
    const size_t num_pools = cache_->pools.size();
    for (const size_t i : step.takers)
        step.rows[i / num_pools].sequence->make_room(i % num_pools, step.pools[i].count);
    step.new_pages.reserve(
        static_cast<size_t>(std::accumulate(step.needed.begin(), step.needed.end(), int64_t{0})));
}

void Batch::take_pages(Step& step) const noexcept {
    const size_t num_pools = cache_->pools.size();
    for (const size_t i : step.takers) {
        PoolPages& pages = step.pools[i];
        pages.first = static_cast<int64_t>(step.new_pages.size());
        for (int64_t p = 0; p < pages.count; ++p)
            step.new_pages.push_back(cache_->pools[i % num_pools].take());
    }
}

void Batch::give_back(const Step& step) noexcept {
    if (step.new_pages.empty())  // none was needed, or none was taken yet
        return;
    for (const size_t i : step.takers) {
        const PoolPages& pages = step.pools[i];
        for (int64_t p = 0; p < pages.count; ++p)
            cache_->pools[i % cache_->pools.size()].release(
                step.new_pages[static_cast<size_t>(pages.first + p)]);
    }
}

Result<void> Batch::copy_shared_pages(const Step& step, void* queue) {
    if (!step.copies_pages)
        return {};
    const int64_t page_size = cache_->page_size();
    std::vector<int64_t> from, to;
    for (size_t pool = 0; pool < cache_->pools.size(); ++pool) {
        from.clear();
        to.clear();
        for (size_t i = 0; i < step.rows.size(); ++i) {
            const PoolPages& pages = pages_of(step, i, pool);
            if (!pages.copies_last)
                continue;
            const Extent& tail = step.rows[i].sequence->tail(pool).extent;
            const int64_t used = tail.slot_in_page(step.rows[i].start, page_size);
            const int32_t copy = step.new_pages[static_cast<size_t>(pages.first)];
            for (int64_t slot = tail.pages.size() == 1 ? tail.first_slot : 0; slot < used; ++slot) {
                from.push_back(tail.pages.back() * page_size + slot);
                to.push_back(copy * page_size + slot);
            }
        }
        if (from.empty())
            continue;
        Result<void> ok = cache_->backend().copy(cache_->pool_stores(pool), from, to, queue);
        if (!ok)
            return ok;
    }
    return {};
}

}  // namespace relayattn
