// From a step's sequences to the work of every layer group.
#include <algorithm>
#include <limits>
#include <utility>

#include "impl/core/batch.h"

namespace relayattn {
namespace {

int64_t or_default(int64_t given, int64_t fallback) {
    return given > 0 ? given : fallback;
}

PlanShape shape_for(const Cache& cache, const BatchOptions& options, size_t group,
                    const DeviceFigures& figures) {
    const LayerGroup& layers = cache.model().groups()[group];
    const int64_t page_size = cache.page_size();
    PlanShape shape;
    shape.geometry = layers.kv;
    shape.page_size = page_size;
    shape.max_q_heads = layers.max_q_heads;
    shape.max_sequences = or_default(options.max_rows, 64);
    shape.max_tokens = or_default(options.max_tokens, 4 * shape.max_sequences);
    const int64_t runs = or_default(options.max_runs, 4 * shape.max_sequences);
    const int64_t pages = options.max_kv_tokens > 0
                              ? options.max_kv_tokens / page_size + 1
                              : cache.pools[cache.pool_of(static_cast<int64_t>(group))].total();
    shape.max_table_entries = pages + 2 * (runs + shape.max_sequences);
    shape.max_item_tokens = shape.max_tokens;
    // Room for a few levels of the tree per token, and for every worker's share of a long run.
    shape.max_partials = 4 * shape.max_tokens + 16 * figures.num_workers;
    shape.max_items = shape.max_partials + shape.max_tokens;
    shape.max_pieces = shape.max_items + 4 * runs;
    shape.graph = options.graph;
    shape.batch_invariant = options.batch_invariant;
    return shape;
}

// One plan serves all layers of a group, whichever kernels each of them takes: its items must fit
// the most particular.
DeviceFigures figures_of(const Cache& cache, size_t group) {
    const Model& model = cache.model();
    const std::vector<int64_t>& layers = model.groups()[group].layers;
    DeviceFigures figures = cache.context().figures(model.layer(layers.front()));
    for (const int64_t layer : layers) {
        const DeviceFigures other = cache.backend().figures(model.layer(layer));
        figures.few_rows = std::min(figures.few_rows, other.few_rows);
        figures.tile_rows = std::min(figures.tile_rows, other.tile_rows);
    }
    return figures;
}

// Grows `bound` to hold `needed` with room to spare; says whether it had to.
bool grow(int64_t& bound, size_t needed) {
    const auto count = static_cast<int64_t>(needed);
    if (count <= bound)
        return false;
    bound = count + count / 2;
    return true;
}

bool grow_to(PlanShape& shape, const WorkList& work) {
    bool grown =
        grow(shape.max_tokens, work.tokens.size() + static_cast<size_t>(work.padded_tokens));
    grown |= grow(shape.max_items, work.items.size());
    grown |= grow(shape.max_pieces, work.pieces.size());
    grown |= grow(shape.max_table_entries, work.page_table.size());
    grown |= grow(shape.max_item_tokens, work.item_tokens.size());
    grown |= grow(shape.max_partials,
                  std::max(work.partial_index.size(), static_cast<size_t>(work.num_partials)));
    return grown;
}

}  // namespace

Result<PlanMemory> Batch::memory_needed(const Cache& cache, const BatchOptions& options) {
    PlanMemory all;
    for (size_t g = 0; g < cache.model().groups().size(); ++g) {
        const PlanMemory one =
            cache.backend().plan_memory(shape_for(cache, options, g, figures_of(cache, g)));
        // Groups are attended one after the other, so they can share scratch, but each keeps its
        // list.
        all.scratch = std::max(all.scratch, one.scratch);
        all.metadata += one.metadata;
    }
    return all;
}

Result<std::shared_ptr<Batch>> Batch::create(std::shared_ptr<Cache> cache,
                                             const BatchOptions& options) {
    Result<PlanMemory> needed = memory_needed(*cache, options);
    if (!needed)
        return needed.error();
    if (options.scratch != nullptr && options.scratch_size < needed->scratch)
        return error(Code::argument, "scratch_size is ", options.scratch_size,
                     "; this batch needs at least ", needed->scratch, " bytes");
    if (options.metadata != nullptr && options.metadata_size < needed->metadata)
        return error(Code::argument, "metadata_size is ", options.metadata_size,
                     "; this batch needs at least ", needed->metadata, " bytes");
    std::shared_ptr<Batch> batch(new Batch(std::move(cache), options));
    Cache& owner = *batch->cache_;
    auto* metadata = static_cast<std::byte*>(options.metadata);
    for (size_t g = 0; g < batch->plans_.size(); ++g) {
        GroupPlan& plan = batch->plans_[g];
        plan.figures = figures_of(owner, g);
        plan.shape = shape_for(owner, options, g, plan.figures);
        const auto layers = static_cast<int64_t>(owner.model().groups()[g].layers.size());
        Result<std::unique_ptr<DevicePlan>> device =
            owner.backend().create_plan(plan.shape, {options.scratch, metadata}, layers);
        if (!device)
            return device.error();
        plan.device = std::move(*device);
        if (metadata != nullptr)
            metadata += owner.backend().plan_memory(plan.shape).metadata;
    }
    return batch;
}

Result<void> Batch::plan_step(const Step& step, const BatchInput& input, void* queue) {
    if (is_next_step(step, input))
        return advance_step(step, queue);
    planned_.clear();
    for (size_t g = 0; g < plans_.size(); ++g) {
        start_work(g, step, input);
        build_forest(g, step);
        if (Result<void> ok = plan_group(g, queue); !ok)
            return ok;
    }
    remember_step(step, input);
    return {};
}

// Which keys each new token may see.
void Batch::start_work(size_t group, const Step& step, const BatchInput& input) {
    const std::vector<StepRow>& rows = step.rows;
    WorkList& work = plans_[group].work;
    const Window& window = cache_->model().groups()[group].window;
    work.tokens.clear();
    work.slots.clear();
    work.page_table.clear();
    work.padded_tokens = input.padded_tokens;
    work.tree_mask = input.tree_mask;
    work.tree_stride = input.tree_stride;
    std::vector<int64_t> first_of_row(input.spans.empty() ? 0 : rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
        const StepRow& row = rows[i];
        const int64_t end = row.start + row.appended();
        if (!first_of_row.empty())
            first_of_row[i] = work.num_tokens();
        for (int64_t j = 0; j < row.q_len; ++j) {
            const int64_t position = row.start + j;
            const bool sees_all = row.flags != 0 || input.tree_mask != nullptr;
            QueryToken& token = work.tokens.emplace_back();
            token.position = static_cast<int32_t>(position);
            token.visible_begin = static_cast<int32_t>(first_visible(window, position));
            token.visible_end = static_cast<int32_t>(sees_all ? end : position + 1);
            token.new_begin = static_cast<int32_t>(row.start);
        }
    }
    for (size_t s = 0; s + 2 < input.spans.size(); s += 3) {
        const auto row = static_cast<size_t>(input.spans[s]);
        for (int64_t j = input.spans[s + 1]; j < input.spans[s + 2]; ++j) {
            QueryToken& token = work.tokens[static_cast<size_t>(first_of_row[row] + j)];
            token.visible_end = std::max(
                token.visible_end, static_cast<int32_t>(rows[row].start + input.spans[s + 2]));
        }
    }
    if (window.kind == WindowKind::chunked) {
        for (QueryToken& token : work.tokens)
            token.visible_end = static_cast<int32_t>(
                std::min<int64_t>(token.visible_end, token.visible_begin + window.size));
    }
}

int32_t Batch::run_of(const Node* node, GroupPlan& plan, size_t pool, int64_t needed_from) {
    std::vector<const Node*>& fresh = fresh_nodes_;
    fresh.clear();
    while (node != nullptr && node->mark != step_id_) {
        fresh.push_back(node);
        node = node->parent.get();
    }
    int32_t parent = node == nullptr ? -1 : node->run;
    for (size_t i = fresh.size(); i-- > 0;) {
        const Node& next = *fresh[i];
        const Extent& extent = next.extents[pool];
        const int64_t begin = std::max(extent.begin, needed_from);
        if (begin < next.end) {
            const int64_t page = extent.page_index(begin, cache_->page_size());
            const auto offset = static_cast<int32_t>(plan.work.page_table.size());
            plan.work.page_table.insert(plan.work.page_table.end(), extent.pages.begin() + page,
                                        extent.pages.end());
            plan.forest.runs.push_back(
                {parent, offset,
                 static_cast<int32_t>(extent.slot_in_page(begin, cache_->page_size())),
                 static_cast<int32_t>(next.end - begin), static_cast<int32_t>(begin)});
            parent = static_cast<int32_t>(plan.forest.runs.size()) - 1;
        }
        next.mark = step_id_;
        next.run = parent;
    }
    return parent;
}

void Batch::build_forest(size_t group, const Step& step) {
    const std::vector<StepRow>& rows = step.rows;
    GroupPlan& plan = plans_[group];
    WorkList& work = plan.work;
    const size_t pool = cache_->pool_of(static_cast<int64_t>(group));
    const int64_t page_size = cache_->page_size();
    const Window& window = cache_->model().groups()[group].window;
    // Tokens that no row sees make no run. The batch-invariant mode cuts by position alone.
    const bool sees_all = window.kind == WindowKind::none;
    const auto needed_from = [&](int64_t start) {
        if (sees_all)
            return int64_t{0};
        const int64_t seen = first_visible(window, start);
        return options_.batch_invariant
                   ? seen / plan.figures.invariant_chunk * plan.figures.invariant_chunk
                   : seen;
    };
    int64_t shared_from = sees_all ? 0 : std::numeric_limits<int64_t>::max();
    for (size_t i = 0; i < rows.size() && !sees_all; ++i)
        shared_from = std::min(shared_from, needed_from(rows[i].start));
    plan.forest.clear();
    step_id_ = next_mark();
    const Node* above = nullptr;  // of the last row, and its run: brothers follow each other
    int32_t above_run = -1;
    for (size_t i = 0; i < rows.size(); ++i) {
        const StepRow& row = rows[i];
        const Extent& tail = row.sequence->tail(pool).extent;
        const int64_t end = row.start + row.appended();
        const int64_t begin = std::max(tail.begin, needed_from(row.start));
        if (row.sequence->parent() != above) {
            above = row.sequence->parent();
            above_run = run_of(above, plan, pool, shared_from);
        }
        int32_t run = above_run;
        if (begin < end) {
            const auto offset = static_cast<int32_t>(work.page_table.size());
            // As a rule a run begins where its tail does: tell that without a division.
            const bool is_whole = begin == tail.begin;
            append_tail_pages(step, i, pool, is_whole ? 0 : tail.page_index(begin, page_size),
                              work.page_table);
            const int64_t slot = is_whole ? tail.first_slot : tail.slot_in_page(begin, page_size);
            plan.forest.runs.push_back({run, offset, static_cast<int32_t>(slot),
                                        static_cast<int32_t>(end - begin),
                                        static_cast<int32_t>(begin)});
            run = static_cast<int32_t>(plan.forest.runs.size()) - 1;
        }
        plan.forest.rows.push_back(
            {run, static_cast<int32_t>(work.slots.size()), static_cast<int32_t>(row.q_len)});
        for (int64_t j = 0; j < row.q_len; ++j)
            work.slots.push_back(row.appended() == 0 ? -1 : slot_of(step, i, pool, row.start + j));
    }
}

// And a spare entry, so that the next steps can go on without a new plan.
void Batch::append_tail_pages(const Step& step, size_t row, size_t pool, int64_t from,
                              std::vector<int32_t>& table) const {
    const std::vector<int32_t>& tail = step.rows[row].sequence->tail(pool).extent.pages;
    const PoolPages& pages = pages_of(step, row, pool);
    const int64_t old = static_cast<int64_t>(tail.size()) - (pages.copies_last ? 1 : 0);
    const int64_t skipped = std::max<int64_t>(0, from - old);
    const int64_t kept = std::max<int64_t>(0, old - from);
    const size_t first = table.size();
    table.resize(first + static_cast<size_t>(kept + pages.count - skipped + 1));
    int32_t* to = std::copy_n(tail.data() + std::min(from, old), kept, table.data() + first);
    to = std::copy_n(step.new_pages.data() + pages.first + skipped, pages.count - skipped, to);
    *to = to[-1];
}

void Batch::build_dummy(GroupPlan& plan, size_t pool, int64_t rows, int64_t q_len, int64_t kv_len) {
    WorkList& work = plan.work;
    const int64_t total = cache_->pools[pool].total();
    const int64_t pages = (kv_len + cache_->page_size() - 1) / cache_->page_size();
    work.tokens.clear();
    work.page_table.clear();
    work.padded_tokens = 0;
    work.tree_mask = nullptr;
    work.slots.assign(static_cast<size_t>(rows * q_len), -1);  // no real token is overwritten
    plan.forest.clear();
    for (int64_t r = 0; r < rows; ++r) {
        int32_t run = -1;
        if (kv_len > 0) {
            plan.forest.runs.push_back({-1, static_cast<int32_t>(work.page_table.size()), 0,
                                        static_cast<int32_t>(kv_len), 0});
            run = static_cast<int32_t>(plan.forest.runs.size()) - 1;
        }
        for (int64_t i = 0; i < pages; ++i)
            work.page_table.push_back(static_cast<int32_t>((r * pages + i) % total));
        plan.forest.rows.push_back(
            {run, static_cast<int32_t>(work.tokens.size()), static_cast<int32_t>(q_len)});
        for (int64_t j = 0; j < q_len; ++j) {
            const auto position = static_cast<int32_t>(kv_len - q_len + j);
            work.tokens.push_back(
                {position, 0, position + 1, static_cast<int32_t>(kv_len - q_len), 0, 0});
        }
    }
}

Result<void> Batch::plan_group(size_t group, void* queue) {
    GroupPlan& plan = plans_[group];
    const LayerGroup& layers = cache_->model().groups()[group];
    PlannerOptions options;
    options.figures = plan.figures;
    options.shape = {layers.kv, layers.rows_per_token()};
    options.page_size = cache_->page_size();
    options.mode = options_.mode;
    options.batch_invariant = options_.batch_invariant;
    options.max_partials = is_fixed() ? plan.shape.max_partials : 0;
    plan.next_summary = plan.planner.plan(plan.forest, options, plan.work);
    if (Result<void> ok = fit(plan, group); !ok)
        return ok;
    return plan.device->set(plan.work, queue);
}

// A plan that a graph may have captured, or that lies in the caller's memory, cannot grow.
bool Batch::is_fixed() const {
    return options_.graph || options_.scratch != nullptr || options_.metadata != nullptr;
}

Result<void> Batch::fit(GroupPlan& plan, size_t group) {
    PlanShape shape = plan.shape;
    if (!grow_to(shape, plan.work))
        return {};
    if (is_fixed())
        return error(Code::argument, "the step needs ", plan.work.page_table.size(),
                     " page table entries and ", plan.work.pieces.size(),
                     " pieces; the batch was sized for ", plan.shape.max_table_entries, " and ",
                     plan.shape.max_pieces, ": raise max_tokens, max_runs or max_kv_tokens");
    const auto layers = static_cast<int64_t>(cache_->model().groups()[group].layers.size());
    Result<std::unique_ptr<DevicePlan>> device =
        cache_->backend().create_plan(shape, {nullptr, nullptr}, layers);
    if (!device)
        return device.error();
    plan.device = std::move(*device);
    plan.shape = shape;
    return {};
}

}  // namespace relayattn
