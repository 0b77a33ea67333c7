// How items leave their results, and which of them starts first.
#include <algorithm>
#include <bit>
#include <span>

#include "impl/core/plan/planner.h"

namespace relayattn {
namespace {

constexpr int32_t k_steps = 8;  // levels per doubling
constexpr int32_t k_levels = 64 * k_steps;

// The higher the cost (at least 1), the lower the level, from 0 to k_levels - 1.
int32_t level_of(int64_t cost) {
    const auto value = static_cast<uint64_t>(cost);
    const auto log2 = static_cast<int32_t>(std::bit_width(value)) - 1;
    const auto within = static_cast<int32_t>((value * k_steps) >> log2) - k_steps;
    return k_levels - 1 - (log2 * k_steps + within);
}

std::span<const int32_t> tokens_of(const WorkList& work, const Item& item) {
    return {work.item_tokens.data() + item.first_token, static_cast<size_t>(item.num_tokens)};
}

}  // namespace

// The items of a token are counted by now; -1 takes the place of the count where its only item
// writes its output.
void Planner::number_partials(WorkList& work) {
    int32_t* const count_of = partials_of_.data();
    int32_t next = 0;
    for (Item& item : work.items) {
        const std::span<const int32_t> tokens = tokens_of(work, item);
        // One way to finish for all keeps results the same: whether a token has an item to itself
        // is a matter of who shares its tile.
        const bool direct =
            !options_.batch_invariant &&
            std::ranges::all_of(tokens, [&](int32_t token) { return count_of[token] == 1; });
        item.partial = direct ? -1 : next;
        if (direct) {
            for (const int32_t token : tokens)
                count_of[token] = -1;
        } else {
            next += item.num_tokens;
        }
    }
    work.num_partials = next;
}

// Turns the counts into the place of each token's next partial.
void Planner::merge_tokens(WorkList& work) {
    work.merged_tokens.resize(work.tokens.size());
    size_t num_merged = 0;
    int32_t next = 0;
    for (size_t t = 0; t < work.tokens.size(); ++t) {
        QueryToken& token = work.tokens[t];
        const int32_t count = partials_of_[t];
        token.num_partials = count;
        token.first_partial = next;
        if (count < 0)
            continue;
        partials_of_[t] = next;
        next += count;
        work.merged_tokens[num_merged++] = static_cast<int32_t>(t);
    }
    work.merged_tokens.resize(num_merged);
    work.partial_index.resize(static_cast<size_t>(next));
}

void Planner::index_partials(WorkList& work) {
    int32_t* const place_of = partials_of_.data();
    int32_t* const index = work.partial_index.data();
    for (const Item& item : work.items) {
        int32_t partial = item.partial;
        if (partial < 0)
            continue;
        const int32_t* const tokens = work.item_tokens.data() + item.first_token;
        index[place_of[tokens[0]]++] = partial;
        for (int32_t t = 1; t < item.num_tokens; ++t)
            index[place_of[tokens[t]]++] = ++partial;
    }
}

// Many-row items first, and in each part the longest first, by a counting sort over coarse costs:
// the order only has to be good, and it must not cost a comparison sort every step.
void Planner::order_items(WorkList& work) {
    const int64_t few_tokens =  // most of an item with few rows
        options_.batch_invariant ? 0 : options_.figures.few_rows / options_.shape.rows_per_token;
    buckets_of_.resize(work.items.size());
    uint16_t* bucket_of = buckets_of_.data();
    int32_t num_many = 0, last = 0;
    bool is_ordered = true;
    for (const Item& item : work.items) {
        const bool is_many = item.num_tokens > few_tokens;
        const int64_t rows = item.num_tokens * options_.shape.rows_per_token;
        const int64_t weight = is_many ? (rows + 7) / 8 * 8 : 1;
        const int32_t bucket = (is_many ? 0 : k_levels) + level_of(item.num_kv_tokens * weight);
        *bucket_of++ = static_cast<uint16_t>(bucket);
        num_many += is_many ? 1 : 0;
        is_ordered &= bucket >= last;  // as it is where all rows have much the same length
        last = bucket;
    }
    work.num_many = num_many;
    if (!is_ordered)
        sort_items(work);
}

void Planner::sort_items(WorkList& work) {
    sorted_.resize(work.items.size());
    buckets_.assign(2 * k_levels + 1, 0);
    for (const uint16_t bucket : buckets_of_)
        ++buckets_[bucket + size_t{1}];
    for (size_t b = 1; b < buckets_.size(); ++b)
        buckets_[b] += buckets_[b - 1];
    for (size_t i = 0; i < work.items.size(); ++i)
        sorted_[static_cast<size_t>(buckets_[buckets_of_[i]]++)] = work.items[i];
    work.items.swap(sorted_);
}

}  // namespace relayattn
