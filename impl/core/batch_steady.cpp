// The common step: the same sequences, one more token each. Its plan is the last one with every
// row's last piece a token longer, which costs a fraction of planning anew and reads as well: the
// plan that it goes on from is at most as old as a page is long.
#include <algorithm>

#include "impl/core/batch.h"

namespace relayattn {

bool Batch::is_next_step(const Step& step, const BatchInput& input) const {
    if (planned_.size() != step.rows.size() || input.padded_tokens != planned_padding_ ||
        !step.is_plain || input.tree_mask != nullptr || !input.spans.empty() || step.rows.empty())
        return false;
    const int64_t next = steps_since_ + 1;
    for (size_t i = 0; i < step.rows.size(); ++i) {
        const StepRow& row = step.rows[i];
        if (row.sequence->id() != planned_[i].id || row.start != planned_[i].start + next)
            return false;
    }
    return has_spare_table(step);
}

bool Batch::has_spare_table(const Step& step) const {
    if (step.copies_pages)
        return false;
    for (size_t g = 0; g < plans_.size(); ++g) {
        if (plans_[g].ends.size() != step.rows.size())
            return false;
        const size_t pool = cache_->pool_of(static_cast<int64_t>(g));
        for (const size_t at : step.takers) {
            const RowEnd& end = plans_[g].ends[at / cache_->pools.size()];
            if (at % cache_->pools.size() == pool && step.pools[at].count > end.spare)
                return false;
        }
    }
    return true;
}

void Batch::advance_group(size_t group, const Step& step) {
    GroupPlan& plan = plans_[group];
    WorkList& work = plan.work;
    for (size_t i = 0; i < step.rows.size(); ++i) {
        const RowEnd& end = plan.ends[i];
        ++work.items[static_cast<size_t>(end.item)].num_kv_tokens;
        ++work.pieces[static_cast<size_t>(end.piece)].num_tokens;
        QueryToken& token = work.tokens[i];
        ++token.position;
        ++token.visible_end;
        ++token.new_begin;
        ++work.slots[i];
    }
    const size_t pool = cache_->pool_of(static_cast<int64_t>(group));
    plan.paged.clear();
    for (const size_t at : step.takers) {
        if (at % cache_->pools.size() != pool)
            continue;
        const PoolPages& pages = step.pools[at];
        const size_t row = at / cache_->pools.size();
        plan.paged.push_back(static_cast<int32_t>(row));
        RowEnd& end = plan.ends[row];
        const auto taken = step.new_pages.begin() + pages.first;
        std::copy_n(taken, pages.count, work.page_table.begin() + end.table);
        end.table += static_cast<int32_t>(pages.count);
        end.spare -= static_cast<int32_t>(pages.count);
        work.slots[row] = *taken * cache_->page_size();  // the token is the first of a new page
    }
    const KvGeometry& kv = cache_->model().groups()[group].kv;
    plan.next_summary.kv_bytes += static_cast<int64_t>(step.rows.size()) * kv.num_kv_heads *
                                  (kv.head_dim_k + kv.head_dim_v) * size_of(kv.dtype);
}

Result<void> Batch::advance_step(const Step& step, void* queue) {
    ++steps_since_;
    for (size_t g = 0; g < plans_.size(); ++g) {
        GroupPlan& plan = plans_[g];
        advance_group(g, step);
        if (Result<void> ok = plan.device->advance(plan.work, plan.ends, plan.paged, queue); !ok) {
            planned_.clear();  // some groups are a step ahead of others now
            return ok;
        }
    }
    return {};
}

void Batch::remember_step(const Step& step, const BatchInput& input) {
    planned_.clear();
    // The batch-invariant mode cuts by position, and a window moves: both are planned anew.
    if (options_.batch_invariant || !step.is_plain || input.tree_mask != nullptr ||
        !input.spans.empty())
        return;
    for (size_t g = 0; g < plans_.size(); ++g) {
        if (cache_->model().groups()[g].window.kind != WindowKind::none || !find_ends(g, step))
            return;
    }
    planned_.resize(step.rows.size());
    for (size_t i = 0; i < step.rows.size(); ++i)
        planned_[i] = {step.rows[i].sequence->id(), step.rows[i].start};
    planned_padding_ = input.padded_tokens;
    steps_since_ = 0;
}

// Finds the item and the piece that hold each row's newest token. Rows are tokens here: each has
// one.
bool Batch::find_ends(size_t group, const Step& step) {
    GroupPlan& plan = plans_[group];
    plan.paged.reserve(step.rows.size());  // so that going on allocates nothing
    const WorkList& work = plan.work;
    const int32_t* const item_tokens = work.item_tokens.data();
    const QueryToken* const tokens = work.tokens.data();
    const Piece* const pieces = work.pieces.data();
    RowEnd* const ends = plan.ends.data();
    size_t found = 0;
    int32_t index = -1;
    for (const Item& item : work.items) {
        ++index;
        if (item.num_tokens != 1)
            continue;
        const int32_t token = item_tokens[item.first_token];
        const int32_t last = item.first_piece + item.num_pieces - 1;
        if (pieces[last].position + pieces[last].num_tokens != tokens[token].visible_end)
            continue;
        ends[token].item = index;
        ends[token].piece = last;
        ends[token].spare = 1;
        ++found;
    }
    return found == step.rows.size();
}

}  // namespace relayattn
